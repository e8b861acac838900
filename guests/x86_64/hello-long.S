/* hello-long.S: prints a line in 64-bit long mode, low memory identity-mapped. */
	.include "hello.inc"

	.code64
	hello	long

	.include "com1.inc"
