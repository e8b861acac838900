/* test_virtio_rng.c: the entropy device. */
#include "virtio_driver.h"

#include <vibevmm/log.h>

extern const struct device_row device_virtio_rng;

/* As in src/virtio/rng.c: what the config binds. */
struct rng_config {
	VIRTIO_MEMBERS;
	uint64_t rate;
};

static struct driver d;

static void plug(uint64_t rate)
{
	static struct rng_config config;

	config = (struct rng_config){ .rate = rate };
	driver_plug(&d, &device_virtio_rng, &config);
	driver_start(&d, DRIVER_EVENT_IDX | DRIVER_INDIRECT_DESC);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static void bytes_fill_all_buffers_and_differ(void **state)
{
	uint64_t page = driver_alloc((plug(0), &d), 8192);
	const struct driver_buffer buffers[] = { { page, 32 }, { page + 100, 32 } };
	const uint8_t *bytes = driver_ptr(&d, page);
	uint8_t before[32];

	(void)state;
	assert_int_equal(driver_request(&d, 0, buffers, 0, 2), 64);
	assert_false(all_zero(bytes, 32));
	assert_false(all_zero(bytes + 100, 32));
	assert_memory_not_equal(bytes, bytes + 100, 32);
	assert_true(all_zero(bytes + 32, 68));
	assert_true(all_zero(bytes + 132, 4096));
	memcpy(before, bytes, sizeof(before));
	driver_request(&d, 0, buffers, 0, 2);
	assert_memory_not_equal(bytes, before, 32);
	driver_unplug(&d);
}

static void a_request_gets_64_kib_at_most(void **state)
{
	uint64_t big = driver_alloc((plug(0), &d), 1 << 20);

	(void)state;
	assert_int_equal(driver_request(&d, 0, &(struct driver_buffer){ big, 1 << 20 }, 0, 1),
			 1 << 16);
	assert_true(all_zero((uint8_t *)driver_ptr(&d, big) + (1 << 16), 1 << 16));
	driver_unplug(&d);
}

static void a_request_without_room_gets_nothing(void **state)
{
	uint64_t page = driver_alloc((plug(0), &d), 4096);

	(void)state;
	assert_int_equal(driver_request(&d, 0, &(struct driver_buffer){ page, 32 }, 1, 0), 0);
	assert_true(all_zero(driver_ptr(&d, page), 32));
	driver_unplug(&d);
}

/* A second's worth comes at once; for more, time must pass: 22 KiB at 100 KiB/s, before the last of
 * these requests. None gets less than it asks for. */
static void a_rate_limit_is_kept(void **state)
{
	enum { RATE = 100 << 10, MORE = 30 << 10 };
	uint64_t page, start, got = 0;

	(void)state;
	plug(RATE);
	page = driver_alloc(&d, 8192);
	start = loop_now();
	while (got < RATE + MORE) {
		uint32_t written =
			driver_request(&d, 0, &(struct driver_buffer){ page, 8192 }, 0, 1);

		assert_int_equal(written, 8192);
		got += written;
	}
	assert_in_range((loop_now() - start) / 1000000, 220, 20000);
	driver_unplug(&d);
}

static void a_reset_does_not_wait_for_the_rate(void **state)
{
	uint64_t page, start;

	(void)state;
	plug(1);
	page = driver_alloc(&d, 4096);
	assert_int_equal(driver_request(&d, 0, &(struct driver_buffer){ page, 1 }, 0, 1), 1);
	start = loop_now();
	driver_add(&d, 0, &(struct driver_buffer){ page, 1 }, 0, 1);
	driver_kick(&d, 0);
	driver_reset(&d);
	assert_true(loop_now() - start < 900000000);
	/* What was given before the reset is not forgotten. */
	driver_start(&d, 0);
	assert_int_equal(driver_request(&d, 0, &(struct driver_buffer){ page, 1 }, 0, 1), 1);
	assert_true(loop_now() - start > 500000000);
	driver_unplug(&d);
}

static void it_starts_without_a_queue(void **state)
{
	(void)state;
	plug(0);
	driver_negotiate(&d, 0);
	driver_ok(&d);
	assert_false(driver_broken(&d));
	driver_kick(&d, 0);
	driver_unplug(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_fill_all_buffers_and_differ),
		cmocka_unit_test(a_request_gets_64_kib_at_most),
		cmocka_unit_test(a_request_without_room_gets_nothing),
		cmocka_unit_test(a_rate_limit_is_kept),
		cmocka_unit_test(a_reset_does_not_wait_for_the_rate),
		cmocka_unit_test(it_starts_without_a_queue),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
