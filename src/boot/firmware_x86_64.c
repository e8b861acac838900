/* firmware_x86_64.c: firmware of a PC.
 *
 * The image ends at 4 GiB, where the reset vector is (SDM Vol. 3A, 9.1.4), 16 bytes below the end.
 * A PC's chipset shows the last 128 KiB of that ROM below 1 MiB as well, since the first far jump
 * of most firmware leads there. Here they are copied into RAM, so that firmware finds them writable
 * without a chipset of which it would ask that first; an image below 128 KiB is copied to the end
 * of that range. Where a memory map has no RAM at 0xe0000, there is no copy.
 */
#include <vibevmm/bytes.h>

#include "firmware.h"

#define ROM_END	     (1ULL << 32)
#define ROM_MAX	     (16ULL << 20) /* the layout's space for ROMs */
#define COPY_END     (1ULL << 20)
#define COPY_MAX     (128ULL << 10)
#define RESET_VECTOR (ROM_END - 16)
#define PAGE	     4096ULL

static void x86_64_plan(struct plan *plan, struct firmware_notes *notes, struct diags *diags)
{
	uint64_t copied = notes->size < COPY_MAX ? notes->size : COPY_MAX;

	/* Its end has a place, so nothing can be added there. */
	if (notes->size % PAGE) {
		diag_error(diags, notes->mark,
			   "firmware '%s' has %llu bytes; it must be a multiple of 4K", notes->file,
			   (unsigned long long)notes->size);
		diag_help(diags,
			  "the reset vector is in its last 16 bytes: put %llu bytes before its "
			  "first one",
			  (unsigned long long)(PAGE - notes->size % PAGE));
		return;
	}
	if (!plan_boot_rom(plan, diags, "firmware", ROM_END - notes->size, notes->size, notes->file,
			   notes->mark))
		return;
	if (plan_region_at(plan, SPACE_MEM, 1U << REGION_RAM, COPY_END - copied)) {
		if (!plan_boot_fixed(plan, diags, "firmware's copy", COPY_END - copied, copied,
				     notes->mark))
			return;
		notes->copied = copied;
	}
	plan_set_entry(plan, diags, ENTRY_RESET, RESET_VECTOR, notes->mark);
}

static int x86_64_load(const struct firmware_notes *notes, const struct image *image,
		       struct memory *memory, struct err *err)
{
	if (!notes->copied)
		return 0;
	return image_load(image, notes->size - notes->copied, memory, COPY_END - notes->copied,
			  notes->copied, err);
}

const struct firmware_arch firmware_x86_64 = {
	.arch = ARCH_X86_64,
	.max = ROM_MAX,
	.place = "below 4 GiB",
	.plan = x86_64_plan,
	.load = x86_64_load,
};
