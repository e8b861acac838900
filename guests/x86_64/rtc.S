/* rtc.S: prints date and time from the real-time clock, an MC146818. */
	.code64
	mov	$stack_top, %esp
1:	mov	$0x0a, %al		/* register A */
	out	%al, $0x70
	in	$0x71, %al
	test	$0x80, %al		/* update in progress? */
	jnz	1b

	mov	$fields, %edi
next:
	mov	(%rdi), %al		/* which register; BCD, as set at power-on */
	out	%al, $0x70
	in	$0x71, %al
	mov	%eax, %ebx
	shl	$24, %ebx
	mov	$2, %ecx
	call	puthex
	mov	1(%rdi), %al
	call	putc
	add	$2, %edi
	cmp	$fields_end, %edi
	jb	next
	hlt

fields:					/* register, and what to print behind it */
	.byte	0x09, '-', 0x08, '-', 0x07, ' ', 0x04, ':', 0x02, ':', 0x00, '\n'
fields_end:

	.include "com1.inc"
