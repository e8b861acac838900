/* test_firmware_arm64.c: a ROM at 0 that the processor starts in, and a device tree where RAM
 * begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/machine.h>
#include <vibevmm/plan.h>

#define MIB 0x100000ULL
#define RAM 0x40000000ULL

static struct {
	struct config *config;
	struct diags *diags;
	struct plan *plan; /* entry.set: it can be built */
	char *said;
	char rom[40];
} got;

static int setup(void **state)
{
	int fd;

	(void)state;
	memset(&got, 0, sizeof(got));
	strcpy(got.rom, "/tmp/vibevmm-firmware-XXXXXX");
	fd = mkstemp(got.rom);
	return fd < 0 ? -1 : close(fd);
}

static void forget(void)
{
	plan_free(got.plan);
	config_free(got.config);
	diags_free(got.diags);
	free(got.said);
}

static int teardown(void **state)
{
	(void)state;
	forget();
	return unlink(got.rom);
}

/* A ROM of that size, all zeros. options: more of the format's; rest: more of the config. */
static void plan_rom(uint64_t size, const char *options, const char *rest,
		     const struct hv_caps *caps)
{
	char text[500];
	size_t len;
	FILE *f;

	forget();
	assert_int_equal(truncate(got.rom, (off_t)size), 0);
	snprintf(text, sizeof(text), "arch: arm64\nboot: {firmware: {file: %s%s}}\n%s", got.rom,
		 options, rest);
	got.diags = diags_new();
	assert_non_null(got.diags);
	got.config = config_load_text("test.yaml", text, strlen(text), machine_registry(), NULL,
				      got.diags);
	assert_non_null(got.config);
	got.plan = plan_make(config_vm(got.config), machine_registry(), arch_find(ARCH_ARM64),
			     "fake", caps, got.diags);
	assert_non_null(got.plan);
	f = open_memstream(&got.said, &len);
	assert_non_null(f);
	diags_print(got.diags, f, DIAG_TEXT, false);
	fclose(f);
}

static void the_rom_begins_at_0_and_is_rounded_up_to_pages(void **state)
{
	static const struct {
		uint64_t size, last;
	} roms[] = { { 1, 0xfff }, { 4096, 0xfff }, { 4097, 0x1fff }, { 64 * MIB, 0x3ffffff } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(roms); i++) {
		const struct plan_region *rom;

		plan_rom(roms[i].size, "", "memory: 2M\n", NULL);
		assert_string_equal(got.said, "");
		rom = plan_region_at(got.plan, SPACE_MEM, 1U << REGION_ROM, 0);
		assert_non_null(rom);
		assert_int_equal(rom->start, 0);
		assert_int_equal(rom->last, roms[i].last);
		assert_int_equal(rom->file_size, roms[i].size);
	}
}

static void the_processor_starts_at_0_and_x0_has_the_start_of_ram(void **state)
{
	struct hv_entry entry;
	struct err err;

	(void)state;
	plan_rom(4096, "", "memory: 2M\n", NULL);
	assert_true(got.plan->entry.set);
	assert_int_equal(got.plan->entry.mode, ENTRY_EL1);
	assert_int_equal(got.plan->arch->write_entry(got.plan, NULL, &entry, &err), 0);
	assert_int_equal(entry.arm64.pc, 0);
	assert_int_equal(entry.arm64.x0, RAM);
}

static void a_device_tree_is_where_ram_begins(void **state)
{
	const struct config_choice *boot;
	struct memory *memory = memory_new();
	const uint8_t *tree;
	struct err err;

	(void)state;
	assert_non_null(memory);
	plan_rom(4096, "", "memory: 2M\n", NULL);
	boot = got.plan->config->boot;
	assert_int_equal(memory_add(memory, RAM, 2 * MIB, 0, &err), 0);
	assert_int_equal(got.plan->arch->write_tables(got.plan, memory, &err), 0);
	assert_int_equal(got.plan->registry->boots[boot->index]->load(got.plan, boot, memory, &err),
			 0);
	tree = memory_ptr(memory, RAM, 4, false);
	assert_non_null(tree);
	assert_memory_equal(tree, "\xd0\x0d\xfe\xed", 4); /* Devicetree Specification, 5.2 */
	memory_free(memory);
}

static void the_tree_goes_elsewhere_where_the_user_says_so_or_ram_does(void **state)
{
	static const struct {
		const char *options, *rest;
		uint64_t at;
	} trees[] = {
		{ ", dtb_at: 0x40100000", "memory: 2M\n", 0x40100000 },
		{ "", "memory: [ram: {at: 0x80000000, size: 4M}]\n", 0x80000000 },
		/* RAM below is the firmware's own affair. */
		{ "", "memory: [ram: {at: 0x7000000, size: 1M}, ram: {at: 0x40000000, size: 1M}]\n",
		  RAM },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		plan_rom(4096, trees[i].options, trees[i].rest, NULL);
		assert_string_equal(got.said, "");
		assert_int_equal(got.plan->entry.x0, trees[i].at);
	}
}

static void what_cannot_be_a_rom_is_refused_with_the_reason(void **state)
{
	static const struct hv_caps no_rom = { .caps = ~(unsigned)HV_CAP_READONLY_MEM,
					       .max_vcpus = 1,
					       .phys_bits = 40 };
	static const struct {
		uint64_t size;
		const char *options, *rest, *said;
		const struct hv_caps *caps;
	} wrong[] = {
		{ 64 * MIB + 1, "", "memory: 2M\n",
		  "has 67108865 bytes, more than the 64M that fit at 0", NULL },
		{ 4096, "", "memory: 2M\n", "backend 'fake' has no ", &no_rom },
		{ 4096, "", "memory: [ram: {at: 0, size: 1M}]\n",
		  "firmware 0x0-0xfff overlaps ram 0x0-0xfffff", NULL },
		{ 4096, ", dtb_at: 0x800", "memory: 2M\n",
		  "lies outside of ram, in firmware 0x0-0xfff", NULL },
		{ 4096, "", "memory: [ram: {at: 0x40000000, size: 4K}]\nvcpus: 100\n",
		  "does not fit ram", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		plan_rom(wrong[i].size, wrong[i].options, wrong[i].rest, wrong[i].caps);
		assert_int_not_equal(diags_errors(got.diags), 0);
		if (!strstr(got.said, wrong[i].said))
			fail_msg("%zu: no '%s' in: %s", i, wrong[i].said, got.said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_rom_begins_at_0_and_is_rounded_up_to_pages,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_processor_starts_at_0_and_x0_has_the_start_of_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_tree_is_where_ram_begins, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_tree_goes_elsewhere_where_the_user_says_so_or_ram_does, setup,
			teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_a_rom_is_refused_with_the_reason,
						setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
