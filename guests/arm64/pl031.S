/* pl031.S: sets a PL031's alarm for the next second, waits until it is raised, says so and powers
 * off; or complains if the clock went on by more than that. */
	.include "hello.inc"
	.set	RTC, 0x9010000		/* DDI 0224, 3.2: +0 DR, +4 MR, +0x14 RIS, +0x1c ICR */

	ldr	x3, =RTC
	ldr	w4, [x3]
	add	w4, w4, #1
	str	w4, [x3, #4]
1:	ldr	w5, [x3, #0x14]
	cbz	w5, 1b
	ldr	w5, [x3]
	sub	w5, w5, w4
	cmp	w5, #1
	b.hi	2f
	puts	tick
	psci	PSCI_SYSTEM_OFF
	b	.
2:	puts	late
	psci	PSCI_SYSTEM_OFF
	b	.

tick:	.asciz	"The clock ticks.\n"
late:	.asciz	"The clock was late.\n"
	.balign	4
	.ltorg
