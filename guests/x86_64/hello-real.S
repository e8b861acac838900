/* hello-real.S: prints a line in 16-bit real mode. */
	.include "hello.inc"

	.code16
	xor	%ax, %ax		/* linked at its physical address: all segments at 0 */
	mov	%ax, %ds
	mov	%ax, %ss
	hello	real

	.include "com1.inc"
