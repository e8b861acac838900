/* kernel.h: what the boot formats of kernels share: a command line and an initial RAM disk, placed
 * in guest memory.
 */
#ifndef BOOT_KERNEL_H
#define BOOT_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <vibevmm/image.h>
#include <vibevmm/plan.h>

/* For formats whose guests are not known to look for a device tree: they ask for one. */
#define KERNEL_DTB_OPTIONS(st)                                                                     \
	OPTION(st, dtb, OPTION_PATH, .arches = ARCH_ARM64,                                         \
	       .doc = "A device tree of yours for the guest, which finds its address in x0"),      \
		OPTION(st, dtb_at, OPTION_ADDR, .arches = ARCH_ARM64, .align = 8,                  \
		       .doc = "Where the guest gets a device tree, whose address it finds in x0: " \
			      "the one that `dtb` names, or one made for this VM")

/* For a boot_row's `devices`: to power off, and to say that it panicked. */
extern const char *const kernel_devices[];

struct kernel_extras {
	const char *cmdline_text, *initrd_path; /* NULL: none */
	struct mark cmdline_mark, initrd_mark;

	/* In guest memory; a size of 0: there is none. The command line's is without its NUL. */
	uint64_t cmdline, cmdline_size;
	uint64_t initrd, initrd_size;
};

/* The extras that the options `cmdline` and `initrd` of this choice name. */
struct kernel_extras kernel_extras(const struct config_choice *boot, const char *cmdline,
				   const char *initrd);

/* Finds a place in low RAM, below 640 KiB; where that is full, below 4 GiB. */
bool kernel_place_low(struct plan *plan, struct diags *diags, const char *name, uint64_t size,
		      struct mark mark, uint64_t *start);

/* Says so if the command line is longer than the kernel takes. */
bool kernel_check_cmdline(const struct kernel_extras *extras, uint64_t limit, const char *why,
			  struct diags *diags);

/* Places the command line low. limit: how many bytes the kernel takes, without the NUL; `why` tells
 * where that comes from. */
bool kernel_plan_cmdline(struct plan *plan, struct kernel_extras *extras, uint64_t limit,
			 const char *why, struct diags *diags);

/* Opens the initrd, says so if it is no such thing, and places it as high as max; where there is no
 * room up to there, up to more (0: nowhere). */
bool kernel_plan_initrd(struct plan *plan, struct kernel_extras *extras, uint64_t max,
			uint64_t more, struct diags *diags);

/* The options `dtb` and `dtb_at` of this choice: with any of them the guest gets a device tree, at
 * that place if one is given. */
void kernel_plan_dtb(struct plan *plan, const struct config_choice *boot, const char *dtb,
		     uint64_t at);

/* Copies both to their places. */
int kernel_load_extras(const struct kernel_extras *extras, struct memory *memory, struct err *err);

#endif
