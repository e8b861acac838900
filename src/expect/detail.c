/* detail.c: the last lines, for people. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "expect_private.h"

enum {
	SHOWN_MAX = 200, /* bytes of a line */
	NEAR_MIN = 3,	 /* fewer in common are chance */
};

struct line {
	const char *p;
	size_t len;
	bool cut;
};

/* Appends, as far as there is room for it whole. */
static void add(char *buf, size_t size, size_t *len, const char *p, size_t n)
{
	if (*len + n >= size)
		return;
	memcpy(buf + *len, p, n);
	*len += n;
	buf[*len] = 0;
}

/* The same for text of unknown origin: what is no UTF-8, or controls a terminal, becomes '?'. */
static void add_clean(char *buf, size_t size, size_t *len, const char *p, size_t n)
{
	for (size_t i = 0, bytes; i < n; i += bytes) {
		uint32_t c = 0;

		bytes = utf8_decode(p + i, n - i, &c);
		if (bytes && (c == '\t' || !utf8_is_control(c))) {
			add(buf, size, len, p + i, bytes);
		} else {
			bytes = bytes ? bytes : 1;
			add(buf, size, len, "?", 1);
		}
	}
}

/* The last lines, the latest first: how many. */
static unsigned last_lines(const struct transcript *text, struct line lines[DETAIL_LINES])
{
	const char *start = text->buf, *end = text->buf + text->len;
	unsigned n = 0;

	if (end > start && end[-1] == '\n')
		end--;
	while (n < DETAIL_LINES && end > start) {
		const char *nl = memrchr(start, '\n', (size_t)(end - start));
		const char *p = nl ? nl + 1 : start;
		size_t len = (size_t)(end - p);

		lines[n++] = (struct line){ p, len < SHOWN_MAX ? len : SHOWN_MAX, len > SHOWN_MAX };
		end = nl ? nl : start;
	}
	return n;
}

/* How many bytes in a row they have in common, whatever their case. */
static size_t common(const struct line *line, const char *what, size_t len)
{
	size_t run[SHOWN_MAX + 1] = { 0 }, longest = 0;

	for (size_t w = 0; w < len; w++) {
		/* Backwards, as each cell needs its neighbour's value of the last turn. */
		for (size_t i = line->len; i > 0; i--) {
			bool same = tolower((unsigned char)line->p[i - 1]) ==
				    tolower((unsigned char)what[w]);

			run[i] = same ? run[i - 1] + 1 : 0;
			if (run[i] > longest)
				longest = run[i];
		}
	}
	return longest;
}

/* The latest of the nearest; n: none is near. */
static unsigned nearest(const struct line *lines, unsigned n, const char *what)
{
	size_t len = strlen(what), best = len / 4 < NEAR_MIN ? NEAR_MIN - 1 : len / 4;
	unsigned found = n;

	for (unsigned i = 0; i < n; i++) {
		size_t run = common(&lines[i], what, len);

		if (run > best) {
			best = run;
			found = i;
		}
	}
	return found;
}

static bool holds(const struct transcript *text, const struct line *line, const struct range *found)
{
	uint64_t at = text->base + (uint64_t)(line->p - text->buf);

	return found->start >= at && found->start <= at + line->len;
}

static size_t add_title(unsigned n, const char *name, bool near, char *buf, size_t size)
{
	int len;

	name = *name ? name : "the console";
	if (n == 0)
		len = snprintf(buf, size, "%s said nothing\n", name);
	else if (n == 1)
		len = snprintf(buf, size, "the last line of %s:\n", name);
	else
		len = snprintf(buf, size, "the last %u lines of %s%s:\n", n, name,
			       near ? ", the nearest marked" : "");
	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

void detail_lines(const struct transcript *text, const char *name, const char *what,
		  const struct range *found, char *buf, size_t size)
{
	struct line lines[DETAIL_LINES];
	unsigned n = text->buf ? last_lines(text, lines) : 0, mark = n;
	size_t len;

	for (unsigned i = 0; found && i < n; i++)
		mark = holds(text, &lines[i], found) ? i : mark;
	if (!found && what)
		mark = nearest(lines, n, what);
	len = add_title(n, name, !found && mark < n, buf, size);
	for (unsigned i = n; i-- > 0;) {
		add(buf, size, &len, i == mark ? "> " : "  ", 2);
		add_clean(buf, size, &len, lines[i].p, lines[i].len);
		add(buf, size, &len, lines[i].cut ? "...\n" : "\n", lines[i].cut ? 4 : 1);
	}
}

const char *detail_quote(const char *text, char *buf, size_t size)
{
	size_t n = strlen(text), len = 0;
	char code[8];

	/* Room for the dots and the closing quote. */
	add(buf, size, &len, "\"", 1);
	for (size_t i = 0, bytes; i < n; i += bytes) {
		uint32_t c = 0;

		bytes = utf8_decode(text + i, n - i, &c);
		if (len + sizeof(code) + 4 >= size) {
			add(buf, size, &len, "...", 3);
			break;
		}
		if (!bytes || (utf8_is_control(c) && c != '\n' && c != '\t')) {
			bytes = bytes ? bytes : 1;
			snprintf(code, sizeof(code), "\\x%02x", (unsigned char)text[i]);
			add(buf, size, &len, code, strlen(code));
		} else if (c == '\n' || c == '\t') {
			add(buf, size, &len, c == '\n' ? "\\n" : "\\t", 2);
		} else {
			add(buf, size, &len, text + i, bytes);
		}
	}
	add(buf, size, &len, "\"", 1);
	return buf;
}

const char *detail_time(uint64_t ns, char *buf, size_t size)
{
	uint64_t ms = (ns + 500000) / 1000000;

	if (ms < 1000)
		snprintf(buf, size, "%llums", (unsigned long long)ms);
	else if (ms % 1000 < 50 || ms >= 100000)
		snprintf(buf, size, "%llus", (unsigned long long)(ms / 1000));
	else
		snprintf(buf, size, "%.1fs", (double)ms / 1000);
	return buf;
}
