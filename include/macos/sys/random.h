/* random.h: Linux's way to random bytes. */
#ifndef MACOS_SYS_RANDOM_H
#define MACOS_SYS_RANDOM_H

#include_next <sys/random.h>

#include <stdlib.h>
#include <sys/types.h>

enum { GRND_NONBLOCK = 1 };

/* Always gives all of them, at once. */
static inline ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	(void)flags;
	arc4random_buf(buf, len);
	return (ssize_t)len;
}

#endif
