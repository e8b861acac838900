/* board.S: stands in for firmware: says on a PL011 whether it runs at 0, and whether a device tree is
 * at the start of RAM and x0 tells so. Powers off. */
	.include "hello.inc"
	.set	UART, 0x9000000
	.set	RAM, 0x40000000

start:	ldr	x5, =UART
	mov	x6, x0
	adr	x3, start
	adr	x0, rom
	cbz	x3, 1f
	adr	x0, ram
1:	bl	print
	adr	x0, bad
	ldr	x3, =RAM
	cmp	x3, x6
	b.ne	2f
	ldr	w3, [x3]		/* Devicetree Specification, 5.2: big-endian 0xd00dfeed */
	ldr	w4, =0xedfe0dd0
	cmp	w3, w4
	b.ne	2f
	adr	x0, good
2:	bl	print
	psci	PSCI_SYSTEM_OFF
	b	.

print:	ldrb	w2, [x0], #1
	cbz	w2, 3f
	str	w2, [x5]
	b	print
3:	ret

rom:	.asciz	"Started at 0.\n"
ram:	.asciz	"Started in RAM.\n"
good:	.asciz	"RAM begins with a device tree.\n"
bad:	.asciz	"There is no device tree where RAM begins.\n"
	.balign	4
	.ltorg
