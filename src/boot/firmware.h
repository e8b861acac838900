/* firmware.h: what is the same for firmware of every architecture, and what each one adds. */
#ifndef BOOT_FIRMWARE_H
#define BOOT_FIRMWARE_H

#include <stdint.h>

#include <vibevmm/image.h>
#include <vibevmm/plan.h>

/* The format's notes between plan and load. */
struct firmware_notes {
	const struct firmware_arch *arch;
	const char *file;
	struct mark mark;
	uint64_t size;
	uint64_t copied; /* x86_64: the last so many bytes are below 1 MiB too; 0: no RAM there */
};

struct firmware_arch {
	enum arch arch;
	uint64_t max;	   /* bytes that a ROM may have, ... */
	const char *place; /* ... and where they would be: "below 4 GiB" */

	/* Places the ROM and all that goes with it, and sets the entry. */
	void (*plan)(struct plan *plan, struct firmware_notes *notes, struct diags *diags);

	/* Loads what isn't in the ROM, which is filled with all others when memory is made. NULL:
	 * nothing. */
	int (*load)(const struct firmware_notes *notes, const struct image *image,
		    struct memory *memory, struct err *err);
};

extern const struct firmware_arch firmware_x86_64, firmware_arm64;

#endif
