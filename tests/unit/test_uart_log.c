/* test_uart_log.c: when a 16550A lets its output be gathered. */
#define FAKE_CONSOLE
#include "unit/fake_host.h"

extern const struct device_row device_uart16550;

enum { DATA = 0, IER = 1, LCR = 3, MCR = 4, LSR = 5 };
enum { LOG = 256 };

static struct fake fake;
static unsigned switches;
static bool gathered;

static void coalesce(struct device_host *host, struct device *dev, unsigned claim, uint64_t offset,
		     unsigned size, bool on)
{
	(void)host;
	assert_ptr_equal(dev, &fake.dev);
	assert_string_equal(dev->row->claims[claim].name, "ports");
	assert_int_equal(offset, DATA);
	assert_int_equal(size, 1);
	assert_true(on != gathered);
	gathered = on;
	switches++;
}

static int setup(void **state)
{
	(void)state;
	fake_console_reset();
	gathered = false;
	switches = 0;
	fake_create(&fake, &device_uart16550, NULL);
	fake.host.host.coalesce = coalesce;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&fake);
	return 0;
}

static void print(unsigned n)
{
	while (n--) {
		fake_output_len = 0;
		fake_out(&fake, DATA, '.');
	}
}

static void a_log_is_gathered_after_its_beginning(void **state)
{
	(void)state;
	print(LOG - 1);
	assert_false(gathered);
	print(1);
	assert_true(gathered);
	print(10 * LOG);
	assert_int_equal(switches, 1);
}

static void what_was_gathered_is_printed(void **state)
{
	(void)state;
	print(LOG);
	fake_output_len = 0;
	fake_out(&fake, DATA, 'x');
	assert_int_equal(fake_output_len, 1);
	assert_int_equal(fake_output[0], 'x');
}

static void a_wait_for_the_transmitter_ends_it(void **state)
{
	(void)state;
	print(LOG);
	fake_out(&fake, IER, 0x05);
	assert_true(gathered);
	fake_out(&fake, IER, 0x07);
	assert_false(gathered);
	print(100 * LOG);
	assert_false(gathered);
}

static void characters_before_a_wait_do_not_count(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		print(LOG - 1);
		fake_out(&fake, IER, 2);
		print(LOG);
		fake_out(&fake, IER, 0);
	}
	assert_int_equal(switches, 0);
}

static void each_new_beginning_takes_twice_as_many(void **state)
{
	(void)state;
	for (unsigned n = LOG; n <= 8 * LOG; n *= 2) {
		print(n - 1);
		assert_false(gathered);
		print(1);
		assert_true(gathered);
		fake_out(&fake, IER, 2);
		assert_false(gathered);
		fake_out(&fake, IER, 0);
	}
	assert_int_equal(switches, 8);
}

static void loopback_ends_it(void **state)
{
	(void)state;
	print(LOG);
	fake_out(&fake, MCR, 0x10);
	assert_false(gathered);
	fake_out(&fake, DATA, 'x');
	assert_int_equal(fake_in(&fake, LSR) & 1, 1);
	assert_int_equal(fake_in(&fake, DATA), 'x');
}

static void the_divisor_is_no_log(void **state)
{
	(void)state;
	fake_out(&fake, LCR, 0x83);
	print(2 * LOG);
	fake_out(&fake, LCR, 0x03);
	assert_int_equal(switches, 0);
}

static void a_reset_ends_it_and_begins_anew(void **state)
{
	(void)state;
	print(LOG);
	fake_reset(&fake);
	assert_false(gathered);
	print(LOG);
	assert_true(gathered);
	fake_reset(&fake);
	fake_reset(&fake);
	assert_int_equal(switches, 4);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_log_is_gathered_after_its_beginning),
		TEST(what_was_gathered_is_printed),
		TEST(a_wait_for_the_transmitter_ends_it),
		TEST(characters_before_a_wait_do_not_count),
		TEST(each_new_beginning_takes_twice_as_many),
		TEST(loopback_ends_it),
		TEST(the_divisor_is_no_log),
		TEST(a_reset_ends_it_and_begins_anew),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
