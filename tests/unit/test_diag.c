/* test_diag.c: order, excerpts, limits and formats of diagnostics. */
#include "load_helpers.h"

#include <vibevmm/err.h>

static const char text[] = "first: line\n\tsecond: \xe6\x97\xa5\xe6\x9c\xac x\nthird: \x1b[0m\n";
static const struct source a = { "a.yaml", text, sizeof(text) - 1 };
static const struct source b = { "b.yaml", NULL, 0 };

static struct mark at(const struct source *source, uint32_t line, uint32_t column, uint32_t length)
{
	return (struct mark){ source, line, column, length };
}

static void expect(struct diags *diags, const char *expected)
{
	char *got = said(diags, DIAG_TEXT, false);

	assert_string_equal(got, expected);
	free(got);
	diags_free(diags);
}

static void sorts_by_place_with_notes_attached(void **state)
{
	struct diags *d = diags_new();

	(void)state;
	diag_error(d, at(&a, 3, 1, 5), "later");
	diag_note(d, at(&a, 1, 1, 0), "see here");
	diag_help(d, "do %d", 5);
	diag_error(d, at(&b, 1, 1, 0), "other file");
	diag_warning(d, at(&a, 1, 8, 4), "sooner");
	diag_error(d, at(&a, 0, 0, 0), "whole file");
	diag_error(d, MARK_NONE, "nowhere");
	expect(d, "a.yaml: error: whole file\n"
		  "a.yaml:1:8: warning: sooner\n"
		  "    1 | first: line\n"
		  "      |        ^~~~\n"
		  "a.yaml:3:1: error: later\n"
		  "    3 | third: ?[0m\n"
		  "      | ^~~~~\n"
		  "a.yaml:1:1: note: see here\n"
		  "    1 | first: line\n"
		  "      | ^\n"
		  "  help: do 5\n"
		  "b.yaml:1:1: error: other file\n"
		  "error: nowhere\n");
}

static void keeps_carets_below_tabs_and_wide_characters(void **state)
{
	struct diags *d = diags_new();

	(void)state;
	diag_error(d, at(&a, 2, 10, 2), "wide");
	diag_error(d, at(&a, 2, 13, 99), "behind, and longer than the line");
	diag_error(d, at(&a, 2, 14, 1), "at the end");
	expect(d, "a.yaml:2:10: error: wide\n"
		  "    2 | \tsecond: \xe6\x97\xa5\xe6\x9c\xac x\n"
		  "      | \t        ^~~~\n"
		  "a.yaml:2:13: error: behind, and longer than the line\n"
		  "    2 | \tsecond: \xe6\x97\xa5\xe6\x9c\xac x\n"
		  "      | \t             ^\n"
		  "a.yaml:2:14: error: at the end\n"
		  "    2 | \tsecond: \xe6\x97\xa5\xe6\x9c\xac x\n"
		  "      | \t              ^\n");
}

static void cuts_long_lines_around_the_caret(void **state)
{
	char line[1001];
	struct source source = { "long", line, 1000 };
	struct diags *d = diags_new();
	char *got;

	(void)state;
	memset(line, '.', 1000);
	memcpy(line + 500, "HERE", 4);
	line[1000] = 0;
	diag_error(d, at(&source, 1, 501, 4), "x");
	got = said(d, DIAG_TEXT, false);
	assert_true(strlen(got) < 300);
	assert_non_null(strstr(got, "HERE"));
	/* The caret stands below the H. */
	assert_int_equal(strchr(strstr(got, "    1 | "), 'H') - strstr(got, "    1 | "),
			 strchr(got, '^') - strstr(got, "      | "));
	free(got);
	diags_free(d);
}

static void survives_marks_that_lead_nowhere(void **state)
{
	struct diags *d = diags_new();

	(void)state;
	diag_error(d, at(&a, 99, 1, 1), "beyond the last line");
	diag_error(d, at(&a, 1, UINT32_MAX, UINT32_MAX), "beyond the last column");
	diag_error(d, at(&a, UINT32_MAX, 1, 1), "far");
	assert_int_equal(diags_errors(d), 3);
	diags_free(d);
}

static void counts_lines_as_yaml_does(void **state)
{
	static const char breaks[] = "1\r\n2\r3\xc2\x85"
				     "4\xe2\x80\xa8"
				     "five\n";
	struct source source = { "f", breaks, sizeof(breaks) - 1 };
	struct diags *d = diags_new();

	(void)state;
	diag_error(d, at(&source, 5, 1, 1), "x");
	expect(d, "f:5:1: error: x\n    5 | five\n      | ^\n");
}

static void says_the_same_once(void **state)
{
	struct diags *d = diags_new();

	(void)state;
	for (int i = 0; i < 3; i++) {
		diag_error(d, at(&b, 1, 1, 1), "x");
		diag_help(d, "y");
	}
	diag_error(d, at(&b, 1, 2, 1), "x");
	assert_int_equal(diags_errors(d), 2);
	expect(d, "b.yaml:1:1: error: x\n  help: y\nb.yaml:1:2: error: x\n");
}

static void keeps_twenty_and_counts_the_rest(void **state)
{
	struct diags *d = diags_new();
	char *got;

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		diag_error(d, at(&b, i + 1, 1, 1), "e%u", i);
		diag_note(d, at(&b, 1, 1, 1), "n%u", i);
		diag_warning(d, at(&b, i + 1, 1, 1), "w%u", i);
	}
	assert_int_equal(diags_errors(d), 50);
	got = said(d, DIAG_TEXT, false);
	assert_non_null(strstr(got, "error: e19\n"));
	assert_non_null(strstr(got, "note: n19\n"));
	assert_null(strstr(got, "e20"));
	assert_null(strstr(got, "n20"));
	assert_non_null(strstr(got, "error: 30 more errors are not shown"));
	free(got);
	diags_free(d);
}

static void needs_no_source_after_the_call(void **state)
{
	struct diags *d = diags_new();
	struct source *source = malloc(sizeof(*source));
	char *copy = strdup("key: value\n"), *name = strdup("gone");

	(void)state;
	*source = (struct source){ name, copy, strlen(copy) };
	diag_error(d, at(source, 1, 6, 5), "x");
	free(source);
	free(copy);
	free(name);
	expect(d, "gone:1:6: error: x\n    1 | key: value\n      |      ^~~~~\n");
}

static void sends_no_control_characters_to_the_terminal(void **state)
{
	struct source source = { "na\x1bme", NULL, 0 };
	struct diags *d = diags_new();

	(void)state;
	diag_error(d, at(&source, 1, 1, 1), "%s",
		   "a\x1b[31m\nb\xff\xc2\x9b"
		   "c");
	expect(d, "na\\x1bme:1:1: error: a\\x1b[31m\\x0ab\\xff\\xc2\\x9bc\n");
}

static void prints_json_with_everything(void **state)
{
	struct diags *d = diags_new();
	char *got;

	(void)state;
	diag_error(d, at(&a, 1, 8, 4), "say \"%s\"", "\\");
	diag_note(d, at(&b, 2, 3, 1), "n");
	diag_help(d, "h1");
	diag_help(d, "h2");
	diag_warning(d, MARK_NONE, "w");
	got = said(d, DIAG_JSON, true);
	assert_string_equal(
		got,
		"[{\"level\": \"error\", \"file\": \"a.yaml\", \"line\": 1, \"column\": 8, "
		"\"length\": 4, \"message\": \"say \\\"\\\\\\\"\", \"notes\": [{\"file\": "
		"\"b.yaml\", \"line\": 2, \"column\": 3, \"length\": 1, \"message\": \"n\"}], "
		"\"help\": [\"h1\", \"h2\"]},\n {\"level\": \"warning\", \"file\": null, "
		"\"line\": 0, \"column\": 0, \"length\": 1, \"message\": \"w\", \"notes\": [], "
		"\"help\": []}]\n");
	free(got);
	diags_free(d);
	d = diags_new();
	got = said(d, DIAG_JSON, false);
	assert_string_equal(got, "[]\n");
	free(got);
	diags_free(d);
}

static void colours_only_when_asked(void **state)
{
	struct diags *d = diags_new();
	char *plain, *colour;

	(void)state;
	diag_error(d, at(&a, 1, 1, 5), "x");
	plain = said(d, DIAG_TEXT, false);
	colour = said(d, DIAG_TEXT, true);
	assert_null(strchr(plain, '\33'));
	assert_non_null(strstr(colour, "\33[1;31merror:\33[0m x"));
	free(plain);
	free(colour);
	diags_free(d);
}

static void status_tells_missing_files_from_mistakes(void **state)
{
	struct diags *d = diags_new();

	(void)state;
	diag_warning(d, MARK_NONE, "w");
	assert_int_equal(diags_status(d), STATUS_OK);
	diag_missing_file(d, MARK_NONE, "m");
	assert_int_equal(diags_status(d), STATUS_NOINPUT);
	diag_error(d, MARK_NONE, "e");
	assert_int_equal(diags_status(d), STATUS_CONFIG);
	diags_free(d);
	diags_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts_by_place_with_notes_attached),
		cmocka_unit_test(keeps_carets_below_tabs_and_wide_characters),
		cmocka_unit_test(cuts_long_lines_around_the_caret),
		cmocka_unit_test(survives_marks_that_lead_nowhere),
		cmocka_unit_test(counts_lines_as_yaml_does),
		cmocka_unit_test(says_the_same_once),
		cmocka_unit_test(keeps_twenty_and_counts_the_rest),
		cmocka_unit_test(needs_no_source_after_the_call),
		cmocka_unit_test(sends_no_control_characters_to_the_terminal),
		cmocka_unit_test(prints_json_with_everything),
		cmocka_unit_test(colours_only_when_asked),
		cmocka_unit_test(status_tells_missing_files_from_mistakes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
