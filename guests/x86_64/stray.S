/* stray.S: reads and writes where nothing is, and prints what it read: all ones. */
	.set	NOWHERE_PORT, 0x5000
	.set	NOWHERE, 0xd0000000

	.code64
	mov	$stack_top, %esp

	mov	$NOWHERE_PORT, %dx
	xor	%eax, %eax
	out	%al, (%dx)
	out	%ax, (%dx)
	out	%eax, (%dx)
	in	(%dx), %al
	mov	%eax, port8
	in	(%dx), %ax
	mov	%eax, port16
	in	(%dx), %eax
	mov	%eax, port32

	mov	$NOWHERE, %edi
	movb	$0, (%rdi)
	movq	$0, (%rdi)
	movb	(%rdi), %al
	movzbl	%al, %eax
	mov	%eax, mem8
	mov	(%rdi), %rax
	mov	%rax, mem64

	mov	$results, %edi
next:
	mov	(%rdi), %ebx
	mov	$8, %ecx
	call	puthex
	mov	$'\n', %al
	call	putc
	add	$4, %edi
	cmp	$results_end, %edi
	jb	next
	hlt

results:
port8:	.long	0
port16:	.long	0
port32:	.long	0
mem8:	.long	0
mem64:	.quad	0
results_end:

	.include "com1.inc"
