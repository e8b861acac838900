/* hello-protected.S: prints a line in 32-bit protected mode, without paging. */
	.include "hello.inc"

	.code32
	hello	protected

	.include "com1.inc"
