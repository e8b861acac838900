/* smp-arm64.S: starts three more processors, one after the other; each prints its number. */
	.include "hello.inc"

	mov	x20, #1			/* the next one */
	adr	x21, arrived
1:	adr	x2, second
	mov	x1, x20
	mov	x3, x20
	psci	PSCI_CPU_ON
	cbnz	x0, done		/* there is no such processor */
2:	ldr	w4, [x21]		/* it counts itself, with its MMU off as ours is */
	cmp	w4, w20
	b.ne	2b
	add	x20, x20, #1
	b	1b
done:	puts	end
	psci	PSCI_SYSTEM_OFF
	b	.

second:	ldr	x1, =CONSOLE		/* x0: its number */
	add	w2, w0, #'0'
	strb	w2, [x1]
	adr	x21, arrived
	str	w0, [x21]
3:	wfi
	b	3b

	.balign	4
arrived:
	.word	0
end:
	.asciz	" are up\n"
	.balign	4
	.ltorg
