/* report_tap.c: the Test Anything Protocol, version 14 (testanything.org). */
#include <inttypes.h>
#include <string.h>

#include "report.h"

static void quoted(FILE *out, const char *key, const char *text)
{
	fprintf(out, "%s: \"", key);
	report_line(out, text, strlen(text), "\"\\");
	fputs("\"\n", out);
}

/* As a literal block: people read it, too. Where its first line is indented, YAML has to be told
 * how far the block is. */
static void detail(FILE *out, const char *text)
{
	if (!*text)
		return;
	fprintf(out, "  detail: |%s\n", strchr(" \t\n", *text) ? "2" : "");
	while (*text) {
		size_t len = strcspn(text, "\n");

		fputs("    ", out);
		report_line(out, text, len, "");
		fputc('\n', out);
		text += len + (text[len] == '\n');
	}
}

/* The YAML block of a test that failed ("Diagnostics"). */
static void diagnostics(FILE *out, const struct suite_result *r)
{
	const struct expect_report *report = &r->report;

	fputs("  ---\n", out);
	quoted(out, "  message", report_why(r));
	fputs("  severity: fail\n  at:\n", out);
	quoted(out, "    file", report_file(r));
	if (report->unmet && report->line)
		fprintf(out, "    line: %" PRIu32 "\n    column: %" PRIu32 "\n", report->line,
			report->column);
	fprintf(out, "  ended: %s\n  status: %d\n  attempts: %u\n  duration_ms: %" PRIu64 "\n",
		report_end_name(report->end), report->status, r->attempts,
		report_took(r) / 1000000);
	detail(out, report->detail);
	fputs("  ...\n", out);
}

static void test(FILE *out, size_t number, const struct suite_result *r)
{
	fprintf(out, "%s %zu - ", r->outcome == SUITE_FAILED ? "not ok" : "ok", number);
	report_line(out, r->name, strlen(r->name), "#\\"); /* "Escaping": # begins a directive */
	if (r->outcome == SUITE_SKIPPED || r->outcome == SUITE_NOT_RUN) {
		fputs(" # SKIP ", out);
		report_line(out, report_why(r), strlen(report_why(r)), "#\\");
	}
	fputc('\n', out);
	if (r->outcome == SUITE_FLAKY)
		fprintf(out, "# flaky: passed at attempt %u\n", r->attempts);
	if (r->outcome == SUITE_FAILED)
		diagnostics(out, r);
}

void suite_report_tap(const struct suite_run *run, FILE *out)
{
	struct report_counts counts = report_count(run->results, run->n);

	fprintf(out, "TAP version 14\n1..%zu%s\n", run->n, run->n ? "" : " # SKIP no cases");
	for (size_t i = 0; i < run->n; i++)
		test(out, i + 1, &run->results[i]);
	if (run->stopped)
		fprintf(out, "Bail out! stopped: %zu of %zu cases did not run\n",
			counts.of[SUITE_NOT_RUN], run->n);
}
