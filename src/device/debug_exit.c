/* debug_exit.c: the guest writes its exit status here.
 *
 * A write to the first byte, of any width, ends the VM with that value as the program's status;
 * other offsets do nothing, and reads give 0.
 */
#include "common.h"

struct debug_exit_config {
	char *id;
	uint32_t port;
	uint64_t at;
};

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	(void)claim;
	(void)size;
	if (offset == 0)
		dev->host->guest_exit(dev->host, dev, value);
}

static void check(const void *config, const struct node *node, struct diags *diags)
{
	(void)config;
	device_check_place(node, diags);
}

static const struct option options[] = {
	DEVICE_ID(struct debug_exit_config),
	OPTION(struct debug_exit_config, port, OPTION_UINT, .planned = true, .arches = ARCH_X86_64,
	       .def = "0xf4", .max = 0xfffc, .doc = "First of its four I/O ports"),
	OPTION(struct debug_exit_config, at, OPTION_ADDR,
	       .doc = "Address of a 4 KiB window; on x86_64, memory-mapped instead of at ports"),
	{ 0 },
};

static const struct claim claims[] = {
	{ .name = "ports",
	  .space = SPACE_PIO,
	  .arches = ARCH_X86_64,
	  .size = 4,
	  .align = 1,
	  .fix = "port",
	  .unless = "at",
	  .width = 4 },
	{ .name = "registers",
	  .space = SPACE_MEM,
	  .arches = ARCH_X86_64,
	  .size = 0x1000,
	  .fix = "at",
	  .only_if = "at" },
	{ .name = "registers",
	  .space = SPACE_MEM,
	  .arches = ARCH_ARM64,
	  .size = 0x1000,
	  .fix = "at" },
	{ 0 },
};

const struct device_row device_debug_exit = {
	.type = {
		.name = "debug-exit",
		.doc = "The guest ends the VM by writing its exit status (0 to 63) here",
		.options = options,
		.size = sizeof(struct debug_exit_config),
	},
	.arches = ARCH_ANY,
	.claims = claims,
	.check = check,
	.create = device_create_nothing,
	.destroy = device_nothing,
	.reset = device_nothing,
	.read = device_read_nothing,
	.write = reg_write,
};
