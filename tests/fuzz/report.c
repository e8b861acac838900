/* report.c: any bytes as a report in JSON lines; what is read is whole, and goes into all reports.
 */
#include "fuzz.h"
#include "wellformed.h"

#include "../../src/suite/report.h"

static char *said(void (*report)(const struct suite_run *run, FILE *out),
		  const struct suite_run *run)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	must(out);
	report(run, out);
	must(!fclose(out));
	return text;
}

static void check(const struct suite_run *run)
{
	char *xml = said(suite_report_junit, run), *html = said(suite_report_html, run);
	char *tap = said(suite_report_tap, run), *github = said(suite_report_github, run);
	size_t lines = 0;

	must_be_xml(xml);
	must(utf8_check(tap, strlen(tap)) == strlen(tap));
	must(utf8_check(html, strlen(html)) == strlen(html));
	for (const char *p = github; (p = strchr(p, '\n')); p++)
		lines++;
	for (size_t i = 0; i < run->n; i++)
		lines -= run->results[i].outcome == SUITE_FAILED ||
			 run->results[i].outcome == SUITE_FLAKY;
	must(!lines);
	free(xml);
	free(html);
	free(tap);
	free(github);
}

/* Each line is JSON, and all of them read back and are then said in the same words. */
static void check_json(const struct suite_run *run)
{
	char *json = said(suite_report_json, run), *again;
	struct suite_run back = { 0 };
	struct err err;
	FILE *in = fmemopen(json, strlen(json), "r");

	must(in && !report_read(in, "back", &back, &err));
	fclose(in);
	must(back.n == run->n && suite_status(&back) == suite_status(run));
	again = said(suite_report_json, &back);
	must(!strcmp(json, again));
	for (char *line = json, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		must_be_json(line);
	}
	free(json);
	free(again);
	suite_run_free(&back);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct suite_run run = { 0 };
	struct err err = { 0 };
	FILE *in = size ? fmemopen((void *)data, size, "r") : NULL;

	if (!in)
		return;
	if (report_read(in, "report.json", &run, &err)) {
		must(err.text[0] && err.status && !run.n && !run.results);
	} else {
		check(&run);
		check_json(&run);
	}
	fclose(in);
	suite_run_free(&run);
}
