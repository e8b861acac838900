/* linux.h: what Linux on each architecture adds to the boot format `linux`: one row in a file of
 * its own, linux_ARCH.c.
 */
#ifndef BOOT_LINUX_H
#define BOOT_LINUX_H

#include <vibevmm/image.h>
#include <vibevmm/plan.h>

#include "kernel.h"

/* plan->boot_private; an arch's own struct begins with it. */
struct linux_notes {
	const struct linux_arch *arch;
	struct kernel_extras extras;
	struct mark mark;     /* of `kernel` */
	uint64_t kernel_size; /* of the file */
	bool may_unpack;
	bool is_unpacked; /* `unpacked` is open, and what is loaded comes from it */
	struct image unpacked;
};

struct linux_arch {
	enum arch arch;
	size_t notes_size;

	/* Reads the kernel's headers, places it and the extras, sets the entry; reports. */
	void (*plan)(struct plan *plan, struct linux_notes *notes, const struct image *kernel,
		     struct diags *diags);

	/* Copies the kernel and what tells it about the machine; the extras are there already.
	 * kernel: the file, or what was unpacked from it. */
	int (*load)(const struct plan *plan, const struct linux_notes *notes,
		    const struct image *kernel, struct memory *memory, struct err *err);
};

extern const struct linux_arch linux_x86_64, linux_arm64;

/* The file is no kernel for this VM: says what it is instead. help: what `linux` takes. */
void linux_plan_other(const struct plan *plan, const struct linux_notes *notes,
		      const struct image *kernel, const char *help, struct diags *diags);

/* To how much the kernel may unpack at most: not to more than RAM holds. told: what else limits it.
 */
uint64_t linux_unpack_max(const struct plan *plan, uint64_t told);

/* Where the compressed kernel is in a bzImage. 0; -ENOENT: the file is none, or doesn't tell; or as
 * linux_arm64_read. */
int linux_x86_64_payload(const struct image *file, uint64_t *offset, uint64_t *len,
			 struct err *err);

/* What the header of an arm64 kernel says: how far behind a multiple of 2 MiB it goes, and how much
 * memory it takes from there. */
struct linux_arm64_image {
	uint64_t text_offset, room;
};

/* -ENOEXEC or -EIO with a text in err that is to be put behind the file's name. */
int linux_arm64_read(const struct image *file, struct linux_arm64_image *image, struct err *err);

#endif
