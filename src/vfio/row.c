/* row.c: PCI passthrough: a function of the host, bound to vfio-pci there, becomes one of the
 * guest's bus.
 *
 * What BARs it has is known when it is opened, but places are given out before that: so the planner
 * keeps a window for all of them together.
 */
#include <vibevmm/bytes.h>

#include "vfio.h"

static void check(const void *options, const struct node *node, struct diags *diags)
{
	const struct vfio_pci_config *config = options;
	const struct node *window = node_get(node, "window");
	uint64_t below = 4096;
	char text[24], next[24];

	if (!window || bytes_is_power_of_2(config->window))
		return;
	while (below < config->window / 2)
		below *= 2;
	diag_error(diags, window->mark, "'window' of vfio-pci is %s; it must be a power of two",
		   config_size_text(config->window, text, sizeof(text)));
	diag_help(diags, "%s or %s would do", config_size_text(below, text, sizeof(text)),
		  config_size_text(2 * below, next, sizeof(next)));
}

/* It has no claims on a bus. */
static uint64_t no_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)claim;
	(void)offset;
	return bytes_ones(size);
}

static void no_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		     uint64_t value)
{
	(void)dev;
	(void)claim;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct option options[] = {
	DEVICE_ID(struct vfio_pci_config),
	OPTION(struct vfio_pci_config, host, OPTION_STRING, .required = true, .text = TEXT_PCI,
	       .doc = "The function of the host, as `lspci -D` shows it; it must be bound to "
		      "vfio-pci, and `vibevmm doctor` tells how"),
	OPTION(struct vfio_pci_config, slot, OPTION_UINT, .min = 1, .max = 31, .planned = true,
	       .doc = "PCI device number on bus 0 of the guest"),
	OPTION(struct vfio_pci_config, window, OPTION_SIZE, .def = "32M", .min = 4096,
	       .max = 1ULL << 38,
	       .doc = "Room for its BARs together, a power of two; if it is too small, the VM's "
		      "start "
		      "tells what is needed"),
	{ 0 },
};

static const struct claim claims[] = {
	[VFIO_CLAIM_FUNCTION] = { .name = "function",
				  .space = SPACE_PCI,
				  .size = 1,
				  .fix = "slot" },
	[VFIO_CLAIM_WINDOW] = { .name = "window",
				.space = SPACE_BAR,
				.size = 32 << 20,
				.sized_by = "window" },
	{ 0 },
};

const struct device_row device_vfio_pci = {
	.type = {
		.name = "vfio-pci",
		.doc = "A PCI device of the host, passed through to the guest (Linux, VFIO)",
		.options = options,
		.size = sizeof(struct vfio_pci_config),
	},
	.arches = ARCH_ANY,
	.claims = claims,
	.needs = HV_CAP_MSI | HV_CAP_IRQFD,
	.linux_only = "remove it: no device of a Mac can be passed through",
	.pins_memory = true,
	.check = check,
	.examine = vfio_examine,
	.create = vfio_create,
	.destroy = vfio_destroy,
	.reset = vfio_reset,
	.read = no_read,
	.write = no_write,
};
