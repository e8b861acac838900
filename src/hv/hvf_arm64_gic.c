/* hvf_arm64_gic.c: the framework's GICv3, of macOS 15 and later.
 *
 * A line is an SPI. There is no ITS; a message is for the frame of a GICv2m, and an edge on a line.
 */
#include <errno.h>

#include "hvf.h"

/* Arm IHI 0069, 2.2: interrupts below are a vCPU's own. */
#define FIRST_SPI 32U

unsigned hvf_arm64_gic_caps(void)
{
	return hv_gic_create ? HV_CAP_IRQCHIP_FULL | HV_CAP_IRQ_LINE | HV_CAP_MSI | HV_CAP_GICV3
			     : 0;
}

/* Whether the framework's one fits into what was planned. */
static int check(const struct hv_vm *vm, struct err *err)
{
	const struct hv_gic_config *gic = &vm->config.gic;
	uint64_t room = (uint64_t)(gic->redist_room ? gic->redist_room : vm->config.vcpus) *
			HV_GIC_REDIST_SIZE;
	uint32_t first = 0, lines = 0;
	size_t size = 0;

	if (gic->version != HV_GIC_V3)
		return err_set(err, ENODEV, STATUS_UNAVAILABLE,
			       "Hypervisor.framework has no GICv2; it has a GICv3, which `gic: v3` "
			       "or `auto` takes");
	if (gic->its || gic->redist_more)
		return err_set(err, ENOTSUP, STATUS_UNAVAILABLE, "Hypervisor.framework has no %s",
			       gic->its ? "ITS" : "redistributors in two places");
	if (hv_gic_get_redistributor_region_size(&size) ||
	    hv_gic_get_spi_interrupt_range(&first, &lines))
		return err_set(err, EIO, STATUS_UNAVAILABLE,
			       "Hypervisor.framework does not tell how large its GICv3 is");
	if (size > room)
		return err_set(err, ENOSPC, STATUS_UNAVAILABLE,
			       "the redistributors of Hypervisor.framework's GICv3 take %zu KiB, "
			       "and there is room for %llu",
			       size >> 10, (unsigned long long)(room >> 10));
	if (first > FIRST_SPI || vm->config.irq_lines > first + lines - FIRST_SPI)
		return err_set(err, ENOSPC, STATUS_UNAVAILABLE,
			       "%u interrupt lines are more than the %u of Hypervisor.framework",
			       vm->config.irq_lines, lines);
	return 0;
}

int hvf_arm64_platform_create(struct hv_vm *vm, struct err *err)
{
	const struct hv_gic_config *gic = &vm->config.gic;
	hv_gic_config_t config;
	hv_return_t refusal;
	int ret;

	if (vm->config.irqchip == HV_IRQCHIP_NONE)
		return 0;
	if (!hv_gic_create)
		return err_set(err, ENODEV, STATUS_UNAVAILABLE,
			       "Hypervisor.framework has no interrupt controller before macOS 15; "
			       "without one it runs guests of one vCPU that take no interrupts");
	ret = check(vm, err);
	if (ret)
		return ret;
	config = hv_gic_config_create();
	if (!config)
		return err_errno(err, ENOMEM, STATUS_OSERR, "GICv3");
	refusal = hv_gic_config_set_distributor_base(config, gic->dist);
	if (!refusal)
		refusal = hv_gic_config_set_redistributor_base(config, gic->redist);
	if (!refusal)
		refusal = hv_gic_create(config);
	os_release(config);
	return refusal ? hvf_refused(err, refusal, "cannot make a GICv3 at %#llx and %#llx",
				     (unsigned long long)gic->dist, (unsigned long long)gic->redist)
		       : 0;
}

void hvf_arm64_irq_set(struct hv_vm *vm, unsigned line, bool level)
{
	if (vm->config.irqchip != HV_IRQCHIP_NONE)
		hv_gic_set_spi(FIRST_SPI + line, level);
}

int hvf_arm64_msi_send(struct hv_vm *vm, uint64_t addr, uint32_t data, uint32_t device)
{
	const struct hv_gic_config *gic = &vm->config.gic;
	uint32_t line = data - FIRST_SPI;

	(void)device;
	if (!gic->frame || addr != gic->frame + HV_GICV2M_SETSPI || data < FIRST_SPI ||
	    line - gic->frame_line >= gic->frame_lines)
		return 0; /* it leads nowhere, which is the guest's own affair */
	hvf_arm64_irq_set(vm, line, true);
	hvf_arm64_irq_set(vm, line, false);
	return 0;
}
