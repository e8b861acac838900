/* unpack.c: unpacking a part of an image, or taking what the cache has of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/cache.h>
#include <vibevmm/log.h>

#include "unpack_private.h"

/* Linux, drivers/firmware/efi/libstub/zboot-header.S: "MZ", "zimg", where the payload is, and how
 * long. */
enum {
	ZBOOT_TYPE = 4,
	ZBOOT_OFFSET = 8,
	ZBOOT_LEN = 12,
	ZBOOT_HEADER = 64,
};

int unpack_find(const struct image *image, uint64_t *offset, uint64_t *len, struct err *err)
{
	uint8_t head[ZBOOT_HEADER];

	if (image_read(image, 0, head, UNPACK_HEAD))
		return -ENOENT;
	if (unpack_method(head, UNPACK_HEAD)) {
		*offset = 0;
		*len = image->size;
		return 0;
	}
	if (image_read(image, 0, head, sizeof(head)) || memcmp(head, "MZ", 2) != 0 ||
	    memcmp(head + ZBOOT_TYPE, "zimg", 4) != 0)
		return -ENOENT;
	if (!bytes_inside(bytes_get32(head + ZBOOT_OFFSET), bytes_get32(head + ZBOOT_LEN), 0,
			  image->size))
		return err_set(err, ENOEXEC, STATUS_CONFIG,
			       "is cut off: the kernel in it reaches beyond the file's end");
	*offset = bytes_get32(head + ZBOOT_OFFSET);
	*len = bytes_get32(head + ZBOOT_LEN);
	return 0;
}

/* Without a cache: a file that nobody else sees. Its descriptor, or -errno. */
static int unpack_to_temporary(const struct unpack_part *part, uint64_t *size, struct err *err)
{
	const char *path = getenv("TMPDIR");
	char created[UNPACK_NAME_MAX];
	bool full = false;
	int dir, fd, ret;

	if (!path || path[0] != '/')
		path = "/tmp";
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = dir < 0 ? -errno : unpack_cache_create(dir, created);
	if (fd >= 0)
		unlinkat(dir, created, 0);
	if (dir >= 0)
		close(dir);
	if (fd < 0)
		return err_errno(err, -fd, STATUS_OSERR,
				 "can't be unpacked: no temporary file can be made in '%s' (TMPDIR "
				 "names another place)",
				 path);
	ret = unpack_stream(part, fd, size, &full, err);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* What the cache has, or will have from now on: a descriptor, or -errno. *full: it was the cache
 * that failed. */
static int unpack_to_cache(int dir, const char *name, const struct unpack_part *part,
			   uint64_t *size, bool *full, struct err *err)
{
	char created[UNPACK_NAME_MAX];
	int fd, ret;

	fd = unpack_cache_get(dir, name, size);
	if (fd >= 0 && *size <= part->max)
		return fd;
	if (fd >= 0)
		close(fd);
	fd = unpack_cache_create(dir, created);
	if (fd < 0) {
		*full = true;
		return err_errno(err, -fd, STATUS_OSERR, "can't be unpacked into the cache");
	}
	ret = unpack_stream(part, fd, size, full, err);
	if (!ret) {
		unpack_cache_keep(dir, created, fd, *size, name);
		return fd;
	}
	unlinkat(dir, created, 0);
	close(fd);
	return ret;
}

int unpack(const struct image *image, uint64_t offset, uint64_t len, uint64_t max,
	   struct image *out, struct err *err)
{
	struct unpack_part part = { image, offset, len, max < UNPACK_MAX ? max : UNPACK_MAX };
	bool cached = false, full = false;
	char name[UNPACK_NAME_MAX];
	int dir = -1, fd = -1;
	uint64_t size = 0;
	struct err why;

	if (unpack_cache_key(image->fd, offset, len, name))
		dir = cache_open();
	if (dir >= 0) {
		fd = unpack_to_cache(dir, name, &part, &size, &full, &why);
		close(dir);
		cached = !full;
		if (full)
			log_info("image '%s' %s", image->path, why.text);
	}
	if (!cached)
		fd = unpack_to_temporary(&part, &size, &why);
	if (fd < 0) {
		if (err)
			*err = why;
		return fd;
	}
	*out = (struct image){ fd, size, image->path };
	return 0;
}
