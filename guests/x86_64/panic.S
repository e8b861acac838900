/* panic.S: asks pvpanic which events it knows, and reports a panic. */
	.set	PVPANIC, 0x505
	.set	PANICKED, 0x01

	.code16
	mov	$PVPANIC, %dx
	in	(%dx), %al
	test	$PANICKED, %al
	jz	1f
	mov	$PANICKED, %al
	out	%al, (%dx)
1:	hlt
