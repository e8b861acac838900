/* linux_x86_64.c: Linux on x86_64: bzImage and vmlinux, entered with `struct boot_params`.
 *
 * "boot.rst" is Linux's Documentation/arch/x86/boot.rst, "zero-page.rst" the page next to it.
 * Fields of the setup header have the same offset in the file and in boot_params.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "e820.h"
#include "elf.h"
#include "identify.h"
#include "linux.h"
#include "unpack.h"

#define PAGE	4096ULL
#define TOP_4G	(4ULL << 30)
#define TOP_RAM (UINT64_MAX)

/* boot.rst, "The Real-Mode Kernel Header". The header's end is told by the byte at JUMP + 1, and
 * boot_params has room for it up to HEADER_TOP. */
enum {
	HEADER = 0x1f1,
	SETUP_SECTS = 0x1f1,
	SYSSIZE = 0x1f4,
	BOOT_FLAG = 0x1fe,
	JUMP = 0x200,
	MAGIC = 0x202,
	VERSION = 0x206,
	TYPE_OF_LOADER = 0x210,
	LOADFLAGS = 0x211,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	CMD_LINE_PTR = 0x228,
	INITRD_ADDR_MAX = 0x22c,
	KERNEL_ALIGNMENT = 0x230,
	RELOCATABLE_KERNEL = 0x234,
	XLOADFLAGS = 0x236,
	CMDLINE_SIZE = 0x238,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	SETUP_DATA = 0x250,
	PREF_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
	HEADER_TOP = 0x290,
};

#define BOOT_FLAG_VALUE 0xaa55
#define LOADED_HIGH	0x01
#define CAN_USE_HEAP	0x80
#define XLF_KERNEL_64	0x01
#define XLF_ABOVE_4G	0x02
#define LOADER_UNKNOWN	0xff  /* type_of_loader without a number of its own */
#define ENTRY_64	0x200 /* boot.rst, "64-bit Boot Protocol" */
#define BOOT_CS		0x10  /* and __BOOT_DS is 0x18 */

/* zero-page.rst. All else stays zero: no screen (so that the kernel looks for no VGA), no APM, no
 * EDD; and `sentinel`, which says that we have cleared what we don't know. */
enum {
	ACPI_RSDP_ADDR = 0x070,
	EXT_RAMDISK_IMAGE = 0x0c0,
	EXT_RAMDISK_SIZE = 0x0c4,
	EXT_CMD_LINE_PTR = 0x0c8,
	E820_ENTRIES = 0x1e8,
	E820_TABLE = 0x2d0,
	E820_MAX = 128,
	E820_SIZE = 20,
	SETUP_E820_EXT = 1,   /* boot.rst, setup_data */
	SETUP_DATA_HEAD = 16, /* next, type, len */
};

struct x86_notes {
	struct linux_notes common; /* first */
	uint8_t head[HEADER_TOP];  /* the kernel's first bytes, or what stands for them */
	bool is_elf;
	struct elf elf;
	uint64_t load, offset, size; /* of a bzImage's protected-mode part */
	uint64_t params, params_size;
};

/* ---- bzImage ------------------------------------------------------------------------------- */

/* What the header says, with what older versions of the protocol mean by not saying it. */
struct setup {
	unsigned version;
	bool is_64, above_4g, relocatable;
	uint64_t offset, size;		/* of the protected-mode part */
	uint64_t payload, payload_size; /* of the compressed kernel in it; 0: not told */
	uint64_t address, align, room;
	uint64_t initrd_max, cmdline_max;
};

static int refuse(struct err *err, const char *why)
{
	return err_set(err, ENOEXEC, STATUS_CONFIG, "%s", why);
}

/* The part that is loaded: all of it must be there. */
static int read_extent(const uint8_t *head, uint64_t file_size, struct setup *setup,
		       struct err *err)
{
	uint64_t told = (uint64_t)bytes_get32(head + SYSSIZE) * 16;

	setup->size = file_size - setup->offset;
	/* Rounded up to 16 bytes; the upper half is there since 2.04. */
	if (setup->version >= 0x204 && told >= setup->size + 16)
		return err_set(err, EIO, STATUS_CONFIG,
			       "is a truncated kernel: by its header it has %llu bytes, here are "
			       "%llu",
			       (unsigned long long)(setup->offset + told),
			       (unsigned long long)file_size);
	return 0;
}

static int read_setup(const uint8_t *head, uint64_t file_size, struct setup *setup, struct err *err)
{
	unsigned sects = head[SETUP_SECTS] ? head[SETUP_SECTS] : 4;
	uint16_t xloadflags;
	int ret;

	setup->offset = (sects + 1) * 512ULL;
	if (setup->offset >= file_size)
		return refuse(err, "is a truncated kernel: it ends within its setup part");
	if (bytes_get16(head + BOOT_FLAG) != BOOT_FLAG_VALUE)
		return refuse(err, "is a damaged kernel: its boot flag is not 0xaa55");
	setup->version = bytes_get16(head + VERSION);
	if (setup->version < 0x202 || !(head[LOADFLAGS] & LOADED_HIGH))
		return refuse(err, "is a kernel for low memory (a zImage, or older than Linux "
				   "2.4); only a bzImage can be booted");
	ret = read_extent(head, file_size, setup, err);
	if (ret)
		return ret;

	xloadflags = setup->version >= 0x20c ? bytes_get16(head + XLOADFLAGS) : 0;
	setup->is_64 = xloadflags & XLF_KERNEL_64;
	setup->above_4g = setup->is_64 && (xloadflags & XLF_ABOVE_4G);
	setup->initrd_max =
		setup->version >= 0x203 ? bytes_get32(head + INITRD_ADDR_MAX) : 0x37ffffff;
	setup->cmdline_max = setup->version >= 0x206 ? bytes_get32(head + CMDLINE_SIZE) : 255;
	setup->relocatable = setup->version >= 0x205 && head[RELOCATABLE_KERNEL];
	setup->align = setup->relocatable ? bytes_get32(head + KERNEL_ALIGNMENT) : PAGE;
	if (!bytes_is_power_of_2(setup->align))
		return refuse(err, "is a damaged kernel: its alignment is not a power of two");
	if (setup->align < PAGE)
		setup->align = PAGE;
	if (setup->version >= 0x208) {
		setup->payload = bytes_get32(head + PAYLOAD_OFFSET);
		setup->payload_size = bytes_get32(head + PAYLOAD_LENGTH);
		if (!bytes_inside(setup->payload, setup->payload_size, 0, setup->size))
			return refuse(err, "is a damaged kernel: its payload reaches beyond its "
					   "end");
		setup->payload += setup->offset;
	}
	if (setup->version >= 0x20a) {
		setup->address = bytes_get64(head + PREF_ADDRESS);
		setup->room = bytes_get32(head + INIT_SIZE);
	} else {
		/* Not told: how far it unpacks is a guess, with gzip's usual third in mind. */
		setup->address = 0x100000;
		setup->room = setup->size * 4;
	}
	if (setup->room < setup->size)
		setup->room = setup->size;
	return 0;
}

/* The first bytes of a file, as far as it has them. False: it can't be read. */
static bool read_head(const struct image *file, uint8_t head[HEADER_TOP])
{
	return !image_read(file, 0, head, file->size < HEADER_TOP ? file->size : HEADER_TOP);
}

static bool is_bzimage(const uint8_t head[HEADER_TOP])
{
	return !memcmp(head + MAGIC, "HdrS", 4);
}

int linux_x86_64_payload(const struct image *file, uint64_t *offset, uint64_t *len, struct err *err)
{
	uint8_t head[HEADER_TOP] = { 0 };
	struct setup setup = { 0 };
	int ret;

	if (!read_head(file, head) || !is_bzimage(head))
		return -ENOENT;
	ret = read_setup(head, file->size, &setup, err);
	if (ret)
		return ret;
	if (!setup.payload_size)
		return -ENOENT;
	*offset = setup.payload;
	*len = setup.payload_size;
	return 0;
}

/* At the address that it prefers if there is room, else above: below, it would move itself back. */
static bool place_bzimage(struct plan *plan, struct x86_notes *notes, const struct setup *setup,
			  struct diags *diags)
{
	struct mark mark = notes->common.mark;
	uint64_t low;

	notes->load = setup->address;
	if (setup->relocatable) {
		if (!plan_boot_place(plan, diags, "kernel", setup->room, setup->align,
				     setup->address, setup->above_4g ? TOP_RAM : TOP_4G - 1, false,
				     mark, &notes->load))
			return false;
	} else if (!plan_boot_fixed(plan, diags, "kernel", setup->address, setup->room, mark)) {
		return false;
	}
	/* While it unpacks itself, the kernel clears two pages at the end of low RAM, below the
	 * BIOS data of a PC, for a trampoline: arch/x86/boot/compressed/pgtable_64.c,
	 * find_trampoline_placement. The page tables that it runs on must not be there. */
	plan_boot_place(plan, NULL, "kernel's trampoline", 2 * PAGE, PAGE, PAGE, 0x9efff, true,
			mark, &low);
	return true;
}

/* ---- Planning ------------------------------------------------------------------------------ */

/* Room for boot_params, and for the memory map where that is longer than they hold. */
static bool plan_params(struct plan *plan, struct x86_notes *notes, struct diags *diags)
{
	size_t n = e820_map(plan, NULL, 0) + E820_SPARE;

	notes->params_size = PAGE;
	if (n > E820_MAX)
		notes->params_size += SETUP_DATA_HEAD + (n - E820_MAX) * E820_SIZE;
	return kernel_place_low(plan, diags, "boot parameters", notes->params_size,
				notes->common.mark, &notes->params);
}

/* The rest, once the kernel has its place. */
static void plan_rest(struct plan *plan, struct x86_notes *notes, const struct setup *setup,
		      const char *why, uint64_t entry, struct diags *diags)
{
	struct kernel_extras *extras = &notes->common.extras;
	bool good = plan_params(plan, notes, diags);

	/* Both, so that all mistakes show at once. */
	good &= kernel_plan_cmdline(plan, extras, setup->cmdline_max, why, diags);
	good &= kernel_plan_initrd(plan, extras, setup->initrd_max, setup->above_4g ? TOP_RAM : 0,
				   diags);
	if (!good)
		return;
	plan_set_entry(plan, diags, setup->is_64 ? ENTRY_LONG : ENTRY_PROTECTED, entry,
		       notes->common.mark);
	plan->entry.rsi = notes->params;
	plan->entry.code_selector = BOOT_CS;
}

/* Unpacks the vmlinux that is in a bzImage and plans for that, if all goes well. What doesn't is
 * left to the kernel's own code, but for damage: no kernel boots from that. False: reported. */
static bool plan_unpacked(struct plan *plan, struct x86_notes *notes, struct setup *setup,
			  const struct image *kernel, struct diags *diags)
{
	struct linux_notes *common = &notes->common;
	/* It has to fit where the kernel would unpack itself (init_size), and into RAM anyway. */
	uint64_t max = linux_unpack_max(plan, setup->version >= 0x20a ? setup->room : UNPACK_MAX);
	struct elf *elf = &notes->elf;
	uint64_t start = UINT64_MAX, end = 0;
	struct err err = { 0 };
	int ret;

	if (!common->may_unpack || !setup->payload_size)
		return true;
	ret = unpack(kernel, setup->payload, setup->payload_size, max, &common->unpacked, &err);
	if (ret == -ENOEXEC) {
		diag_error(diags, common->mark, "image '%s' %s", kernel->path, err.text);
		return false;
	}
	common->is_unpacked = !ret;
	if (!ret)
		ret = elf_read(&common->unpacked, elf, &err);
	for (unsigned i = 0; !ret && i < elf->n_segments; i++) {
		const struct elf_segment *s = &elf->segments[i];

		start = s->paddr < start ? s->paddr : start;
		end = s->paddr + s->mem_size > end ? s->paddr + s->mem_size : end;
	}
	/* It runs where it was linked to, or not at all. */
	if (!ret && elf->machine == (elf->is_64 ? ELF_X86_64 : ELF_386) &&
	    plan_boot_place(plan, NULL, "kernel", end - start, 1, start, end - 1, false,
			    common->mark, &start)) {
		setup->is_64 = elf->is_64;
		notes->is_elf = true;
		return true;
	}
	if (ret)
		log_info("image '%s' %s; it unpacks itself", kernel->path, err.text);
	if (common->is_unpacked)
		image_close(&common->unpacked);
	common->is_unpacked = false;
	return true;
}

static void plan_bzimage(struct plan *plan, struct x86_notes *notes, const struct image *kernel,
			 struct diags *diags)
{
	struct setup setup = { 0 };
	struct err err = { 0 };
	uint64_t entry;

	if (read_setup(notes->head, kernel->size, &setup, &err)) {
		diag_error(diags, notes->common.mark, "image '%s' %s", kernel->path, err.text);
		return;
	}
	notes->offset = setup.offset;
	notes->size = setup.size;
	if (!plan_unpacked(plan, notes, &setup, kernel, diags) ||
	    (!notes->is_elf && !place_bzimage(plan, notes, &setup, diags)))
		return;
	if (notes->is_elf)
		entry = notes->elf.entry;
	else
		entry = notes->load + (setup.is_64 ? ENTRY_64 : 0);
	plan_rest(plan, notes, &setup, "its setup header has that limit (cmdline_size)", entry,
		  diags);
}

/* A vmlinux has no setup header: what a bzImage of the same kernel would say, as far as the kernel
 * itself still looks at it. */
static void make_header(uint8_t *head)
{
	memset(head, 0, HEADER_TOP);
	bytes_put16(head + BOOT_FLAG, BOOT_FLAG_VALUE);
	bytes_put16(head + JUMP, 0x6aeb); /* jmp, over a header of the size that 2.15 has */
	memcpy(head + MAGIC, "HdrS", 4);
	bytes_put16(head + VERSION, 0x20f);
	head[LOADFLAGS] = LOADED_HIGH;
}

static void plan_vmlinux(struct plan *plan, struct x86_notes *notes, const struct image *kernel,
			 struct diags *diags)
{
	/* COMMAND_LINE_SIZE and initrd_addr_max of arch/x86; a 32-bit kernel wants its initrd in
	 * the memory that it maps for good. */
	struct setup setup = { .cmdline_max = 2047, .initrd_max = 0x7fffffff };
	struct mark mark = notes->common.mark;
	struct err err = { 0 };

	if (elf_read(kernel, &notes->elf, &err)) {
		diag_error(diags, mark, "image '%s' %s", kernel->path, err.text);
		return;
	}
	setup.is_64 = notes->elf.machine == ELF_X86_64 && notes->elf.is_64;
	setup.above_4g = setup.is_64;
	if (!setup.is_64 && (notes->elf.machine != ELF_386 || notes->elf.is_64)) {
		elf_report_foreign(plan, kernel->path, &notes->elf, mark, diags);
		return;
	}
	if (!setup.is_64)
		setup.initrd_max = 0x37ffffff;
	notes->is_elf = true;
	make_header(notes->head);
	if (elf_plan_segments(plan, diags, &notes->elf, mark))
		plan_rest(plan, notes, &setup, "that is Linux's limit on x86 (COMMAND_LINE_SIZE)",
			  notes->elf.entry, diags);
}

static void x86_plan(struct plan *plan, struct linux_notes *common, const struct image *kernel,
		     struct diags *diags)
{
	struct x86_notes *notes = (struct x86_notes *)common;

	if (read_head(kernel, notes->head)) {
		if (!memcmp(notes->head, "\177ELF", 4)) {
			plan_vmlinux(plan, notes, kernel, diags);
			return;
		}
		if (is_bzimage(notes->head)) {
			plan_bzimage(plan, notes, kernel, diags);
			return;
		}
	}
	linux_plan_other(plan, common, kernel,
			 "`linux` takes a bzImage (often called vmlinuz), or the vmlinux that it "
			 "was made from",
			 diags);
}

/* ---- Loading ------------------------------------------------------------------------------- */

static void put_entries(uint8_t *to, const struct e820_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++, to += E820_SIZE) {
		bytes_put64(to, entries[i].addr);
		bytes_put64(to + 8, entries[i].size);
		bytes_put32(to + 16, entries[i].type);
	}
}

/* What is too much for boot_params goes behind them as setup_data. */
static int put_e820(const struct plan *plan, const struct x86_notes *notes, uint8_t *params,
		    struct err *err)
{
	struct e820_entry *entries;
	uint8_t *more = params + PAGE;
	size_t max = E820_MAX, n, first;
	int ret;

	if (notes->params_size > PAGE)
		max += (notes->params_size - PAGE - SETUP_DATA_HEAD) / E820_SIZE;
	ret = e820_make(plan, max, &entries, &n, err);
	if (ret)
		return ret;
	first = n < E820_MAX ? n : E820_MAX;
	params[E820_ENTRIES] = (uint8_t)first;
	put_entries(params + E820_TABLE, entries, first);
	if (n > first) {
		bytes_put64(params + SETUP_DATA, notes->params + PAGE);
		bytes_put64(more, 0);
		bytes_put32(more + 8, SETUP_E820_EXT);
		bytes_put32(more + 12, (uint32_t)((n - first) * E820_SIZE));
		put_entries(more + SETUP_DATA_HEAD, entries + first, n - first);
	}
	free(entries);
	return 0;
}

static void put_split(uint8_t *params, unsigned low, unsigned high, uint64_t value)
{
	bytes_put32(params + low, (uint32_t)value);
	bytes_put32(params + high, (uint32_t)(value >> 32));
}

static int put_params(const struct plan *plan, const struct x86_notes *notes, struct memory *memory,
		      struct err *err)
{
	const struct kernel_extras *extras = &notes->common.extras;
	uint8_t *params = memory_ptr(memory, notes->params, notes->params_size, true);
	unsigned end = MAGIC + notes->head[JUMP + 1];

	if (!params)
		return err_set(err, EFAULT, STATUS_BUG, "boot parameters lie outside of memory");
	if (end > HEADER_TOP)
		end = HEADER_TOP;
	memset(params, 0, notes->params_size);
	memcpy(params + HEADER, notes->head + HEADER, end - HEADER);
	params[TYPE_OF_LOADER] = LOADER_UNKNOWN;
	params[LOADFLAGS] &= (uint8_t)~CAN_USE_HEAP; /* that is for the real-mode part */
	put_split(params, CMD_LINE_PTR, EXT_CMD_LINE_PTR, extras->cmdline);
	put_split(params, RAMDISK_IMAGE, EXT_RAMDISK_IMAGE, extras->initrd);
	put_split(params, RAMDISK_SIZE, EXT_RAMDISK_SIZE, extras->initrd_size);
	bytes_put64(params + SETUP_DATA, 0);
	bytes_put64(params + ACPI_RSDP_ADDR, plan->tables.rsdp);
	return put_e820(plan, notes, params, err);
}

static int x86_load(const struct plan *plan, const struct linux_notes *common,
		    const struct image *kernel, struct memory *memory, struct err *err)
{
	const struct x86_notes *notes = (const struct x86_notes *)common;
	int ret;

	if (notes->is_elf)
		ret = elf_load_segments(kernel, &notes->elf, memory, err);
	else
		ret = image_load(kernel, notes->offset, memory, notes->load, notes->size, err);
	return ret ? ret : put_params(plan, notes, memory, err);
}

const struct linux_arch linux_x86_64 = {
	.arch = ARCH_X86_64,
	.notes_size = sizeof(struct x86_notes),
	.plan = x86_plan,
	.load = x86_load,
};
