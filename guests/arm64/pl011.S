/* pl011.S: asks for a line on a PL011, polled, repeats it and powers off. */
	.include "hello.inc"
	.set	UART, 0x9000000		/* DDI 0183, 3.2: +0 DR, +0x18 FR (4: nothing received) */

	adr	x0, prompt
	ldr	x1, =UART
1:	ldrb	w2, [x0], #1
	cbz	w2, 2f
	str	w2, [x1]
	b	1b
2:	adr	x0, line
3:	ldr	w2, [x1, #0x18]
	tbnz	w2, #4, 3b
	ldr	w2, [x1]
	cmp	w2, #'\r'		/* a terminal's Enter */
	b.ne	4f
	mov	w2, #'\n'
4:	strb	w2, [x0], #1
	cmp	w2, #'\n'
	b.ne	3b
	strb	wzr, [x0]
	adr	x0, line
5:	ldrb	w2, [x0], #1
	cbz	w2, 6f
	str	w2, [x1]
	b	5b
6:	psci	PSCI_SYSTEM_OFF
	b	.

prompt:	.asciz	"Type a line: "
	.balign	4
	.ltorg
line:
