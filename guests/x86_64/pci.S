/* pci.S: looks for PCI functions by ports and by ECAM, and takes random bytes from an entropy device
 * (VIRTIO 1.2: 3.1.1, 4.1, 5.4) by MSI-X; notifies it by a port, then in memory. Ends with status 0;
 * another is the step that failed. */
	.set	ADDRESS, 0xcf8		/* PCI 3.0, 3.2.2.3.2 */
	.set	DATA, 0xcfc
	.set	ECAM, 0xe0000000	/* `config:` of the config */
	.set	RNG, 0x10441af4		/* device and vendor */
	.set	LAPIC, 0xfee00000	/* Intel SDM Vol. 3, 11.4: +0xb0 EOI, +0xf0 SVR, +0x350 LINT0 */
	.set	VECTOR, 0x26
	.set	QUEUE, 4
	.set	LEN, 32

	.set	COMMON, 1		/* 4.1.4: structures that capabilities point to, ... */
	.set	NOTIFY, 2
	.set	DRIVER_FEATURE_SELECT, 0x08	/* ... and 4.1.4.3, registers of the first one */
	.set	DRIVER_FEATURE, 0x0c
	.set	STATUS, 0x14
	.set	QUEUE_SELECT, 0x16
	.set	QUEUE_SIZE, 0x18
	.set	QUEUE_VECTOR, 0x1a
	.set	QUEUE_ENABLE, 0x1c
	.set	QUEUE_DESC, 0x20
	.set	QUEUE_DRIVER, 0x28
	.set	QUEUE_DEVICE, 0x30

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

	/* Function 0 of each device, by both ways. */
	mov	$0x80000000, %edi
scan:
	mov	%edi, %eax
	mov	$ADDRESS, %dx
	out	%eax, (%dx)
	mov	$DATA, %dx
	in	(%dx), %eax
	mov	%eax, %ecx
	mov	%edi, %esi		/* to ECAM: four bits up, and the enable bit out */
	shl	$4, %esi
	mov	$ECAM, %ebx
	add	%rbx, %rsi
	cmp	(%rsi), %ecx
	equal_or 1
	cmp	$0xffffffff, %ecx
	je	next
	cmp	$RNG, %ecx
	jne	show
	mov	%esi, found
show:
	mov	%ecx, %ebx
	mov	$8, %ecx
	call	puthex
	mov	$separator, %esi
	call	puts
	mov	%edi, %ebx		/* the device, as bus << 8 | device << 3 */
	shl	$8, %ebx
	mov	$4, %ecx
	call	puthex
	mov	$newline, %esi
	call	puts
next:
	add	$8 << 8, %edi
	cmp	$0x80010000, %edi
	jne	scan

	/* Its capabilities: MSI-X at structs[0], and the places of virtio's structures. */
	mov	found, %ebp
	test	%ebp, %ebp
	mov	$2, %al
	jz	fail
	movzbl	0x34(%rbp), %eax
walk:
	test	%eax, %eax
	jz	setup
	add	%ebp, %eax
	mov	(%rax), %cl
	cmp	$0x11, %cl		/* PCI 3.0, 6.8.2 */
	jne	1f
	mov	%eax, structs
1:	cmp	$0x09, %cl		/* of a vendor: +3 type, +4 BAR, +8 offset */
	jne	2f
	movzbl	3(%rax), %ecx
	mov	8(%rax), %edx
	cmp	$5, %ecx
	jae	2f
	cmpb	$0, 4(%rax)		/* the one that is a port comes first of its type */
	jne	3f
	mov	%edx, structs(,%rcx,4)
2:	movzbl	1(%rax), %eax
	jmp	walk
3:	mov	structs + 4 * NOTIFY, %r13d
	mov	0x18(%rbp), %r12d	/* in BAR 2 */
	add	%edx, %r12d
	jmp	2b

	/* The BARs are where the planner had them, below 4 GiB. Vector 0 sends ours. */
setup:
	cmp	$0, %r13d
	equal_or 14
	mov	%r12d, %eax
	and	$3, %eax
	cmp	$1, %eax		/* ports, PCI 3.0, 6.2.5.1 */
	equal_or 15
	dec	%r12d
	mov	0x10(%rbp), %ebx
	and	$0xfffffff0, %ebx
	cmpl	$0, 0x14(%rbp)
	equal_or 3
	movw	$0x407, 4(%rbp)		/* ports, memory, bus master, no INTx */
	mov	structs, %eax
	mov	4(%rax), %edi		/* the table, in BAR 0 */
	add	%ebx, %edi
	movl	$LAPIC, (%rdi)
	movl	$0, 4(%rdi)
	movl	$VECTOR, 8(%rdi)
	movl	$0, 12(%rdi)
	movw	$0x8000, 2(%rax)
	mov	8(%rax), %esi		/* pending bits */
	add	%ebx, %esi

	mov	structs + 4 * COMMON, %ebp
	add	%ebx, %ebp
	add	structs + 4 * NOTIFY, %ebx
	movb	$0, STATUS(%rbp)
	movb	$1, STATUS(%rbp)	/* ACKNOWLEDGE */
	movb	$3, STATUS(%rbp)	/* DRIVER */
	movl	$1, DRIVER_FEATURE_SELECT(%rbp)
	movl	$1, DRIVER_FEATURE(%rbp)	/* VERSION_1 alone */
	movb	$0xb, STATUS(%rbp)	/* FEATURES_OK */
	cmpb	$0xb, STATUS(%rbp)
	equal_or 4
	movw	$0, QUEUE_SELECT(%rbp)
	movw	$QUEUE, QUEUE_SIZE(%rbp)
	movw	$9, QUEUE_VECTOR(%rbp)	/* there is no such one */
	cmpw	$0xffff, QUEUE_VECTOR(%rbp)
	equal_or 5
	movw	$0, QUEUE_VECTOR(%rbp)
	cmpw	$0, QUEUE_VECTOR(%rbp)
	equal_or 6
	movl	$desc, QUEUE_DESC(%rbp)
	movl	$avail, QUEUE_DRIVER(%rbp)
	movl	$used, QUEUE_DEVICE(%rbp)
	movw	$1, QUEUE_ENABLE(%rbp)
	movb	$0xf, STATUS(%rbp)	/* DRIVER_OK */
	cmpb	$0xf, STATUS(%rbp)
	equal_or 7

	movw	$1, avail_idx
	mov	%r12d, %edx
	xor	%eax, %eax
	out	%ax, (%dx)
	mov	$1, %ecx
	call	wait
	cmpw	$1, used_idx
	equal_or 8
	cmpl	$LEN, used_len
	equal_or 9
	push	%rsi
	mov	$sent, %esi
	call	puts
	pop	%rsi

	/* While its vector is masked the message waits. */
	movl	$1, 12(%rdi)
	movw	$2, avail_idx
	movw	$0, (%rbx)
1:	pause
	testl	$1, (%rsi)
	jz	1b
	cmpw	$2, used_idx
	equal_or 10
	cmpl	$1, irqs
	equal_or 11
	movl	$0, 12(%rdi)
	mov	$2, %ecx
	call	wait
	testl	$1, (%rsi)
	mov	$12, %al
	jnz	fail
	mov	$waited, %esi
	call	puts
	movb	$0, STATUS(%rbp)
	cmpb	$0, STATUS(%rbp)
	equal_or 13
	xor	%al, %al
fail:
	out	%al, $DEBUG_EXIT
	hlt

/* Until ECX interrupts came. */
wait:
	cmp	%ecx, irqs
	je	1f
	sti				/* takes effect behind HLT: no wake-up is lost */
	hlt
	cli
	jmp	wait
1:	ret

irq:
	push	%rax
	mov	$LAPIC, %eax
	incl	irqs
	movl	$0, 0xb0(%rax)		/* end of interrupt */
	pop	%rax
	iretq

separator:
	.asciz	" at "
newline:
	.asciz	"\n"
sent:
	.asciz	"a message came\n"
waited:
	.asciz	"a masked one came later\n"

	.balign	4
found:					/* the device's configuration space */
	.long	0
structs:				/* by type */
	.space	4 * 5
irqs:
	.long	0
bytes:
	.space	LEN

	.balign	16
desc:					/* 2.7.5: a buffer for the device to write */
	.quad	bytes
	.long	LEN
	.word	2, 0
	.space	16 * (QUEUE - 1)
	.set	FLAGS, 0
	.include "virtqueue.inc"

	.include "idt.inc"

	.include "com1.inc"
