/* vibe-console-arm64.S: talks on Vibe-VMM's MMIO console at 0x9000000: greets, echoes a line, powers
 * off. */
	.include "hello.inc"

	puts	prompt
echo:	ldrb	w2, [x1, #5]
	tbz	w2, #0, echo		/* data ready? */
	ldrb	w2, [x1]
	cmp	w2, #'\r'		/* a terminal's Enter */
	b.ne	1f
	mov	w2, #'\n'
1:	strb	w2, [x1]
	cmp	w2, #'\n'
	b.ne	echo
	psci	PSCI_SYSTEM_OFF
	b	.

prompt:
	.asciz	"Vibe console. Type a line: "
	.balign	4
	.ltorg
