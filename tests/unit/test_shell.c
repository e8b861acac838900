/* test_shell.c: what users paste into a shell is one word, whatever the config's author wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/shell.h>

static void plain_texts_stay_as_they_are(void **state)
{
	char buf[SHELL_QUOTE_MAX];

	(void)state;
	assert_string_equal(shell_quote("/srv/images/a-b_1.2.img", buf, sizeof(buf)),
			    "/srv/images/a-b_1.2.img");
}

static void others_are_quoted(void **state)
{
	char buf[SHELL_QUOTE_MAX];

	(void)state;
	assert_string_equal(shell_quote("my disk", buf, sizeof(buf)), "'my disk'");
	assert_string_equal(shell_quote("", buf, sizeof(buf)), "''");
	assert_string_equal(shell_quote("-n", buf, sizeof(buf)), "'-n'");
	assert_string_equal(shell_quote("a'; rm -rf b; 'c", buf, sizeof(buf)),
			    "'a'\\''; rm -rf b; '\\''c'");
}

static void a_real_shell_reads_one_word_and_the_same(void **state)
{
	const char *text = "$(id) `id` \"x\" 'y' \\ * ; & | < > \n!";
	char buf[SHELL_QUOTE_MAX], command[SHELL_QUOTE_MAX + 16], got[128] = "";
	FILE *pipe;
	size_t n;

	(void)state;
	snprintf(command, sizeof(command), "printf '[%%s]' %s",
		 shell_quote(text, buf, sizeof(buf)));
	pipe = popen(command, "r");
	assert_non_null(pipe);
	n = fread(got, 1, sizeof(got) - 1, pipe);
	assert_int_equal(pclose(pipe), 0);
	assert_int_equal(n, strlen(text) + 2);
	got[n - 1] = '\0';
	assert_string_equal(got + 1, text);
}

static void what_does_not_fit_is_never_cut(void **state)
{
	char buf[8];

	(void)state;
	for (size_t n = 1; n < 20; n++) {
		char text[21] = "                    ";

		text[n] = '\0';
		if (n + 3 <= sizeof(buf))
			assert_int_equal(strlen(shell_quote(text, buf, sizeof(buf))), n + 2);
		else
			assert_string_equal(shell_quote(text, buf, sizeof(buf)), "FILE");
	}
}

static void a_program_is_found_where_a_shell_finds_it(void **state)
{
	const char *path = getenv("PATH");
	char saved[4096], found[64];

	(void)state;
	snprintf(saved, sizeof(saved), "%s", path ? path : "");
	assert_true(shell_find("sh", "/none:/bin", found, sizeof(found)));
	assert_string_equal(found, "/bin/sh");
	assert_false(shell_find("sh", "/none", found, sizeof(found)));
	assert_false(shell_find("sh", "/bin", found, 7)); /* no room */
	setenv("PATH", "/none:/bin", 1);
	assert_true(shell_find("sh", NULL, found, sizeof(found)));
	unsetenv("PATH");
	assert_false(shell_find("sh", NULL, found, sizeof(found)));
	setenv("PATH", saved, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_texts_stay_as_they_are),
		cmocka_unit_test(others_are_quoted),
		cmocka_unit_test(a_real_shell_reads_one_word_and_the_same),
		cmocka_unit_test(what_does_not_fit_is_never_cut),
		cmocka_unit_test(a_program_is_found_where_a_shell_finds_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
