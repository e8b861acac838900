/* virtio-rng.S: drives an entropy device over MMIO (VIRTIO 1.2: 3.1.1, 4.2, 5.4): takes random bytes
 * by polling, then by interrupt, and ends with status 0. Another status is the step that failed. */
	.set	VIRTIO, 0xc0000000	/* `at:` and `irq:` of the config */
	.set	IRQ, 5
	.set	LAPIC, 0xfee00000	/* Intel SDM Vol. 3, 11.4: +0xb0 EOI, +0xf0 SVR, +0x350 LINT0 */
	.set	IOAPIC, 0xfec00000	/* 82093AA: +0 register select, +0x10 window */
	.set	VECTOR, 0x25
	.set	LEVEL, 1 << 15
	.set	QUEUE, 4
	.set	LEN, 32

	.set	MAGIC, 0x000
	.set	VERSION, 0x004
	.set	DEVICE, 0x008
	.set	DRIVER_FEATURES, 0x020
	.set	DRIVER_FEATURES_SEL, 0x024
	.set	QUEUE_NUM_MAX, 0x034
	.set	QUEUE_NUM, 0x038
	.set	QUEUE_READY, 0x044
	.set	QUEUE_NOTIFY, 0x050
	.set	INTERRUPT_STATUS, 0x060
	.set	INTERRUPT_ACK, 0x064
	.set	STATUS, 0x070
	.set	QUEUE_DESC, 0x080
	.set	QUEUE_DRIVER, 0x090
	.set	QUEUE_DEVICE, 0x0a0

/* Goes on if the comparison before says equal, else ends with that status. */
	.macro	equal_or status
	mov	$\status, %al
	jne	fail
	.endm

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
	movl	$LEVEL | VECTOR, 0x10(%rbx)	/* fixed, active high, unmasked */

	mov	$VIRTIO, %ebx
	cmpl	$0x74726976, MAGIC(%rbx)
	equal_or 1
	cmpl	$2, VERSION(%rbx)
	equal_or 2
	cmpl	$4, DEVICE(%rbx)
	equal_or 3
	movl	$0, STATUS(%rbx)
	movl	$1, STATUS(%rbx)	/* ACKNOWLEDGE */
	movl	$3, STATUS(%rbx)	/* DRIVER */
	movl	$1, DRIVER_FEATURES_SEL(%rbx)
	movl	$1, DRIVER_FEATURES(%rbx)	/* VERSION_1 alone */
	movl	$0xb, STATUS(%rbx)	/* FEATURES_OK */
	cmpl	$0xb, STATUS(%rbx)
	equal_or 4
	cmpl	$QUEUE, QUEUE_NUM_MAX(%rbx)
	mov	$5, %al
	jb	fail
	movl	$QUEUE, QUEUE_NUM(%rbx)
	movl	$desc, QUEUE_DESC(%rbx)
	movl	$avail, QUEUE_DRIVER(%rbx)
	movl	$used, QUEUE_DEVICE(%rbx)
	movl	$1, QUEUE_READY(%rbx)
	movl	$0xf, STATUS(%rbx)	/* DRIVER_OK */
	cmpl	$0xf, STATUS(%rbx)
	equal_or 6

	/* Interrupts are allowed from here on, but the ring asks for none. */
	sti
	movw	$1, avail_idx
	movl	$0, QUEUE_NOTIFY(%rbx)
1:	pause
	cmpw	$1, used_idx
	jne	1b
	cmpl	$LEN, used_len
	equal_or 7
	cmpl	$0, irqs
	equal_or 8
	mov	$polled, %esi
	call	puts

	cli
	movw	$0, avail_flags
	movl	$second, desc
	movw	$2, avail_idx
	movl	$0, QUEUE_NOTIFY(%rbx)
2:	cmpl	$0, irqs
	jne	3f
	sti				/* takes effect behind HLT: no wake-up is lost */
	hlt
	cli
	jmp	2b
3:	cmpl	$1, irqs
	equal_or 9
	cmpl	$1, isr			/* a used buffer */
	equal_or 10
	cmpw	$2, used_idx
	equal_or 11
	cmpl	$LEN, used_len + 8
	equal_or 12
	mov	$interrupted, %esi
	call	puts

	/* Two times 32 random bytes are not the same, nor zero. */
	mov	$first, %esi
	mov	$second, %edi
	mov	$LEN, %ecx
	repe	cmpsb
	mov	$13, %al
	je	fail
	mov	$first, %edi
	mov	$LEN, %ecx
	xor	%al, %al
	repe	scasb
	mov	$14, %al
	je	fail
	mov	$different, %esi
	call	puts
	movl	$0, STATUS(%rbx)
	cmpl	$0, STATUS(%rbx)
	equal_or 15
	xor	%al, %al
fail:
	out	%al, $DEBUG_EXIT
	hlt

/* The line is high until the device is told that its interrupt was seen. */
irq:
	push	%rax
	mov	INTERRUPT_STATUS(%rbx), %eax
	mov	%eax, isr
	mov	%eax, INTERRUPT_ACK(%rbx)
	incl	irqs
	movl	$0, 0xb0(%rbp)		/* end of interrupt */
	pop	%rax
	iretq

polled:
	.asciz	"32 bytes by polling\n"
interrupted:
	.asciz	"32 bytes by interrupt\n"
different:
	.asciz	"all of them random\n"

	.balign	4
irqs:
	.long	0
isr:
	.long	0
first:
	.space	LEN
second:
	.space	LEN

	.balign	16
desc:					/* 2.7.5: a buffer for the device to write */
	.quad	first
	.long	LEN
	.word	2, 0
	.space	16 * (QUEUE - 1)
	.set	FLAGS, 1
	.include "virtqueue.inc"

	.include "idt.inc"

	.include "com1.inc"
