/* memory_macos.c: pages that are given back; and no device here has another process that serves it.
 */
#include <errno.h>
#include <sys/mman.h>

#include <vibevmm/memory.h>

#include "memory_private.h"

int memory_share(uint8_t *start, uint64_t size)
{
	(void)start;
	(void)size;
	return -ENOTSUP;
}

/* MADV_DONTNEED would keep the content. */
int memory_discard(const struct memory_slot *slot, void *start, size_t len)
{
	(void)slot;
	return madvise(start, len, MADV_FREE) ? -errno : 0;
}
