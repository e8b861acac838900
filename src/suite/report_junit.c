/* report_junit.c: JUnit's XML as Jenkins, GitLab and others read it.
 *
 * A config file is a testsuite, and its cases are the testcases. The schema has properties for
 * suites alone, so theirs begin with the name of the case.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <vibevmm/utf8.h>

#include "report.h"

/* XML 1.0 (2.2) can't have most control characters, in no way: pictures of them stand there (The
 * Unicode Standard, Control Pictures). In attributes a newline has to be escaped to stay one. */
static void xml(FILE *out, const char *text, bool attribute)
{
	size_t len = strlen(text), n;

	for (size_t i = 0; i < len; i += n) {
		uint32_t c = 0xfffd;

		n = utf8_decode(text + i, len - i, &c);
		if (c == '&' || c == '<' || c == '>' || c == '"')
			fprintf(out, "&#%u;", c);
		else if (c == '\r' || (attribute && (c == '\n' || c == '\t')))
			fprintf(out, "&#%u;", c);
		else if (c < 0x20 && c != '\n' && c != '\t')
			fprintf(out, "\xe2\x90%c", (int)(0x80 + c)); /* U+2400 and so on */
		else if (!n || c == 0xfffe || c == 0xffff)
			fputs("\ufffd", out);
		else
			fwrite(text + i, 1, n, out);
		n = n ? n : 1;
	}
}

static void attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	xml(out, value, true);
	fputc('"', out);
}

static void element(FILE *out, const char *name, const char *text)
{
	if (!*text)
		return;
	fprintf(out, "      <%s>", name);
	xml(out, text, false);
	fprintf(out, "</%s>\n", name);
}

static void seconds(FILE *out, uint64_t ns)
{
	fprintf(out, " time=\"%" PRIu64 ".%03" PRIu64 "\"", ns / 1000000000, ns / 1000000 % 1000);
}

/* Jenkins' tree of results is made from the dots: "configs.linux". */
static void class_name(FILE *out, const char *file)
{
	size_t len;
	char name[512];

	file += strspn(file, "./");
	len = strlen(file);
	if (len > 5 && !strcmp(file + len - 5, ".yaml"))
		len -= 5;
	if (len >= sizeof(name))
		len = sizeof(name) - 1;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)(file[i] == '/' ? '.' : file[i] == '.' ? '_' : file[i]);
	name[len] = 0;
	attribute(out, "classname", name);
}

/* ---- Properties ------------------------------------------------------------------------------ */

static void property(FILE *out, const char *name, const char *group, const char *key,
		     uint64_t value)
{
	fputs("      <property name=\"", out);
	xml(out, name, true);
	fprintf(out, ": %s", group);
	xml(out, key, true);
	fprintf(out, "\" value=\"%" PRIu64 "\"/>\n", value);
}

static void properties(FILE *out, const struct suite_result *r)
{
	const struct expect_report *report = &r->report;

	property(out, r->name, "attempts", "", r->attempts);
	if (report->memory)
		property(out, r->name, "memory", "", report->memory);
	if (report->exits_ready)
		property(out, r->name, "exits until ready", "", report->exits_ready);
	if (report->exits)
		property(out, r->name, "exits", "", report->exits);
	for (uint32_t i = 0; i < report->n_kinds && i < EXPECT_KINDS; i++)
		property(out, r->name, "exits, ", report->kinds[i].name, report->kinds[i].count);
	for (unsigned i = TIMELINE_EXEC + 1; i < TIMELINE_POINTS; i++) {
		if (report->timeline[i])
			property(out, r->name, "ns to ", timeline_name((enum timeline_point)i),
				 report_since(report, report->timeline[i]));
	}
	for (uint32_t i = 0; i < report->n_moments && i < EXPECT_MOMENTS; i++)
		property(out, r->name, "ns to ", report->moments[i].what,
			 report_since(report, report->moments[i].at));
}

/* ---- Cases ----------------------------------------------------------------------------------- */

static void failure(FILE *out, const struct suite_result *r)
{
	const struct expect_report *report = &r->report;
	const char *why = report_why(r);

	fputs("      <failure type=\"", out);
	fputs(report->unmet ? "expectation" : report_end_name(report->end), out);
	fputc('"', out);
	attribute(out, "message", why);
	fputc('>', out);
	xml(out, report_file(r), false);
	if (report->unmet && report->line)
		fprintf(out, ":%" PRIu32 ":%" PRIu32, report->line, report->column);
	fputs(": ", out);
	xml(out, why, false);
	fputc('\n', out);
	xml(out, report->detail, false);
	fputs("</failure>\n", out);
}

static void testcase(FILE *out, const struct suite_result *r)
{
	fputs("    <testcase", out);
	attribute(out, "name", r->name);
	class_name(out, r->file);
	seconds(out, report_took(r));
	fputs(">\n", out);
	if (r->outcome == SUITE_SKIPPED || r->outcome == SUITE_NOT_RUN) {
		fputs("      <skipped", out);
		attribute(out, "message", report_why(r));
		fputs("/>\n", out);
	}
	if (r->outcome == SUITE_FAILED)
		failure(out, r);
	element(out, "system-out", r->console);
	element(out, "system-err", r->messages);
	fputs("    </testcase>\n", out);
}

static void counts(FILE *out, const struct suite_result *results, size_t n)
{
	struct report_counts c = report_count(results, n);

	fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\"", n, c.of[SUITE_FAILED]);
}

/* The cases of one file. When it began, by ISO 8601 and without a time zone, as the schema has it.
 */
static void testsuite(FILE *out, const struct suite_run *run, const struct suite_result *results,
		      size_t n)
{
	struct report_counts c = report_count(results, n);
	uint64_t begin = UINT64_MAX, took = 0;
	char stamp[32] = "";
	struct tm tm;
	time_t when;

	for (size_t i = 0; i < n; i++) {
		took += report_took(&results[i]);
		if (results[i].begin < begin)
			begin = results[i].begin;
	}
	when = (time_t)((run->wall + begin) / 1000000000);
	fputs("  <testsuite", out);
	attribute(out, "name", results->file);
	counts(out, results, n);
	fprintf(out, " skipped=\"%zu\"", c.of[SUITE_SKIPPED] + c.of[SUITE_NOT_RUN]);
	seconds(out, took);
	if (gmtime_r(&when, &tm) && strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm))
		attribute(out, "timestamp", stamp);
	fputs(">\n    <properties>\n", out);
	for (size_t i = 0; i < n; i++)
		properties(out, &results[i]);
	fputs("    </properties>\n", out);
	for (size_t i = 0; i < n; i++)
		testcase(out, &results[i]);
	fputs("  </testsuite>\n", out);
}

void suite_report_junit(const struct suite_run *run, FILE *out)
{
	size_t n;

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vibevmm\"", out);
	counts(out, run->results, run->n);
	seconds(out, run->took);
	fputs(">\n", out);
	for (size_t i = 0; i < run->n; i += n) {
		for (n = 1; i + n < run->n; n++) {
			if (strcmp(run->results[i].file, run->results[i + n].file) != 0)
				break;
		}
		testsuite(out, run, &run->results[i], n);
	}
	fputs("</testsuites>\n", out);
}
