/* test_expect.c: steps, their order, and what they wait for. */
#include "expect_helpers.h"

static void test_steps_come_in_order(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "one" }, { .contains = "two" });
	hear(&run, "two one\n");
	assert_waits(&run);
	hear(&run, "two\n");
	assert_met(&run);
	finish(&run);
}

static void test_one_piece_of_text_meets_several_steps(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "one" }, { .matches = "t.o" }, { .contains = "three" });
	hear(&run, "one two\nthree\n");
	assert_met(&run);
	assert_int_equal(run.report.n_moments, 3);
	finish(&run);
}

static void test_text_counts_once(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "abc" }, { .contains = "bcd" }, { .matches = "^x" });
	hear(&run, "abcd");
	assert_waits(&run);
	hear(&run, "bcdx\n"); /* no line begins with this x */
	assert_waits(&run);
	hear(&run, "x\n");
	assert_met(&run);
	finish(&run);
}

static void test_text_comes_byte_by_byte(void **state)
{
	static const char said[] = "Debian GNU/Linux\r\n\r\nvm login: ";
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "Debian GNU" }, { .matches = "^vm login: $" });
	for (const char *c = said; *c; c++)
		expect_heard(run.expect, 0, c, 1, run.now);
	assert_waits(&run); /* the line may go on */
	wait_ms(&run, 100);
	assert_met(&run);
	finish(&run);
}

static void test_text_crosses_every_boundary(void **state)
{
	static char said[70000];
	struct run run = { 0 };

	(void)state;
	memset(said, '.', sizeof(said));
	for (size_t cut = 4090; cut < 4100; cut++) {
		run = (struct run){ 0 };
		BEGIN(&run, { .contains = "needle" });
		expect_heard(run.expect, 0, said, cut, run.now);
		hear(&run, "needle");
		assert_met(&run);
		assert_int_equal(run.report.moments[0].offset, cut);
		assert_int_equal(run.report.moments[0].length, 6);
		finish(&run);
	}
	for (size_t cut = 1; cut < 6; cut++) { /* the window moves in between */
		run = (struct run){ 0 };
		BEGIN(&run, { .contains = "needle" });
		for (int i = 0; i < 15; i++)
			expect_heard(run.expect, 0, said, 4096, run.now);
		expect_heard(run.expect, 0, "needle", cut, run.now);
		expect_heard(run.expect, 0, &"needle"[cut], 6 - cut, run.now);
		assert_met(&run);
		finish(&run);
	}
}

static void test_lines_are_matched_one_by_one(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .matches = "one[[:space:]]+two" }, { .matches = "^three$" });
	hear(&run, "one\ntwo\none\n");
	assert_waits(&run);
	hear(&run, "one \ttwo\nthree four\n");
	assert_waits(&run);
	hear(&run, "three\n");
	assert_met(&run);
	finish(&run);
}

static void test_an_empty_line_matches_only_if_there_is_one(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .matches = "^$" });
	hear(&run, "one\ntwo\n");
	wait_ms(&run, 1000);
	assert_waits(&run);
	hear(&run, "\n");
	assert_met(&run);
	finish(&run);
}

static void test_an_unfinished_line_is_matched_when_it_is_quiet(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .matches = "^foo$" });
	hear(&run, "foo");
	wait_ms(&run, 20);
	hear(&run, "bar");
	wait_ms(&run, 1000);
	assert_waits(&run);
	hear(&run, "\nfoo");
	wait_ms(&run, 1000);
	assert_met(&run);
	finish(&run);
}

static void test_a_step_may_look_at_a_line_that_is_there_already(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "root@" }, { .matches = "# $" });
	hear(&run, "root@vm:~# ");
	assert_waits(&run);
	wait_ms(&run, 100);
	assert_met(&run);
	finish(&run);
}

static void test_escape_sequences_are_no_text(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "[ OK ] Started" }, { .matches = "^plain$" },
	      { .contains = "end" });
	hear(&run, "\x1b[0;1;3");
	hear(&run, "2m[ \x1b[32mOK\x1b[0m ] \x1b(BSta\rrt\x07");
	hear(&run, "ed\n\x1b]0;title\x07pla\x1b]8;;url\x1b\\in\r\n");
	hear(&run, "\x1b]never ends\ne\x1b\x1b[mnd");
	assert_met(&run);
	finish(&run);
}

static void test_moments_tell_where_in_what_was_heard(void **state)
{
	static const char said[] = "\x1b[1mabc\x1b[0m\r\n\x1b[31mlo\x1b[0mgin\r\n";
	struct run run = { 0 };
	const struct expect_moment *m = run.report.moments;

	(void)state;
	BEGIN(&run, { .contains = "abc" }, { .matches = "^login$" });
	run.now += 5 * MS;
	hear(&run, said);
	assert_met(&run);
	assert_int_equal(m[0].at, START + 5 * MS);
	assert_int_equal(m[0].offset, 4);
	assert_int_equal(m[0].length, 3);
	assert_int_equal(m[1].offset, strstr(said, "lo") - said);
	assert_int_equal(m[1].offset + m[1].length, strstr(said, "gin") + 3 - said);
	assert_string_equal(m[0].what, "contains \"abc\"");
	finish(&run);
}

static void test_hostile_bytes_are_harmless(void **state)
{
	struct run run = { 0 };
	uint8_t all[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i * 7);
	BEGIN(&run, { .contains = "\xff\xfe" }, { .matches = "^x" });
	for (int i = 0; i < 300; i++)
		expect_heard(run.expect, 0, all, sizeof(all), run.now);
	assert_waits(&run);
	hear(&run, "\n\xff\0\xfe\nx\n");
	expect_heard(run.expect, 0, "\xff\0\xfe\nx\n", 6, run.now); /* a NUL is no text */
	assert_met(&run);
	finish(&run);
}

static void test_an_endless_line_is_bounded(void **state)
{
	static char line[4096];
	struct run run = { 0 };

	(void)state;
	memset(line, 'a', sizeof(line));
	BEGIN(&run, { .matches = "b$" });
	for (int i = 0; i < 2560; i++) /* 10 MiB */
		expect_heard(run.expect, 0, line, sizeof(line), run.now);
	assert_waits(&run);
	hear(&run, "b\n");
	assert_met(&run);
	finish(&run);
}

/* ---- Consoles ---------------------------------------------------------------------------------
 */

static void test_consoles_are_apart(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "one" }, { .contains = "two", .on = "hvc0" });
	hear_on(&run, 1, "one\n");
	hear_on(&run, 0, "two\n");
	assert_waits(&run);
	hear_on(&run, 1, "two\n"); /* between consoles the order is free */
	assert_waits(&run);
	hear_on(&run, 0, "one\n");
	assert_met(&run);
	assert_string_equal(run.report.moments[0].console, "hvc0");
	finish(&run);
}

static void test_after_a_send_earlier_text_of_others_is_past(void **state)
{
	struct run run = { 0 };
	const char *text;
	size_t console, len;

	(void)state;
	BEGIN(&run, { .contains = "# " }, { .send = "reboot\n" },
	      { .contains = "started", .on = "log" });
	hear_on(&run, 2, "started\n");
	hear(&run, "# ");
	assert_true(expect_send(run.expect, &console, &text, &len));
	expect_sent(run.expect, len, run.now);
	assert_waits(&run);
	hear_on(&run, 2, "started\n");
	assert_met(&run);
	finish(&run);
}

/* ---- Typing -----------------------------------------------------------------------------------
 */

static void test_send_waits_for_its_text(void **state)
{
	struct run run = { 0 };
	const char *text;
	size_t console, len;

	(void)state;
	BEGIN(&run, { .send = "root\n", .after = "login: " }, { .contains = "Password" });
	assert_false(expect_send(run.expect, &console, &text, &len));
	hear(&run, "Password?\nlogin: ");
	assert_true(expect_send(run.expect, &console, &text, &len));
	assert_string_equal(text, "root\n");
	assert_int_equal(console, 0);
	expect_sent(run.expect, 2, run.now); /* there was room for no more */
	assert_true(expect_send(run.expect, &console, &text, &len));
	assert_string_equal(text, "ot\n");
	assert_int_equal(len, 3);
	expect_sent(run.expect, 3, run.now);
	assert_false(expect_send(run.expect, &console, &text, &len));
	assert_waits(&run);
	hear(&run, "root\nPassword:");
	assert_met(&run);
	assert_int_equal(run.report.n_moments, 3);
	assert_string_equal(run.report.moments[0].what, "after \"login: \"");
	assert_string_equal(run.report.moments[1].what, "send \"root\\n\"");
	finish(&run);
}

static void test_send_goes_where_it_should(void **state)
{
	struct run run = { 0 };
	const char *text;
	size_t console, len;

	(void)state;
	BEGIN(&run, { .send = "\x03", .on = "log" }, { .contains = "x" });
	assert_true(expect_send(run.expect, &console, &text, &len));
	assert_int_equal(console, 2);
	assert_int_equal(len, 1);
	expect_sent(run.expect, 1, run.now);
	assert_string_equal(run.report.moments[0].what, "send \"\\x03\"");
	finish(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps_come_in_order),
		cmocka_unit_test(test_one_piece_of_text_meets_several_steps),
		cmocka_unit_test(test_text_counts_once),
		cmocka_unit_test(test_text_comes_byte_by_byte),
		cmocka_unit_test(test_text_crosses_every_boundary),
		cmocka_unit_test(test_lines_are_matched_one_by_one),
		cmocka_unit_test(test_an_empty_line_matches_only_if_there_is_one),
		cmocka_unit_test(test_an_unfinished_line_is_matched_when_it_is_quiet),
		cmocka_unit_test(test_a_step_may_look_at_a_line_that_is_there_already),
		cmocka_unit_test(test_escape_sequences_are_no_text),
		cmocka_unit_test(test_moments_tell_where_in_what_was_heard),
		cmocka_unit_test(test_hostile_bytes_are_harmless),
		cmocka_unit_test(test_an_endless_line_is_bounded),
		cmocka_unit_test(test_consoles_are_apart),
		cmocka_unit_test(test_after_a_send_earlier_text_of_others_is_past),
		cmocka_unit_test(test_send_waits_for_its_text),
		cmocka_unit_test(test_send_goes_where_it_should),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
