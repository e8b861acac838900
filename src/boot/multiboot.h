/* multiboot.h: reading the header of a Multiboot kernel (Multiboot Specification 0.6.96, 3.1).
 *
 * Foreign bytes: every field is checked before it is used.
 */
#ifndef BOOT_MULTIBOOT_H
#define BOOT_MULTIBOOT_H

#include <vibevmm/image.h>

#include "elf.h"

struct multiboot {
	bool flat;	/* the header says what to load, not ELF's (flags bit 16) */
	struct elf elf; /* what to load and where to enter; one segment if flat */
};

/* 0, or -ENOEXEC / -EIO with the reason in err ("has no Multiboot header ...", to be put behind the
 * file's name). */
int multiboot_read(const struct image *image, struct multiboot *mb, struct err *err);

#endif
