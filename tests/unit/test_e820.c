/* test_e820.c: the memory map that a kernel gets says what the plan says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>

#include "../../src/boot/e820.h"

static struct plan_region region(enum region_kind kind, uint64_t start, uint64_t last)
{
	return (struct plan_region){
		.space = SPACE_MEM, .kind = kind, .start = start, .last = last, .device = -1
	};
}

#define MAP(entries, max, ...)                                                                     \
	e820_map(&(struct plan){ .regions = (struct plan_region[]){ __VA_ARGS__ },                 \
				 .n_regions =                                                      \
					 ARRAY_SIZE(((struct plan_region[]){ __VA_ARGS__ })) },    \
		 entries, max)

static void same(const struct e820_entry *entry, uint64_t start, uint64_t end, uint32_t type)
{
	assert_int_equal(entry->addr, start);
	assert_int_equal(entry->size, end - start);
	assert_int_equal(entry->type, type);
}

static void ram_is_ram_with_the_boot_image_in_it(void **state)
{
	struct e820_entry e[4];

	(void)state;
	assert_int_equal(
		MAP(e, 4, region(REGION_RAM, 0, 0x9ffff), region(REGION_BOOT, 0x1000, 0x1fff),
		    region(REGION_HOLE, 0xa0000, 0xbffff), region(REGION_RAM, 0xc0000, 0xffffff)),
		2);
	same(&e[0], 0, 0xa0000, E820_RAM);
	same(&e[1], 0xc0000, 0x1000000, E820_RAM);
}

static void tables_are_cut_out_of_ram(void **state)
{
	struct e820_entry e[8];

	(void)state;
	/* At the start, in the middle, side by side, at the end. */
	assert_int_equal(MAP(e, 8, region(REGION_RAM, 0x10000, 0x1ffff),
			     region(REGION_TABLES, 0x10000, 0x10fff),
			     region(REGION_BOOT, 0x12000, 0x12fff),
			     region(REGION_TABLES, 0x14000, 0x14fff),
			     region(REGION_TABLES, 0x15000, 0x15fff),
			     region(REGION_TABLES, 0x1f000, 0x1ffff)),
			 6);
	same(&e[0], 0x10000, 0x11000, E820_RESERVED);
	same(&e[1], 0x11000, 0x14000, E820_RAM);
	same(&e[2], 0x14000, 0x15000, E820_RESERVED);
	same(&e[3], 0x15000, 0x16000, E820_RESERVED);
	same(&e[4], 0x16000, 0x1f000, E820_RAM);
	same(&e[5], 0x1f000, 0x20000, E820_RESERVED);
}

static void what_is_no_ram_is_reserved_or_left_out(void **state)
{
	struct plan_region port = region(REGION_DEVICE, 0x3f8, 0x3ff);
	struct e820_entry e[8];

	(void)state;
	port.space = SPACE_PIO;
	assert_int_equal(
		MAP(e, 8, region(REGION_RAM, 0, 0xffff), region(REGION_ROM, 0x10000, 0x1ffff),
		    region(REGION_DEVICE, 0x20000, 0x20fff),
		    region(REGION_RESERVED, 0x21000, 0x21fff), region(REGION_RAM, 0x30000, 0x3ffff),
		    region(REGION_PLATFORM, 0xfec00000, 0xfec00fff), port),
		5);
	same(&e[0], 0, 0x10000, E820_RAM);
	same(&e[1], 0x10000, 0x20000, E820_RESERVED);
	same(&e[2], 0x21000, 0x22000, E820_RESERVED);
	same(&e[3], 0x30000, 0x40000, E820_RAM);
	same(&e[4], 0xfec00000, 0xfec01000, E820_RESERVED);
}

static void a_short_buffer_gets_the_first_entries_and_the_whole_count(void **state)
{
	struct e820_entry e[2] = { [1] = { 1, 2, 3 } };

	(void)state;
	assert_int_equal(MAP(e, 1, region(REGION_RAM, 0, 0xfff), region(REGION_RAM, 0x2000, 0x2fff),
			     region(REGION_RAM, 0x4000, 0x4fff)),
			 3);
	same(&e[0], 0, 0x1000, E820_RAM);
	same(&e[1], 1, 3, 3);
	assert_int_equal(MAP(NULL, 0, region(REGION_RAM, 0, 0xfff)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_is_ram_with_the_boot_image_in_it),
		cmocka_unit_test(tables_are_cut_out_of_ram),
		cmocka_unit_test(what_is_no_ram_is_reserved_or_left_out),
		cmocka_unit_test(a_short_buffer_gets_the_first_entries_and_the_whole_count),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
