/* unistd.h: what Linux has there and macOS lacks. */
#ifndef MACOS_UNISTD_H
#define MACOS_UNISTD_H

#include_next <unistd.h>

#include <fcntl.h>

/* As there, but for a moment another thread may start a program that has the ends, too. */
static inline int pipe2(int ends[2], int flags)
{
	if (pipe(ends))
		return -1;
	for (int i = 0; i < 2; i++) {
		if (flags & O_CLOEXEC)
			fcntl(ends[i], F_SETFD, FD_CLOEXEC);
		if (flags & O_NONBLOCK)
			fcntl(ends[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

#endif
