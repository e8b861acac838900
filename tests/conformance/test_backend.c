/* test_backend.c: entry, memory, ports and windows of every backend, by guests of a dozen bytes. */
#include <errno.h>

#include "conformance/rig.h"

/* ---- Entry --------------------------------------------------------------------------------- */

/* The same bytes give 2 bytes of BX in 16-bit code, and 4 of EBX in 32-bit code. */
GUEST(bx, 32, "mov %ebx, %eax; out %eax, $0x10; hlt");
GUEST(rbx_high, 64, "mov %rbx, %rax; shr $32, %rax; out %eax, $0x10; hlt");
GUEST(registers, 64,
      "out %eax, $0x10; mov %esi, %eax; out %eax, $0x11; mov %esp, %eax; out %eax, $0x12; hlt");

static void real_mode_runs_16_bit_code(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, bx);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 2, 0x4444);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

static void protected_mode_runs_32_bit_code(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_PROTECTED, bx);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 4, 0x44444444);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

static void long_mode_runs_64_bit_code(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, rbx_high);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 4, 0x33333333);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

static void entry_hands_over_registers(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, registers);
	assert_int_equal(rig.hv->vcpu_pc(rig.vcpu), RIG_CODE);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 4, 0x22222222);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x11, 4, 0x66666666);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x12, 4, RIG_STACK);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

/* ---- Ports --------------------------------------------------------------------------------- */

GUEST(out, 16,
      "mov $0x89abcdef, %eax; mov $0x3f8, %dx; out %al, %dx; out %ax, %dx; out %eax, %dx;"
      "mov $0xffff, %dx; out %al, %dx; hlt");
GUEST(in, 16,
      "mov $0x3f8, %dx; mov $-1, %eax; in %dx, %al; mov %eax, 0xb000; mov $-1, %eax;"
      "in %dx, %ax; mov %eax, 0xb004; in %dx, %eax; mov %eax, 0xb008; hlt");
GUEST(rep_outsb, 16, "cld; mov $0xb000, %si; mov $300, %cx; mov $0x42, %dx; rep outsb; hlt");
GUEST(rep_outsw, 16, "cld; mov $0xb000, %si; mov $5, %cx; mov $0x42, %dx; rep outsw; hlt");
GUEST(rep_insb, 16, "cld; mov $0xb000, %di; mov $300, %cx; mov $0x42, %dx; rep insb; hlt");
GUEST(rep_insl, 16, "cld; mov $0xb000, %di; mov $7, %cx; mov $0x42, %dx; rep insl; hlt");
GUEST(debug_exit, 16, "mov $42, %al; out %al, $0xf4; hlt");

static void ports_are_written_in_1_2_and_4_bytes(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_PIO);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, out);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x3f8, 1, 0xef);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x3f8, 2, 0xcdef);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x3f8, 4, 0x89abcdef);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0xffff, 1, 0xef);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

static void ports_are_read_in_1_2_and_4_bytes(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_PIO);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, in);
	rig_expect_io(&rig, HV_EXIT_PIO, false, 0x3f8, 1, 0x12);
	rig_expect_io(&rig, HV_EXIT_PIO, false, 0x3f8, 2, 0x3456);
	rig_expect_io(&rig, HV_EXIT_PIO, false, 0x3f8, 4, 0x789abcde);
	rig_expect(&rig, HV_EXIT_HALT);
	assert_int_equal(bytes_get32(rig.ram + RIG_DATA + 0), 0xffffff12);
	assert_int_equal(bytes_get32(rig.ram + RIG_DATA + 4), 0xffff3456);
	assert_int_equal(bytes_get32(rig.ram + RIG_DATA + 8), 0x789abcde);
	rig_close(&rig);
}

/* Runs a guest of repeated string I/O on port 0x42: `data` is what it wrote, or what it reads. */
static void string_io(struct rig *rig, bool write, unsigned size, uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n;

		rig_expect(rig, HV_EXIT_PIO);
		assert_int_equal(rig->exit.io.addr, 0x42);
		assert_int_equal(rig->exit.io.size, size);
		assert_int_equal(rig->exit.io.write, write);
		n = (size_t)rig->exit.io.count * size;
		assert_in_range(n, 1, len - done);
		if (write)
			memcpy(data + done, rig->exit.io.data, n);
		else
			memcpy(rig->exit.io.data, data + done, n);
		done += n;
	}
	rig_expect(rig, HV_EXIT_HALT);
}

static void pattern(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + 1);
}

static void string_output_is_whole_and_in_order(void **state)
{
	uint8_t got[300] = { 0 };
	struct rig rig;

	rig_need(*state, HV_CAP_PIO);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, rep_outsb);
	pattern(rig.ram + RIG_DATA, 300);
	string_io(&rig, true, 1, got, 300);
	assert_memory_equal(got, rig.ram + RIG_DATA, 300);

	rig_enter(&rig, RIG_REAL, rep_outsw);
	memset(got, 0, sizeof(got));
	string_io(&rig, true, 2, got, 10);
	assert_memory_equal(got, rig.ram + RIG_DATA, 10);
	rig_close(&rig);
}

static void string_input_is_whole_and_in_order(void **state)
{
	uint8_t give[300];
	struct rig rig;

	rig_need(*state, HV_CAP_PIO);
	pattern(give, sizeof(give));
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, rep_insb);
	string_io(&rig, false, 1, give, 300);
	assert_memory_equal(rig.ram + RIG_DATA, give, 300);
	assert_int_equal(rig.ram[RIG_DATA + 300], 0);

	memset(rig.ram + RIG_DATA, 0, 300);
	rig_enter(&rig, RIG_REAL, rep_insl);
	string_io(&rig, false, 4, give, 28);
	assert_memory_equal(rig.ram + RIG_DATA, give, 28);
	assert_int_equal(rig.ram[RIG_DATA + 28], 0);
	rig_close(&rig);
}

static void debug_exit_is_a_plain_port_write(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_PIO);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, debug_exit);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0xf4, 1, 42);
	rig_close(&rig); /* without running to the end */
}

/* ---- Windows ------------------------------------------------------------------------------- */

GUEST(mmio_write, 64,
      "mov $0x1122334455667788, %rax; mov $0x10100, %ebx;"
      "mov %al, (%rbx); mov %ax, 2(%rbx); mov %eax, 4(%rbx); mov %rax, 8(%rbx);"
      "mov %eax, 0x11(%rbx); hlt");
GUEST(mmio_read, 64,
      "mov $0x10100, %ebx; mov $0xb000, %edi;"
      "mov $-1, %rax; mov (%rbx), %al; mov %rax, (%rdi);"
      "mov $-1, %rax; mov 2(%rbx), %ax; mov %rax, 8(%rdi);"
      "mov $-1, %rax; mov 4(%rbx), %eax; mov %rax, 16(%rdi);"
      "mov 8(%rbx), %rax; mov %rax, 24(%rdi); hlt");
GUEST(edge, 64,
      "mov $0x77, %al; mov $0xffff, %ebx; mov %al, (%rbx); mov (%rbx), %cl; mov %cl, 1(%rbx);"
      "hlt");
GUEST(across_write, 64, "mov $0x1122334455667788, %rax; mov $0xfffc, %ebx; mov %rax, (%rbx); hlt");
GUEST(across_read, 64, "mov $0xfffc, %ebx; mov (%rbx), %rax; mov %rax, 0xb000; hlt");
GUEST(rom, 64,
      "mov $0x20000, %ebx; mov 0x12(%rbx), %eax; mov %eax, 0xb000; movb $0x55, 0x12(%rbx);"
      "mov 0x12(%rbx), %eax; mov %eax, 0xb004; hlt");
GUEST(past_rom, 64, "mov $0x23fff, %ebx; mov (%rbx), %al; mov 1(%rbx), %cl; hlt");

/* Writes its number behind RAM, and tells the port after each. */
GUEST(comes_and_goes, 64,
      "mov $0x30000, %ebx; mov $1, %eax;"
      "1: mov %eax, (%rbx); out %al, $0x10; inc %eax; cmp $7, %eax; jne 1b; hlt");

static void memory_comes_and_goes_while_the_guest_runs(void **state)
{
	const uint64_t at = 0x30000, size = 0x4000;
	struct err err = { 0 };
	struct rig rig;
	uint8_t *page;

	rig_need(*state, HV_CAP_PIO);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	page = rig_alloc(size);
	rig_enter(&rig, RIG_LONG, comes_and_goes);
	for (unsigned n = 1; n < 7; n += 2) {
		rig_expect_io(&rig, HV_EXIT_MMIO, true, at, 4, n);
		rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 1, n);
		assert_int_equal(rig.hv->mem_map(rig.vm, at, size, page, 0, &err), 0);
		rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 1, n + 1);
		assert_int_equal(bytes_get32(page), n + 1);
		assert_int_equal(rig.hv->mem_unmap(rig.vm, at, size), 0);
	}
	rig_expect(&rig, HV_EXIT_HALT);
	assert_int_equal(rig.hv->mem_unmap(rig.vm, at, size), -ENOENT);
	rig_close(&rig);
	munmap(page, size);
}

static void windows_are_written_in_1_2_4_and_8_bytes(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, mmio_write);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, 0x10100, 1, 0x88);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, 0x10102, 2, 0x7788);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, 0x10104, 4, 0x55667788);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, 0x10108, 8, 0x1122334455667788);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, 0x10111, 4, 0x55667788); /* unaligned */
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

static void windows_are_read_in_1_2_4_and_8_bytes(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, mmio_read);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, 0x10100, 1, 0x12);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, 0x10102, 2, 0x3456);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, 0x10104, 4, 0x789abcde);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, 0x10108, 8, 0xfedcba9876543210);
	rig_expect(&rig, HV_EXIT_HALT);
	assert_int_equal(bytes_get64(rig.ram + RIG_DATA), 0xffffffffffffff12);
	assert_int_equal(bytes_get64(rig.ram + RIG_DATA + 8), 0xffffffffffff3456);
	assert_int_equal(bytes_get64(rig.ram + RIG_DATA + 16), 0x789abcde);
	assert_int_equal(bytes_get64(rig.ram + RIG_DATA + 24), 0xfedcba9876543210);
	rig_close(&rig);
}

static void ram_ends_at_its_last_byte(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, edge);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_RAM_SIZE, 1, 0x77);
	rig_expect(&rig, HV_EXIT_HALT);
	assert_int_equal(rig.ram[RIG_RAM_SIZE - 1], 0x77);
	rig_close(&rig);
}

/* Collects or gives the bytes of one access that come as windows, however the backend cuts them. */
static void mmio_bytes(struct rig *rig, bool write, uint64_t addr, uint8_t *data, size_t len)
{
	for (size_t done = 0; done < len; done += rig->exit.io.size) {
		rig_expect(rig, HV_EXIT_MMIO);
		assert_int_equal(rig->exit.io.write, write);
		assert_int_equal(rig->exit.io.addr, addr + done);
		assert_in_range(rig->exit.io.size, 1, len - done);
		if (write)
			memcpy(data + done, rig->exit.io.data, rig->exit.io.size);
		else
			memcpy(rig->exit.io.data, data + done, rig->exit.io.size);
	}
	rig_expect(rig, HV_EXIT_HALT);
}

static void an_access_across_the_end_of_ram_is_cut_there(void **state)
{
	uint8_t beyond[4] = { 0 };
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, across_write);
	mmio_bytes(&rig, true, RIG_RAM_SIZE, beyond, 4);
	assert_int_equal(bytes_get32(rig.ram + RIG_RAM_SIZE - 4), 0x55667788);
	assert_int_equal(bytes_get32(beyond), 0x11223344);

	bytes_put32(beyond, 0xcafef00d);
	rig_enter(&rig, RIG_LONG, across_read);
	mmio_bytes(&rig, false, RIG_RAM_SIZE, beyond, 4);
	assert_int_equal(bytes_get64(rig.ram + RIG_DATA), 0xcafef00d55667788);
	rig_close(&rig);
}

static void a_rom_is_read_in_place_and_its_writes_exit(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_READONLY_MEM);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, rom);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_ROM + 0x12, 1, 0x55);
	rig_expect(&rig, HV_EXIT_HALT);
	assert_int_equal(bytes_get32(rig.ram + RIG_DATA), 0x15141312);
	assert_int_equal(bytes_get32(rig.ram + RIG_DATA + 4), 0x15141312);
	assert_int_equal(rig.rom[0x12], 0x12);
	rig_close(&rig);
}

static void a_rom_ends_at_its_last_byte(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_READONLY_MEM);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, past_rom);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, RIG_ROM + RIG_ROM_SIZE, 1, 0);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

/* ---- Ends ---------------------------------------------------------------------------------- */

GUEST(halt_twice, 16, "hlt; mov $1, %al; out %al, $0x10; hlt");
GUEST(triple_fault, 64, "ud2");
GUEST(off_the_map, 64, "mov $0x10000, %eax; jmp *%rax");
GUEST(dump, 64, "mov $0x12345678, %r9d; hlt; .byte 0xde, 0xad, 0xbe, 0xef");

static void a_halt_is_seen_each_time(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_REAL, halt_twice);
	rig_expect(&rig, HV_EXIT_HALT);
	assert_int_equal(rig.hv->vcpu_pc(rig.vcpu), RIG_CODE + 1);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x10, 1, 1);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
}

static void an_exception_without_a_handler_is_a_triple_fault(void **state)
{
	struct rig rig;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, triple_fault); /* all gates are absent */
	rig_expect(&rig, HV_EXIT_TRIPLE_FAULT);
	rig_close(&rig);
}

static void code_outside_memory_is_a_fault_in_words(void **state)
{
	struct rig rig;
	char dump[4096];

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, off_the_map);
	rig_run(&rig);
	assert_int_equal(rig.exit.kind, HV_EXIT_FAULT);
	assert_true(strlen(rig.exit.text) > 10);
	rig.hv->vcpu_dump(rig.vcpu, dump, sizeof(dump));
	assert_non_null(strstr(dump, "rip   0000000000010000"));
	assert_non_null(strstr(dump, "code is not in guest memory"));
	rig_close(&rig);
}

static void a_dump_shows_registers_and_code(void **state)
{
	struct rig rig;
	char dump[4096], cut[40];

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, dump);
	rig_expect(&rig, HV_EXIT_HALT);
	rig.hv->vcpu_dump(rig.vcpu, dump, sizeof(dump));
	assert_non_null(strstr(dump, "r9    0000000012345678"));
	assert_non_null(strstr(dump, "cr3   0000000000002000"));
	assert_non_null(strstr(dump, "code de ad be ef 00"));
	memset(cut, 'x', sizeof(cut));
	rig.hv->vcpu_dump(rig.vcpu, cut, 30);
	assert_int_equal(strlen(cut), 29);
	assert_memory_equal(cut, dump, 29);
	assert_int_equal(cut[30], 'x');
	rig.hv->vcpu_dump(rig.vcpu, cut, 0);
	rig_close(&rig);
}

/* ---- CPUID --------------------------------------------------------------------------------- */

GUEST(cpuid, 64, "mov $1, %eax; cpuid; mov %ecx, 0xb000; mov %edx, 0xb004; mov %ebx, 0xb008; hlt");

static void cpuid_tells_of_one_vcpu_under_a_hypervisor(void **state)
{
	struct rig rig;
	uint32_t ecx, edx, ebx;

	rig_need(*state, 0);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter(&rig, RIG_LONG, cpuid);
	rig_expect(&rig, HV_EXIT_HALT);
	ecx = bytes_get32(rig.ram + RIG_DATA);
	edx = bytes_get32(rig.ram + RIG_DATA + 4);
	ebx = bytes_get32(rig.ram + RIG_DATA + 8);
	assert_true(ecx & 1U << 31);
	assert_false(ecx & 1U << 24); /* no APIC, so no TSC deadline, ... */
	assert_false(ecx & 1U << 21); /* ... no x2APIC */
	assert_false(edx & 1U << 9);  /* ... and no APIC */
	assert_int_equal(ebx >> 16, 1);
	rig_close(&rig);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(real_mode_runs_16_bit_code),
		RIG_TEST(protected_mode_runs_32_bit_code),
		RIG_TEST(long_mode_runs_64_bit_code),
		RIG_TEST(entry_hands_over_registers),
		RIG_TEST(ports_are_written_in_1_2_and_4_bytes),
		RIG_TEST(ports_are_read_in_1_2_and_4_bytes),
		RIG_TEST(string_output_is_whole_and_in_order),
		RIG_TEST(string_input_is_whole_and_in_order),
		RIG_TEST(debug_exit_is_a_plain_port_write),
		RIG_TEST(windows_are_written_in_1_2_4_and_8_bytes),
		RIG_TEST(windows_are_read_in_1_2_4_and_8_bytes),
		RIG_TEST(ram_ends_at_its_last_byte),
		RIG_TEST(memory_comes_and_goes_while_the_guest_runs),
		RIG_TEST(an_access_across_the_end_of_ram_is_cut_there),
		RIG_TEST(a_rom_is_read_in_place_and_its_writes_exit),
		RIG_TEST(a_rom_ends_at_its_last_byte),
		RIG_TEST(a_halt_is_seen_each_time),
		RIG_TEST(an_exception_without_a_handler_is_a_triple_fault),
		RIG_TEST(code_outside_memory_is_a_fault_in_words),
		RIG_TEST(a_dump_shows_registers_and_code),
		RIG_TEST(cpuid_tells_of_one_vcpu_under_a_hypervisor),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
