/* linux_arm64.c: Linux on arm64: Image, plain, as Image.gz or in an EFI zboot program, entered at
 * its first byte with the device tree in x0.
 *
 * "booting.rst" is Linux's Documentation/arch/arm64/booting.rst; section 4 has the header.
 */
#include <errno.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "identify.h"
#include "linux.h"
#include "unpack.h"

#define MIB  (1ULL << 20)
#define GIB  (1ULL << 30)
#define SLOT (2 * MIB)

enum {
	TEXT_OFFSET = 8,
	IMAGE_SIZE = 16,
	MAGIC = 56,
	PE_OFFSET = 60,
	HEADER_SIZE = 64,

	/* PE Format, "COFF File Header" behind the signature, and "Section Table". */
	PE_SECTIONS = 6,
	PE_OPTIONAL_SIZE = 20,
	PE_HEADER_SIZE = 24,
	SECTION_RAW_SIZE = 16,
	SECTION_RAW_OFFSET = 20,
	SECTION_SIZE = 40,
	SECTIONS_MAX = 16, /* Linux has two */
};

/* Before 3.17 nothing tells how much comes behind the file's end (bss). */
#define OLD_TEXT_OFFSET 0x80000
#define OLD_ROOM	(16 * MIB)

/* COMMAND_LINE_SIZE of arch/arm64/include/uapi/asm/setup.h, less the NUL. */
#define CMDLINE_MAX 2047

/* Kernel and initrd must be in a window of that size that begins at a multiple of 1 GiB. */
#define WINDOW (32 * GIB)

struct arm64_notes {
	struct linux_notes common; /* first */
	uint64_t load, size;
};

static bool is_image(const uint8_t *head)
{
	return !memcmp(head + MAGIC, "ARM\x64", 4);
}

/* The sections that its EFI side names are in the file, unless it was cut off. */
static int check_sections(const struct image *file, const uint8_t *head, struct err *err)
{
	uint8_t pe[PE_HEADER_SIZE], section[SECTION_SIZE];
	uint64_t at = bytes_get32(head + PE_OFFSET);
	unsigned n;

	if (memcmp(head, "MZ", 2) != 0)
		return 0;
	if (image_read(file, at, pe, sizeof(pe)) || memcmp(pe, "PE\0\0", 4) != 0)
		return err_set(err, ENOEXEC, STATUS_CONFIG,
			       "is a damaged kernel: it has no PE header where it says");
	n = bytes_get16(pe + PE_SECTIONS);
	at += PE_HEADER_SIZE + bytes_get16(pe + PE_OPTIONAL_SIZE);
	for (unsigned i = 0; i < n && i < SECTIONS_MAX; i++, at += SECTION_SIZE) {
		uint64_t end;

		if (image_read(file, at, section, sizeof(section)))
			return err_set(err, EIO, STATUS_CONFIG,
				       "is a truncated kernel: it ends within its headers");
		end = (uint64_t)bytes_get32(section + SECTION_RAW_OFFSET) +
		      bytes_get32(section + SECTION_RAW_SIZE);
		if (end > file->size)
			return err_set(err, EIO, STATUS_CONFIG,
				       "is a truncated kernel: by its headers it has %llu bytes, "
				       "here are %llu",
				       (unsigned long long)end, (unsigned long long)file->size);
	}
	return 0;
}

int linux_arm64_read(const struct image *file, struct linux_arm64_image *image, struct err *err)
{
	uint8_t head[HEADER_SIZE];
	uint64_t end;

	if (image_read(file, 0, head, sizeof(head)) || !is_image(head))
		return err_set(err, ENOEXEC, STATUS_CONFIG, "is no Linux kernel for arm64");
	image->text_offset = bytes_get64(head + TEXT_OFFSET);
	image->room = bytes_get64(head + IMAGE_SIZE);
	if (!image->room) {
		image->text_offset = OLD_TEXT_OFFSET;
		image->room = file->size + OLD_ROOM;
	}
	if (image->text_offset >= SLOT)
		return err_set(
			err, ENOEXEC, STATUS_CONFIG,
			"is a damaged kernel: its text_offset is 0x%llx, which must be below "
			"2 MiB",
			(unsigned long long)image->text_offset);
	if (image->room < file->size)
		return err_set(err, ENOEXEC, STATUS_CONFIG,
			       "is a damaged kernel: its header (image_size) says %llu bytes, and "
			       "the file has %llu",
			       (unsigned long long)image->room, (unsigned long long)file->size);
	if (bytes_add_wraps(image->text_offset, image->room, &end))
		return err_set(err, ENOEXEC, STATUS_CONFIG,
			       "is a damaged kernel: its image_size is 0x%llx",
			       (unsigned long long)image->room);
	return check_sections(file, head, err);
}

/* Low, as kernels that can't use the memory below them want it. */
static void plan_image(struct plan *plan, struct arm64_notes *notes, const struct image *file,
		       struct diags *diags)
{
	struct kernel_extras *extras = &notes->common.extras;
	struct linux_arm64_image image = { 0 };
	struct err err = { 0 };
	uint64_t base;
	bool good;

	if (linux_arm64_read(file, &image, &err)) {
		diag_error(diags, notes->common.mark, "image '%s' %s", file->path, err.text);
		return;
	}
	good = kernel_check_cmdline(extras, CMDLINE_MAX,
				    "that is Linux's limit on arm64 (COMMAND_LINE_SIZE)", diags);
	if (!plan_boot_place(plan, diags, "kernel", image.text_offset + image.room, SLOT, 0,
			     UINT64_MAX, false, notes->common.mark, &base)) {
		if (!plan->memory_bad)
			diag_help(diags,
				  "its header (image_size) asks for that; the file has %llu bytes",
				  (unsigned long long)file->size);
		return;
	}
	if (!kernel_plan_initrd(plan, extras, (base & ~(GIB - 1)) + WINDOW - 1, 0, diags) || !good)
		return;
	notes->load = base + image.text_offset;
	notes->size = file->size;
	plan->tables.cmdline = extras->cmdline_text;
	plan->tables.initrd = extras->initrd;
	plan->tables.initrd_size = extras->initrd_size;
	plan_set_entry(plan, diags, ENTRY_EL1, notes->load, notes->common.mark);
}

static void plan_packed(struct plan *plan, struct arm64_notes *notes, const struct image *kernel,
			uint64_t at, uint64_t len, struct diags *diags)
{
	struct linux_notes *common = &notes->common;
	uint8_t head[HEADER_SIZE] = { 0 };
	struct err err = { 0 };

	if (!common->may_unpack) {
		diag_error(diags, common->mark, "image '%s' is compressed, and `unpack` is `never`",
			   kernel->path);
		diag_help(diags, "a kernel for arm64 does not unpack itself; `unpack: auto` does "
				 "it on the host");
		return;
	}
	if (unpack(kernel, at, len, linux_unpack_max(plan, UNPACK_MAX), &common->unpacked, &err)) {
		diag_error(diags, common->mark, "image '%s' %s", kernel->path, err.text);
		return;
	}
	common->is_unpacked = true;
	if (!image_read(&common->unpacked, 0, head, sizeof(head)) && is_image(head)) {
		plan_image(plan, notes, &common->unpacked, diags);
		return;
	}
	diag_error(diags, common->mark,
		   "image '%s' is compressed, and what is in it is no Linux "
		   "kernel for arm64",
		   kernel->path);
	diag_help(diags, "`linux` takes an Image, an Image.gz, or a vmlinuz that has one in it");
}

static void arm64_plan(struct plan *plan, struct linux_notes *common, const struct image *kernel,
		       struct diags *diags)
{
	struct arm64_notes *notes = (struct arm64_notes *)common;
	uint8_t head[HEADER_SIZE] = { 0 };
	struct err err = { 0 };
	uint64_t at, len;
	int ret = unpack_find(kernel, &at, &len, &err);

	if (!ret)
		plan_packed(plan, notes, kernel, at, len, diags);
	else if (ret != -ENOENT)
		diag_error(diags, common->mark, "image '%s' %s", kernel->path, err.text);
	else if (!image_read(kernel, 0, head, sizeof(head)) && is_image(head))
		plan_image(plan, notes, kernel, diags);
	else
		linux_plan_other(
			plan, common, kernel,
			"`linux` takes an Image, an Image.gz, or a vmlinuz that has one in "
			"it; a vmlinux is made into one by `objcopy -O binary`",
			diags);
}

static int arm64_load(const struct plan *plan, const struct linux_notes *common,
		      const struct image *kernel, struct memory *memory, struct err *err)
{
	const struct arm64_notes *notes = (const struct arm64_notes *)common;

	(void)plan;
	return image_load(kernel, 0, memory, notes->load, notes->size, err);
}

const struct linux_arch linux_arm64 = {
	.arch = ARCH_ARM64,
	.notes_size = sizeof(struct arm64_notes),
	.plan = arm64_plan,
	.load = arm64_load,
};
