/* transcript.c: what a guest said, as lines to look through. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "expect_private.h"

enum { TRANSCRIPT_KEEP = 16 << 10 };

/* ECMA-48, 5.3 to 5.6: where we are in an escape sequence. A line feed ends any. */
enum { NO_SEQUENCE, AFTER_ESC, IN_CSI, IN_STRING, ESC_IN_STRING };

#define ESC 0x1b
#define BEL 0x07
#define CAN 0x18
#define SUB 0x1a
#define DEL 0x7f

static bool is_text(uint8_t c)
{
	return (c >= ' ' && c != DEL) || c == '\n' || c == '\t';
}

static unsigned after_esc(uint8_t c)
{
	if (c == '[')
		return IN_CSI;
	if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
		return IN_STRING;
	return c < '0' ? AFTER_ESC : NO_SEQUENCE; /* 0x20 to 0x2f: more is to come */
}

/* What follows after this byte, which is no text or in a sequence. */
static unsigned next_state(unsigned state, uint8_t c)
{
	if (c == CAN || c == SUB)
		return NO_SEQUENCE;
	if (state == ESC_IN_STRING)
		return c == '\\' ? NO_SEQUENCE : after_esc(c);
	if (c == ESC)
		return state == IN_STRING ? ESC_IN_STRING : AFTER_ESC;
	switch (state) {
	case AFTER_ESC:
		return after_esc(c);
	case IN_CSI:
		return c >= '@' && c != DEL ? NO_SEQUENCE : IN_CSI;
	case IN_STRING:
		return c == BEL ? NO_SEQUENCE : IN_STRING;
	default:
		return NO_SEQUENCE;
	}
}

static void note_gap(struct transcript *text)
{
	size_t n = text->n_gaps;

	if (text->skipped == (n ? text->gaps[n - 1].skipped : 0))
		return;
	if (n == TRANSCRIPT_GAPS) { /* text that old is hardly looked for any more */
		n /= 2;
		memmove(text->gaps, text->gaps + n, n * sizeof(*text->gaps));
	}
	text->gaps[n].at = transcript_end(text);
	text->gaps[n].skipped = text->skipped;
	text->n_gaps = n + 1;
}

static void append(struct transcript *text, const uint8_t *p, size_t len)
{
	const char *end;

	note_gap(text);
	memcpy(text->buf + text->len, p, len);
	end = memrchr(text->buf + text->len, '\n', len);
	text->len += len;
	if (end)
		text->line = (size_t)(end - text->buf) + 1;
	if (text->len - text->line >= TRANSCRIPT_LINE_MAX)
		text->line = text->len;
}

static int make_room(struct transcript *text)
{
	size_t drop;

	if (!text->buf) {
		text->buf = malloc(TRANSCRIPT_SIZE + TRANSCRIPT_GAPS * sizeof(*text->gaps));
		if (!text->buf)
			return -ENOMEM;
		text->gaps = (void *)(text->buf + TRANSCRIPT_SIZE);
	}
	if (text->len + TRANSCRIPT_SLICE <= TRANSCRIPT_SIZE)
		return 0;
	drop = text->len - TRANSCRIPT_KEEP;
	memmove(text->buf, text->buf + drop, TRANSCRIPT_KEEP);
	text->base += drop;
	text->len -= drop;
	text->line -= drop; /* an unfinished line is much shorter than what is kept */
	return 0;
}

int transcript_add(struct transcript *text, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	int ret = make_room(text);

	assert(len <= TRANSCRIPT_SLICE);
	for (size_t i = 0, n; i < len && !ret; i += n) {
		if (p[i] == '\n')
			text->sequence = NO_SEQUENCE;
		n = 0;
		while (!text->sequence && i + n < len && is_text(p[i + n]))
			n++;
		if (n) {
			append(text, p + i, n);
		} else {
			text->sequence = next_state(text->sequence, p[i]);
			text->skipped++;
			n = 1;
		}
	}
	return ret;
}

void transcript_free(struct transcript *text)
{
	free(text->buf);
	*text = (struct transcript){ 0 };
}

/* ---- Looking through it ---------------------------------------------------------------------- */

/* Where a position is in buf: at its beginning, if it is gone. */
static size_t index_of(const struct transcript *text, uint64_t position)
{
	if (position <= text->base)
		return 0;
	return position < transcript_end(text) ? (size_t)(position - text->base) : text->len;
}

static void set_range(const struct transcript *text, size_t start, size_t end, struct range *found)
{
	*found = (struct range){ text->base + start, text->base + end };
}

/* As memmem(3), which is slow to start: of a serial port one byte comes at a time. */
static const char *find(const char *p, size_t n, const char *what, size_t len)
{
	if (n - len >= 16)
		return memmem(p, n, what, len);
	for (size_t i = 0; i + len <= n; i++) {
		if (p[i + len - 1] == what[len - 1] && !memcmp(p + i, what, len))
			return p + i;
	}
	return NULL;
}

bool transcript_find(const struct transcript *text, uint64_t from, const char *what, size_t len,
		     struct range *found)
{
	size_t at = index_of(text, from);
	const char *hit;

	if (text->len - at < len)
		return false;
	hit = find(text->buf + at, text->len - at, what, len);
	if (hit) {
		at = (size_t)(hit - text->buf);
		set_range(text, at, at + len, found);
	}
	return hit;
}

static bool match(const struct transcript *text, size_t at, size_t end, const regex_t *regex,
		  struct range *found)
{
	bool middle = at > 0 && text->buf[at - 1] != '\n';
	regmatch_t hit = { .rm_so = 0, .rm_eo = (regoff_t)(end - at) };

	if (regexec(regex, text->buf + at, 1, &hit, REG_STARTEND | (middle ? REG_NOTBOL : 0)))
		return false;
	set_range(text, at + (size_t)hit.rm_so, at + (size_t)hit.rm_eo, found);
	return true;
}

/* Many lines at once are quick. But something like [[:space:]]+ may match from one line to the
 * next, and hide what is in a line: then each is looked at by itself. */
static bool match_lines(const struct transcript *text, size_t at, size_t end, const regex_t *regex,
			struct range *found)
{
	size_t first, len;
	const char *stop;

	if (!match(text, at, end, regex, found))
		return false;
	first = (size_t)(found->start - text->base);
	len = (size_t)(found->end - found->start);
	if (!memchr(text->buf + first, '\n', len))
		return true;
	for (; at <= end; at = (size_t)(stop - text->buf) + 1) {
		stop = memchr(text->buf + at, '\n', end - at);
		if (!stop)
			stop = text->buf + end;
		if (match(text, at, (size_t)(stop - text->buf), regex, found))
			return true;
	}
	return false;
}

bool transcript_match(const struct transcript *text, uint64_t from, const regex_t *regex,
		      bool unfinished, struct range *found)
{
	size_t at = index_of(text, from), end = text->line;

	if (unfinished) {
		at = at > text->line ? at : text->line;
		return at < text->len && match(text, at, text->len, regex, found);
	}
	if (at >= end)
		return false;
	end -= text->buf[end - 1] == '\n';
	return match_lines(text, at, end, regex, found);
}

uint64_t transcript_heard_at(const struct transcript *text, uint64_t position)
{
	size_t i = text->n_gaps;

	while (i > 0 && text->gaps[i - 1].at > position)
		i--;
	return position + (i ? text->gaps[i - 1].skipped : 0);
}
