/* hello-elf32.S: a 32-bit ELF guest, entered in protected mode; its .bss follows its data. */
	.code32
	.text
	.globl	_start
_start:
	mov	$stack_top, %esp
	mov	$message, %esi
	call	puts
	mov	counter, %ebx		/* in .bss, so 0 */
	incl	counter
	add	counter, %ebx
	mov	$1, %ecx
	shl	$28, %ebx
	call	puthex
	mov	$'\n', %al
	call	putc
	hlt

	.include "com1.inc"

	.data
message:
	.asciz	"Hello from a 32-bit ELF file: 0 + 1 = "

	.bss
counter:
	.space	4
