/* test_allocator.c: free places in a space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/plan/allocator.h"

static struct allocator make(const uint64_t (*ranges)[2], size_t n)
{
	struct allocator a = { 0 };

	for (size_t i = 0; i < n; i++)
		assert_int_equal(allocator_add(&a, ranges[i][0], ranges[i][1]), 0);
	allocator_seal(&a);
	return a;
}

static void seal_sorts_and_merges_what_touches_or_overlaps(void **state)
{
	const uint64_t ranges[][2] = { { 30, 39 }, { 10, 19 }, { 15, 25 }, { 26, 28 }, { 12, 13 } };
	struct allocator a = make(ranges, 5);

	(void)state;
	assert_int_equal(a.n, 2);
	assert_int_equal(a.busy[0].start, 10);
	assert_int_equal(a.busy[0].last, 28);
	assert_int_equal(a.busy[1].start, 30);
	allocator_free(&a);
}

static void seal_survives_ranges_at_the_top_of_64_bits(void **state)
{
	const uint64_t ranges[][2] = { { UINT64_MAX, UINT64_MAX },
				       { UINT64_MAX - 9, UINT64_MAX },
				       { 5, 5 } };
	struct allocator a = make(ranges, 3);
	uint64_t at = 77;

	(void)state;
	assert_int_equal(a.n, 2);
	assert_int_equal(a.busy[1].start, UINT64_MAX - 9);
	assert_false(allocator_find(&a, 1, 1, UINT64_MAX - 5, UINT64_MAX, &at));
	assert_int_equal(at, 77);
	assert_true(allocator_find(&a, 4, 1, UINT64_MAX - 13, UINT64_MAX, &at));
	assert_int_equal(at, UINT64_MAX - 13);
	allocator_free(&a);
}

static void find_takes_the_lowest_gap_that_fits_aligned(void **state)
{
	const uint64_t ranges[][2] = { { 0, 0xfff }, { 0x1800, 0x1fff }, { 0x3000, 0x3fff } };
	struct allocator a = make(ranges, 3);
	uint64_t at;

	(void)state;
	assert_true(allocator_find(&a, 0x800, 0x800, 0, UINT64_MAX, &at));
	assert_int_equal(at, 0x1000);
	assert_true(allocator_find(&a, 0x1000, 0x1000, 0, UINT64_MAX, &at));
	assert_int_equal(at, 0x2000);
	assert_true(allocator_find(&a, 0x1000, 0x10000, 0, UINT64_MAX, &at));
	assert_int_equal(at, 0x10000);
	assert_true(allocator_find(&a, 1, 1, 0x1fff, UINT64_MAX, &at));
	assert_int_equal(at, 0x2000);
	allocator_free(&a);
}

static void find_keeps_to_the_limits(void **state)
{
	const uint64_t ranges[][2] = { { 0x1000, 0x1fff } };
	struct allocator a = make(ranges, 1);
	uint64_t at;

	(void)state;
	assert_true(allocator_find(&a, 0x1000, 1, 0, 0xfff, &at));
	assert_int_equal(at, 0);
	assert_false(allocator_find(&a, 0x1000, 1, 1, 0x2ffe, &at));
	assert_true(allocator_find(&a, 0x1000, 1, 1, 0x2fff, &at));
	assert_int_equal(at, 0x2000);
	assert_false(allocator_find(&a, UINT64_MAX, 1, 0, UINT64_MAX, &at));
	assert_false(allocator_find(&a, 1, 1ULL << 63, (1ULL << 63) + 1, UINT64_MAX, &at));
	allocator_free(&a);
}

static void take_joins_neighbours(void **state)
{
	struct allocator a = { 0 };

	(void)state;
	allocator_seal(&a);
	assert_int_equal(allocator_take(&a, 10, 19), 0);
	assert_int_equal(allocator_take(&a, 30, 39), 0);
	assert_int_equal(a.n, 2);
	assert_int_equal(allocator_take(&a, 40, 44), 0);
	assert_int_equal(allocator_take(&a, 5, 9), 0);
	assert_int_equal(a.n, 2);
	assert_int_equal(allocator_take(&a, 20, 29), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.busy[0].start, 5);
	assert_int_equal(a.busy[0].last, 44);
	allocator_free(&a);
}

/* Against a map of bytes, which can't be wrong. */
static void find_and_take_agree_with_a_byte_map(void **state)
{
	enum { TOP = 512 };
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		uint8_t map[TOP] = { 0 };
		struct allocator a = { 0 };

		for (int i = 0; i < 10; i++) {
			uint64_t start = (uint64_t)(rand_r(&seed) % TOP);
			uint64_t last = start + (uint64_t)(rand_r(&seed) % 30);

			if (last >= TOP)
				last = TOP - 1;
			assert_int_equal(allocator_add(&a, start, last), 0);
			for (uint64_t k = start; k <= last; k++)
				map[k] = 1;
		}
		allocator_seal(&a);
		for (int i = 0; i < 60; i++) {
			uint64_t size = 1 + (uint64_t)(rand_r(&seed) % 20);
			uint64_t align = 1ULL << rand_r(&seed) % 5;
			uint64_t min = (uint64_t)(rand_r(&seed) % TOP), want, at = 0;
			bool found;

			for (want = (min + align - 1) & ~(align - 1); want + size <= TOP;
			     want += align) {
				uint64_t k = 0;

				while (k < size && !map[want + k])
					k++;
				if (k == size)
					break;
			}
			found = allocator_find(&a, size, align, min, TOP - 1, &at);
			assert_int_equal(found, want + size <= TOP);
			if (!found)
				continue;
			assert_int_equal(at, want);
			assert_int_equal(allocator_take(&a, at, at + size - 1), 0);
			for (uint64_t k = 0; k < size; k++)
				map[at + k] = 1;
			for (size_t k = 1; k < a.n; k++)
				assert_true(a.busy[k].start > a.busy[k - 1].last + 1);
		}
		allocator_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seal_sorts_and_merges_what_touches_or_overlaps),
		cmocka_unit_test(seal_survives_ranges_at_the_top_of_64_bits),
		cmocka_unit_test(find_takes_the_lowest_gap_that_fits_aligned),
		cmocka_unit_test(find_keeps_to_the_limits),
		cmocka_unit_test(take_joins_neighbours),
		cmocka_unit_test(find_and_take_agree_with_a_byte_map),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
