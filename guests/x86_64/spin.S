/* spin.S: never ends by itself. */
	.code64
	mov	$stack_top, %esp
	mov	$message, %esi
	call	puts
1:	pause
	jmp	1b

message:
	.asciz	"Spinning.\n"

	.include "com1.inc"
