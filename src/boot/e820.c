/* e820.c: the plan's memory as the map that PC firmware gives to a kernel. */
#include <errno.h>
#include <stdlib.h>

#include "e820.h"

struct map {
	struct e820_entry *entries;
	size_t n, max;
};

/* [start, end) */
static void add(struct map *map, uint32_t type, uint64_t start, uint64_t end)
{
	if (start == end)
		return;
	if (map->n < map->max)
		map->entries[map->n] = (struct e820_entry){ start, end - start, type };
	map->n++;
}

size_t e820_map(const struct plan *plan, struct e820_entry *entries, size_t max)
{
	struct map map = { .entries = entries, .max = max };
	uint64_t from = 0, end = 0; /* what is left of the RAM region that was seen last */

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->space != SPACE_MEM)
			continue;
		switch (r->kind) {
		case REGION_RAM:
			add(&map, E820_RAM, from, end);
			from = r->start;
			end = r->last + 1;
			break;
		case REGION_TABLES:
			/* Cut out of RAM. Reserved rather than reclaimable (type 3): that suits
			 * ACPI's FACS and SMBIOS as well, and nobody misses the few pages. */
			add(&map, E820_RAM, from, r->start);
			add(&map, E820_RESERVED, r->start, r->last + 1);
			from = r->last + 1;
			break;
		case REGION_ROM:
		case REGION_RESERVED:
		case REGION_PLATFORM:
			add(&map, E820_RAM, from, end);
			from = end;
			add(&map, E820_RESERVED, r->start, r->last + 1);
			break;
		case REGION_HOLE:   /* nothing is there, ... */
		case REGION_DEVICE: /* ... or what a driver looks for itself, */
		case REGION_BOOT:   /* or what is free once the kernel has read it */
			break;
		}
	}
	add(&map, E820_RAM, from, end);
	return map.n;
}

int e820_make(const struct plan *plan, size_t max, struct e820_entry **entries, size_t *n,
	      struct err *err)
{
	size_t count = e820_map(plan, NULL, 0);
	struct e820_entry *made;

	if (count > max)
		return err_set(err, E2BIG, STATUS_BUG, "the memory map has outgrown its place");
	made = calloc(count ? count : 1, sizeof(*made));
	if (!made)
		return err_errno(err, ENOMEM, STATUS_OSERR, "memory map");
	*n = e820_map(plan, made, count);
	*entries = made;
	return 0;
}
