/* test_report.c: what reports say of a run, letter by letter, and JSON lines read back. Whether
 * other programs can read them is tested by tests/report/run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/suite.h>

#include "../../src/suite/report.h"

/* ---- Runs ------------------------------------------------------------------------------------ */

#define MS 1000000ULL

static struct suite_result result(const char *name, enum suite_outcome outcome)
{
	struct suite_result r = { .outcome = outcome, .attempts = 1, .begin = 5 * MS };
	char *file;

	assert_true(asprintf(&file, "%.*s.yaml", (int)strcspn(name, "["), name) > 0);
	r.name = strdup(name);
	r.file = file;
	r.why = strdup("");
	r.console = strdup("");
	r.messages = strdup("");
	r.config = strdup("");
	r.map = strdup("");
	r.worker = strdup("");
	r.end = r.begin + 1234 * MS;
	return r;
}

static void put(char **text, const char *by)
{
	free(*text);
	*text = strdup(by);
}

static struct suite_result failed(const char *name)
{
	struct suite_result r = result(name, SUITE_FAILED);

	r.report.end = EXPECT_END_UNMET;
	r.report.status = 90;
	r.report.unmet = true;
	r.report.line = 7;
	r.report.column = 3;
	snprintf(r.report.file, sizeof(r.report.file), "base.yaml");
	snprintf(r.report.reason, sizeof(r.report.reason), "\"login:\" did not come in 5 s");
	snprintf(r.report.detail, sizeof(r.report.detail), "the last line:\n> 100%% logi\n");
	return r;
}

static struct suite_run one(struct suite_result r)
{
	struct suite_run run = { .n = 1, .wall = 1700000000000 * MS, .took = 2000 * MS };

	run.results = malloc(sizeof(r));
	assert_non_null(run.results);
	run.results[0] = r;
	return run;
}

/* What a report says of a run. */
static char *said(void (*report)(const struct suite_run *run, FILE *out),
		  const struct suite_run *run)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	report(run, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void says(void (*report)(const struct suite_run *run, FILE *out), struct suite_result r,
		 const char *expected)
{
	struct suite_run run = one(r);
	char *text = said(report, &run);

	assert_string_equal(text, expected);
	free(text);
	suite_run_free(&run);
}

/* ---- TAP ------------------------------------------------------------------------------------- */

static void test_tap_tells_where_and_why(void **state)
{
	(void)state;
	says(suite_report_tap, failed("linux[vcpus=2]"),
	     "TAP version 14\n1..1\nnot ok 1 - linux[vcpus=2]\n  ---\n"
	     "  message: \"\\\"login:\\\" did not come in 5 s\"\n  severity: fail\n  at:\n"
	     "    file: \"base.yaml\"\n    line: 7\n    column: 3\n  ended: unmet\n  status: 90\n"
	     "  attempts: 1\n  duration_ms: 1234\n  detail: |\n    the last line:\n"
	     "    > 100% logi\n  ...\n");
}

static void test_tap_of_the_other_outcomes(void **state)
{
	struct suite_result flaky = result("a", SUITE_FLAKY), skipped = result("b", SUITE_SKIPPED);

	(void)state;
	flaky.attempts = 3;
	put(&skipped.why, "no /dev/kvm # here");
	says(suite_report_tap, result("a", SUITE_PASSED), "TAP version 14\n1..1\nok 1 - a\n");
	says(suite_report_tap, flaky,
	     "TAP version 14\n1..1\nok 1 - a\n# flaky: passed at attempt 3\n");
	says(suite_report_tap, skipped,
	     "TAP version 14\n1..1\nok 1 - b # SKIP no /dev/kvm \\# here\n");
}

static void test_tap_of_no_case_and_of_a_stopped_run(void **state)
{
	struct suite_run none = { 0 }, stopped = one(result("a", SUITE_NOT_RUN));
	char *text = said(suite_report_tap, &none);

	(void)state;
	assert_string_equal(text, "TAP version 14\n1..0 # SKIP no cases\n");
	free(text);
	put(&stopped.results[0].why, "stopped");
	stopped.stopped = true;
	text = said(suite_report_tap, &stopped);
	assert_string_equal(text, "TAP version 14\n1..1\nok 1 - a # SKIP stopped\n"
				  "Bail out! stopped: 1 of 1 cases did not run\n");
	free(text);
	suite_run_free(&stopped);
}

static void test_tap_keeps_to_its_lines(void **state)
{
	struct suite_result r = failed("a\nok 2 - b # SKIP \\ \xff\x1b[1m");

	(void)state;
	snprintf(r.report.reason, sizeof(r.report.reason), "a\n  ...\nok 3 \\ \" \u2028");
	snprintf(r.report.detail, sizeof(r.report.detail), "  b\r\n...\n1..0");
	r.report.line = 0;
	put(&r.file, "x\ny");
	r.report.file[0] = 0;
	says(suite_report_tap, r,
	     "TAP version 14\n1..1\nnot ok 1 - a ok 2 - b \\# SKIP \\\\ ? [1m\n  ---\n"
	     "  message: \"a   ... ok 3 \\\\ \\\"  \"\n  severity: fail\n  at:\n"
	     "    file: \"x y\"\n  ended: unmet\n  status: 90\n  attempts: 1\n"
	     "  duration_ms: 1234\n  detail: |2\n      b \n    ...\n    1..0\n  ...\n");
}

/* ---- GitHub ---------------------------------------------------------------------------------- */

static void test_github_annotates_the_line(void **state)
{
	(void)state;
	says(suite_report_github, failed("a"),
	     "::error file=base.yaml,line=7,col=3,title=a::\"login:\" did not come in 5 s%0A"
	     "the last line:%0A> 100%25 logi%0A\n");
	says(suite_report_github, result("a", SUITE_PASSED), "");
	says(suite_report_github, result("a", SUITE_SKIPPED), "");
	says(suite_report_github, result("a", SUITE_FLAKY),
	     "::warning file=a.yaml,title=a::flaky: passed at attempt 1\n");
}

static void test_github_escapes(void **state)
{
	struct suite_result r = failed("a:b,c%d\r\n::stop-commands::x");

	(void)state;
	snprintf(r.report.reason, sizeof(r.report.reason), "a:b,c%%d\n::error::\x1b[1m\x9b");
	r.report.detail[0] = 0;
	says(suite_report_github, r,
	     "::error file=base.yaml,line=7,col=3,title=a%3Ab%2Cc%25d%0D%0A%3A%3Astop-commands%3A"
	     "%3Ax::a:b,c%25d%0A::error::?[1m\x9b\n");
}

static void test_github_knows_files_by_their_path_in_the_repository(void **state)
{
	struct suite_result r = result("a", SUITE_FLAKY), other = result("a", SUITE_FLAKY);

	(void)state;
	put(&r.file, "/home/ci/repo/vm/a.yaml");
	put(&other.file, "/home/ci/repository/a.yaml");
	setenv("GITHUB_WORKSPACE", "/home/ci/repo/", 1);
	says(suite_report_github, r,
	     "::warning file=vm/a.yaml,title=a::flaky: passed at attempt 1\n");
	says(suite_report_github, other,
	     "::warning file=/home/ci/repository/a.yaml,title=a::flaky: passed at attempt 1\n");
	unsetenv("GITHUB_WORKSPACE");
}

/* ---- JUnit ----------------------------------------------------------------------------------- */

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static void test_junit_of_a_failure(void **state)
{
	struct suite_run run = one(failed("vm/linux[vcpus=2]"));
	struct suite_result *r = &run.results[0];
	char *text;

	(void)state;
	put(&r->console, "a < b & \"c\" ]]>\x01\x1b[0m\xff\r\n");
	put(&r->messages, "vibevmm: warning: x\n");
	r->report.exits = 12;
	text = said(suite_report_junit, &run);
	has(text, "<testsuites name=\"vibevmm\" tests=\"1\" failures=\"1\" errors=\"0\" "
		  "time=\"2.000\">\n");
	has(text, "<testsuite name=\"vm/linux.yaml\" tests=\"1\" failures=\"1\" errors=\"0\" "
		  "skipped=\"0\" time=\"1.234\" timestamp=\"2023-11-14T22:13:20\">\n");
	has(text, "<property name=\"vm/linux[vcpus=2]: exits\" value=\"12\"/>\n");
	has(text, "<testcase name=\"vm/linux[vcpus=2]\" classname=\"vm.linux\" time=\"1.234\">\n");
	has(text, "<failure type=\"expectation\" "
		  "message=\"&#34;login:&#34; did not come in 5 s\">base.yaml:7:3: ");
	has(text, "<system-out>a &#60; b &#38; &#34;c&#34; ]]&#62;\u2401\u241b[0m\ufffd&#13;\n"
		  "</system-out>\n");
	has(text, "<system-err>vibevmm: warning: x\n</system-err>\n");
	free(text);
	suite_run_free(&run);
}

static void test_junit_groups_the_cases_of_a_file(void **state)
{
	struct suite_run run = { .n = 3 };
	char *text;

	(void)state;
	run.results = malloc(3 * sizeof(*run.results));
	assert_non_null(run.results);
	run.results[0] = result("a[x=1]", SUITE_PASSED);
	run.results[1] = result("a[x=2]", SUITE_SKIPPED);
	run.results[2] = result("b", SUITE_PASSED);
	text = said(suite_report_junit, &run);
	has(text, "<testsuite name=\"a.yaml\" tests=\"2\" failures=\"0\" errors=\"0\" "
		  "skipped=\"1\" time=\"2.468\"");
	has(text, "<testsuite name=\"b.yaml\" tests=\"1\" failures=\"0\" errors=\"0\" "
		  "skipped=\"0\"");
	free(text);
	suite_run_free(&run);
}

/* ---- JSON, and back -------------------------------------------------------------------------- */

static int read_text(const char *text, struct suite_run *run, struct err *err)
{
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	int ret;

	assert_non_null(in);
	ret = report_read(in, "r.json", run, err);
	fclose(in);
	return ret;
}

static struct suite_result full(void)
{
	struct suite_result r = failed("vm/linux[vcpus=2]");
	struct expect_report *report = &r.report;

	r.attempts = 2;
	put(&r.console, "a\n\"b\"\\\t\x01\x7f\xc2\x85\u2028\U0001f427 </script>");
	put(&r.messages, "m");
	put(&r.config, "c");
	put(&r.map, "<svg/>");
	put(&r.worker, "2/7");
	r.console_cut = 1ULL << 40;
	for (unsigned i = 0; i < TIMELINE_POINTS; i++)
		report->timeline[i] = 1 + i * MS;
	report->timeline[TIMELINE_CONSOLE] = 0; /* it never came */
	report->n_moments = 2;
	report->moments[1] = (struct expect_moment){
		.at = 1 + 3 * MS,
		.step = 4,
		.line = 9,
		.offset = 77,
		.length = 6,
		.console = "hvc0",
		.what = "contains \"login:\"",
	};
	report->moments[0].at = 1;
	report->exits_ready = 5;
	report->exits = 9;
	report->n_kinds = 1;
	report->kinds[0].count = 8;
	snprintf(report->kinds[0].name, sizeof(report->kinds[0].name), "io");
	report->memory = 2 << 20;
	return r;
}

static void test_json_reads_back_to_the_same(void **state)
{
	struct suite_run run = one(full()), back = { 0 };
	struct err err;
	char *text, *again;

	(void)state;
	run.stopped = true;
	run.signal = 2;
	text = said(suite_report_json, &run);
	assert_int_equal(read_text(text, &back, &err), 0);
	assert_int_equal(back.n, 1);
	assert_int_equal(back.wall, run.wall);
	assert_int_equal(back.took, run.took);
	assert_true(back.stopped);
	assert_int_equal(back.signal, 2);
	assert_string_equal(back.results[0].console, run.results[0].console);
	assert_memory_equal(&back.results[0].report, &run.results[0].report,
			    sizeof(struct expect_report));
	again = said(suite_report_json, &back);
	assert_string_equal(again, text);
	free(again);
	free(text);
	suite_run_free(&run);
	suite_run_free(&back);
}

static void test_all_reports_are_the_same_from_json(void **state)
{
	static void (*const reports[])(const struct suite_run *,
				       FILE *) = { suite_report_tap, suite_report_junit,
						   suite_report_github, suite_report_html };
	struct suite_run run = one(full()), back = { 0 };
	char *json = said(suite_report_json, &run);
	struct err err;

	(void)state;
	assert_int_equal(read_text(json, &back, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++) {
		char *text = said(reports[i], &run), *again = said(reports[i], &back);

		assert_string_equal(again, text);
		free(text);
		free(again);
	}
	free(json);
	suite_run_free(&run);
	suite_run_free(&back);
}

static void test_bytes_that_are_no_utf8_keep_their_places(void **state)
{
	struct suite_run run = one(result("a", SUITE_PASSED)), back = { 0 };
	struct err err;
	char *text;

	(void)state;
	put(&run.results[0].console, "a\xff\xc3-\xe2\x82 login:");
	text = said(suite_report_json, &run);
	assert_int_equal(read_text(text, &back, &err), 0);
	assert_string_equal(back.results[0].console, "a?\?-?\? login:");
	free(text);
	suite_run_free(&run);
	suite_run_free(&back);
}

#define CASE(name, begin, end)                                                                     \
	"{\"name\": \"" name "\", \"outcome\": \"passed\", \"begin\": " #begin ", \"end\": " #end  \
	"}\n"

static void test_shards_are_put_on_one_clock(void **state)
{
	static const char second[] =
		"{\"report\": 1, \"wall\": 5000, \"took\": 100}\n" CASE("b", 10, 90);
	static const char first[] =
		"{\"report\": 1, \"wall\": 2000, \"took\": 200}\n" CASE("a", 1, 200);
	static const char late[] = "{\"report\": 1, \"wall\": 9000, \"took\": 7}\n" CASE("c", 2, 6);
	struct suite_run run = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(read_text(second, &run, &err), 0);
	assert_int_equal(read_text(first, &run, &err), 0);
	assert_int_equal(read_text(late, &run, &err), 0);
	assert_int_equal(run.n, 3);
	assert_int_equal(run.wall, 2000);
	assert_int_equal(run.took, 7007);
	assert_int_equal(run.results[0].begin, 3010);
	assert_int_equal(run.results[1].begin, 1);
	assert_int_equal(run.results[2].begin, 7002);
	assert_int_equal(run.results[2].end, 7006);
	suite_run_free(&run);
}

static void test_a_file_of_several_reports_is_all_of_them(void **state)
{
	struct suite_run run = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(
		read_text(
			"{\"report\": 1, \"wall\": 20, \"took\": 1}\n" CASE(
				"a", 0,
				1) "\n{\"report\": 1, \"wall\": 10, \"took\": 1}\n" CASE("b", 0, 1),
			&run, &err),
		0);
	assert_int_equal(run.n, 2);
	assert_int_equal(run.results[0].begin, 10);
	assert_int_equal(run.took, 11);
	suite_run_free(&run);
}

static void test_what_is_no_report_is_refused_at_its_line(void **state)
{
#define HEAD "{\"report\": 1, \"wall\": 1, \"took\": 1}\n"
	static const char *const bad[][2] = {
		{ "", "r.json:1: this is no report of `vibevmm test --json`: it is empty" },
		{ CASE("a", 1, 2),
		  "r.json:1: this is no report of `vibevmm test --json`: it has no first line" },
		{ HEAD "hello\n", "r.json:2: this is no line of JSON: " },
		{ HEAD "{\"name\": \"a\"", "r.json:2: this is no line of JSON: " },
		{ HEAD "[1]\n", "r.json:2: this is no result: each line is an object" },
		{ HEAD "{\"name\": \"a\", \"outcome\": \"great\"}\n",
		  "r.json:2: outcome is none that is known" },
		{ HEAD "{\"outcome\": \"passed\"}\n", "r.json:2: name is missing" },
		{ HEAD "{\"name\": 7, \"outcome\": \"passed\"}\n", "r.json:2: name is no string" },
		{ HEAD CASE("a", -1, 2), "r.json:2: begin is no number, or out of range" },
		{ HEAD CASE("a", 1.5, 2), "r.json:2: begin is no number, or out of range" },
		{ HEAD "{\"name\": \"a\", \"outcome\": \"passed\", \"moments\": {}}\n",
		  "r.json:2: moments is no array" },
		{ HEAD "{\"name\": \"a\", \"outcome\": \"passed\", \"exits\": []}\n",
		  "r.json:2: exits is no object" },
		{ HEAD "{\"name\": \"a\xff\", \"outcome\": \"passed\"}\n",
		  "r.json:2: this is no line of JSON: " },
		{ HEAD "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n",
		  "r.json:2: this is no line of JSON: nesting too deep" },
		{ "{\"report\": 2}\n",
		  "r.json:1: report is of a version that is not known: use a newer vibevmm" },
		{ "{\"report\": \"1\"}\n", "r.json:1: report is no number, or out of range" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct suite_run run = one(result("before", SUITE_PASSED));
		struct err err = { 0 };

		assert_int_not_equal(read_text(bad[i][0], &run, &err), 0);
		if (strncmp(err.text, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("expected '%s', not '%s'", bad[i][1], err.text);
		assert_int_equal(err.status, STATUS_CONFIG);
		assert_int_equal(run.n, 1); /* untouched */
		suite_run_free(&run);
	}
}

static void test_more_than_there_is_room_for_is_cut(void **state)
{
	struct suite_run run = { 0 };
	struct err err;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	fprintf(out, "{\"report\": 1}\n{\"name\": \"a\", \"outcome\": \"failed\", \"why\": \"");
	for (int i = 0; i < 400; i++)
		fputs("\u00e4", out); /* two bytes each, and 511 is odd */
	fputs("\", \"moments\": [", out);
	for (int i = 0; i < 100; i++)
		fputs(i ? ",{}" : "{}", out);
	fputs("], \"exits\": {\"reasons\": [", out);
	for (int i = 0; i < 100; i++)
		fputs(i ? ",{}" : "{}", out);
	fputs("]}}\n", out);
	fclose(out);
	assert_int_equal(read_text(text, &run, &err), 0);
	assert_int_equal(strlen(run.results[0].report.reason), 510);
	assert_int_equal(run.results[0].report.n_moments, EXPECT_MOMENTS);
	assert_int_equal(run.results[0].report.n_kinds, EXPECT_KINDS);
	free(text);
	suite_run_free(&run);
}

static void test_a_file_without_lines_is_not_read_for_ever(void **state)
{
	struct suite_run run = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_not_equal(suite_report_read("/dev/zero", &run, &err), 0);
	assert_string_equal(err.text, "/dev/zero:1: line is longer than 16M");
	assert_int_not_equal(suite_report_read("/nonexistent", &run, &err), 0);
	assert_string_equal(err.text, "cannot read '/nonexistent': No such file or directory");
	assert_int_equal(err.status, STATUS_NOINPUT);
}

/* ---- HTML ------------------------------------------------------------------------------------ */

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

static void test_html_data_cannot_leave_their_script(void **state)
{
	struct suite_run run = { 0 }, hostile = one(full());
	char *empty = said(suite_report_html, &run), *text;

	(void)state;
	put(&hostile.results[0].name, "</script><!--<script>@TEXTS@");
	put(&hostile.results[0].why, "</SCRIPT >");
	text = said(suite_report_html, &hostile);
	assert_int_equal(count(text, "<script"), count(empty, "<script") + 1); /* its texts */
	assert_int_equal(count(text, "</script"), count(empty, "</script") + 1);
	assert_int_equal(count(text, "<!--"), count(empty, "<!--"));
	assert_null(strcasestr(text, "</script >"));
	has(text, "\"\\u003c/script>\\u003c!--\\u003cscript>@TEXTS@\"");
	has(empty, "\"results\": []");
	assert_null(strstr(empty, "@TEXTS@"));
	assert_int_equal(count(empty, "http"), 2); /* http-equiv, and the name space of SVG */
	free(empty);
	free(text);
	suite_run_free(&hostile);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tap_tells_where_and_why),
		cmocka_unit_test(test_tap_of_the_other_outcomes),
		cmocka_unit_test(test_tap_of_no_case_and_of_a_stopped_run),
		cmocka_unit_test(test_tap_keeps_to_its_lines),
		cmocka_unit_test(test_github_annotates_the_line),
		cmocka_unit_test(test_github_escapes),
		cmocka_unit_test(test_github_knows_files_by_their_path_in_the_repository),
		cmocka_unit_test(test_junit_of_a_failure),
		cmocka_unit_test(test_junit_groups_the_cases_of_a_file),
		cmocka_unit_test(test_json_reads_back_to_the_same),
		cmocka_unit_test(test_all_reports_are_the_same_from_json),
		cmocka_unit_test(test_bytes_that_are_no_utf8_keep_their_places),
		cmocka_unit_test(test_shards_are_put_on_one_clock),
		cmocka_unit_test(test_a_file_of_several_reports_is_all_of_them),
		cmocka_unit_test(test_what_is_no_report_is_refused_at_its_line),
		cmocka_unit_test(test_more_than_there_is_room_for_is_cut),
		cmocka_unit_test(test_a_file_without_lines_is_not_read_for_ever),
		cmocka_unit_test(test_html_data_cannot_leave_their_script),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
