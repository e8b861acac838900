/* unit/disk_helpers.h: what tests of disks share: images in a folder of their own, and requests.
 */
#ifndef UNIT_DISK_HELPERS_H
#define UNIT_DISK_HELPERS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/disk.h>
#include <vibevmm/log.h>

#define IMAGE "disk.img"
#define SIZE  (1U << 20)

/* The tests run in it. /tmp may be in memory, where there may be no direct I/O. */
static char folder[] = "/var/tmp/vibevmm-test-XXXXXX";

static inline int enter_folder(void **state)
{
	(void)state;
	log_set_level(LOG_NONE);
	return mkdtemp(folder) && !chdir(folder) ? 0 : -1;
}

static inline int leave_folder(void **state)
{
	(void)state;
	return chdir("/") || rmdir(folder);
}

/* Byte i of an image as it was made. */
static inline uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i / 512 * 7 + i + 1);
}

static inline int make_image(void **state)
{
	uint8_t *bytes = malloc(SIZE);
	int fd = open(IMAGE, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	(void)state;
	assert_non_null(bytes);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < SIZE; i++)
		bytes[i] = pattern(i);
	assert_int_equal(write(fd, bytes, SIZE), SIZE);
	close(fd);
	free(bytes);
	return 0;
}

static inline int remove_image(void **state)
{
	(void)state;
	unlink(IMAGE);
	return 0;
}

/* What the file has at offset. */
static inline void read_file(const char *name, uint64_t offset, void *buf, size_t len)
{
	int fd = open(name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, len, (off_t)offset), len);
	close(fd);
}

static inline void assert_image_unchanged(void)
{
	uint8_t *bytes = malloc(SIZE);
	struct stat st;

	assert_non_null(bytes);
	assert_int_equal(stat(IMAGE, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	read_file(IMAGE, 0, bytes, SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(bytes[i], pattern(i));
	free(bytes);
}

static inline struct disk *open_disk(const struct disk_config *config)
{
	struct disk *disk = NULL;
	struct err err = { 0 };

	if (disk_open(config, &disk, &err))
		fail_msg("%s", err.text);
	return disk;
}

/* One request alone: its result. */
static inline int request(struct disk *disk, enum disk_op op, uint64_t offset, void *buf,
			  size_t len)
{
	struct iovec iov = { buf, len };
	struct disk_request r = {
		.op = op, .offset = offset, .len = len, .iov = &iov, .n_iov = buf != NULL
	};
	struct disk_lane *lane = disk_lane(disk, 0);

	disk_lane_add(lane, &r);
	assert_true(disk_lane_wait(lane));
	assert_ptr_equal(disk_lane_done(lane), &r);
	assert_null(disk_lane_done(lane));
	assert_false(disk_lane_wait(lane));
	return r.result;
}

/* All the bytes are this one. */
static inline void assert_all(const uint8_t *bytes, size_t len, uint8_t value)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], value);
}

static inline void assert_pattern(const uint8_t *bytes, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], pattern(offset + i));
}

#endif
