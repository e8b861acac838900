/* vibe-console.S: talks on Vibe-VMM's MMIO console at 0x9000000: greets, echoes a line, halts. */
	.set	CONSOLE, 0x9000000	/* 16550-like, a byte apart: +0 data, +5 line status */

	.code64
	mov	$stack_top, %esp
	mov	$CONSOLE, %ebx
	mov	$prompt, %esi
1:	lodsb
	call	putc
	cmp	$prompt_end, %esi
	jb	1b

echo:
	testb	$0x01, 5(%rbx)		/* data ready? */
	jz	echo
	mov	(%rbx), %al
	cmp	$'\r', %al		/* a terminal's Enter */
	jne	1f
	mov	$'\n', %al
1:	call	putc
	cmp	$'\n', %al
	jne	echo
	hlt

/* Prints AL. */
putc:
	testb	$0x20, 5(%rbx)		/* transmitter empty? */
	jz	putc
	mov	%al, (%rbx)
	ret

prompt:
	.ascii	"Vibe console. Type a line: "
prompt_end:

	.balign	8
	.space	64
stack_top:
