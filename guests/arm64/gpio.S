/* gpio.S: powers off when the power button, line 3 of a PL061, is pressed. */
	.include "hello.inc"
	.set	BUTTON, 0x9030000 + (1 << 3 << 2)	/* DDI 0190, 3.3.1: line 3 alone */

	puts	ready
	ldr	x3, =BUTTON
1:	ldr	w4, [x3]
	cbz	w4, 1b
	puts	off
	psci	PSCI_SYSTEM_OFF
	b	.

ready:	.asciz	"Press the power button.\n"
off:	.asciz	"Off.\n"
	.balign	4
	.ltorg
