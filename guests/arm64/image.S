/* image.S: the least that is a Linux kernel for arm64: Documentation/arch/arm64/booting.rst of Linux,
 * 4. Says on a PL011 whether x0 has a device tree, and powers off. */
	.include "hello.inc"
	.set	UART, 0x9000000

start:	b	1f
	.word	0
	.quad	0			/* text_offset */
	.quad	0x10000			/* image_size */
	.quad	0xa			/* little-endian, pages of 4 KiB, anywhere */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

1:	ldr	w3, [x0]		/* Devicetree Specification, 5.2: big-endian 0xd00dfeed */
	ldr	w4, =0xedfe0dd0
	adr	x0, good
	cmp	w3, w4
	b.eq	2f
	adr	x0, bad
2:	ldr	x1, =UART
3:	ldrb	w2, [x0], #1
	cbz	w2, 4f
	str	w2, [x1]
	b	3b
4:	psci	PSCI_SYSTEM_OFF
	b	.

good:	.asciz	"Here is a device tree.\n"
bad:	.asciz	"There is no device tree.\n"
	.balign	4
	.ltorg
