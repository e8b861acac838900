/* test_gpio.c: the power button on Arm's GPIO. */
#include "primecell.h"

extern const struct device_row device_gpio;

/* DDI 0190, 3.2; DATA's address has the lines' mask in bits 9:2. */
enum { DIR = 0x400, IS = 0x404, IBE = 0x408, IEV = 0x40c, IE = 0x410, RIS = 0x414, MIS = 0x418 };
enum { IC = 0x41c, ALL = 0x3fc, BUTTON = 1 << 3 };

#define HELD 100000000ULL

/* The loop takes it up. */
static void press(void)
{
	device_gpio.power_button(&fake.dev);
	fake_advance(0);
}

static int setup(void **state)
{
	(void)state;
	fake_create(&fake, &device_gpio, NULL);
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
	check_ids((const uint8_t[]){ 0x61, 0x10, 0x04, 0x00 });
}

static void test_button_is_held_for_a_while(void **state)
{
	(void)state;
	assert_int_equal(in(ALL), 0);
	press();
	assert_int_equal(in(ALL), BUTTON);
	assert_int_equal(in(BUTTON << 2), BUTTON);
	assert_int_equal(in((ALL & ~(BUTTON << 2))), 0);
	fake_advance(HELD - 1);
	assert_int_equal(in(ALL), BUTTON);
	fake_advance(1);
	assert_int_equal(in(ALL), 0);
}

/* As Linux' gpio-keys has it. */
static void test_both_edges_interrupt(void **state)
{
	(void)state;
	out(IBE, BUTTON);
	out(IE, BUTTON);
	press();
	assert_true(fake_irq(&fake));
	assert_int_equal(in(MIS), BUTTON);
	out(IC, BUTTON);
	assert_false(fake_irq(&fake));
	fake_advance(HELD);
	assert_true(fake_irq(&fake));
	out(IC, BUTTON);
	assert_false(fake_irq(&fake));
	assert_int_equal(fake_irq_edges(&fake), 2);
}

static void test_one_edge_interrupts(void **state)
{
	(void)state;
	out(IE, BUTTON); /* falling */
	press();
	assert_false(fake_irq(&fake));
	fake_advance(HELD);
	assert_true(fake_irq(&fake));
	out(IC, BUTTON);
	out(IEV, BUTTON); /* rising */
	press();
	assert_true(fake_irq(&fake));
	out(IC, BUTTON);
	fake_advance(HELD);
	assert_false(fake_irq(&fake));
}

static void test_level_interrupts_while_it_lasts(void **state)
{
	(void)state;
	out(IS, BUTTON);
	out(IEV, BUTTON);
	out(IE, BUTTON);
	assert_false(fake_irq(&fake));
	press();
	out(IC, BUTTON);
	assert_true(fake_irq(&fake));
	fake_advance(HELD);
	assert_false(fake_irq(&fake));
	out(IEV, 0); /* low */
	assert_true(fake_irq(&fake));
}

static void test_masked_interrupt_shows_raw(void **state)
{
	(void)state;
	out(IBE, BUTTON);
	press();
	assert_false(fake_irq(&fake));
	assert_int_equal(in(RIS), BUTTON);
	assert_int_equal(in(MIS), 0);
	out(IE, BUTTON);
	assert_true(fake_irq(&fake));
}

static void test_outputs_keep_what_is_written(void **state)
{
	(void)state;
	out(DIR, 0x0f);
	out(ALL, 0xff);
	assert_int_equal(in(ALL), 0x0f);
	out(0x5 << 2, 0);
	assert_int_equal(in(ALL), 0x0a);
	press(); /* not seen on an output */
	out(DIR, 0x07);
	assert_int_equal(in(ALL), 0x0a);
}

static void test_second_press_holds_longer(void **state)
{
	(void)state;
	press();
	fake_advance(HELD / 2);
	press();
	fake_advance(HELD - 1);
	assert_int_equal(in(ALL), BUTTON);
	fake_advance(1);
	assert_int_equal(in(ALL), 0);
}

static void test_reset_forgets(void **state)
{
	(void)state;
	out(IBE, BUTTON);
	out(IE, BUTTON);
	press();
	fake_reset(&fake);
	assert_false(fake_irq(&fake));
	assert_int_equal(in(RIS), 0);
	assert_int_equal(in(IE), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_ids),
		TEST(test_button_is_held_for_a_while),
		TEST(test_both_edges_interrupt),
		TEST(test_one_edge_interrupts),
		TEST(test_level_interrupts_while_it_lasts),
		TEST(test_masked_interrupt_shows_raw),
		TEST(test_outputs_keep_what_is_written),
		TEST(test_second_press_holds_longer),
		TEST(test_reset_forgets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
