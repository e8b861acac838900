/* string.h: what Linux has there and macOS lacks. */
#ifndef MACOS_STRING_H
#define MACOS_STRING_H

#include_next <string.h>

static inline void *memrchr(const void *buf, int byte, size_t len)
{
	const unsigned char *bytes = buf;

	while (len--) {
		if (bytes[len] == (unsigned char)byte)
			return (void *)(bytes + len);
	}
	return NULL;
}

/* POSIX's, which returns int, rather than GNU's. */
static inline const char *macos_strerror_r(int errnum, char *buf, size_t len)
{
	strerror_r(errnum, buf, len);
	return buf;
}
#define strerror_r(errnum, buf, len) macos_strerror_r(errnum, buf, len)

#endif
