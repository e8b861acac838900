/* memory_linux.c: guest memory that other processes can have, too, and pages that are given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vibevmm/memory.h>

#include "memory_private.h"

int memory_share(uint8_t *start, uint64_t size)
{
	int ret = 0, fd = memfd_create("guest memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
	    mmap(start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		ret = -errno;
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

int memory_discard(const struct memory_slot *slot, void *start, size_t len)
{
	int advice = slot->flags & MEMORY_SHARED ? MADV_REMOVE : MADV_DONTNEED;

	return madvise(start, len, advice) ? -errno : 0;
}
