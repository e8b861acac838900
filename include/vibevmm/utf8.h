/* utf8.h: reading UTF-8 one character at a time. Pure; any thread. */
#ifndef VIBEVMM_UTF8_H
#define VIBEVMM_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character at p (len bytes are readable) into *c and returns its length in bytes: 1
 * to 4, or 0 if there is none: len is 0, or the bytes are not UTF-8 as RFC 3629 section 4 has it
 * (overlong forms and surrogates are not). */
static inline size_t utf8_decode(const char *p, size_t len, uint32_t *c)
{
	const uint8_t *b = (const uint8_t *)p;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t v;
	size_t n;

	if (!len)
		return 0;
	n = b[0] < 0x80	  ? 1
	    : b[0] < 0xc0 ? 0
	    : b[0] < 0xe0 ? 2
	    : b[0] < 0xf0 ? 3
	    : b[0] < 0xf8 ? 4
			  : 0;
	if (!n || n > len)
		return 0;
	v = n == 1 ? b[0] : b[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (b[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*c = v;
	return n;
}

/* The offset of the first byte that is not UTF-8, or len. */
static inline size_t utf8_check(const char *p, size_t len)
{
	size_t i = 0, n;
	uint32_t c;

	while ((n = utf8_decode(p + i, len - i, &c)))
		i += n;
	return i;
}

/* C0 and C1 controls, which no terminal should be sent. */
static inline bool utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

#endif
