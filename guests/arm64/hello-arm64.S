/* hello-arm64.S: prints a line on the debug console and powers off. */
	.include "hello.inc"

	puts	text
	psci	PSCI_SYSTEM_OFF
	b	.

text:
	.asciz	"Hello from EL1\n"
	.balign	4
	.ltorg
