/* arm64_tables.c: where the device tree lies, and putting it there: one made for this machine, or
 * the user's own.
 *
 * Linux wants it in RAM, at most 2 MiB long (Documentation/arch/arm64/booting.rst, 2), and older
 * versions within 512 MiB of the kernel, which is at the bottom of RAM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/image.h>

#include "arm64_tables.h"
#include "fdt.h"

#define PAGE  4096ULL
#define MIB   (1ULL << 20)
#define SLOT  (2 * MIB)
#define REACH (512 * MIB)

/* The tree, but for what is new at each start. */
struct tables {
	uint64_t at;
	size_t room, len;
	uint8_t bytes[];
};

/* The user's own tree, checked. */
static int read_own(const struct plan *plan, void **tree, size_t *len, struct diags *diags)
{
	struct mark mark = plan->tables.dtb_mark;
	const char *path = plan->tables.dtb;
	void *bytes = NULL;
	struct image image;
	int ret = image_open(&image, path, mark, diags);

	if (ret)
		return ret;
	if (image.size > FDT_TREE_MAX) {
		ret = -E2BIG;
		diag_error(diags, mark, "device tree '%s' has %llu bytes; at most 2M are possible",
			   path, (unsigned long long)image.size);
		goto out;
	}
	bytes = malloc(image.size);
	ret = bytes ? image_read(&image, 0, bytes, image.size) : -ENOMEM;
	if (ret) {
		diag_error(diags, mark, "cannot read '%s': %s", path, strerror(-ret));
		goto out;
	}
	ret = fdt_tree_check(bytes, image.size);
	if (ret) {
		diag_error(diags, mark, "'%s' is no device tree, or a damaged one", path);
		diag_help(diags, "it is made by `dtc -O dtb`; `vibevmm plan --dtb FILE` writes the "
				 "tree of this VM to begin with");
		goto out;
	}
	*tree = bytes;
	*len = image.size;
	bytes = NULL;
out:
	free(bytes);
	image_close(&image);
	return ret;
}

static void report(const struct plan *plan, int ret, struct diags *diags)
{
	if (ret == -E2BIG)
		diag_error(diags, plan->tables.dtb_mark,
			   "the device tree grows beyond the 2M that it may have");
	else if (ret == -ENOMEM)
		diag_error(diags, MARK_NONE, "out of memory");
	else
		diag_error(diags, plan->tables.dtb_mark, "the device tree cannot be changed");
}

/* Where the user wants it, or low: in a slot of its own if there is room, as Linux may map the
 * whole slot. */
static bool place(struct plan *plan, struct tables *tables, struct diags *diags)
{
	struct plan_tables *wish = &plan->tables;
	const struct plan_region *ram;
	uint64_t max = UINT64_MAX;

	tables->room = (tables->len + FDT_TREE_SEEDS + PAGE - 1) & ~(PAGE - 1);
	if (tables->room > FDT_TREE_MAX)
		tables->room = FDT_TREE_MAX;
	if (wish->dtb_fixed) {
		tables->at = wish->dtb_at;
		return plan_boot_fixed(plan, diags, "device tree", wish->dtb_at, tables->room,
				       wish->dtb_mark);
	}
	ram = plan_region_at(plan, SPACE_MEM, 1U << REGION_RAM, plan->entry.pc);
	if (ram && ram->start < UINT64_MAX - REACH)
		max = ram->start + REACH - 1;
	return plan_boot_place(plan, NULL, "device tree", tables->room, SLOT, 0, max, false,
			       wish->dtb_mark, &tables->at) ||
	       plan_boot_place(plan, diags, "device tree", tables->room, PAGE, 0, max, false,
			       wish->dtb_mark, &tables->at);
}

void arm64_tables_plan(struct plan *plan, struct diags *diags)
{
	void *tree = NULL, *whole = NULL;
	struct tables *tables;
	size_t len;
	int ret;

	if (plan->tables.dtb && read_own(plan, &tree, &len, diags))
		return;
	ret = tree ? 0 : fdt_tree_build(plan, &tree, &len);
	if (!ret)
		ret = fdt_tree_chosen(plan, tree, &whole, &len);
	free(tree);
	tables = ret ? NULL : malloc(sizeof(*tables) + len);
	if (tables) {
		*tables = (struct tables){ .len = len };
		memcpy(tables->bytes, whole, len);
	} else {
		report(plan, ret ? ret : -ENOMEM, diags);
	}
	free(whole);
	if (!tables || !place(plan, tables, diags)) {
		free(tables);
		return;
	}
	plan->tables.private = tables;
	plan->entry.x0 = tables->at;
}

int arm64_tables_write(const struct plan *plan, struct memory *memory, struct err *err)
{
	const struct tables *tables = plan->tables.private;
	void *tree = NULL;
	size_t len = 0;
	int ret = fdt_tree_seeds(tables->bytes, &tree, &len);

	if (ret == -ENOMEM)
		return err_errno(err, ENOMEM, STATUS_OSERR, "device tree");
	if (ret || len > tables->room) /* full to the brim: the guest does without */
		ret = memory_write(memory, tables->at, tables->bytes, tables->len);
	else
		ret = memory_write(memory, tables->at, tree, len);
	free(tree);
	return ret ? err_set(err, -ret, STATUS_BUG, "the device tree lies outside of guest memory")
		   : 0;
}

int arm64_tables_each(const struct plan *plan, plan_table_fn fn, void *arg)
{
	const struct tables *tables = plan->tables.private;

	return tables ? fn(arg, "vm.dtb", tables->bytes, tables->len) : 0;
}
