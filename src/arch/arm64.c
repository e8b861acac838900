/* arm64.c: layout of the address space and the boot processor's state. */
#include <assert.h>

#include <vibevmm/plan.h>

extern const struct arch_row arch_arm64;

/* GICv3: INTIDs 32..1019 are SPIs (Arm IHI 0069, 2.2). */
#define SPI_COUNT 988

/* Devices below 1 GiB, RAM from there up. */
static const struct layout_row layout[] = {
	{ LAYOUT_PLATFORM, 0x08000000, 0x01000000, "gic" },
	{ LAYOUT_MMIO, 0x09000000, 0x37000000, "devices" },
	{ LAYOUT_RAM, 0x40000000, 0, "ram" },
	{ LAYOUT_IRQ, 0, SPI_COUNT, "spis" },
	{ 0 },
};

static void plan_entry(struct plan *plan, struct diags *diags)
{
	assert(plan->entry.mode == ENTRY_EL1);
	/* Arm ARM (DDI 0487), D1.3.5: a misaligned PC faults at the first fetch. */
	if (plan->entry.pc % 4) {
		diag_error(diags, plan->entry.mark, "entry 0x%llx is not at a multiple of 4",
			   (unsigned long long)plan->entry.pc);
		diag_help(diags, "A64 instructions are 4 bytes long and aligned");
	}
}

static int write_entry(const struct plan *plan, struct memory *memory, struct hv_entry *entry,
		       struct err *err)
{
	(void)memory;
	(void)err;
	*entry = (struct hv_entry){ .arm64 = { .pc = plan->entry.pc, .x0 = 0 } };
	return 0;
}

const struct arch_row arch_arm64 = {
	.arch = ARCH_ARM64,
	.layout = layout,
	.irq_lines = SPI_COUNT,
	.plan_entry = plan_entry,
	.write_entry = write_entry,
};
