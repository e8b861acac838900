/* report_github.c: annotations, which GitHub Actions reads from a job's output ("Workflow commands
 * for GitHub Actions", Setting an error message) and shows at the lines of a pull request.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* A command ends with its line, and its properties at ',' and ':'. */
static void escaped(FILE *out, const char *text, const char *special)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (strchr(special, c))
			fprintf(out, "%%%02X", c);
		else if (c >= 0x20 || c == '\t')
			fputc(c, out);
		else
			fputc('?', out); /* an escape sequence would colour the rest of the log */
	}
}

#define DATA	 "%\r\n"
#define PROPERTY "%\r\n:,"

/* Files are known by their path in the repository. */
static const char *in_repository(const char *file)
{
	const char *top = getenv("GITHUB_WORKSPACE");
	size_t len = top ? strlen(top) : 0;

	while (len && top[len - 1] == '/')
		len--;
	if (len && !strncmp(file, top, len) && file[len] == '/')
		return file + len + 1;
	return strncmp(file, "./", 2) ? file : file + 2;
}

static void annotation(FILE *out, const struct suite_result *r)
{
	const struct expect_report *report = &r->report;
	bool failed = r->outcome == SUITE_FAILED;

	fprintf(out, "::%s file=", failed ? "error" : "warning");
	escaped(out, in_repository(report_file(r)), PROPERTY);
	if (failed && report->unmet && report->line)
		fprintf(out, ",line=%" PRIu32 ",col=%" PRIu32, report->line, report->column);
	fputs(",title=", out);
	escaped(out, r->name, PROPERTY);
	fputs("::", out);
	if (failed) {
		escaped(out, report_why(r), DATA);
		escaped(out, report->detail[0] ? "\n" : "", DATA);
		escaped(out, report->detail, DATA);
	} else {
		fprintf(out, "flaky: passed at attempt %u", r->attempts);
	}
	fputc('\n', out);
}

void suite_report_github(const struct suite_run *run, FILE *out)
{
	for (size_t i = 0; i < run->n; i++) {
		const struct suite_result *r = &run->results[i];

		if (r->outcome == SUITE_FAILED || r->outcome == SUITE_FLAKY)
			annotation(out, r);
	}
}
