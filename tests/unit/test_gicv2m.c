/* test_gicv2m.c: what the frame tells of its lines, and what it does with messages. */
#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

extern const struct device_row device_gicv2m;

static struct fake frame;

/* The last message, and how many. */
static struct {
	unsigned n;
	uint64_t addr;
	uint32_t data;
} sent;

static int msi_send(struct device_host *host, uint64_t addr, uint32_t data, uint32_t who)
{
	(void)host;
	(void)who;
	sent.n++;
	sent.addr = addr;
	sent.data = data;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&sent, 0, sizeof(sent));
	fake_create(&frame, &device_gicv2m, NULL);
	frame.host.host.msi_send = msi_send;
	frame.plan.claims[0].start = 0x9001000;
	frame.plan.claims[1].start = 64;
	frame.plan.claims[1].size = 128;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&frame);
	return 0;
}

static void lines_are_told_as_interrupt_numbers(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&frame, 0, 0x008, 4), 96 << 16 | 128);
	assert_int_equal(fake_read(&frame, 0, 0xfcc, 4) & 0xfff, 0x43b);
	assert_int_equal(fake_read(&frame, 0, 0x040, 4), 0);
	assert_int_equal(fake_read(&frame, 0, 0x00a, 2), 0);
}

static void a_write_of_the_guest_is_a_message(void **state)
{
	(void)state;
	fake_write(&frame, 0, 0x040, 4, 96);
	assert_int_equal(sent.n, 1);
	assert_int_equal(sent.addr, 0x9001040);
	assert_int_equal(sent.data, 96);
	fake_write(&frame, 0, 0x040, 4, 223);
	assert_int_equal(sent.n, 2);
	assert_int_equal(sent.data, 223);
}

static void other_lines_and_registers_are_left_alone(void **state)
{
	static const uint64_t not_ours[] = { 0, 31, 32, 95, 224, 0xffffffff, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++)
		fake_write(&frame, 0, 0x040, 4, not_ours[i]);
	fake_write(&frame, 0, 0x008, 4, 96);
	fake_write(&frame, 0, 0x044, 4, 96);
	assert_int_equal(sent.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_are_told_as_interrupt_numbers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_write_of_the_guest_is_a_message, setup, teardown),
		cmocka_unit_test_setup_teardown(other_lines_and_registers_are_left_alone, setup,
						teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
