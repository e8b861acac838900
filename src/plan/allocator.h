/* allocator.h: free places in one space of numbers: addresses, ports, or interrupt lines.
 *
 * First allocator_add everything that has a fixed place, in any order, overlapping or not; then
 * allocator_seal once; from then on allocator_find and allocator_take. One thread.
 */
#ifndef VIBEVMM_PLAN_ALLOCATOR_H
#define VIBEVMM_PLAN_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allocator_range {
	uint64_t start, last; /* inclusive: a range may end at the top of 64 bits */
};

/* Zero-initialise. Once sealed, `busy` is sorted and no two ranges touch. */
struct allocator {
	struct allocator_range *busy;
	size_t n, cap;
};

void allocator_free(struct allocator *a);

/* Notes that [start, last] is busy. 0 or -ENOMEM. */
int allocator_add(struct allocator *a, uint64_t start, uint64_t last);

/* Sorts and merges what was added. */
void allocator_seal(struct allocator *a);

/* The lowest free place of `size` (at least 1), a multiple of `align` (a power of two), that lies
 * wholly in [min, max]. False, and *start untouched, if there is none. */
bool allocator_find(const struct allocator *a, uint64_t size, uint64_t align, uint64_t min,
		    uint64_t max, uint64_t *start);

/* Makes [start, last], which must be free, busy. 0 or -ENOMEM. */
int allocator_take(struct allocator *a, uint64_t start, uint64_t last);

#endif
