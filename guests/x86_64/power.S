/* power.S: sleeps until a key or the power button: p powers off, r resets, x panics, another key
 * does nothing, the button powers off. Complains if it doesn't find RAM as after power-on. */
	.set	LAPIC, 0xfee00000	/* Intel SDM Vol. 3, 11.4: +0xb0 EOI, +0xf0 SVR, +0x350 LINT0 */
	.set	IOAPIC, 0xfec00000	/* 82093AA: +0 register select, +0x10 window */
	.set	VECTOR, 0x24		/* of the UART; the button has the next one */
	.set	UART_IRQ, 4
	.set	BUTTON_IRQ, 9
	.set	ACPI_PM, 0x600		/* ACPI 6.4, 4.8.3.7: +0 sleep control; +2 reset */
	.set	SLEEP_S5, 5 << 2 | 1 << 5
	.set	PVPANIC, 0x505
	.set	MARK, 0x80000		/* RAM that nothing is loaded to */

	.code64
	mov	$stack_top, %esp
	mov	%cs, gates + 2
	mov	%cs, gates + 18
	lidt	idtr

	mov	MARK, %eax
	or	mark, %eax
	jz	fresh
	mov	$stale, %esi
	call	puts
fresh:
	movl	$1, MARK
	movl	$1, mark

	mov	$LAPIC, %ebp
	movl	$0x1ff, 0xf0(%rbp)	/* enabled; spurious interrupts at 0xff */
	movl	$0x10000, 0x350(%rbp)	/* nothing from 8259s, if there are any */
	mov	$IOAPIC, %ebx
	movl	$0x10 + 2 * UART_IRQ + 1, (%rbx)
	movl	$0, 0x10(%rbx)		/* to local APIC 0 */
	movl	$0x10 + 2 * UART_IRQ, (%rbx)
	movl	$VECTOR, 0x10(%rbx)	/* fixed, edge, unmasked */
	movl	$0x10 + 2 * BUTTON_IRQ + 1, (%rbx)
	movl	$0, 0x10(%rbx)
	movl	$0x10 + 2 * BUTTON_IRQ, (%rbx)
	movl	$VECTOR + 1, 0x10(%rbx)

	mov	$prompt, %esi
	call	puts
	mov	$COM1 + 4, %dx
	mov	$0x08, %al		/* OUT2 lets the interrupt out of the UART */
	out	%al, (%dx)
	mov	$COM1 + 1, %dx
	mov	$0x01, %al		/* received data */
	out	%al, (%dx)
	sti
sleep:
	hlt
	jmp	sleep

/* The interrupts. They only ever interrupt HLT, so they may use what registers they like. */
key:
	mov	$COM1 + 5, %dx
	in	(%dx), %al
	test	$0x01, %al		/* data ready? */
	jz	eoi
	mov	$COM1, %dx
	in	(%dx), %al
	cmp	$'p', %al
	je	off
	cmp	$'r', %al
	je	reset
	cmp	$'x', %al
	jne	key
	mov	$PVPANIC, %dx
	mov	$0x01, %al		/* panicked */
	out	%al, (%dx)
	jmp	stop
reset:
	mov	$ACPI_PM + 2, %dx
	mov	$0x01, %al
	out	%al, (%dx)
	jmp	stop
eoi:
	movl	$0, 0xb0(%rbp)
	iretq

button:
	mov	$pressed, %esi
	call	puts
off:
	mov	$ACPI_PM, %dx
	mov	$SLEEP_S5, %al
	out	%al, (%dx)
stop:
	cli
	hlt
	jmp	stop

prompt:
	.asciz	"p: power off, r: reset, x: panic.\n"
pressed:
	.asciz	"The power button.\n"
stale:
	.asciz	"RAM is not as after power-on!\n"

	.balign	16
mark:
	.long	0

	.balign	16
idt:
	.space	VECTOR * 16
gates:					/* Intel SDM Vol. 3, 6.14.1: interrupt gate, present */
	.word	key, 0, 0x8e00, 0
	.quad	0
	.word	button, 0, 0x8e00, 0
	.quad	0
idtr:
	.word	. - idt - 1
	.quad	idt

	.include "com1.inc"
