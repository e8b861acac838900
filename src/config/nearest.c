/* nearest.c: "did you mean". */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "loader.h"

#define WORD_MAX 48

/* Upper case and '-' for '_' are no difference. */
static char fold(char c)
{
	return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits from a to b: a letter more, less, other, or two swapped (optimal string alignment). */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];

	for (unsigned j = 0; j <= m; j++)
		last[j] = j;
	for (unsigned i = 1; i <= n; i++) {
		unsigned *free_row = before;

		now[0] = i;
		for (unsigned j = 1; j <= m; j++) {
			unsigned same = fold(a[i - 1]) == fold(b[j - 1]);

			now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + !same);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = free_row;
	}
	return last[m];
}

const char *config_nearest(const char *text, const char *const *words)
{
	size_t len = strlen(text);
	const char *best = NULL;
	unsigned least_so_far = WORD_MAX;

	if (!len || len > WORD_MAX)
		return NULL;
	for (; *words; words++) {
		size_t n = strlen(*words), longer = n > len ? n : len, shorter = n < len ? n : len;
		unsigned limit = longer < 3 ? 0 : (unsigned)(longer + 1) / 3, d;

		if (n > WORD_MAX)
			continue;
		d = distance(text, len, *words, n);
		/* One begins with the other: `uart`, `linux64`. */
		if (d > limit && shorter >= 3 && d == longer - shorter &&
		    !strncasecmp(text, *words, shorter))
			d = limit;
		if (d <= limit && d < least_so_far) {
			best = *words;
			least_so_far = d;
		}
	}
	return best;
}
