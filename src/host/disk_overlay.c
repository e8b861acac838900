/* disk_overlay.c: what was written over an image that must not change.
 *
 * A bit for each sector says whether the sector was written since; then it is in a sparse file that
 * has no name. So no write reads first, and lanes need no lock: the guest that writes a sector from
 * two sides at once gets one of the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "disk_private.h"

#define SECTOR 512U

struct disk_overlay {
	int fd;
	_Atomic uint64_t *bits; /* pages that were never written cost nothing */
	size_t len;		/* of bits, in bytes */
};

/* A file without a name in one of the folders for temporary files. /var/tmp is for large ones. */
static int temporary_file(void)
{
	const char *const folders[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char name[4096];
		int fd;

		if (!folders[i] || !*folders[i])
			continue;
#ifdef O_TMPFILE
		fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
#endif
		/* Not every file system has files without a name. */
		if ((size_t)snprintf(name, sizeof(name), "%s/vibevmm-XXXXXX", folders[i]) >=
		    sizeof(name))
			continue;
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0) {
			unlink(name);
			return fd;
		}
	}
	return -1;
}

struct disk_overlay *disk_overlay_new(uint64_t size, struct err *err)
{
	struct disk_overlay *o = calloc(1, sizeof(*o));
	void *bits;

	if (!o) {
		err_set(err, ENOMEM, STATUS_OSERR, "out of memory");
		return NULL;
	}
	o->len = (size_t)(size / SECTOR / 64 + 1) * 8;
	o->fd = temporary_file();
	if (o->fd < 0) {
		err_errno(err, errno, STATUS_OSERR,
			  "can't make a temporary file for an ephemeral disk in $TMPDIR, /var/tmp "
			  "or /tmp");
		goto no_file;
	}
	if (ftruncate(o->fd, (off_t)size)) {
		err_errno(err, errno, STATUS_OSERR,
			  "can't make a temporary file as large as the ephemeral disk; set TMPDIR "
			  "to a folder on another file system");
		goto no_bits;
	}
	bits = mmap(NULL, o->len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bits == MAP_FAILED) {
		err_errno(err, errno, STATUS_OSERR, "can't map the table of an ephemeral disk");
		goto no_bits;
	}
	o->bits = bits;
	return o;
no_bits:
	close(o->fd);
no_file:
	free(o);
	return NULL;
}

void disk_overlay_free(struct disk_overlay *overlay)
{
	if (!overlay)
		return;
	munmap((void *)overlay->bits, overlay->len);
	close(overlay->fd);
	free(overlay);
}

int disk_overlay_fd(const struct disk_overlay *overlay)
{
	return overlay->fd;
}

/* Bits [from, to) of a word; 0 <= from < to <= 64. */
static uint64_t mask(unsigned from, unsigned to)
{
	return UINT64_MAX << from & UINT64_MAX >> (64 - to);
}

void disk_overlay_mark(struct disk_overlay *overlay, uint64_t offset, uint64_t len)
{
	uint64_t bit = offset / SECTOR, end = bit + len / SECTOR;

	while (bit < end) {
		unsigned from = bit % 64;
		unsigned to = end - bit < 64 - from ? from + (unsigned)(end - bit) : 64;
		uint64_t set = mask(from, to);

		/* A page of zeros becomes a page of its own only if it has to. */
		if ((overlay->bits[bit / 64] & set) != set)
			overlay->bits[bit / 64] |= set;
		bit += to - from;
	}
}

uint64_t disk_overlay_run(const struct disk_overlay *overlay, uint64_t offset, uint64_t len,
			  bool *written)
{
	uint64_t first = offset / SECTOR, bit = first, end = bit + len / SECTOR;

	*written = overlay->bits[bit / 64] >> bit % 64 & 1;
	while (bit < end) {
		uint64_t word = overlay->bits[bit / 64];
		uint64_t other = (*written ? ~word : word) >> bit % 64;

		if (other) {
			bit += (unsigned)__builtin_ctzll(other);
			break;
		}
		bit += 64 - bit % 64;
	}
	return ((bit < end ? bit : end) - first) * SECTOR;
}
