/* firmware_arm64.c: firmware of an arm64 machine.
 *
 * Where an Arm processor starts is up to its board (Arm ARM, DDI 0487, RVBAR_EL3). Firmware for the
 * boards that hypervisors have is linked at 0, where they have a flash, and knows one address more:
 * that of RAM, where it finds the device tree which tells it the rest.
 */
#include <vibevmm/bytes.h>

#include "firmware.h"

#define ROM_MAX (64ULL << 20) /* such boards have another flash behind it */

/* At the start of RAM, where the board has it: firmware relies on that even before it looks at
 * x0. With RAM elsewhere alone it goes where there is room. */
static void plan_dtb(struct plan *plan)
{
	struct plan_tables *tables = &plan->tables;
	const struct layout_row *row = plan->arch->layout;

	tables->wanted = true;
	while (row->name && row->kind != LAYOUT_RAM)
		row++;
	if (tables->dtb_fixed || !plan_region_at(plan, SPACE_MEM, 1U << REGION_RAM, row->start))
		return;
	tables->dtb_fixed = true;
	tables->dtb_at = row->start;
}

static void arm64_plan(struct plan *plan, struct firmware_notes *notes, struct diags *diags)
{
	if (!plan_boot_rom(plan, diags, "firmware", 0, notes->size, notes->file, notes->mark))
		return;
	plan_dtb(plan);
	plan_set_entry(plan, diags, ENTRY_EL1, 0, notes->mark);
}

const struct firmware_arch firmware_arm64 = {
	.arch = ARCH_ARM64,
	.max = ROM_MAX,
	.place = "at 0",
	.plan = arm64_plan,
};
