/* test_bus.c: which device answers, and what it sees of an access. */
#include <errno.h>

#include "unit/fake_host.h"

#include <vibevmm/bus.h>

/* A device that writes down its accesses; reads give its tag and the offset, in every byte. */
struct access {
	char kind;
	uint64_t offset, value;
	unsigned size;
};

struct recorder {
	struct device dev;
	uint8_t tag;
	struct access log[16];
	unsigned n;
};

static struct access *record(struct device *dev, char kind, uint64_t offset, unsigned size)
{
	struct recorder *r = (struct recorder *)dev;

	assert_true(r->n < ARRAY_SIZE(r->log));
	r->log[r->n] = (struct access){ kind, offset, 0, size };
	return &r->log[r->n++];
}

static uint64_t rec_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	uint8_t tag = ((struct recorder *)dev)->tag;
	uint64_t value = 0;

	(void)claim;
	record(dev, 'r', offset, size);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)(uint8_t)(tag + offset + i) << (8 * i);
	return value;
}

static void rec_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	(void)claim;
	record(dev, 'w', offset, size)->value = value;
}

static const struct device_row row = { .read = rec_read, .write = rec_write };

static void recorder_init(struct recorder *r, uint8_t tag)
{
	*r = (struct recorder){ .dev = { .row = &row }, .tag = tag };
	pthread_mutex_init(&r->dev.lock, NULL);
}

static int add(struct bus *bus, struct recorder *r, uint64_t start, uint64_t size, unsigned width)
{
	const struct claim claim = { .width = width };
	const struct plan_claim place = { .claim = &claim, .start = start, .size = size };

	return bus_add(bus, &r->dev, &place);
}

static void assert_access(const struct recorder *r, unsigned i, char kind, uint64_t offset,
			  unsigned size)
{
	assert_true(i < r->n);
	assert_int_equal(r->log[i].kind, kind);
	assert_int_equal(r->log[i].offset, offset);
	assert_int_equal(r->log[i].size, size);
}

static void windows_are_sorted_and_may_not_overlap(void **state)
{
	static const uint64_t starts[] = { 0x300, 0x100, 0x200, 0x000, UINT64_MAX - 0xff };
	struct recorder r;
	struct bus bus;

	(void)state;
	bus_init(&bus);
	recorder_init(&r, 0);
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		assert_int_equal(add(&bus, &r, starts[i], 0x100, 8), 0);
	for (size_t i = 1; i < bus.n; i++)
		assert_true(bus.windows[i - 1].last < bus.windows[i].start);
	assert_int_equal(add(&bus, &r, 0x3ff, 2, 8), -EEXIST);
	assert_int_equal(add(&bus, &r, 0x80, 1, 8), -EEXIST);
	assert_int_equal(add(&bus, &r, UINT64_MAX, 1, 8), -EEXIST);
	assert_int_equal(add(&bus, &r, 0x400, 1, 8), 0);
	assert_int_equal(bus.n, 6);
	bus_free(&bus);
}

static void first_and_last_byte_are_inside_and_neighbours_are_not(void **state)
{
	struct bus_hint hint = { 0 };
	struct recorder r;
	struct bus bus;
	uint8_t data[8] = { 0 };

	(void)state;
	bus_init(&bus);
	recorder_init(&r, 0x10);
	assert_int_equal(add(&bus, &r, 0x100, 4, 8), 0);
	assert_false(bus_read(&bus, &hint, 0xff, data, 1));
	assert_int_equal(data[0], 0xff);
	assert_true(bus_read(&bus, &hint, 0x100, data, 1));
	assert_int_equal(data[0], 0x10);
	assert_true(bus_read(&bus, &hint, 0x103, data, 1));
	assert_int_equal(data[0], 0x13);
	assert_false(bus_read(&bus, &hint, 0x104, data, 1));
	assert_int_equal(data[0], 0xff);
	assert_false(bus_write(&bus, &hint, 0x104, data, 1));
	assert_int_equal(r.n, 2);
	bus_free(&bus);
}

static void an_empty_bus_claims_nothing(void **state)
{
	struct bus_hint hint = { 0 };
	uint8_t data[8] = { 0 }, ones[8];
	struct bus bus;

	(void)state;
	bus_init(&bus);
	memset(ones, 0xff, sizeof(ones));
	assert_false(bus_read(&bus, &hint, 0, data, 8));
	assert_memory_equal(data, ones, 8);
	assert_false(bus_write(&bus, &hint, UINT64_MAX, data, 1));
	bus_free(&bus);
}

static void the_hint_changes_with_the_window(void **state)
{
	struct bus_hint hint = { 0 };
	struct recorder a, b;
	struct bus bus;
	uint8_t data[8];

	(void)state;
	bus_init(&bus);
	recorder_init(&a, 0xa0);
	recorder_init(&b, 0xb0);
	assert_int_equal(add(&bus, &a, 0x10, 0x10, 8), 0);
	assert_int_equal(add(&bus, &b, 0x20, 0x10, 8), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(bus_read(&bus, &hint, 0x1f, data, 1));
		assert_int_equal(data[0], 0xaf);
		assert_true(bus_read(&bus, &hint, 0x20, data, 1));
		assert_int_equal(data[0], 0xb0);
	}
	assert_int_equal(a.dev.reads, 3);
	assert_int_equal(b.dev.reads, 3);
	bus_free(&bus);
}

static void every_size_reaches_the_device_in_pieces_it_takes(void **state)
{
	(void)state;
	for (unsigned width = 1; width <= 8; width *= 2) {
		for (unsigned size = 1; size <= 8; size++) {
			struct bus_hint hint = { 0 };
			uint8_t data[9] = { 0 };
			struct recorder r;
			struct bus bus;
			unsigned sum = 0;

			bus_init(&bus);
			recorder_init(&r, 0x40);
			assert_int_equal(add(&bus, &r, 0x1000, 0x100, width), 0);
			assert_true(bus_read(&bus, &hint, 0x1008, data, size));
			for (unsigned i = 0; i < size; i++)
				assert_int_equal(data[i], 0x48 + i);
			assert_int_equal(data[size], 0);
			for (unsigned i = 0; i < r.n; i++) {
				assert_access(&r, i, 'r', 8 + sum, r.log[i].size);
				assert_true(r.log[i].size <= width);
				assert_true(bytes_is_power_of_2(r.log[i].size));
				sum += r.log[i].size;
			}
			assert_int_equal(sum, size);
			assert_int_equal(r.dev.reads, r.n);
			bus_free(&bus);
		}
	}
}

/* Whether the caller has the lock. */
static uint64_t is_locked(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	bool locked = !device_trylock(dev);

	(void)claim;
	(void)offset;
	(void)size;
	if (!locked)
		device_unlock(dev);
	return locked;
}

static void a_device_is_locked_unless_it_takes_many_at_once(void **state)
{
	(void)state;
	for (int many = 0; many < 2; many++) {
		const struct device_row asked = { .read = is_locked, .many_at_once = many };
		struct bus_hint hint = { 0 };
		struct recorder r;
		struct bus bus;
		uint8_t data;

		bus_init(&bus);
		recorder_init(&r, 0);
		r.dev.row = &asked;
		assert_int_equal(add(&bus, &r, 0x100, 4, 4), 0);
		assert_true(bus_read(&bus, &hint, 0x100, &data, 1));
		assert_int_equal(data, !many);
		assert_true(device_trylock(&r.dev));
		device_unlock(&r.dev);
		assert_int_equal(r.dev.reads, 1);
		bus_free(&bus);
	}
}

static void a_wide_write_is_split_low_part_first(void **state)
{
	static const uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct bus_hint hint = { 0 };
	struct recorder r;
	struct bus bus;

	(void)state;
	bus_init(&bus);
	recorder_init(&r, 0);
	assert_int_equal(add(&bus, &r, 0x1000, 0x10, 4), 0);
	assert_true(bus_write(&bus, &hint, 0x1000, data, 8));
	assert_true(bus_write(&bus, &hint, 0x1004, data, 3));
	assert_int_equal(r.n, 4);
	assert_access(&r, 0, 'w', 0, 4);
	assert_int_equal(r.log[0].value, 0x04030201);
	assert_access(&r, 1, 'w', 4, 4);
	assert_int_equal(r.log[1].value, 0x08070605);
	assert_access(&r, 2, 'w', 4, 2);
	assert_int_equal(r.log[2].value, 0x0201);
	assert_access(&r, 3, 'w', 6, 1);
	assert_int_equal(r.log[3].value, 3);
	assert_int_equal(r.dev.writes, 4);
	bus_free(&bus);
}

static void an_access_may_begin_before_or_run_past_a_window(void **state)
{
	static const uint8_t out[4] = { 1, 2, 3, 4 };
	static const uint8_t before[4] = { 0xff, 0xff, 0x70, 0x71 };
	static const uint8_t past[4] = { 0x72, 0x73, 0xff, 0xff };
	struct bus_hint hint = { 0 };
	struct recorder r;
	struct bus bus;
	uint8_t data[4];

	(void)state;
	bus_init(&bus);
	recorder_init(&r, 0x70);
	assert_int_equal(add(&bus, &r, 0x100, 4, 1), 0);
	assert_true(bus_read(&bus, &hint, 0xfe, data, 4));
	assert_memory_equal(data, before, 4);
	assert_true(bus_read(&bus, &hint, 0x102, data, 4));
	assert_memory_equal(data, past, 4);
	r.n = 0;
	assert_true(bus_write(&bus, &hint, 0xff, out, 4));
	assert_int_equal(r.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_access(&r, i, 'w', i, 1);
		assert_int_equal(r.log[i].value, out[i + 1]);
	}
	bus_free(&bus);
}

static void an_access_across_two_devices_reaches_both(void **state)
{
	static const uint8_t want[4] = { 0xa3, 0xb0, 0xff, 0xc0 };
	struct bus_hint hint = { 0 };
	struct recorder a, b, c;
	struct bus bus;
	uint8_t data[4];

	(void)state;
	bus_init(&bus);
	recorder_init(&a, 0xa0);
	recorder_init(&b, 0xb0);
	recorder_init(&c, 0xc0);
	assert_int_equal(add(&bus, &a, 0x40, 4, 8), 0);
	assert_int_equal(add(&bus, &b, 0x44, 1, 8), 0);
	assert_int_equal(add(&bus, &c, 0x46, 1, 8), 0);
	assert_true(bus_read(&bus, &hint, 0x43, data, 4));
	assert_memory_equal(data, want, 4);
	bus_free(&bus);
}

static void an_access_beyond_the_top_does_not_come_round(void **state)
{
	struct bus_hint hint = { 0 };
	struct recorder top, bottom;
	struct bus bus;
	uint8_t data[8];

	(void)state;
	bus_init(&bus);
	recorder_init(&top, 0x10);
	recorder_init(&bottom, 0x20);
	assert_int_equal(add(&bus, &top, UINT64_MAX - 3, 4, 8), 0);
	assert_int_equal(add(&bus, &bottom, 0, 4, 8), 0);
	assert_true(bus_read(&bus, &hint, UINT64_MAX - 3, data, 8));
	assert_int_equal(bytes_get(data, 8), 0xffffffff13121110);
	assert_true(bus_write(&bus, &hint, UINT64_MAX - 3, data, 8));
	assert_int_equal(bottom.n, 0);
	bus_free(&bus);
}

static void search_agrees_with_a_linear_scan(void **state)
{
	static struct recorder r;
	uint8_t owner[512] = { 0 };
	uint32_t seed = 1;
	struct bus bus;

	(void)state;
	bus_init(&bus);
	recorder_init(&r, 0);
	for (int i = 0; i < 300; i++) {
		uint32_t start, size;
		bool taken = false;

		seed = seed * 1664525 + 1013904223;
		start = seed >> 8 & 511;
		size = (seed >> 20 & 7) + 1;
		for (uint32_t a = start; a < start + size && a < 512; a++)
			taken |= owner[a];
		if (start + size > 512)
			continue;
		assert_int_equal(add(&bus, &r, start, size, 8), taken ? -EEXIST : 0);
		for (uint32_t a = start; a < start + size && !taken; a++)
			owner[a] = 1;
	}
	assert_true(bus.n > 32);
	for (uint64_t a = 0; a < 512; a++) {
		struct bus_hint hint = { 0 };
		uint8_t data;

		r.n = 0;
		assert_int_equal(bus_read(&bus, &hint, a, &data, 1), owner[a]);
	}
	bus_free(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_are_sorted_and_may_not_overlap),
		cmocka_unit_test(first_and_last_byte_are_inside_and_neighbours_are_not),
		cmocka_unit_test(an_empty_bus_claims_nothing),
		cmocka_unit_test(the_hint_changes_with_the_window),
		cmocka_unit_test(every_size_reaches_the_device_in_pieces_it_takes),
		cmocka_unit_test(a_device_is_locked_unless_it_takes_many_at_once),
		cmocka_unit_test(a_wide_write_is_split_low_part_first),
		cmocka_unit_test(an_access_may_begin_before_or_run_past_a_window),
		cmocka_unit_test(an_access_across_two_devices_reaches_both),
		cmocka_unit_test(an_access_beyond_the_top_does_not_come_round),
		cmocka_unit_test(search_agrees_with_a_linear_scan),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
