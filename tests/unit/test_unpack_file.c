/* test_unpack_file.c: kernels and modules, unpacked for QEMU: boot_unpack and boot_kernel_open. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>

#include "unpack_helpers.h"

#define BANNER "Linux version 6.1.0-18-arm64 (me@here) #1"

static struct bytes gzip(const void *p, size_t len)
{
	return pack_gzip(p, len);
}

/* A file in the scratch directory; its path is static. */
static const char *path_of(const void *p, size_t len)
{
	static char path[96];
	struct image image = file_of("file", p, len);

	image_close(&image);
	snprintf(path, sizeof(path), "%s/file", top);
	return path;
}

static void expect_content(const char *path, bool cached, const char *text)
{
	struct image out;
	struct err err;
	char buf[64] = "";

	assert_int_equal(boot_unpack(path, cached, &out, &err), 0);
	assert_int_equal(out.size, strlen(text));
	assert_int_equal(image_read(&out, 0, buf, out.size), 0);
	assert_string_equal(buf, text);
	image_close(&out);
}

/* Linux, Documentation/arch/x86/boot.rst: one setup sector and the boot sector; then the payload.
 */
static size_t make_bzimage(uint8_t *file, const void *payload, size_t len, uint32_t told)
{
	memset(file, 0, 1024);
	file[0x1f1] = 1;
	bytes_put16(file + 0x1fe, 0xaa55);
	memcpy(file + 0x202, "HdrS", 4);
	bytes_put16(file + 0x206, 0x20f);
	file[0x211] = 1;
	bytes_put32(file + 0x248, 16);
	bytes_put32(file + 0x24c, told);
	memset(file + 1024, 0xcc, 16);
	memcpy(file + 1040, payload, len);
	return 1040 + len;
}

/* Linux, Documentation/arch/arm64/booting.rst, 4; and what /proc/version says. */
static size_t make_image(uint8_t *file, const char *banner)
{
	memset(file, 0, 1024);
	bytes_put64(file + 16, 0x10000);
	memcpy(file + 56, "ARM\x64", 4);
	memcpy(file + 512, banner, strlen(banner));
	return 1024;
}

static void a_file_that_is_not_packed_is_itself(void **state)
{
	(void)state;
	expect_content(path_of("plain text", 10), false, "plain text");
	expect_content(path_of("plain text", 10), true, "plain text");
}

static void a_packed_file_is_unpacked(void **state)
{
	struct bytes packed = gzip("a module", 8);

	(void)state;
	expect_content(path_of(packed.p, packed.len), false, "a module");
	expect_content(path_of(packed.p, packed.len), true, "a module");
	free(packed.p);
}

static void a_bzimage_gives_what_it_carries(void **state)
{
	struct bytes packed = gzip("a vmlinux", 9);
	uint8_t file[2048];
	size_t len = make_bzimage(file, packed.p, packed.len, (uint32_t)packed.len);

	(void)state;
	expect_content(path_of(file, len), true, "a vmlinux");
	free(packed.p);
}

static void a_payload_that_is_not_there_is_refused(void **state)
{
	static const uint32_t told[] = { 101, UINT32_MAX };
	uint8_t file[2048], payload[100] = { 0 };
	struct image out;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		size_t len = make_bzimage(file, payload, sizeof(payload), told[i]);

		assert_int_equal(boot_unpack(path_of(file, len), true, &out, &err), -ENOEXEC);
		assert_non_null(strstr(err.text, "file' is a damaged kernel"));
	}
}

static void what_is_damaged_or_missing_says_so(void **state)
{
	struct bytes packed = gzip("a module", 8);
	struct image out;
	struct err err;

	(void)state;
	assert_int_equal(boot_unpack(path_of(packed.p, packed.len / 2), false, &out, &err),
			 -ENOEXEC);
	assert_int_equal(boot_unpack("/nowhere/at/all", false, &out, &err), -ENOENT);
	assert_int_equal(err.status, STATUS_NOINPUT);
	assert_int_equal(boot_unpack("/", false, &out, &err), -EINVAL);
	free(packed.p);
}

static void a_kernel_tells_its_architecture_and_version(void **state)
{
	struct boot_kernel kernel;
	uint8_t file[1024];
	struct bytes packed;
	struct err err;

	(void)state;
	make_image(file, "Linux version %s (%s)\nLinux version next\n" BANNER);
	assert_int_equal(boot_kernel_open(path_of(file, sizeof(file)), &kernel, &err), 0);
	assert_int_equal(kernel.arch, ARCH_ARM64);
	assert_string_equal(kernel.version, "6.1.0-18-arm64");
	image_close(&kernel.image);

	packed = gzip(file, sizeof(file));
	assert_int_equal(boot_kernel_open(path_of(packed.p, packed.len), &kernel, &err), 0);
	assert_int_equal(kernel.image.size, sizeof(file));
	image_close(&kernel.image);
	free(packed.p);
}

static void what_is_no_kernel_is_refused(void **state)
{
	struct boot_kernel kernel;
	uint8_t file[1024];
	struct err err;

	(void)state;
	assert_int_equal(boot_kernel_open(path_of(BANNER, strlen(BANNER)), &kernel, &err),
			 -ENOEXEC);
	assert_non_null(strstr(err.text, "is no Linux kernel"));
	make_image(file, "no version");
	assert_int_equal(boot_kernel_open(path_of(file, sizeof(file)), &kernel, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "which version"));
	/* At the very end, and longer than any. */
	make_image(file, "");
	memcpy(file + sizeof(file) - 15, "Linux version 6", 15);
	assert_int_equal(boot_kernel_open(path_of(file, sizeof(file)), &kernel, &err), -ENOEXEC);
	make_image(file, "Linux version ");
	memset(file + 526, '6', 200);
	assert_int_equal(boot_kernel_open(path_of(file, sizeof(file)), &kernel, &err), -ENOEXEC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_not_packed_is_itself),
		TEST(a_packed_file_is_unpacked),
		TEST(a_bzimage_gives_what_it_carries),
		TEST(a_payload_that_is_not_there_is_refused),
		TEST(what_is_damaged_or_missing_says_so),
		TEST(a_kernel_tells_its_architecture_and_version),
		TEST(what_is_no_kernel_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, scratch_remove);
}
