/* allocator.c: free places in a space, from a sorted array of what is busy. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "allocator.h"

void allocator_free(struct allocator *a)
{
	free(a->busy);
	*a = (struct allocator){ 0 };
}

static int grow(struct allocator *a)
{
	size_t cap = a->cap ? 2 * a->cap : 16;
	struct allocator_range *busy;

	if (a->n < a->cap)
		return 0;
	busy = realloc(a->busy, cap * sizeof(*busy));
	if (!busy)
		return -ENOMEM;
	a->busy = busy;
	a->cap = cap;
	return 0;
}

int allocator_add(struct allocator *a, uint64_t start, uint64_t last)
{
	int ret = grow(a);

	assert(start <= last);
	if (!ret)
		a->busy[a->n++] = (struct allocator_range){ start, last };
	return ret;
}

static int by_start(const void *a, const void *b)
{
	const struct allocator_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

void allocator_seal(struct allocator *a)
{
	size_t kept = 0;

	if (!a->n)
		return;
	qsort(a->busy, a->n, sizeof(*a->busy), by_start);
	for (size_t i = 1; i < a->n; i++) {
		struct allocator_range *top = &a->busy[kept];

		/* No overflow: a later range starts no lower, so it overlaps a `last` at the top.
		 */
		if (top->last == UINT64_MAX || a->busy[i].start <= top->last + 1) {
			if (a->busy[i].last > top->last)
				top->last = a->busy[i].last;
		} else {
			a->busy[++kept] = a->busy[i];
		}
	}
	a->n = kept + 1;
}

/* Index of the first busy range that ends at or above v. */
static size_t first_ending_at(const struct allocator *a, uint64_t v)
{
	size_t low = 0, high = a->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (a->busy[mid].last < v)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool allocator_find(const struct allocator *a, uint64_t size, uint64_t align, uint64_t min,
		    uint64_t max, uint64_t *start)
{
	uint64_t at, last;

	assert(size && bytes_is_power_of_2(align));
	for (size_t i = first_ending_at(a, min);; i++) {
		if (bytes_align_wraps(min, align, &at) || bytes_add_wraps(at, size - 1, &last) ||
		    last > max)
			return false;
		if (i == a->n || last < a->busy[i].start) {
			*start = at;
			return true;
		}
		/* An aligned place may lie beyond this range altogether: then the next decides. */
		if (at <= a->busy[i].last) {
			if (a->busy[i].last == UINT64_MAX)
				return false;
			min = a->busy[i].last + 1;
		}
	}
}

int allocator_take(struct allocator *a, uint64_t start, uint64_t last)
{
	size_t i = first_ending_at(a, start);
	bool below = i > 0 && a->busy[i - 1].last + 1 == start;
	bool above = i < a->n && last + 1 == a->busy[i].start;

	assert(start <= last && (i == a->n || last < a->busy[i].start));
	if (below && above) {
		a->busy[i - 1].last = a->busy[i].last;
		memmove(&a->busy[i], &a->busy[i + 1], (a->n - i - 1) * sizeof(*a->busy));
		a->n--;
	} else if (below) {
		a->busy[i - 1].last = last;
	} else if (above) {
		a->busy[i].start = start;
	} else {
		int ret = grow(a);

		if (ret)
			return ret;
		memmove(&a->busy[i + 1], &a->busy[i], (a->n - i) * sizeof(*a->busy));
		a->busy[i] = (struct allocator_range){ start, last };
		a->n++;
	}
	return 0;
}
