/* utf8.h: reading UTF-8 one character at a time. Pure; any thread. */
#ifndef VIBEVMM_UTF8_H
#define VIBEVMM_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* What no terminal should be sent: C0 and C1 controls, and those that change the order in which the
 * text around them is shown (Unicode Standard Annex 9, 2.1 to 2.4, marks excepted). */
static inline bool utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* Every byte of what no terminal should be sent, or is no UTF-8, becomes '?'. */
static inline void utf8_tidy(char *text)
{
	size_t len = strlen(text), n;
	uint32_t c = 0;

	for (; len; text += n, len -= n) {
		n = utf8_decode(text, len, &c);
		if (n && !utf8_is_control(c))
			continue;
		n = n ? n : 1;
		memset(text, '?', n);
	}
}

/* Columns that a character takes on a terminal: combining marks none, East Asian wide characters
 * and emoji two (Unicode Standard Annex 11, by blocks). */
static inline unsigned utf8_width(uint32_t c)
{
	static const struct {
		uint32_t first, last;
		unsigned width;
	} blocks[] = {
		{ 0x300, 0x36f, 0 },	 { 0x1100, 0x115f, 2 },	  { 0x200b, 0x200f, 0 },
		{ 0x2e80, 0xa4cf, 2 },	 { 0xac00, 0xd7a3, 2 },	  { 0xf900, 0xfaff, 2 },
		{ 0xfe00, 0xfe0f, 0 },	 { 0xfe30, 0xfe6f, 2 },	  { 0xff00, 0xff60, 2 },
		{ 0xffe0, 0xffe6, 2 },	 { 0x1f300, 0x1f64f, 2 }, { 0x1f900, 0x1f9ff, 2 },
		{ 0x20000, 0x3fffd, 2 },
	};

	for (size_t i = 0; c >= blocks[0].first && i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if (c >= blocks[i].first && c <= blocks[i].last)
			return blocks[i].width;
	}
	return 1;
}

#endif
