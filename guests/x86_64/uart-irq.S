/* uart-irq.S: takes a line from COM1 by interrupts, through IOAPIC and local APIC, prints it and
 * ends with status 0. Between bytes the CPU sleeps in HLT. */
	.set	LAPIC, 0xfee00000	/* Intel SDM Vol. 3, 11.4: +0xb0 EOI, +0xf0 SVR, +0x350 LINT0 */
	.set	IOAPIC, 0xfec00000	/* 82093AA: +0 register select, +0x10 window */
	.set	VECTOR, 0x24
	.set	IRQ, 4

	.code64
	mov	$stack_top, %esp
	mov	%cs, gate + 2
	lidt	idtr

	mov	$LAPIC, %ebp
	movl	$0x1ff, 0xf0(%rbp)	/* enabled; spurious interrupts at 0xff */
	movl	$0x10000, 0x350(%rbp)	/* nothing from 8259s, if there are any */
	mov	$IOAPIC, %ebx
	movl	$0x10 + 2 * IRQ + 1, (%rbx)
	movl	$0, 0x10(%rbx)		/* to local APIC 0 */
	movl	$0x10 + 2 * IRQ, (%rbx)
	movl	$VECTOR, 0x10(%rbx)	/* fixed, edge, unmasked */

	mov	$prompt, %esi
	call	puts
	mov	$COM1 + 4, %dx
	mov	$0x08, %al		/* OUT2 lets the interrupt out of the UART */
	out	%al, (%dx)
	mov	$COM1 + 1, %dx
	mov	$0x01, %al		/* received data */
	out	%al, (%dx)

	mov	$line, %edi
sleep:
	cmpb	$0, done
	jne	print
	sti				/* takes effect behind HLT: no wake-up is lost */
	hlt
	cli
	jmp	sleep
print:
	mov	$line, %esi
	call	puts
	xor	%al, %al
	out	%al, $DEBUG_EXIT
	hlt

/* The interrupt: takes all that the UART has. It only ever interrupts HLT, so it may use what
 * registers it likes. */
irq:
	mov	$COM1 + 5, %dx
	in	(%dx), %al
	test	$0x01, %al		/* data ready? */
	jz	eoi
	mov	$COM1, %dx
	in	(%dx), %al
	cmp	$'\n', %al
	je	enter
	cmp	$'\r', %al
	je	enter
	stosb
	cmp	$line_end - 2, %edi
	jb	irq
enter:
	movw	$'\n', (%rdi)		/* and a NUL */
	movb	$1, done
eoi:
	movl	$0, 0xb0(%rbp)
	iretq

prompt:
	.asciz	"Type a line.\n"
done:
	.byte	0
line:
	.space	128
line_end:

	.include "idt.inc"

	.include "com1.inc"
