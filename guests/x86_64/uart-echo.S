/* uart-echo.S: echoes what COM1 receives, polling; Ctrl-D ends it with status 0. */
	.code64
	mov	$stack_top, %esp
	mov	$prompt, %esi
	call	puts
next:
	call	getc
	cmp	$4, %al			/* Ctrl-D */
	je	end
	cmp	$'\r', %al		/* a terminal's Enter */
	jne	1f
	mov	$'\n', %al
1:	call	putc
	jmp	next
end:
	xor	%al, %al
	out	%al, $DEBUG_EXIT
	hlt

prompt:
	.asciz	"Type; Ctrl-D ends.\n"

	.include "com1.inc"
