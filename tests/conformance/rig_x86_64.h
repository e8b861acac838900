/* rig_x86_64.h: how a guest of rig.h is assembled and entered on x86_64. Its tables of long mode
 * lie above 0x2000. */
#ifndef VIBEVMM_TESTS_RIG_X86_64_H
#define VIBEVMM_TESTS_RIG_X86_64_H

#define RIG_PML4    0x2000U
#define RIG_PDPT    0x3000U
#define RIG_PD_LOW  0x4000U /* the first GiB */
#define RIG_PD_HIGH 0x5000U /* the fourth: interrupt controllers */
#define RIG_GDT	    0x6000U
#define RIG_IDT	    0x7000U
#define RIG_AP_CODE 0x8000U
#define RIG_STACK   0xa000U

enum rig_mode { RIG_REAL, RIG_PROTECTED, RIG_LONG };

/* Assembles a guest: GUEST(name, 16, "mov ...; hlt") makes guest_name and guest_name_end. */
#define GUEST(name, bits, text)                                                                    \
	extern const uint8_t guest_##name[], guest_##name##_end[];                                 \
	__asm__(".pushsection .rodata\n.balign 64\n.code" #bits "\nguest_" #name ":\n" text        \
		"\nguest_" #name "_end:\n.code64\n.popsection\n")

#define rig_enter(rig, mode, name)                                                                 \
	rig_enter_code(rig, mode, guest_##name, (size_t)(guest_##name##_end - guest_##name))

static inline void rig_open(struct rig *rig, const struct hv_backend *hv, unsigned vcpus,
			    enum hv_irqchip irqchip)
{
	rig_open_config(rig, hv,
			&(struct hv_vm_config){
				.vcpus = vcpus, .topology = { 1, vcpus, 1 }, .irqchip = irqchip });
}

/* Identity map of the first and the fourth GiB in pages of 2 MiB (Intel SDM Vol. 3, 4.5), and a
 * GDT with one 64-bit code segment at selector 8. */
static inline void rig_long_mode_tables(uint8_t *ram)
{
	const uint64_t table = 3, page = 0x83; /* present, writable; 2 MiB */

	bytes_put64(ram + RIG_PML4, RIG_PDPT | table);
	bytes_put64(ram + RIG_PDPT + 0ULL * 8, RIG_PD_LOW | table);
	bytes_put64(ram + RIG_PDPT + 3ULL * 8, RIG_PD_HIGH | table);
	for (uint64_t i = 0; i < 512; i++) {
		bytes_put64(ram + RIG_PD_LOW + i * 8, i << 21 | page);
		bytes_put64(ram + RIG_PD_HIGH + i * 8, (3ULL << 30) + (i << 21) + page);
	}
	bytes_put64(ram + RIG_GDT + 8, 0x00af9b000000ffffULL);
	bytes_put64(ram + RIG_GDT + 16, 0x00cf93000000ffffULL);
}

/* Makes the IDT's gate for the vector lead to offset in the guest's code (Intel SDM Vol. 3,
 * 6.14.1: 64-bit interrupt gate). */
static inline void rig_gate(struct rig *rig, unsigned vector, unsigned offset)
{
	uint8_t *gate = rig->ram + RIG_IDT + (size_t)vector * 16;

	bytes_put32(gate, 8U << 16 | (RIG_CODE + offset)); /* selector, offset 15:0 */
	bytes_put32(gate + 4, 0x00008e00);		   /* present, interrupt gate */
	bytes_put64(gate + 8, 0);
}

static inline void rig_enter_code(struct rig *rig, enum rig_mode mode, const uint8_t *code,
				  size_t len)
{
	bool wide = mode != RIG_REAL;
	uint32_t limit = wide ? 0xffffffff : 0xffff;
	struct hv_entry entry = {
		.x86 = {
			.rip = RIG_CODE,
			.rsp = RIG_STACK,
			.rax = 0x1111111122222222,
			.rbx = 0x3333333344444444,
			.rsi = 0x5555555566666666,
			.cr0 = wide ? 0x11 : 0x10,
			.cs = { .selector = wide ? 8 : 0,
				.limit = limit,
				.type = 0xb,
				.present = true,
				.db = mode == RIG_PROTECTED,
				.long_mode = mode == RIG_LONG,
				.granularity = wide },
			.data = { .selector = wide ? 16 : 0,
				  .limit = limit,
				  .type = 3,
				  .present = true,
				  .db = wide,
				  .granularity = wide },
			.tr = { .limit = 0xffff, .type = 0xb, .present = true, .system = true },
			.gdt_base = RIG_GDT,
			.gdt_limit = 23,
			.idt_base = wide ? RIG_IDT : 0,
			.idt_limit = wide ? 0xfff : 0x3ff,
		},
	};
	struct err err;

	if (mode == RIG_LONG) {
		rig_long_mode_tables(rig->ram);
		entry.x86.cr0 = 0x80000011; /* PG ET PE */
		entry.x86.cr3 = RIG_PML4;
		entry.x86.cr4 = 0x20;	/* PAE */
		entry.x86.efer = 0x500; /* LMA LME */
	}
	memcpy(rig->ram + RIG_CODE, code, len);
	if (rig->hv->vcpu_set_entry(rig->vcpu, &entry, &err))
		fail_msg("%s", err.text);
}

#endif
