/* firmware.S: 8 KiB of ROM that end at 4 GiB. Starts at the reset vector in real mode, prints from
 * there, jumps far to the copy below 1 MiB, which it finds equal and writable, and exits. */
	.set	SIZE, 0x2000
	.set	COPY_SEGMENT, (0x100000 - SIZE) >> 4

	.code16
begin:

/* Prints the string at CS:SI up to its NUL, then goes on at BP: there is no stack yet. */
print:
	cs lodsb
	test	%al, %al
	jz	2f
	mov	%al, %ah
	mov	$0x3f8 + 5, %dx		/* COM1: LSR */
1:	in	(%dx), %al
	test	$0x20, %al		/* transmitter empty? */
	jz	1b
	mov	$0x3f8, %dx
	mov	%ah, %al
	out	%al, (%dx)
	jmp	print
2:	jmp	*%bp

/* CS is still at the top of 4 GiB, offset 0xe000 of its 64 KiB. */
start:
	mov	$from_rom + 0x10000 - SIZE, %si
	mov	$1f + 0x10000 - SIZE, %bp
	jmp	print
1:	ljmp	$COPY_SEGMENT, $in_copy

in_copy:
	mov	$from_copy, %si
	mov	$1f, %bp
	jmp	print
1:	mov	%cs, %ax
	mov	%ax, %ds
	movb	$'w', writable
	mov	$writable, %si
	mov	$1f, %bp
	jmp	print
1:	mov	$7, %al
	out	%al, $0xf4		/* debug-exit */
	hlt

from_rom:
	.asciz	"reset vector\n"
from_copy:
	.asciz	"copy below 1 MiB\n"
writable:
	.asciz	"-ritable\n"

	.org	SIZE - 16
	jmp	start
	.org	SIZE
