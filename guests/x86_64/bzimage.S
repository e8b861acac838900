/* bzimage.S: what a Linux kernel's file looks like to a boot loader, and nothing behind it: prints
 * what it was told in boot_params, then powers off by way of the ACPI tables. "boot.rst" is Linux's
 * Documentation/arch/x86/boot.rst; offsets in boot_params are those of zero-page.rst next to it.
 * Linked at 0, it runs at any address.
 */
	.code64
	.org	0x1f1
	.byte	1			/* setup_sects: 512 bytes after the first 512 */
	.word	0
	.long	(end - start) / 16	/* syssize */
	.org	0x1fe
	.word	0xaa55			/* boot_flag */
	.byte	0xeb, header_end - 0x202
	.ascii	"HdrS"
	.word	0x20f			/* version */
	.org	0x211
	.byte	1			/* loadflags: LOADED_HIGH */
	.org	0x22c
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x200000		/* kernel_alignment */
	.byte	1, 21			/* relocatable_kernel, min_alignment */
	.word	3			/* xloadflags: 64-bit entry, and all may lie above 4G */
	.long	255			/* cmdline_size */
	.org	0x258
	.quad	0x1000000		/* pref_address */
	.long	end - start		/* init_size */
header_end:
	.org	0x400
start:
	.org	0x400 + 0x200		/* boot.rst, "64-bit Boot Protocol": the entry */
	lea	stack_top(%rip), %rsp
	mov	%rsi, %rbp		/* boot_params */
	mov	%cs, %eax
	cmp	$0x10, %ax		/* __BOOT_CS */
	jne	fail
	mov	%ss, %eax
	cmp	$0x18, %ax		/* __BOOT_DS */
	jne	fail
	lea	hello(%rip), %rsi
	call	puts

	mov	0x228(%rbp), %esi	/* cmd_line_ptr, which may be 0 */
	test	%esi, %esi
	jz	1f
	call	puts
1:	lea	newline(%rip), %rsi
	call	puts

	mov	0x21c(%rbp), %r12d	/* ramdisk_size */
	test	%r12d, %r12d
	jz	1f
	lea	initrd(%rip), %rsi
	mov	%r12, %r13
	call	number
	mov	0x218(%rbp), %esi	/* ramdisk_image */
	xor	%r13d, %r13d
2:	xor	%eax, %eax
	lodsb				/* the sum of its bytes */
	add	%rax, %r13
	dec	%r12
	jnz	2b
	lea	sum(%rip), %rsi
	call	number
	lea	newline(%rip), %rsi
	call	puts

1:	movzbl	0x1e8(%rbp), %r12d	/* e820_entries, and the table: address, size, type */
	lea	0x2d0(%rbp), %r14
1:	mov	(%r14), %r13
	lea	memory(%rip), %rsi
	call	number
	mov	8(%r14), %r13
	lea	plus(%rip), %rsi
	call	number
	lea	ram(%rip), %rsi
	cmpl	$1, 16(%r14)
	je	2f
	lea	reserved(%rip), %rsi
2:	call	puts
	add	$20, %r14
	dec	%r12
	jnz	1b

	/* ACPI 6.4: RSDP (5.2.5), XSDT (5.2.8), and in the FADT (5.2.9) the register that powers
	 * off (4.8.3.7): S5 is sleep type 5. */
	mov	0x70(%rbp), %rbx	/* acpi_rsdp_addr */
	test	%rbx, %rbx
	jz	fail
	mov	24(%rbx), %rbx
	mov	4(%rbx), %ecx
	sub	$36, %ecx
	shr	$3, %ecx
	add	$36, %rbx
1:	mov	(%rbx), %rsi
	cmpl	$0x50434146, (%rsi)	/* "FACP" */
	je	2f
	add	$8, %rbx
	dec	%ecx
	jnz	1b
	jmp	fail
2:	mov	248(%rsi), %edx		/* SLEEP_CONTROL_REG's address */
	mov	$5 << 2 | 0x20, %al
	out	%al, (%dx)
fail:	lea	failed(%rip), %rsi
	call	puts
	ud2				/* there is no IDT: this ends the VM */

/* Prints the text at RSI and R13 in hex. Changes AX, RBX, RCX, DX, RSI. */
number:
	call	puts
	mov	%r13, %rbx
	shr	$32, %rbx
	mov	$8, %ecx
	call	puthex
	mov	%r13d, %ebx
	mov	$8, %ecx
	jmp	puthex

	.include "com1.inc"

hello:
	.asciz	"Hello from a bzImage\ncommand line: "
initrd:
	.asciz	"initrd: size "
sum:
	.asciz	", sum "
memory:
	.asciz	"memory "
plus:
	.asciz	" + "
ram:
	.asciz	" ram\n"
reserved:
	.asciz	" reserved\n"
failed:
	.asciz	"something is wrong\n"
newline:
	.asciz	"\n"
	.balign	512
end:
