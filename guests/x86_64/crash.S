/* crash.S: no handler for an exception, none for the double fault: a triple fault. */
	.code64
	lidt	empty
	ud2
empty:
	.word	0
	.quad	0
