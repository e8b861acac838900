/* multiboot_header.c: the header of a Multiboot kernel, and what it says of the file.
 *
 * All sections named are those of the Multiboot Specification, version 0.6.96.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <vibevmm/bytes.h>

#include "multiboot.h"

#define HEADER_MAGIC   0x1badb002U
#define HEADER_2_MAGIC 0xe85250d6U /* Multiboot2 Specification 2.0, 3.1.1 */
#define HEADER_AREA    8192U
#define HEADER_LEN     12U
#define HEADER_ALIGN   4U

/* 3.1.2. Bits 0-15 are demands: a loader that can't meet one must refuse the kernel. */
#define FLAG_PAGE_ALIGN	 (1U << 0) /* we align modules always */
#define FLAG_MEMORY_INFO (1U << 1) /* we give it always */
#define FLAG_VIDEO	 (1U << 2)
#define FLAG_ADDRESSES	 (1U << 16)
#define DEMANDS		 0xffffU

/* 3.1.3, the address fields. */
struct addresses {
	uint32_t header, load, load_end, bss_end, entry;
};

#define ADDRESSES_LEN 20U

static int __attribute__((format(printf, 2, 3))) refuse(struct err *err, const char *fmt, ...)
{
	char why[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(err, ENOEXEC, STATUS_CONFIG, "%s", why);
}

/* Where the header begins in head, the first len bytes of the file. */
static int find_header(const uint8_t *head, size_t len, size_t *at, struct err *err)
{
	const char *why = "has no Multiboot header in its first 8 KiB";

	for (size_t i = 0; i + HEADER_LEN <= len; i += HEADER_ALIGN) {
		uint32_t magic = bytes_get32(head + i);
		uint32_t flags = bytes_get32(head + i + 4);

		if (magic == HEADER_MAGIC && magic + flags + bytes_get32(head + i + 8) == 0) {
			*at = i;
			return 0;
		}
		if (magic == HEADER_MAGIC)
			why = "has a Multiboot header whose checksum is wrong: magic, flags and "
			      "checksum must add up to 0";
		else if (magic == HEADER_2_MAGIC)
			why = "has a header of Multiboot 2 only; this format boots version 1";
	}
	return refuse(err, "%s", why);
}

static int check_flags(uint32_t flags, struct err *err)
{
	uint32_t unknown = flags & DEMANDS & ~(FLAG_PAGE_ALIGN | FLAG_MEMORY_INFO | FLAG_VIDEO);

	if (flags & FLAG_VIDEO)
		return refuse(err, "demands a video mode (bit 2 of its Multiboot flags), and this "
				   "VM has no screen; clear the bit");
	if (unknown)
		return refuse(err,
			      "demands by bit %d of its Multiboot flags what version 0.6.96 "
			      "does not define",
			      __builtin_ctz(unknown));
	return 0;
}

/* 3.1.3. at: of the header in the file. */
static int read_flat(const struct image *image, size_t at, const struct addresses *a,
		     struct elf *elf, struct err *err)
{
	uint64_t offset, file_size, mem_size, end;

	if (a->load > a->header || a->header - a->load > at)
		return refuse(err,
			      "is damaged: its Multiboot header is at 0x%zx in the file, and "
			      "load_addr 0x%x for header_addr 0x%x lies before the file",
			      at, a->load, a->header);
	offset = at - (a->header - a->load);
	file_size = image->size - offset;
	if (a->load_end) {
		if (a->load_end <= a->load)
			return refuse(err,
				      "is damaged: its load_end_addr 0x%x is not above "
				      "load_addr 0x%x",
				      a->load_end, a->load);
		if (a->load_end - a->load > file_size)
			return err_set(err, EIO, STATUS_CONFIG,
				       "is truncated: load_end_addr reaches beyond its end");
		file_size = a->load_end - a->load;
	}
	mem_size = file_size;
	if (a->bss_end) {
		if (a->bss_end < a->load + file_size)
			return refuse(err,
				      "is damaged: its bss_end_addr 0x%x lies inside of what "
				      "is loaded at 0x%x",
				      a->bss_end, a->load);
		mem_size = a->bss_end - a->load;
	}
	end = a->load + mem_size;
	if (end > 1ULL << 32)
		return refuse(err, "does not fit below 4 GiB at its load_addr 0x%x", a->load);
	if (a->entry < a->load || a->entry >= end)
		return refuse(err, "is damaged: its entry_addr 0x%x lies outside of the image",
			      a->entry);
	*elf = (struct elf){ .machine = ELF_386,
			     .size = image->size,
			     .entry = a->entry,
			     .n_segments = 1,
			     .segments = { { offset, file_size, a->load, mem_size, 0 } } };
	return 0;
}

static int read_elf(const struct image *image, struct elf *elf, struct err *err)
{
	char name[24];
	int ret = elf_read(image, elf, err);

	/* A 64-bit file as well: it begins with 32-bit code, as other loaders have it. */
	if (!ret && elf->machine != ELF_386 && elf->machine != ELF_X86_64)
		ret = refuse(err, "is an ELF file for %s; Multiboot kernels are for i386 or x86_64",
			     elf_machine_name(elf->machine, name, sizeof(name)));
	return ret;
}

int multiboot_read(const struct image *image, struct multiboot *mb, struct err *err)
{
	size_t len = image->size < HEADER_AREA ? (size_t)image->size : HEADER_AREA, at = 0;
	uint8_t head[HEADER_AREA];
	const uint8_t *p;
	uint32_t flags;
	int ret;

	if (image_read(image, 0, head, len))
		return err_set(err, EIO, STATUS_CONFIG, "cannot be read");
	ret = find_header(head, len, &at, err);
	if (ret)
		return ret;
	flags = bytes_get32(head + at + 4);
	ret = check_flags(flags, err);
	if (ret)
		return ret;
	mb->flat = flags & FLAG_ADDRESSES;
	if (!mb->flat)
		return read_elf(image, &mb->elf, err);
	if (!bytes_inside(at + HEADER_LEN, ADDRESSES_LEN, 0, len))
		return refuse(err, "has a Multiboot header that reaches beyond its first 8 KiB");
	p = head + at + HEADER_LEN;
	return read_flat(image, at,
			 &(struct addresses){ bytes_get32(p), bytes_get32(p + 4),
					      bytes_get32(p + 8), bytes_get32(p + 12),
					      bytes_get32(p + 16) },
			 &mb->elf, err);
}
