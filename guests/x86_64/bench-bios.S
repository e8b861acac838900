/* bench-bios.S: bench-hello as a ROM of 64 KiB, entered at the reset vector: what QEMU, which loads
 * no flat binaries, gets to run in tests/bench. */
	.set	COM1, 0x3f8
	.set	DEBUG_EXIT, 0xf4

	.code16
rom:
	cld
	mov	$message - rom, %si
	mov	$COM1, %dx
1:	lodsb	%cs:(%si), %al
	test	%al, %al
	jz	3f
	mov	%al, %ah
	mov	$COM1 + 5, %dx
2:	in	(%dx), %al
	test	$0x20, %al		/* transmitter empty? */
	jz	2b
	mov	$COM1, %dx
	mov	%ah, %al
	out	%al, (%dx)
	jmp	1b
3:	xor	%al, %al
	out	%al, $DEBUG_EXIT
4:	hlt
	jmp	4b

message:
	.asciz	"Hello from the bench\n"

	.org	0xfff0			/* CS base 0xffff0000, IP 0xfff0 */
	jmp	rom
	.org	0xffff
	.byte	0
