/* test_expect_verdict.c: time limits, ends, budgets, and how a failure is said. */
#include "expect_helpers.h"

/* ---- Time limits ------------------------------------------------------------------------------
 */

static void test_a_step_has_its_time(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "one" }, { .contains = "login:", .within = 200 * MS });
	wait_ms(&run, 5000); /* the second has its turn when the first came */
	hear(&run, "one\n");
	wait_ms(&run, 199);
	assert_waits(&run);
	wait_ms(&run, 1);
	assert_unmet(&run, "\"login:\" did not come within 200ms");
	finish(&run);
}

static void test_the_run_has_its_time(void **state)
{
	struct run run = { .config.within = 2000 * MS };

	(void)state;
	BEGIN(&run, { .matches = "^login:" });
	wait_ms(&run, 1999);
	assert_waits(&run);
	wait_ms(&run, 1);
	assert_unmet(&run, "no line matched \"^login:\" within the 2s of the whole run, the "
			   "default of `within`");
	finish(&run);
}

static void test_the_boot_has_its_time(void **state)
{
	struct run run = { .config = { .within = 9000 * MS, .boot_within = 1500 * MS } };

	(void)state;
	BEGIN(&run, { .contains = "a" }, { .contains = "b", .on = "hvc0", .ready = true },
	      { .contains = "c" });
	hear(&run, "a\n");
	assert_false(expect_ready(run.expect));
	wait_ms(&run, 1500);
	assert_unmet(&run, "\"b\" did not come on hvc0 within 1.5s");
	finish(&run);

	run = (struct run){ .config = { .within = 9000 * MS, .boot_within = 1500 * MS } };
	BEGIN(&run, { .contains = "a" }, { .contains = "b" });
	hear(&run, "a\n");
	assert_true(expect_ready(run.expect)); /* none says so: the first */
	wait_ms(&run, 5000);
	assert_waits(&run);
	finish(&run);
}

static void test_limits_are_scaled(void **state)
{
	struct run run = { .config.within = 1000 * MS };
	struct expect_step step = { .contains = "x", .within = 100 * MS };
	struct expect_setup setup = {
		.config = &run.config,
		.consoles = consoles,
		.n_consoles = 1,
		.scale = 10,
		.start = START,
		.report = &run.report,
	};

	(void)state;
	run.config.console = (struct config_maps){ &step, 1 };
	assert_int_equal(expect_new(&run.expect, &setup, NULL), 0);
	assert_int_equal(expect_deadline(run.expect), START + 1000 * MS);
	expect_tick(run.expect, START + 1000 * MS);
	assert_unmet(&run, "\"x\" did not come within 1s");
	expect_free(run.expect);
}

static void test_a_vm_that_does_not_end_is_found(void **state)
{
	struct run run = { .config = { .within = 1000 * MS, .exit = "0" } };

	(void)state;
	BEGIN(&run, { .contains = "x" });
	hear(&run, "x\n");
	assert_waits(&run); /* for the end */
	wait_ms(&run, 1000);
	assert_unmet(&run, "the VM did not end within the 1s of the whole run, the default of "
			   "`within`");
	finish(&run);
}

static void test_what_is_not_read_is_found(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .send = "x\n", .after = "# ", .within = 100 * MS });
	hear(&run, "# ");
	wait_ms(&run, 100);
	assert_unmet(&run, "the guest did not read \"x\\n\" within 100ms");
	finish(&run);
}

/* ---- Forbidden text ---------------------------------------------------------------------------
 */

static void test_forbidden_text_fails_wherever_it_comes(void **state)
{
	(void)state;
	for (size_t console = 0; console < ARRAY_SIZE(consoles); console++) {
		struct run run = { 0 };

		BEGIN(&run, { .contains = "x" }, { .absent = "Kernel panic" });
		run.now += 1200 * MS;
		hear_on(&run, console, "one\nKernel pa");
		assert_waits(&run);
		hear_on(&run, console, "nic\n");
		assert_unmet(&run, console == 0	  ? "forbidden \"Kernel panic\" came after 1.2s"
				   : console == 1 ? "forbidden \"Kernel panic\" came on hvc0 after "
						    "1.2s"
						  : "forbidden \"Kernel panic\" came on log after "
						    "1.2s");
		assert_non_null(strstr(run.report.detail, "\n  one\n> Kernel pa"));
		finish(&run);
	}
}

static void test_forbidden_text_on_one_console_is_free_on_others(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "x" }, { .absent = "bad", .on = "hvc0" });
	hear(&run, "bad\n");
	hear_on(&run, 2, "bad\n");
	assert_waits(&run);
	hear_on(&run, 1, "bad\n");
	assert_int_equal(expect_state(run.expect), EXPECT_UNMET);
	finish(&run);
}

static void test_absence_for_a_time_is_waited_for(void **state)
{
	struct run run = { .config.within = 60000 * MS };

	(void)state;
	BEGIN(&run, { .absent = "bad", .within = 500 * MS }, { .contains = "x" });
	hear(&run, "x\n");
	wait_ms(&run, 499);
	assert_waits(&run);
	wait_ms(&run, 1);
	assert_met(&run);
	finish(&run);
}

static void test_forbidden_for_a_time_may_come_later(void **state)
{
	struct run run = { .config.within = 60000 * MS };

	(void)state;
	BEGIN(&run, { .absent = "bad", .within = 500 * MS }, { .contains = "x" });
	wait_ms(&run, 600);
	hear(&run, "bad\nx\n");
	assert_met(&run);
	finish(&run);
}

/* ---- The end ----------------------------------------------------------------------------------
 */

static void test_without_a_word_the_end_must_be_good(void **state)
{
	static const struct {
		enum expect_end end;
		int status;
		const char *reason; /* NULL: good */
	} cases[] = {
		{ EXPECT_END_POWEROFF, 0, NULL },
		{ EXPECT_END_EXIT, 0, NULL },
		{ EXPECT_END_RESET, 0, NULL }, /* on_reset: exit */
		{ EXPECT_END_EXIT, 3, "exit status 3, where 0 is expected" },
		{ EXPECT_END_RESET, 82, "the guest reset itself, where exit status 0 is expected" },
		{ EXPECT_END_PANIC, 80, "the guest panicked, where exit status 0 is expected" },
		{ EXPECT_END_CRASH, 81, "the guest crashed, where exit status 0 is expected" },
		{ EXPECT_END_SIGNAL, 143, "ended by a signal" },
		{ EXPECT_END_FAILED, 71, "the VM could not go on" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run = { 0 };

		begin(&run, NULL, 0);
		hear(&run, "hello\n");
		assert_waits(&run);
		end(&run, cases[i].end, cases[i].status);
		assert_int_equal(run.report.unmet, cases[i].reason != NULL);
		if (cases[i].reason)
			assert_unmet(&run, cases[i].reason);
		assert_int_equal(run.report.end, cases[i].end);
		assert_int_equal(run.report.status, cases[i].status);
		finish(&run);
	}
}

static void test_each_end_may_be_asked_for(void **state)
{
	static const struct {
		const char *exit;
		enum expect_end end;
		int status;
	} good[] = {
		{ "0", EXPECT_END_POWEROFF, 0 },   { "3", EXPECT_END_EXIT, 3 },
		{ "0", EXPECT_END_RESET, 0 },	   { "poweroff", EXPECT_END_POWEROFF, 0 },
		{ "reset", EXPECT_END_RESET, 0 },  { "reset", EXPECT_END_RESET, 82 },
		{ "panic", EXPECT_END_PANIC, 80 }, { "crash", EXPECT_END_CRASH, 81 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(good); k++) {
			struct run run = { .config.exit = (char *)good[i].exit };
			bool same = good[i].end == good[k].end && good[i].status == good[k].status;

			begin(&run, NULL, 0);
			end(&run, good[k].end, good[k].status);
			same |= !strcmp(good[i].exit, good[k].exit);
			same |= good[i].end == EXPECT_END_RESET && good[i].end == good[k].end &&
				good[i].exit[0] == 'r';
			/* 0 is a power-off, a written 0, and a reset that is a good end. */
			same |= good[i].exit[0] == '0' && !good[k].status;
			same &= good[i].exit[0] != 'p' || good[i].end == good[k].end;
			assert_int_equal(run.report.unmet, !same);
			finish(&run);
		}
	}
}

static void test_a_status_is_not_a_power_off(void **state)
{
	struct run run = { .config.exit = "poweroff" };

	(void)state;
	begin(&run, NULL, 0);
	end(&run, EXPECT_END_EXIT, 0);
	assert_unmet(&run, "the guest ended with status 0, where a poweroff is expected");
	finish(&run);
}

static void test_an_end_before_the_text_names_both(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .contains = "login:" });
	run.now += 350 * MS;
	hear(&run, "Oops\n");
	expect_ended(run.expect, EXPECT_END_CRASH, 81, "guest crashed: vCPU 0: triple fault",
		     run.now);
	assert_unmet(&run, "\"login:\" did not come: guest crashed: vCPU 0: triple fault after "
			   "350ms");
	finish(&run);
}

static void test_the_last_words_count(void **state)
{
	struct run run = { 0 };

	(void)state;
	BEGIN(&run, { .matches = "^bye$" });
	hear(&run, "bye");
	end(&run, EXPECT_END_EXIT, 3); /* which is not asked for */
	assert_met(&run);
	assert_int_equal(run.report.end, EXPECT_END_EXIT);
	finish(&run);
}

static void test_budgets(void **state)
{
	struct run run = { .config = { .exits_under = 100, .memory_under = 3 << 20 } };

	(void)state;
	BEGIN(&run, { .contains = "x" });
	hear(&run, "x\n");
	run.report.exits_ready = 99;
	run.report.exits = 5000;
	run.report.memory = (3 << 20) - 1;
	end(&run, EXPECT_END_MET, 0);
	assert_met(&run);
	finish(&run);

	run.report = (struct expect_report){ 0 };
	BEGIN(&run, { .contains = "x" });
	hear(&run, "x\n");
	run.report.exits_ready = 100;
	end(&run, EXPECT_END_MET, 0);
	assert_unmet(&run, "100 exits from guest to host until it was ready, where fewer than 100 "
			   "are expected");
	finish(&run);

	BEGIN(&run, { .contains = "x" });
	hear(&run, "x\n");
	run.report.memory = 3 << 20;
	end(&run, EXPECT_END_MET, 0);
	assert_unmet(&run, "vibevmm itself took 3M of memory, where less than 3M is expected");
	finish(&run);
}

/* ---- What is shown ----------------------------------------------------------------------------
 */

static void test_the_nearest_line_is_marked(void **state)
{
	struct run run = { .config.within = 1000 * MS };

	(void)state;
	BEGIN(&run, { .contains = "Welcome to Debian" });
	hear(&run, "welcome to debina\r\nWell come\nlast\n");
	wait_ms(&run, 1000);
	assert_string_equal(run.report.detail,
			    "the last 3 lines of the console, the nearest marked:\n"
			    "> welcome to debina\n"
			    "  Well come\n"
			    "  last\n");
	finish(&run);
}

static void test_the_last_30_lines_are_shown(void **state)
{
	struct run run = { .config.within = 1000 * MS };
	char line[32];

	(void)state;
	BEGIN(&run, { .contains = "nothing like it" });
	for (int i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), "%d 123456789\n", i);
		hear(&run, line);
	}
	hear(&run, "prompt");
	wait_ms(&run, 1000);
	assert_null(strstr(run.report.detail, "4970 "));
	assert_non_null(strstr(run.report.detail, "the console:\n  4971 123456789\n"));
	assert_non_null(strstr(run.report.detail, "\n  4999 123456789\n  prompt\n"));
	finish(&run);
}

static void test_a_silent_console_is_said_to_be(void **state)
{
	struct run run = { .config.within = 1000 * MS };

	(void)state;
	BEGIN(&run, { .contains = "x", .on = "hvc0" });
	hear(&run, "much\n");
	wait_ms(&run, 1000);
	assert_string_equal(run.report.detail, "hvc0 said nothing\n");
	finish(&run);
}

static void test_what_is_shown_is_clean_and_bounded(void **state)
{
	static char line[3000];
	struct run run = { .config.within = 1000 * MS };

	(void)state;
	memset(line, 'a', sizeof(line) - 2);
	line[0] = (char)0xff;
	line[sizeof(line) - 2] = '\n';
	BEGIN(&run, { .contains = "zzz" });
	for (int i = 0; i < 100; i++)
		hear(&run, line);
	hear(&run, "\xe2\x80\xae\xc3\xa4\n");
	wait_ms(&run, 1000);
	assert_non_null(strstr(run.report.detail, "\n  ?aaaa"));
	assert_non_null(strstr(run.report.detail, "aaa...\n"));
	assert_non_null(strstr(run.report.detail, "\n  ?\xc3\xa4\n"));
	finish(&run);
}

static void test_moments_are_bounded(void **state)
{
	struct expect_step steps[100];
	struct run run = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		steps[i] = (struct expect_step){ .contains = "x" };
	begin(&run, steps, ARRAY_SIZE(steps));
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		hear(&run, "x");
	assert_met(&run);
	assert_int_equal(run.report.n_moments, EXPECT_MOMENTS);
	finish(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_step_has_its_time),
		cmocka_unit_test(test_the_run_has_its_time),
		cmocka_unit_test(test_the_boot_has_its_time),
		cmocka_unit_test(test_limits_are_scaled),
		cmocka_unit_test(test_a_vm_that_does_not_end_is_found),
		cmocka_unit_test(test_what_is_not_read_is_found),
		cmocka_unit_test(test_forbidden_text_fails_wherever_it_comes),
		cmocka_unit_test(test_forbidden_text_on_one_console_is_free_on_others),
		cmocka_unit_test(test_absence_for_a_time_is_waited_for),
		cmocka_unit_test(test_forbidden_for_a_time_may_come_later),
		cmocka_unit_test(test_without_a_word_the_end_must_be_good),
		cmocka_unit_test(test_each_end_may_be_asked_for),
		cmocka_unit_test(test_a_status_is_not_a_power_off),
		cmocka_unit_test(test_an_end_before_the_text_names_both),
		cmocka_unit_test(test_the_last_words_count),
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_the_nearest_line_is_marked),
		cmocka_unit_test(test_the_last_30_lines_are_shown),
		cmocka_unit_test(test_a_silent_console_is_said_to_be),
		cmocka_unit_test(test_what_is_shown_is_clean_and_bounded),
		cmocka_unit_test(test_moments_are_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
