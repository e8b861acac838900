/* disk_macos.c: what macOS does for disks that are files, beyond reading and writing. It has no
 * ring of requests for us. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "disk_private.h"

/* DKIOCGETBLOCKSIZE, DKIOCGETBLOCKCOUNT and DKIOCGETPHYSICALBLOCKSIZE of XNU's bsd/sys/disk.h */
#define BLOCK_SIZE	    _IOR('d', 24, uint32_t)
#define BLOCK_COUNT	    _IOR('d', 25, uint64_t)
#define PHYSICAL_BLOCK_SIZE _IOR('d', 77, uint32_t)

const struct disk_engine *const disk_host_engines[] = { &disk_pool, NULL };

/* Nothing to open it with: fcntl(2), F_NOCACHE. */
int disk_host_direct(void)
{
	return 0;
}

int disk_host_uncached(int fd)
{
	return fcntl(fd, F_NOCACHE, 1);
}

/* Belongs to the open file, as Linux's open file description locks do. */
int disk_host_lock(int fd, bool write)
{
	return flock(fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) ? -errno : 0;
}

int disk_host_size(int fd, uint64_t *size, unsigned *block)
{
	uint64_t count;
	uint32_t unit;

	if (ioctl(fd, BLOCK_SIZE, &unit) || ioctl(fd, BLOCK_COUNT, &count))
		return -errno;
	if (__builtin_mul_overflow(count, (uint64_t)unit, size))
		return -EOVERFLOW;
	if (ioctl(fd, PHYSICAL_BLOCK_SIZE, block))
		*block = unit;
	return 0;
}

/* fsync(2) leaves it in the drive's cache, F_FULLFSYNC doesn't; not every file system has that. */
int disk_host_flush(int fd)
{
	if (!fcntl(fd, F_FULLFSYNC))
		return 0;
	if (errno != ENOTSUP && errno != EINVAL && errno != ENOTTY)
		return -errno;
	return fsync(fd) ? -errno : 0;
}

/* Whole blocks of the file system alone: others give -EINVAL. */
int disk_host_punch(int fd, uint64_t offset, uint64_t len)
{
	fpunchhole_t hole = { .fp_offset = (off_t)offset, .fp_length = (off_t)len };

	return fcntl(fd, F_PUNCHHOLE, &hole) ? -errno : 0;
}

int disk_host_zero(int fd, uint64_t offset, uint64_t len)
{
	(void)fd;
	(void)offset;
	(void)len;
	return -ENOTSUP;
}

int disk_host_discard(int fd, uint64_t offset, uint64_t len)
{
	(void)fd;
	(void)offset;
	(void)len;
	return -ENOTSUP;
}
