/* micro.S: the sample guest of Micro VMM's machine. Reads keys until Enter, prints the line, prints
 * it again every 127 ms, and halts at the next Enter. No interrupts, no stack. */
	.set	CONSOLE, 0x42		/* out: a character */
	.set	KEY, 0x44		/* in: the key */
	.set	KEY_STATUS, 0x45	/* in: 1 = a key waits; out 0: taken */
	.set	TIMER_MS, 0x46		/* out: interval */
	.set	TIMER, 0x47		/* bit 0 enabled, bit 1 fired; written as 0: acknowledged */
	.set	LINE_MAX, 1024

	/* Reads a key into AL if one waits, else jumps to \none. */
	.macro	key none
	in	$KEY_STATUS, %al
	test	$1, %al
	jz	\none
	in	$KEY, %al
	mov	%al, %ah
	mov	$0, %al
	out	%al, $KEY_STATUS
	mov	%ah, %al
	.endm

	/* Jumps to \yes if AL is Enter: from a pipe or from a raw terminal. */
	.macro	if_enter yes
	cmp	$'\n', %al
	je	\yes
	cmp	$'\r', %al
	je	\yes
	.endm

	.code16
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	$line, %di
read:
	key	read
	if_enter start
	cmp	$line + LINE_MAX, %di	/* the rest of a long line is lost */
	jae	read
	stosb
	jmp	read

start:
	movb	$'\n', (%di)
	mov	$127, %al
	out	%al, $TIMER_MS
	mov	$1, %al
	out	%al, $TIMER
print:
	mov	$line, %si
1:	lodsb
	out	%al, $CONSOLE
	cmp	%di, %si
	jbe	1b

wait:
	in	$TIMER, %al
	cmp	$3, %al
	jne	1f
	mov	$1, %al
	out	%al, $TIMER
	jmp	print
1:	key	wait
	if_enter end
	jmp	wait
end:
	hlt

line:					/* grows into the RAM behind the image */
