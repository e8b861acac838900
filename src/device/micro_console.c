/* micro_console.c: Micro VMM's console: one port that takes characters.
 *
 * Lines appear whole; what a guest leaves without a newline appears 10 ms later, or at the end
 * (console_write gathers). Reads give all ones.
 */
#include <vibevmm/bytes.h>

#include "common.h"

struct micro_console_config {
	char *id;
	uint32_t port;
};

static uint64_t port_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)claim;
	(void)offset;
	return bytes_ones(size);
}

static void port_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		       uint64_t value)
{
	uint8_t byte = (uint8_t)value;

	(void)claim;
	(void)offset;
	(void)size;
	console_write(dev->host->console, &byte, 1);
	device_said(dev, 0, true, &byte, 1);
}

static const struct option options[] = {
	DEVICE_ID(struct micro_console_config),
	OPTION(struct micro_console_config, port, OPTION_UINT, .def = "0x42", .max = 0xffff,
	       .doc = "Its I/O port"),
	{ 0 },
};

static const struct claim claims[] = {
	{ .name = "port", .space = SPACE_PIO, .size = 1, .fix = "port", .width = 1 },
	{ 0 },
};

const struct device_row device_micro_console = {
	.type = {
		.name = "micro-console",
		.doc = "Micro VMM's console: a port that prints characters",
		.options = options,
		.size = sizeof(struct micro_console_config),
	},
	.arches = ARCH_X86_64,
	.console = true,
	.claims = claims,
	.create = device_create_nothing,
	.destroy = device_nothing,
	.reset = device_nothing,
	.read = port_read,
	.write = port_write,
};
