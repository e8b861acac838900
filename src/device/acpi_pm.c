/* acpi_pm.c: power off, reset and the power button, as ACPI's hardware-reduced machines have them.
 *
 * ACPI 6.4, 4.8.3.7, "Sleep Control and Status Registers", and 4.8.3.6, "Reset Register". The
 * tables say where the registers are, and that the interrupt means the button was pressed (5.6.9,
 * "Interrupt-signaled ACPI events"). There is no state: the machine never sleeps, so it never has
 * woken up, and everything reads as 0.
 */
#include "common.h"

enum { CLAIM_PORTS, CLAIM_INTERRUPT };

enum { REG_SLEEP_CONTROL, REG_SLEEP_STATUS, REG_RESET, REGS = 4 };

#define SLEEP_ENABLE	0x20
#define SLEEP_TYPE(reg) ((reg) >> 2 & 7)
#define SLEEP_TYPE_S5	5
#define RESET_VALUE	1

struct acpi_pm_config {
	char *id;
	uint32_t port, irq;
};

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	(void)claim;
	(void)size;
	if (offset == REG_SLEEP_CONTROL && value & SLEEP_ENABLE &&
	    SLEEP_TYPE(value) == SLEEP_TYPE_S5)
		dev->host->guest_poweroff(dev->host, dev);
	else if (offset == REG_RESET && value == RESET_VALUE)
		dev->host->guest_reset(dev->host, dev);
}

static void power_button(struct device *dev)
{
	/* An edge is all there is: nothing says that the guest has seen it. */
	device_irq_set(dev, CLAIM_INTERRUPT, true);
	device_irq_set(dev, CLAIM_INTERRUPT, false);
}

static const struct option options[] = {
	DEVICE_ID(struct acpi_pm_config),
	OPTION(struct acpi_pm_config, port, OPTION_UINT, .max = 0xfffc,
	       .doc = "First of its four I/O ports; otherwise free ones"),
	OPTION(struct acpi_pm_config, irq, OPTION_IRQ,
	       .doc = "Interrupt line of the power button, or none; otherwise a free one"),
	{ 0 },
};

static const struct claim claims[] = {
	[CLAIM_PORTS] = { .name = "ports",
			  .space = SPACE_PIO,
			  .size = REGS,
			  .fix = "port",
			  .width = 1 },
	[CLAIM_INTERRUPT] = { .name = "interrupt", .space = SPACE_IRQ, .size = 1, .fix = "irq" },
	{ 0 },
};

/* Neither an object nor a node of its own: the tables' other parts refer to its registers. */
static const struct device_power power = {
	.sleep_control = REG_SLEEP_CONTROL,
	.sleep_status = REG_SLEEP_STATUS,
	.reset = REG_RESET,
	.s5 = SLEEP_TYPE_S5,
	.reset_value = RESET_VALUE,
};
static const struct device_description describe = { .role = ROLE_POWER, .power = &power };

const struct device_row device_acpi_pm = {
	.type = {
		.name = "acpi-pm",
		.doc = "ACPI's power off, reset and power button",
		.options = options,
		.size = sizeof(struct acpi_pm_config),
	},
	.arches = ARCH_X86_64,
	.max = 1,
	.claims = claims,
	.describe = &describe,
	.create = device_create_nothing,
	.destroy = device_nothing,
	.reset = device_nothing,
	.read = device_read_nothing,
	.write = reg_write,
	.power_button = power_button,
};
