/* test_progress.c: what `vibevmm test` says while it runs: a line for each case that has ended,
 * what went wrong below it, and on a terminal a last line that shows how far it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/suite.h>
#include <vibevmm/timeline.h>
#include <vibevmm/utf8.h>

#include "cli.h"

#define REDRAW_NS 60000000ULL /* the last line isn't drawn more often */
#define BAR	  20
#define MAX_LIST  10 /* with more cases than that, those that failed are named again at the end */
#define MESSAGES  30 /* lines of the launcher's own that are shown with a failure */

/* ---- Colours and texts --------------------------------------------------------------------- */

#define OFF  "\33[0m"
#define BOLD "\33[1m"
#define DIM  "\33[2m"

static const struct {
	const char *word, *colour;
} outcomes[] = {
	[SUITE_NOT_RUN] = { "not run", DIM },	    [SUITE_PASSED] = { "passed", "\33[32m" },
	[SUITE_FLAKY] = { "flaky", "\33[35m" },	    [SUITE_FAILED] = { "FAILED", "\33[1;31m" },
	[SUITE_SKIPPED] = { "skipped", "\33[33m" },
};

/* The arguments of a "%llu:%02llu" that shows nanoseconds as minutes and seconds. */
#define MINUTES(ns)                                                                                \
	(unsigned long long)(ns) / 60000000000, (unsigned long long)(ns) / 1000000000 % 60

static const char *on(const struct cli_test_progress *p, const char *colour)
{
	return p->colour ? colour : "";
}

static const char *off(const struct cli_test_progress *p)
{
	return p->colour ? OFF : "";
}

/* "12 ms", "3.25 s", "2:05 min" */
static const char *time_text(uint64_t ns, char buf[24])
{
	uint64_t s = ns / 1000000000;

	if (ns < 999500000)
		snprintf(buf, 24, "%llu ms", (unsigned long long)(ns + 500000) / 1000000);
	else if (s < 60)
		snprintf(buf, 24, "%.2f s", (double)ns / 1e9);
	else
		snprintf(buf, 24, "%llu:%02llu min", MINUTES(ns));
	return buf;
}

/* A guest's words, indented, with nothing in them that a terminal would obey. */
static void put_text(const char *text, const char *indent)
{
	size_t len = strlen(text), n;
	bool begins = true;
	uint32_t c;

	for (size_t i = 0; i < len; i += n) {
		if (begins)
			fputs(indent, stdout);
		begins = text[i] == '\n';
		n = utf8_decode(text + i, len - i, &c);
		if (n && (!utf8_is_control(c) || c == '\n' || c == '\t')) {
			fwrite(text + i, 1, n, stdout);
			continue;
		}
		n = n ? n : 1;
		for (size_t k = 0; k < n; k++)
			printf("\\x%02x", (uint8_t)text[i + k]);
	}
	if (!begins)
		putchar('\n');
}

/* ---- A failure ----------------------------------------------------------------------------- */

/* The text of a file, for an excerpt of it; NULL: it can't be had, or is no config. */
static char *read_text(const char *path, size_t *len)
{
	const size_t max = 1 << 20;
	FILE *file = fopen(path, "re");
	char *text = file ? malloc(max + 1) : NULL;

	*len = text ? fread(text, 1, max, file) : 0;
	if (text)
		text[*len] = 0;
	if (file)
		fclose(file);
	return text;
}

/* As any mistake in a config is shown: its place, the reason, the line. */
static void put_reason(const struct cli_test_progress *p, const struct expect_report *report)
{
	struct source source = { .name = report->file };
	struct mark mark = { &source, report->line, report->column, 1 };
	struct diags *diags = *report->file ? diags_new() : NULL;
	char *text = NULL;

	if (!diags) {
		printf("    %serror:%s ", on(p, outcomes[SUITE_FAILED].colour), off(p));
		put_text(report->reason, "");
		return;
	}
	text = read_text(report->file, &source.len);
	source.text = text;
	diag_error(diags, mark, "%s", report->reason);
	diags_print(diags, stdout, DIAG_TEXT, p->colour);
	diags_free(diags);
	free(text);
}

/* The last lines of a text. */
static const char *tail_of(const char *text, unsigned lines)
{
	const char *at = text + strlen(text);

	if (at > text && at[-1] == '\n')
		at--;
	while (at > text) {
		if (at[-1] == '\n' && !--lines)
			break;
		at--;
	}
	return at;
}

/* Whether the launcher has said this and nothing else. */
static bool is_all(const char *messages, const char *reason)
{
	static const char prefix[] = "vibevmm: error: ";
	size_t len = strlen(reason);

	return !strncmp(messages, prefix, strlen(prefix)) &&
	       !strncmp(messages + strlen(prefix), reason, len) &&
	       !strcmp(messages + strlen(prefix) + len, "\n");
}

static void put_failure(const struct cli_test_progress *p, const struct suite_result *result)
{
	put_reason(p, &result->report);
	put_text(result->report.detail, "    ");
	if (*result->messages && !is_all(result->messages, result->report.reason)) {
		printf("    %svibevmm itself said:%s\n", on(p, DIM), off(p));
		put_text(tail_of(result->messages, MESSAGES), "      ");
	}
	putchar('\n');
}

/* ---- The last line -------------------------------------------------------------------------- */

static unsigned columns(void)
{
	struct winsize size;

	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

static void erase(struct cli_test_progress *p)
{
	if (p->drawn)
		fputs("\r\33[K", stdout);
	p->drawn = false;
}

/* Time that is left, from how fast it went so far; 0: nobody can tell. */
static uint64_t time_left(const struct cli_test_progress *p, uint64_t now)
{
	uint64_t all = 0;

	for (size_t i = 0; i < p->suite->n; i++) {
		const struct suite_case *c = &p->suite->cases[i];

		if (c->skip)
			continue;
		if (!c->known)
			return 0;
		all += c->known;
	}
	if (!p->known_done || all <= p->known_done)
		return 0;
	return (uint64_t)((double)(now - p->begin) * (double)(all - p->known_done) /
			  (double)p->known_done);
}

/* "0:04 [#####     ] 12 of 50, 1 failed, 0:07 left: configs/linux, ..." */
static void draw(struct cli_test_progress *p)
{
	char bar[BAR + 1], line[512], *at = line, *end = line + sizeof(line);
	size_t filled = p->suite->n ? p->done * BAR / p->suite->n : BAR;
	uint64_t now = timeline_now(), left;
	const char *between = ": ";

	if (!p->live || now - p->last < REDRAW_NS)
		return;
	p->last = now;
	memset(bar, ' ', BAR);
	memset(bar, '#', filled);
	bar[BAR] = 0;
	at += snprintf(at, (size_t)(end - at), "%llu:%02llu [%s] %zu of %zu",
		       MINUTES(now - p->begin), bar, p->done, p->suite->n);
	if (p->failed)
		at += snprintf(at, (size_t)(end - at), ", %zu failed", p->failed);
	left = time_left(p, now);
	if (left)
		at += snprintf(at, (size_t)(end - at), ", %llu:%02llu left", MINUTES(left));
	for (size_t i = 0; i < p->suite->n && end - at > 1; i++) {
		int n;

		if (!p->running[i])
			continue;
		n = snprintf(at, (size_t)(end - at), "%s%s", between, p->running[i]);
		between = ", ";
		at += n < end - at ? n : end - at - 1;
	}
	/* It must not wrap: then it could not be taken back. */
	printf("\r\33[K%.*s", (int)columns() - 1, line);
	p->drawn = true;
	fflush(stdout);
}

/* ---- Calls --------------------------------------------------------------------------------- */

int cli_test_progress_begin(struct cli_test_progress *p, const struct suite *suite, bool quiet)
{
	const char *term = getenv("TERM");

	*p = (struct cli_test_progress){
		.suite = suite,
		.quiet = quiet,
		.live = !quiet && isatty(STDOUT_FILENO) && !(term && !strcmp(term, "dumb")),
		.colour = cli_colour(STDOUT_FILENO),
		.begin = timeline_now(),
		.running = calloc(suite->n + 1, sizeof(*p->running)),
	};
	return p->running ? 0 : -ENOMEM;
}

void cli_test_begun(void *arg, size_t index)
{
	struct cli_test_progress *p = arg;

	p->running[index] = p->suite->cases[index].name;
	draw(p);
}

void cli_test_tick(void *arg)
{
	draw(arg);
}

static const struct suite_case *find_case(const struct cli_test_progress *p, const char *name)
{
	for (size_t i = 0; i < p->suite->n; i++) {
		if (!strcmp(p->suite->cases[i].name, name))
			return &p->suite->cases[i];
	}
	return NULL;
}

/* ns from the beginning of the process to the step that says the guest is ready; 0: none did. */
static uint64_t ready_after(const struct suite_case *c, const struct expect_report *report)
{
	const struct config_maps *console = &config_vm(c->config)->expect.console;
	const struct expect_step *steps = console->list;
	uint64_t begin = report->timeline[TIMELINE_EXEC];
	uint32_t ready = 0;

	for (uint32_t i = 0; i < console->n; i++) {
		if (steps[i].ready)
			ready = i;
	}
	for (uint32_t i = 0; i < report->n_moments && i < EXPECT_MOMENTS; i++) {
		const struct expect_moment *m = &report->moments[i];

		if (m->step >= ready && m->length && m->at > begin)
			return m->at - begin;
	}
	return 0;
}

/* "passed     12 ms  configs/hello  (ready after 8 ms)" */
static void put_line(const struct cli_test_progress *p, const struct suite_case *c,
		     const struct suite_result *result)
{
	const char *word = outcomes[result->outcome].word;
	uint64_t ready = c ? ready_after(c, &result->report) : 0;
	char took[24] = "", ready_text[24];
	const char *note = result->why;
	char more[96] = "";

	if (result->attempts && result->outcome != SUITE_NOT_RUN)
		time_text(result->end - result->begin, took);
	if (result->outcome == SUITE_FLAKY)
		snprintf(more, sizeof(more), "passed at try %u", result->attempts);
	else if (result->outcome == SUITE_PASSED && ready)
		snprintf(more, sizeof(more), "ready after %s", time_text(ready, ready_text));
	else if (result->outcome == SUITE_FAILED && result->attempts > 1)
		snprintf(more, sizeof(more), "try %u", result->attempts);
	if (*more)
		note = more;
	printf("%s%-7s%s %9s  %s", on(p, outcomes[result->outcome].colour), word, off(p), took,
	       result->name);
	if (*note)
		printf("  %s(%s)%s", on(p, DIM), note, off(p));
	putchar('\n');
}

void cli_test_ended(void *arg, const struct suite_result *result)
{
	struct cli_test_progress *p = arg;
	const struct suite_case *c = find_case(p, result->name);

	if (c) {
		p->running[c - p->suite->cases] = NULL;
		p->known_done += c->known;
	}
	p->done++;
	p->failed += result->outcome == SUITE_FAILED;
	if (p->quiet)
		return;
	erase(p);
	put_line(p, c, result);
	p->gap = result->outcome == SUITE_FAILED;
	if (p->gap)
		put_failure(p, result);
	draw(p);
	fflush(stdout);
}

/* ---- The end ------------------------------------------------------------------------------- */

static void put_count(const struct cli_test_progress *p, enum suite_outcome outcome, size_t n,
		      const char **between)
{
	const char *name = suite_outcome_name(outcome);

	if (!n && outcome != SUITE_PASSED)
		return;
	printf("%s%s%zu %s%s", *between, n ? on(p, outcomes[outcome].colour) : "", n, name,
	       n ? off(p) : "");
	*between = ", ";
}

void cli_test_progress_end(struct cli_test_progress *p, const struct suite_run *run)
{
	static const enum suite_outcome order[] = { SUITE_PASSED, SUITE_FLAKY, SUITE_FAILED,
						    SUITE_SKIPPED, SUITE_NOT_RUN };
	size_t counts[ARRAY_SIZE(order)] = { 0 };
	const char *between = "";

	erase(p);
	free(p->running);
	if (!run || p->quiet)
		return;
	for (size_t i = 0; i < run->n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(order); k++)
			counts[k] += run->results[i].outcome == order[k];
	}
	if (!p->gap)
		putchar('\n');
	if (p->failed && run->n > MAX_LIST) {
		for (size_t i = 0; i < run->n; i++) {
			if (run->results[i].outcome == SUITE_FAILED)
				printf("%sFAILED%s  %s\n", on(p, outcomes[SUITE_FAILED].colour),
				       off(p), run->results[i].name);
		}
		putchar('\n');
	}
	for (size_t k = 0; k < ARRAY_SIZE(order); k++)
		put_count(p, order[k], counts[k], &between);
	printf(" in %.1f s\n", (double)run->took / 1e9);
	fflush(stdout);
}
