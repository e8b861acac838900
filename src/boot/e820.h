/* e820.h: the plan's memory as the map that PC firmware gives to a kernel (ACPI 6.4, 15).
 *
 * Shared by the boot formats of kernels. Pure; any thread.
 */
#ifndef BOOT_E820_H
#define BOOT_E820_H

#include <stddef.h>
#include <stdint.h>

#include <vibevmm/plan.h>

/* ACPI 6.4, table 15.1, "Address Range Types". */
enum { E820_RAM = 1, E820_RESERVED = 2 };

struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
};

/* More entries than the tables that are placed after the boot image can add to its map. */
#define E820_SPARE 16

/* Fills at most max entries, upwards and without overlaps; returns how many there are. */
size_t e820_map(const struct plan *plan, struct e820_entry *entries, size_t max);

/* The map of n entries, to be freed. 0, -ENOMEM, or -E2BIG for more than max, which are as many as
 * the boot format has made room for. */
int e820_make(const struct plan *plan, size_t max, struct e820_entry **entries, size_t *n,
	      struct err *err);

#endif
