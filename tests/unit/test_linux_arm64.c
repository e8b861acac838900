/* test_linux_arm64.c: arm64 kernels: what their headers say, where they are put, what is wrong with
 * them. The kernels are headers made here. */
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

#include "plan_helpers.h"

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define RAM (1 * GIB)

static char dir[] = "/tmp/test_linux_arm64.XXXXXX";

static uint8_t image[8192];

/* An Image of 8 KiB that takes 3 MiB, with a PE header of one section: all of the file. */
static void make_image(void)
{
	memset(image, 0x5a, sizeof(image));
	memset(image, 0, 0x200);
	memcpy(image, "MZ", 2);
	bytes_put64(image + 16, 3 * MIB);
	bytes_put64(image + 24, 0xa);
	memcpy(image + 56, "ARM\x64", 4);
	bytes_put32(image + 60, 64);
	memcpy(image + 64, "PE\0\0", 4);
	bytes_put16(image + 64 + 6, 1);
	bytes_put32(image + 88 + 16, sizeof(image) - 0x200);
	bytes_put32(image + 88 + 20, 0x200);
}

static struct planned got;

static int teardown(void **state)
{
	(void)state;
	planned_free(&got);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	make_image();
	return 0;
}

/* Plans the image as it is now, with more of the config; the number of errors. */
static size_t plan(const char *linux_options, const char *more)
{
	char yaml[4096];

	teardown(NULL);
	put_file("Image", image, sizeof(image));
	snprintf(yaml, sizeof(yaml), "arch: arm64\nboot: {linux: {kernel: Image%s}}\n%s",
		 linux_options, more);
	put_file("vm.yaml", yaml, strlen(yaml));
	return planned_make(&got);
}

static void good(const char *linux_options, const char *more)
{
	if (plan(linux_options, more))
		fail_msg("%s", got.said);
}

static void refused(const char *text)
{
	assert_int_equal(plan("", ""), 1);
	if (!strstr(got.said, text))
		fail_msg("'%s' is not in: %s", text, got.said);
}

static const struct plan_region *region(const char *owner)
{
	for (size_t i = 0; i < got.plan->n_regions; i++) {
		if (!strcmp(got.plan->regions[i].owner, owner))
			return &got.plan->regions[i];
	}
	fail_msg("no %s in the plan", owner);
	return NULL;
}

/* ---- Places -------------------------------------------------------------------------------- */

static void kernel_is_at_the_bottom_of_ram(void **state)
{
	(void)state;
	good("", "");
	assert_int_equal(got.plan->entry.pc, RAM);
	assert_int_equal(got.plan->entry.mode, ENTRY_EL1);
	assert_int_equal(region("kernel")->last, RAM + 3 * MIB - 1);
	assert_int_equal(got.plan->entry.x0, RAM + 4 * MIB);
	assert_int_equal(region("device tree")->start, got.plan->entry.x0);
}

static void text_offset_is_kept(void **state)
{
	(void)state;
	bytes_put64(image + 8, 0x80000);
	good("", "");
	assert_int_equal(got.plan->entry.pc, RAM + 0x80000);
	assert_int_equal(region("kernel")->last, RAM + 0x80000 + 3 * MIB - 1);
}

static void old_kernel_without_a_size_gets_room(void **state)
{
	(void)state;
	bytes_put64(image + 8, 0x1234); /* of unknown endianness */
	bytes_put64(image + 16, 0);
	good("", "");
	assert_int_equal(got.plan->entry.pc, RAM + 0x80000);
	assert_true(region("kernel")->last > RAM + 8 * MIB);
}

static void kernel_finds_its_2m_in_odd_ram(void **state)
{
	(void)state;
	good("", "memory: [ram: {at: 0x80100000, size: 32M}]\n");
	assert_int_equal(got.plan->entry.pc, 0x80200000);
}

static void initrd_shares_a_window_with_the_kernel(void **state)
{
	(void)state;
	good(", initrd: initrd", "memory: 64G\n");
	assert_true(region("initrd")->last < RAM + 32 * GIB);
	assert_true(region("initrd")->start > RAM + 31 * GIB);
	good(", initrd: initrd", "memory: 64M\n");
	assert_true(region("initrd")->start > RAM + 60 * MIB);
}

static void image_is_loaded_whole(void **state)
{
	struct memory *memory = memory_new();
	const struct config_choice *boot;
	uint8_t back[sizeof(image)];
	struct err err;

	(void)state;
	good("", "memory: 32M\n");
	boot = got.plan->config->boot;
	assert_int_equal(memory_add(memory, RAM, 32 * MIB, 0, &err), 0);
	assert_int_equal(got.plan->registry->boots[boot->index]->load(got.plan, boot, memory, &err),
			 0);
	assert_int_equal(memory_read(memory, got.plan->entry.pc, back, sizeof(back)), 0);
	assert_memory_equal(back, image, sizeof(image));
	memory_free(memory);
}

static void image_gz_is_unpacked(void **state)
{
	(void)state;
	good("", "");
	if (system("gzip -nc Image >Image.gz"))
		fail_msg("gzip failed");
	good(".gz", "");
	assert_int_equal(got.plan->entry.pc, RAM);
	assert_int_equal(region("kernel")->last, RAM + 3 * MIB - 1);
	assert_int_equal(plan(".gz, unpack: never", ""), 1);
	assert_non_null(strstr(got.said, "`unpack: auto`"));
}

static void compressed_something_else_is_refused(void **state)
{
	(void)state;
	memcpy(image + 56, "XXXX", 4);
	plan("", "");
	if (system("gzip -nc Image >Image.gz"))
		fail_msg("gzip failed");
	assert_int_equal(plan(".gz", ""), 1);
	assert_non_null(strstr(got.said, "what is in it is no Linux kernel for arm64"));
}

/* ---- Bad images ---------------------------------------------------------------------------- */

static void bad_magic_is_refused(void **state)
{
	(void)state;
	image[56] = 'X';
	refused("is no Linux kernel for arm64");
}

static void x86_kernel_is_called_one(void **state)
{
	(void)state;
	memset(image, 0, sizeof(image));
	memcpy(image + 0x202, "HdrS", 4);
	refused("is a Linux kernel for x86 (bzImage); this VM is arm64");
}

static void size_below_the_files_is_refused(void **state)
{
	(void)state;
	bytes_put64(image + 16, sizeof(image) - 1);
	refused("(image_size) says 8191 bytes, and the file has 8192");
}

static void size_beyond_ram_is_refused(void **state)
{
	(void)state;
	bytes_put64(image + 16, 1ULL << 40);
	refused("no room for kernel");
	bytes_put64(image + 16, UINT64_MAX);
	refused("no room for kernel");
	bytes_put64(image + 8, 0x1000);
	refused("its image_size is 0xffffffffffffffff");
}

static void text_offset_beyond_2m_is_refused(void **state)
{
	(void)state;
	bytes_put64(image + 8, 2 * MIB);
	refused("its text_offset is 0x200000");
}

static void truncated_image_is_refused(void **state)
{
	(void)state;
	bytes_put32(image + 88 + 16, sizeof(image) - 0x200 + 1);
	refused("is a truncated kernel: by its headers it has 8193 bytes, here are 8192");
	bytes_put32(image + 88 + 20, UINT32_MAX);
	refused("is a truncated kernel");
	bytes_put16(image + 64 + 20, 8100);
	refused("it ends within its headers");
	bytes_put32(image + 60, 0xfffffff0);
	refused("no PE header where it says");
}

static void long_command_line_is_refused(void **state)
{
	char options[2100];
	int n = snprintf(options, sizeof(options), ", cmdline: ");

	(void)state;
	memset(options + n, 'a', 2048);
	options[n + 2048] = 0;
	assert_int_equal(plan(options, ""), 1);
	assert_non_null(strstr(got.said, "at most 2047"));
	options[n + 2047] = 0;
	good(options, "");
}

static int group_setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	setenv("XDG_CACHE_HOME", dir, 1);
	put_file("initrd", "070701", 6);
	return 0;
}

static int group_teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return chdir("/") || system(command);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(kernel_is_at_the_bottom_of_ram),
		TEST(text_offset_is_kept),
		TEST(old_kernel_without_a_size_gets_room),
		TEST(kernel_finds_its_2m_in_odd_ram),
		TEST(initrd_shares_a_window_with_the_kernel),
		TEST(image_is_loaded_whole),
		TEST(image_gz_is_unpacked),
		TEST(compressed_something_else_is_refused),
		TEST(bad_magic_is_refused),
		TEST(x86_kernel_is_called_one),
		TEST(size_below_the_files_is_refused),
		TEST(size_beyond_ram_is_refused),
		TEST(text_offset_beyond_2m_is_refused),
		TEST(truncated_image_is_refused),
		TEST(long_command_line_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
