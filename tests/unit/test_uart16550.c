/* test_uart16550.c: registers, FIFO, interrupts, line, loopback and modem lines of the 16550A. */
#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

extern const struct device_row device_uart16550;

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static struct fake uart;

static int setup(void **state)
{
	(void)state;
	fake_console_reset();
	fake_create(&uart, &device_uart16550, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&uart);
	return 0;
}

static uint8_t in(unsigned reg)
{
	return fake_in(&uart, reg);
}

static void out(unsigned reg, uint8_t value)
{
	fake_out(&uart, reg, value);
}

static void registers_after_reset(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(in(IER), 0);
		assert_int_equal(in(IIR), 0x01);
		assert_int_equal(in(LCR), 0);
		assert_int_equal(in(MCR), 0);
		assert_int_equal(in(LSR), 0x60);
		assert_int_equal(in(MSR), 0xb0);
		assert_int_equal(in(SCR), 0);
		for (unsigned reg = 0; reg < 8; reg++)
			out(reg, 0x5f);
		fake_reset(&uart);
	}
	assert_false(fake_irq(&uart));
}

static void unused_bits_read_as_zero_and_scratch_holds(void **state)
{
	(void)state;
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f);
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
	out(LSR, 0x00);
	assert_int_equal(in(LSR)&0x60, 0x60);
}

static void the_divisor_latch_hides_data_and_ier(void **state)
{
	(void)state;
	out(LCR, 0x83);
	out(DATA, 0x01);
	out(IER, 0x02);
	assert_int_equal(in(DATA), 0x01);
	assert_int_equal(in(IER), 0x02);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0);
	assert_int_equal(fake_output_len, 0);
	out(LCR, 0x80);
	assert_int_equal(in(DATA), 0x01);
}

static void output_is_printed_whatever_the_word_length(void **state)
{
	(void)state;
	out(DATA, 'a');
	out(LCR, 0x03);
	out(DATA, 'b');
	assert_string_equal(fake_output, "ab");
	out(LCR, 0x43); /* break holds the line */
	out(DATA, 'c');
	out(LCR, 0x03);
	out(DATA, 'd');
	assert_string_equal(fake_output, "abd");
}

static void input_is_read_only_after_the_guest_looks(void **state)
{
	(void)state;
	fake_type("x");
	out(DATA, '!');
	out(FCR, 0x01);
	in(MSR);
	assert_null(fake_ready);
	in(LSR);
	assert_non_null(fake_ready);
	fake_ready(fake_ready_arg);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'x');
	assert_int_equal(in(LSR), 0x60);
}

static void without_the_input_it_takes_nothing(void **state)
{
	(void)state;
	fake_destroy(&uart);
	fake_create(&uart, &device_uart16550, "input");
	fake_type("for another device");
	out(IER, 0x0f);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(DATA), 0);
	assert_null(fake_ready);
	assert_int_equal(fake_taken, 0);
}

static void typed_ahead_input_survives_a_small_fifo(void **state)
{
	char text[201];

	(void)state;
	for (int i = 0; i < 200; i++)
		text[i] = (char)('0' + i % 75);
	text[200] = 0;
	in(LSR);
	out(FCR, 0x01);
	fake_type(text);
	assert_int_equal(fake_taken, 16);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(in(DATA), text[i]);
	}
	assert_int_equal(in(LSR), 0x60);
}

static void without_fifo_one_character_is_held(void **state)
{
	(void)state;
	in(LSR);
	fake_type("ab");
	assert_int_equal(fake_taken, 1);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(fake_taken, 2);
	assert_int_equal(in(DATA), 'b');
}

static void iir_tells_whether_the_fifos_are_on(void **state)
{
	(void)state;
	out(FCR, 0xc0); /* without bit 0 nothing is programmed */
	assert_int_equal(in(IIR), 0x01);
	out(FCR, 0x01);
	assert_int_equal(in(IIR), 0xc1);
	out(FCR, 0x00);
	assert_int_equal(in(IIR), 0x01);
}

static void loopback_returns_what_is_sent_and_prints_nothing(void **state)
{
	(void)state;
	out(MCR, 0x10);
	out(DATA, 'z');
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'z');
	assert_int_equal(fake_output_len, 0);
}

static void loopback_cuts_the_receiver_off_but_loses_nothing(void **state)
{
	(void)state;
	in(LSR);
	out(MCR, 0x10);
	fake_type("k");
	assert_int_equal(in(LSR), 0x60);
	out(MCR, 0x00);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'k');
}

static void loopback_wires_the_modem_lines(void **state)
{
	static const uint8_t lines[][2] = { { 0x01, 0x20 }, { 0x02, 0x10 }, { 0x04, 0x40 },
					    { 0x08, 0x80 }, { 0x0f, 0xf0 }, { 0x00, 0x00 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		out(MCR, 0x10 | lines[i][0]);
		assert_int_equal(in(MSR)&0xf0, lines[i][1]);
	}
	out(MCR, 0x00);
	assert_int_equal(in(MSR)&0xf0, 0xb0);
}

static void msr_deltas_last_until_read_and_ring_counts_at_its_end(void **state)
{
	(void)state;
	out(MCR, 0x1b); /* loopback with the lines as outside: no change */
	assert_int_equal(in(MSR), 0xb0);
	out(MCR, 0x1f); /* ring begins */
	assert_int_equal(in(MSR), 0xf0);
	out(MCR, 0x1b); /* ring ends */
	assert_int_equal(in(MSR), 0xb4);
	assert_int_equal(in(MSR), 0xb0);
	out(MCR, 0x19); /* clear to send goes */
	out(MCR, 0x1b); /* and comes back: still a change */
	assert_int_equal(in(MSR), 0xb1);
	out(MCR, 0x10);
	assert_int_equal(in(MSR), 0x0b);
}

static void fifo_overrun_keeps_the_old_characters(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x10);
	for (int i = 0; i < 16; i++)
		out(DATA, (uint8_t)('a' + i));
	assert_int_equal(in(LSR), 0x61);
	out(DATA, 'X');
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61); /* reading it cleared the error */
	for (int i = 0; i < 16; i++)
		assert_int_equal(in(DATA), 'a' + i);
	assert_int_equal(in(LSR), 0x60);
}

static void overrun_without_fifo_keeps_the_new_character(void **state)
{
	(void)state;
	out(MCR, 0x10);
	out(DATA, 'a');
	out(DATA, 'b');
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(in(LSR), 0x60);
}

static void fcr_clears_the_receiver(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x10);
	out(DATA, 'a');
	out(FCR, 0x05); /* the transmitter's alone */
	assert_int_equal(in(LSR), 0x61);
	out(FCR, 0x02); /* no bit 0: turns them off, which empties them */
	assert_int_equal(in(LSR), 0x60);
	out(FCR, 0x01);
	out(DATA, 'a');
	out(FCR, 0x03);
	assert_int_equal(in(LSR), 0x60);
}

static void a_break_shows_when_its_character_is_on_top(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x10);
	out(DATA, 'a');
	out(LCR, 0x43);
	out(LCR, 0x03);
	assert_int_equal(in(LSR), 0xe1); /* an error is in the FIFO, but not of 'a' */
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(LSR), 0xf9); /* break and framing error of the one on top */
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 0);
	assert_int_equal(in(LSR), 0x60);
}

static void trigger_levels_and_character_timeout(void **state)
{
	static const unsigned triggers[] = { 1, 4, 8, 14 };

	(void)state;
	out(MCR, 0x10);
	out(IER, 0x01);
	for (unsigned t = 0; t < 4; t++) {
		out(FCR, (uint8_t)(t << 6 | 0x03));
		for (unsigned n = 1; n <= 16; n++) {
			out(DATA, 'x');
			assert_int_equal(in(IIR), n >= triggers[t] ? 0xc4 : 0xcc);
			assert_true(fake_irq(&uart));
		}
		for (unsigned n = 16; n > 0; n--) {
			assert_int_equal(in(IIR), n >= triggers[t] ? 0xc4 : 0xcc);
			in(DATA);
		}
		assert_int_equal(in(IIR), 0xc1);
		assert_false(fake_irq(&uart));
	}
}

static void sources_come_in_order_of_priority(void **state)
{
	(void)state;
	out(MCR, 0x10);
	in(MSR);
	out(DATA, 'a');
	out(DATA, 'b'); /* overrun, data, THR empty ... */
	out(MCR, 0x12); /* ... and a modem line */
	assert_int_equal(in(IIR), 0x01);
	assert_false(fake_irq(&uart));
	out(IER, 0x0f);
	assert_true(fake_irq(&uart));
	assert_int_equal(in(IIR), 0x06);
	assert_int_equal(in(IIR), 0x06);
	in(LSR);
	assert_int_equal(in(IIR), 0x04);
	in(DATA);
	assert_int_equal(in(IIR), 0x02); /* this read clears it */
	assert_int_equal(in(IIR), 0x00);
	assert_true(fake_irq(&uart));
	in(MSR);
	assert_int_equal(in(IIR), 0x01);
	assert_false(fake_irq(&uart));
	assert_int_equal(fake_irq_edges(&uart), 1);
}

static void thre_comes_at_enabling_and_after_each_character(void **state)
{
	(void)state;
	out(IER, 0x02);
	assert_true(fake_irq(&uart));
	assert_int_equal(in(IIR), 0x02);
	assert_false(fake_irq(&uart));
	assert_int_equal(in(IIR), 0x01);
	out(IER, 0x02); /* it was enabled already */
	assert_int_equal(in(IIR), 0x01);
	out(DATA, 'a');
	assert_int_equal(fake_irq_edges(&uart), 2);
	out(DATA, 'b'); /* an edge for each, as a driver on an edge-triggered line wants */
	assert_int_equal(fake_irq_edges(&uart), 3);
	out(IER, 0x00);
	assert_false(fake_irq(&uart));
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x02);
}

static void reading_iir_of_another_source_keeps_thre(void **state)
{
	(void)state;
	out(MCR, 0x10);
	out(DATA, 'a');
	out(IER, 0x03);
	assert_int_equal(in(IIR), 0x04);
	in(DATA);
	assert_int_equal(in(IIR), 0x02);
}

static void input_raises_the_interrupt(void **state)
{
	(void)state;
	out(IER, 0x01);
	assert_false(fake_irq(&uart));
	fake_type("q");
	assert_true(fake_irq(&uart));
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(DATA), 'q');
	assert_false(fake_irq(&uart));
}

/* What a guest finds that reads while LSR says that there is more, at most so much. */
static unsigned read_all(unsigned max)
{
	unsigned n = 0;

	for (; n < max && (in(LSR)&0x01); n++)
		in(DATA);
	return n;
}

static void type_much(void)
{
	char text[1001];

	memset(text, 'x', 1000);
	text[1000] = 0;
	fake_type(text);
}

static void input_waits_while_rts_is_down(void **state)
{
	(void)state;
	in(LSR);
	fake_type("a");
	assert_int_equal(in(DATA), 'a'); /* RTS was never up: the guest doesn't use it */
	out(MCR, 0x0b);
	fake_type("b");
	assert_int_equal(in(DATA), 'b');
	out(MCR, 0x09);
	fake_type("c");
	assert_int_equal(in(LSR), 0x60);
	out(MCR, 0x0b);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'c');
	out(MCR, 0x09);
	fake_type("d");
	fake_reset(&uart);
	in(LSR);
	assert_int_equal(in(DATA), 'd');
}

static void what_came_before_rts_fell_stays(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x02);
	in(LSR);
	type_much();
	out(MCR, 0x00);
	assert_int_equal(read_all(1000), 16);
	assert_int_equal(fake_taken, 16);
}

static void rts_in_loopback_reaches_no_peer(void **state)
{
	(void)state;
	out(MCR, 0x12);
	out(MCR, 0x00);
	in(LSR);
	fake_type("k");
	assert_int_equal(in(DATA), 'k');
}

static void rts_raises_the_interrupt_for_what_waited(void **state)
{
	(void)state;
	out(MCR, 0x02);
	out(MCR, 0x00);
	out(IER, 0x01);
	fake_type("k");
	assert_false(fake_irq(&uart));
	out(MCR, 0x02);
	assert_true(fake_irq(&uart));
}

static void a_guest_that_polls_is_never_kept_waiting(void **state)
{
	(void)state;
	out(FCR, 0x01);
	in(LSR);
	type_much();
	for (int i = 0; i < 1000; i++) {
		fake_advance(100000);
		assert_int_equal(read_all(1), 1);
	}
	assert_int_equal(fake_timers_set(), 0);
}

static void an_interrupt_handler_comes_to_an_end(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	type_much();
	for (int i = 0; i < 15; i++)
		assert_int_equal(read_all(1), 1);
	fake_advance(3000000); /* a slow one */
	assert_int_equal(read_all(1000), 1);
	assert_int_equal(in(IIR), 0xc1);
	assert_false(fake_irq(&uart));
	fake_advance(2999999); /* as long as it took to read */
	assert_false(fake_irq(&uart));
	fake_advance(1);
	assert_true(fake_irq(&uart));
	assert_int_equal(in(IIR), 0xc4);
}

static void a_burst_lasts_a_millisecond(void **state)
{
	unsigned n = 0;

	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	type_much();
	while (in(LSR)&0x01) {
		in(DATA);
		fake_advance(10000);
		n++;
	}
	assert_int_equal(n, 112); /* 100 and the rest of a FIFO */
	assert_false(fake_irq(&uart));
	fake_advance(1120000);
	assert_true(fake_irq(&uart));
}

static void all_comes_however_long_it_is(void **state)
{
	unsigned n = 0;

	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	type_much();
	for (unsigned i = 0; i < 1000 && n < 1000; i++) {
		n += read_all(1000 - n < 16 ? 1000 - n : 16);
		fake_advance(1000000);
	}
	assert_int_equal(n, 1000);
	assert_int_equal(fake_taken, 1000);
	assert_false(fake_irq(&uart));
	assert_int_equal(fake_timers_set(), 0);
}

static void a_guest_slow_to_come_waits_20_ms_at_most(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	type_much();
	fake_advance(3600ULL * 1000000000);
	assert_int_equal(read_all(1000), 16);
	fake_advance(20000000);
	assert_true(fake_irq(&uart));
}

static void keys_after_idle_time_come_at_once(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	for (int i = 0; i < 10; i++) {
		fake_type("k");
		assert_true(fake_irq(&uart));
		fake_advance(2000000);
		assert_int_equal(read_all(1000), 1);
		assert_false(fake_irq(&uart));
		fake_advance(2000000);
	}
	assert_int_equal(fake_timers_set(), 0);
}

static void who_begins_to_poll_in_a_pause_need_not_wait(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	type_much();
	fake_advance(5000000);
	assert_int_equal(read_all(1000), 16);
	out(IER, 0x00);
	assert_int_equal(read_all(1000), 984);
}

static void without_fifo_each_character_has_its_edge(void **state)
{
	(void)state;
	out(IER, 0x01);
	fake_type("abc");
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(fake_irq_edges(&uart), i);
		assert_int_equal(in(DATA), 'a' + (int)i - 1);
	}
	assert_false(fake_irq(&uart));
}

static void a_busy_register_delays_the_end_of_a_pause(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, 0x01);
	type_much();
	fake_advance(5000000);
	assert_int_equal(read_all(1000), 16);
	device_lock(&uart.dev); /* a vCPU is there, and waits for the console's reader */
	fake_advance(5000000);
	assert_false(fake_irq(&uart));
	device_unlock(&uart.dev);
	fake_advance(10000000);
	assert_true(fake_irq(&uart));
}

static void an_unconnected_line_stays_untouched(void **state)
{
	(void)state;
	fake_destroy(&uart);
	fake_create(&uart, &device_uart16550, "interrupt");
	out(IER, 0x0f);
	assert_int_equal(in(IIR), 0x02);
	out(DATA, 'a');
	assert_int_equal(fake_irq_edges(&uart), 0);
}

static void linux_takes_it_for_a_16550a(void **state)
{
	(void)state;
	out(IER, 0);
	assert_int_equal(in(IER)&0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER)&0x0f, 0x0f);
	out(IER, 0);
	out(MCR, 0x1a);
	assert_int_equal(in(MSR)&0xf0, 0x90);
	out(MCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR) >> 6, 3);
	out(FCR, 0x21); /* a 16750 would show bit 5 */
	assert_int_equal(in(IIR) >> 5, 6);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_after_reset),
		TEST(unused_bits_read_as_zero_and_scratch_holds),
		TEST(the_divisor_latch_hides_data_and_ier),
		TEST(output_is_printed_whatever_the_word_length),
		TEST(input_is_read_only_after_the_guest_looks),
		TEST(without_the_input_it_takes_nothing),
		TEST(typed_ahead_input_survives_a_small_fifo),
		TEST(without_fifo_one_character_is_held),
		TEST(iir_tells_whether_the_fifos_are_on),
		TEST(loopback_returns_what_is_sent_and_prints_nothing),
		TEST(loopback_cuts_the_receiver_off_but_loses_nothing),
		TEST(loopback_wires_the_modem_lines),
		TEST(msr_deltas_last_until_read_and_ring_counts_at_its_end),
		TEST(fifo_overrun_keeps_the_old_characters),
		TEST(overrun_without_fifo_keeps_the_new_character),
		TEST(fcr_clears_the_receiver),
		TEST(a_break_shows_when_its_character_is_on_top),
		TEST(trigger_levels_and_character_timeout),
		TEST(sources_come_in_order_of_priority),
		TEST(thre_comes_at_enabling_and_after_each_character),
		TEST(reading_iir_of_another_source_keeps_thre),
		TEST(input_raises_the_interrupt),
		TEST(input_waits_while_rts_is_down),
		TEST(what_came_before_rts_fell_stays),
		TEST(rts_in_loopback_reaches_no_peer),
		TEST(rts_raises_the_interrupt_for_what_waited),
		TEST(a_guest_that_polls_is_never_kept_waiting),
		TEST(an_interrupt_handler_comes_to_an_end),
		TEST(a_burst_lasts_a_millisecond),
		TEST(all_comes_however_long_it_is),
		TEST(a_guest_slow_to_come_waits_20_ms_at_most),
		TEST(keys_after_idle_time_come_at_once),
		TEST(who_begins_to_poll_in_a_pause_need_not_wait),
		TEST(without_fifo_each_character_has_its_edge),
		TEST(a_busy_register_delays_the_end_of_a_pause),
		TEST(an_unconnected_line_stays_untouched),
		TEST(linux_takes_it_for_a_16550a),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
