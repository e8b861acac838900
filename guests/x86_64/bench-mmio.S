/* bench-mmio.S: LOOPS writes to the debug console's scratch register, then the end. For
 * tests/bench, which reads the number here. */
	.set	LOOPS, 100000
	.set	SCRATCH, 0x9000000 + 7
	.set	DEBUG_EXIT, 0xf4

	.code64
	mov	$LOOPS, %ecx
	mov	$SCRATCH, %ebx
1:	mov	%al, (%rbx)
	dec	%ecx
	jnz	1b
	xor	%al, %al
	out	%al, $DEBUG_EXIT
2:	hlt
	jmp	2b
