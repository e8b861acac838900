/* pair-arm64.S: stores a pair of registers to a device: no processor tells which. */
	.include "hello.inc"

	ldr	x1, =CONSOLE
	stp	x0, x0, [x1]
	b	.
	.ltorg
