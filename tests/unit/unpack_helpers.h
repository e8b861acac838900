/* unpack_helpers.h: what test_unpack.c and test_unpack_cache.c share: compressed bytes, in files of
 * a scratch directory. Included after cmocka.h.
 */
#ifndef TESTS_UNPACK_HELPERS_H
#define TESTS_UNPACK_HELPERS_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <vibevmm/image.h>

struct bytes {
	uint8_t *p;
	size_t len;
};

static inline struct bytes room(size_t len)
{
	return (struct bytes){ calloc(1, len + 4096), len + 4096 };
}

static inline struct bytes pack_gzip(const uint8_t *p, size_t len)
{
	struct bytes b = room(len + len / 8);
	z_stream z = { .next_in = (z_const Bytef *)p,
		       .avail_in = (uInt)len,
		       .next_out = b.p,
		       .avail_out = (uInt)b.len };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	b.len = z.total_out;
	deflateEnd(&z);
	return b;
}

/* ---- Files --------------------------------------------------------------------------------- */

static char top[] = "/tmp/vibevmm-unpack-XXXXXX";

static inline int scratch_setup(void **state)
{
	(void)state;
	if (strstr(top, "XXXXXX") && !mkdtemp(top))
		return -1;
	setenv("XDG_CACHE_HOME", top, 1);
	setenv("TMPDIR", "/tmp", 1);
	return 0;
}

static inline int scratch_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/*", top);
	return system(command); /* NOLINT(cert-env33-c) */
}

static inline int scratch_remove(void **state)
{
	(void)state;
	return rmdir(top);
}

static inline struct image file_of(const char *name, const void *p, size_t len)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, len, 0), (ssize_t)len);
	return (struct image){ fd, len, "kernel" };
}

#endif
