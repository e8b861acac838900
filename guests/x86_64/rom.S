/* rom.S: its image is in RAM at 0x1000 and in ROM at ROM. Compares them, writes to the ROM, and
 * compares again. */
	.set	ROM, 0xf0000

	.code64
	mov	$stack_top, %esp
	mov	$before, %esi
	call	compare
	movq	$0, ROM
	movb	$0, ROM + 9
	mov	$after, %esi
	call	compare
	hlt

/* Prints the string at ESI and whether the first bytes in ROM and RAM are equal. */
compare:
	call	puts
	mov	$0x1000, %esi
	mov	$ROM, %edi
	mov	$64, %ecx
	repe	cmpsb
	mov	$equal, %esi
	je	puts
	mov	$differs, %esi
	jmp	puts

before:
	.asciz	"before the write: "
after:
	.asciz	"after the write: "
equal:
	.asciz	"equal\n"
differs:
	.asciz	"different\n"

	.include "com1.inc"
