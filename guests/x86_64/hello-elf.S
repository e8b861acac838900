/* hello-elf.S: a 64-bit ELF guest of three segments: code, data and a .bss that must be zero. */
	.code64
	.text
	.globl	_start
_start:
	mov	$stack_top, %esp
	mov	$message, %esi
	call	puts

	mov	$bss, %edi		/* all of .bss zero? */
	mov	$(bss_end - bss) / 8, %ecx
	xor	%eax, %eax
	repe	scasq
	mov	$bss_dirty, %esi
	jne	1f
	movq	$1, bss			/* and writable */
	mov	$bss_zero, %esi
1:	call	puts
	hlt

	.include "com1.inc"

	.data
message:
	.asciz	"Hello from a 64-bit ELF file\n"
bss_zero:
	.asciz	".bss is zero\n"
bss_dirty:
	.asciz	".bss is not zero\n"

	.bss
	.balign	8
bss:	.space	4096
bss_end:
