/* test_vfio.c: what a guest is shown of a function that is passed through, and where its BARs go.
 */
#include "pci_helpers.h"

#include "../../src/vfio/vfio.h"

#define SLOT 0x18

enum { POWER = 0x40, MSI = 0x50, VENDOR = 0x68, EXPRESS = 0x80, MSIX = 0xc0 };

static struct {
	struct device dev;
	struct plan_device plan;
	struct pci_function f;
	uint8_t raw[PCI_CONFIG_SIZE];
	bool passed[PCI_CONFIG_SIZE];
	struct vfio_msix msix;
} t;

static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	(void)f;
	(void)size;
	return bar << 24 | offset;
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	(void)f;
	(void)bar;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct pci_ops ops = { .bar_read = bar_read, .bar_write = bar_write };

static void put_cap(unsigned at, unsigned id, unsigned next)
{
	t.raw[at] = (uint8_t)id;
	t.raw[at + 1] = (uint8_t)next;
}

/* An endpoint with all the capabilities that are made up, and one that isn't. */
static int setup(void **state)
{
	static const struct claim claim = { .name = "function", .space = SPACE_PCI };

	(void)state;
	pci_start(INTX);
	memset(&t, 0, sizeof(t));
	t.dev = (struct device){ .plan = &t.plan, .host = &pci.fake.host };
	t.plan = (struct plan_device){ .label = "thing",
				       .claims = { { &claim, 0, SLOT, 1, true } },
				       .n_claims = 1 };
	pthread_mutex_init(&t.dev.lock, NULL);
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		t.raw[i] = i >= 0x40 ? 0xd0 : 0;
	bytes_put32(t.raw, 0x56781234);
	bytes_put32(t.raw + 8, 0x01080242);
	bytes_put32(t.raw + 0x2c, 0xdef09abc);
	t.raw[0x06] = 0x10;
	t.raw[0x34] = POWER;
	t.raw[0x3d] = 1;
	put_cap(POWER, 0x01, MSI);
	bytes_put16(t.raw + POWER + 2, 0xffc3);
	put_cap(MSI, 0x05, VENDOR);
	bytes_put16(t.raw + MSI + 2, 0x0180); /* 64 bits, masks: 24 bytes */
	put_cap(VENDOR, 0x09, EXPRESS);
	t.raw[VENDOR + 2] = 0x14;
	put_cap(EXPRESS, 0x10, MSIX);
	bytes_put16(t.raw + EXPRESS + 2, 0x0002); /* an endpoint, version 2 */
	put_cap(MSIX, 0x11, 0);
	bytes_put16(t.raw + MSIX + 2, 0x8000 | (65 - 1));
	bytes_put32(t.raw + MSIX + 4, 0x2000 | 0);
	bytes_put32(t.raw + MSIX + 8, 0x0800 | 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_detach(&t.f);
	pthread_mutex_destroy(&t.dev.lock);
	pci_stop();
	return 0;
}

static void show(void)
{
	vfio_config_show(&t.f, &t.dev, &ops, t.raw, t.passed, &t.msix);
}

static void plug(void)
{
	struct err err;

	show();
	assert_int_equal(pci_attach(&t.f, &err), 0);
}

/* ---- Configuration space --------------------------------------------------------------------- */

static void the_identity_is_the_functions_and_there_is_no_pin(void **state)
{
	(void)state;
	plug();
	assert_int_equal(config_in(SLOT, 0, 4), 0x56781234);
	assert_int_equal(config_in(SLOT, 8, 4), 0x01080242);
	assert_int_equal(config_in(SLOT, 0x2c, 4), 0xdef09abc);
	assert_int_equal(config_in(SLOT, 0x3d, 1), 0);
	assert_int_equal(config_in(SLOT, 0x30, 4), 0); /* no ROM */
	config_out(SLOT, 0x30, 4, 0xffffffff);
	assert_int_equal(config_in(SLOT, 0x30, 4), 0);
}

static void capabilities_stay_where_they_are(void **state)
{
	(void)state;
	plug();
	assert_int_equal(capability(SLOT, 0x01, 0), POWER);
	assert_int_equal(capability(SLOT, 0x09, 0), VENDOR);
	assert_int_equal(capability(SLOT, 0x10, 0), EXPRESS);
	assert_int_equal(config_in(SLOT, VENDOR + 2, 1), 0x14);
}

static void msi_is_hidden_and_what_is_behind_it_is_not(void **state)
{
	(void)state;
	plug();
	assert_int_equal(capability(SLOT, 0x05, 0), 0);
	for (unsigned i = MSI; i < MSI + 24; i++)
		assert_false(t.passed[i] || t.f.config[i] || t.f.writable[i]);
	assert_int_equal(VENDOR, MSI + 24);
	assert_true(t.passed[VENDOR + 2]);
}

static void msix_is_found_and_can_be_added_in_its_place(void **state)
{
	struct err err;

	(void)state;
	show();
	assert_int_equal(t.msix.at, MSIX);
	assert_int_equal(t.msix.vectors, 65);
	assert_int_equal(t.msix.table_bar, 0);
	assert_int_equal(t.msix.table, 0x2000);
	assert_int_equal(t.msix.pba_bar, 3);
	assert_int_equal(t.msix.pba, 0x800);
	pci_bar_add(&t.f, 0, WINDOW, 0x4000, true, false);
	pci_bar_add(&t.f, 3, WINDOW + 0x4000, 0x1000, false, false);
	t.f.next_capability = t.msix.at;
	assert_int_equal(pci_msix_add(&t.f, 65, 0, 0x2000, 3, 0x800), 0);
	assert_int_equal(pci_attach(&t.f, &err), 0);
	assert_int_equal(capability(SLOT, 0x11, 0), MSIX);
	assert_int_equal(config_in(SLOT, MSIX + 2, 2), 64);
	assert_int_equal(config_in(SLOT, MSIX + 4, 4), 0x2000);
	assert_int_equal(config_in(SLOT, MSIX + 8, 4), 0x803);
	for (unsigned i = MSIX; i < MSIX + 12; i++)
		assert_false(t.passed[i]);
	/* Table and PBA are the bus's, each in its BAR; the rest is the function's. */
	assert_int_equal(mem_in(WINDOW + 0x2000 + 12, 4), 1);
	assert_int_equal(mem_in(WINDOW + 0x800, 4), 0x800);
	assert_int_equal(mem_in(WINDOW + 0x4000 + 0x800, 8), 0);
	assert_int_equal(mem_in(WINDOW + 0x4000 + 0x810, 4), 3 << 24 | 0x810);
}

static void a_sleeping_function_stays_awake(void **state)
{
	(void)state;
	plug();
	assert_int_equal(config_in(SLOT, POWER + 2, 2), 0x07c3); /* no PME */
	assert_int_equal(config_in(SLOT, POWER + 4, 4), 8);
	config_out(SLOT, POWER + 4, 2, 0x8103);
	assert_int_equal(config_in(SLOT, POWER + 4, 2), 0x000b);
	for (unsigned i = POWER; i < POWER + 8; i++)
		assert_false(t.passed[i]);
}

static void an_endpoint_is_integrated_and_has_no_link(void **state)
{
	(void)state;
	plug();
	assert_int_equal(config_in(SLOT, EXPRESS + 2, 2), 0x0092);
	assert_int_equal(config_in(SLOT, EXPRESS + 0x0c, 4), 0);
	assert_int_equal(config_in(SLOT, EXPRESS + 0x10, 4), 0);
	assert_int_equal(config_in(SLOT, EXPRESS + 0x2c, 4), 0);
	assert_int_equal(config_in(SLOT, EXPRESS + 0x30, 4), 0);
	assert_true(t.passed[EXPRESS + 4] && t.passed[EXPRESS + 0x08] && t.passed[EXPRESS + 0x28]);
	assert_false(t.passed[EXPRESS + 0x2c]);
}

static void an_old_endpoint_has_other_registers_where_newer_ones_have_a_second_link(void **state)
{
	(void)state;
	bytes_put16(t.raw + EXPRESS + 2, 0x0011); /* a legacy one, version 1 */
	show();
	assert_int_equal(bytes_get16(t.f.config + EXPRESS + 2), 0x0091);
	assert_false(t.passed[EXPRESS + 0x0c]);
	assert_true(t.passed[EXPRESS + 0x2c] && t.passed[EXPRESS + 0x33]);
}

static void an_integrated_endpoint_is_left_alone(void **state)
{
	(void)state;
	bytes_put16(t.raw + EXPRESS + 2, 0x0092);
	show();
	assert_int_equal(bytes_get16(t.f.config + EXPRESS + 2), 0x0092);
	assert_true(t.passed[EXPRESS + 0x0c]);
}

static void all_else_is_the_functions_own(void **state)
{
	unsigned at = 0x3e, end = 0x100;

	(void)state;
	show();
	for (unsigned i = 0; i < 0x40; i++)
		assert_false(t.passed[i]);
	for (unsigned i = MSIX + 12; i < 0x100; i++)
		assert_true(t.passed[i] && t.f.writable[i] == 0xff && t.f.config[i] == 0xd0);
	assert_int_equal(vfio_config_run(t.passed, &at, end), MSI - POWER - 8);
	assert_int_equal(at, POWER + 8);
	at = VENDOR;
	assert_int_equal(vfio_config_run(t.passed, &at, VENDOR + 4), 2);
	assert_int_equal(at, VENDOR + 2);
	at = MSI;
	assert_int_equal(vfio_config_run(t.passed, &at, MSI + 4), 0);
}

static void a_list_that_is_a_ring_ends(void **state)
{
	(void)state;
	put_cap(EXPRESS, 0x10, POWER);
	plug();
	assert_int_equal(capability(SLOT, 0x10, 0), EXPRESS);
	assert_int_equal(capability(SLOT, 0xee, 0), 0);
	assert_int_equal(t.msix.at, 0);
}

static void a_list_that_leaves_the_space_ends(void **state)
{
	(void)state;
	t.raw[0x34] = 0xfc;
	put_cap(0xfc, 0x11, 0xf8);
	put_cap(0xf8, 0x01, 0x20);
	plug();
	assert_int_equal(t.msix.at, 0);
	assert_int_equal(capability(SLOT, 0x01, 0), 0xf8);
	assert_int_equal(capability(SLOT, 0xee, 0), 0);
}

static void without_the_status_bit_there_is_no_list(void **state)
{
	(void)state;
	t.raw[0x06] = 0;
	plug();
	assert_int_equal(config_in(SLOT, 0x34, 1), 0);
	assert_int_equal(t.msix.at, 0);
	assert_true(t.passed[POWER]);
}

/* ---- BARs ------------------------------------------------------------------------------------ */

static void the_kind_of_a_bar_is_read_from_its_register(void **state)
{
	uint8_t raw[PCI_CONFIG_SIZE] = { 0 };
	struct vfio_bar bar = { 0 };

	(void)state;
	bytes_put32(raw + 0x10, 0xfe000004);
	bytes_put32(raw + 0x18, 0xe0000008);
	bytes_put32(raw + 0x1c, 0x0000c001);
	bytes_put32(raw + 0x24, 0xfe00000c);
	assert_true(vfio_bar_kind(raw, 0, &bar));
	assert_true(bar.wide && !bar.prefetchable);
	assert_true(vfio_bar_kind(raw, 2, &bar));
	assert_true(!bar.wide && bar.prefetchable);
	assert_false(vfio_bar_kind(raw, 3, &bar));
	assert_true(vfio_bar_kind(raw, 5, &bar)); /* the last one has no other half */
	assert_false(bar.wide);
}

static void bars_go_largest_first_without_gaps(void **state)
{
	struct vfio_bar bars[PCI_BARS] = { { .size = 0x1000 },
					   { .size = 0x100 },
					   { .size = 0x100000, .wide = true },
					   { 0 },
					   { .size = 0x1000 } };
	int low;

	(void)state;
	assert_int_equal(vfio_bars_place(bars, 0xd0000000, 0x200000, &low), 0);
	assert_int_equal(low, -1);
	assert_int_equal(bars[2].addr, 0xd0000000);
	assert_int_equal(bars[0].addr, 0xd0100000);
	assert_int_equal(bars[4].addr, 0xd0101000);
	assert_int_equal(bars[1].addr, 0xd0102000);
}

static void bars_fill_their_window_to_the_last_byte(void **state)
{
	struct vfio_bar bars[PCI_BARS] = { { .size = 0x800 },
					   { .size = 0x1000 },
					   { .size = 0x800 } };
	int low;

	(void)state;
	assert_int_equal(vfio_bars_place(bars, 0xd0000000, 0x2000, &low), 0);
	bars[3].size = 16;
	assert_int_equal(vfio_bars_place(bars, 0xd0000000, 0x2000, &low), 0x4000);
	assert_int_equal(vfio_bars_place(bars, 0xd0000000, 0x1000, &low), 0x4000);
}

static void a_bar_of_32_bits_above_4_gib_is_told(void **state)
{
	struct vfio_bar bars[PCI_BARS] = { { .size = 1 << 20, .wide = true },
					   { 0 },
					   { .size = 4096 } };
	int low;

	(void)state;
	assert_int_equal(vfio_bars_place(bars, 512ULL << 30, 1 << 21, &low), 0);
	assert_int_equal(low, 2);
	assert_int_equal(vfio_bars_place(bars, 0xffe00000, 1 << 21, &low), 0);
	assert_int_equal(low, -1);
}

static void a_functions_without_bars_needs_no_window(void **state)
{
	struct vfio_bar bars[PCI_BARS] = { 0 };
	int low;

	(void)state;
	assert_int_equal(vfio_bars_place(bars, 0xd0000000, 4096, &low), 0);
}

/* ---- What of them the guest reaches by itself ----------------------------------------------- */

static void expect_areas(const struct vfio_area *in, unsigned n, uint64_t bar, uint64_t page,
			 struct vfio_area cut, const struct vfio_area *wanted, unsigned n_wanted)
{
	struct vfio_area out[4];

	assert_int_equal(vfio_areas(in, n, bar, page, &cut, out, ARRAY_SIZE(out)), n_wanted);
	for (unsigned i = 0; i < n_wanted; i++) {
		assert_int_equal(out[i].offset, wanted[i].offset);
		assert_int_equal(out[i].size, wanted[i].size);
	}
}
#define AREA(o, s) ((struct vfio_area){ (o), (s) })
#define NO_CUT	   AREA(0, 0)

static void the_pages_around_the_table_are_mapped(void **state)
{
	const struct vfio_area all = AREA(0, 0x10000);
	const struct vfio_area around[] = { AREA(0, 0x2000), AREA(0x4000, 0xc000) };

	(void)state;
	expect_areas(&all, 1, 0x10000, 0x1000, NO_CUT, &all, 1);
	expect_areas(&all, 1, 0x10000, 0x1000, AREA(0x2ff0, 0x20), around, 2);
	expect_areas(&all, 1, 0x10000, 0x1000, AREA(0, 0x10), &AREA(0x1000, 0xf000), 1);
	expect_areas(&all, 1, 0x10000, 0x1000, AREA(0xfff0, 0x10), &AREA(0, 0xf000), 1);
	/* Pages of 64 KiB leave nothing. */
	expect_areas(&all, 1, 0x10000, 0x10000, AREA(0x2000, 0x10), NULL, 0);
}

static void parts_of_pages_are_not_mapped(void **state)
{
	(void)state;
	expect_areas(&AREA(0, 0x800), 1, 0x800, 0x1000, NO_CUT, NULL, 0);
	expect_areas(&AREA(0x800, 0x2800), 1, 0x4000, 0x1000, NO_CUT, &AREA(0x1000, 0x2000), 1);
}

static void areas_of_the_kernels_choice_are_taken_as_far_as_they_are_in_the_bar(void **state)
{
	const struct vfio_area in[] = { AREA(0x3000, 0x1000), AREA(0x3000, 0x2000),
					AREA(UINT64_MAX - 0xfff, 0x2000), AREA(0, 0x2000) };
	const struct vfio_area wanted[] = { AREA(0x3000, 0x1000), AREA(0, 0x1000) };

	(void)state;
	expect_areas(in, 4, 0x4000, 0x1000, AREA(0x1000, 0x1000), wanted, 2);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_identity_is_the_functions_and_there_is_no_pin),
		TEST(capabilities_stay_where_they_are),
		TEST(msi_is_hidden_and_what_is_behind_it_is_not),
		TEST(msix_is_found_and_can_be_added_in_its_place),
		TEST(a_sleeping_function_stays_awake),
		TEST(an_endpoint_is_integrated_and_has_no_link),
		TEST(an_old_endpoint_has_other_registers_where_newer_ones_have_a_second_link),
		TEST(an_integrated_endpoint_is_left_alone),
		TEST(all_else_is_the_functions_own),
		TEST(a_list_that_is_a_ring_ends),
		TEST(a_list_that_leaves_the_space_ends),
		TEST(without_the_status_bit_there_is_no_list),
		cmocka_unit_test(the_kind_of_a_bar_is_read_from_its_register),
		cmocka_unit_test(bars_go_largest_first_without_gaps),
		cmocka_unit_test(bars_fill_their_window_to_the_last_byte),
		cmocka_unit_test(a_bar_of_32_bits_above_4_gib_is_told),
		cmocka_unit_test(a_functions_without_bars_needs_no_window),
		cmocka_unit_test(the_pages_around_the_table_are_mapped),
		cmocka_unit_test(parts_of_pages_are_not_mapped),
		cmocka_unit_test(
			areas_of_the_kernels_choice_are_taken_as_far_as_they_are_in_the_bar),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
