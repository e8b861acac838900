/* raw.c: boot format `raw`: a flat binary, copied to one address and entered at another. */
#include <stdlib.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>
#include <vibevmm/image.h>
#include <vibevmm/plan.h>

#include "identify.h"
#include "kernel.h"

struct raw_config {
	char *file;
	uint64_t load;
	uint64_t entry;
	uint32_t mode;
	char *dtb;
	uint64_t dtb_at;
};

/* In the order of enum entry_mode. */
static const char *const modes[] = { "real", "protected", "long", NULL };

static const struct option options[] = {
	OPTION(struct raw_config, file, OPTION_PATH, .required = true,
	       .doc = "The binary, copied as it is"),
	OPTION(struct raw_config, load, OPTION_ADDR, .def = "0x1000",
	       .doc = "Guest-physical address that the first byte is copied to"),
	OPTION(struct raw_config, entry, OPTION_ADDR,
	       .doc = "Address of the first instruction; `load` if not given"),
	OPTION(struct raw_config, mode, OPTION_ENUM, .words = modes, .def = "long",
	       .arches = ARCH_X86_64,
	       .doc = "State of the processor: 16-bit real mode, 32-bit protected mode with flat "
		      "segments, or 64-bit long mode with identity-mapped pages"),
	KERNEL_DTB_OPTIONS(struct raw_config),
	{ 0 },
};

/* The image's size when it was planned, for load to compare. */
struct raw_plan {
	uint64_t size;
};

static void raw_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct raw_config *raw = boot->options;
	const struct node *file = node_get(boot->node, "file");
	const struct node *load = node_get(boot->node, "load");
	const struct node *entry = node_get(boot->node, "entry");
	enum entry_mode mode = ENTRY_EL1;
	struct identity identity;
	struct raw_plan *notes;
	struct image image;

	if (image_open(&image, raw->file, file->mark, diags))
		return;
	identity = identify_image(&image);
	image_close(&image);
	if (identity.name && !identity.flat) {
		diag_warning(diags, file->mark, "image '%s' is %s; raw copies it as it is",
			     raw->file, identity.name);
		identify_help(plan, &identity, diags);
	}
	notes = malloc(sizeof(*notes));
	if (!notes) {
		diag_error(diags, MARK_NONE, "out of memory");
		return;
	}
	notes->size = image.size;
	plan->boot_private = notes;

	if (plan->arch->arch == ARCH_X86_64)
		mode = (enum entry_mode)raw->mode;
	kernel_plan_dtb(plan, boot, raw->dtb, raw->dtb_at);
	if (!load || load->is_default)
		load = file;
	if (!entry)
		entry = load;
	if (!plan_boot_fixed(plan, diags, "image", raw->load, image.size, load->mark))
		return;
	plan_set_entry(plan, diags, mode, entry == load ? raw->load : raw->entry, entry->mark);
}

static int raw_load(const struct plan *plan, const struct config_choice *boot,
		    struct memory *memory, struct err *err)
{
	const struct raw_config *raw = boot->options;
	const struct raw_plan *notes = plan->boot_private;

	return image_load_file(raw->file, notes->size, memory, raw->load, err);
}

const struct boot_row boot_raw = {
	.type = {
		.name = "raw",
		.doc = "A flat binary, copied to an address and entered there",
		.options = options,
		.size = sizeof(struct raw_config),
	},
	.arches = ARCH_ANY,
	.plan = raw_plan,
	.load = raw_load,
};
