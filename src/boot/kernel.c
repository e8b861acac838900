/* kernel.c: command line and initial RAM disk, for the boot formats of kernels. */
#include <errno.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "identify.h"
#include "kernel.h"

#define PAGE	4096ULL
#define LOW_TOP (640ULL << 10)
#define TOP_4G	(4ULL << 30)

/* acpi-pm where there is ACPI; on arm64, where PSCI powers off, gpio has the button. */
const char *const kernel_devices[] = { "acpi-pm", "gpio", "pvpanic", NULL };

struct kernel_extras kernel_extras(const struct config_choice *boot, const char *cmdline,
				   const char *initrd)
{
	const struct node *cmdline_node = node_get(boot->node, "cmdline");
	const struct node *initrd_node = node_get(boot->node, "initrd");

	return (struct kernel_extras){
		.cmdline_text = cmdline,
		.initrd_path = initrd,
		.cmdline_mark = cmdline_node ? cmdline_node->mark : boot->mark,
		.initrd_mark = initrd_node ? initrd_node->mark : boot->mark,
	};
}

/* The first page is left to what a PC's BIOS keeps there. */
bool kernel_place_low(struct plan *plan, struct diags *diags, const char *name, uint64_t size,
		      struct mark mark, uint64_t *start)
{
	return plan_boot_place(plan, NULL, name, size, PAGE, PAGE, LOW_TOP - 1, false, mark,
			       start) ||
	       plan_boot_place(plan, diags, name, size, PAGE, PAGE, TOP_4G - 1, false, mark, start);
}

static uint64_t cmdline_size(const struct kernel_extras *extras)
{
	return extras->cmdline_text ? strlen(extras->cmdline_text) : 0;
}

bool kernel_check_cmdline(const struct kernel_extras *extras, uint64_t limit, const char *why,
			  struct diags *diags)
{
	uint64_t size = cmdline_size(extras);

	if (size <= limit)
		return true;
	diag_error(diags, extras->cmdline_mark,
		   "the command line has %llu bytes; this kernel takes at most %llu",
		   (unsigned long long)size, (unsigned long long)limit);
	diag_help(diags, "%s", why);
	return false;
}

bool kernel_plan_cmdline(struct plan *plan, struct kernel_extras *extras, uint64_t limit,
			 const char *why, struct diags *diags)
{
	uint64_t size = cmdline_size(extras);

	if (!kernel_check_cmdline(extras, limit, why, diags))
		return false;
	if (!size)
		return true;
	if (!kernel_place_low(plan, diags, "command line", size + 1, extras->cmdline_mark,
			      &extras->cmdline))
		return false;
	extras->cmdline_size = size;
	return true;
}

/* What is in it is between the user and the kernel, but it is no kernel. */
static bool check_initrd(const struct image *image, struct mark mark, struct diags *diags)
{
	struct identity identity = identify_image(image);

	if (!identity.format)
		return true;
	diag_error(diags, mark, "initrd '%s' is %s", image->path, identity.name);
	diag_help(diags, "an initrd is a cpio archive, mostly a compressed one");
	return false;
}

bool kernel_plan_initrd(struct plan *plan, struct kernel_extras *extras, uint64_t max,
			uint64_t more, struct diags *diags)
{
	struct mark mark = extras->initrd_mark;
	struct image image;
	bool good;

	if (!extras->initrd_path)
		return true;
	if (image_open(&image, extras->initrd_path, mark, diags))
		return false;
	good = check_initrd(&image, mark, diags);
	image_close(&image);
	if (!good)
		return false;
	if (!(more && plan_boot_place(plan, NULL, "initrd", image.size, PAGE, PAGE, max, true, mark,
				      &extras->initrd)) &&
	    !plan_boot_place(plan, diags, "initrd", image.size, PAGE, PAGE, more ? more : max, true,
			     mark, &extras->initrd))
		return false;
	extras->initrd_size = image.size;
	return true;
}

void kernel_plan_dtb(struct plan *plan, const struct config_choice *boot, const char *dtb,
		     uint64_t at)
{
	const struct node *file = node_get(boot->node, "dtb");
	const struct node *place = node_get(boot->node, "dtb_at");

	plan->tables.wanted |= file || place;
	plan->tables.dtb = dtb;
	plan->tables.dtb_fixed = place;
	plan->tables.dtb_at = at;
	plan->tables.dtb_mark = file ? file->mark : place ? place->mark : boot->mark;
}

int kernel_load_extras(const struct kernel_extras *extras, struct memory *memory, struct err *err)
{
	if (extras->cmdline_size &&
	    memory_write(memory, extras->cmdline, extras->cmdline_text, extras->cmdline_size + 1))
		return err_set(err, EFAULT, STATUS_BUG,
			       "the command line lies outside of guest memory");
	if (!extras->initrd_size)
		return 0;
	return image_load_file(extras->initrd_path, extras->initrd_size, memory, extras->initrd,
			       err);
}
