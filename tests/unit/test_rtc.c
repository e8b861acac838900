/* test_rtc.c: the clock's registers, formats, flags, interrupts and the passing of time. */
#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

extern const struct device_row device_rtc;

#define S  1000000000ULL
#define MS 1000000ULL
#define US 1000ULL

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, DAY, MONTH, YEAR, A, B, C, D };
#define CENTURY 0x32

static struct fake rtc;

static int setup(void **state)
{
	(void)state;
	/* 2023-11-14 22:13:20 UTC, a Tuesday */
	fake_wall_clock = 1700000000 * S;
	fake_create(&rtc, &device_rtc, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&rtc);
	assert_int_equal(fake_timers_set(), 0);
	return 0;
}

static uint8_t get(uint8_t reg)
{
	fake_out(&rtc, 0, reg);
	return fake_in(&rtc, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	fake_out(&rtc, 0, reg);
	fake_out(&rtc, 1, value);
}

static void assert_time(uint8_t hour, uint8_t min, uint8_t sec)
{
	assert_int_equal(get(HOUR), hour);
	assert_int_equal(get(MIN), min);
	assert_int_equal(get(SEC), sec);
}

static void assert_date(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t wday)
{
	assert_int_equal(get(CENTURY), century);
	assert_int_equal(get(YEAR), year);
	assert_int_equal(get(MONTH), month);
	assert_int_equal(get(DAY), day);
	assert_int_equal(get(WDAY), wday);
}

static void set_time(uint8_t hour, uint8_t min, uint8_t sec)
{
	set(HOUR, hour);
	set(MIN, min);
	set(SEC, sec);
}

static void shows_the_hosts_time_in_bcd(void **state)
{
	(void)state;
	assert_int_equal(get(A), 0x26);
	assert_int_equal(get(B), 0x02);
	assert_int_equal(get(C), 0x00);
	assert_int_equal(get(D), 0x80);
	assert_time(0x22, 0x13, 0x20);
	assert_date(0x20, 0x23, 0x11, 0x14, 3);
	fake_advance(40 * S);
	assert_time(0x22, 0x14, 0x00);
}

static void the_index_ignores_the_nmi_bit_and_is_write_only(void **state)
{
	(void)state;
	fake_out(&rtc, 0, 0x80 | D);
	assert_int_equal(fake_in(&rtc, 1), 0x80);
	assert_int_equal(fake_in(&rtc, 0), 0xff);
}

static void memory_holds_and_survives_a_reset(void **state)
{
	(void)state;
	for (uint8_t reg = 0x0e; reg < 0x80; reg++) {
		if (reg != CENTURY)
			set(reg, (uint8_t)(reg ^ 0x5a));
	}
	fake_advance(2 * S);
	fake_reset(&rtc);
	for (uint8_t reg = 0x0e; reg < 0x80; reg++) {
		if (reg != CENTURY)
			assert_int_equal(get(reg), reg ^ 0x5a);
	}
	set(D, 0x00);
	assert_int_equal(get(D), 0x80);
}

static void changing_the_format_shows_the_same_time(void **state)
{
	(void)state;
	set(B, 0x06);
	assert_time(22, 13, 20);
	assert_date(20, 23, 11, 14, 3);
	set(B, 0x04);
	assert_time(0x80 | 10, 13, 20);
	set(B, 0x00);
	assert_time(0x90, 0x13, 0x20);
	set(B, 0x02);
	assert_time(0x22, 0x13, 0x20);
}

static void twelve_hour_mode_around_noon_and_midnight(void **state)
{
	(void)state;
	set(B, 0x80); /* BCD, 12 h, SET */
	set_time(0x11, 0x59, 0x59);
	set(B, 0x00);
	assert_time(0x11, 0x59, 0x59);
	fake_advance(S);
	assert_time(0x92, 0x00, 0x00); /* 12 PM */
	set(B, 0x80);
	set_time(0x91, 0x59, 0x59);
	set(B, 0x00);
	fake_advance(S);
	assert_time(0x12, 0x00, 0x00); /* 12 AM */
	assert_int_equal(get(DAY), 0x15);
}

static void a_time_that_was_set_runs_on_over_the_century(void **state)
{
	(void)state;
	set(B, 0x82);
	set_time(0x23, 0x59, 0x58);
	set(DAY, 0x31);
	set(MONTH, 0x12);
	set(YEAR, 0x99);
	set(CENTURY, 0x19);
	fake_advance(10 * S);
	assert_time(0x23, 0x59, 0x58); /* SET holds it */
	set(B, 0x02);
	fake_advance(2 * S);
	assert_time(0x00, 0x00, 0x00);
	assert_date(0x20, 0x00, 0x01, 0x01, 7);
	fake_advance(59 * 86400 * S);
	assert_date(0x20, 0x00, 0x02, 0x29, 3); /* a leap year */
}

static void nonsense_in_the_registers_is_harmless(void **state)
{
	static const uint8_t controls[] = { 0x00, 0x02, 0x04, 0x06, 0x70 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		for (unsigned value = 0; value < 256; value += 15) {
			set(B, (uint8_t)(0x80 | controls[i]));
			for (uint8_t reg = SEC; reg <= YEAR; reg++)
				set(reg, (uint8_t)value);
			set(CENTURY, (uint8_t)value);
			set(B, controls[i]);
			fake_advance(3 * S);
			get(SEC);
			set(B, 0x06);
			fake_advance(S);
			assert_in_range(get(SEC), 0, 59);
			assert_in_range(get(MIN), 0, 59);
			assert_in_range(get(HOUR), 0, 23);
			assert_in_range(get(WDAY), 1, 7);
			assert_in_range(get(DAY), 1, 31);
			assert_in_range(get(MONTH), 1, 12);
			assert_in_range(get(YEAR), 0, 99);
			assert_in_range(get(CENTURY), 0, 99);
		}
	}
}

static void a_step_of_the_hosts_clock_is_followed(void **state)
{
	(void)state;
	fake_wall_clock -= 3600 * S;
	assert_time(0x21, 0x13, 0x20);
	fake_wall_clock += 2 * 3600 * S;
	assert_time(0x23, 0x13, 0x20);
}

static void update_in_progress_comes_before_a_second_and_clears(void **state)
{
	(void)state;
	fake_advance(997 * MS);
	assert_int_equal(get(A) & 0x80, 0);
	fake_advance(MS);
	assert_int_equal(get(A) & 0x80, 0x80);
	assert_int_equal(get(SEC), 0x20);
	set(B, 0x82); /* no update, no progress */
	assert_int_equal(get(A) & 0x80, 0);
	set(B, 0x02);
	fake_advance(2 * MS);
	assert_int_equal(get(A) & 0x80, 0);
	assert_int_equal(get(SEC), 0x21);
	set(A, 0xa6); /* the bit is read-only */
	assert_int_equal(get(A), 0x26);
}

static void a_divider_reset_restarts_half_a_second_before_the_next(void **state)
{
	(void)state;
	fake_advance(300 * MS);
	set(A, 0x76);
	fake_advance(5 * S);
	assert_int_equal(get(SEC), 0x20);
	set(A, 0x26);
	fake_advance(499 * MS);
	assert_int_equal(get(SEC), 0x20);
	fake_advance(2 * MS);
	assert_int_equal(get(SEC), 0x21);
	fake_advance(999 * MS);
	assert_int_equal(get(SEC), 0x22);
}

static void flags_appear_without_interrupts_and_reading_clears_them(void **state)
{
	(void)state;
	set(SEC_ALARM, 0x22);
	set(MIN_ALARM, 0x13);
	set(HOUR_ALARM, 0x22);
	get(C);
	fake_advance(S);
	assert_int_equal(get(C), 0x50); /* update, periodic */
	assert_int_equal(get(C), 0x00);
	fake_advance(S);
	assert_int_equal(get(C), 0x70); /* and alarm */
	assert_int_equal(fake_irq_edges(&rtc), 0);
	assert_int_equal(fake_timers_set(), 0);
}

static void the_update_interrupt_comes_each_second_once_acknowledged(void **state)
{
	(void)state;
	get(C);
	set(B, 0x12);
	for (unsigned i = 1; i <= 3; i++) {
		fake_advance(999 * MS);
		assert_false(fake_irq(&rtc));
		fake_advance(MS);
		assert_true(fake_irq(&rtc));
		assert_int_equal(fake_timers_set(), 0); /* nothing more can come */
		assert_int_equal(get(C) & 0x90, 0x90);
		assert_false(fake_irq(&rtc));
		assert_int_equal(fake_irq_edges(&rtc), i);
	}
	set(B, 0x02);
	assert_int_equal(fake_timers_set(), 0);
}

static void the_periodic_interrupt_keeps_its_rate(void **state)
{
	static const struct {
		uint8_t select;
		unsigned hz;
	} rates[] = { { 1, 256 }, { 2, 128 }, { 3, 8192 }, { 6, 1024 }, { 15, 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		unsigned before = fake_irq_edges(&rtc);

		set(A, (uint8_t)(0x20 | rates[i].select));
		set(B, 0x42);
		get(C);
		for (int ms = 0; ms < 100000; ms++) {
			fake_advance(20 * US);
			if (fake_irq(&rtc))
				assert_int_equal(get(C) & 0xc0, 0xc0);
		}
		assert_int_equal(fake_irq_edges(&rtc) - before, 2 * rates[i].hz);
		set(B, 0x02);
	}
	set(A, 0x20);
	set(B, 0x42);
	assert_int_equal(fake_timers_set(), 0); /* rate 0: none */
}

static void the_alarm_comes_at_its_time_and_wildcards_match(void **state)
{
	(void)state;
	set(SEC_ALARM, 0x10);
	set(MIN_ALARM, 0xc0);
	set(HOUR_ALARM, 0xff);
	get(C);
	set(B, 0x22);
	fake_advance(50 * S - 1);
	assert_false(fake_irq(&rtc));
	fake_advance(1); /* 22:14:10 */
	assert_true(fake_irq(&rtc));
	assert_int_equal(get(C) & 0xa0, 0xa0);
	fake_advance(60 * S);
	assert_int_equal(fake_irq_edges(&rtc), 2);
	get(C);
	set(MIN_ALARM, 0x00);
	set(HOUR_ALARM, 0x01); /* 01:00:10, tomorrow: 02:44:00 hours ahead, from 22:15:10 */
	fake_advance((2 * 3600 + 44 * 60 + 59) * S + 900 * MS);
	assert_false(fake_irq(&rtc));
	fake_advance(100 * MS);
	assert_true(fake_irq(&rtc));
	assert_time(0x01, 0x00, 0x10);
}

static void the_alarm_works_in_binary_and_twelve_hours(void **state)
{
	(void)state;
	set(B, 0x04);
	set(SEC_ALARM, 0);
	set(MIN_ALARM, 30);
	set(HOUR_ALARM, 0x80 | 11);
	set(B, 0x24);
	fake_advance((3600 + 16 * 60 + 40) * S - 1);
	assert_false(fake_irq(&rtc));
	fake_advance(1);
	assert_true(fake_irq(&rtc));
	assert_time(0x80 | 11, 30, 0);
}

static void an_impossible_alarm_never_comes(void **state)
{
	(void)state;
	set(SEC_ALARM, 0x61);
	set(MIN_ALARM, 0xc0);
	set(HOUR_ALARM, 0xc0);
	set(B, 0x22);
	assert_int_equal(fake_timers_set(), 0);
	fake_advance(2 * 86400 * S);
	assert_int_equal(get(C) & 0x20, 0);
}

static void no_timer_runs_for_an_unconnected_line(void **state)
{
	(void)state;
	fake_destroy(&rtc);
	fake_create(&rtc, &device_rtc, "interrupt");
	set(B, 0x72);
	assert_int_equal(fake_timers_set(), 0);
	fake_advance(S);
	assert_int_equal(get(C) & 0xd0, 0xd0);
	assert_int_equal(fake_irq_edges(&rtc), 0);
}

static void reset_turns_interrupts_off_but_not_the_clock(void **state)
{
	(void)state;
	set(B, 0x7a);
	fake_advance(S);
	assert_true(fake_irq(&rtc));
	fake_reset(&rtc);
	assert_false(fake_irq(&rtc));
	assert_int_equal(fake_timers_set(), 0);
	assert_int_equal(get(B), 0x02);
	assert_int_equal(get(C), 0x00);
	assert_time(0x22, 0x13, 0x21);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shows_the_hosts_time_in_bcd),
		TEST(the_index_ignores_the_nmi_bit_and_is_write_only),
		TEST(memory_holds_and_survives_a_reset),
		TEST(changing_the_format_shows_the_same_time),
		TEST(twelve_hour_mode_around_noon_and_midnight),
		TEST(a_time_that_was_set_runs_on_over_the_century),
		TEST(nonsense_in_the_registers_is_harmless),
		TEST(a_step_of_the_hosts_clock_is_followed),
		TEST(update_in_progress_comes_before_a_second_and_clears),
		TEST(a_divider_reset_restarts_half_a_second_before_the_next),
		TEST(flags_appear_without_interrupts_and_reading_clears_them),
		TEST(the_update_interrupt_comes_each_second_once_acknowledged),
		TEST(the_periodic_interrupt_keeps_its_rate),
		TEST(the_alarm_comes_at_its_time_and_wildcards_match),
		TEST(the_alarm_works_in_binary_and_twelve_hours),
		TEST(an_impossible_alarm_never_comes),
		TEST(no_timer_runs_for_an_unconnected_line),
		TEST(reset_turns_interrupts_off_but_not_the_clock),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
