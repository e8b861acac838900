/* gicv2m.c: a frame whose register takes the messages of PCI devices, for a GIC that takes none.
 *
 * Arm's Server Base System Architecture (DEN0029), appendix E, "GICv2m": a write of an interrupt's
 * number to MSI_SETSPI_NS is an edge on that line. Devices' messages go there without passing
 * here: the hypervisor knows the frame. What comes here are writes of the guest itself.
 */
#include "common.h"

enum { CLAIM_REGISTERS, CLAIM_LINES };

/* E.1, "GICv2m register summary" */
enum {
	REG_TYPER = 0x008,
	REG_SETSPI = 0x040,
	REG_IIDR = 0xfcc,
};

#define SIZE	    0x1000
#define FIRST_SPI   32	  /* lines are counted from there (Arm IHI 0048, 2.2.1) */
#define IMPLEMENTER 0x43b /* Arm: IHI 0048, 4.3.15, table 4-15 */

struct gicv2m_config {
	char *id;
	uint64_t at;
};

static uint64_t reg_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	const struct plan_claim *lines = device_place(dev, CLAIM_LINES);

	(void)claim;
	(void)size;
	if (offset == REG_IIDR)
		return IMPLEMENTER;
	if (offset != REG_TYPER || !lines)
		return 0;
	return (FIRST_SPI + lines->start) << 16 | lines->size;
}

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	const struct plan_claim *registers = device_place(dev, claim);
	const struct plan_claim *lines = device_place(dev, CLAIM_LINES);

	(void)size;
	if (offset != REG_SETSPI || !lines || value < FIRST_SPI + lines->start ||
	    value - FIRST_SPI - lines->start >= lines->size)
		return;
	dev->host->msi_send(dev->host, registers->start + REG_SETSPI, (uint32_t)value, 0);
}

static const struct option options[] = {
	DEVICE_ID(struct gicv2m_config),
	OPTION(struct gicv2m_config, at, OPTION_ADDR, .planned = true,
	       .doc = "Address of its 4 KiB of registers"),
	{ 0 },
};

static const struct claim claims[] = {
	[CLAIM_REGISTERS] = { .name = "registers",
			      .space = SPACE_MEM,
			      .size = SIZE,
			      .fix = "at",
			      .width = 4 },
	/* Above those that other devices are given. */
	[CLAIM_LINES] = { .name = "lines",
			  .space = SPACE_IRQ,
			  .size = 128,
			  .align = 1,
			  .prefer = (const uint64_t[]){ 64 },
			  .n_prefer = 1 },
	{ 0 },
};

/* Its node is inside the interrupt controller's. */
static const struct device_description describe = { .role = ROLE_MSI };

const struct device_row device_gicv2m = {
	.type = {
		.name = "gicv2m",
		.doc = "Takes the messages of PCI devices where a GICv2 can't; added with the PCI bus",
		.options = options,
		.size = sizeof(struct gicv2m_config),
	},
	.arches = ARCH_ARM64,
	.max = 1,
	.claims = claims,
	.describe = &describe,
	.needs = HV_CAP_MSI,
	.create = device_create_nothing,
	.destroy = device_nothing,
	.reset = device_nothing,
	.read = reg_read,
	.write = reg_write,
};
