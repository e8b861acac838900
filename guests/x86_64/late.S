/* late.S: prints a line, and another one when the real-time clock has ticked twice: after more than
 * one second, and less than two. */
	.code64
	mov	$stack_top, %esp
	mov	$soon, %esi
	call	puts
	mov	$2, %ebp
	call	second
	mov	%al, %bl
1:	call	second
	cmp	%al, %bl
	je	1b
	mov	%al, %bl
	dec	%ebp
	jnz	1b
	mov	$late, %esi
	call	puts
	hlt

/* The clock's second in AL, when it isn't changing. */
second:
	mov	$0x0a, %al		/* register A */
	out	%al, $0x70
	in	$0x71, %al
	test	$0x80, %al		/* update in progress? */
	jnz	second
	mov	$0x00, %al
	out	%al, $0x70
	in	$0x71, %al
	ret

soon:
	.asciz	"soon\n"
late:
	.asciz	"late\n"

	.include "com1.inc"
