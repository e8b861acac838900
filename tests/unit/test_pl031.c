/* test_pl031.c: Arm's clock and its alarm. */
#include "primecell.h"

extern const struct device_row device_pl031;

/* DDI 0224, 3.2 */
enum { DR = 0, MR = 4, LR = 8, CR = 12, IMSC = 16, RIS = 20, MIS = 24, ICR = 28 };

#define SECOND 1000000000ULL

static int setup(void **state)
{
	(void)state;
	fake_wall_clock = 1700000000 * SECOND;
	fake_create(&fake, &device_pl031, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&fake);
	assert_int_equal(fake_timers_set(), 0);
	return 0;
}

static void test_ids(void **state)
{
	(void)state;
	check_ids((const uint8_t[]){ 0x31, 0x10, 0x04, 0x00 });
}

static void test_shows_the_hosts_time(void **state)
{
	(void)state;
	assert_int_equal(in(DR), 1700000000);
	fake_advance(5 * SECOND / 2);
	assert_int_equal(in(DR), 1700000002);
	assert_int_equal(in(CR), 1);
}

static void test_set_time_runs_on(void **state)
{
	(void)state;
	out(LR, 1000);
	assert_int_equal(in(DR), 1000);
	assert_int_equal(in(LR), 1000);
	fake_advance(10 * SECOND);
	assert_int_equal(in(DR), 1010);
	fake_reset(&fake);
	assert_int_equal(in(DR), 1010);
}

static void test_alarm_interrupts_on_time(void **state)
{
	(void)state;
	fake_advance(SECOND / 4);
	out(IMSC, 1);
	out(MR, 1700000003);
	fake_advance(11 * SECOND / 4 - 1);
	assert_false(fake_irq(&fake));
	fake_advance(1);
	assert_true(fake_irq(&fake));
	assert_int_equal(in(MIS), 1);
	assert_int_equal(fake_timers_set(), 0);
	out(ICR, 1);
	assert_false(fake_irq(&fake));
	fake_advance(100 * SECOND);
	assert_false(fake_irq(&fake));
}

static void test_alarm_shows_without_interrupt(void **state)
{
	(void)state;
	out(MR, 1700000002);
	assert_int_equal(fake_timers_set(), 0);
	fake_advance(SECOND);
	assert_int_equal(in(RIS), 0);
	fake_advance(10 * SECOND);
	assert_int_equal(in(RIS), 1);
	assert_int_equal(in(MIS), 0);
	assert_false(fake_irq(&fake));
	out(IMSC, 1);
	assert_true(fake_irq(&fake));
}

static void test_alarm_now(void **state)
{
	(void)state;
	out(IMSC, 1);
	out(MR, in(DR));
	assert_true(fake_irq(&fake));
	out(ICR, 1);
	assert_false(fake_irq(&fake));
}

static void test_past_alarm_waits_for_the_counter_to_wrap(void **state)
{
	(void)state;
	out(IMSC, 1);
	out(MR, 1699999999);
	fake_advance(1000 * SECOND);
	assert_false(fake_irq(&fake));
	out(LR, 0xfffffffe);
	out(MR, 1);
	fake_advance(3 * SECOND);
	assert_true(fake_irq(&fake));
	assert_int_equal(in(DR), 1);
}

static void test_reset_disarms(void **state)
{
	(void)state;
	out(IMSC, 1);
	out(MR, 1700000001);
	fake_reset(&fake);
	fake_advance(10 * SECOND);
	assert_false(fake_irq(&fake));
	assert_int_equal(in(IMSC), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_ids),
		TEST(test_shows_the_hosts_time),
		TEST(test_set_time_runs_on),
		TEST(test_alarm_interrupts_on_time),
		TEST(test_alarm_shows_without_interrupt),
		TEST(test_alarm_now),
		TEST(test_past_alarm_waits_for_the_counter_to_wrap),
		TEST(test_reset_disarms),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
