/* pvpanic.c: the guest reports that it panicked, or that it has shut down.
 *
 * QEMU's "PVPANIC DEVICE" specification: one port, at 0x505 by custom, where reading tells which
 * events the machine knows and writing reports one. Linux and Windows find it in ACPI as QEMU0001.
 * On arm64 the same is a byte in memory, and in the device tree.
 */
#include <vibevmm/log.h>

#include "common.h"

#define EVENT_PANICKED	   0x01
#define EVENT_CRASH_LOADED 0x02 /* a crash kernel takes over from here: the guest goes on */
#define EVENT_SHUTDOWN	   0x04
#define EVENTS		   (EVENT_PANICKED | EVENT_CRASH_LOADED | EVENT_SHUTDOWN)

struct pvpanic_config {
	char *id;
	uint32_t port;
	uint64_t at;
};

static uint64_t port_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)claim;
	(void)size;
	return offset ? 0 : EVENTS;
}

static void port_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		       uint64_t value)
{
	(void)claim;
	(void)size;
	if (offset)
		return;
	if (value & EVENT_PANICKED)
		dev->host->guest_panic(dev->host, dev);
	else if (value & EVENT_CRASH_LOADED)
		log_info("%s: the guest panicked, and starts its crash kernel", dev->plan->label);
	else if (value & EVENT_SHUTDOWN)
		dev->host->guest_poweroff(dev->host, dev);
}

static const struct option options[] = {
	DEVICE_ID(struct pvpanic_config),
	OPTION(struct pvpanic_config, port, OPTION_UINT, .arches = ARCH_X86_64, .def = "0x505",
	       .max = 0xffff, .doc = "Its I/O port"),
	OPTION(struct pvpanic_config, at, OPTION_ADDR, .arches = ARCH_ARM64,
	       .doc = "Address of its register; the planner finds one otherwise"),
	{ 0 },
};

static const struct claim claims[] = {
	{ .name = "port",
	  .space = SPACE_PIO,
	  .arches = ARCH_X86_64,
	  .size = 1,
	  .fix = "port",
	  .width = 1 },
	{ .name = "register",
	  .space = SPACE_MEM,
	  .arches = ARCH_ARM64,
	  .size = 0x1000,
	  .fix = "at",
	  .width = 1 },
	{ 0 },
};

static const struct device_description describe = {
	.role = ROLE_PANIC,
	.hid = "QEMU0001",
	.compatible = { "qemu,pvpanic-mmio" }, /* misc/qemu,pvpanic-mmio.yaml of Linux's bindings */
	.node = "pvpanic",
};

const struct device_row device_pvpanic = {
	.type = {
		.name = "pvpanic",
		.doc = "The guest reports its panic here, and the VM ends with status 80",
		.options = options,
		.size = sizeof(struct pvpanic_config),
	},
	.arches = ARCH_ANY,
	.max = 1,
	.claims = claims,
	.describe = &describe,
	.create = device_create_nothing,
	.destroy = device_nothing,
	.reset = device_nothing,
	.read = port_read,
	.write = port_write,
};
