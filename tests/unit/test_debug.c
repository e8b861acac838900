/* test_debug.c: debug-console, debug-exit, and what all devices share. */
#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

#include <vibevmm/diag.h>

extern const struct device_row device_debug_console, device_debug_exit, device_uart16550;

static struct fake fake;

static int setup(void **state)
{
	(void)state;
	fake_console_reset();
	return 0;
}

/* ---- debug-console ------------------------------------------------------------------------ */

static void console_prints_bytes_written_at_0(void **state)
{
	(void)state;
	fake_create(&fake, &device_debug_console, NULL);
	fake_out(&fake, 0, 'h');
	fake_write(&fake, 0, 0, 4, 0x1234560069); /* as a word: its low byte */
	fake_write(&fake, 0, 0, 8, '\n');
	assert_string_equal(fake_output, "hi\n");
	fake_destroy(&fake);
}

static void console_reads_input_and_shows_it_in_line_status(void **state)
{
	(void)state;
	fake_create(&fake, &device_debug_console, NULL);
	fake_type("ok");
	fake_out(&fake, 0, '!');
	assert_null(fake_ready); /* it doesn't read before the guest looks */
	assert_int_equal(fake_in(&fake, 5), 0x61);
	assert_int_equal(fake_in(&fake, 0), 'o');
	assert_int_equal(fake_read(&fake, 0, 5, 4), 0x61);
	assert_int_equal(fake_read(&fake, 0, 0, 4), 'k');
	assert_int_equal(fake_in(&fake, 5), 0x60);
	assert_int_equal(fake_in(&fake, 0), 0);
	fake_destroy(&fake);
}

static void console_without_the_input_leaves_it_alone(void **state)
{
	(void)state;
	fake_create(&fake, &device_debug_console, "input");
	fake_type("x");
	assert_int_equal(fake_in(&fake, 5), 0x60);
	assert_int_equal(fake_in(&fake, 0), 0);
	assert_null(fake_ready);
	assert_int_equal(fake_taken, 0);
	fake_destroy(&fake);
}

static void console_has_a_scratch_register_and_a_divisor_latch(void **state)
{
	(void)state;
	fake_create(&fake, &device_debug_console, NULL);
	fake_out(&fake, 7, 0x5a);
	assert_int_equal(fake_in(&fake, 7), 0x5a);
	fake_out(&fake, 3, 0x83);
	fake_out(&fake, 0, 0x01);
	fake_out(&fake, 1, 0x02);
	assert_int_equal(fake_in(&fake, 0), 0x01);
	assert_int_equal(fake_in(&fake, 1), 0x02);
	fake_out(&fake, 3, 0x03);
	assert_int_equal(fake_in(&fake, 3), 0x03);
	assert_int_equal(fake_output_len, 0);
	assert_int_equal(fake_in(&fake, 1), 0x00);
	fake_reset(&fake);
	assert_int_equal(fake_in(&fake, 7), 0);
	fake_destroy(&fake);
}

static void console_ignores_the_rest_of_its_window(void **state)
{
	(void)state;
	fake_create(&fake, &device_debug_console, NULL);
	for (uint64_t offset = 1; offset < 0x1000; offset++) {
		fake_write(&fake, 0, offset, 1, 0x7f);
		fake_read(&fake, 0, offset, 1);
	}
	assert_int_equal(fake_in(&fake, 0xfff), 0);
	assert_int_equal(fake_output_len, 0);
	fake_destroy(&fake);
}

/* ---- debug-exit --------------------------------------------------------------------------- */

static void exit_takes_the_value_of_any_width(void **state)
{
	static const uint64_t values[][2] = { { 1, 0x2a }, { 2, 0x1234 }, { 4, 0x89abcdef } };

	(void)state;
	fake_create(&fake, &device_debug_exit, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		fake_write(&fake, 0, 0, (unsigned)values[i][0], values[i][1]);
		assert_int_equal(fake.host.exits, i + 1);
		assert_int_equal(fake.host.exit_status, values[i][1]);
	}
	fake_destroy(&fake);
}

static void exit_ignores_reads_and_other_offsets(void **state)
{
	(void)state;
	fake_create(&fake, &device_debug_exit, NULL);
	assert_int_equal(fake_read(&fake, 0, 0, 4), 0);
	for (uint64_t offset = 1; offset < 4; offset++)
		fake_out(&fake, offset, 1);
	assert_int_equal(fake.host.exits, 0);
	fake_destroy(&fake);
}

/* ---- What all share ----------------------------------------------------------------------- */

static size_t errors_of_check(const struct device_row *row, bool port_is_default, bool port,
			      bool at)
{
	struct node port_node = { .key = (char[]){ "port" }, .is_default = port_is_default };
	struct node at_node = { .key = (char[]){ "at" } };
	struct node *children[2];
	struct node node = { .kind = NODE_MAP, .children = children };
	struct diags *diags = diags_new();
	size_t errors;

	if (port)
		children[node.n_children++] = &port_node;
	if (at)
		children[node.n_children++] = &at_node;
	row->check((const uint64_t[64]){ 0 }, &node, diags);
	errors = diags_errors(diags);
	diags_free(diags);
	return errors;
}

static void port_and_at_exclude_each_other(void **state)
{
	const struct device_row *const rows[] = { &device_debug_exit, &device_uart16550 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(errors_of_check(rows[i], false, true, true), 1);
		assert_int_equal(errors_of_check(rows[i], true, true, true), 0);
		assert_int_equal(errors_of_check(rows[i], false, true, false), 0);
		assert_int_equal(errors_of_check(rows[i], false, false, true), 0);
		assert_int_equal(errors_of_check(rows[i], false, false, false), 0);
	}
}

static void claims_are_found_by_name(void **state)
{
	(void)state;
	fake_create(&fake, &device_uart16550, "interrupt");
	assert_int_equal(device_claim(&fake.dev, "ports"), 0);
	assert_int_equal(device_claim(&fake.dev, "registers"), -1);
	assert_true(device_claim_connected(&fake.dev, device_claim(&fake.dev, "input")));
	assert_false(device_claim_connected(&fake.dev, device_claim(&fake.dev, "interrupt")));
	assert_false(device_claim_connected(&fake.dev, -1));
	device_irq_set(&fake.dev, -1, true);
	device_irq_set(&fake.dev, device_claim(&fake.dev, "interrupt"), true);
	assert_false(fake_irq(&fake));
	fake_destroy(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(console_prints_bytes_written_at_0, setup),
		cmocka_unit_test_setup(console_reads_input_and_shows_it_in_line_status, setup),
		cmocka_unit_test_setup(console_without_the_input_leaves_it_alone, setup),
		cmocka_unit_test_setup(console_has_a_scratch_register_and_a_divisor_latch, setup),
		cmocka_unit_test_setup(console_ignores_the_rest_of_its_window, setup),
		cmocka_unit_test_setup(exit_takes_the_value_of_any_width, setup),
		cmocka_unit_test_setup(exit_ignores_reads_and_other_offsets, setup),
		cmocka_unit_test(port_and_at_exclude_each_other),
		cmocka_unit_test(claims_are_found_by_name),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
