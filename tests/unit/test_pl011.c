/* test_pl011.c: Arm's serial port as a driver sees it. */
#include "primecell.h"

extern const struct device_row device_pl011;

/* DDI 0183, 3.2 */
enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
};
enum { FEN = 0x10, BRK = 1, LBE = 0x80, TXE_RXE = 0x300, UARTEN = 1 };
enum { INT_RX = 0x10, INT_TX = 0x20, INT_RT = 0x40, INT_BE = 0x200, INT_OE = 0x400 };
enum { RXFE = 0x10, RXFF = 0x40, TXFE = 0x80 };

static int setup(void **state)
{
	(void)state;
	fake_console_reset();
	fake_create(&fake, &device_pl011, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&fake);
	return 0;
}

static void test_ids(void **state)
{
	(void)state;
	check_ids((const uint8_t[]){ 0x11, 0x10, 0x34, 0x00 });
}

static void test_reset_values(void **state)
{
	(void)state;
	out(CR, 0xffff);
	out(IFLS, 0);
	out(IMSC, 0x7ff);
	fake_reset(&fake);
	assert_int_equal(in(CR), 0x300);
	assert_int_equal(in(IFLS), 0x12);
	assert_int_equal(in(IMSC), 0);
	assert_int_equal(in(LCR_H), 0);
	assert_int_equal(in(RIS), 0);
	assert_int_equal(in(FR) & (TXFE | RXFE), TXFE | RXFE);
}

static void test_output_of_any_width(void **state)
{
	(void)state;
	fake_write(&fake, 0, DR, 1, 'a');
	fake_write(&fake, 0, DR, 2, 'b');
	fake_write(&fake, 0, DR, 4, 'c');
	assert_string_equal(fake_output, "abc");
}

static void test_transmit_interrupt(void **state)
{
	(void)state;
	out(IMSC, INT_TX);
	assert_false(fake_irq(&fake)); /* nothing was sent yet */
	out(DR, 'x');
	assert_true(fake_irq(&fake));
	assert_int_equal(in(MIS), INT_TX);
	out(ICR, INT_TX);
	assert_false(fake_irq(&fake));
	out(DR, 'y');
	assert_true(fake_irq(&fake));
	out(IMSC, 0);
	assert_false(fake_irq(&fake));
	assert_int_equal(in(RIS), INT_TX);
	assert_int_equal(in(MIS), 0);
}

static void test_one_character_without_fifo(void **state)
{
	(void)state;
	out(IMSC, INT_RX);
	fake_type("ab");
	assert_true(fake_irq(&fake));
	assert_int_equal(in(FR) & (RXFE | RXFF), RXFF);
	assert_int_equal(in(DR), 'a');
	assert_true(fake_irq(&fake)); /* the next came at once */
	assert_int_equal(in(DR), 'b');
	assert_false(fake_irq(&fake));
	assert_int_equal(in(FR) & (RXFE | RXFF), RXFE);
}

/* IFLS' reset value: half of the FIFO raises RX; less is told by the timeout. */
static void test_trigger_and_timeout(void **state)
{
	(void)state;
	out(LCR_H, FEN);
	out(IMSC, INT_RX);
	fake_type("123456789012345");
	assert_int_equal(in(RIS) & (INT_RX | INT_RT), INT_RT);
	assert_false(fake_irq(&fake));
	for (unsigned i = 0; i < 15; i++)
		in(DR);
	assert_int_equal(in(RIS), 0);
	fake_type("1234567890123456");
	assert_int_equal(in(RIS)&INT_RX, INT_RX);
	assert_true(fake_irq(&fake));
	assert_int_equal(in(DR), '1');
	assert_false(fake_irq(&fake)); /* below the level again */
	out(IMSC, INT_RT);
	assert_true(fake_irq(&fake));
	for (unsigned i = 0; i < 15; i++)
		in(DR);
	assert_false(fake_irq(&fake));
}

static void test_every_trigger(void **state)
{
	static const unsigned levels[] = { 4, 8, 16, 24, 28 };

	(void)state;
	out(LCR_H, FEN);
	out(IMSC, INT_RX);
	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		out(IFLS, i << 3);
		for (unsigned n = 1; n < levels[i]; n++)
			fake_type("x");
		in(FR);
		assert_int_equal(in(RIS)&INT_RX, 0);
		fake_type("x");
		/* The console calls when its buffer was empty, as it is each time. */
		assert_int_equal(in(RIS)&INT_RX, INT_RX);
		while (!(in(FR)&RXFE))
			in(DR);
	}
}

static void test_long_input_waits_in_the_console(void **state)
{
	char text[101];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		text[i] = (char)('!' + i % 90);
	text[100] = 0;
	out(LCR_H, FEN);
	out(IMSC, INT_RX | INT_RT);
	fake_type(text);
	assert_int_equal(in(FR)&RXFF, RXFF);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(fake_irq(&fake));
		assert_int_equal(in(DR), text[i]);
	}
	assert_false(fake_irq(&fake));
	assert_int_equal(in(RIS)&INT_OE, 0);
}

/* A guest whose handler reads until nothing is left, and is slow at it, gets as long without input
 * as it has read. */
static void test_slow_handler_gets_a_pause(void **state)
{
	unsigned n = 0;

	(void)state;
	out(LCR_H, FEN);
	out(IMSC, INT_RX | INT_RT);
	fake_type("0123456789012345678901234567890123456789");
	while (!(in(FR)&RXFE)) {
		fake_advance(100000);
		in(DR);
		n++;
	}
	assert_int_equal(n, 32);
	assert_false(fake_irq(&fake));
	fake_advance(3200000 - 1);
	assert_int_equal(in(FR)&RXFE, RXFE);
	fake_advance(1);
	assert_true(fake_irq(&fake));
	for (n = 2; n < 10; n++)
		assert_int_equal(in(DR), '0' + n);
	assert_false(fake_irq(&fake));
}

/* But one that comes late, rather than reads slowly, does not wait for as long again. */
static void test_no_pause_is_longer_than_20_ms(void **state)
{
	(void)state;
	out(LCR_H, FEN);
	out(IMSC, INT_RX | INT_RT);
	fake_type("01234567890123456789012345678901x");
	fake_advance(5000000000);
	for (unsigned n = 0; n < 32; n++)
		in(DR);
	fake_advance(20000000 - 1);
	assert_false(fake_irq(&fake));
	fake_advance(1);
	assert_true(fake_irq(&fake));
	assert_int_equal(in(DR), 'x');
}

/* As Linux ends its handler: the character that came in between must not be forgotten. */
static void test_clearing_loses_no_character(void **state)
{
	(void)state;
	out(LCR_H, FEN);
	out(IMSC, INT_RX | INT_RT);
	fake_type("a");
	assert_int_equal(in(DR), 'a');
	fake_type("b");
	out(ICR, 0x7ff);
	assert_true(fake_irq(&fake));
	out(ICR, 0x7ff); /* but one who clears twice is taken at his word */
	assert_false(fake_irq(&fake));
	assert_int_equal(in(DR), 'b');
}

static void test_nothing_is_read_with_receiver_off(void **state)
{
	(void)state;
	out(CR, UARTEN);
	out(IMSC, INT_RX);
	fake_type("a");
	assert_int_equal(in(FR)&RXFE, RXFE);
	out(CR, UARTEN | TXE_RXE);
	assert_int_equal(in(DR), 'a');
}

static void test_loopback(void **state)
{
	(void)state;
	out(LCR_H, FEN);
	out(CR, TXE_RXE | UARTEN | LBE | 0x3c00);
	assert_int_equal(in(FR)&0x107, 0x107);
	out(CR, TXE_RXE | UARTEN | LBE);
	assert_int_equal(in(FR)&0x107, 0);
	assert_int_equal(in(RIS)&0xf, 0xf);
	for (unsigned i = 0; i < 33; i++)
		out(DR, i);
	assert_int_equal(fake_output_len, 0);
	assert_int_equal(in(RIS)&INT_OE, INT_OE);
	assert_int_equal(in(RSR)&8, 8);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(in(DR), i);
	out(DR, 'o');
	assert_int_equal(in(DR), 'o' | 0x800); /* something was lost before it */
	out(LCR_H, FEN | BRK);
	assert_int_equal(in(RIS)&INT_BE, INT_BE);
	assert_int_equal(in(DR), 0x400);
	assert_int_equal(in(RSR), 4);
	out(RSR, 0);
	assert_int_equal(in(RSR), 0);
}

static void test_break_holds_the_line(void **state)
{
	(void)state;
	out(LCR_H, BRK);
	out(DR, 'x');
	out(LCR_H, 0);
	out(DR, 'y');
	assert_string_equal(fake_output, "y");
}

static void test_log_is_gathered_until_the_guest_waits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 255; i++)
		out(DR, '.');
	assert_false(fake.host.coalesced[0]);
	out(DR, '.');
	assert_true(fake.host.coalesced[0]);
	out(IMSC, INT_TX);
	assert_false(fake.host.coalesced[0]);
	out(IMSC, 0);
	for (unsigned i = 0; i < 256; i++)
		out(DR, '.');
	assert_false(fake.host.coalesced[0]); /* twice as many from now on */
	for (unsigned i = 0; i < 256; i++)
		out(DR, '.');
	assert_true(fake.host.coalesced[0]);
	fake_reset(&fake);
	assert_false(fake.host.coalesced[0]);
}

static void test_without_line(void **state)
{
	struct fake bare;

	(void)state;
	fake_create(&bare, &device_pl011, "interrupt");
	fake_write(&bare, 0, IMSC, 4, 0x7ff);
	fake_write(&bare, 0, DR, 4, 'z');
	assert_int_equal(fake_irq_edges(&bare), 0);
	assert_string_equal(fake_output, "z");
	fake_destroy(&bare);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_ids),
		TEST(test_reset_values),
		TEST(test_output_of_any_width),
		TEST(test_transmit_interrupt),
		TEST(test_one_character_without_fifo),
		TEST(test_trigger_and_timeout),
		TEST(test_every_trigger),
		TEST(test_long_input_waits_in_the_console),
		TEST(test_slow_handler_gets_a_pause),
		TEST(test_no_pause_is_longer_than_20_ms),
		TEST(test_clearing_loses_no_character),
		TEST(test_nothing_is_read_with_receiver_off),
		TEST(test_loopback),
		TEST(test_break_holds_the_line),
		TEST(test_log_is_gathered_until_the_guest_waits),
		TEST(test_without_line),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
