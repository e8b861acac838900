/* virtio-blk.S: drives a disk over MMIO at Vibe-VMM's place for it (VIRTIO 1.2: 3.1.1, 4.2, 5.2), by
 * polling: prints the text in its first sector, writes the second one and reads that back. Ends with
 * status 0; another one is the step that failed. */
	.set	VIRTIO, 0xa001000
	.set	CONSOLE, 0x9000000	/* 16550-like, a byte apart: +0 data, +5 line status */
	.set	DEBUG_EXIT, 0xf4
	.set	QUEUE, 4

	.set	MAGIC, 0x000
	.set	VERSION, 0x004
	.set	DEVICE, 0x008
	.set	DRIVER_FEATURES, 0x020
	.set	DRIVER_FEATURES_SEL, 0x024
	.set	QUEUE_NUM, 0x038
	.set	QUEUE_READY, 0x044
	.set	QUEUE_NOTIFY, 0x050
	.set	STATUS, 0x070
	.set	QUEUE_DESC, 0x080
	.set	QUEUE_DRIVER, 0x090
	.set	QUEUE_DEVICE, 0x0a0
	.set	CAPACITY, 0x100

/* Goes on if the comparison before says equal, else ends with that status. */
	.macro	equal_or status
	mov	$\status, %al
	jne	fail
	.endm

	.code64
	mov	$stack_top, %esp
	mov	$VIRTIO, %ebx
	cmpl	$0x74726976, MAGIC(%rbx)
	equal_or 1
	cmpl	$2, VERSION(%rbx)
	equal_or 2
	cmpl	$2, DEVICE(%rbx)
	equal_or 3
	movl	$0, STATUS(%rbx)
	movl	$1, STATUS(%rbx)	/* ACKNOWLEDGE */
	movl	$3, STATUS(%rbx)	/* DRIVER */
	movl	$1, DRIVER_FEATURES_SEL(%rbx)
	movl	$1, DRIVER_FEATURES(%rbx)	/* VERSION_1 alone: each write counts at once */
	movl	$0xb, STATUS(%rbx)	/* FEATURES_OK */
	cmpl	$0xb, STATUS(%rbx)
	equal_or 4
	cmpl	$128, CAPACITY(%rbx)	/* sectors */
	equal_or 5
	movl	$QUEUE, QUEUE_NUM(%rbx)
	movl	$desc, QUEUE_DESC(%rbx)
	movl	$avail, QUEUE_DRIVER(%rbx)
	movl	$used, QUEUE_DEVICE(%rbx)
	movl	$1, QUEUE_READY(%rbx)
	movl	$0xf, STATUS(%rbx)	/* DRIVER_OK */
	cmpl	$0xf, STATUS(%rbx)
	equal_or 6

	call	request			/* reads sector 0 */
	mov	$7, %al
	jne	fail
	cmpl	$513, used_len
	equal_or 8
	mov	$data, %esi
	call	puts

	mov	$data, %edi
	mov	$'w', %al
	mov	$512, %ecx
	rep	stosb
	movl	$1, type		/* writes sector 1 */
	movl	$1, sector
	movw	$1, desc + 16 + 12	/* the data are the device's to read, now */
	call	request
	mov	$9, %al
	jne	fail
	cmpl	$1, used_len + 8
	equal_or 10

	mov	$data, %edi
	xor	%eax, %eax
	mov	$512, %ecx
	rep	stosb
	movl	$0, type
	movw	$3, desc + 16 + 12
	call	request			/* and reads it */
	mov	$11, %al
	jne	fail
	mov	$data, %edi
	mov	$'w', %al
	mov	$512, %ecx
	repe	scasb
	equal_or 12

	movl	$128, sector		/* behind the end: an error, and no harm */
	call	request
	cmpb	$1, status
	equal_or 13
	mov	$done, %esi
	call	puts
	movl	$0, STATUS(%rbx)
	cmpl	$0, STATUS(%rbx)
	equal_or 14
	xor	%al, %al
fail:
	out	%al, $DEBUG_EXIT
	hlt

/* Makes the one request available, again, and waits for it. Equal if its status is 0. */
request:
	movb	$0xff, status
	incw	avail_idx
	movl	$0, QUEUE_NOTIFY(%rbx)
	mov	avail_idx, %ax
1:	pause
	cmp	used_idx, %ax
	jne	1b
	cmpb	$0, status
	ret

/* Prints the string at ESI up to its NUL. */
puts:
	mov	$CONSOLE, %edx
	lodsb
	test	%al, %al
	jz	2f
1:	testb	$0x20, 5(%rdx)		/* transmitter empty? */
	jz	1b
	mov	%al, (%rdx)
	jmp	puts
2:	ret

done:
	.asciz	"sector 1 written, and read back\n"

	.balign	16
type:					/* 5.2.6: the header */
	.long	0, 0
sector:
	.quad	0
data:
	.space	513
status:
	.byte	0

	.balign	16
desc:					/* 2.7.5: header, data to write, status to write */
	.quad	type
	.long	16
	.word	1, 1
	.quad	data
	.long	512
	.word	3, 2
	.quad	status
	.long	1
	.word	2, 0
	.space	16
	.set	FLAGS, 1		/* 2.7.6: each entry is the chain that begins at 0 */
	.include "virtqueue.inc"

	.balign	16
	.space	64
stack_top:
