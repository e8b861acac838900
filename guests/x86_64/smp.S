/* smp.S: the boot processor starts the others one by one, by INIT-SIPI-SIPI through its local APIC
 * (Intel SDM Vol. 3, 9.4.4). Each prints its number from long mode; the last one ends the VM. */
	.set	LAPIC, 0xfee00000	/* +0x20 ID, +0x300 and +0x310 interrupt command */
	.set	INIT, 0x4500		/* level assert */
	.set	SIPI, 0x4600		/* plus the page of the first instruction */

	.code64
	mov	$stack_top, %esp
	mov	%cr3, %rax		/* the others share these page tables */
	mov	%eax, tables
	mov	$1, %eax		/* CPUID.1: EBX[23:16] is the number of vCPUs */
	cpuid
	shr	$16, %ebx
	movzbl	%bl, %ebp
	mov	$LAPIC, %edi
	call	report

	mov	$1, %ebx		/* number of the next vCPU, its APIC ID too */
next:
	cmp	%ebp, %ebx
	jae	end
	mov	$INIT, %eax
	call	command
	mov	$trampoline, %eax
	shr	$12, %eax
	or	$SIPI, %eax
	call	command
	call	command			/* real CPUs may miss the first */
1:	pause				/* one at a time: they share a stack */
	cmp	%ebx, reported
	jne	1b
	inc	%ebx
	jmp	next
end:
	xor	%al, %al
	out	%al, $DEBUG_EXIT
2:	hlt
	jmp	2b

/* Sends interrupt command EAX to vCPU EBX. Changes EDX. */
command:
	mov	%ebx, %edx
	shl	$24, %edx
	mov	%edx, 0x310(%rdi)
	mov	%eax, 0x300(%rdi)
1:	testl	$0x1000, 0x300(%rdi)	/* still being sent? */
	jnz	1b
	ret

/* Prints "vCPU N", with the number in the local APIC at RDI. Changes EAX, ECX, EDX, ESI. */
report:
	mov	$label, %esi
	call	puts
	mov	0x20(%rdi), %eax
	shr	$24, %eax
	xor	%edx, %edx
	mov	$10, %ecx
	div	%ecx
	test	%eax, %eax
	jz	1f
	mov	%edx, %ecx
	add	$'0', %al
	call	putc
	mov	%ecx, %edx
1:	mov	%edx, %eax
	add	$'0', %al
	call	putc
	mov	$'\n', %al
	jmp	putc

label:
	.asciz	"vCPU "
	.balign	4
tables:
	.long	0
reported:				/* the last vCPU that has printed */
	.long	0

	.balign	8
gdt:					/* null, 32-bit code, data, 64-bit code; base 0, limit 4 GiB */
	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdtr:
	.word	. - gdt - 1
	.long	gdt

/* Where the others start: real mode, CS = page << 8, IP = 0. From there straight to long mode. */
	.balign	4096
	.code16
trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	gdtr
	mov	%cr0, %eax
	or	$1, %al			/* protected mode */
	mov	%eax, %cr0
	ljmpl	$0x08, $1f

	.code32
1:	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%cr4, %eax
	or	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	tables, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER */
	rdmsr
	or	$0x100, %eax		/* long mode enable */
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax	/* paging */
	mov	%eax, %cr0
	ljmpl	$0x18, $1f

	.code64
1:	mov	$stack_low, %esp
	mov	$LAPIC, %edi
	call	report
	mov	0x20(%rdi), %eax
	shr	$24, %eax
	mov	%eax, reported
2:	cli
	hlt
	jmp	2b

	.balign	16
	.space	256
stack_low:

	.include "com1.inc"
