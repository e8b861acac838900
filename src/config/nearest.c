/* nearest.c: "did you mean". */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <vibevmm/bytes.h>

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

/* What other programs call it. */
static const char *const other_names[][2] = {
	{ "amd64", "x86_64" },	   { "x64", "x86_64" },
	{ "aarch64", "arm64" },	   { "armv8", "arm64" },
	{ "cpu", "vcpus" },	   { "cores", "vcpus" },
	{ "smp", "vcpus" },	   { "ram", "memory" },
	{ "accel", "backend" },	   { "hypervisor", "backend" },
	{ "address", "at" },	   { "addr", "at" },
	{ "base", "at" },	   { "start", "at" },
	{ "length", "size" },	   { "len", "size" },
	{ "io", "port" },	   { "iobase", "port" },
	{ "interrupt", "irq" },	   { "gsi", "irq" },
	{ "image", "file" },	   { "binary", "file" },
	{ "kernel", "file" },	   { "path", "file" },
	{ "name", "id" },	   { "label", "id" },
	{ "serial", "uart16550" }, { "com1", "uart16550" },
	{ "cmos", "rtc" },	   { "isa-debug-exit", "debug-exit" },
	{ "1", "true" },	   { "0", "false" },
	{ "enabled", "true" },	   { "disabled", "false" },
	{ "enable", "true" },	   { "disable", "false" },
	{ "16", "real" },	   { "32", "protected" },
	{ "64", "long" },
};

static const char *find_other_name(const char *text, const char *const *words)
{
	for (size_t i = 0; i < ARRAY_SIZE(other_names); i++) {
		if (strcasecmp(text, other_names[i][0]) != 0)
			continue;
		for (size_t k = 0; words[k]; k++) {
			if (!strcmp(words[k], other_names[i][1]))
				return words[k];
		}
	}
	return NULL;
}

const char *config_nearest(const char *text, const char *const *words)
{
	size_t len = strlen(text);
	const char *best = find_other_name(text, words);
	unsigned least_so_far = WORD_MAX;

	if (best || !len || len > WORD_MAX)
		return best;
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
