/* firmware.c: boot format `firmware`: a ROM that the processor starts in, as after power-on. */
#include <stdlib.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>

#include "firmware.h"
#include "identify.h"
#include "kernel.h"

struct firmware_config {
	char *file;
	char *dtb;
	uint64_t dtb_at;
};

static const struct option options[] = {
	OPTION(struct firmware_config, file, OPTION_PATH, .required = true,
	       .doc = "The ROM's image: on x86_64 a multiple of 4K, at most 16M, which ends at "
		      "4 GiB, with the reset vector 16 bytes below, and whose last 128K are copied "
		      "to RAM at 0xe0000; on arm64 at most 64M, which begin at 0, where the "
		      "processor starts"),
	OPTION(struct firmware_config, dtb, OPTION_PATH, .arches = ARCH_ARM64,
	       .doc = "A device tree of yours, in the place of the one that is made for this VM"),
	OPTION(struct firmware_config, dtb_at, OPTION_ADDR, .arches = ARCH_ARM64, .align = 8,
	       .doc = "Where the device tree lies, whose address is in x0; the start of RAM at "
		      "0x40000000 if not given"),
	{ 0 },
};

static const struct firmware_arch *const arches[] = { &firmware_x86_64, &firmware_arm64 };

static bool check_size(const struct firmware_notes *notes, struct diags *diags)
{
	char max[24];

	if (notes->size <= notes->arch->max)
		return true;
	diag_error(diags, notes->mark, "firmware '%s' has %llu bytes, more than the %s that fit %s",
		   notes->file, (unsigned long long)notes->size,
		   config_size_text(notes->arch->max, max, sizeof(max)), notes->arch->place);
	diag_help(diags, "is it a disk image? firmware is the ROM that the processor starts in");
	return false;
}

static void firmware_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct firmware_config *config = boot->options;
	struct mark mark = node_get(boot->node, "file")->mark;
	const struct firmware_arch *arch = NULL;
	struct firmware_notes *notes;
	struct identity identity;
	struct image image;

	for (size_t i = 0; i < ARRAY_SIZE(arches) && !arch; i++) {
		if (arches[i]->arch == plan->arch->arch)
			arch = arches[i];
	}
	if (!arch || image_open(&image, config->file, mark, diags))
		return;
	identity = identify_image(&image);
	image_close(&image);
	notes = calloc(1, sizeof(*notes));
	if (!notes) {
		diag_error(diags, MARK_NONE, "out of memory");
		return;
	}
	*notes = (struct firmware_notes){
		.arch = arch, .file = config->file, .mark = mark, .size = image.size
	};
	plan->boot_private = notes;
	if (!check_size(notes, diags))
		return;
	if (identity.name && !identity.flat) {
		diag_warning(diags, mark, "firmware '%s' is %s; the ROM holds it as it is",
			     config->file, identity.name);
		identify_help(plan, &identity, diags);
	}
	kernel_plan_dtb(plan, boot, config->dtb, config->dtb_at);
	arch->plan(plan, notes, diags);
}

static int firmware_load(const struct plan *plan, const struct config_choice *boot,
			 struct memory *memory, struct err *err)
{
	const struct firmware_notes *notes = plan->boot_private;
	struct image image;
	int ret = image_reopen(&image, notes->file, notes->size, err);

	(void)boot;
	if (ret)
		return ret;
	if (notes->arch->load)
		ret = notes->arch->load(notes, &image, memory, err);
	image_close(&image);
	return ret;
}

const struct boot_row boot_firmware = {
	.type = {
		.name = "firmware",
		.doc = "A ROM that the processor starts in, as after power-on: below 4 GiB on "
		       "x86_64, at 0 on arm64",
		.options = options,
		.size = sizeof(struct firmware_config),
	},
	.arches = ARCH_ANY,
	.interrupts = true,
	.plan = firmware_plan,
	.load = firmware_load,
};
