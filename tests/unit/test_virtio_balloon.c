/* test_virtio_balloon.c: virtio-balloon as its driver sees it: which pages the host gets back. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "unit/virtio_driver.h"

extern const struct device_row device_virtio_balloon;

enum { INFLATE, DEFLATE, STATS, HINT, REPORTING };
enum { F_STATS_VQ = 2, F_DEFLATE_ON_OOM = 4, F_FREE_PAGE_HINT = 8, F_PAGE_REPORTING = 0x20 };
enum { PAGE = 4096 };

/* As in src/virtio/balloon.c. */
struct options {
	VIRTIO_MEMBERS;
	uint64_t size;
	bool deflate_on_oom, reporting;
	uint64_t statistics;
};

static struct driver d;
static struct options options;

static int setup(void **state)
{
	(void)state;
	assert_true(sizeof(struct options) == device_virtio_balloon.type.size);
	options = (struct options){ .size = 1 << 20, .deflate_on_oom = true, .reporting = true };
	return 0;
}

/* Pages whose first byte is 0xaa, unless the host has taken them back. */
static uint64_t pages(unsigned n)
{
	uint64_t gpa = driver_alloc(&d, (uint64_t)n * PAGE);

	memset(driver_ptr(&d, gpa), 0xaa, (size_t)n * PAGE);
	return gpa;
}

static bool given_back(uint64_t gpa)
{
	return *(volatile uint8_t *)driver_ptr(&d, gpa) == 0;
}

static void inflate(unsigned queue, const uint32_t *numbers, uint32_t n)
{
	struct driver_buffer buffer = { driver_alloc(&d, 4 * n), 4 * n };

	memcpy(driver_ptr(&d, buffer.gpa), numbers, 4 * n);
	assert_int_equal(driver_request(&d, queue, &buffer, 1, 0), 0);
}

static void the_target_is_in_its_config(void **state)
{
	(void)state;
	driver_plug(&d, &device_virtio_balloon, &options);
	assert_int_equal(driver_offered(&d) & 0x3f,
			 F_STATS_VQ | F_DEFLATE_ON_OOM | F_FREE_PAGE_HINT | F_PAGE_REPORTING);
	assert_int_equal(driver_in(&d, MMIO_CONFIG), 256);
	driver_out(&d, MMIO_CONFIG + 4, 17);
	assert_int_equal(driver_in(&d, MMIO_CONFIG + 4), 17);
	for (unsigned offset = 0; offset < 16; offset += 4) {
		if (offset == 4)
			continue;
		driver_out(&d, MMIO_CONFIG + offset, 99);
		assert_int_equal(driver_in(&d, MMIO_CONFIG + offset), offset ? 0 : 256);
	}
	driver_unplug(&d);
	options = (struct options){ .size = 0 };
	driver_plug(&d, &device_virtio_balloon, &options);
	assert_int_equal(driver_offered(&d) & 0x3f, F_STATS_VQ);
	assert_int_equal(driver_queue_max(&d, HINT), 0);
	driver_unplug(&d);
}

static void pages_in_the_balloon_go_back_and_no_others(void **state)
{
	uint64_t gpa;
	uint32_t n;

	(void)state;
	driver_plug(&d, &device_virtio_balloon, &options);
	driver_start(&d, F_DEFLATE_ON_OOM);
	gpa = pages(16);
	n = (uint32_t)(gpa / PAGE);
	/* up, down, alone, twice */
	inflate(INFLATE, (uint32_t[]){ n + 1, n + 2, n + 6, n + 5, n + 4, n + 9, n + 9, n + 12 },
		8);
	for (unsigned i = 0; i < 16; i++) {
		bool in = (i >= 1 && i <= 2) || (i >= 4 && i <= 6) || i == 9 || i == 12;

		assert_int_equal(given_back(gpa + i * PAGE), in);
	}
	inflate(DEFLATE, (uint32_t[]){ n + 1, n + 3 }, 2);
	assert_false(given_back(gpa + 3 * PAGE));
	driver_unplug(&d);
}

static void numbers_outside_of_memory_are_ignored(void **state)
{
	uint32_t last = (DRIVER_RAM + DRIVER_RAM_SIZE) / PAGE, n;
	struct driver_buffer odd;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_balloon, &options);
	driver_start(&d, F_DEFLATE_ON_OOM);
	gpa = pages(1);
	n = (uint32_t)(gpa / PAGE);
	memset(driver_ptr(&d, (uint64_t)(last - 1) * PAGE), 0xaa, PAGE);
	inflate(INFLATE,
		(uint32_t[]){ 0, UINT32_MAX, UINT32_MAX - 1, last - 1, last, last + 1, n, 1 }, 8);
	assert_true(given_back(gpa));
	assert_true(given_back((uint64_t)(last - 1) * PAGE)); /* the part of the run that is RAM */
	odd = (struct driver_buffer){ driver_alloc(&d, 16), 3 };
	driver_request(&d, INFLATE, &odd, 1, 0);
	assert_false(driver_broken(&d));
	driver_unplug(&d);
}

static void many_numbers_in_one_request_all_count(void **state)
{
	enum { N = 1000 };
	static uint32_t numbers[N];
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_balloon, &options);
	driver_start(&d, F_DEFLATE_ON_OOM);
	gpa = pages(2 * N);
	for (uint32_t i = 0; i < N; i++)
		numbers[i] = (uint32_t)(gpa / PAGE) + 2 * i;
	inflate(INFLATE, numbers, N);
	for (uint32_t i = 0; i < 2 * N; i++)
		assert_int_equal(given_back(gpa + i * PAGE), i % 2 == 0);
	driver_unplug(&d);
}

static void reported_pages_go_back_if_they_are_whole(void **state)
{
	struct driver_buffer free[2];
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_balloon, &options);
	driver_start(&d, F_DEFLATE_ON_OOM | F_FREE_PAGE_HINT | F_PAGE_REPORTING);
	gpa = pages(8);
	free[0] = (struct driver_buffer){ gpa, 2 * PAGE };
	free[1] = (struct driver_buffer){ gpa + 4 * PAGE + 8, 2 * PAGE };
	driver_request(&d, REPORTING, free, 0, 2);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(given_back(gpa + i * PAGE), i < 2 || i == 5);
	assert_int_equal(((uint8_t *)driver_ptr(&d, gpa + 4 * PAGE))[PAGE - 1], 0xaa);
	driver_unplug(&d);
}

static void statistics_are_asked_for_again(void **state)
{
	struct driver_buffer buffer;
	uint16_t head;
	uint32_t written;

	(void)state;
	options.statistics = 20000000;
	driver_plug(&d, &device_virtio_balloon, &options);
	driver_start(&d, F_STATS_VQ);
	buffer = (struct driver_buffer){ driver_alloc(&d, 100), 100 };
	for (int i = 0; i < 3; i++)
		driver_request(&d, STATS, &buffer, 1, 0);
	driver_reset(&d);
	driver_unplug(&d);
	options.statistics = 0; /* nobody asks: it is kept */
	driver_plug(&d, &device_virtio_balloon, &options);
	driver_start(&d, F_STATS_VQ);
	buffer = (struct driver_buffer){ driver_alloc(&d, 100), 100 };
	driver_add(&d, STATS, &buffer, 1, 0);
	driver_kick(&d, STATS);
	inflate(DEFLATE, (uint32_t[]){ 1 }, 1);
	inflate(DEFLATE, (uint32_t[]){ 1 }, 1);
	assert_false(driver_used(&d, STATS, &head, &written));
	driver_unplug(&d);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_target_is_in_its_config),
		TEST(pages_in_the_balloon_go_back_and_no_others),
		TEST(numbers_outside_of_memory_are_ignored),
		TEST(many_numbers_in_one_request_all_count),
		TEST(reported_pages_go_back_if_they_are_whole),
		TEST(statistics_are_asked_for_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
