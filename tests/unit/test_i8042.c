/* test_i8042.c: the keyboard controller's commands, its reset line, and probes that end quickly. */
#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

extern const struct device_row device_i8042;

static struct fake kbc;

static int setup(void **state)
{
	(void)state;
	fake_create(&kbc, &device_i8042, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&kbc);
	return 0;
}

static uint8_t status(void)
{
	return (uint8_t)fake_read(&kbc, 1, 0, 1);
}

static void command(uint8_t value)
{
	fake_write(&kbc, 1, 0, 1, value);
}

static uint8_t data(void)
{
	return (uint8_t)fake_read(&kbc, 0, 0, 1);
}

static void send(uint8_t value)
{
	fake_write(&kbc, 0, 0, 1, value);
}

static uint8_t ask(uint8_t value)
{
	command(value);
	assert_int_equal(status() & 0x01, 0x01);
	return data();
}

static void it_is_idle_at_first(void **state)
{
	(void)state;
	assert_int_equal(status(), 0x10);
	command(0xaa);
	fake_reset(&kbc);
	assert_int_equal(status(), 0x10);
}

static void self_test_and_port_tests(void **state)
{
	(void)state;
	assert_int_equal(ask(0xaa), 0x55);
	assert_int_equal(status() & 0x05, 0x04); /* system flag; buffer empty again */
	assert_int_equal(ask(0xab), 0x00);
	assert_int_equal(ask(0xa9), 0x01);
}

static void the_command_byte_is_kept(void **state)
{
	(void)state;
	command(0x60);
	assert_int_equal(status() & 0x08, 0x08);
	send(0x47);
	assert_int_equal(status() & 0x0d, 0x04);
	assert_int_equal(ask(0x20), 0x47);
	command(0xad);
	assert_int_equal(ask(0x20), 0x57);
	command(0xa7);
	assert_int_equal(ask(0x20), 0x77);
	command(0xae);
	command(0xa8);
	assert_int_equal(ask(0x20), 0x47);
}

static void the_output_port_keeps_a20_and_resets(void **state)
{
	(void)state;
	assert_int_equal(ask(0xd0) & 0x03, 0x03);
	command(0xd1);
	send(0xdd);
	assert_int_equal(ask(0xd0), 0xdd);
	assert_int_equal(kbc.host.resets, 0);
	command(0xd1);
	send(0xde);
	assert_int_equal(kbc.host.resets, 1);
}

static void only_pulses_of_line_0_reset(void **state)
{
	(void)state;
	for (unsigned c = 0xf0; c <= 0xff; c++) {
		unsigned before = kbc.host.resets;

		command((uint8_t)c);
		assert_int_equal(kbc.host.resets - before, c % 2 == 0);
	}
	for (unsigned c = 0; c < 0xf0; c++)
		command((uint8_t)c);
	assert_int_equal(kbc.host.resets, 8);
}

static void a_command_to_come_is_forgotten_at_the_next(void **state)
{
	(void)state;
	command(0xd1);
	command(0xae);
	send(0x00); /* not for the output port any more */
	assert_int_equal(kbc.host.resets, 0);
}

static void linux_gives_the_mouse_port_up_at_once(void **state)
{
	(void)state;
	command(0xd3);
	send(0x5a);
	assert_int_equal(status() & 0x21, 0x01); /* an answer, but not from the mouse port */
	assert_int_equal(data(), 0x5a);
	assert_in_range(ask(0xa9), 0x01, 0x03); /* a line is stuck */
}

static void nobody_answers_for_the_keyboard(void **state)
{
	(void)state;
	send(0xff);
	assert_int_equal(status() & 0x41, 0x41);
	assert_int_equal(data(), 0xfe);
	assert_int_equal(status() & 0x41, 0);
	command(0xd4);
	send(0xff);
	assert_int_equal(status() & 0x41, 0x41);
	assert_int_equal(ask(0xab), 0x00); /* the next answer has no timeout */
	assert_int_equal(status() & 0x41, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_idle_at_first),
		TEST(self_test_and_port_tests),
		TEST(the_command_byte_is_kept),
		TEST(the_output_port_keeps_a20_and_resets),
		TEST(only_pulses_of_line_0_reset),
		TEST(a_command_to_come_is_forgotten_at_the_next),
		TEST(linux_gives_the_mouse_port_up_at_once),
		TEST(nobody_answers_for_the_keyboard),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
