/* test_firmware.c: a ROM ends at 4 GiB, its end is copied below 1 MiB where there is RAM, and the
 * processor is as after power-on. */
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

#define KIB 1024ULL

struct built {
	struct config *config;
	struct diags *diags;
	struct plan *plan; /* entry.set: it can be built */
	char *said;
	char dir[40];
};

/* A ROM of that size, whose 4-byte words are their own offsets. rest: more of the config. */
static struct built plan_rom(uint64_t size, const char *rest, const struct hv_caps *caps)
{
	struct built b = { .diags = diags_new(), .dir = "/tmp/vibevmm-firmware-XXXXXX" };
	uint8_t *rom = malloc(size);
	char text[500], path[64];
	size_t len;
	FILE *f;

	assert_true(b.diags && rom && mkdtemp(b.dir));
	for (uint64_t i = 0; i + 4 <= size; i += 4)
		bytes_put32(rom + i, (uint32_t)i);
	snprintf(path, sizeof(path), "%s/rom", b.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(rom, 1, size, f), size);
	fclose(f);
	free(rom);
	snprintf(text, sizeof(text), "arch: x86_64\nboot: {firmware: {file: %s}}\n%s", path, rest);
	b.config = config_load_text("test.yaml", text, strlen(text), machine_registry(), NULL,
				    b.diags);
	assert_non_null(b.config);
	b.plan = plan_make(config_vm(b.config), machine_registry(), arch_find(ARCH_X86_64), "fake",
			   caps, b.diags);
	assert_non_null(b.plan);
	f = open_memstream(&b.said, &len);
	assert_non_null(f);
	diags_print(b.diags, f, DIAG_TEXT, false);
	fclose(f);
	return b;
}

static void unbuild(struct built *b)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/rom", b->dir);
	assert_int_equal(unlink(path) | rmdir(b->dir), 0);
	plan_free(b->plan);
	config_free(b->config);
	diags_free(b->diags);
	free(b->said);
}

static const struct plan_region *rom_of(const struct built *b)
{
	return plan_region_at(b->plan, SPACE_MEM, 1U << REGION_ROM, 0xfffffff0);
}

static void the_rom_ends_at_4_gib_and_may_fill_its_space(void **state)
{
	static const uint64_t sizes[] = { 4 * KIB, 64 * KIB, 256 * KIB, 512 * KIB, 16384 * KIB };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct built b =
			plan_rom(sizes[i], "memory: 2M\nplatform: {irqchip: full}\n", NULL);

		assert_string_equal(b.said, "");
		assert_true(b.plan->entry.set);
		assert_int_equal(b.plan->entry.mode, ENTRY_RESET);
		assert_int_equal(b.plan->entry.pc, 0xfffffff0);
		assert_non_null(rom_of(&b));
		assert_int_equal(rom_of(&b)->start, (1ULL << 32) - sizes[i]);
		assert_int_equal(rom_of(&b)->last, UINT32_MAX);
		assert_int_equal(rom_of(&b)->file_size, sizes[i]);
		unbuild(&b);
	}
}

static void its_end_is_copied_below_1_mib(void **state)
{
	static const struct {
		uint64_t size, start;
	} roms[] = { { 4 * KIB, 0xff000 }, { 128 * KIB, 0xe0000 }, { 256 * KIB, 0xe0000 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(roms); i++) {
		struct built b = plan_rom(roms[i].size, "memory: 2M\n", NULL);
		const struct config_choice *boot = b.plan->config->boot;
		struct memory *memory = memory_new();
		struct err err;
		const uint8_t *copy;
		uint64_t from = roms[i].size - (0x100000 - roms[i].start);

		assert_true(b.plan->entry.set && memory);
		assert_non_null(
			plan_region_at(b.plan, SPACE_MEM, 1U << REGION_BOOT, roms[i].start));
		assert_int_equal(memory_add(memory, 0xc0000, 0x140000, 0, &err), 0);
		assert_int_equal(
			b.plan->registry->boots[boot->index]->load(b.plan, boot, memory, &err), 0);
		copy = memory_ptr(memory, 0xc0000, 0x40001, true);
		assert_non_null(copy);
		for (uint64_t k = roms[i].start; k < 0x100000; k += 4)
			assert_int_equal(bytes_get32(copy + k - 0xc0000), from + k - roms[i].start);
		assert_int_equal(bytes_get32(copy + roms[i].start - 4 - 0xc0000), 0);
		assert_int_equal(copy[0x40000], 0);
		memory_free(memory);
		unbuild(&b);
	}
}

static void without_ram_there_is_no_copy(void **state)
{
	struct built b = plan_rom(64 * KIB, "memory: 512K\n", NULL);

	(void)state;
	assert_string_equal(b.said, "");
	assert_true(b.plan->entry.set);
	assert_null(plan_region_at(b.plan, SPACE_MEM, 1U << REGION_BOOT, 0xf0000));
	unbuild(&b);
}

static void the_processor_is_as_after_power_on(void **state)
{
	struct built b = plan_rom(4 * KIB, "memory: 2M\n", NULL);
	struct memory *memory = memory_new();
	struct hv_entry entry;
	struct err err;

	(void)state;
	assert_non_null(memory);
	assert_int_equal(b.plan->arch->write_entry(b.plan, memory, &entry, &err), 0);
	assert_int_equal(entry.x86.rip, 0xfff0);
	assert_int_equal(entry.x86.rflags, 2);
	assert_int_equal(entry.x86.cs.selector, 0xf000);
	assert_int_equal(entry.x86.cs.base, 0xffff0000);
	assert_int_equal(entry.x86.cs.limit, 0xffff);
	assert_int_equal(entry.x86.data.selector, 0);
	assert_int_equal(entry.x86.data.base, 0);
	assert_int_equal(entry.x86.cr0, 0x60000010);
	assert_int_equal(entry.x86.cr4 | entry.x86.efer | entry.x86.cr3 | entry.x86.rsp, 0);
	assert_int_equal(entry.x86.idt_limit, 0xffff);
	memory_free(memory);
	unbuild(&b);
}

static void what_cannot_be_a_rom_is_refused_with_the_reason(void **state)
{
	static const struct hv_caps no_rom = { .caps = ~(unsigned)HV_CAP_READONLY_MEM,
					       .max_vcpus = 1,
					       .phys_bits = 40 };
	static const struct {
		uint64_t size;
		const char *rest, *said;
		const struct hv_caps *caps;
	} wrong[] = {
		{ 4097, "memory: 2M\n", "has 4097 bytes; it must be a multiple of 4K", NULL },
		{ 4097, "memory: 2M\n", "put 4095 bytes before its first one", NULL },
		{ 16388 * KIB, "memory: 2M\n", "more than the 16M", NULL },
		{ 4 * KIB, "memory: 2M\n", "backend 'fake' has no ", &no_rom },
		{ 64 * KIB,
		  "memory: [ram: {at: 0, size: 1M}, reserved: {at: 0xffff8000, size: 4K}]\n",
		  "firmware 0xffff0000-0xffffffff overlaps reserved 0xffff8000-0xffff8fff", NULL },
		{ 64 * KIB, "memory: 2M\ndevices: [debug-console: {at: 0xffff1000}]\n",
		  "firmware 0xffff0000-0xffffffff overlaps window 0xffff1000-0xffff1fff", NULL },
		{ 128 * KIB, "memory: [ram: {at: 0xe0000, size: 64K}]\n",
		  "firmware's copy 0xe0000-0xfffff (128K) does not fit ram", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct built b = plan_rom(wrong[i].size, wrong[i].rest, wrong[i].caps);

		assert_false(b.plan->entry.set);
		if (!strstr(b.said, wrong[i].said))
			fail_msg("%zu: no '%s' in: %s", i, wrong[i].said, b.said);
		unbuild(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rom_ends_at_4_gib_and_may_fill_its_space),
		cmocka_unit_test(its_end_is_copied_below_1_mib),
		cmocka_unit_test(without_ram_there_is_no_copy),
		cmocka_unit_test(the_processor_is_as_after_power_on),
		cmocka_unit_test(what_cannot_be_a_rom_is_refused_with_the_reason),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
