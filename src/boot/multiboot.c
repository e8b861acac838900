/* multiboot.c: boot format `multiboot`: a kernel for PCs that any Multiboot loader starts.
 *
 * All sections named are those of the Multiboot Specification, version 0.6.96.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>

#include "e820.h"
#include "identify.h"
#include "kernel.h"
#include "multiboot.h"

/* ---- Options --------------------------------------------------------------------------------- */

struct module_config {
	char *file;
	char *cmdline;
};

static const struct option module_options[] = {
	OPTION(struct module_config, file, OPTION_PATH, .required = true,
	       .doc = "The file, whatever is in it"),
	OPTION(struct module_config, cmdline, OPTION_STRING,
	       .doc = "Text that the kernel gets with it, as a rule its name and arguments"),
	{ 0 },
};

static const struct config_type module_type = {
	.name = "module",
	.doc = "A file that is loaded with the kernel",
	.options = module_options,
	.size = sizeof(struct module_config),
};

struct multiboot_config {
	char *kernel;
	char *cmdline;
	struct config_maps modules;
};

static const struct option options[] = {
	OPTION(struct multiboot_config, kernel, OPTION_PATH, .required = true,
	       .doc = "The kernel, with a Multiboot header (version 1): an ELF executable, or a "
		      "flat "
		      "binary that has its addresses in the header"),
	OPTION(struct multiboot_config, cmdline, OPTION_STRING, .doc = "Its command line"),
	OPTION(struct multiboot_config, modules, OPTION_MAPS, .type = &module_type,
	       .doc = "Files that are loaded with it, page-aligned, behind the kernel"),
	{ 0 },
};

/* ---- What the kernel is told: 3.3 ------------------------------------------------------------ */

#define BOOT_MAGIC 0x2badb002U /* in EAX: 3.2 */

enum {
	INFO_MEMORY = 1 << 0,
	INFO_CMDLINE = 1 << 2,
	INFO_MODULES = 1 << 3,
	INFO_MAP = 1 << 6,
	INFO_LOADER = 1 << 9,
};

#define INFO_LEN   120U /* up to the end of the framebuffer's fields */
#define MODULE_LEN 16U
#define MAP_LEN	   24U /* with the size field in front, which doesn't count itself */
#define MIB	   (1ULL << 20)
#define LOW_TOP	   (640ULL << 10)
#define TOP_4G	   (4ULL << 30) /* where a module may end; mod_end has 32 bits */

struct notes {
	struct multiboot mb;
	uint64_t info, info_size;
	size_t map_max; /* entries that there is room for */
	uint32_t n_modules;
	struct {
		uint64_t at, size;
	} modules[];
};

/* Bytes in the making, which the guest will find at `base`. p NULL: only counted. */
struct block {
	uint8_t *p;
	uint64_t base, len;
};

/* Appends; returns the guest's address. */
static uint32_t put(struct block *b, const void *data, size_t len)
{
	uint64_t at = b->base + b->len;

	if (b->p)
		memcpy(b->p + b->len, data, len);
	b->len += len;
	return (uint32_t)at;
}

static uint32_t put_text(struct block *b, const char *text)
{
	return text ? put(b, text, strlen(text) + 1) : put(b, "", 1);
}

/* How far RAM goes without a gap from `from` on, in KiB, of which a field holds 32 bits. */
static uint32_t ram_kib(const struct e820_entry *map, size_t n, uint64_t from, uint64_t top)
{
	uint64_t end = from;

	for (size_t i = 0; i < n; i++) {
		if (map[i].type == E820_RAM && map[i].addr <= end &&
		    end - map[i].addr < map[i].size)
			end = map[i].addr + map[i].size;
	}
	end = (end < top ? end : top) - from;
	return end >> 10 < UINT32_MAX ? (uint32_t)(end >> 10) : UINT32_MAX;
}

static void put_map(struct block *b, uint8_t info[INFO_LEN], const struct e820_entry *map, size_t n,
		    size_t max)
{
	uint8_t entry[MAP_LEN] = { 0 };

	bytes_put32(info + 44, (uint32_t)(n * MAP_LEN));
	bytes_put32(info + 48, (uint32_t)(b->base + b->len));
	for (size_t i = 0; i < max; i++) {
		struct e820_entry e = i < n ? map[i] : (struct e820_entry){ 0 };

		bytes_put32(entry, MAP_LEN - 4);
		bytes_put64(entry + 4, e.addr);
		bytes_put64(entry + 12, e.size);
		bytes_put32(entry + 20, e.type);
		put(b, entry, MAP_LEN);
	}
}

static void put_modules(struct block *b, uint8_t info[INFO_LEN], const struct notes *notes,
			const struct module_config *modules)
{
	uint64_t texts = b->base + b->len + (uint64_t)notes->n_modules * MODULE_LEN;
	uint8_t entry[MODULE_LEN] = { 0 };

	bytes_put32(info + 20, notes->n_modules);
	bytes_put32(info + 24, (uint32_t)(b->base + b->len));
	for (uint32_t i = 0; i < notes->n_modules; i++) {
		bytes_put32(entry, (uint32_t)notes->modules[i].at);
		bytes_put32(entry + 4, (uint32_t)(notes->modules[i].at + notes->modules[i].size));
		bytes_put32(entry + 8, (uint32_t)texts);
		put(b, entry, MODULE_LEN);
		texts += modules[i].cmdline ? strlen(modules[i].cmdline) + 1 : 1;
	}
	for (uint32_t i = 0; i < notes->n_modules; i++)
		put_text(b, modules[i].cmdline);
}

/* The information structure, and behind it what it points to. */
static void put_info(struct block *b, const struct multiboot_config *config,
		     const struct notes *notes, const struct e820_entry *map, size_t n)
{
	uint32_t flags = INFO_MEMORY | INFO_MAP | INFO_LOADER;
	uint8_t info[INFO_LEN] = { 0 };

	b->len = INFO_LEN;
	bytes_put32(info + 4, ram_kib(map, n, 0, LOW_TOP));
	bytes_put32(info + 8, ram_kib(map, n, MIB, UINT64_MAX));
	put_map(b, info, map, n, notes->map_max);
	if (notes->n_modules) {
		flags |= INFO_MODULES;
		put_modules(b, info, notes, config->modules.list);
	}
	if (config->cmdline) {
		flags |= INFO_CMDLINE;
		bytes_put32(info + 16, put_text(b, config->cmdline));
	}
	bytes_put32(info + 64, put_text(b, "vibevmm"));
	bytes_put32(info, flags);
	if (b->p)
		memcpy(b->p, info, INFO_LEN);
}

/* ---- Planning -------------------------------------------------------------------------------- */

static bool plan_kernel(struct plan *plan, const struct multiboot_config *config,
			struct multiboot *mb, struct mark mark, struct diags *diags)
{
	struct identity identity = { 0 };
	struct err err = { 0 };
	struct image image;
	int ret;

	if (image_open(&image, config->kernel, mark, diags))
		return false;
	ret = multiboot_read(&image, mb, &err);
	if (ret == -ENOEXEC)
		identity = identify_image(&image);
	image_close(&image);
	if (ret) {
		diag_error(diags, mark, "kernel '%s' %s", config->kernel, err.text);
		if (identity.name)
			identify_help(plan, &identity, diags);
		return false;
	}
	for (unsigned i = 0; i < mb->elf.n_segments; i++) {
		const struct elf_segment *s = &mb->elf.segments[i];
		char name[24] = "kernel";

		if (!mb->flat)
			snprintf(name, sizeof(name), "elf segment %u", s->index);
		if (!plan_boot_fixed(plan, diags, name, s->paddr, s->mem_size, mark))
			return false;
	}
	return true;
}

/* Behind the kernel, the place where other loaders put them and where kernels expect them. */
static bool plan_modules(struct plan *plan, const struct config_choice *boot, struct notes *notes,
			 struct diags *diags)
{
	const struct multiboot_config *config = boot->options;
	const struct module_config *modules = config->modules.list;
	const struct node *list = node_get(boot->node, "modules");
	uint64_t min = 0;

	for (unsigned i = 0; i < notes->mb.elf.n_segments; i++) {
		const struct elf_segment *s = &notes->mb.elf.segments[i];

		if (s->paddr < TOP_4G && s->paddr + s->mem_size > min)
			min = s->paddr + s->mem_size;
	}
	for (uint32_t i = 0; i < notes->n_modules; i++) {
		struct mark mark = node_get(list->children[i], "file")->mark;
		struct image image;
		char name[24];

		if (image_open(&image, modules[i].file, mark, diags))
			return false;
		image_close(&image);
		snprintf(name, sizeof(name), "module %u", i);
		if (!plan_boot_place(plan, diags, name, image.size, 4096, min, TOP_4G - 2, false,
				     mark, &notes->modules[i].at))
			return false;
		notes->modules[i].size = image.size;
	}
	return true;
}

static void multiboot_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct multiboot_config *config = boot->options;
	struct mark mark = node_get(boot->node, "kernel")->mark;
	struct block block = { 0 };
	struct notes *notes;

	notes = calloc(1, sizeof(*notes) + config->modules.n * sizeof(notes->modules[0]));
	if (!notes) {
		diag_error(diags, MARK_NONE, "out of memory");
		return;
	}
	plan->boot_private = notes;
	notes->n_modules = config->modules.n;
	if (!plan_kernel(plan, config, &notes->mb, mark, diags) ||
	    !plan_modules(plan, boot, notes, diags))
		return;
	notes->map_max = e820_map(plan, NULL, 0) + E820_SPARE;
	put_info(&block, config, notes, NULL, 0);
	if (!kernel_place_low(plan, diags, "multiboot info", block.len, mark, &notes->info))
		return;
	notes->info_size = block.len;
	plan_set_entry(plan, diags, ENTRY_PROTECTED, notes->mb.elf.entry, mark);
	plan->entry.rax = BOOT_MAGIC;
	plan->entry.rbx = notes->info;
}

/* ---- Loading --------------------------------------------------------------------------------- */

static int load_info(const struct plan *plan, const struct multiboot_config *config,
		     const struct notes *notes, struct memory *memory, struct err *err)
{
	struct e820_entry *map;
	struct block block = { .p = memory_ptr(memory, notes->info, notes->info_size, true),
			       .base = notes->info };
	size_t n;
	int ret;

	if (!block.p)
		return err_set(err, EFAULT, STATUS_BUG, "multiboot info lies outside of memory");
	ret = e820_make(plan, notes->map_max, &map, &n, err);
	if (ret)
		return ret;
	put_info(&block, config, notes, map, n);
	assert(block.len == notes->info_size);
	free(map);
	return 0;
}

static int multiboot_load(const struct plan *plan, const struct config_choice *boot,
			  struct memory *memory, struct err *err)
{
	const struct multiboot_config *config = boot->options;
	const struct module_config *modules = config->modules.list;
	const struct notes *notes = plan->boot_private;
	int ret = elf_load_file(config->kernel, &notes->mb.elf, memory, err);

	for (uint32_t i = 0; i < notes->n_modules && !ret; i++)
		ret = image_load_file(modules[i].file, notes->modules[i].size, memory,
				      notes->modules[i].at, err);
	return ret ? ret : load_info(plan, config, notes, memory, err);
}

const struct boot_row boot_multiboot = {
	.type = {
		.name = "multiboot",
		.doc = "A Multiboot kernel (version 1), ELF or flat, entered in 32-bit protected "
		       "mode",
		.options = options,
		.size = sizeof(struct multiboot_config),
	},
	.arches = ARCH_X86_64,
	.interrupts = true,
	.tables = true,
	.plan = multiboot_plan,
	.load = multiboot_load,
};
