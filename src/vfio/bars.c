/* bars.c: where BARs go in the guest, and what of them it reaches without us. */
#include <vibevmm/bytes.h>

#include "vfio.h"

/* PCI 6.2.5.1 */
#define BAR_REGISTER(n)	 (0x10U + 4 * (n))
#define BAR_PORTS	 (1U << 0)
#define BAR_WIDTH(r)	 ((r) >> 1 & 3)
#define BAR_WIDTH_64	 2U
#define BAR_PREFETCHABLE (1U << 3)

bool vfio_bar_kind(const uint8_t raw[PCI_CONFIG_SIZE], unsigned bar, struct vfio_bar *out)
{
	uint32_t value = bytes_get32(raw + BAR_REGISTER(bar));

	if (value & BAR_PORTS)
		return false;
	out->wide = BAR_WIDTH(value) == BAR_WIDTH_64 && bar + 1 < PCI_BARS;
	out->prefetchable = value & BAR_PREFETCHABLE;
	return true;
}

uint64_t vfio_bars_place(struct vfio_bar bars[PCI_BARS], uint64_t start, uint64_t size, int *low)
{
	bool placed[PCI_BARS] = { false };
	uint64_t used = 0, enough = 4096;

	*low = -1;
	for (unsigned n = 0; n < PCI_BARS; n++) {
		unsigned largest = PCI_BARS;

		for (unsigned i = 0; i < PCI_BARS; i++) {
			if (!placed[i] && bars[i].size &&
			    (largest == PCI_BARS || bars[i].size > bars[largest].size))
				largest = i;
		}
		if (largest == PCI_BARS)
			break;
		placed[largest] = true;
		bars[largest].addr =
			start + used; /* a multiple of it, as all before are of theirs */
		used += bars[largest].size;
		if (!bars[largest].wide && start + used - 1 > UINT32_MAX && *low < 0)
			*low = (int)largest;
	}
	if (used <= size)
		return 0;
	while (enough < used)
		enough *= 2;
	return enough;
}

/* Adds [start, end) in whole pages. */
static unsigned add_area(uint64_t start, uint64_t end, uint64_t page, struct vfio_area *out,
			 unsigned n, unsigned max)
{
	start = (start + page - 1) & ~(page - 1);
	end &= ~(page - 1);
	if (start < end && n < max)
		out[n++] = (struct vfio_area){ start, end - start };
	return n;
}

unsigned vfio_areas(const struct vfio_area *areas, unsigned n, uint64_t bar, uint64_t page,
		    const struct vfio_area *cut, struct vfio_area *out, unsigned max)
{
	uint64_t cut_start = cut->offset & ~(page - 1);
	uint64_t cut_end = (cut->offset + cut->size + page - 1) & ~(page - 1);
	unsigned found = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t start = areas[i].offset, end = start + areas[i].size;

		if (!bytes_inside(start, areas[i].size, 0, bar))
			continue;
		if (!cut->size || cut_end <= start || cut_start >= end) {
			found = add_area(start, end, page, out, found, max);
			continue;
		}
		found = add_area(start, cut_start, page, out, found, max);
		found = add_area(cut_end, end, page, out, found, max);
	}
	return found;
}
