/* text.h: a text put together piece by piece in a buffer of fixed size. */
#ifndef VIBEVMM_HV_TEXT_H
#define VIBEVMM_HV_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct text {
	char *buf; /* always NUL-terminated, once something was put */
	size_t len, used;
};

/* Appends; what doesn't fit is cut. len 0 is allowed. */
static inline void text_put(struct text *text, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static inline void text_put(struct text *text, const char *fmt, ...)
{
	size_t room = text->len - text->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text->buf + text->used, room, fmt, ap);
	va_end(ap);
	if (n > 0 && room)
		text->used += (size_t)n < room ? (size_t)n : room - 1;
}

/* Appends bytes in hexadecimal, each after a blank. */
static inline void text_put_bytes(struct text *text, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;

	for (size_t i = 0; i < n; i++)
		text_put(text, " %02x", b[i]);
}

#endif
