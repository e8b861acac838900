/* bench-pio.S: LOOPS exits to COM1's scratch register, then the end. For tests/bench, which reads
 * the number here. */
	.set	LOOPS, 100000
	.set	SCRATCH, 0x3f8 + 7
	.set	DEBUG_EXIT, 0xf4

	.code64
	mov	$LOOPS, %ecx
	mov	$SCRATCH, %dx
1:	out	%al, (%dx)
	dec	%ecx
	jnz	1b
	xor	%al, %al
	out	%al, $DEBUG_EXIT
2:	hlt
	jmp	2b
