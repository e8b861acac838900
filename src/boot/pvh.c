/* pvh.c: boot format `pvh`: an ELF kernel that offers the PVH entry of Xen's HVM guests.
 *
 * After xen/include/public/arch-x86/hvm/start_info.h and docs/misc/pvh.pandoc of Xen: 32-bit
 * protected mode, paging off, flat segments; EBX points to the start info.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>

#include "e820.h"
#include "elf.h"
#include "identify.h"
#include "kernel.h"

struct pvh_config {
	char *kernel;
	char *initrd;
	char *cmdline;
};

static const struct option options[] = {
	OPTION(struct pvh_config, kernel, OPTION_PATH, .required = true,
	       .doc = "The kernel: an ELF executable with a note that tells its PVH entry"),
	OPTION(struct pvh_config, initrd, OPTION_PATH, .doc = "Its initial RAM disk, or module"),
	OPTION(struct pvh_config, cmdline, OPTION_STRING, .doc = "Its command line"),
	{ 0 },
};

/* struct hvm_start_info, hvm_modlist_entry and hvm_memmap_table_entry, one behind the other. */
enum {
	MAGIC = 0,
	VERSION = 4,
	NR_MODULES = 12,
	MODLIST = 16,
	CMDLINE = 24,
	RSDP = 32,
	MEMMAP = 40,
	MEMMAP_ENTRIES = 48,
	INFO_LEN = 56,
	MODULE_LEN = 32,
	MAP_LEN = 24,
};

#define MAGIC_VALUE 0x336ec578
#define TOP_4G	    (4ULL << 30)
/* No limit is told; more than any kernel takes. */
#define CMDLINE_MAX 65535

struct notes {
	struct elf elf;
	struct kernel_extras extras;
	uint64_t info, map_max; /* guest address; entries that there is room for */
};

static uint64_t info_size(const struct notes *notes)
{
	return INFO_LEN + MODULE_LEN + notes->map_max * MAP_LEN;
}

/* Reads the kernel's headers; false after a report. */
static bool read_kernel(const struct plan *plan, const struct image *kernel, struct mark mark,
			struct elf *elf, struct diags *diags)
{
	struct identity identity = { 0 };
	struct err err = { 0 };
	char name[24];
	int ret = elf_read(kernel, elf, &err);

	if (ret == -ENOEXEC)
		identity = identify_image(kernel);
	if (ret && identity.name && (!identity.format || strcmp(identity.format, "elf") != 0)) {
		diag_error(diags, mark, "image '%s' is no ELF file but %s", kernel->path,
			   identity.name);
		identify_help(plan, &identity, diags);
	} else if (ret) {
		diag_error(diags, mark, "image '%s' %s", kernel->path, err.text);
	} else if (elf->machine != ELF_386 && elf->machine != ELF_X86_64) {
		diag_error(diags, mark, "image '%s' is an ELF file for %s; this VM is %s",
			   kernel->path, elf_machine_name(elf->machine, name, sizeof(name)),
			   hv_arch_name(plan->arch->arch));
	} else if (!elf->has_pvh) {
		diag_error(diags, mark, "image '%s' offers no PVH entry", kernel->path);
		diag_help(diags, "a Linux kernel is booted by the format `linux`, a bare program "
				 "by `elf`; `readelf -n` shows PVH as a note of Xen with type 18");
	} else {
		return true;
	}
	return false;
}

static void pvh_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct pvh_config *config = boot->options;
	struct mark mark = node_get(boot->node, "kernel")->mark;
	struct notes *notes;
	struct image kernel;
	bool good;

	if (image_open(&kernel, config->kernel, mark, diags))
		return;
	notes = calloc(1, sizeof(*notes));
	if (!notes) {
		diag_error(diags, MARK_NONE, "out of memory");
		image_close(&kernel);
		return;
	}
	plan->boot_private = notes;
	notes->extras = kernel_extras(boot, config->cmdline, config->initrd);
	notes->map_max = e820_map(plan, NULL, 0) + E820_SPARE;
	good = read_kernel(plan, &kernel, mark, &notes->elf, diags);
	image_close(&kernel);
	if (!good || !elf_plan_segments(plan, diags, &notes->elf, mark))
		return;
	good = kernel_place_low(plan, diags, "start info", info_size(notes), mark, &notes->info);
	good &= kernel_plan_cmdline(plan, &notes->extras, CMDLINE_MAX,
				    "that is the limit of vibevmm", diags);
	good &= kernel_plan_initrd(plan, &notes->extras, TOP_4G - 1, 0, diags);
	if (!good)
		return;
	plan_set_entry(plan, diags, ENTRY_PROTECTED, notes->elf.pvh_entry, mark);
	plan->entry.rbx = notes->info;
}

static int put_info(const struct plan *plan, const struct notes *notes, struct memory *memory,
		    struct err *err)
{
	const struct kernel_extras *extras = &notes->extras;
	uint8_t *info = memory_ptr(memory, notes->info, info_size(notes), true), *p;
	struct e820_entry *map;
	size_t n;
	int ret;

	if (!info)
		return err_set(err, EFAULT, STATUS_BUG, "start info lies outside of memory");
	ret = e820_make(plan, notes->map_max, &map, &n, err);
	if (ret)
		return ret;
	memset(info, 0, info_size(notes));
	bytes_put32(info + MAGIC, MAGIC_VALUE);
	bytes_put32(info + VERSION, 1);
	if (extras->cmdline_size)
		bytes_put64(info + CMDLINE, extras->cmdline);
	bytes_put64(info + RSDP, plan->tables.rsdp);
	if (extras->initrd_size) {
		bytes_put32(info + NR_MODULES, 1);
		bytes_put64(info + MODLIST, notes->info + INFO_LEN);
		bytes_put64(info + INFO_LEN, extras->initrd);
		bytes_put64(info + INFO_LEN + 8, extras->initrd_size);
	}
	bytes_put64(info + MEMMAP, notes->info + INFO_LEN + MODULE_LEN);
	bytes_put32(info + MEMMAP_ENTRIES, (uint32_t)n);
	p = info + INFO_LEN + MODULE_LEN;
	for (size_t i = 0; i < n; i++, p += MAP_LEN) {
		bytes_put64(p, map[i].addr);
		bytes_put64(p + 8, map[i].size);
		bytes_put32(p + 16, map[i].type);
	}
	free(map);
	return 0;
}

static int pvh_load(const struct plan *plan, const struct config_choice *boot,
		    struct memory *memory, struct err *err)
{
	const struct pvh_config *config = boot->options;
	const struct notes *notes = plan->boot_private;
	int ret = elf_load_file(config->kernel, &notes->elf, memory, err);

	if (!ret)
		ret = kernel_load_extras(&notes->extras, memory, err);
	return ret ? ret : put_info(plan, notes, memory, err);
}

const struct boot_row boot_pvh = {
	.type = {
		.name = "pvh",
		.doc = "An ELF kernel with a PVH entry: FreeBSD, Xen, unikernels",
		.options = options,
		.size = sizeof(struct pvh_config),
	},
	.arches = ARCH_X86_64,
	.interrupts = true,
	.tables = true,
	.devices = kernel_devices,
	.plan = pvh_plan,
	.load = pvh_load,
};
