/* expect_private.h: what the files of src/expect share. */
#ifndef EXPECT_PRIVATE_H
#define EXPECT_PRIVATE_H

#include <regex.h>

#include <vibevmm/expect.h>

/* ---- transcript.c: what a guest said, as lines to look through ------------------------------- */

enum {
	TRANSCRIPT_SLICE = 4096,    /* at most so much is taken in at once */
	TRANSCRIPT_LINE_MAX = 4096, /* a longer line counts as several */
	TRANSCRIPT_SIZE = 64 << 10, /* what is kept: from 16 KiB on */
	TRANSCRIPT_GAPS = 1024,
};

/* Positions count the bytes of text since the beginning; bytes that are no text (carriage returns,
 * control characters, escape sequences) have none. */
struct transcript {
	char *buf;	   /* NULL before the first byte */
	uint64_t base;	   /* position of its first byte */
	size_t len, line;  /* in buf: all there is; where the unfinished line begins */
	unsigned sequence; /* the part of an escape sequence that we are in */
	uint64_t skipped;  /* bytes that were no text */

	/* From which position on how many had been skipped. */
	struct {
		uint64_t at, skipped;
	} * gaps;
	size_t n_gaps;
};

struct range {
	uint64_t start, end;
};

static inline uint64_t transcript_end(const struct transcript *text)
{
	return text->base + text->len;
}

static inline uint64_t transcript_line(const struct transcript *text)
{
	return text->base + text->line;
}

/* Takes at most TRANSCRIPT_SLICE bytes in. 0 or -ENOMEM. */
int transcript_add(struct transcript *text, const void *p, size_t len);
void transcript_free(struct transcript *text);

/* The first place of a text without line ends, at or behind `from`. */
bool transcript_find(const struct transcript *text, uint64_t from, const char *what, size_t len,
		     struct range *found);

/* The first line that matches, or the rest of one, at or behind `from`; of finished lines, or the
 * unfinished one alone. The regex knows lines (REG_NEWLINE). */
bool transcript_match(const struct transcript *text, uint64_t from, const regex_t *regex,
		      bool unfinished, struct range *found);

/* Where the byte of that position is in all that was heard. */
uint64_t transcript_heard_at(const struct transcript *text, uint64_t position);

/* ---- detail.c: the last lines, for people ---------------------------------------------------- */

enum { DETAIL_LINES = 30 };

/* The last lines of a console, with those marked that hold `found` or, without it, that is nearest
 * to `what`; both may be NULL. */
void detail_lines(const struct transcript *text, const char *name, const char *what,
		  const struct range *found, char *buf, size_t size);

/* In double quotes and on one line; cut where it is too long. */
const char *detail_quote(const char *text, char *buf, size_t size);

/* "1.2s", "350ms" */
const char *detail_time(uint64_t ns, char *buf, size_t size);

/* ---- expect.c: steps, and what they wait for ------------------------------------------------- */

enum { EVERYWHERE = -1 };

enum step_kind { STEP_CONTAINS, STEP_MATCHES, STEP_ABSENT, STEP_SEND };

struct step {
	enum step_kind kind;
	const struct expect_step *config;
	int console;	  /* or EVERYWHERE */
	const char *text; /* that is waited for, or forbidden; NULL: of a `send` at once */
	size_t len;
	regex_t regex;	/* STEP_MATCHES */
	uint64_t limit; /* ns; 0: none */
	uint64_t since; /* when its turn came */
	size_t sent;	/* bytes of a `send` */
	bool came;	/* the text has; a `send` is yet to be sent then */
	bool met;
};

struct console {
	struct transcript text;
	struct step *wait; /* for text from here; NULL: none */
	uint64_t from;	   /* where that may begin */
	uint64_t checked;  /* for what is forbidden */
	uint64_t spoke;	   /* when the last byte came */
	bool looked;	   /* at the unfinished line as it is */
};

struct expect {
	struct expect_setup setup;
	struct expect_report *report;
	const struct node *list; /* `console` in the tree */
	enum expect_state state;
	struct step *steps;
	size_t n, first; /* all; the first that is neither met nor forbidden text */
	struct step *typing;
	bool waits; /* there is a step that waits */
	bool ready;
	const struct step *ready_step;
	struct console *consoles;
	size_t last;	/* the console that spoke last */
	uint64_t limit; /* when the next time limit is reached; 0: never */
	uint64_t quiet; /* when unfinished lines are to be looked at; 0: never */
};

/* The first step that isn't met, but for forbidden text; NULL: all are. */
static inline const struct step *expect_first_unmet(const struct expect *e)
{
	return e->first < e->n ? &e->steps[e->first] : NULL;
}

static inline const char *expect_console(const struct expect *e, size_t console)
{
	return console ? e->setup.consoles[console] : "";
}

/* "contains": the key that says what a step is. */
const char *expect_key(const struct step *step);

/* An option of the step in the tree; NULL: there is no tree. */
const struct node *expect_step_node(const struct expect *e, const struct step *step,
				    const char *key);

/* ---- verdict.c: what fails, and how that is said --------------------------------------------- */

/* An expectation, that at node (NULL: none in particular), is not met. Shows the lines of that
 * console, as detail_lines does. */
void verdict_fail(struct expect *e, const struct node *node, size_t console, const char *what,
		  const struct range *found, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* Fails what has a time limit that is over by now. */
void verdict_limits(struct expect *e, uint64_t now);

/* The VM has ended: fails what has not come. */
void verdict_end(struct expect *e, enum expect_end end, int status, const char *why, uint64_t now);

/* A time limit, as long as this run's scale makes it. */
uint64_t verdict_scaled(const struct expect *e, uint64_t ns);

#endif
