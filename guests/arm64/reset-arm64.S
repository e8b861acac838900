/* reset-arm64.S: asks for a reset by PSCI. */
	.include "hello.inc"

	psci	PSCI_SYSTEM_RESET
	b	.
	.ltorg
