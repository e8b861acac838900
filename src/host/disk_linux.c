/* disk_linux.c: what Linux does for disks that are files, beyond reading and writing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "disk_private.h"

const struct disk_engine *const disk_host_engines[] = { &disk_ring, &disk_pool, NULL };

int disk_host_direct(void)
{
	return O_DIRECT;
}

int disk_host_uncached(int fd)
{
	(void)fd;
	return 0;
}

/* Open file description locks belong to the descriptor: they end with the process, however that
 * ends, and tell two disks of one process apart. */
int disk_host_lock(int fd, bool write)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

int disk_host_size(int fd, uint64_t *size, unsigned *block)
{
	return ioctl(fd, BLKGETSIZE64, size) || ioctl(fd, BLKPBSZGET, block) ? -errno : 0;
}

int disk_host_flush(int fd)
{
	int ret;

	/* In this thread io_uring's completions count as signals. */
	do
		ret = fdatasync(fd);
	while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	int ret;

	do
		ret = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
	while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

int disk_host_punch(int fd, uint64_t offset, uint64_t len)
{
	return allocate(fd, FALLOC_FL_PUNCH_HOLE, offset, len);
}

int disk_host_zero(int fd, uint64_t offset, uint64_t len)
{
	return allocate(fd, FALLOC_FL_ZERO_RANGE, offset, len);
}

int disk_host_discard(int fd, uint64_t offset, uint64_t len)
{
	uint64_t range[2] = { offset, len };

	return ioctl(fd, BLKDISCARD, range) ? -errno : 0;
}
