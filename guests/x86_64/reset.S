/* reset.S: resets the machine by the reset line of the keyboard controller. */
	.code64
1:	in	$0x64, %al		/* wait until its input buffer is empty */
	test	$0x02, %al
	jnz	1b
	mov	$0xfe, %al		/* pulse output bit 0: reset */
	out	%al, $0x64
2:	hlt
	jmp	2b
