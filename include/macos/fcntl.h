/* fcntl.h: what the C library of Linux has there and that of macOS lacks, as far as it is used.
 * Like all headers in this folder, it is for builds for macOS alone, and comes before the system's.
 */
#ifndef MACOS_FCNTL_H
#define MACOS_FCNTL_H

#include_next <fcntl.h>

enum { POSIX_FADV_SEQUENTIAL = 2 };

/* An advice, which macOS's cache finds out by itself. */
static inline int posix_fadvise(int fd, off_t offset, off_t len, int advice)
{
	(void)fd;
	(void)offset;
	(void)len;
	(void)advice;
	return 0;
}

#endif
