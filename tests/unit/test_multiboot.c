/* test_multiboot.c: the header of a Multiboot kernel is foreign bytes: what is wrong is refused
 * with the reason; and a planned kernel finds its modules and the memory map where the plan has
 * them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/machine.h>
#include <vibevmm/plan.h>

#include "../../src/boot/multiboot.h"

#define MAGIC	  0x1badb002U
#define ADDRESSES (1U << 16)

struct file {
	uint8_t bytes[12288];
	size_t size;
};

static void put_header(struct file *f, size_t at, uint32_t flags)
{
	bytes_put32(f->bytes + at, MAGIC);
	bytes_put32(f->bytes + at + 4, flags);
	bytes_put32(f->bytes + at + 8, -(MAGIC + flags));
}

/* 1024 bytes that are loaded from offset 16 on; the header is at offset 32. */
static struct file good_flat(void)
{
	struct file f = { .size = 1040 };

	put_header(&f, 32, ADDRESSES | 3);
	bytes_put32(f.bytes + 44, 0x200010); /* header_addr */
	bytes_put32(f.bytes + 48, 0x200000); /* load_addr */
	bytes_put32(f.bytes + 52, 0x200400); /* load_end_addr */
	bytes_put32(f.bytes + 56, 0x201000); /* bss_end_addr */
	bytes_put32(f.bytes + 60, 0x200040); /* entry_addr */
	return f;
}

/* An ELF file of one segment: 256 bytes at offset 512, 4096 in memory. */
static struct file good_elf(bool is_64)
{
	struct file f = { .size = 768 };
	uint8_t *p = f.bytes + (is_64 ? 64 : 52);

	memcpy(f.bytes, is_64 ? "\177ELF\2\1\1" : "\177ELF\1\1\1", 7);
	bytes_put16(f.bytes + 16, 2);
	bytes_put16(f.bytes + 18, is_64 ? ELF_X86_64 : ELF_386);
	bytes_put32(f.bytes + 24, 0x100010);
	bytes_put32(f.bytes + (is_64 ? 32 : 28), is_64 ? 64 : 52);
	bytes_put16(f.bytes + (is_64 ? 54 : 42), is_64 ? 56 : 32);
	bytes_put16(f.bytes + (is_64 ? 56 : 44), 1);
	bytes_put32(p, 1);
	bytes_put32(p + (is_64 ? 8 : 4), 512);
	bytes_put32(p + (is_64 ? 16 : 8), 0x100000);
	bytes_put32(p + (is_64 ? 24 : 12), 0x100000);
	bytes_put32(p + (is_64 ? 32 : 16), 256);
	bytes_put32(p + (is_64 ? 40 : 20), 4096);
	put_header(&f, 600, 3);
	return f;
}

static int read_file(const struct file *file, struct multiboot *mb, struct err *err)
{
	struct image image = { memfd_create("kernel", MFD_CLOEXEC), file->size, "kernel" };
	int ret;

	*err = (struct err){ 0 };
	assert_true(image.fd >= 0);
	assert_int_equal(write(image.fd, file->bytes, file->size), (ssize_t)file->size);
	ret = multiboot_read(&image, mb, err);
	image_close(&image);
	return ret;
}

static void elf_kernels_of_32_and_64_bits_are_read(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 < 2; is_64++) {
		struct file f = good_elf(is_64);
		struct multiboot mb;
		struct err err;

		assert_int_equal(read_file(&f, &mb, &err), 0);
		assert_false(mb.flat);
		assert_int_equal(mb.elf.entry, 0x100010);
		assert_int_equal(mb.elf.n_segments, 1);
		assert_int_equal(mb.elf.segments[0].paddr, 0x100000);
	}
}

static void the_header_of_a_flat_kernel_says_what_to_load(void **state)
{
	struct file f = good_flat();
	struct multiboot mb;
	struct err err;

	(void)state;
	assert_int_equal(read_file(&f, &mb, &err), 0);
	assert_true(mb.flat);
	assert_int_equal(mb.elf.entry, 0x200040);
	assert_int_equal(mb.elf.n_segments, 1);
	assert_int_equal(mb.elf.segments[0].offset, 16);
	assert_int_equal(mb.elf.segments[0].file_size, 1024);
	assert_int_equal(mb.elf.segments[0].paddr, 0x200000);
	assert_int_equal(mb.elf.segments[0].mem_size, 4096);
}

static void without_ends_all_of_the_file_is_loaded_and_nothing_is_zeroed(void **state)
{
	struct file f = good_flat();
	struct multiboot mb;
	struct err err;

	(void)state;
	bytes_put32(f.bytes + 52, 0);
	bytes_put32(f.bytes + 56, 0);
	f.size = 2000;
	assert_int_equal(read_file(&f, &mb, &err), 0);
	assert_int_equal(mb.elf.segments[0].file_size, 2000 - 16);
	assert_int_equal(mb.elf.segments[0].mem_size, 2000 - 16);
}

static void addresses_win_over_elf_headers(void **state)
{
	struct file f = good_elf(false), flat = good_flat();
	struct multiboot mb;
	struct err err;

	(void)state;
	put_header(&f, 600, ADDRESSES | 3);
	memcpy(f.bytes + 612, flat.bytes + 44, 20);
	bytes_put32(f.bytes + 612, 0x200258);
	bytes_put32(f.bytes + 620, 0);
	assert_int_equal(read_file(&f, &mb, &err), 0);
	assert_true(mb.flat);
	assert_int_equal(mb.elf.segments[0].offset, 0);
	assert_int_equal(mb.elf.entry, 0x200040);
}

static void the_header_is_found_to_the_end_of_8_kib_and_not_behind(void **state)
{
	static const struct {
		size_t at;
		int ret;
	} places[] = { { 0, 0 },
		       { 8192 - 12, 0 },
		       { 8192 - 8, -ENOEXEC },
		       { 8192, -ENOEXEC },
		       { 602, -ENOEXEC } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct file f = good_elf(false);
		struct multiboot mb;
		struct err err;

		memset(f.bytes + 600, 0, 12);
		if (!places[i].at) { /* no ELF file then */
			f = (struct file){ 0 };
			memcpy(f.bytes, good_flat().bytes + 32, 32);
			bytes_put32(f.bytes + 12, 0x200000);
		} else {
			put_header(&f, places[i].at, 3);
		}
		f.size = sizeof(f.bytes);
		assert_int_equal(read_file(&f, &mb, &err), places[i].ret);
	}
}

/* One field of a good file overwritten, and the words that the user gets. */
static const struct {
	const char *why;
	bool flat;
	size_t at;
	uint32_t value;
} damages[] = {
	{ "no Multiboot header", false, 600, 0 },
	{ "checksum is wrong", false, 608, 7 },
	{ "Multiboot 2 only", false, 600, 0xe85250d6 },
	{ "ELF file for arm64", false, 18, ELF_AARCH64 },
	{ "program headers", false, 42, 33 },
	{ "lies before the file", true, 44, 0x200021 }, /* header_addr */
	{ "lies before the file", true, 44, 0x1fffff }, /* below load_addr */
	{ "lies before the file", true, 48, 0 },	/* load_addr */
	{ "lies before the file", true, 48, UINT32_MAX },
	{ "not above load_addr", true, 52, 0x200000 }, /* load_end_addr */
	{ "not above load_addr", true, 52, 1 },
	{ "truncated", true, 52, 0x200401 },
	{ "truncated", true, 52, UINT32_MAX },
	{ "lies inside of what is loaded", true, 56, 0x2003ff }, /* bss_end_addr */
	{ "lies inside of what is loaded", true, 56, 1 },
	{ "outside of the image", true, 60, 0x201000 }, /* entry_addr */
	{ "outside of the image", true, 60, 0x1fffff },
	{ "outside of the image", true, 60, UINT32_MAX },
};

static void damaged_kernels_are_refused_with_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct file f = damages[i].flat ? good_flat() : good_elf(false);
		struct multiboot mb;
		struct err err;

		if (damages[i].at == 18 || damages[i].at == 42)
			bytes_put16(f.bytes + damages[i].at, (uint16_t)damages[i].value);
		else
			bytes_put32(f.bytes + damages[i].at, damages[i].value);
		assert_true(read_file(&f, &mb, &err) < 0);
		if (!strstr(err.text, damages[i].why))
			fail_msg("damage %zu: '%s' has no '%s'", i, err.text, damages[i].why);
	}
}

static void an_image_that_ends_above_4_gib_is_refused(void **state)
{
	struct file f = good_flat();
	struct multiboot mb;
	struct err err;

	(void)state;
	bytes_put32(f.bytes + 44, 0xffffff10);
	bytes_put32(f.bytes + 48, 0xffffff00);
	bytes_put32(f.bytes + 52, 0);
	bytes_put32(f.bytes + 56, 0);
	bytes_put32(f.bytes + 60, 0xffffff40);
	assert_int_equal(read_file(&f, &mb, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "below 4 GiB"));
	f.size = 16 + 256; /* it just fits */
	assert_int_equal(read_file(&f, &mb, &err), 0);
}

static void every_demand_that_cannot_be_met_is_refused(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		struct file f = good_elf(false);
		bool met = bit < 2 || bit > 16;
		struct multiboot mb;
		struct err err;

		if (bit == 16)
			continue; /* the addresses, above */
		put_header(&f, 600, 1U << bit);
		assert_int_equal(read_file(&f, &mb, &err), met ? 0 : -ENOEXEC);
		assert_true(met || strstr(err.text, bit == 2 ? "video" : "by bit"));
	}
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (int flat = 0; flat < 2; flat++) {
		struct file f = flat ? good_flat() : good_elf(false);
		struct multiboot mb;
		struct err err;

		for (size_t size = f.size - 1; size > 0; size--) {
			f.size = size;
			assert_true(read_file(&f, &mb, &err) < 0);
			assert_true(err.text[0] != '\0');
		}
	}
}

/* ---- From a config to guest memory ----------------------------------------------------------- */

struct built {
	struct config *config;
	struct diags *diags;
	struct plan *plan;
	struct memory *memory;
	const uint8_t *info;
};

static void write_file(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static const uint8_t *at(const struct built *b, uint64_t gpa, uint64_t len)
{
	const uint8_t *p = memory_ptr(b->memory, gpa, len, true);

	assert_non_null(p);
	return p;
}

static struct built build(const char *memory, const char *rest)
{
	struct file kernel = good_flat();
	struct built b = { .diags = diags_new(), .memory = memory_new() };
	char dir[] = "/tmp/vibevmm-multiboot-XXXXXX", text[1000], path[64];
	struct err err = { 0 };

	assert_true(b.diags && b.memory && mkdtemp(dir));
	memset(kernel.bytes + 64, 0x90, 976);
	snprintf(path, sizeof(path), "%s/kernel", dir);
	write_file(path, kernel.bytes, kernel.size);
	snprintf(path, sizeof(path), "%s/module", dir);
	write_file(path, "module's bytes", 14);
	snprintf(
		text, sizeof(text),
		"name: test\narch: x86_64\nmemory: %s\nboot:\n  multiboot:\n    kernel: %s/kernel\n"
		"%s",
		memory, dir, rest);
	assert_int_equal(chdir(dir), 0);
	b.config = config_load_text("test.yaml", text, strlen(text), machine_registry(), NULL,
				    b.diags);
	assert_non_null(b.config);
	b.plan = plan_make(config_vm(b.config), machine_registry(), arch_find(ARCH_X86_64), NULL,
			   NULL, b.diags);
	if (diags_errors(b.diags))
		diags_print(b.diags, stderr, DIAG_TEXT, false);
	assert_true(b.plan && !diags_errors(b.diags));
	for (size_t i = 0; i < b.plan->n_regions; i++) {
		const struct plan_region *r = &b.plan->regions[i];

		if (r->kind == REGION_RAM)
			assert_int_equal(
				memory_add(b.memory, r->start, r->last - r->start + 1, 0, &err), 0);
	}
	assert_int_equal(b.plan->registry->boots[b.plan->config->boot->index]->load(
				 b.plan, b.plan->config->boot, b.memory, &err),
			 0);
	assert_int_equal(unlink("kernel") | unlink("module") | chdir("/") | rmdir(dir), 0);
	assert_int_equal(b.plan->entry.mode, ENTRY_PROTECTED);
	assert_int_equal(b.plan->entry.pc, 0x200040);
	assert_int_equal(b.plan->entry.rax, 0x2badb002);
	b.info = at(&b, b.plan->entry.rbx, 120);
	return b;
}

static void unbuild(struct built *b)
{
	plan_free(b->plan);
	config_free(b->config);
	diags_free(b->diags);
	memory_free(b->memory);
}

static void a_kernel_finds_its_modules_and_texts(void **state)
{
	struct built b = build("16M", "    cmdline: a b\n    modules:\n    - {file: module}\n"
				      "    - {file: module, cmdline: second}\n");
	const uint8_t *modules;

	(void)state;
	assert_int_equal(bytes_get32(b.info), 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
	assert_string_equal((const char *)at(&b, bytes_get32(b.info + 16), 4), "a b");
	assert_string_equal((const char *)at(&b, bytes_get32(b.info + 64), 8), "vibevmm");
	assert_int_equal(bytes_get32(b.info + 20), 2);
	modules = at(&b, bytes_get32(b.info + 24), 32);
	for (int i = 0; i < 2; i++, modules += 16) {
		uint32_t start = bytes_get32(modules);

		assert_int_equal(start, 0x201000 + 0x1000 * i); /* behind the kernel's .bss */
		assert_int_equal(bytes_get32(modules + 4) - start, 14);
		assert_memory_equal(at(&b, start, 14), "module's bytes", 14);
		assert_string_equal((const char *)at(&b, bytes_get32(modules + 8), 1),
				    i ? "second" : "");
		assert_int_equal(bytes_get32(modules + 12), 0);
	}
	assert_int_equal(at(&b, 0x200040, 1)[0], 0x90);
	assert_int_equal(at(&b, 0x200400, 1)[0], 0);
	unbuild(&b);
}

static void a_kernel_without_extras_is_told_of_none(void **state)
{
	struct built b = build("16M", "");

	(void)state;
	assert_int_equal(bytes_get32(b.info), 1 << 0 | 1 << 6 | 1 << 9);
	unbuild(&b);
}

static void the_memory_map_has_all_ram_and_the_sizes_its_first_parts(void **state)
{
	struct built b = build("5G", "");
	uint32_t len = bytes_get32(b.info + 44);
	const uint8_t *map = at(&b, bytes_get32(b.info + 48), len);
	uint64_t ram = 0, boot = b.plan->ram_size, other = 0;

	(void)state;
	assert_int_equal(bytes_get32(b.info + 4), 640);
	/* Up to the tables, if there are any, but not over the gap below 4 GiB. */
	assert_in_range(bytes_get32(b.info + 8), 2 << 20, (3 << 20) - 1024);
	for (uint32_t i = 0; i < len; i += bytes_get32(map + i) + 4) {
		assert_int_equal(bytes_get32(map + i), 20);
		if (bytes_get32(map + i + 20) == 1)
			ram += bytes_get64(map + i + 12);
		else
			other += bytes_get64(map + i + 12);
	}
	for (size_t i = 0; i < b.plan->n_regions; i++) {
		const struct plan_region *r = &b.plan->regions[i];

		if (r->kind == REGION_TABLES)
			boot -= r->last - r->start + 1;
	}
	assert_int_equal(ram, boot);
	assert_true(other > 0); /* the interrupt controllers' windows */
	unbuild(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_kernels_of_32_and_64_bits_are_read),
		cmocka_unit_test(the_header_of_a_flat_kernel_says_what_to_load),
		cmocka_unit_test(without_ends_all_of_the_file_is_loaded_and_nothing_is_zeroed),
		cmocka_unit_test(addresses_win_over_elf_headers),
		cmocka_unit_test(the_header_is_found_to_the_end_of_8_kib_and_not_behind),
		cmocka_unit_test(damaged_kernels_are_refused_with_the_reason),
		cmocka_unit_test(an_image_that_ends_above_4_gib_is_refused),
		cmocka_unit_test(every_demand_that_cannot_be_met_is_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(a_kernel_finds_its_modules_and_texts),
		cmocka_unit_test(a_kernel_without_extras_is_told_of_none),
		cmocka_unit_test(the_memory_map_has_all_ram_and_the_sizes_its_first_parts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
