/* test_ioapic.c: the I/O APIC's register model, without a hypervisor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/hv/ioapic.h"

/* Registers and bits as a guest writes them, from the 82093AA datasheet, 3.2. */
#define LOW(pin)  (0x10U + 2 * (pin))
#define HIGH(pin) (LOW(pin) + 1)
#define LOGICAL	  (1U << 11)
#define RIRR	  (1U << 14)
#define LEVEL	  (1U << 15)
#define MASKED	  (1U << 16)

static struct ioapic ioapic;
static struct ioapic_message sent[16];
static unsigned n_sent, n_reroutes;

static void on_send(void *arg, const struct ioapic_message *message)
{
	assert_ptr_equal(arg, &ioapic);
	assert_in_range(n_sent, 0, 15);
	sent[n_sent++] = *message;
}

static void on_reroute(void *arg)
{
	assert_ptr_equal(arg, &ioapic);
	n_reroutes++;
}

static int set_up(void **state)
{
	(void)state;
	memset(&ioapic, 0xff, sizeof(ioapic));
	ioapic.send = on_send;
	ioapic.reroute = on_reroute;
	ioapic.arg = &ioapic;
	ioapic.pins = IOAPIC_PINS;
	ioapic_reset(&ioapic);
	n_sent = n_reroutes = 0;
	return 0;
}

static void reg_write(unsigned reg, uint32_t value)
{
	ioapic_write(&ioapic, 0x00, reg);
	ioapic_write(&ioapic, 0x10, value);
}

static uint32_t reg_read(unsigned reg)
{
	ioapic_write(&ioapic, 0x00, reg);
	assert_int_equal(ioapic_read(&ioapic, 0x00), reg);
	return ioapic_read(&ioapic, 0x10);
}

static void identity_registers(void **state)
{
	(void)state;
	assert_int_equal(reg_read(1), 0x00170020); /* 24 pins, version 0x20 */
	reg_write(1, 0xffffffff);
	assert_int_equal(reg_read(1), 0x00170020);
	assert_int_equal(reg_read(0), 0);
	reg_write(0, 0xffffffff);
	assert_int_equal(reg_read(0), 0x0f000000);
	assert_int_equal(reg_read(2), 0x0f000000);
}

static void power_on_pins_are_masked_and_silent(void **state)
{
	(void)state;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		assert_int_equal(reg_read(LOW(pin)), MASKED);
		assert_int_equal(reg_read(HIGH(pin)), 0);
		ioapic_set(&ioapic, pin, true);
	}
	assert_int_equal(n_sent, 0);
	assert_int_equal(n_reroutes, 0);
}

static void read_only_bits_of_an_entry_stay(void **state)
{
	(void)state;
	reg_write(LOW(3), 0xffffffff);
	assert_int_equal(reg_read(LOW(3)), 0x0001ffff & ~(RIRR | 1U << 12));
	reg_write(HIGH(3), 0xffffffff);
	assert_int_equal(reg_read(HIGH(3)), 0xff000000);
}

static void unknown_registers_and_offsets_are_harmless(void **state)
{
	(void)state;
	for (unsigned reg = 0; reg < 256; reg++) {
		if (reg >= 0x40 || (reg > 2 && reg < 0x10)) {
			reg_write(reg, 0xffffffff);
			assert_int_equal(reg_read(reg), 0);
		}
	}
	for (uint64_t offset = 0; offset < IOAPIC_WINDOW; offset++) {
		if (offset == 0x00 || offset == 0x10)
			continue;
		ioapic_write(&ioapic, offset, 0xffffffff);
		assert_int_equal(ioapic_read(&ioapic, offset), 0);
	}
	ioapic_set(&ioapic, IOAPIC_PINS, true);
	ioapic_set(&ioapic, UINT32_MAX, true);
	ioapic_follow(&ioapic, IOAPIC_PINS);
	assert_int_equal(n_sent, 0);
}

static void an_edge_sends_its_message_once(void **state)
{
	(void)state;
	reg_write(HIGH(4), 0x05000000);
	reg_write(LOW(4), 0x34);
	ioapic_set(&ioapic, 4, true);
	ioapic_set(&ioapic, 4, true);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].addr, 0xfee05000);
	assert_int_equal(sent[0].data, 0x4034);
	ioapic_set(&ioapic, 4, false);
	assert_int_equal(n_sent, 1);
	ioapic_set(&ioapic, 4, true);
	assert_int_equal(n_sent, 2);
	assert_int_equal(reg_read(LOW(4)), 0x34); /* no remote IRR */
}

static void a_message_holds_mode_and_destination(void **state)
{
	(void)state;
	reg_write(HIGH(23), 0xff000000);
	reg_write(LOW(23), 0x51 | 1U << 8 | LOGICAL);
	ioapic_set(&ioapic, 23, true);
	assert_int_equal(sent[0].addr, 0xfeeff004);
	assert_int_equal(sent[0].data, 0x4151);
}

static void an_edge_on_a_masked_pin_is_lost(void **state)
{
	(void)state;
	reg_write(LOW(4), 0x34 | MASKED);
	ioapic_set(&ioapic, 4, true);
	reg_write(LOW(4), 0x34);
	assert_int_equal(n_sent, 0);
}

static void a_level_waits_for_its_eoi(void **state)
{
	(void)state;
	reg_write(LOW(9), 0x60 | LEVEL);
	ioapic_set(&ioapic, 9, true);
	ioapic_set(&ioapic, 9, true);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].data, 0xc060);
	assert_int_equal(reg_read(LOW(9)), 0x60 | LEVEL | RIRR);
	ioapic_eoi(&ioapic, 0x61); /* another's */
	assert_int_equal(n_sent, 1);
	ioapic_eoi(&ioapic, 0x60); /* still asserted: again */
	assert_int_equal(n_sent, 2);
	ioapic_set(&ioapic, 9, false);
	assert_int_equal(reg_read(LOW(9)), 0x60 | LEVEL | RIRR);
	ioapic_eoi(&ioapic, 0x60);
	assert_int_equal(n_sent, 2);
	assert_int_equal(reg_read(LOW(9)), 0x60 | LEVEL);
	ioapic_eoi(&ioapic, 0x60); /* owed by nobody */
	assert_int_equal(n_sent, 2);
}

static void a_level_on_a_masked_pin_fires_when_unmasked(void **state)
{
	(void)state;
	reg_write(LOW(9), 0x60 | LEVEL | MASKED);
	ioapic_set(&ioapic, 9, true);
	assert_int_equal(n_sent, 0);
	reg_write(LOW(9), 0x60 | LEVEL);
	assert_int_equal(n_sent, 1);
}

static void a_level_eoi_while_masked_waits_for_the_mask(void **state)
{
	(void)state;
	reg_write(LOW(9), 0x60 | LEVEL);
	ioapic_set(&ioapic, 9, true);
	reg_write(LOW(9), 0x60 | LEVEL | MASKED);
	assert_int_equal(reg_read(LOW(9)), 0x60 | LEVEL | MASKED | RIRR);
	ioapic_eoi(&ioapic, 0x60);
	assert_int_equal(n_sent, 1);
	reg_write(LOW(9), 0x60 | LEVEL);
	assert_int_equal(n_sent, 2);
}

static void pins_that_share_a_vector_share_its_eoi(void **state)
{
	(void)state;
	reg_write(LOW(5), 0x60 | LEVEL);
	reg_write(LOW(6), 0x60 | LEVEL);
	ioapic_set(&ioapic, 5, true);
	ioapic_set(&ioapic, 6, true);
	assert_int_equal(n_sent, 2);
	ioapic_set(&ioapic, 5, false);
	ioapic_eoi(&ioapic, 0x60);
	assert_int_equal(n_sent, 3);
	assert_int_equal(reg_read(LOW(5)), 0x60 | LEVEL);
	assert_int_equal(reg_read(LOW(6)), 0x60 | LEVEL | RIRR);
}

static void the_eoi_register_does_the_same(void **state)
{
	(void)state;
	reg_write(LOW(9), 0x60 | LEVEL);
	ioapic_set(&ioapic, 9, true);
	ioapic_write(&ioapic, 0x40, 0x60);
	assert_int_equal(n_sent, 2);
}

static void switching_to_edge_and_back_forgets_a_missing_eoi(void **state)
{
	(void)state;
	reg_write(LOW(9), 0x60 | LEVEL);
	ioapic_set(&ioapic, 9, true);
	ioapic_set(&ioapic, 9, false);
	reg_write(LOW(9), 0x60 | MASKED);
	reg_write(LOW(9), 0x60 | LEVEL);
	assert_int_equal(reg_read(LOW(9)), 0x60 | LEVEL);
	ioapic_set(&ioapic, 9, true);
	assert_int_equal(n_sent, 2);
}

static void nmi_is_an_edge_whatever_its_trigger_bit(void **state)
{
	(void)state;
	reg_write(LOW(2), 4U << 8 | LEVEL);
	ioapic_set(&ioapic, 2, true);
	ioapic_set(&ioapic, 2, false);
	ioapic_set(&ioapic, 2, true);
	assert_int_equal(n_sent, 2);
	assert_int_equal(sent[0].data, 0x4400);
}

static void extint_has_no_message(void **state)
{
	(void)state;
	ioapic_follow(&ioapic, 0);
	reg_write(LOW(0), 7U << 8);
	ioapic_set(&ioapic, 0, true);
	assert_int_equal(n_sent, 0);
	assert_int_equal(ioapic.routed, 0);
}

static void only_levels_and_followed_pins_are_routed(void **state)
{
	(void)state;
	reg_write(LOW(1), 0x31);
	assert_int_equal(n_reroutes, 0);

	ioapic_follow(&ioapic, 1); /* unmasked already */
	assert_int_equal(n_reroutes, 1);
	assert_int_equal(ioapic.routed, 1U << 1);
	assert_int_equal(ioapic.routes[1].addr, 0xfee00000);
	assert_int_equal(ioapic.routes[1].data, 0x4031);

	reg_write(LOW(9), 0x60 | LEVEL);
	assert_int_equal(n_reroutes, 2);
	assert_int_equal(ioapic.routed, 1U << 1 | 1U << 9);
	assert_int_equal(ioapic.routes[9].data, 0xc060);
}

static void a_followed_pin_loses_its_route_while_masked(void **state)
{
	(void)state;
	ioapic_follow(&ioapic, 1);
	assert_int_equal(n_reroutes, 0);
	reg_write(LOW(1), 0x31);
	reg_write(LOW(1), 0x31 | MASKED);
	assert_int_equal(n_reroutes, 2);
	assert_int_equal(ioapic.routed, 0);
	reg_write(HIGH(1), 0x02000000); /* masked: nobody needs to know */
	assert_int_equal(n_reroutes, 2);
	reg_write(LOW(1), 0x31);
	assert_int_equal(n_reroutes, 3);
	assert_int_equal(ioapic.routes[1].addr, 0xfee02000);
}

static void masking_a_level_costs_no_reroute(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		reg_write(LOW(9), 0x60 | LEVEL);
		reg_write(LOW(9), 0x60 | LEVEL | MASKED);
	}
	assert_int_equal(n_reroutes, 1);
	reg_write(LOW(9), 0x61 | LEVEL);
	assert_int_equal(n_reroutes, 2);
	reg_write(LOW(9), 0x61); /* now an edge, which nobody follows */
	assert_int_equal(n_reroutes, 3);
	assert_int_equal(ioapic.routed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(identity_registers, set_up),
		cmocka_unit_test_setup(power_on_pins_are_masked_and_silent, set_up),
		cmocka_unit_test_setup(read_only_bits_of_an_entry_stay, set_up),
		cmocka_unit_test_setup(unknown_registers_and_offsets_are_harmless, set_up),
		cmocka_unit_test_setup(an_edge_sends_its_message_once, set_up),
		cmocka_unit_test_setup(a_message_holds_mode_and_destination, set_up),
		cmocka_unit_test_setup(an_edge_on_a_masked_pin_is_lost, set_up),
		cmocka_unit_test_setup(a_level_waits_for_its_eoi, set_up),
		cmocka_unit_test_setup(a_level_on_a_masked_pin_fires_when_unmasked, set_up),
		cmocka_unit_test_setup(a_level_eoi_while_masked_waits_for_the_mask, set_up),
		cmocka_unit_test_setup(pins_that_share_a_vector_share_its_eoi, set_up),
		cmocka_unit_test_setup(the_eoi_register_does_the_same, set_up),
		cmocka_unit_test_setup(switching_to_edge_and_back_forgets_a_missing_eoi, set_up),
		cmocka_unit_test_setup(nmi_is_an_edge_whatever_its_trigger_bit, set_up),
		cmocka_unit_test_setup(extint_has_no_message, set_up),
		cmocka_unit_test_setup(only_levels_and_followed_pins_are_routed, set_up),
		cmocka_unit_test_setup(a_followed_pin_loses_its_route_while_masked, set_up),
		cmocka_unit_test_setup(masking_a_level_costs_no_reroute, set_up),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
