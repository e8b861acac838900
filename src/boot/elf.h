/* elf.h: reading ELF headers (System V ABI, edition 4.1, chapters 4 and 5).
 *
 * Foreign bytes: every field is checked before it is used. Shared by the formats that are ELF
 * inside.
 */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include <stdbool.h>
#include <stdint.h>

#include <vibevmm/image.h>
#include <vibevmm/plan.h>

/* More loadable segments than any linker makes. */
#define ELF_MAX_SEGMENTS 64

struct elf_segment {
	uint64_t offset, file_size; /* in the file: file_size bytes are there */
	uint64_t paddr, mem_size;   /* in the guest: mem_size >= file_size, no wrap */
	unsigned index;		    /* of the program header */
};

struct elf {
	bool is_64;
	uint16_t machine;   /* e_machine */
	uint64_t size;	    /* of the file */
	uint64_t entry;	    /* physical: e_entry mapped through the segment that holds it */
	bool has_pvh;	    /* it offers the PVH entry, ... */
	uint64_t pvh_entry; /* ... which is this physical address */
	unsigned n_segments;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/* e_machine (System V ABI, "ELF Header"; arm64: ELF for the Arm 64-bit Architecture, 5.1). */
enum { ELF_386 = 3, ELF_X86_64 = 62, ELF_AARCH64 = 183 };

/* 0, or -ENOEXEC / -EIO with the reason in err ("is not an ELF file ...", to be put behind the
 * file's name). */
int elf_read(const struct image *image, struct elf *elf, struct err *err);

/* Reserves the segments' places in RAM, and copies them there. */
bool elf_plan_segments(struct plan *plan, struct diags *diags, const struct elf *elf,
		       struct mark mark);
int elf_load_segments(const struct image *image, const struct elf *elf, struct memory *memory,
		      struct err *err);

/* The same for the file that was planned, by its name. */
int elf_load_file(const char *path, const struct elf *elf, struct memory *memory, struct err *err);

/* Reports that it is for another architecture than this VM's. */
void elf_report_foreign(const struct plan *plan, const char *path, const struct elf *elf,
			struct mark mark, struct diags *diags);

/* "x86_64", "i386", "arm64" or "machine 123" (in buf). */
const char *elf_machine_name(uint16_t machine, char *buf, size_t len);

#endif
