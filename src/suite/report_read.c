/* report_read.c: results read back from JSON lines, of one run or of several behind one another.
 *
 * The file may come from anywhere. json-c parses a line; here is what the fields must be. What is
 * missing is 0 or empty, and fields that nobody knows are left alone, so that other versions of
 * the program are understood.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <vibevmm/bytes.h>
#include <vibevmm/utf8.h>

#include "report.h"

#define LINE_MAX_BYTES (16U << 20)
#define CASES_MAX      100000
#define DEPTH_MAX      16

struct reader {
	const char *name;
	size_t line;
	struct json_tokener *tokener;
	struct suite_run whole; /* the parts that were read */
	struct suite_run part;	/* the one being read */
	size_t cap;		/* of the part's results */
	uint64_t cases;		/* that its head promises; 0: it doesn't say */
	bool begun;		/* there was a head */
	bool failed;
	struct err *err; /* filled at the first mistake */
};

static void fail(struct reader *r, const char *what, const char *rule)
{
	if (!r->failed)
		err_set(r->err, EINVAL, STATUS_CONFIG, "%s:%zu: %s %s", r->name, r->line, what,
			rule);
	r->failed = true;
}

/* ---- Fields: what has the wrong type is a mistake, what is not there is not ------------------ */

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static uint64_t number(struct reader *r, struct json_object *object, const char *key, uint64_t max)
{
	struct json_object *value = get(object, key);
	int64_t n = json_object_get_int64(value);

	if (value && (!json_object_is_type(value, json_type_int) || n < 0 || (uint64_t)n > max)) {
		fail(r, key, "is no number, or out of range");
		return 0;
	}
	return (uint64_t)n;
}

static const char *string(struct reader *r, struct json_object *object, const char *key)
{
	struct json_object *value = get(object, key);

	if (!value)
		return "";
	if (!json_object_is_type(value, json_type_string)) {
		fail(r, key, "is no string");
		return "";
	}
	return json_object_get_string(value);
}

static char *copy(struct reader *r, struct json_object *object, const char *key)
{
	char *text = strdup(string(r, object, key));

	if (!text)
		fail(r, key, "takes more memory than there is");
	return text;
}

/* Cut to the field's size, between characters. */
static void fill(struct reader *r, struct json_object *object, const char *key, char *buf,
		 size_t size)
{
	const char *text = string(r, object, key);
	size_t len = strnlen(text, size - 1);

	len = utf8_check(text, len);
	memcpy(buf, text, len);
	buf[len] = 0;
}

/* NULL: it isn't there. */
static struct json_object *part(struct reader *r, struct json_object *object, const char *key,
				enum json_type type)
{
	struct json_object *value = get(object, key);

	if (value && !json_object_is_type(value, type)) {
		fail(r, key, type == json_type_array ? "is no array" : "is no object");
		return NULL;
	}
	return value;
}

/* The i-th entry of an array that may have max of them; NULL: no more. */
static struct json_object *entry(struct json_object *array, uint32_t i, uint32_t max)
{
	if (!array || i >= max || i >= json_object_array_length(array))
		return NULL;
	return json_object_array_get_idx(array, i);
}

/* ---- A case ---------------------------------------------------------------------------------- */

/* The clock of the process begins at 1, so that a time of 0 stays one that never came. */
static uint64_t clock_at(uint64_t since)
{
	return since + 1;
}

static void read_timeline(struct reader *r, struct json_object *object,
			  struct expect_report *report)
{
	struct json_object *points = part(r, object, "timeline", json_type_object);

	for (unsigned i = 0; i < TIMELINE_POINTS; i++) {
		const char *key = report_point_name((enum timeline_point)i);

		if (get(points, key))
			report->timeline[i] = clock_at(number(r, points, key, INT64_MAX));
	}
}

static void read_moments(struct reader *r, struct json_object *object, struct expect_report *report)
{
	struct json_object *list = part(r, object, "moments", json_type_array), *one;

	while ((one = entry(list, report->n_moments, EXPECT_MOMENTS))) {
		struct expect_moment *m = &report->moments[report->n_moments++];

		m->at = clock_at(number(r, one, "at", INT64_MAX));
		m->step = (uint32_t)number(r, one, "step", UINT32_MAX);
		m->line = (uint32_t)number(r, one, "line", UINT32_MAX);
		m->offset = number(r, one, "offset", INT64_MAX);
		m->length = (uint32_t)number(r, one, "length", UINT32_MAX);
		fill(r, one, "console", m->console, sizeof(m->console));
		fill(r, one, "what", m->what, sizeof(m->what));
	}
}

static void read_exits(struct reader *r, struct json_object *object, struct expect_report *report)
{
	struct json_object *exits = part(r, object, "exits", json_type_object);
	struct json_object *list = part(r, exits, "reasons", json_type_array), *one;

	report->exits_ready = number(r, exits, "ready", INT64_MAX);
	report->exits = number(r, exits, "all", INT64_MAX);
	while ((one = entry(list, report->n_kinds, EXPECT_KINDS))) {
		uint32_t i = report->n_kinds++;

		fill(r, one, "name", report->kinds[i].name, sizeof(report->kinds[i].name));
		report->kinds[i].count = number(r, one, "count", INT64_MAX);
	}
}

static void read_report(struct reader *r, struct json_object *object, struct expect_report *report)
{
	struct json_object *unmet = part(r, object, "unmet", json_type_object);
	const char *ended = string(r, object, "ended");

	for (unsigned i = EXPECT_END_NONE; i <= EXPECT_END_FAILED; i++) {
		if (!strcmp(report_end_name((enum expect_end)i), ended))
			report->end = (enum expect_end)i;
	}
	report->status = (int)number(r, object, "status", INT32_MAX);
	report->unmet = unmet != NULL;
	fill(r, unmet, "file", report->file, sizeof(report->file));
	report->line = (uint32_t)number(r, unmet, "line", UINT32_MAX);
	report->column = (uint32_t)number(r, unmet, "column", UINT32_MAX);
	fill(r, object, "why", report->reason, sizeof(report->reason));
	fill(r, object, "detail", report->detail, sizeof(report->detail));
	report->memory = number(r, object, "memory", INT64_MAX);
	read_timeline(r, object, report);
	read_moments(r, object, report);
	read_exits(r, object, report);
}

static enum suite_outcome read_outcome(struct reader *r, struct json_object *object)
{
	const char *name = string(r, object, "outcome");

	for (unsigned i = 0; i < SUITE_OUTCOMES; i++) {
		if (!strcmp(name, suite_outcome_name((enum suite_outcome)i)))
			return (enum suite_outcome)i;
	}
	fail(r, "outcome", "is none that is known");
	return SUITE_NOT_RUN;
}

/* Room for n results; false: there is none. */
static bool grow(struct suite_result **results, size_t n)
{
	struct suite_result *more = realloc(*results, n * sizeof(*more));

	if (more)
		*results = more;
	return more != NULL;
}

static void read_case(struct reader *r, struct json_object *object)
{
	struct suite_run *run = &r->part;
	struct suite_result *result;

	if (run->n >= CASES_MAX) {
		fail(r, "case", "is one too many: 100000 is the most");
		return;
	}
	if (run->n == r->cap) {
		if (!grow(&run->results, r->cap * 2 + 16)) {
			fail(r, "case", "takes more memory than there is");
			return;
		}
		r->cap = r->cap * 2 + 16;
	}
	result = &run->results[run->n++];
	memset(result, 0, sizeof(*result));
	result->outcome = read_outcome(r, object);
	result->attempts = (unsigned)number(r, object, "attempts", UINT32_MAX);
	result->begin = number(r, object, "begin", INT64_MAX);
	result->end = number(r, object, "end", INT64_MAX);
	result->console_cut = number(r, object, "console_cut", INT64_MAX);
	result->name = copy(r, object, "name");
	result->file = copy(r, object, "file");
	result->worker = copy(r, object, "worker");
	result->why = copy(r, object, "why");
	result->console = copy(r, object, "console");
	result->messages = copy(r, object, "messages");
	result->config = copy(r, object, "config");
	result->map = copy(r, object, "map");
	read_report(r, object, &result->report);
	if (!r->failed && !result->name[0])
		fail(r, "name", "is missing");
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static void shift(struct suite_run *run, uint64_t by)
{
	for (size_t i = 0; i < run->n; i++) {
		run->results[i].begin += by;
		run->results[i].end += by;
	}
	run->took += by;
	run->wall -= by;
}

/* Moves the part into the whole, which begins with the first of its parts and ends with the last.
 * 0 or -ENOMEM. */
static int join(struct suite_run *whole, struct suite_run *part)
{
	if (part->n && !grow(&whole->results, whole->n + part->n))
		return -ENOMEM;
	if (!whole->wall)
		whole->wall = part->wall;
	if (part->wall > whole->wall)
		shift(part, part->wall - whole->wall);
	else
		shift(whole, whole->wall - part->wall);
	if (part->n)
		memcpy(whole->results + whole->n, part->results, part->n * sizeof(*part->results));
	whole->n += part->n;
	whole->parts += part->parts;
	if (part->took > whole->took)
		whole->took = part->took;
	whole->stopped |= part->stopped;
	whole->signal = whole->signal ? whole->signal : part->signal;
	free(part->results); /* but not what is in them */
	*part = (struct suite_run){ 0 };
	return 0;
}

/* A file that the writer couldn't finish must not pass for all of it. */
static void end_part(struct reader *r)
{
	char rule[80];

	if (r->begun && r->part.n < r->cases) {
		snprintf(rule, sizeof(rule), "is cut off: %zu of its %llu cases are here",
			 r->part.n, (unsigned long long)r->cases);
		fail(r, "report", rule);
	}
	if (r->begun && !r->failed && join(&r->whole, &r->part))
		fail(r, "report", "takes more memory than there is");
	r->cap = 0;
}

/* ---- The file -------------------------------------------------------------------------------- */

static void read_head(struct reader *r, struct json_object *object)
{
	uint64_t version = number(r, object, "report", INT64_MAX);

	if (!r->failed && (!version || version > REPORT_VERSION))
		fail(r, "report", "is of a version that is not known: use a newer vibevmm");
	end_part(r);
	if (r->failed)
		return;
	r->begun = true;
	r->part.parts = 1;
	r->cases = number(r, object, "cases", INT64_MAX);
	r->part.wall = number(r, object, "wall", INT64_MAX);
	r->part.took = number(r, object, "took", INT64_MAX);
	r->part.stopped = json_object_get_boolean(get(object, "stopped"));
	r->part.signal = (int)number(r, object, "signal", 64);
}

static void read_object(struct reader *r, const char *line, size_t len)
{
	struct json_object *object;

	if (len == strspn(line, " \t\r\n"))
		return;
	object = json_tokener_parse_ex(r->tokener, line, (int)len + 1); /* the NUL ends it */
	if (json_tokener_get_error(r->tokener) != json_tokener_success)
		fail(r, "this is no line of JSON:",
		     json_tokener_error_desc(json_tokener_get_error(r->tokener)));
	else if (!json_object_is_type(object, json_type_object))
		fail(r, "this is no result:", "each line is an object");
	else if (get(object, "report"))
		read_head(r, object);
	else if (!r->begun)
		fail(r, "this is no report of `vibevmm test --json`:", "it has no first line");
	else
		read_case(r, object);
	json_object_put(object);
	json_tokener_reset(r->tokener);
}

/* A line with its newline into the buffer, which grows. Its length; 0: no more, or a mistake. */
static size_t read_line(struct reader *r, FILE *in, char **buf, size_t *cap)
{
	size_t len = 0;
	int c;

	r->line++;
	while ((c = getc_unlocked(in)) != EOF) {
		if (len + 1 >= *cap) {
			char *more = *cap < LINE_MAX_BYTES ? realloc(*buf, *cap * 2) : NULL;

			if (!more) {
				fail(r, "line", "is longer than 16M");
				return 0;
			}
			*buf = more;
			*cap *= 2;
		}
		(*buf)[len++] = (char)c;
		if (c == '\n')
			break;
	}
	(*buf)[len] = 0;
	return len;
}

int report_read(FILE *in, const char *name, struct suite_run *run, struct err *err)
{
	struct reader r = { .name = name, .err = err };
	size_t cap = 64 << 10, len;
	char *buf = malloc(cap);

	r.tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!buf || !r.tokener) {
		fail(&r, "report", "takes more memory than there is");
		goto out;
	}
	json_tokener_set_flags(r.tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	errno = 0;
	while (!r.failed && (len = read_line(&r, in, &buf, &cap)))
		read_object(&r, buf, len);
	end_part(&r);
	if (!r.failed && ferror(in)) {
		r.failed = true;
		err_errno(err, errno ? errno : EIO, STATUS_OSERR, "cannot read '%s'", name);
	} else if (!r.begun) {
		fail(&r, "this is no report of `vibevmm test --json`:", "it is empty");
	}
	if (!r.failed && join(run, &r.whole))
		fail(&r, "report", "takes more memory than there is");
out:
	free(buf);
	if (r.tokener)
		json_tokener_free(r.tokener);
	suite_run_free(&r.whole);
	suite_run_free(&r.part);
	return r.failed ? -EINVAL : 0;
}

int suite_report_read(const char *path, struct suite_run *run, struct err *err)
{
	FILE *in = fopen(path, "re");
	int ret;

	if (!in)
		return err_errno(err, errno, STATUS_NOINPUT, "cannot read '%s'", path);
	ret = report_read(in, path, run, err);
	fclose(in);
	return ret;
}
