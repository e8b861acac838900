/* test_disk.c: disks that are files: locks, overlays, direct I/O, batches, what the host refuses.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "unit/disk_helpers.h"

static const struct disk_config plain = { .path = IMAGE, .sector = 512, .lanes = 1 };
static const struct disk_config ephemeral = {
	.path = IMAGE, .sector = 512, .lanes = 1, .ephemeral = true
};
static const struct disk_config read_only = {
	.path = IMAGE, .sector = 512, .lanes = 1, .read_only = true
};

/* ---- Reading and writing -------------------------------------------------------------------- */

static void what_is_written_is_in_the_file(void **state)
{
	struct disk *disk = open_disk(&plain);
	uint8_t bytes[1024], back[1024];

	(void)state;
	assert_int_equal(disk_size(disk), SIZE);
	assert_int_equal(request(disk, DISK_READ, 4096, bytes, sizeof(bytes)), 0);
	assert_pattern(bytes, 4096, sizeof(bytes));
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(request(disk, DISK_WRITE, SIZE - 1024, bytes, sizeof(bytes)), 0);
	assert_int_equal(request(disk, DISK_FLUSH, 0, NULL, 0), 0);
	read_file(IMAGE, SIZE - 1024, back, sizeof(back));
	assert_all(back, sizeof(back), 0xee);
	read_file(IMAGE, SIZE - 2048, back, sizeof(back));
	assert_pattern(back, SIZE - 2048, sizeof(back));
	disk_close(disk);
}

/* 64 requests of five uneven buffers each, some of them writes and flushes, all at once. */
static void check_batch(const struct disk_config *config, size_t shift)
{
	enum { N = 64, LEN = 4096 };
	struct disk *disk = open_disk(config);
	struct disk_lane *lane = disk_lane(disk, 0);
	static struct disk_request requests[N];
	static struct iovec iovs[N][5];
	struct disk_request *r;
	uint8_t *bytes = aligned_alloc(4096, N * 2 * LEN), back[LEN];
	unsigned done = 0;

	assert_non_null(bytes);
	memset(bytes, 0xaa, N * 2 * LEN);
	for (unsigned i = 0; i < N; i++) {
		uint8_t *at = bytes + (size_t)i * 2 * LEN + shift;
		size_t lens[] = { 512, 1024, 512, 1536, 512 };

		for (unsigned j = 0; j < 5; j++) {
			iovs[i][j] = (struct iovec){ at, lens[j] };
			at += lens[j];
		}
		requests[i] = (struct disk_request){
			.op = i % 8 == 7   ? DISK_FLUSH
			      : i % 4 == 1 ? DISK_WRITE
					   : DISK_READ,
			.offset = (uint64_t)i * LEN,
			.len = i % 8 == 7 ? 0 : LEN,
			.iov = i % 8 == 7 ? NULL : iovs[i],
			.n_iov = i % 8 == 7 ? 0 : 5,
			.result = 1,
		};
		disk_lane_add(lane, &requests[i]);
	}
	while (disk_lane_wait(lane)) {
		while ((r = disk_lane_done(lane))) {
			assert_int_equal(r->result, 0);
			done++;
		}
	}
	assert_int_equal(done, N);
	for (unsigned i = 0; i < N; i++) {
		uint8_t *at = bytes + (size_t)i * 2 * LEN + shift;

		if (i % 8 == 7)
			continue;
		if (i % 4 != 1) {
			assert_pattern(at, (uint64_t)i * LEN, LEN);
			continue;
		}
		assert_int_equal(request(disk, DISK_READ, (uint64_t)i * LEN, back, LEN), 0);
		assert_all(back, LEN, 0xaa);
	}
	disk_close(disk);
	free(bytes);
}

static void a_batch_is_all_done_each_with_its_own_bytes(void **state)
{
	(void)state;
	check_batch(&plain, 0);
}

static void a_batch_on_an_overlay_too(void **state)
{
	(void)state;
	check_batch(&ephemeral, 0);
	assert_image_unchanged();
}

/* The same where the kernel gives no io_uring: no descriptor is left for one. */
static void a_batch_without_io_uring_too(void **state)
{
	struct rlimit old, none;
	int next = dup(0);

	(void)state;
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)next + 1; /* the image's */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	check_batch(&plain, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static void a_lane_takes_more_while_others_run(void **state)
{
	struct disk *disk = open_disk(&plain);
	struct disk_lane *lane = disk_lane(disk, 0);
	static struct disk_request requests[200];
	static struct iovec iovs[200];
	static uint8_t bytes[200][512];
	struct disk_request *r;
	unsigned added = 0, done = 0;

	(void)state;
	while (done < 200) {
		for (unsigned i = 0; i < 70 && added < 200; i++, added++) {
			iovs[added] = (struct iovec){ bytes[added], 512 };
			requests[added] = (struct disk_request){ .op = DISK_READ,
								 .offset = (uint64_t)added * 512,
								 .len = 512,
								 .iov = &iovs[added],
								 .n_iov = 1 };
			disk_lane_add(lane, &requests[added]);
		}
		assert_true(disk_lane_wait(lane));
		for (unsigned i = 0; i < 3 && (r = disk_lane_done(lane)); i++, done++)
			assert_int_equal(r->result, 0);
	}
	for (unsigned i = 0; i < 200; i++)
		assert_pattern(bytes[i], (uint64_t)i * 512, 512);
	disk_close(disk);
}

/* ---- Direct I/O ----------------------------------------------------------------------------- */

static bool direct_here(void)
{
	int fd = open(IMAGE, O_RDONLY | O_DIRECT);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static const struct disk_config direct = {
	.path = IMAGE, .sector = 512, .lanes = 1, .cache = DISK_DIRECT
};

static void direct_io_takes_aligned_buffers(void **state)
{
	(void)state;
	if (!direct_here())
		skip();
	check_batch(&direct, 0);
}

static void direct_io_takes_buffers_at_any_address(void **state)
{
	(void)state;
	if (!direct_here())
		skip();
	check_batch(&direct, 3);
}

static void direct_io_says_so_where_there_is_none(void **state)
{
	struct disk_config config = direct;
	struct disk *disk;
	struct err err;

	(void)state;
	config.path = "/proc/version"; /* no file system of that kind has it */
	config.read_only = true;
	assert_true(disk_open(&config, &disk, &err) < 0);
	assert_non_null(strstr(err.text, "cache: none"));
	assert_non_null(strstr(err.text, "use `cache: writeback`"));
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

static void what_is_less_than_a_sector_is_not_seen(void **state)
{
	struct disk_config config = plain;
	struct disk *disk;
	struct err err;

	(void)state;
	config.sector = 4096;
	assert_int_equal(truncate(IMAGE, 4096 + 4095), 0);
	disk = open_disk(&config);
	assert_int_equal(disk_size(disk), 4096);
	disk_close(disk);
	assert_int_equal(truncate(IMAGE, 4095), 0);
	assert_true(disk_open(&config, &disk, &err) < 0);
	assert_non_null(strstr(err.text, "smaller than one sector"));
}

static void what_was_cut_off_is_an_error_and_the_rest_is_not(void **state)
{
	struct disk *disk = open_disk(&plain);
	uint8_t bytes[1024];

	(void)state;
	assert_int_equal(truncate(IMAGE, 4096 + 512), 0);
	assert_int_equal(request(disk, DISK_READ, 4096, bytes, 1024), -EIO);
	assert_int_equal(request(disk, DISK_READ, 4096, bytes, 512), 0);
	assert_pattern(bytes, 4096, 512);
	assert_int_equal(disk_size(disk), SIZE);
	disk_close(disk);
}

/* ---- Refusals of the host ------------------------------------------------------------------- */

static void a_full_host_fails_the_write_alone(void **state)
{
	struct disk *disk;
	struct rlimit old, small;
	uint8_t bytes[512] = { 0 };

	(void)state;
	/* A file-size limit is the full disk that needs no mount. */
	signal(SIGXFSZ, SIG_IGN);
	disk = open_disk(&plain);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 8192;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(request(disk, DISK_WRITE, 16384, bytes, 512), -EFBIG);
	assert_int_equal(request(disk, DISK_WRITE, 4096, bytes, 512), 0);
	assert_int_equal(request(disk, DISK_READ, 16384, bytes, 512), 0);
	assert_pattern(bytes, 16384, 512);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	disk_close(disk);
}

static void a_read_only_disk_is_not_written(void **state)
{
	struct disk *disk = open_disk(&read_only);
	uint8_t bytes[512] = { 0 };

	(void)state;
	assert_int_equal(request(disk, DISK_WRITE, 0, bytes, 512), -EROFS);
	assert_int_equal(request(disk, DISK_ZERO, 0, NULL, 512), -EROFS);
	assert_int_equal(request(disk, DISK_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(request(disk, DISK_FLUSH, 0, NULL, 0), 0);
	assert_false(disk_discards(disk));
	disk_close(disk);
	assert_image_unchanged();
}

static void a_missing_file_is_told(void **state)
{
	struct disk_config config = plain;
	struct disk *disk;
	struct err err;

	(void)state;
	config.path = "none.img";
	assert_int_equal(disk_open(&config, &disk, &err), -ENOENT);
	assert_int_equal(err.status, STATUS_NOINPUT);
	config.path = ".";
	assert_true(disk_open(&config, &disk, &err) < 0);
}

/* Who waited for the other end of a pipe would wait for ever. */
static void a_pipe_is_no_disk(void **state)
{
	struct disk_config config = read_only;
	struct disk *disk;
	struct err err;

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	config.path = "pipe";
	assert_int_equal(disk_open(&config, &disk, &err), -EINVAL);
	assert_non_null(strstr(err.text, "neither a file nor a block device"));
	unlink("pipe");
}

/* ---- Zeros and discards --------------------------------------------------------------------- */

static void check_zeros(struct disk *disk)
{
	uint8_t bytes[3 * 512];

	assert_int_equal(request(disk, DISK_ZERO, 512, NULL, 512), 0);
	assert_int_equal(request(disk, DISK_READ, 0, bytes, sizeof(bytes)), 0);
	assert_pattern(bytes, 0, 512);
	assert_all(bytes + 512, 512, 0);
	assert_pattern(bytes + 1024, 1024, 512);
	assert_int_equal(request(disk, DISK_ZERO, 65536, NULL, 131072), 0);
	assert_int_equal(request(disk, DISK_READ, 65536 + 131072 - 512, bytes, 1024), 0);
	assert_all(bytes, 512, 0);
	assert_pattern(bytes + 512, 65536 + 131072, 512);
}

static void zeros_are_where_they_belong(void **state)
{
	struct disk *disk = open_disk(&plain);

	(void)state;
	check_zeros(disk);
	disk_close(disk);
}

static void zeros_on_an_overlay_too(void **state)
{
	struct disk *disk = open_disk(&ephemeral);

	(void)state;
	check_zeros(disk);
	disk_close(disk);
	assert_image_unchanged();
}

static void a_discard_gives_blocks_back(void **state)
{
	struct disk *disk = open_disk(&plain);
	struct stat before, after;

	(void)state;
	if (!disk_discards(disk))
		skip();
	assert_int_equal(request(disk, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(IMAGE, &before), 0);
	assert_int_equal(request(disk, DISK_DISCARD, 0, NULL, SIZE / 2), 0);
	assert_int_equal(stat(IMAGE, &after), 0);
	assert_int_equal(before.st_blocks - after.st_blocks, SIZE / 2 / 512);
	assert_int_equal(after.st_size, SIZE);
	disk_close(disk);
}

/* ---- Overlays ------------------------------------------------------------------------------- */

static void an_overlay_has_what_was_written_and_the_image_stays(void **state)
{
	struct disk *disk = open_disk(&ephemeral);
	uint8_t bytes[8 * 512], new[512];

	(void)state;
	/* Every other sector, across a word of the table. */
	memset(new, 0x55, sizeof(new));
	for (unsigned i = 60; i < 70; i += 2)
		assert_int_equal(request(disk, DISK_WRITE, i * 512, new, 512), 0);
	for (unsigned first = 58; first < 66; first++) {
		assert_int_equal(request(disk, DISK_READ, first * 512, bytes, sizeof(bytes)), 0);
		for (unsigned i = 0; i < 8; i++) {
			if (first + i >= 60 && first + i < 70 && (first + i) % 2 == 0)
				assert_all(bytes + i * 512, 512, 0x55);
			else
				assert_pattern(bytes + i * 512, (first + i) * 512ULL, 512);
		}
	}
	disk_close(disk);
	assert_image_unchanged();
	disk = open_disk(&ephemeral);
	assert_int_equal(request(disk, DISK_READ, 60 * 512, bytes, 512), 0);
	assert_pattern(bytes, 60 * 512, 512);
	disk_close(disk);
}

static void an_overlay_of_a_file_that_nobody_may_write(void **state)
{
	struct disk *disk;
	uint8_t bytes[512] = { 0 };

	(void)state;
	assert_int_equal(chmod(IMAGE, 0400), 0);
	disk = open_disk(&ephemeral);
	assert_int_equal(request(disk, DISK_WRITE, SIZE - 512, bytes, 512), 0);
	assert_int_equal(request(disk, DISK_DISCARD, 0, NULL, SIZE), 0);
	assert_int_equal(request(disk, DISK_READ, SIZE - 512, bytes, 512), 0);
	assert_all(bytes, 512, 0);
	disk_close(disk);
	assert_image_unchanged();
}

static unsigned files_in(const char *path)
{
	char command[200], line[32] = "";
	FILE *pipe;

	snprintf(command, sizeof(command), "ls -A %s | wc -l", path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(line, sizeof(line), pipe));
	pclose(pipe);
	return (unsigned)atoi(line);
}

static void an_overlay_has_no_name(void **state)
{
	struct disk *disk;

	(void)state;
	setenv("TMPDIR", ".", 1);
	disk = open_disk(&ephemeral);
	assert_int_equal(files_in("."), 1);
	disk_close(disk);
	unsetenv("TMPDIR");
}

/* ---- Locks ---------------------------------------------------------------------------------- */

static void try_second(const struct disk_config *first, const struct disk_config *second,
		       int wanted)
{
	struct disk *one = open_disk(first), *two = NULL;
	struct err err;

	assert_int_equal(disk_open(second, &two, &err), wanted);
	if (wanted) {
		assert_int_equal(err.status, STATUS_UNAVAILABLE);
		assert_non_null(strstr(err.text, "in use"));
		assert_non_null(strstr(err.text, "the kernel doesn't tell"));
	}
	disk_close(two);
	disk_close(one);
}

static void who_writes_is_alone(void **state)
{
	(void)state;
	try_second(&plain, &plain, -EBUSY);
	try_second(&plain, &read_only, -EBUSY);
	try_second(&plain, &ephemeral, -EBUSY);
	try_second(&read_only, &plain, -EBUSY);
	try_second(&ephemeral, &plain, -EBUSY);
}

static void who_reads_is_not(void **state)
{
	(void)state;
	try_second(&read_only, &read_only, 0);
	try_second(&read_only, &ephemeral, 0);
	try_second(&ephemeral, &ephemeral, 0);
}

static void a_lock_ends_with_its_process(void **state)
{
	struct disk *disk;
	int ready[2], status;
	struct err err;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		disk = open_disk(&plain);
		(void)!write(ready[1], "x", 1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(disk_open(&plain, &disk, &err), -EBUSY);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	disk_close(open_disk(&plain));
	close(ready[0]);
	close(ready[1]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_image, remove_image)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_in_the_file),
		TEST(a_batch_is_all_done_each_with_its_own_bytes),
		TEST(a_batch_on_an_overlay_too),
		TEST(a_batch_without_io_uring_too),
		TEST(a_lane_takes_more_while_others_run),
		TEST(direct_io_takes_aligned_buffers),
		TEST(direct_io_takes_buffers_at_any_address),
		TEST(direct_io_says_so_where_there_is_none),
		TEST(what_is_less_than_a_sector_is_not_seen),
		TEST(what_was_cut_off_is_an_error_and_the_rest_is_not),
		TEST(a_full_host_fails_the_write_alone),
		TEST(a_read_only_disk_is_not_written),
		TEST(a_missing_file_is_told),
		TEST(a_pipe_is_no_disk),
		TEST(zeros_are_where_they_belong),
		TEST(zeros_on_an_overlay_too),
		TEST(a_discard_gives_blocks_back),
		TEST(an_overlay_has_what_was_written_and_the_image_stays),
		TEST(an_overlay_of_a_file_that_nobody_may_write),
		TEST(an_overlay_has_no_name),
		TEST(who_writes_is_alone),
		TEST(who_reads_is_not),
		TEST(a_lock_ends_with_its_process),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
