/* elf.c: boot format `elf`: a statically linked executable, loaded by its program headers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>

#include "elf.h"
#include "identify.h"
#include "kernel.h"

/* System V ABI, chapter 4, "ELF Header". */
enum {
	EI_CLASS = 4,
	EI_DATA = 5,
	CLASS_32 = 1,
	CLASS_64 = 2,
	DATA_LSB = 1,
	TYPE_EXEC = 2,
	TYPE_DYN = 3,
	PT_LOAD = 1, /* chapter 5, "Program Header" */
	PT_NOTE = 4,
	PHYS32_ENTRY = 18, /* Xen, xen/include/public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY */
};

#define HEADER_SIZE_32 52
#define HEADER_SIZE_64 64
#define PHENT_SIZE_32  32
#define PHENT_SIZE_64  56

static int refuse(struct err *err, const char *why)
{
	return err_set(err, ENOEXEC, STATUS_CONFIG, "%s", why);
}

const char *elf_machine_name(uint16_t machine, char *buf, size_t len)
{
	switch (machine) {
	case ELF_386:
		return "i386";
	case ELF_X86_64:
		return "x86_64";
	case ELF_AARCH64:
		return "arm64";
	default:
		snprintf(buf, len, "machine %u", machine);
		return buf;
	}
}

/* One program header; the fields' places differ between the classes. */
struct phdr {
	uint32_t type;
	uint64_t offset, vaddr, paddr, file_size, mem_size;
};

static struct phdr phdr_decode(const uint8_t *p, bool is_64)
{
	if (is_64)
		return (struct phdr){
			bytes_get32(p),	     bytes_get64(p + 8),  bytes_get64(p + 16),
			bytes_get64(p + 24), bytes_get64(p + 32), bytes_get64(p + 40)
		};
	return (struct phdr){ bytes_get32(p),	   bytes_get32(p + 4),	bytes_get32(p + 8),
			      bytes_get32(p + 12), bytes_get32(p + 16), bytes_get32(p + 20) };
}

static int add_segment(struct elf *elf, const struct phdr *ph, unsigned index, struct err *err)
{
	uint64_t end;

	if (ph->file_size > ph->mem_size)
		return err_set(
			err, ENOEXEC, STATUS_CONFIG,
			"is a damaged ELF file: segment %u is larger in the file than in memory",
			index);
	if (bytes_add_wraps(ph->offset, ph->file_size, &end) || end > elf->size)
		return err_set(err, EIO, STATUS_CONFIG,
			       "is a truncated ELF file: segment %u reaches beyond its end", index);
	if (bytes_add_wraps(ph->paddr, ph->mem_size, &end))
		return err_set(err, ENOEXEC, STATUS_CONFIG,
			       "is a damaged ELF file: segment %u wraps around the address space",
			       index);
	if (elf->n_segments == ELF_MAX_SEGMENTS)
		return err_set(err, ENOEXEC, STATUS_CONFIG, "has more than %d loadable segments",
			       ELF_MAX_SEGMENTS);
	elf->segments[elf->n_segments++] =
		(struct elf_segment){ ph->offset, ph->file_size, ph->paddr, ph->mem_size, index };
	return 0;
}

/* More bytes of notes than any linker makes. */
#define NOTES_MAX 65536

/* Looks for the PVH entry (chapter 5, "Note Section"): name and contents are padded to 4 bytes. A
 * damaged list ends where the damage is. */
static void read_notes(const struct image *image, const struct phdr *ph, struct elf *elf)
{
	uint64_t at = ph->offset, size = ph->file_size < NOTES_MAX ? ph->file_size : NOTES_MAX, end;
	uint8_t note[12 + 4 + 8]; /* as far as that of the PVH entry goes */

	if (bytes_add_wraps(at, size, &end))
		return;
	while (end - at > 12 && !image_read(image, at, note, 12)) {
		uint64_t name = bytes_get32(note), desc = bytes_get32(note + 4);
		uint64_t len = 12 + ((name + 3) & ~3ULL) + ((desc + 3) & ~3ULL);

		if (len > end - at)
			return;
		if (name == 4 && bytes_get32(note + 8) == PHYS32_ENTRY &&
		    (desc == 4 || desc == 8) && !image_read(image, at, note, 16 + desc) &&
		    !memcmp(note + 12, "Xen", 4)) {
			elf->has_pvh = true;
			elf->pvh_entry = bytes_get(note + 16, desc);
		}
		at += len;
	}
}

int elf_read(const struct image *image, struct elf *elf, struct err *err)
{
	uint8_t header[HEADER_SIZE_64], entry[PHENT_SIZE_64];
	uint64_t table, at, virtual_entry;
	unsigned count, size;
	bool mapped = false;
	uint16_t type;
	int ret;

	*elf = (struct elf){ .size = image->size };
	if (image_read(image, 0, header, HEADER_SIZE_32) || memcmp(header, "\177ELF", 4))
		return refuse(err, "is not an ELF file");
	elf->is_64 = header[EI_CLASS] == CLASS_64;
	if (!elf->is_64 && header[EI_CLASS] != CLASS_32)
		return refuse(err, "is neither a 32-bit nor a 64-bit ELF file");
	if (header[EI_DATA] != DATA_LSB)
		return refuse(err, "is a big-endian ELF file");
	if (elf->is_64 && image_read(image, 0, header, HEADER_SIZE_64))
		return refuse(err, "is a truncated ELF file");

	type = bytes_get16(header + 16);
	elf->machine = bytes_get16(header + 18);
	if (type == TYPE_DYN)
		return refuse(err, "is a position-independent or shared ELF file; link it with "
				   "-static -no-pie");
	if (type != TYPE_EXEC)
		return refuse(err, "is not an executable ELF file (an object file?); link it");
	virtual_entry = bytes_get(header + 24, elf->is_64 ? 8 : 4);
	table = elf->is_64 ? bytes_get64(header + 32) : bytes_get32(header + 28);
	size = bytes_get16(header + (elf->is_64 ? 54 : 42));
	count = bytes_get16(header + (elf->is_64 ? 56 : 44));
	if (size != (elf->is_64 ? PHENT_SIZE_64 : PHENT_SIZE_32))
		return refuse(err, "is a damaged ELF file: its program headers have a wrong size");

	elf->entry = virtual_entry;
	for (unsigned i = 0; i < count; i++) {
		struct phdr ph;

		if (bytes_add_wraps(table, (uint64_t)i * size, &at) ||
		    image_read(image, at, entry, size))
			return refuse(err, "is a truncated ELF file: its program headers reach "
					   "beyond its end");
		ph = phdr_decode(entry, elf->is_64);
		if (ph.type == PT_NOTE)
			read_notes(image, &ph, elf);
		if (ph.type != PT_LOAD || !ph.mem_size)
			continue;
		ret = add_segment(elf, &ph, i, err);
		if (ret)
			return ret;
		/* Paging is off or an identity map: the entry is wanted as a physical address. */
		if (!mapped && virtual_entry - ph.vaddr < ph.mem_size) {
			elf->entry = ph.paddr + (virtual_entry - ph.vaddr);
			mapped = true;
		}
	}
	if (!elf->n_segments)
		return refuse(err, "has no loadable segment");
	return 0;
}

bool elf_plan_segments(struct plan *plan, struct diags *diags, const struct elf *elf,
		       struct mark mark)
{
	for (unsigned i = 0; i < elf->n_segments; i++) {
		char name[24];

		snprintf(name, sizeof(name), "elf segment %u", elf->segments[i].index);
		if (!plan_boot_fixed(plan, diags, name, elf->segments[i].paddr,
				     elf->segments[i].mem_size, mark))
			return false;
	}
	return true;
}

/* Guest memory is zero at start, so what lies between file_size and mem_size is cleared already. */
int elf_load_segments(const struct image *image, const struct elf *elf, struct memory *memory,
		      struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < elf->n_segments && !ret; i++)
		ret = image_load(image, elf->segments[i].offset, memory, elf->segments[i].paddr,
				 elf->segments[i].file_size, err);
	return ret;
}

int elf_load_file(const char *path, const struct elf *elf, struct memory *memory, struct err *err)
{
	struct image image;
	int ret = image_reopen(&image, path, elf->size, err);

	if (ret)
		return ret;
	ret = elf_load_segments(&image, elf, memory, err);
	image_close(&image);
	return ret;
}

void elf_report_foreign(const struct plan *plan, const char *path, const struct elf *elf,
			struct mark mark, struct diags *diags)
{
	char name[24];

	diag_error(diags, mark, "image '%s' is a %d-bit ELF file for %s; this VM is %s", path,
		   elf->is_64 ? 64 : 32, elf_machine_name(elf->machine, name, sizeof(name)),
		   hv_arch_name(plan->arch->arch));
}

struct elf_config {
	char *file;
	char *dtb;
	uint64_t dtb_at;
};

static const struct option options[] = {
	OPTION(struct elf_config, file, OPTION_PATH, .required = true,
	       .doc = "The executable; a 64-bit one starts in long mode, a 32-bit one in protected "
		      "mode"),
	KERNEL_DTB_OPTIONS(struct elf_config),
	{ 0 },
};

/* Which machine and mode an ELF file is for; false if not for this arch. */
static bool entry_mode(enum arch arch, const struct elf *elf, enum entry_mode *mode)
{
	if (arch == ARCH_X86_64 && elf->machine == ELF_X86_64 && elf->is_64)
		*mode = ENTRY_LONG;
	else if (arch == ARCH_X86_64 && elf->machine == ELF_386 && !elf->is_64)
		*mode = ENTRY_PROTECTED;
	else if (arch == ARCH_ARM64 && elf->machine == ELF_AARCH64 && elf->is_64)
		*mode = ENTRY_EL1;
	else
		return false;
	return true;
}

static void elf_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct elf_config *config = boot->options;
	struct mark mark = node_get(boot->node, "file")->mark;
	enum entry_mode mode;
	struct identity identity = { 0 };
	struct image image;
	struct err err = { 0 };
	struct elf *elf;
	int ret;

	if (image_open(&image, config->file, mark, diags))
		return;
	elf = malloc(sizeof(*elf));
	if (!elf) {
		diag_error(diags, MARK_NONE, "out of memory");
		image_close(&image);
		return;
	}
	plan->boot_private = elf;
	ret = elf_read(&image, elf, &err);
	if (ret == -ENOEXEC)
		identity = identify_image(&image);
	image_close(&image);
	if (ret && identity.name && (!identity.format || strcmp(identity.format, "elf") != 0)) {
		diag_error(diags, mark, "image '%s' is no ELF file but %s", config->file,
			   identity.name);
		if (!identify_help(plan, &identity, diags))
			diag_help(diags, "`elf` takes the executable that the linker made");
		return;
	}
	if (ret) {
		diag_error(diags, mark, "image '%s' %s", config->file, err.text);
		if (ret == -ENOEXEC && !identity.name)
			diag_help(diags, "a flat binary is booted by the format `raw`");
		return;
	}
	if (!entry_mode(plan->arch->arch, elf, &mode)) {
		elf_report_foreign(plan, config->file, elf, mark, diags);
		return;
	}
	kernel_plan_dtb(plan, boot, config->dtb, config->dtb_at);
	if (elf_plan_segments(plan, diags, elf, mark))
		plan_set_entry(plan, diags, mode, elf->entry, mark);
}

static int elf_load(const struct plan *plan, const struct config_choice *boot,
		    struct memory *memory, struct err *err)
{
	const struct elf_config *config = boot->options;

	return elf_load_file(config->file, plan->boot_private, memory, err);
}

const struct boot_row boot_elf = {
	.type = {
		.name = "elf",
		.doc = "A statically linked ELF executable, loaded by its program headers",
		.options = options,
		.size = sizeof(struct elf_config),
	},
	.arches = ARCH_ANY,
	.plan = elf_plan,
	.load = elf_load,
};
