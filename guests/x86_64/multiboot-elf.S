/* multiboot-elf.S: a Multiboot kernel in a 32-bit ELF file. */
	.include "multiboot.inc"

	.text
	header	(PAGE_ALIGN | MEMORY_INFO)
	.globl	_start
_start:
	tell	ELF
