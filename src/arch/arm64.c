/* arm64.c: layout of the address space, choice of the GIC, and the boot processor's state. */
#include <assert.h>

#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>

#include "arm64_tables.h"

extern const struct arch_row arch_arm64;

/* GICv3: INTIDs 32..1019 are SPIs (Arm IHI 0069, 2.2). KVM counts them in steps of 32 and takes
 * fewer than 1024: up to 991. */
#define SPI_COUNT 960

/* Where a GIC of either version has its parts; last a redistributor for each vCPU, and behind the
 * devices those that find no room there. */
#define GIC_START    0x08000000ULL
#define GIC_SIZE     0x01000000ULL
#define GIC_DIST     GIC_START
#define GIC_CPU	     0x08010000ULL
#define GIC_ITS	     0x08080000ULL
#define GIC_REDIST   0x080a0000ULL
#define GIC_REDISTS  ((GIC_START + GIC_SIZE - GIC_REDIST) / HV_GIC_REDIST_SIZE)
#define MORE_START   0x0c000000ULL
#define MORE_SIZE    0x04000000ULL
#define MORE_REDISTS (MORE_SIZE / HV_GIC_REDIST_SIZE)

/* Devices below 1 GiB, RAM from there up. PCI's places stay free for it: windows for BARs of 32 and
 * of 64 bits, and the configuration space of 256 buses. */
static const struct layout_row layout[] = {
	{ LAYOUT_PLATFORM, GIC_START, GIC_SIZE, "gic" },
	{ LAYOUT_MMIO, 0x09000000, 0x07000000, "devices" },
	{ LAYOUT_REDISTS, MORE_START, MORE_SIZE, "gic, more vcpus" },
	{ LAYOUT_PCI, 0x10000000, 0x20000000, "pci window" },
	{ LAYOUT_PCI_CONFIG, 0x30000000, 0x10000000, "pci config" },
	{ LAYOUT_RAM, 0x40000000, 0, "ram" },
	{ LAYOUT_PCI, 0x8000000000, 0x8000000000, "pci window, 64-bit" },
	{ LAYOUT_IRQ, 0, SPI_COUNT, "spis" },
	{ 0 },
};

/* ---- The platform -------------------------------------------------------------------------- */

static unsigned gic_caps(const struct plan *plan)
{
	return plan->caps.caps & (HV_CAP_GICV2 | HV_CAP_GICV3);
}

/* What an interrupt controller of that version is too small for. */
static void check_gic_size(const struct plan *plan, struct diags *diags)
{
	bool v2 = plan->gic.version == HV_GIC_V2;
	uint64_t max = v2 ? HV_GICV2_MAX_VCPUS : GIC_REDISTS + MORE_REDISTS;

	/* Too many for the backend are an error of their own. */
	if (plan->config->vcpus <= max || plan->config->vcpus > plan->caps.max_vcpus)
		return;
	diag_error(diags, plan_mark(plan, "vcpus"),
		   "%u vCPUs are more than the %llu that a GIC%s has room for", plan->config->vcpus,
		   (unsigned long long)max, v2 ? "v2" : "v3 of this machine");
	if (v2 && (gic_caps(plan) & HV_CAP_GICV3))
		diag_help(diags, "`gic: v3` takes more");
}

/* An ITS comes with a GICv3 wherever the backend has one: it costs nothing until a guest that
 * knows it sends a message. */
static void choose_gic(struct plan *plan, struct diags *diags)
{
	uint32_t want = plan->config->platform.gic;
	unsigned have = gic_caps(plan);
	bool v3 = want == GIC_AUTO ? have != HV_CAP_GICV2 : want == GIC_V3;

	if (plan->irqchip == HV_IRQCHIP_NONE)
		return;
	if (!(have & (v3 ? HV_CAP_GICV3 : HV_CAP_GICV2))) {
		diag_error(diags, plan_mark(plan, "platform.gic"), "backend '%s' has no %s",
			   plan->backend_name, hv_cap_name(v3 ? HV_CAP_GICV3 : HV_CAP_GICV2));
		if (have)
			diag_help(diags, "it has a %s, which `gic: auto` takes",
				  hv_cap_name(v3 ? HV_CAP_GICV2 : HV_CAP_GICV3));
		return;
	}
	plan->gic = (struct hv_gic_config){
		.version = v3 ? HV_GIC_V3 : HV_GIC_V2,
		.dist = GIC_DIST,
		.cpu = v3 ? 0 : GIC_CPU,
		.redist = v3 ? GIC_REDIST : 0,
		.its = v3 && (plan->caps.caps & HV_CAP_ITS) ? GIC_ITS : 0,
	};
	if (v3 && plan->caps.gic_redists > GIC_REDISTS) {
		plan->gic.redist = MORE_START;
		plan->gic.redist_room = plan->caps.gic_redists;
	} else if (v3 && plan->config->vcpus > GIC_REDISTS) {
		plan->gic.redist_room = GIC_REDISTS;
		plan->gic.redist_more = MORE_START;
	}
	check_gic_size(plan, diags);
}

static void check_extras(const struct plan *plan, struct diags *diags)
{
	const struct {
		bool wanted;
		const char *path;
		enum hv_cap cap;
	} extras[] = {
		{ plan->config->platform.pmu, "platform.pmu", HV_CAP_PMU },
		{ plan->config->platform.sve, "platform.sve", HV_CAP_SVE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(extras); i++) {
		if (extras[i].wanted && !(plan->caps.caps & extras[i].cap))
			diag_error(diags, plan_mark(plan, extras[i].path), "backend '%s' has no %s",
				   plan->backend_name, hv_cap_name(extras[i].cap));
	}
	if (plan->config->platform.pit)
		diag_error(diags, plan_mark(plan, "platform.pit"),
			   "the 8254 timer exists on x86_64 only; this VM is arm64");
}

static void plan_platform(struct plan *plan, struct diags *diags)
{
	choose_gic(plan, diags);
	check_extras(plan, diags);
}

/* ---- The boot processor -------------------------------------------------------------------- */

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
	*entry = (struct hv_entry){ .arm64 = { .pc = plan->entry.pc, .x0 = plan->entry.x0 } };
	return 0;
}

const struct arch_row arch_arm64 = {
	.arch = ARCH_ARM64,
	.layout = layout,
	.irq_lines = SPI_COUNT,
	.plan_platform = plan_platform,
	.plan_entry = plan_entry,
	.write_entry = write_entry,
	.plan_tables = arm64_tables_plan,
	.write_tables = arm64_tables_write,
	.each_table = arm64_tables_each,
};
