/* flood.S: prints 1024 numbered lines of 64 bytes, 16 bytes at a time into the UART's FIFO. */
	.code64
	mov	$stack_top, %esp
	mov	$COM1 + 2, %dx
	mov	$0x01, %al		/* FIFOs on */
	out	%al, (%dx)
	xor	%ebp, %ebp		/* line number */
line:
	mov	%ebp, %ebx
	mov	$text, %edi
1:	rol	$4, %ebx		/* its eight hex digits */
	mov	%bl, %al
	and	$15, %al
	add	$'0', %al
	cmp	$'9', %al
	jbe	2f
	add	$'a' - '9' - 1, %al
2:	stosb
	cmp	$text + 8, %edi
	jb	1b

	mov	$text, %esi
3:	mov	$COM1 + 5, %dx
	in	(%dx), %al
	test	$0x20, %al		/* FIFO empty? Then it takes 16 */
	jz	3b
	mov	$COM1, %dx
	mov	$16, %ecx
	rep	outsb
	cmp	$text + 64, %esi
	jb	3b

	inc	%ebp
	cmp	$1024, %ebp
	jb	line
	hlt

text:
	.ascii	"00000000"
	.fill	55, 1, '.'
	.ascii	"\n"

	.include "com1.inc"
