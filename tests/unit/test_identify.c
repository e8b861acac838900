/* test_identify.c: files are told by their first bytes, whatever their length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>

#include "../../src/boot/identify.h"

/* A file: some bytes at some place, others at another, zeros else. */
struct sample {
	const char *name; /* in what identify says */
	size_t size;
	struct {
		size_t at, len;
		const char *bytes;
	} parts[3];
	bool flat;
};

#define BYTES(at, text)                                                                            \
	{                                                                                          \
		(at), sizeof(text) - 1, (text)                                                     \
	}

static const struct sample samples[] = {
	{ "an ELF file",
	  64,
	  { BYTES(0, "\x7f"
		     "ELF\2\1\1") },
	  false },
	{ "a gzip file", 20, { BYTES(0, "\x1f\x8b\x08") }, false },
	{ "an xz file",
	  32,
	  { BYTES(0, "\xfd"
		     "7zXZ\0\0\4") },
	  false },
	{ "a zstd file", 13, { BYTES(0, "\x28\xb5\x2f\xfd\x04") }, false },
	{ "an lz4 file", 19, { BYTES(0, "\x04\x22\x4d\x18\x64") }, false },
	{ "an lz4 file", 19, { BYTES(0, "\x02\x21\x4c\x18") }, false },
	{ "a bzip2 file", 40, { BYTES(0, "BZh91AY&SY") }, false },
	{ "a zip archive", 40, { BYTES(0, "PK\3\4") }, false },
	{ "a tar archive", 512, { BYTES(0, "name"), BYTES(257, "ustar") }, false },
	{ "a cpio archive", 110, { BYTES(0, "07070100000000") }, false },
	{ "an archive of object files", 70, { BYTES(0, "!<arch>\n") }, false },
	/* A kernel with an EFI stub is a PE file as well: the kernel is the news. */
	{ "(bzImage)",
	  1024,
	  { BYTES(0, "MZ"), BYTES(0x1fe, "\x55\xaa"), BYTES(0x202, "HdrS\x0f\x02") },
	  false },
	{ "arm64 (Image)", 4096, { BYTES(0, "MZ\0\x91"), BYTES(56, "ARM\x64") }, true },
	{ "RISC-V", 4096, { BYTES(0, "MZ"), BYTES(56, "RSC\x05") }, true },
	{ "32-bit Arm", 4096, { BYTES(36, "\x18\x28\x6f\x01") }, true },
	{ "a compressed Linux kernel", 4096, { BYTES(0, "MZ\0\0zimg") }, false },
	{ "uImage", 64, { BYTES(0, "\x27\x05\x19\x56") }, false },
	{ "program for x86_64 (PE)",
	  512,
	  { BYTES(0, "MZ"), BYTES(0x3c, "\x80"), BYTES(0x80, "PE\0\0\x64\x86") },
	  false },
	{ "program for arm64 (PE)",
	  512,
	  { BYTES(0, "MZ"), BYTES(0x3c, "\x80"), BYTES(0x80, "PE\0\0\x64\xaa") },
	  false },
	{ "a DOS program", 512, { BYTES(0, "MZ"), BYTES(0x3c, "\xff\xff\xff\xff") }, false },
	{ "a qcow2 disk", 512, { BYTES(0, "QFI\xfb\0\0\0\3") }, false },
	{ "a VMDK disk", 512, { BYTES(0, "KDMV") }, false },
	{ "a VHDX disk", 512, { BYTES(0, "vhdxfile") }, false },
	{ "a CD image", 0x9000, { BYTES(0x8000, "\1CD001\1") }, false },
	{ "with a GPT",
	  4096,
	  { BYTES(450, "\xee"), BYTES(510, "\x55\xaa"), BYTES(512, "EFI PART") },
	  true },
	{ "partition table (MBR)",
	  4096,
	  { BYTES(446, "\x80\x20\x21\0\x83"), BYTES(510, "\x55\xaa") },
	  true },
	{ "ext4 filesystem", 4096, { BYTES(1024 + 0x38, "\x53\xef") }, true },
	{ "a squashfs", 96, { BYTES(0, "hsqs") }, false },
	{ "a device tree", 40, { BYTES(0, "\xd0\x0d\xfe\xed") }, false },
	{ "a Mach-O file", 40, { BYTES(0, "\xcf\xfa\xed\xfe") }, false },
	{ "a Git LFS pointer", 35, { BYTES(0, "version https://git-lfs.github.com/") }, false },
	{ "a script", 11, { BYTES(0, "#!/bin/sh\n\n") }, false },
	{ "a text file", 13, { BYTES(0, "caf\xc3\xa9, \ttext\n") }, true },
	{ "begins with zeros", 16, { BYTES(0, "\0") }, true },
};

static uint8_t *make(const struct sample *s)
{
	uint8_t *file = calloc(1, s->size);

	assert_non_null(file);
	for (size_t i = 0; i < ARRAY_SIZE(s->parts); i++) {
		size_t at = s->parts[i].at, len = s->parts[i].len;

		assert_true(at + len <= s->size);
		if (len)
			memcpy(file + at, s->parts[i].bytes, len);
	}
	return file;
}

static void each_kind_of_file_is_told_by_its_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		uint8_t *file = make(s);
		struct identity id =
			identify(file, s->size < IDENTIFY_HEAD ? s->size : IDENTIFY_HEAD);

		if (!id.name || !strstr(id.name, s->name))
			fail_msg("'%s' was taken for '%s'", s->name, id.name ? id.name : "nothing");
		if (id.flat != s->flat)
			fail_msg("'%s' is %sflat", s->name, id.flat ? "" : "not ");
		free(file);
	}
}

/* The sanitizers see to it that nothing behind the end is read. */
static void a_file_may_end_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		uint8_t *file = make(&samples[i]);

		for (size_t len = 0; len < samples[i].size && len < 1200; len++) {
			uint8_t *head = malloc(len ? len : 1);

			assert_non_null(head);
			memcpy(head, file, len);
			(void)identify(head, len);
			free(head);
		}
		free(file);
	}
	assert_null(identify("", 0).name);
}

static void code_is_not_taken_for_anything(void **state)
{
	/* The beginning of a real-mode guest; and a boot sector without partitions. */
	static const uint8_t code[] = { 0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xba, 0xf8, 0x03, 0xf4 };
	uint8_t sector[1024] = { 0xeb, 0x3c, 0x90 };
	struct identity id;

	(void)state;
	id = identify(code, sizeof(code));
	assert_null(id.name);
	assert_true(id.flat);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	id = identify(sector, sizeof(sector));
	assert_null(id.name);
	assert_true(id.flat);
}

static void a_character_cut_in_two_at_the_end_of_the_head_is_still_text(void **state)
{
	char *text = malloc(IDENTIFY_HEAD);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', IDENTIFY_HEAD);
	text[IDENTIFY_HEAD - 1] = '\xc3';
	assert_string_equal(identify(text, IDENTIFY_HEAD).name, "a text file");
	text[7] = '\xc3';
	assert_null(identify(text, IDENTIFY_HEAD).name);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_file_is_told_by_its_bytes),
		cmocka_unit_test(a_file_may_end_anywhere),
		cmocka_unit_test(code_is_not_taken_for_anything),
		cmocka_unit_test(a_character_cut_in_two_at_the_end_of_the_head_is_still_text),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("identify", tests, NULL, NULL);
}
