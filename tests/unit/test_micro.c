/* test_micro.c: Micro VMM's console, keyboard and timer. The console and its loop are real, on
 * pipes; the clock is not. */
#define FAKE_CLOCK
#include <sched.h>

#include "unit/fake_host.h"

extern const struct device_row device_micro_console, device_micro_keyboard, device_micro_timer;

#define MS 1000000ULL

static struct fake fake;
static int to_vm[2], from_vm[2];

static void plug(const struct device_row *row, const char *unconnected)
{
	assert_int_equal(pipe(to_vm), 0);
	assert_int_equal(pipe(from_vm), 0);
	fake_host_open(&fake.host, to_vm[0], from_vm[1]);
	fake_plug(&fake, row, unconnected);
}

static void unplug(void)
{
	fake_destroy(&fake);
	for (int i = 0; i < 2; i++) {
		if (to_vm[i] >= 0)
			close(to_vm[i]);
		close(from_vm[i]);
	}
}

/* ---- Console ------------------------------------------------------------------------------ */

static void console_prints_lines_and_the_rest_at_the_end(void **state)
{
	static const char text[] = "one\ntwo\nrest";
	char buf[64] = { 0 };

	(void)state;
	plug(&device_micro_console, NULL);
	assert_int_equal(fake_in(&fake, 0), 0xff);
	for (const char *p = text; *p; p++)
		fake_out(&fake, 0, (uint8_t)*p);
	fake_destroy(&fake);
	assert_int_equal(read(from_vm[0], buf, sizeof(buf)), sizeof(text) - 1);
	assert_string_equal(buf, text);
	for (int i = 0; i < 2; i++) {
		close(to_vm[i]);
		close(from_vm[i]);
	}
}

/* ---- Keyboard ----------------------------------------------------------------------------- */

/* A guest's own loop: polls until a key waits. */
static uint8_t next_key(void)
{
	while (!fake_in(&fake, 1))
		sched_yield();
	assert_int_equal(fake_in(&fake, 1), 1);
	return fake_in(&fake, 0);
}

static void keys_typed_ahead_come_one_per_acknowledgement(void **state)
{
	uint8_t keys[100];

	(void)state;
	for (unsigned i = 0; i < sizeof(keys); i++)
		keys[i] = (uint8_t)(i * 7 + 20);
	plug(&device_micro_keyboard, NULL);
	assert_int_equal(write(to_vm[1], keys, sizeof(keys)), sizeof(keys));
	close(to_vm[1]);
	to_vm[1] = -1;
	for (unsigned i = 0; i < sizeof(keys); i++) {
		for (int again = 0; again < 3; again++)
			assert_int_equal(next_key(), keys[i]);
		fake_out(&fake, 1, 0);
	}
	assert_int_equal(fake_in(&fake, 1), 0);
	assert_int_equal(fake_in(&fake, 0), keys[99]); /* the last one taken */
	unplug();
}

static void only_a_zero_to_the_status_port_acknowledges(void **state)
{
	(void)state;
	plug(&device_micro_keyboard, NULL);
	assert_int_equal(write(to_vm[1], "ab", 2), 2);
	assert_int_equal(next_key(), 'a');
	fake_out(&fake, 1, 1);
	fake_out(&fake, 0, 0);
	assert_int_equal(next_key(), 'a');
	fake_out(&fake, 1, 0);
	assert_int_equal(next_key(), 'b');
	fake_reset(&fake);
	assert_int_equal(fake_in(&fake, 1), 0);
	unplug();
}

static void enter_is_a_line_feed_on_a_raw_terminal_too(void **state)
{
	(void)state;
	plug(&device_micro_keyboard, NULL);
	assert_int_equal(write(to_vm[1], "\r\n", 2), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(next_key(), '\n');
		fake_out(&fake, 1, 0);
	}
	unplug();
}

static bool ignore(void *arg)
{
	(void)arg;
	return true;
}

static void without_the_input_no_key_comes(void **state)
{
	(void)state;
	plug(&device_micro_keyboard, "input");
	assert_int_equal(write(to_vm[1], "a", 1), 1);
	assert_int_equal(fake_in(&fake, 1), 0);
	assert_int_equal(fake_in(&fake, 0), 0);
	assert_int_equal(console_listen(fake.host.host.console, ignore, NULL), 0); /* not taken */
	unplug();
}

/* ---- Timer -------------------------------------------------------------------------------- */

static void events_come_in_a_raster_and_stay_until_acknowledged(void **state)
{
	(void)state;
	plug(&device_micro_timer, NULL);
	assert_int_equal(fake_in(&fake, 1), 0);
	fake_out(&fake, 0, 127);
	fake_advance(1000 * MS);
	assert_int_equal(fake_in(&fake, 1), 0); /* not enabled */
	fake_out(&fake, 1, 1);
	fake_advance(127 * MS - 1);
	assert_int_equal(fake_in(&fake, 1), 1);
	fake_advance(1 + 100 * MS); /* seen late */
	assert_int_equal(fake_in(&fake, 1), 3);
	assert_int_equal(fake_in(&fake, 1), 3); /* stays */
	fake_out(&fake, 1, 1);
	assert_int_equal(fake_in(&fake, 1), 1);
	fake_advance(27 * MS - 1);
	assert_int_equal(fake_in(&fake, 1), 1);
	fake_advance(1); /* twice 127 ms after the start: no drift */
	assert_int_equal(fake_in(&fake, 1), 3);
	fake_advance(10 * 127 * MS); /* events unseen are one */
	fake_out(&fake, 1, 1);
	assert_int_equal(fake_in(&fake, 1), 1);
	unplug();
}

static void a_write_with_bit_1_set_does_not_acknowledge(void **state)
{
	(void)state;
	plug(&device_micro_timer, NULL);
	fake_out(&fake, 0, 1);
	fake_out(&fake, 1, 1);
	fake_advance(MS);
	fake_out(&fake, 1, 3);
	assert_int_equal(fake_in(&fake, 1), 3);
	fake_out(&fake, 1, 2); /* disabled; the event is still there */
	fake_advance(10 * MS);
	assert_int_equal(fake_in(&fake, 1), 2);
	fake_out(&fake, 1, 0);
	fake_advance(10 * MS);
	assert_int_equal(fake_in(&fake, 1), 0);
	unplug();
}

static void a_new_interval_counts_from_its_writing(void **state)
{
	(void)state;
	plug(&device_micro_timer, NULL);
	fake_out(&fake, 0, 100);
	fake_out(&fake, 1, 1);
	fake_advance(90 * MS);
	fake_out(&fake, 0, 50);
	fake_advance(50 * MS - 1);
	assert_int_equal(fake_in(&fake, 1), 1);
	fake_advance(1);
	assert_int_equal(fake_in(&fake, 1), 3);
	fake_advance(50 * MS);
	fake_out(&fake, 0, 200); /* what fell due before stays pending */
	assert_int_equal(fake_in(&fake, 1), 3);
	unplug();
}

static void interval_0_and_reset_bring_no_events(void **state)
{
	(void)state;
	plug(&device_micro_timer, NULL);
	fake_out(&fake, 1, 1);
	fake_advance(1000 * MS);
	assert_int_equal(fake_in(&fake, 1), 1);
	fake_out(&fake, 0, 1);
	fake_advance(MS);
	assert_int_equal(fake_in(&fake, 1), 3);
	assert_int_equal(fake_in(&fake, 0), 0xff);
	fake_reset(&fake);
	fake_advance(1000 * MS);
	assert_int_equal(fake_in(&fake, 1), 0);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(console_prints_lines_and_the_rest_at_the_end),
		cmocka_unit_test(keys_typed_ahead_come_one_per_acknowledgement),
		cmocka_unit_test(only_a_zero_to_the_status_port_acknowledges),
		cmocka_unit_test(enter_is_a_line_feed_on_a_raw_terminal_too),
		cmocka_unit_test(without_the_input_no_key_comes),
		cmocka_unit_test(events_come_in_a_raster_and_stay_until_acknowledged),
		cmocka_unit_test(a_write_with_bit_1_set_does_not_acknowledge),
		cmocka_unit_test(a_new_interval_counts_from_its_writing),
		cmocka_unit_test(interval_0_and_reset_bring_no_events),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
