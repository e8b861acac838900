/* firmware.c: boot format `firmware`: a ROM that the processor starts in, as after power-on.
 *
 * The image ends at 4 GiB, where the reset vector is (SDM Vol. 3A, 9.1.4), 16 bytes below the end.
 * A PC's chipset shows the last 128 KiB of that ROM below 1 MiB as well, since the first far jump
 * of most firmware leads there. Here they are copied into RAM, so that firmware finds them writable
 * without a chipset of which it would ask that first; an image below 128 KiB is copied to the end
 * of that range. Where a memory map has no RAM at 0xe0000, there is no copy.
 */
#include <stdlib.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>
#include <vibevmm/image.h>
#include <vibevmm/plan.h>

#include "identify.h"

#define ROM_END	     (1ULL << 32)
#define ROM_MAX	     (16ULL << 20) /* the layout's space for ROMs */
#define COPY_END     (1ULL << 20)
#define COPY_MAX     (128ULL << 10)
#define RESET_VECTOR (ROM_END - 16)
#define PAGE	     4096ULL

struct firmware_config {
	char *file;
};

static const struct option options[] = {
	OPTION(struct firmware_config, file, OPTION_PATH, .required = true,
	       .doc = "The ROM's image, a multiple of 4K, at most 16M; it ends at 4 GiB, with the "
		      "reset vector 16 bytes below, and RAM at 0xe0000 gets a copy of its last "
		      "128K"),
	{ 0 },
};

struct notes {
	uint64_t size;
	uint64_t copied; /* the last so many bytes are below 1 MiB too; 0: there is no RAM */
};

static void report_size(const char *file, uint64_t size, struct mark mark, struct diags *diags)
{
	char text[24];

	if (size > ROM_MAX) {
		diag_error(diags, mark,
			   "firmware '%s' has %s, more than the 16M that fit below "
			   "4 GiB",
			   file, config_size_text(size, text, sizeof(text)));
		diag_help(diags, "is it a disk image? firmware is the ROM that the processor "
				 "starts in");
		return;
	}
	diag_error(diags, mark, "firmware '%s' has %llu bytes; it must be a multiple of 4K", file,
		   (unsigned long long)size);
	diag_help(diags,
		  "the reset vector is in its last 16 bytes: put %llu bytes before its first one",
		  (unsigned long long)(PAGE - size % PAGE));
}

static void firmware_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct firmware_config *config = boot->options;
	struct mark mark = node_get(boot->node, "file")->mark;
	struct identity identity;
	struct notes *notes;
	struct image image;
	uint64_t copied;

	if (image_open(&image, config->file, mark, diags))
		return;
	identity = identify_image(&image);
	image_close(&image);
	if (image.size > ROM_MAX || image.size % PAGE) {
		report_size(config->file, image.size, mark, diags);
		return;
	}
	if (identity.name && !identity.flat) {
		diag_warning(diags, mark, "firmware '%s' is %s; the ROM holds it as it is",
			     config->file, identity.name);
		identify_help(plan, &identity, diags);
	}
	notes = calloc(1, sizeof(*notes));
	if (!notes) {
		diag_error(diags, MARK_NONE, "out of memory");
		return;
	}
	plan->boot_private = notes;
	notes->size = image.size;
	if (!plan_boot_rom(plan, diags, "firmware", ROM_END - image.size, image.size, config->file,
			   mark))
		return;
	copied = image.size < COPY_MAX ? image.size : COPY_MAX;
	if (plan_region_at(plan, SPACE_MEM, 1U << REGION_RAM, COPY_END - copied)) {
		if (!plan_boot_fixed(plan, diags, "firmware's copy", COPY_END - copied, copied,
				     mark))
			return;
		notes->copied = copied;
	}
	plan_set_entry(plan, diags, ENTRY_RESET, RESET_VECTOR, mark);
}

/* The ROM is filled with all others when memory is made. */
static int firmware_load(const struct plan *plan, const struct config_choice *boot,
			 struct memory *memory, struct err *err)
{
	const struct firmware_config *config = boot->options;
	const struct notes *notes = plan->boot_private;
	struct image image;
	int ret = image_reopen(&image, config->file, notes->size, err);

	if (ret)
		return ret;
	if (notes->copied)
		ret = image_load(&image, notes->size - notes->copied, memory,
				 COPY_END - notes->copied, notes->copied, err);
	image_close(&image);
	return ret;
}

const struct boot_row boot_firmware = {
	.type = {
		.name = "firmware",
		.doc = "A ROM below 4 GiB that the processor starts in, as after power-on",
		.options = options,
		.size = sizeof(struct firmware_config),
	},
	.arches = ARCH_X86_64,
	.interrupts = true,
	.plan = firmware_plan,
	.load = firmware_load,
};
