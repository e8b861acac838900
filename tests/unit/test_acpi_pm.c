/* test_acpi_pm.c: power off, reset and the power button of ACPI's hardware-reduced machines. */
#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

extern const struct device_row device_acpi_pm;

static struct fake pm;

static int setup(void **state)
{
	(void)state;
	fake_create(&pm, &device_acpi_pm, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&pm);
	return 0;
}

static unsigned ends(void)
{
	return pm.host.exits + pm.host.poweroffs + pm.host.resets + pm.host.panics;
}

static void s5_with_sleep_enable_powers_off(void **state)
{
	(void)state;
	fake_out(&pm, 0, 5 << 2 | 1 << 5);
	assert_int_equal(pm.host.poweroffs, 1);
	assert_int_equal(ends(), 1);
}

static void no_other_value_powers_off(void **state)
{
	(void)state;
	for (unsigned value = 0; value < 256; value++) {
		if ((value & 0x3c) != (5 << 2 | 1 << 5))
			fake_out(&pm, 0, (uint8_t)value);
	}
	assert_int_equal(ends(), 0);
}

static void one_in_the_reset_register_resets(void **state)
{
	(void)state;
	for (unsigned value = 0; value < 256; value++)
		fake_out(&pm, 2, (uint8_t)value);
	assert_int_equal(pm.host.resets, 1);
	assert_int_equal(ends(), 1);
}

static void other_registers_do_nothing(void **state)
{
	(void)state;
	for (unsigned value = 0; value < 256; value++) {
		fake_out(&pm, 1, (uint8_t)value);
		fake_out(&pm, 3, (uint8_t)value);
	}
	assert_int_equal(ends(), 0);
}

static void it_has_never_woken_up(void **state)
{
	(void)state;
	fake_out(&pm, 1, 0x80);
	for (uint64_t offset = 0; offset < 4; offset++)
		assert_int_equal(fake_in(&pm, offset), 0);
}

static void the_button_is_an_edge_each_time(void **state)
{
	(void)state;
	assert_int_equal(fake_irq_edges(&pm), 0);
	for (unsigned times = 1; times <= 3; times++) {
		device_acpi_pm.power_button(&pm.dev);
		assert_int_equal(fake_irq_edges(&pm), times);
		assert_false(fake_irq(&pm));
	}
	assert_int_equal(ends(), 0);
}

static void a_button_without_a_line_does_nothing(void **state)
{
	struct fake loose;

	(void)state;
	fake_create(&loose, &device_acpi_pm, "interrupt");
	device_acpi_pm.power_button(&loose.dev);
	assert_int_equal(fake_irq_edges(&loose), 0);
	fake_destroy(&loose);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(s5_with_sleep_enable_powers_off),
		TEST(no_other_value_powers_off),
		TEST(one_in_the_reset_register_resets),
		TEST(other_registers_do_nothing),
		TEST(it_has_never_woken_up),
		TEST(the_button_is_an_edge_each_time),
		TEST(a_button_without_a_line_does_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
