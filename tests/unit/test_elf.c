/* test_elf.c: ELF headers are foreign bytes: what is wrong is refused, what is right is found. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>

#include "../../src/boot/elf.h"

/* A file in the making: header, up to 4 program headers, some content. */
struct file {
	uint8_t bytes[1024];
	size_t size;
};

static struct image image_of(const struct file *file)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->bytes, file->size), (ssize_t)file->size);
	return (struct image){ fd, file->size, "elf" };
}

static int read_elf(const struct file *file, struct elf *elf, struct err *err)
{
	struct image image = image_of(file);
	int ret;

	*err = (struct err){ 0 };
	ret = elf_read(&image, elf, err);
	image_close(&image);
	return ret;
}

/* A 64-bit x86 executable with one segment: 16 bytes at file offset 512, 32 in memory. */
static struct file good_64(void)
{
	struct file f = { .size = 528 };
	uint8_t *p = f.bytes + 64;

	memcpy(f.bytes, "\177ELF\2\1\1", 7);
	bytes_put16(f.bytes + 16, 2);
	bytes_put16(f.bytes + 18, ELF_X86_64);
	bytes_put64(f.bytes + 24, 0xffff800000100004); /* entry, a virtual address */
	bytes_put64(f.bytes + 32, 64);
	bytes_put16(f.bytes + 54, 56);
	bytes_put16(f.bytes + 56, 1);
	bytes_put32(p, 1);
	bytes_put64(p + 8, 512);
	bytes_put64(p + 16, 0xffff800000100000);
	bytes_put64(p + 24, 0x100000);
	bytes_put64(p + 32, 16);
	bytes_put64(p + 40, 32);
	return f;
}

static struct file good_32(void)
{
	struct file f = { .size = 528 };
	uint8_t *p = f.bytes + 52;

	memcpy(f.bytes, "\177ELF\1\1\1", 7);
	bytes_put16(f.bytes + 16, 2);
	bytes_put16(f.bytes + 18, ELF_386);
	bytes_put32(f.bytes + 24, 0x100008);
	bytes_put32(f.bytes + 28, 52);
	bytes_put16(f.bytes + 42, 32);
	bytes_put16(f.bytes + 44, 1);
	bytes_put32(p, 1);
	bytes_put32(p + 4, 512);
	bytes_put32(p + 8, 0x100000);
	bytes_put32(p + 12, 0x100000);
	bytes_put32(p + 16, 16);
	bytes_put32(p + 20, 16);
	return f;
}

static void a_64_bit_file_is_read_and_its_virtual_entry_mapped(void **state)
{
	struct file f = good_64();
	struct elf elf;
	struct err err;

	(void)state;
	assert_int_equal(read_elf(&f, &elf, &err), 0);
	assert_true(elf.is_64);
	assert_int_equal(elf.machine, ELF_X86_64);
	assert_int_equal(elf.entry, 0x100004);
	assert_int_equal(elf.n_segments, 1);
	assert_int_equal(elf.segments[0].offset, 512);
	assert_int_equal(elf.segments[0].file_size, 16);
	assert_int_equal(elf.segments[0].paddr, 0x100000);
	assert_int_equal(elf.segments[0].mem_size, 32);
}

static void a_32_bit_file_is_read(void **state)
{
	struct file f = good_32();
	struct elf elf;
	struct err err;

	(void)state;
	assert_int_equal(read_elf(&f, &elf, &err), 0);
	assert_false(elf.is_64);
	assert_int_equal(elf.machine, ELF_386);
	assert_int_equal(elf.entry, 0x100008);
	assert_int_equal(elf.segments[0].mem_size, 16);
}

static void an_entry_in_no_segment_is_taken_as_physical(void **state)
{
	struct file f = good_64();
	struct elf elf;
	struct err err;

	(void)state;
	bytes_put64(f.bytes + 24, 0x100010); /* as vmlinux has it */
	assert_int_equal(read_elf(&f, &elf, &err), 0);
	assert_int_equal(elf.entry, 0x100010);
}

static void other_segment_types_and_empty_ones_are_passed_over(void **state)
{
	struct file f = good_64();
	struct elf elf;
	struct err err;

	(void)state;
	bytes_put16(f.bytes + 56, 3);
	bytes_put32(f.bytes + 64 + 56, 4); /* PT_NOTE, its fields are of no concern */
	bytes_put64(f.bytes + 64 + 56 + 8, UINT64_MAX);
	bytes_put32(f.bytes + 64 + 112, 1); /* PT_LOAD without memory */
	assert_int_equal(read_elf(&f, &elf, &err), 0);
	assert_int_equal(elf.n_segments, 1);
}

/* One field overwritten, and the words that the user gets. */
static const struct {
	const char *why;
	bool is_64;
	size_t offset, width;
	uint64_t value;
} damages[] = {
	{ "is not an ELF file", true, 0, 1, 0x7e },
	{ "neither a 32-bit nor a 64-bit", true, 4, 1, 3 },
	{ "big-endian", true, 5, 1, 2 },
	{ "not an executable", true, 16, 2, 1 },
	{ "position-independent", true, 16, 2, 3 },
	{ "wrong size", true, 54, 2, 55 },
	{ "wrong size", false, 42, 2, 56 },
	{ "program headers reach beyond", true, 32, 8, UINT64_MAX - 10 },
	{ "program headers reach beyond", true, 32, 8, 500 },
	{ "program headers reach beyond", true, 56, 2, 0xffff },
	{ "no loadable segment", true, 56, 2, 0 },
	{ "segment 0 reaches beyond its end", true, 64 + 8, 8, 513 },
	{ "segment 0 reaches beyond its end", true, 64 + 8, 8, UINT64_MAX },
	{ "larger in the file than in memory", true, 64 + 32, 8, 33 },
	{ "wraps around", true, 64 + 24, 8, UINT64_MAX - 4 },
	{ "segment 0 reaches beyond its end", false, 52 + 4, 4, UINT32_MAX },
};

static void damaged_files_are_refused_with_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct file f = damages[i].is_64 ? good_64() : good_32();
		struct elf elf;
		struct err err;

		bytes_put(f.bytes + damages[i].offset, damages[i].width, damages[i].value);
		assert_true(read_elf(&f, &elf, &err) < 0);
		if (!strstr(err.text, damages[i].why))
			fail_msg("damage %zu: '%s' has no '%s'", i, err.text, damages[i].why);
	}
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 < 2; is_64++) {
		struct file f = is_64 ? good_64() : good_32();
		struct elf elf;
		struct err err;

		for (size_t size = f.size - 1; size > 0; size--) {
			f.size = size;
			assert_true(read_elf(&f, &elf, &err) < 0);
			assert_true(err.text[0] != '\0');
		}
	}
}

static void more_segments_than_the_limit_are_refused(void **state)
{
	static uint8_t big[64 + 56 * (ELF_MAX_SEGMENTS + 1)];
	struct file f = good_64();
	struct image image = { memfd_create("elf", MFD_CLOEXEC), sizeof(big), "elf" };
	struct err err = { 0 };
	struct elf elf;

	(void)state;
	memcpy(big, f.bytes, 64);
	bytes_put16(big + 56, ELF_MAX_SEGMENTS + 1);
	for (size_t i = 0; i <= ELF_MAX_SEGMENTS; i++) {
		memcpy(big + 64 + 56 * i, f.bytes + 64, 56);
		bytes_put64(big + 64 + 56 * i + 8, 0);
	}
	assert_int_equal(write(image.fd, big, sizeof(big)), sizeof(big));
	assert_int_equal(elf_read(&image, &elf, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "more than 64"));
	image_close(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_64_bit_file_is_read_and_its_virtual_entry_mapped),
		cmocka_unit_test(a_32_bit_file_is_read),
		cmocka_unit_test(an_entry_in_no_segment_is_taken_as_physical),
		cmocka_unit_test(other_segment_types_and_empty_ones_are_passed_over),
		cmocka_unit_test(damaged_files_are_refused_with_the_reason),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(more_segments_than_the_limit_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
