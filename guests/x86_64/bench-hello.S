/* bench-hello.S: prints a line and ends the VM by debug-exit; where there is none, it halts for
 * good (with an interrupt controller that is inside of the kernel). For tests/bench. */
	.code64
	mov	$stack_top, %esp
	mov	$message, %esi
	call	puts
	xor	%al, %al
	out	%al, $DEBUG_EXIT
1:	hlt
	jmp	1b

message:
	.asciz	"Hello from the bench\n"

	.include "com1.inc"
