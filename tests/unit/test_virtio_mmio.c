/* test_virtio_mmio.c: the registers of the MMIO transport: what each reads, takes and ignores. */
#include "virtio_driver.h"

#include <vibevmm/log.h>

static struct driver d;
static struct virtio *probe;
static unsigned kicks;
static struct virtio_worker *worker;

static int probe_create(struct virtio *v, struct err *err)
{
	static uint8_t config[6] = { 1, 2, 3, 4, 5, 6 };

	(void)err;
	probe = v;
	v->features = 0x1234;
	v->n_queues = 2;
	v->queue_size = 64;
	v->config = config;
	v->config_len = sizeof(config);
	return 0;
}

static const struct virtio_type type = {
	.id = 42,
	.create = probe_create,
	.destroy = driver_nothing,
	.start = driver_starts,
	.stop = driver_nothing,
};

DRIVER_ROW(row, type, "probe");

static int setup(void **state)
{
	(void)state;
	driver_plug(&d, &row, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	driver_unplug(&d);
	return 0;
}

static void it_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(driver_in(&d, 0x000), 0x74726976);
	assert_int_equal(driver_in(&d, 0x004), 2);
	assert_int_equal(driver_in(&d, 0x008), 42);
	assert_int_not_equal(driver_in(&d, 0x00c), 0);
	assert_int_equal(driver_in(&d, 0x010), 0x1234 | DRIVER_EVENT_IDX | DRIVER_INDIRECT_DESC);
}

/* VIRTIO 4.2.2.2: 32 bits, aligned. */
static void registers_are_32_bits_wide(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= 8; size *= 2) {
		if (size == 4)
			continue;
		assert_int_equal(driver_read(&d, 0x000, size), 0);
		driver_write(&d, MMIO_STATUS, size, 1);
		assert_int_equal(driver_in(&d, MMIO_STATUS), 0);
	}
	for (unsigned offset = 1; offset < 4; offset++)
		assert_int_equal(driver_read(&d, offset, 4), 0);
	/* Its bytes beyond the last register. */
	assert_int_equal(driver_read(&d, 0x0fe, 4), 0);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 1, 1), 2);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 1, 2), 0x0302);
}

static void what_can_only_be_written_reads_as_0(void **state)
{
	static const uint16_t offsets[] = { 0x014, 0x020, 0x024, 0x030, 0x038, 0x050, 0x064,
					    0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4, 0x0ac };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		driver_out(&d, offsets[i], UINT32_MAX);
		assert_int_equal(driver_in(&d, offsets[i]), 0);
	}
}

/* VIRTIO 4.2.2.1: a region that isn't there has a length of all ones. */
static void there_is_no_shared_memory(void **state)
{
	(void)state;
	driver_out(&d, 0x0ac, 1);
	assert_int_equal(driver_in(&d, 0x0b0), UINT32_MAX);
	assert_int_equal(driver_in(&d, 0x0b4), UINT32_MAX);
}

static void a_queue_that_is_not_there_has_no_size_and_takes_nothing(void **state)
{
	static const uint32_t indices[] = { 2, 3, 0x10000, UINT32_MAX };

	(void)state;
	driver_negotiate(&d, 0);
	assert_int_equal(driver_queue_max(&d, 1), 64);
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		assert_int_equal(driver_queue_max(&d, indices[i]), 0);
		for (unsigned offset = MMIO_QUEUE_NUM; offset < MMIO_GENERATION; offset += 4) {
			if (offset != MMIO_STATUS)
				driver_out(&d, offset, 1);
		}
		assert_int_equal(driver_in(&d, MMIO_QUEUE_READY), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_false(virtio_queue_ready(virtio_queue(probe, i)));
}

static void addresses_come_in_halves(void **state)
{
	struct virtio_ring ring;

	(void)state;
	driver_out(&d, MMIO_QUEUE_SEL, 1);
	for (unsigned i = 0; i < 6; i++)
		driver_out(&d, MMIO_QUEUE_DESC + 0x10 * (i / 2) + 4 * (i % 2),
			   0x11111110 * (i + 1));
	ring = virtio_queue_ring(virtio_queue(probe, 1));
	assert_int_equal(ring.descriptors, 0x2222222011111110);
	assert_int_equal(ring.driver, 0x4444444033333330);
	assert_int_equal(ring.device, 0x6666666055555550);
	assert_int_equal(virtio_queue_ring(virtio_queue(probe, 0)).driver, 0);
	/* The other half stays. */
	driver_out(&d, MMIO_QUEUE_DESC, 0);
	assert_int_equal(virtio_queue_ring(virtio_queue(probe, 1)).descriptors, 0x2222222000000000);
}

static void a_queue_is_ready_when_the_driver_says_so(void **state)
{
	(void)state;
	driver_negotiate(&d, 0);
	driver_ring(&d, 1, 64);
	driver_enable(&d, 1);
	assert_int_equal(driver_in(&d, MMIO_QUEUE_READY), 1);
	driver_out(&d, MMIO_QUEUE_SEL, 0);
	assert_int_equal(driver_in(&d, MMIO_QUEUE_READY), 0);
	driver_ok(&d);
	assert_false(driver_broken(&d));
	assert_int_equal(virtio_queue_size(virtio_queue(probe, 1)), 64);
}

static void writes_to_what_is_the_devices_change_nothing(void **state)
{
	static const uint16_t offsets[] = {
		0x000, 0x004, 0x008, 0x00c, 0x010, 0x034, 0x060, 0x0b0,
		0x0b4, 0x0b8, 0x0bc, 0x0fc, 0x100, 0x104, 0x200, 0xffc
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint32_t before = driver_in(&d, offsets[i]);

		driver_out(&d, offsets[i], ~before);
		assert_int_equal(driver_in(&d, offsets[i]), before);
	}
}

/* ---- Hammering ----------------------------------------------------------------------------- */

static void count_kick(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(64)];
	struct virtio_chain chain = { .iov = iov, .cap = ARRAY_SIZE(iov) };

	kicks++;
	do {
		while (virtio_queue_take(q, &chain))
			virtio_queue_give(q, chain.head, 0);
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}

static int busy_start(struct virtio *v)
{
	worker = virtio_worker_new(v);
	for (unsigned i = 0; i < v->n_queues; i++) {
		if (virtio_queue_ready(virtio_queue(v, i)))
			virtio_worker_queue(worker, virtio_queue(v, i), count_kick);
	}
	return virtio_worker_run(worker);
}

static void busy_stop(struct virtio *v)
{
	(void)v;
	virtio_worker_free(worker);
}

static const struct virtio_type busy_type = {
	.id = 43,
	.create = probe_create,
	.destroy = driver_nothing,
	.start = busy_start,
	.stop = busy_stop,
};

DRIVER_ROW(busy_row, busy_type, "busy");

/* The worker raises the line while the driver acknowledges: none may be lost, or a wait would
 * time out. */
static void no_interrupt_is_lost_between_worker_and_driver(void **state)
{
	static const uint64_t features[] = { 0, DRIVER_EVENT_IDX };

	(void)state;
	driver_plug(&d, &busy_row, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		driver_start(&d, features[i]);
		for (unsigned n = 0; n < 5000; n++) {
			struct driver_buffer buffer = { DRIVER_RAM, 1 };

			driver_request(&d, n % 2, &buffer, 1, 0);
		}
	}
	assert_false(driver_broken(&d));
	driver_unplug(&d);
}

static void resets_in_flight_do_no_harm(void **state)
{
	(void)state;
	driver_plug(&d, &busy_row, NULL);
	for (unsigned n = 0; n < 200; n++) {
		d.next = DRIVER_RAM;
		driver_start(&d, DRIVER_EVENT_IDX);
		for (unsigned i = 0; i < n % 50; i++) {
			driver_add(&d, 0, &(struct driver_buffer){ DRIVER_RAM, 1 }, 1, 0);
			driver_kick(&d, 0);
		}
	}
	driver_unplug(&d);
	assert_true(kicks >= 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(it_says_what_it_is),
		TEST(registers_are_32_bits_wide),
		TEST(what_can_only_be_written_reads_as_0),
		TEST(there_is_no_shared_memory),
		TEST(a_queue_that_is_not_there_has_no_size_and_takes_nothing),
		TEST(addresses_come_in_halves),
		TEST(a_queue_is_ready_when_the_driver_says_so),
		TEST(writes_to_what_is_the_devices_change_nothing),
		cmocka_unit_test(no_interrupt_is_lost_between_worker_and_driver),
		cmocka_unit_test(resets_in_flight_do_no_harm),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
