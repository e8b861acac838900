/* virtio-hostile.S: breaks every rule that a driver of virtio devices can, over MMIO and over PCI.
 * The device that is broken must say so, and serve again after a reset; another must not notice.
 * Devices of other kinds are attacked on all queues, and must say so of a loop, at the latest.
 * Ends with status 0, or the number of the step that failed. */
	.set	VICTIM, 0xc0000000	/* entropy devices, by `at:` of the config */
	.set	WITNESS, 0xc0001000
	.set	OTHERS, 0xc0002000	/* devices of other kinds, a page each */
	.set	N_OTHERS, 4
	.set	SLOT_VICTIM, 3		/* entropy devices on the PCI bus, by `slot:` */
	.set	SLOT_WITNESS, 4
	.set	SLOT_OTHERS, 5		/* devices of other kinds, a slot each */
	.set	ECAM, 0xe0000000
	.set	RAM_END, 0x200000
	.set	QUEUE, 4
	.set	LEN, 32

	.set	NEEDS_RESET, 0x40	/* VIRTIO 1.2, 2.1 */
	.set	INDIRECT_DESC, 1 << 28	/* 6 */
	.set	EVENT_IDX, 1 << 29
	.set	NEXT, 1			/* 2.7.5 */
	.set	WRITE, 2
	.set	INDIRECT, 4

	/* What differs between transports, at R14. RBX: the registers. */
	.set	GET_STATUS, 0
	.set	SET_STATUS, 8		/* AL */
	.set	FEATURES, 16		/* EAX: bits 31 to 0, EDX: 63 to 32 */
	.set	SET_QUEUE, 24		/* queue R12: EAX its size; RSI, RDI, RDX its parts */
	.set	KICK, 32		/* EAX */

	.macro	step number
	mov	$\number, %r13b
	.endm

	.code64
	mov	$stack_top, %esp
	xor	%r12d, %r12d

	mov	$mmio, %r14d
	mov	$VICTIM, %ebx
	step	1
	call	assault
	mov	$on_mmio, %esi
	call	puts

	step	20
	mov	$0, %ebp
1:	mov	%ebp, %ebx
	shl	$12, %ebx
	add	$OTHERS, %ebx
	call	molest
	inc	%ebp
	cmp	$N_OTHERS, %ebp
	jb	1b
	mov	$on_others_mmio, %esi
	call	puts

	step	30
	mov	$SLOT_VICTIM << 11 | 0x10, %ecx
	call	pci_read
	and	$~15, %eax
	mov	%eax, victim
	mov	$SLOT_WITNESS << 11 | 0x10, %ecx
	call	pci_read
	and	$~15, %eax
	mov	%eax, witness
	mov	$SLOT_VICTIM << 11 | BELL_BAR, %ecx
	call	pci_read
	and	$~3, %eax
	mov	%eax, victim_bell
	mov	$SLOT_WITNESS << 11 | BELL_BAR, %ecx
	call	pci_read
	and	$~3, %eax
	mov	%eax, witness_bell
	mov	$pci, %r14d
	mov	victim, %ebx
	step	31
	call	assault
	mov	$on_pci, %esi
	call	puts

	step	50
	mov	$SLOT_OTHERS, %ebp
1:	mov	%ebp, %ecx
	shl	$11, %ecx
	or	$0x10, %ecx
	call	pci_read
	and	$~15, %eax
	mov	%eax, %ebx
	call	molest
	add	$DEVICE_CONFIG, %ebx
	call	storm
	inc	%ebp
	cmp	$SLOT_OTHERS + N_OTHERS, %ebp
	jb	1b
	mov	$on_others_pci, %esi
	call	puts

	step	60
	call	messages
	mov	$on_messages, %esi
	call	puts
	step	61
	call	configuration
	step	62
	mov	victim, %ebx
	call	good
	mov	$on_configuration, %esi
	call	puts
	step	50
	call	bar_on_ports

	step	63
	mov	witness, %ebx
	call	good
	mov	$mmio, %r14d
	mov	$WITNESS, %ebx
	step	64
	call	good
	mov	$well, %esi
	call	puts
	xor	%r13d, %r13d
fail:
	mov	%r13b, %al
	out	%al, $DEBUG_EXIT
	hlt

/* ---- A device that must say that it is broken ------------------------------------------------- */

assault:
	call	good
	inc	%r13b

	/* Features that were not offered are not agreed on. */
	call	reset
	mov	$3, %al
	call	*SET_STATUS(%r14)
	mov	$-1, %eax
	mov	$-1, %edx
	call	*FEATURES(%r14)
	mov	$0xb, %al
	call	*SET_STATUS(%r14)
	call	*GET_STATUS(%r14)
	cmp	$3, %al
	jne	fail
	mov	$0xf, %al		/* nor is a start without any */
	call	*SET_STATUS(%r14)
	call	broken
	inc	%r13b

	/* Rings that can't be. */
	mov	$rings, %ebp
1:	call	begin
	mov	(%rbp), %eax
	mov	8(%rbp), %rsi
	mov	16(%rbp), %rdi
	mov	24(%rbp), %rdx
	call	*SET_QUEUE(%r14)
	call	go
	call	broken
	add	$RING_ROW, %ebp
	cmp	$rings_end, %ebp
	jb	1b
	inc	%r13b

	/* Requests that can't be. */
	mov	$chains, %ebp
1:	call	offer
	call	broken
	add	$CHAIN_ROW, %ebp
	cmp	$chains_end, %ebp
	jb	1b
	inc	%r13b

	/* A reset in the middle of it. When it is over nothing is written any more. */
	mov	$100, %ebp
1:	call	begin
	call	good_ring
	call	go
	xor	%eax, %eax
	call	*KICK(%r14)
	call	reset
	mov	used_idx, %ax
	mov	$1000, %ecx
2:	cmp	used_idx, %ax
	jne	fail
	dec	%ecx
	jnz	2b
	dec	%ebp
	jnz	1b
	inc	%r13b

	/* Kicks of queues that are not there, or not on, or of no device that runs. */
	call	kick_all
	call	begin
	call	good_ring
	call	go
	call	kick_all
	inc	%r13b

	/* A queue that changes while the device runs; and again after it was broken by that. */
	call	good_ring
	call	good_ring
	call	reset
	inc	%r13b
	call	storm
	inc	%r13b
	jmp	good

kick_all:
	xor	%ebp, %ebp
1:	mov	%ebp, %eax
	call	*KICK(%r14)
	add	$7, %ebp
	cmp	$0x400, %ebp
	jb	1b
	ret

/* ---- One that may do with it what it likes, but for harming us; a loop it must have seen --------- */

molest:
	push	%rbp
	xor	%r12d, %r12d
1:	mov	$chains, %ebp
2:	call	offer
	mov	%r12d, %eax
	call	*KICK(%r14)
	mov	$30, %ecx		/* time for it to look */
3:	call	*GET_STATUS(%r14)
	test	$NEEDS_RESET, %al
	jnz	4f
	dec	%ecx
	jnz	3b
4:	add	$CHAIN_ROW, %ebp
	cmp	$chains_end, %ebp
	jb	2b
	inc	%r12d
	cmp	$4, %r12d
	jb	1b
	mov	$1, %r12d		/* which all of them look at */
	mov	$chains, %ebp
	call	offer
	call	broken
	xor	%r12d, %r12d
	call	storm
	xor	%eax, %eax
	call	*SET_STATUS(%r14)
	pop	%rbp
	ret

/* ---- Steps of a driver: VIRTIO 3.1.1 ------------------------------------------------------------- */

reset:
	xor	%eax, %eax
	call	*SET_STATUS(%r14)
	call	*GET_STATUS(%r14)
	test	%al, %al
	jnz	fail
	ret

/* Up to FEATURES_OK, with VERSION_1 alone, or with EAX. A ring all of zeroes. */
begin:
	xor	%eax, %eax
begin_with:
	push	%rax
	mov	$ring, %edi
	mov	$ring_end - ring, %ecx
	xor	%eax, %eax
	rep stosb
	call	*SET_STATUS(%r14)
	mov	$1, %al
	call	*SET_STATUS(%r14)
	mov	$3, %al
	call	*SET_STATUS(%r14)
	pop	%rax
	mov	$1, %edx
	call	*FEATURES(%r14)
	mov	$0xb, %al
	jmp	*SET_STATUS(%r14)

good_ring:
	mov	$QUEUE, %eax
	mov	$desc, %esi
	mov	$avail, %edi
	mov	$used, %edx
	jmp	*SET_QUEUE(%r14)

/* Queues come in pairs with some devices, which serve none of them before both are there. */
idle_partner:
	xor	$1, %r12d
	mov	$QUEUE, %eax
	mov	$idle_desc, %esi
	mov	$idle_avail, %edi
	mov	$idle_used, %edx
	call	*SET_QUEUE(%r14)
	xor	$1, %r12d
	ret

go:
	mov	$0xf, %al
	jmp	*SET_STATUS(%r14)

broken:
	mov	$100000, %ecx
1:	call	*GET_STATUS(%r14)
	test	$NEEDS_RESET, %al
	jnz	2f
	dec	%ecx
	jnz	1b
	jmp	fail
2:	ret

/* Offers the row of chains at RBP. */
offer:
	mov	(%rbp), %eax
	call	begin_with
	call	good_ring
	call	idle_partner
	mov	$desc, %edi
	lea	8(%rbp), %rsi
	mov	$QUEUE * 16, %ecx
	rep movsb
	mov	$avail_ring, %edi
	mov	$QUEUE * 2, %ecx
	rep movsb
	mov	4(%rbp), %ax
	mov	%ax, avail_idx
	call	go
	xor	%eax, %eax
	jmp	*KICK(%r14)

/* A request as it should be is served. */
good:
	call	reset
	call	begin
	movq	$buffer, desc
	movl	$LEN, desc + 8
	movw	$WRITE, desc + 12
	call	good_ring
	call	go
	movw	$1, avail_idx
	xor	%eax, %eax
	call	*KICK(%r14)
	mov	$100000, %ecx
1:	cmpw	$1, used_idx
	je	2f
	pause
	call	*GET_STATUS(%r14)
	dec	%ecx
	jnz	1b
	jmp	fail
2:	cmpl	$LEN, used_ring + 4
	jne	fail
	call	*GET_STATUS(%r14)
	cmp	$0xf, %al
	jne	fail
	jmp	reset

/* Writes of all widths and reads at all addresses, also those across registers. */
storm:
	mov	$patterns, %esi
1:	mov	(%rsi), %rax
	xor	%edx, %edx
2:	mov	%al, (%rbx, %rdx)
	mov	%ax, (%rbx, %rdx)
	mov	%eax, (%rbx, %rdx)
	mov	%rax, (%rbx, %rdx)
	mov	(%rbx, %rdx), %ecx
	inc	%edx
	cmp	$0x140, %edx
	jb	2b
	add	$8, %esi
	cmp	$patterns_end, %esi
	jb	1b
	ret

/* ---- MMIO: VIRTIO 4.2.2 --------------------------------------------------------------------------- */

mmio_get_status:
	mov	0x70(%rbx), %eax
	ret
mmio_set_status:
	movzbl	%al, %eax
	mov	%eax, 0x70(%rbx)
	ret
mmio_features:
	movl	$0, 0x24(%rbx)
	mov	%eax, 0x20(%rbx)
	movl	$1, 0x24(%rbx)
	mov	%edx, 0x20(%rbx)
	ret
mmio_queue:
	mov	%r12d, 0x30(%rbx)
	mov	%eax, 0x38(%rbx)
	mov	%esi, 0x80(%rbx)
	shr	$32, %rsi
	mov	%esi, 0x84(%rbx)
	mov	%edi, 0x90(%rbx)
	shr	$32, %rdi
	mov	%edi, 0x94(%rbx)
	mov	%edx, 0xa0(%rbx)
	shr	$32, %rdx
	mov	%edx, 0xa4(%rbx)
	movl	$1, 0x44(%rbx)
	ret
mmio_kick:
	mov	%eax, 0x50(%rbx)
	ret

/* ---- PCI: VIRTIO 4.1.4.3; the notifications lie at NOTIFY ----------------------------------------- */

	.set	DEVICE_CONFIG, 0x1000
	.set	NOTIFY, 0x2000
	.set	TABLE, 0x3000		/* of MSI-X */
	.set	BELL_BAR, 0x18		/* the register of the BAR with a port to notify at */

pci_get_status:
	mov	0x14(%rbx), %al
	ret
pci_set_status:
	mov	%al, 0x14(%rbx)
	ret
pci_features:
	movl	$0, 0x08(%rbx)
	mov	%eax, 0x0c(%rbx)
	movl	$1, 0x08(%rbx)
	mov	%edx, 0x0c(%rbx)
	ret
pci_queue:
	mov	%r12w, 0x16(%rbx)
	mov	%ax, 0x18(%rbx)
	mov	%esi, 0x20(%rbx)
	shr	$32, %rsi
	mov	%esi, 0x24(%rbx)
	mov	%edi, 0x28(%rbx)
	shr	$32, %rdi
	mov	%edi, 0x2c(%rbx)
	mov	%edx, 0x30(%rbx)
	shr	$32, %rdx
	mov	%edx, 0x34(%rbx)
	movw	$1, 0x1c(%rbx)
	ret
pci_kick:
	and	$0x3ff, %eax
	mov	%ax, NOTIFY(%rbx, %rax, 4)
	ret

bell_kick:
	mov	bell, %edx
	out	%ax, %dx
	ret

/* Configuration space by ports (PCI 3.2.2.3.2): register ECX, device << 11 | offset. */
pci_address:
	mov	$0xcf8, %edx
	mov	%ecx, %eax
	or	$1 << 31, %eax
	out	%eax, %dx
	mov	$0xcfc, %edx
	ret
pci_read:
	call	pci_address
	in	%dx, %eax
	ret
pci_write:				/* EDI */
	call	pci_address
	mov	%edi, %eax
	out	%eax, %dx
	ret

/* MSI-X: vectors out of range, messages to nowhere. PCI 6.8.2. */
messages:
	mov	victim, %ebx
	movw	$0x7fff, 0x10(%rbx)	/* config_msix_vector */
	cmpw	$-1, 0x10(%rbx)
	jne	fail
	movw	$0, 0x16(%rbx)
	movw	$0x7fff, 0x1a(%rbx)	/* queue_msix_vector */
	cmpw	$-1, 0x1a(%rbx)
	jne	fail
	call	find_msix
	mov	$1 << 31, %edi		/* enabled */
	call	pci_write
	movw	$0, 0x10(%rbx)
	movw	$0, 0x1a(%rbx)
	mov	$patterns, %ebp
1:	mov	(%rbp), %rax
	mov	%rax, TABLE(%rbx)
	mov	%rax, TABLE + 8(%rbx)
	movl	$0, TABLE + 12(%rbx)	/* not masked */
	call	good
	movw	$0, 0x16(%rbx)
	movw	$0, 0x1a(%rbx)
	call	good
	add	$8, %ebp
	cmp	$patterns_end, %ebp
	jb	1b
	add	$TABLE, %ebx
	call	storm
	add	$0xf00, %ebx		/* and what is pending */
	call	storm
	mov	victim, %ebx
	call	find_msix
	xor	%edi, %edi
	call	pci_write
	jmp	good

/* The capability MSI-X, as a register in ECX: 6.7. */
find_msix:
	mov	$SLOT_VICTIM << 11 | 0x34, %ecx
	call	pci_read
1:	movzbl	%al, %ecx
	test	%ecx, %ecx
	jz	fail
	or	$SLOT_VICTIM << 11, %ecx
	call	pci_read
	cmp	$0x11, %al
	je	2f
	shr	$8, %eax
	jmp	1b
2:	ret

/* Writes of all kinds to configuration space, and a BAR that lies on what is not its own. */
configuration:
	mov	$SLOT_VICTIM << 11, %ebp
1:	mov	%ebp, %ecx
	mov	$-1, %edi
	call	pci_write
	call	pci_read
	mov	%ebp, %ecx
	xor	%edi, %edi
	call	pci_write
	add	$4, %ebp
	cmp	$SLOT_VICTIM << 11 | 0x100, %ebp
	jb	1b
	mov	$ECAM | SLOT_VICTIM << 15, %ebx
	call	storm
	mov	$SLOT_VICTIM << 11 | 0x10, %ecx
	call	pci_address
	call	ports
	mov	$0xcf8, %edx
	call	ports
	call	restore
	mov	$places, %ebp
2:	mov	$SLOT_VICTIM << 11 | 0x10, %ecx
	mov	(%rbp), %edi
	call	pci_write
	mov	(%rbp), %edi
	cmp	$ring, %edi
	ja	3f
	mov	$0x12345678, %eax	/* RAM stays RAM */
	mov	%eax, buffer
	cmp	%eax, buffer
	jne	fail
	jmp	4f
3:	mov	(%rdi), %eax		/* somebody answers, or nobody */
	mov	%eax, 0x14(%rdi)
4:	add	$4, %ebp
	cmp	$places_end, %ebp
	jb	2b
	mov	witness, %edi		/* two at one place */
	mov	$SLOT_VICTIM << 11 | 0x10, %ecx
	call	pci_write
	mov	witness, %ebx
	call	storm
	jmp	restore

/* All widths at all ports from EDX to the end of the data. */
ports:
	mov	$-1, %eax
	out	%al, %dx
	out	%ax, %dx
	out	%eax, %dx
	in	%dx, %al
	in	%dx, %ax
	in	%dx, %eax
	inc	%edx
	cmp	$0xd00, %edx
	jb	ports
	ret

restore:
	mov	$SLOT_VICTIM << 11 | 0x10, %ecx
	mov	victim, %edi
	call	pci_write
	mov	$SLOT_VICTIM << 11 | 0x14, %ecx
	xor	%edi, %edi
	call	pci_write
	call	restore_bell
	mov	$SLOT_VICTIM << 11 | 0x04, %ecx
	mov	$7, %edi		/* ports, memory, bus master */
	call	pci_write
	call	find_msix
	xor	%edi, %edi
	jmp	pci_write

/* A BAR that lies on ports that are not its own. At the end of the list it is on the UART's. */
bar_on_ports:
	mov	victim, %ebx
	mov	victim_bell, %eax
	call	good_by_bell
	call	kick_all
	mov	$pci, %r14d
	mov	$port_places, %ebp
1:	mov	(%rbp), %edi
	call	move_bell
	call	good
	add	$4, %ebp
	cmp	$port_places_end, %ebp
	jb	1b
	mov	$on_ports, %esi
	call	puts
	mov	witness_bell, %edi	/* two at one place */
	call	move_bell
	mov	witness_bell, %edx
	mov	$-1, %eax
	out	%al, %dx
	out	%ax, %dx
	out	%eax, %dx
	in	%dx, %eax
	add	$2, %edx
	out	%eax, %dx		/* half of it outside */
	call	restore_bell
	mov	witness, %ebx
	mov	witness_bell, %eax
	call	good_by_bell
	mov	victim, %ebx
	mov	victim_bell, %eax
	call	good_by_bell
	mov	$pci, %r14d
	ret

good_by_bell:				/* EAX: the port */
	mov	%eax, bell
	mov	$pci_bell, %r14d
	jmp	good

restore_bell:
	mov	victim_bell, %edi
move_bell:				/* EDI */
	mov	$SLOT_VICTIM << 11 | BELL_BAR, %ecx
	jmp	pci_write

/* ---- Tables --------------------------------------------------------------------------------------- */

	.balign	8
mmio:
	.quad	mmio_get_status, mmio_set_status, mmio_features, mmio_queue, mmio_kick
pci:
	.quad	pci_get_status, pci_set_status, pci_features, pci_queue, pci_kick
pci_bell:
	.quad	pci_get_status, pci_set_status, pci_features, pci_queue, bell_kick

patterns:
	.quad	-1, 0x00000000fee00001, 0xa5c3f00f12345678
patterns_end:

/* Where a BAR may be put: on our code, at RAM's end, on ECAM, on interrupt controllers. */
places:
	.long	0, 0x1000, RAM_END - 0x4000, ECAM, 0xfec00000, 0xfee00000, 0xffffc000
	.long	VICTIM, 0xcfffe000
places_end:

/* Where ports may be put: nowhere, on CONFIG_ADDRESS, out of the window, on COM1. */
port_places:
	.long	0, 0xcf8, 0xcfc, DEBUG_EXIT, 0xbffc, 0xd000, 0xfffc, 0x1c000, -1, COM1
port_places_end:

	/* A queue's size and its three parts. */
	.macro	ring_row size, desc, avail, used
	.quad	\size, \desc, \avail, \used
	.endm
	.set	RING_ROW, 32
	.balign	8
rings:
	ring_row 0, desc, avail, used
	ring_row 3, desc, avail, used
	ring_row 0x8000, desc, avail, used
	ring_row QUEUE, desc+8, avail, used		/* not aligned */
	ring_row QUEUE, desc, avail+1, used
	ring_row QUEUE, desc, avail, used+2
	ring_row QUEUE, RAM_END-16, avail, used	/* half in RAM */
	ring_row QUEUE, desc, RAM_END-8, used
	ring_row QUEUE, desc, avail, RAM_END-16
	ring_row QUEUE, RAM_END, avail, used		/* outside */
	ring_row QUEUE, desc, VICTIM, used
	ring_row QUEUE, desc, avail, 0x8000000000
	ring_row QUEUE, -16, avail, used		/* around the last address */
	ring_row QUEUE, desc, -2, used
	ring_row QUEUE, desc, avail, -4
rings_end:

	/* Features, the index, four descriptors, the ring. */
	.macro	chain features=0, idx=1, ring0=0
	.long	\features, \idx
	.set	at, .
	.endm
	.macro	d addr, len, flags, next=0
	.quad	\addr
	.long	\len
	.word	\flags, \next
	.endm
	.macro	end ring0=0
	.space	at + QUEUE * 16 - .
	.word	\ring0, 0, 0, 0
	.endm
	.set	CHAIN_ROW, 8 + QUEUE * 16 + QUEUE * 2
	.balign	8
chains:
	chain					/* loops */
	d	buffer, 16, WRITE|NEXT, 0
	end
	chain
	d	buffer, 16, WRITE|NEXT, 1
	d	buffer, 16, WRITE|NEXT, 0
	end
	chain					/* out of the table */
	d	buffer, 16, WRITE|NEXT, QUEUE
	end
	chain
	d	buffer, 16, WRITE|NEXT, 0xffff
	end
	chain
	end	QUEUE
	chain
	end	0xffff
	chain					/* not in RAM, or not all of it */
	d	0x8000000000, 16, WRITE
	end
	chain
	d	RAM_END, 1, WRITE
	end
	chain
	d	RAM_END-8, 16, WRITE
	end
	chain
	d	VICTIM, 16, WRITE
	end
	chain
	d	-8, 16, WRITE
	end
	chain
	d	-1, 0xffffffff, 0
	end
	chain					/* too long, or too short */
	d	0, 0xffffffff, WRITE
	end
	chain
	d	0, 0xffffffff, NEXT, 1
	d	0, 0xffffffff, WRITE|NEXT, 2
	d	0, 0xffffffff, WRITE
	end
	chain
	d	buffer, 0, WRITE
	end
	chain	EVENT_IDX
	d	buffer, 16, WRITE|NEXT, 1
	d	buffer, 16, 0			/* to read, behind one to write */
	end
	chain	0, QUEUE+1			/* an index ahead of all buffers */
	end
	chain	EVENT_IDX, 0x8000
	end
	chain	0, 0xffff
	end
	chain					/* indirect, without being agreed on */
	d	table, 32, INDIRECT
	end
	chain	INDIRECT_DESC
	d	table, 32, INDIRECT|NEXT, 1
	d	buffer, 16, WRITE
	end
	chain	INDIRECT_DESC
	d	table, 0, INDIRECT
	end
	chain	INDIRECT_DESC
	d	table, 24, INDIRECT
	end
	chain	INDIRECT_DESC
	d	RAM_END-16, 32, INDIRECT
	end
	chain	INDIRECT_DESC
	d	0, 0xfffffff0, INDIRECT
	end
	chain	INDIRECT_DESC			/* in another */
	d	table, 16, INDIRECT
	end
	chain	INDIRECT_DESC			/* a loop in the table */
	d	table+16, 16, INDIRECT
	end
	chain	INDIRECT_DESC			/* behind its end */
	d	table+32, 16, INDIRECT
	end
chains_end:

	.balign	16
table:
	d	table, 16, INDIRECT
	d	buffer, 16, WRITE|NEXT, 0
	d	buffer, 16, WRITE|NEXT, 1

on_mmio:
	.asciz	"broken over MMIO, and mended\n"
on_others_mmio:
	.asciz	"other kinds over MMIO\n"
on_others_pci:
	.asciz	"other kinds over PCI\n"
on_pci:
	.asciz	"broken over PCI, and mended\n"
on_messages:
	.asciz	"messages to nowhere\n"
on_configuration:
	.asciz	"a BAR on RAM\n"
on_ports:
	.asciz	"a BAR on a UART\n"
well:
	.asciz	"the others are well\n"

	.balign	4
victim:
	.long	0
witness:
	.long	0
victim_bell:
	.long	0
witness_bell:
	.long	0
bell:
	.long	0

	.balign	16
ring:
desc:
	.space	QUEUE * 16
avail:
	.word	0
avail_idx:
	.word	0
avail_ring:
	.space	QUEUE * 2 + 2
	.balign	4
used:
	.word	0
used_idx:
	.word	0
used_ring:
	.space	QUEUE * 8 + 2
	.balign	16
buffer:
	.space	64
ring_end:
	.balign	16
idle_desc:
	.space	QUEUE * 16
idle_avail:
	.space	6 + QUEUE * 2
	.balign	4
idle_used:
	.space	6 + QUEUE * 8

	.include "com1.inc"
