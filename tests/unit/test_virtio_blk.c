/* test_virtio_blk.c: requests of virtio-blk, as a driver makes them: any split of any buffer, and
 * everything that is none. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/disk_helpers.h"
#include "unit/virtio_driver.h"

#include "../../src/virtio/blk.h"

extern const struct device_row device_virtio_blk;

/* As src/virtio/blk.c has it. */
struct options {
	VIRTIO_MEMBERS;
	char *path, *nbd, *serial;
	uint32_t format, cache;
	bool read_only, ephemeral;
	uint64_t sector;
	uint32_t queues;
};

static struct options options;
static struct driver d;
static uint64_t header, status, data; /* buffers in guest memory */

#define FLUSH	     (1ULL << BLK_F_FLUSH)
#define DISCARD	     (1ULL << BLK_F_DISCARD)
#define WRITE_ZEROES (1ULL << BLK_F_WRITE_ZEROES)
#define ALL	     (FLUSH | DISCARD | WRITE_ZEROES | DRIVER_EVENT_IDX | DRIVER_INDIRECT_DESC)
#define DATA_SIZE    65536U

static void plug(void)
{
	driver_plug(&d, &device_virtio_blk, &options);
	header = driver_alloc(&d, 16 + 16);
	status = driver_alloc(&d, 1);
	data = driver_alloc(&d, DATA_SIZE);
}

static int setup(void **state)
{
	make_image(state);
	options = (struct options){
		.transport = VIRTIO_MMIO, .path = (char *)IMAGE, .sector = 512, .queues = 1
	};
	plug();
	driver_start(&d, ALL);
	return 0;
}

static int teardown(void **state)
{
	driver_unplug(&d);
	return remove_image(state);
}

/* The device anew, with other options and features. */
static void again(uint64_t features)
{
	driver_unplug(&d);
	plug();
	driver_start(&d, features);
}

static uint8_t *bytes(void)
{
	return driver_ptr(&d, data);
}

static void put_header(uint32_t type, uint64_t sector)
{
	uint8_t *h = driver_ptr(&d, header);

	bytes_put32(h, type);
	bytes_put32(h + 4, 0);
	bytes_put64(h + 8, sector);
	*(uint8_t *)driver_ptr(&d, status) = 0xff;
}

static uint8_t result(void)
{
	return *(uint8_t *)driver_ptr(&d, status);
}

/* As most drivers do it: three buffers. Its status. */
static uint8_t transfer(unsigned queue, uint32_t type, uint64_t sector, uint32_t len)
{
	const struct driver_buffer buffers[] = { { header, 16 }, { data, len }, { status, 1 } };
	bool out = type == BLK_T_OUT;
	uint32_t written;

	put_header(type, sector);
	written = driver_request(&d, queue, buffers, out ? 2 : 1, out ? 1 : 2);
	assert_int_equal(written, out ? 1 : len + 1);
	return result();
}

/* A request without data. */
static uint8_t command(uint32_t type)
{
	const struct driver_buffer buffers[] = { { header, 16 }, { status, 1 } };

	put_header(type, 0);
	assert_int_equal(driver_request(&d, 0, buffers, 1, 1), 1);
	return result();
}

static uint8_t range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct driver_buffer buffers[] = { { header, 32 }, { status, 1 } };
	uint8_t *h = driver_ptr(&d, header);

	put_header(type, 0);
	bytes_put64(h + 16, sector);
	bytes_put32(h + 24, sectors);
	bytes_put32(h + 28, flags);
	assert_int_equal(driver_request(&d, 0, buffers, 1, 1), 1);
	return result();
}

/* ---- What it says of itself ----------------------------------------------------------------- */

static void config_tells_size_and_sectors(void **state)
{
	(void)state;
	options.sector = 4096;
	options.queues = 4;
	again(ALL);
	assert_int_equal(driver_read(&d, MMIO_CONFIG, 8), SIZE / 512);
	assert_int_equal(driver_in(&d, MMIO_CONFIG + 12), 510);
	assert_int_equal(driver_in(&d, MMIO_CONFIG + 20), 4096);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 24, 1), 0);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 34, 2), 4);
	assert_int_equal(d.n_queues, 4);
	options.sector = 512;
	again(ALL);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 24, 1), 3);
}

static void a_read_only_disk_says_so(void **state)
{
	(void)state;
	assert_false(driver_offered(&d) >> BLK_F_RO & 1);
	options.read_only = true;
	again(FLUSH);
	assert_true(driver_offered(&d) >> BLK_F_RO & 1);
	assert_false(driver_offered(&d) & (DISCARD | WRITE_ZEROES));
	assert_int_equal(transfer(0, BLK_T_OUT, 0, 512), BLK_S_IOERR);
	assert_int_equal(transfer(0, BLK_T_IN, 0, 512), BLK_S_OK);
	assert_pattern(bytes(), 0, 512);
	assert_image_unchanged();
}

static void the_serial_number_is_padded_with_zeros(void **state)
{
	const struct driver_buffer buffers[] = { { header, 16 }, { data, 21 } };

	(void)state;
	options.serial = (char *)"disk-7";
	again(ALL);
	memset(bytes(), 0xff, 21);
	put_header(BLK_T_GET_ID, 0);
	assert_int_equal(driver_request(&d, 0, buffers, 1, 1), 21);
	assert_memory_equal(bytes(), "disk-7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21);
	options.serial = (char *)"01234567890123456789";
	again(ALL);
	put_header(BLK_T_GET_ID, 0);
	driver_request(&d, 0, buffers, 1, 1);
	assert_memory_equal(bytes(), "01234567890123456789", 20);
}

/* ---- Reading and writing -------------------------------------------------------------------- */

static void what_is_written_is_read_and_in_the_file(void **state)
{
	uint8_t back[4096];

	(void)state;
	assert_int_equal(transfer(0, BLK_T_IN, 8, 4096), BLK_S_OK);
	assert_pattern(bytes(), 4096, 4096);
	memset(bytes(), 0x77, 4096);
	assert_int_equal(transfer(0, BLK_T_OUT, 16, 4096), BLK_S_OK);
	assert_int_equal(command(BLK_T_FLUSH), BLK_S_OK);
	read_file(IMAGE, 8192, back, sizeof(back));
	assert_all(back, sizeof(back), 0x77);
	memset(bytes(), 0, 4096);
	assert_int_equal(transfer(0, BLK_T_IN, 15, 4096), BLK_S_OK);
	assert_pattern(bytes(), 15 * 512, 512);
	assert_all(bytes() + 512, 4096 - 512, 0x77);
}

/* VIRTIO 2.7.4: how a request is split into buffers means nothing. */
static void buffers_may_be_split_anywhere(void **state)
{
	struct driver_buffer buffers[64];
	unsigned n;
	uint64_t at;

	(void)state;
	/* A read: a header in 16 pieces; data and status in one buffer, or in pieces of 13. */
	for (unsigned piece = 13; piece <= 1025; piece += 1012) {
		for (n = 0; n < 16; n++)
			buffers[n] = (struct driver_buffer){ header + n, 1 };
		put_header(BLK_T_IN, 3);
		memset(bytes(), 0xff, 1025);
		for (at = 0; at < (piece == 13 ? 513 : 1025); at += piece)
			buffers[n++] =
				(struct driver_buffer){ data + at, piece == 13 && 513 - at < 13
									   ? (uint32_t)(513 - at)
									   : piece };
		at = piece == 13 ? 512 : 1024;
		if (n > 64 || driver_request(&d, 0, buffers, 16, n - 16) != at + 1)
			fail();
		assert_pattern(bytes(), 3 * 512, at);
		assert_int_equal(bytes()[at], BLK_S_OK);
	}
	/* A write: header and the first bytes of the data in one. */
	put_header(BLK_T_OUT, 5);
	memcpy(bytes(), driver_ptr(&d, header), 16);
	memset(bytes() + 16, 0x42, 512);
	buffers[0] = (struct driver_buffer){ data, 19 };
	buffers[1] = (struct driver_buffer){ data + 19, 16 + 512 - 19 };
	buffers[2] = (struct driver_buffer){ status, 1 };
	assert_int_equal(driver_request(&d, 0, buffers, 2, 1), 1);
	assert_int_equal(result(), BLK_S_OK);
	assert_int_equal(transfer(0, BLK_T_IN, 5, 512), BLK_S_OK);
	assert_all(bytes(), 512, 0x42);
}

static void a_batch_is_done_with_its_bytes(void **state)
{
	enum { N = 80 }; /* more than are under way at once */
	uint16_t heads[N];
	uint64_t block = driver_alloc(&d, N * 1024);
	bool seen[256] = { false };

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		uint64_t at = block + i * 1024;
		struct driver_buffer buffers[] = { { at, 16 }, { at + 16, 512 }, { at + 1000, 1 } };
		uint8_t *h = driver_ptr(&d, at);

		bytes_put32(h, BLK_T_IN);
		bytes_put64(h + 8, i);
		h[1000] = 0xff;
		heads[i] = driver_add(&d, 0, buffers, 1, 2);
	}
	driver_kick(&d, 0);
	for (unsigned i = 0; i < N; i++) {
		uint16_t head;

		assert_int_equal(driver_wait(&d, 0, &head), 513);
		assert_false(seen[head]);
		seen[head] = true;
	}
	for (unsigned i = 0; i < N; i++) {
		uint8_t *h = driver_ptr(&d, block + i * 1024);

		assert_true(seen[heads[i]]);
		assert_pattern(h + 16, i * 512, 512);
		assert_int_equal(h[1000], BLK_S_OK);
	}
	assert_in_range(d.irqs, 1, N - 1);
}

static void each_queue_serves(void **state)
{
	(void)state;
	options.queues = 16;
	again(ALL);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(transfer(i, BLK_T_IN, i, 512), BLK_S_OK);
		assert_pattern(bytes(), i * 512, 512);
	}
}

static void it_works_again_after_a_reset(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(transfer(0, BLK_T_IN, i, 4096), BLK_S_OK);
		assert_pattern(bytes(), i * 512, 4096);
		driver_reset(&d);
		driver_start(&d, ALL);
	}
}

static void an_ephemeral_disk_leaves_its_image(void **state)
{
	(void)state;
	options.ephemeral = true;
	again(ALL);
	memset(bytes(), 0x99, 4096);
	assert_int_equal(transfer(0, BLK_T_OUT, 0, 4096), BLK_S_OK);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 100, 10, 0), BLK_S_OK);
	memset(bytes(), 0, 4096);
	assert_int_equal(transfer(0, BLK_T_IN, 0, 4096), BLK_S_OK);
	assert_all(bytes(), 4096, 0x99);
	assert_image_unchanged();
}

/* ---- What stays ---------------------------------------------------------------------------------
 */

/* Stands in for the C library's: data of a process that was killed are in the host's cache in any
 * case, so only this tells that they are on the disk. */
static _Atomic unsigned synced;
static _Atomic bool sync_fails;

int fdatasync(int fd)
{
	synced++;
	if (sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static void a_flush_puts_data_on_the_disk_and_a_write_does_not(void **state)
{
	(void)state;
	synced = 0;
	assert_int_equal(transfer(0, BLK_T_OUT, 0, 4096), BLK_S_OK);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_OK);
	assert_int_equal(synced, 0);
	assert_int_equal(command(BLK_T_FLUSH), BLK_S_OK);
	assert_int_equal(synced, 1);
}

/* VIRTIO 5.2.6.2: for a driver that does not take the offer to flush. */
static void without_flushes_each_write_is_on_the_disk(void **state)
{
	(void)state;
	again(ALL & ~FLUSH);
	synced = 0;
	assert_int_equal(transfer(0, BLK_T_OUT, 0, 4096), BLK_S_OK);
	assert_int_equal(synced, 1);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_OK);
	assert_int_equal(synced, 2);
	assert_int_equal(transfer(0, BLK_T_IN, 0, 4096), BLK_S_OK);
	assert_int_equal(synced, 2);
}

static void what_needs_no_flush_has_none(void **state)
{
	(void)state;
	synced = 0;
	options.cache = DISK_UNSAFE;
	again(ALL);
	assert_int_equal(command(BLK_T_FLUSH), BLK_S_OK);
	again(ALL & ~FLUSH);
	assert_int_equal(transfer(0, BLK_T_OUT, 0, 4096), BLK_S_OK);
	options.cache = DISK_WRITEBACK;
	options.ephemeral = true;
	again(ALL);
	assert_int_equal(command(BLK_T_FLUSH), BLK_S_OK);
	options.ephemeral = false;
	options.read_only = true;
	again(FLUSH);
	assert_int_equal(command(BLK_T_FLUSH), BLK_S_OK);
	assert_int_equal(synced, 0);
}

/* Linux tells of lost data once, and then again that all is well. */
static void after_a_flush_that_failed_none_succeeds(void **state)
{
	(void)state;
	sync_fails = true;
	assert_int_equal(command(BLK_T_FLUSH), BLK_S_IOERR);
	sync_fails = false;
	assert_int_equal(command(BLK_T_FLUSH), BLK_S_IOERR);
	assert_int_equal(transfer(0, BLK_T_IN, 0, 4096), BLK_S_OK);
}

/* ---- Discards and zeros --------------------------------------------------------------------- */

static void zeros_and_discards(void **state)
{
	(void)state;
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 1, 2, 0), BLK_S_OK);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 4, 1, 1), BLK_S_OK);
	assert_int_equal(range(BLK_T_DISCARD, 1024, 1024, 0), BLK_S_OK);
	assert_int_equal(range(BLK_T_DISCARD, 0, 0, 0), BLK_S_OK);
	assert_int_equal(transfer(0, BLK_T_IN, 0, 6 * 512), BLK_S_OK);
	assert_pattern(bytes(), 0, 512);
	assert_all(bytes() + 512, 1024, 0);
	assert_pattern(bytes() + 3 * 512, 3 * 512, 512);
	assert_all(bytes() + 4 * 512, 512, 0);
	assert_pattern(bytes() + 5 * 512, 5 * 512, 512);
}

/* VIRTIO 5.2.6.2 */
static void ranges_keep_their_rules(void **state)
{
	(void)state;
	assert_int_equal(range(BLK_T_DISCARD, 0, 8, 1), BLK_S_UNSUPP);
	assert_int_equal(range(BLK_T_DISCARD, 0, 8, 2), BLK_S_UNSUPP);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 0, 8, 2), BLK_S_UNSUPP);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, SIZE / 512, 1, 0), BLK_S_IOERR);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, SIZE / 512 - 1, 2, 0), BLK_S_IOERR);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, UINT64_MAX, 1, 0), BLK_S_IOERR);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 0, UINT32_MAX, 0), BLK_S_IOERR);
	assert_int_equal(command(BLK_T_WRITE_ZEROES), BLK_S_IOERR);
	assert_int_equal(command(BLK_T_DISCARD), BLK_S_IOERR);
	assert_image_unchanged();
	again(FLUSH);
	assert_int_equal(range(BLK_T_DISCARD, 0, 8, 0), BLK_S_UNSUPP);
	assert_int_equal(range(BLK_T_WRITE_ZEROES, 0, 8, 0), BLK_S_UNSUPP);
	assert_image_unchanged();
}

/* ---- What is no request --------------------------------------------------------------------- */

static void what_reaches_beyond_the_end_fails(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{ SIZE / 512, 512 },
		{ SIZE / 512 - 1, 1024 },
		{ UINT64_MAX, 512 },
		{ UINT64_MAX / 512, 512 },
		{ 1ULL << 55, 512 },
		{ UINT64_MAX / 512 + 1, 512 },
		{ 0, 511 },
		{ 0, 513 },
		{ 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(bytes(), 0xff, 2048);
		assert_int_equal(transfer(0, BLK_T_IN, bad[i].sector, bad[i].len), BLK_S_IOERR);
		assert_all(bytes(), bad[i].len, 0); /* what was counted as written */
		assert_int_equal(bytes()[bad[i].len], 0xff);
		assert_int_equal(transfer(0, BLK_T_OUT, bad[i].sector, bad[i].len), BLK_S_IOERR);
	}
	assert_int_equal(transfer(0, BLK_T_IN, SIZE / 512 - 1, 512), BLK_S_OK);
	assert_false(driver_broken(&d));
	assert_image_unchanged();
}

static void unknown_types_are_not_supported(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, 7, 9, 10, 12, 14, 0x80000000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(command(types[i]), BLK_S_UNSUPP);
	memset(bytes(), 0xff, 600);
	assert_int_equal(transfer(0, 99, 0, 600), BLK_S_UNSUPP);
	assert_all(bytes(), 600, 0);
}

static void wait_broken(void)
{
	for (;;) {
		if (driver_broken(&d))
			return;
		driver_wait_irq(&d);
	}
}

static void a_request_without_a_status_breaks_the_device(void **state)
{
	const struct driver_buffer buffers[] = { { header, 16 } };

	(void)state;
	put_header(BLK_T_FLUSH, 0);
	driver_add(&d, 0, buffers, 1, 0);
	driver_kick(&d, 0);
	wait_broken();
	driver_reset(&d);
	driver_start(&d, ALL);
	assert_int_equal(transfer(0, BLK_T_IN, 0, 512), BLK_S_OK);
}

static void a_request_without_a_header_breaks_the_device(void **state)
{
	const struct driver_buffer buffers[] = { { header, 15 }, { status, 1 } };

	(void)state;
	put_header(BLK_T_FLUSH, 0);
	driver_add(&d, 0, buffers, 1, 1);
	driver_kick(&d, 0);
	wait_broken();
	assert_int_equal(result(), 0xff);
}

static void an_error_of_the_host_is_the_guests_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(truncate(IMAGE, 8192), 0);
	memset(bytes(), 0xff, 8192);
	assert_int_equal(transfer(0, BLK_T_IN, 8, 8192), BLK_S_IOERR);
	assert_pattern(bytes(), 4096, 4096);
	assert_all(bytes() + 4096, 4096, 0);
	assert_int_equal(transfer(0, BLK_T_IN, 0, 8192), BLK_S_OK);
	assert_false(driver_broken(&d));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(config_tells_size_and_sectors),
		TEST(a_read_only_disk_says_so),
		TEST(the_serial_number_is_padded_with_zeros),
		TEST(what_is_written_is_read_and_in_the_file),
		TEST(buffers_may_be_split_anywhere),
		TEST(a_batch_is_done_with_its_bytes),
		TEST(each_queue_serves),
		TEST(it_works_again_after_a_reset),
		TEST(an_ephemeral_disk_leaves_its_image),
		TEST(a_flush_puts_data_on_the_disk_and_a_write_does_not),
		TEST(without_flushes_each_write_is_on_the_disk),
		TEST(what_needs_no_flush_has_none),
		TEST(after_a_flush_that_failed_none_succeeds),
		TEST(zeros_and_discards),
		TEST(ranges_keep_their_rules),
		TEST(what_reaches_beyond_the_end_fails),
		TEST(unknown_types_are_not_supported),
		TEST(a_request_without_a_status_breaks_the_device),
		TEST(a_request_without_a_header_breaks_the_device),
		TEST(an_error_of_the_host_is_the_guests_and_no_more),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
