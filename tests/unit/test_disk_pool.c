/* test_disk_pool.c: requests at once where the kernel gives no ring for them: by threads. This
 * program has an io_uring_queue_init() that fails and a preadv() that waits for others.
 */
#include <pthread.h>
#include <time.h>

#include "disk_helpers.h"

enum { LEN = 4096, MANY = 100, THREADS = 8 };

struct io_uring;
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int n, off_t offset);
ssize_t __real_preadv(int fd, const struct iovec *iov, int n, off_t offset);

int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	(void)entries;
	(void)ring;
	(void)flags;
	return -EPERM;
}

/* Each read waits until `wanted` are under way together, or have been. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static unsigned inside, most, wanted;
static off_t broken = -1; /* reads there fail */

ssize_t __wrap_preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct timespec end;
	int late = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	pthread_mutex_lock(&lock);
	if (++inside > most)
		most = inside;
	pthread_cond_broadcast(&more);
	while (most < wanted && !late)
		late = pthread_cond_timedwait(&more, &lock, &end);
	inside--;
	pthread_mutex_unlock(&lock);
	if (offset == broken) {
		errno = EIO;
		return -1;
	}
	return __real_preadv(fd, iov, n, offset);
}

static const struct disk_config writable = { .path = IMAGE, .sector = 512, .lanes = 2 };

struct batch {
	struct disk_request requests[MANY];
	struct iovec iovs[MANY];
	uint8_t *bytes;
};

static void add_reads(struct batch *b, struct disk_lane *lane, unsigned n)
{
	b->bytes = calloc(n, LEN);
	assert_non_null(b->bytes);
	for (unsigned i = 0; i < n; i++) {
		b->iovs[i] = (struct iovec){ b->bytes + (size_t)i * LEN, LEN };
		b->requests[i] = (struct disk_request){ .op = DISK_READ,
							.offset = (uint64_t)i * LEN,
							.len = LEN,
							.iov = &b->iovs[i],
							.n_iov = 1 };
		disk_lane_add(lane, &b->requests[i]);
	}
}

static unsigned wait_all(struct disk_lane *lane)
{
	unsigned n = 0;

	while (disk_lane_wait(lane)) {
		while (disk_lane_done(lane))
			n++;
	}
	return n;
}

static void reads_are_under_way_together(void **state)
{
	struct disk *disk = open_disk(&writable);
	struct batch b;

	(void)state;
	most = 0;
	wanted = THREADS;
	add_reads(&b, disk_lane(disk, 0), MANY);
	assert_int_equal(wait_all(disk_lane(disk, 0)), MANY);
	assert_int_equal(most, THREADS);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(b.requests[i].result, 0);
		assert_pattern(b.iovs[i].iov_base, (uint64_t)i * LEN, LEN);
	}
	free(b.bytes);
	disk_close(disk);
}

static void one_that_fails_fails_alone(void **state)
{
	struct disk *disk = open_disk(&writable);
	struct batch b;

	(void)state;
	wanted = 0;
	broken = 3 * LEN;
	add_reads(&b, disk_lane(disk, 1), 8);
	assert_int_equal(wait_all(disk_lane(disk, 1)), 8);
	broken = -1;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(b.requests[i].result, i == 3 ? -EIO : 0);
	free(b.bytes);
	disk_close(disk);
}

static void what_was_not_begun_can_be_canceled(void **state)
{
	struct disk *disk = open_disk(&writable);
	struct batch b;

	(void)state;
	wanted = 0;
	add_reads(&b, disk_lane(disk, 0), MANY);
	disk_cancel(disk, true);
	assert_int_equal(wait_all(disk_lane(disk, 0)), MANY);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(b.requests[i].result, -ECANCELED);
	disk_cancel(disk, false);
	free(b.bytes);
	disk_close(disk);
}

/* Writes to the host's cache are done on the lane's thread, among reads and flushes of others. */
static void writes_and_flushes_go_among_them(void **state)
{
	struct disk *disk = open_disk(&writable);
	struct disk_lane *lane = disk_lane(disk, 0);
	uint8_t bytes[LEN];
	struct iovec iov = { bytes, LEN };
	struct disk_request write = {
		.op = DISK_WRITE, .offset = 200 * LEN, .len = LEN, .iov = &iov, .n_iov = 1
	};
	struct disk_request flush = { .op = DISK_FLUSH };
	struct batch b;

	(void)state;
	memset(bytes, 0xa5, LEN);
	wanted = 0;
	add_reads(&b, lane, 20);
	disk_lane_add(lane, &write);
	disk_lane_add(lane, &flush);
	assert_int_equal(wait_all(lane), 22);
	assert_int_equal(write.result, 0);
	assert_int_equal(flush.result, 0);
	for (unsigned i = 0; i < 20; i++)
		assert_pattern(b.iovs[i].iov_base, (uint64_t)i * LEN, LEN);
	memset(bytes, 0, LEN);
	read_file(IMAGE, 200 * LEN, bytes, LEN);
	assert_all(bytes, LEN, 0xa5);
	free(b.bytes);
	disk_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_are_under_way_together, make_image,
						remove_image),
		cmocka_unit_test_setup_teardown(one_that_fails_fails_alone, make_image,
						remove_image),
		cmocka_unit_test_setup_teardown(what_was_not_begun_can_be_canceled, make_image,
						remove_image),
		cmocka_unit_test_setup_teardown(writes_and_flushes_go_among_them, make_image,
						remove_image),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
