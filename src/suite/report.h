/* report.h: what the writers and the reader of reports share. */
#ifndef SUITE_REPORT_H
#define SUITE_REPORT_H

#include <vibevmm/suite.h>

struct json; /* <vibevmm/json.h>, whose names are also json-c's, which report_read.c uses */

/* ---- report.c ------------------------------------------------------------------------------- */

/* By enum suite_outcome. */
#define SUITE_OUTCOMES (SUITE_SKIPPED + 1)
struct report_counts {
	size_t of[SUITE_OUTCOMES];
};

struct report_counts report_count(const struct suite_result *results, size_t n);

/* Why it failed, was skipped or did not run: one line. "": it passed. */
const char *report_why(const struct suite_result *result);

/* The file to look into: that of the expectation, or the case's. */
const char *report_file(const struct suite_result *result);

/* ns that it ran. */
uint64_t report_took(const struct suite_result *result);

/* Names in JSON. */
const char *report_end_name(enum expect_end end);
const char *report_point_name(enum timeline_point point);

/* ns from the start of the case's process to this time of its clock; 0: it never came. */
uint64_t report_since(const struct expect_report *report, uint64_t at);

/* Writes a text on one line: what would end or garble it is a space, what is no UTF-8 a '?', and
 * ASCII characters in `escape` have a backslash before them. */
void report_line(FILE *out, const char *text, size_t len, const char *escape);

/* Of the JSON; a reader takes those up to its own. */
#define REPORT_VERSION 1

/* ---- report_json.c -------------------------------------------------------------------------- */

/* A result is an object of facts and long texts. The object is the caller's to open and close. */
void report_json_facts(struct json *json, const struct suite_result *result);
void report_json_texts(struct json *json, const struct suite_result *result);

/* What is known of the run: the first line's object. */
void report_json_head(struct json *json, const struct suite_run *run);

/* ---- report_read.c -------------------------------------------------------------------------- */

/* As suite_report_read; name stands for the file in messages. */
int report_read(FILE *in, const char *name, struct suite_run *run, struct err *err);

#endif
