/* hello-elf-arm64.S: an arm64 ELF guest of three segments: code, data and a .bss that must be zero. */
	.include "hello.inc"

	.globl	_start
_start:
	puts	message
	ldr	x3, =bss		/* all of .bss zero? */
	ldr	x4, =bss_end
1:	ldr	x5, [x3], #8
	cbnz	x5, 2f
	cmp	x3, x4
	b.lo	1b
	ldr	x3, =bss		/* and writable */
	str	x4, [x3]
	ldr	x5, [x3]
	cmp	x5, x4
	b.ne	2f
	puts	bss_zero
	psci	PSCI_SYSTEM_OFF
2:	puts	bss_dirty
	psci	PSCI_SYSTEM_OFF
	b	.
	.ltorg
bss_zero:
	.asciz	".bss is zero\n"
bss_dirty:
	.asciz	".bss is not zero\n"
	.balign	4

	.data
message:
	.asciz	"Hello from an arm64 ELF file\n"

	.bss
	.balign	8
bss:	.space	4096
bss_end:
