/* test_pvpanic.c: which events end the VM, and how. */
#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

#include <vibevmm/log.h>

extern const struct device_row device_pvpanic;

static struct fake pv;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_NONE);
	fake_create(&pv, &device_pvpanic, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&pv);
	return 0;
}

static unsigned ends(void)
{
	return pv.host.exits + pv.host.poweroffs + pv.host.resets + pv.host.panics;
}

static void reading_tells_the_events_known(void **state)
{
	(void)state;
	assert_int_equal(fake_in(&pv, 0), 0x07);
	fake_out(&pv, 0, 0x02);
	assert_int_equal(fake_in(&pv, 0), 0x07);
}

static void bit_0_is_a_panic(void **state)
{
	(void)state;
	fake_out(&pv, 0, 0x01);
	assert_int_equal(pv.host.panics, 1);
	assert_int_equal(ends(), 1);
}

static void a_panic_wins_over_all_else(void **state)
{
	(void)state;
	fake_out(&pv, 0, 0xff);
	assert_int_equal(pv.host.panics, 1);
	assert_int_equal(ends(), 1);
}

static void a_crash_kernel_goes_on(void **state)
{
	(void)state;
	fake_out(&pv, 0, 0x02);
	assert_int_equal(ends(), 0);
}

static void bit_2_is_a_power_off(void **state)
{
	(void)state;
	fake_out(&pv, 0, 0x04);
	assert_int_equal(pv.host.poweroffs, 1);
	assert_int_equal(ends(), 1);
}

static void unknown_events_do_nothing(void **state)
{
	(void)state;
	fake_out(&pv, 0, 0x00);
	fake_out(&pv, 0, 0xf8);
	assert_int_equal(ends(), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reading_tells_the_events_known), TEST(bit_0_is_a_panic),
		TEST(a_panic_wins_over_all_else),     TEST(a_crash_kernel_goes_on),
		TEST(bit_2_is_a_power_off),	      TEST(unknown_events_do_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
