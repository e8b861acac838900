/* test_linux.c: Linux kernels and PVH ones: where they are put, what they are told, what is wrong
 * with them. The kernels are headers made here. */
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

static char dir[] = "/tmp/test_linux.XXXXXX";

#define KIB 1024ULL
#define MIB (1024 * KIB)

/* ---- Files ----------------------------------------------------------------------------------- */

/* A bzImage of protocol 2.15: 512 bytes of setup after the first, then 2048 bytes. */
#define SETUP 1024
static uint8_t bz[SETUP + 2048];

static void make_bzimage(void)
{
	memset(bz, 0, sizeof(bz));
	for (unsigned i = SETUP; i < sizeof(bz); i++)
		bz[i] = (uint8_t)i;
	bz[0x1f1] = 1;
	bytes_put32(bz + 0x1f4, 2048 / 16);
	bytes_put16(bz + 0x1fe, 0xaa55);
	bytes_put16(bz + 0x200, 0x6aeb);
	memcpy(bz + 0x202, "HdrS", 4);
	bytes_put16(bz + 0x206, 0x20f);
	bz[0x211] = 0x81; /* loaded high; the heap is for the real-mode part */
	bytes_put32(bz + 0x22c, 0x7fffffff);
	bytes_put32(bz + 0x230, 2 * MIB);
	bz[0x234] = 1;
	bytes_put16(bz + 0x236, 3);
	bytes_put32(bz + 0x238, 100);
	bytes_put64(bz + 0x258, 16 * MIB);
	bytes_put32(bz + 0x260, 4 * MIB);
	put_file("bz", bz, sizeof(bz));
}

/* A vmlinux: a segment of 4 KiB at 16 MiB, entered at its offset 0x20; then a PVH note. */
static uint8_t elf[0x3000];

static void make_vmlinux(void)
{
	uint8_t *p = elf + 64;

	memset(elf, 0, sizeof(elf));
	memcpy(elf, "\177ELF\2\1\1", 7);
	bytes_put16(elf + 16, 2);
	bytes_put16(elf + 18, 62);
	bytes_put64(elf + 24, 16 * MIB + 0x20);
	bytes_put64(elf + 32, 64);
	bytes_put16(elf + 54, 56);
	bytes_put16(elf + 56, 2);
	bytes_put32(p, 1);
	bytes_put64(p + 8, 0x1000);
	bytes_put64(p + 16, 0xffffffff81000000);
	bytes_put64(p + 24, 16 * MIB);
	bytes_put64(p + 32, 0x1000);
	bytes_put64(p + 40, 0x2000);
	p += 56;
	bytes_put32(p, 4);
	bytes_put64(p + 8, 0x200);
	bytes_put64(p + 32, 20);
	p = elf + 0x200;
	bytes_put32(p, 4);
	bytes_put32(p + 4, 4);
	bytes_put32(p + 8, 18);
	memcpy(p + 12, "Xen", 4);
	bytes_put32(p + 16, 16 * MIB + 0x40);
	memset(elf + 0x1000, 0x5a, 0x1000);
	put_file("vmlinux", elf, sizeof(elf));
}

/* ---- Plans ----------------------------------------------------------------------------------- */

static struct planned vm_plan(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static struct planned vm_plan(const char *fmt, ...)
{
	FILE *f = fopen("vm.yaml", "w");
	struct planned vm;
	va_list ap;

	assert_non_null(f);
	fprintf(f, "arch: x86_64\n");
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
	planned_make(&vm);
	return vm;
}

static void vm_good(const struct planned *vm)
{
	if (diags_errors(vm->diags))
		fail_msg("%s", vm->said);
	assert_non_null(vm->plan);
}

/* The config is refused, and told so. */
static void refused(struct planned vm, const char *text)
{
	assert_int_not_equal(diags_errors(vm.diags), 0);
	if (!strstr(vm.said, text))
		fail_msg("'%s' is not in: %s", text, vm.said);
	planned_free(&vm);
}

static const struct plan_region *owned(const struct planned *vm, const char *owner)
{
	for (size_t i = 0; i < vm->plan->n_regions; i++) {
		if (!strcmp(vm->plan->regions[i].owner, owner))
			return &vm->plan->regions[i];
	}
	fail_msg("there is no %s", owner);
	return NULL;
}

/* Guest memory as the build fills it. */
static struct memory *vm_load(const struct planned *vm)
{
	const struct config_choice *boot = vm->plan->config->boot;
	struct memory *memory = memory_new();
	struct err err = { 0 };

	for (size_t i = 0; i < vm->plan->n_regions; i++) {
		const struct plan_region *r = &vm->plan->regions[i];

		if (r->kind == REGION_RAM)
			assert_int_equal(
				memory_add(memory, r->start, r->last - r->start + 1, 0, &err), 0);
	}
	if (vm->plan->registry->boots[boot->index]->load(vm->plan, boot, memory, &err))
		fail_msg("%s", err.text);
	return memory;
}

#define LINUX(options) "boot: {linux: {" options "}}\n"

/* ---- Tests ----------------------------------------------------------------------------------- */

static void a_bzimage_goes_where_it_prefers_and_finds_its_parameters(void **state)
{
	struct planned vm =
		vm_plan("memory: 64M\n" LINUX("kernel: bz, initrd: rd, cmdline: hello"));
	const struct plan_region *kernel, *initrd;
	struct memory *memory;
	const uint8_t *p;
	struct hv_entry entry;
	struct err err = { 0 };

	(void)state;
	vm_good(&vm);
	kernel = owned(&vm, "kernel");
	initrd = owned(&vm, "initrd");
	assert_int_equal(kernel->start, 16 * MIB);
	assert_int_equal(kernel->last, 20 * MIB - 1);	     /* init_size */
	assert_int_equal(initrd->start, 64 * MIB - 8 * KIB); /* 5000 bytes, page-aligned, on top */
	assert_int_equal(vm.plan->entry.mode, ENTRY_LONG);
	assert_int_equal(vm.plan->entry.pc, 16 * MIB + 0x200);

	memory = vm_load(&vm);
	assert_memory_equal(memory_ptr(memory, 16 * MIB, 2048, false), bz + SETUP, 2048);
	p = memory_ptr(memory, vm.plan->entry.rsi, 4096, false);
	assert_non_null(p);
	assert_memory_equal(p + 0x202, "HdrS", 4);
	assert_int_equal(bytes_get16(p + 0x206), 0x20f);
	assert_int_equal(p[0x210], 0xff);
	assert_int_equal(p[0x211], 0x01);
	assert_int_equal(p[0x1ef], 0);	     /* sentinel */
	assert_int_equal(bytes_get64(p), 0); /* no screen */
	assert_int_equal(bytes_get32(p + 0x218), initrd->start);
	assert_int_equal(bytes_get32(p + 0x21c), 5000);
	assert_string_equal(memory_ptr(memory, bytes_get32(p + 0x228), 6, false), "hello");
	assert_int_not_equal(bytes_get64(p + 0x70), 0);
	assert_int_equal(bytes_get64(p + 0x70), vm.plan->tables.rsdp);
	assert_in_range(p[0x1e8], 2, 16);
	assert_int_equal(bytes_get64(p + 0x2d0), 0);
	assert_int_equal(bytes_get64(p + 0x2d8), 640 * KIB);
	assert_int_equal(bytes_get32(p + 0x2e0), 1);

	assert_int_equal(vm.plan->arch->write_entry(vm.plan, memory, &entry, &err), 0);
	assert_int_equal(entry.x86.cs.selector, 0x10);
	assert_int_equal(entry.x86.data.selector, 0x18);
	assert_int_equal(entry.x86.rsi, vm.plan->entry.rsi);
	assert_int_equal(entry.x86.rflags, 2);
	/* The GDT holds both: long-mode code, then data. */
	p = memory_ptr(memory, entry.x86.gdt_base, 0x20, false);
	assert_int_equal(entry.x86.gdt_limit, 0x1f);
	assert_int_equal(bytes_get64(p + 0x10), 0x00af9b000000ffff);
	assert_int_equal(bytes_get64(p + 0x18), 0x00cf93000000ffff);
	memory_free(memory);
	planned_free(&vm);
}

/* The kernel's own unpacker clears two pages below 0x9f000 while it runs on our page tables. */
static void page_tables_are_out_of_the_trampolines_way(void **state)
{
	struct planned vm = vm_plan("memory: 64M\n" LINUX("kernel: bz"));

	(void)state;
	vm_good(&vm);
	assert_int_equal(owned(&vm, "kernel's trampoline")->start, 0x9d000);
	assert_true(owned(&vm, "page tables")->last < 0x9d000);
	planned_free(&vm);
}

static void a_kernel_moves_up_where_its_place_is_taken(void **state)
{
	struct planned vm =
		vm_plan("memory: [ram: {at: 0, size: 64M}, hole: {at: 17M, size: 4K}]\n" LINUX(
			"kernel: bz"));

	(void)state;
	vm_good(&vm);
	assert_int_equal(owned(&vm, "kernel")->start, 18 * MIB);
	planned_free(&vm);
	bz[0x234] = 0; /* not relocatable */
	put_file("bz", bz, sizeof(bz));
	refused(vm_plan("memory: [ram: {at: 0, size: 64M}, hole: {at: 17M, size: 4K}]\n" LINUX(
			"kernel: bz")),
		"kernel 0x1000000-0x13fffff (4M) does not fit ram");
	make_bzimage();
}

static void old_and_32_bit_kernels_are_entered_in_protected_mode(void **state)
{
	struct planned vm;

	(void)state;
	bytes_put16(bz + 0x236, 0);
	put_file("bz", bz, sizeof(bz));
	vm = vm_plan("memory: 2G\n" LINUX("kernel: bz, initrd: rd"));
	vm_good(&vm);
	assert_int_equal(vm.plan->entry.mode, ENTRY_PROTECTED);
	assert_int_equal(vm.plan->entry.pc, 16 * MIB);
	assert_int_equal(vm.plan->entry.code_selector, 0x10);
	planned_free(&vm);
	/* 2.02 says nothing about alignment, place, initrd, command line. */
	bytes_put16(bz + 0x206, 0x202);
	put_file("bz", bz, sizeof(bz));
	vm = vm_plan("memory: 2G\n" LINUX("kernel: bz, initrd: rd"));
	vm_good(&vm);
	assert_int_equal(vm.plan->entry.pc, 1 * MIB);
	assert_true(owned(&vm, "initrd")->last <= 0x37ffffff);
	planned_free(&vm);
	make_bzimage();
}

static void the_initrd_goes_up_to_its_limit_and_above_4g_only_if_it_must(void **state)
{
	struct planned vm = vm_plan("memory: 5G\n" LINUX("kernel: bz, initrd: rd"));
	struct memory *memory;
	const uint8_t *p;

	(void)state;
	vm_good(&vm);
	assert_int_equal(owned(&vm, "initrd")->start, 0x7fffe000);
	planned_free(&vm);
	vm = vm_plan("memory: [ram: {at: 0, size: 20M}, ram: {at: 4G, size: 20M}]\n" LINUX(
		"kernel: bz, initrd: huge"));
	vm_good(&vm);
	assert_int_equal(owned(&vm, "initrd")->start, 0x100200000);
	memory = vm_load(&vm);
	p = memory_ptr(memory, vm.plan->entry.rsi, 4096, false);
	assert_int_equal(bytes_get32(p + 0x218), 0x200000);
	assert_int_equal(bytes_get32(p + 0xc0), 1);
	memory_free(memory);
	planned_free(&vm);
	bytes_put16(bz + 0x236, 1); /* not above 4G */
	put_file("bz", bz, sizeof(bz));
	refused(vm_plan("memory: [ram: {at: 0, size: 16M}, ram: {at: 16M, size: 4M}, "
			"ram: {at: 4G, size: 64M}]\n" LINUX("kernel: bz, initrd: huge")),
		"initrd");
	make_bzimage();
}

static void a_long_memory_map_goes_on_in_setup_data(void **state)
{
	char map[160 * 40] = "";
	struct memory *memory;
	const uint8_t *p, *more;
	struct planned vm;
	uint64_t at;

	(void)state;
	for (unsigned i = 0; i < 150; i++)
		snprintf(map + strlen(map), 40, ", hole: {at: %uK, size: 4K}", 32768 + 8 * i);
	vm = vm_plan("memory: [ram: {at: 0, size: 64M}%s]\n" LINUX("kernel: bz"), map);
	vm_good(&vm);
	memory = vm_load(&vm);
	p = memory_ptr(memory, vm.plan->entry.rsi, 4096, false);
	assert_int_equal(p[0x1e8], 128);
	at = bytes_get64(p + 0x250);
	assert_int_equal(at, vm.plan->entry.rsi + 4096);
	more = memory_ptr(memory, at, 16 + 40, false);
	assert_int_equal(bytes_get64(more), 0);
	assert_int_equal(bytes_get32(more + 8), 1);
	assert_in_range(bytes_get32(more + 12), 20 * 23, 20 * 60);
	/* The last one is the RAM behind the holes, or what the platform has above it. */
	assert_int_equal(bytes_get32(more + 12) % 20, 0);
	assert_true(bytes_get64(more + 16) > 32 * MIB);
	memory_free(memory);
	planned_free(&vm);
}

static void the_command_line_has_the_kernels_limit(void **state)
{
	char text[2049];
	struct planned vm;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[100] = '\0';
	vm = vm_plan("memory: 64M\n" LINUX("kernel: bz, cmdline: %s"), text);
	vm_good(&vm);
	planned_free(&vm);
	text[100] = 'x';
	text[101] = '\0';
	refused(vm_plan("memory: 64M\n" LINUX("kernel: bz, cmdline: %s"), text),
		"the command line has 101 bytes; this kernel takes at most 100");
	text[101] = 'x';
	text[2048] = '\0';
	refused(vm_plan("memory: 64M\n" LINUX("kernel: vmlinux, cmdline: %s"), text),
		"the command line has 2048 bytes; this kernel takes at most 2047");
}

static void a_vmlinux_is_entered_by_its_physical_address(void **state)
{
	struct planned vm = vm_plan("memory: 64M\n" LINUX("kernel: vmlinux, initrd: rd"));
	struct memory *memory;
	const uint8_t *p;

	(void)state;
	vm_good(&vm);
	assert_int_equal(vm.plan->entry.mode, ENTRY_LONG);
	assert_int_equal(vm.plan->entry.pc, 16 * MIB + 0x20);
	memory = vm_load(&vm);
	assert_memory_equal(memory_ptr(memory, 16 * MIB, 0x1000, false), elf + 0x1000, 0x1000);
	p = memory_ptr(memory, vm.plan->entry.rsi, 4096, false);
	assert_memory_equal(p + 0x202, "HdrS", 4);
	assert_int_equal(p[0x210], 0xff); /* or the kernel would not look for an initrd */
	assert_int_equal(bytes_get32(p + 0x21c), 5000);
	/* The row's default, of Vibe-VMM. */
	assert_string_equal(memory_ptr(memory, bytes_get32(p + 0x228), 41, false),
			    "console=hvc0 earlyprintk=serial panic=1");
	memory_free(memory);
	planned_free(&vm);
	/* A virtual entry address means the same. */
	bytes_put64(elf + 24, 0xffffffff81000020);
	put_file("vmlinux", elf, sizeof(elf));
	vm = vm_plan("memory: 64M\n" LINUX("kernel: vmlinux"));
	vm_good(&vm);
	assert_int_equal(vm.plan->entry.pc, 16 * MIB + 0x20);
	planned_free(&vm);
	make_vmlinux();
}

static void a_pvh_kernel_finds_its_start_info(void **state)
{
	struct planned vm =
		vm_plan("memory: 64M\nboot: {pvh: {kernel: vmlinux, initrd: rd, cmdline: hi}}\n");
	struct memory *memory;
	const uint8_t *p, *map, *module;
	uint64_t n;

	(void)state;
	vm_good(&vm);
	assert_int_equal(vm.plan->entry.mode, ENTRY_PROTECTED);
	assert_int_equal(vm.plan->entry.pc, 16 * MIB + 0x40);
	memory = vm_load(&vm);
	p = memory_ptr(memory, vm.plan->entry.rbx, 56, false);
	assert_int_equal(bytes_get32(p), 0x336ec578);
	assert_int_equal(bytes_get32(p + 4), 1);
	assert_int_equal(bytes_get32(p + 12), 1);
	module = memory_ptr(memory, bytes_get64(p + 16), 32, false);
	assert_int_equal(bytes_get64(module), owned(&vm, "initrd")->start);
	assert_int_equal(bytes_get64(module + 8), 5000);
	assert_string_equal(memory_ptr(memory, bytes_get64(p + 24), 3, false), "hi");
	assert_int_equal(bytes_get64(p + 32), vm.plan->tables.rsdp);
	n = bytes_get32(p + 48);
	assert_in_range(n, 2, 16);
	map = memory_ptr(memory, bytes_get64(p + 40), n * 24, false);
	assert_int_equal(bytes_get64(map + 8), 640 * KIB);
	assert_int_equal(bytes_get32(map + 16), 1);
	memory_free(memory);
	planned_free(&vm);
	/* Another owner's note of that type is not it. */
	memcpy(elf + 0x200 + 12, "Foo", 4);
	put_file("vmlinux", elf, sizeof(elf));
	refused(vm_plan("memory: 64M\nboot: {pvh: {kernel: vmlinux}}\n"), "offers no PVH entry");
	make_vmlinux();
}

static void damaged_kernels_are_refused_with_the_reason(void **state)
{
	static const char *const vm_text = "memory: 64M\n" LINUX("kernel: bz");

	(void)state;
	put_file("bz", bz, sizeof(bz) - 16);
	refused(vm_plan("%s", vm_text), "is a truncated kernel: by its header it has 3072 bytes");
	put_file("bz", bz, SETUP);
	refused(vm_plan("%s", vm_text), "is a truncated kernel: it ends within its setup part");
	put_file("bz", bz, 0x206);
	refused(vm_plan("%s", vm_text), "it ends within its setup part");
	make_bzimage();
	bz[0x1fe] = 0;
	put_file("bz", bz, sizeof(bz));
	refused(vm_plan("%s", vm_text), "its boot flag is not 0xaa55");
	make_bzimage();
	bz[0x211] = 0;
	put_file("bz", bz, sizeof(bz));
	refused(vm_plan("%s", vm_text), "only a bzImage can be booted");
	make_bzimage();
	bytes_put32(bz + 0x230, 3 * MIB);
	put_file("bz", bz, sizeof(bz));
	refused(vm_plan("%s", vm_text), "its alignment is not a power of two");
	make_bzimage();
	bytes_put32(bz + 0x260, UINT32_MAX);
	put_file("bz", bz, sizeof(bz));
	refused(vm_plan("%s", vm_text), "kernel");
	make_bzimage();
	bytes_put32(bz + 0x248, 4);
	bytes_put32(bz + 0x24c, UINT32_MAX);
	put_file("bz", bz, sizeof(bz));
	refused(vm_plan("%s", vm_text), "its payload reaches beyond its end");
	make_bzimage();
	put_file("vmlinux", elf, 0x1800);
	refused(vm_plan("memory: 64M\n" LINUX("kernel: vmlinux")), "is a truncated ELF file");
	make_vmlinux();
}

/* A payload that nothing unpacks is the kernel's own affair. */
static void an_unknown_payload_is_left_to_the_kernel(void **state)
{
	struct planned vm;

	(void)state;
	bytes_put32(bz + 0x248, 16);
	bytes_put32(bz + 0x24c, 1024);
	put_file("bz", bz, sizeof(bz));
	vm = vm_plan("memory: 64M\n" LINUX("kernel: bz"));
	vm_good(&vm);
	assert_int_equal(vm.plan->entry.pc, 16 * MIB + 0x200);
	planned_free(&vm);
	make_bzimage();
}

static int set_up(void **state)
{
	static char zero[18 * MIB];

	(void)state;
	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	setenv("XDG_CONFIG_HOME", dir, 1);
	setenv("XDG_CACHE_HOME", dir, 1);
	make_bzimage();
	make_vmlinux();
	memcpy(zero, "070701", 6);
	put_file("rd", zero, 5000);
	put_file("huge", zero, sizeof(zero));
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = { "bz", "vmlinux", "rd", "huge", "vm.yaml" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(files[i]);
	rmdir("vibevmm");
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bzimage_goes_where_it_prefers_and_finds_its_parameters),
		cmocka_unit_test(page_tables_are_out_of_the_trampolines_way),
		cmocka_unit_test(a_kernel_moves_up_where_its_place_is_taken),
		cmocka_unit_test(old_and_32_bit_kernels_are_entered_in_protected_mode),
		cmocka_unit_test(the_initrd_goes_up_to_its_limit_and_above_4g_only_if_it_must),
		cmocka_unit_test(a_long_memory_map_goes_on_in_setup_data),
		cmocka_unit_test(the_command_line_has_the_kernels_limit),
		cmocka_unit_test(a_vmlinux_is_entered_by_its_physical_address),
		cmocka_unit_test(a_pvh_kernel_finds_its_start_info),
		cmocka_unit_test(damaged_kernels_are_refused_with_the_reason),
		cmocka_unit_test(an_unknown_payload_is_left_to_the_kernel),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
