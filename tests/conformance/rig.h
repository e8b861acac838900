/* rig.h: a machine of 64 KiB for guests of a dozen bytes, on whichever backend.
 *
 *   0x00000  RAM: code at RIG_CODE, RIG_DATA for the guest, tables of long mode above 0x2000
 *   0x10000  nothing
 *   0x20000  ROM, 4 KiB, each byte its offset's low half
 *
 * Every test runs under a time limit: an endless one ends the program, which counts as failed.
 */
#ifndef VIBEVMM_TESTS_RIG_H
#define VIBEVMM_TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/backend.h>
#include <vibevmm/bytes.h>
#include <vibevmm/memory.h>

#define RIG_CODE     0x1000U
#define RIG_PML4     0x2000U
#define RIG_PDPT     0x3000U
#define RIG_PD_LOW   0x4000U /* the first GiB */
#define RIG_PD_HIGH  0x5000U /* the fourth: interrupt controllers */
#define RIG_GDT	     0x6000U
#define RIG_IDT	     0x7000U
#define RIG_AP_CODE  0x8000U
#define RIG_STACK    0xa000U
#define RIG_DATA     0xb000U
#define RIG_RAM_SIZE 0x10000U
#define RIG_ROM	     0x20000U
#define RIG_ROM_SIZE 0x1000U

enum rig_mode { RIG_REAL, RIG_PROTECTED, RIG_LONG };

struct rig {
	const struct hv_backend *hv;
	struct hv_vm *vm;
	struct hv_vcpu *vcpu;
	struct hv_exit exit;
	uint8_t *ram, *rom;
};

/* Assembles a guest: GUEST(name, 16, "mov ...; hlt") makes guest_name and guest_name_end. */
#define GUEST(name, bits, text)                                                                    \
	extern const uint8_t guest_##name[], guest_##name##_end[];                                 \
	__asm__(".pushsection .rodata\n.balign 64\n.code" #bits "\nguest_" #name ":\n" text        \
		"\nguest_" #name "_end:\n.code64\n.popsection\n")

#define rig_enter(rig, mode, name)                                                                 \
	rig_enter_code(rig, mode, guest_##name, (size_t)(guest_##name##_end - guest_##name))

static inline void *rig_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* Skips the test, with the reason, unless the backend works here and has all of `caps`. */
static inline void rig_need(const struct hv_backend *hv, unsigned caps)
{
	struct hv_caps found;
	struct err err;

	if (hv->probe(&found, &err)) {
		print_message("# skipped: %s\n", err.text);
		skip();
	}
	for (unsigned bit = 1; bit && bit <= caps; bit <<= 1) {
		if ((caps & bit) && !(found.caps & bit)) {
			print_message("# skipped: no %s here\n", hv_cap_name((enum hv_cap)bit));
			skip();
		}
	}
}

static inline void rig_open_config(struct rig *rig, const struct hv_backend *hv,
				   const struct hv_vm_config *config)
{
	struct err err = { 0 };

	alarm(60);
	*rig = (struct rig){ .hv = hv };
	rig->ram = rig_alloc(RIG_RAM_SIZE);
	rig->rom = rig_alloc(RIG_ROM_SIZE);
	for (unsigned i = 0; i < RIG_ROM_SIZE; i++)
		rig->rom[i] = (uint8_t)i;
	if (hv->vm_create(config, &rig->vm, &err) ||
	    hv->mem_map(rig->vm, 0, RIG_RAM_SIZE, rig->ram, 0, &err) ||
	    hv->mem_map(rig->vm, RIG_ROM, RIG_ROM_SIZE, rig->rom, MEMORY_READONLY, &err) ||
	    hv->platform_create(rig->vm, &err) || hv->vcpu_create(rig->vm, 0, &rig->vcpu, &err))
		fail_msg("%s", err.text);
}

static inline void rig_open(struct rig *rig, const struct hv_backend *hv, unsigned vcpus,
			    enum hv_irqchip irqchip)
{
	rig_open_config(rig, hv, &(struct hv_vm_config){ .vcpus = vcpus, .irqchip = irqchip });
}

static inline void rig_close(struct rig *rig)
{
	rig->hv->vcpu_destroy(rig->vcpu);
	rig->hv->vm_destroy(rig->vm);
	munmap(rig->ram, RIG_RAM_SIZE);
	munmap(rig->rom, RIG_ROM_SIZE);
	alarm(0);
}

/* Identity map of the first and the fourth GiB in pages of 2 MiB (Intel SDM Vol. 3, 4.5), and a
 * GDT with one 64-bit code segment at selector 8. */
static inline void rig_long_mode_tables(uint8_t *ram)
{
	const uint64_t table = 3, page = 0x83; /* present, writable; 2 MiB */

	bytes_put64(ram + RIG_PML4, RIG_PDPT | table);
	bytes_put64(ram + RIG_PDPT + 0ULL * 8, RIG_PD_LOW | table);
	bytes_put64(ram + RIG_PDPT + 3ULL * 8, RIG_PD_HIGH | table);
	for (uint64_t i = 0; i < 512; i++) {
		bytes_put64(ram + RIG_PD_LOW + i * 8, i << 21 | page);
		bytes_put64(ram + RIG_PD_HIGH + i * 8, (3ULL << 30) + (i << 21) + page);
	}
	bytes_put64(ram + RIG_GDT + 8, 0x00af9b000000ffffULL);
	bytes_put64(ram + RIG_GDT + 16, 0x00cf93000000ffffULL);
}

/* Makes the IDT's gate for the vector lead to offset in the guest's code (Intel SDM Vol. 3,
 * 6.14.1: 64-bit interrupt gate). */
static inline void rig_gate(struct rig *rig, unsigned vector, unsigned offset)
{
	uint8_t *gate = rig->ram + RIG_IDT + (size_t)vector * 16;

	bytes_put32(gate, 8U << 16 | (RIG_CODE + offset)); /* selector, offset 15:0 */
	bytes_put32(gate + 4, 0x00008e00);		   /* present, interrupt gate */
	bytes_put64(gate + 8, 0);
}

static inline void rig_enter_code(struct rig *rig, enum rig_mode mode, const uint8_t *code,
				  size_t len)
{
	bool wide = mode != RIG_REAL;
	uint32_t limit = wide ? 0xffffffff : 0xffff;
	struct hv_entry entry = {
		.x86 = {
			.rip = RIG_CODE,
			.rsp = RIG_STACK,
			.rax = 0x1111111122222222,
			.rbx = 0x3333333344444444,
			.rsi = 0x5555555566666666,
			.cr0 = wide ? 0x11 : 0x10,
			.cs = { .selector = wide ? 8 : 0,
				.limit = limit,
				.type = 0xb,
				.present = true,
				.db = mode == RIG_PROTECTED,
				.long_mode = mode == RIG_LONG,
				.granularity = wide },
			.data = { .selector = wide ? 16 : 0,
				  .limit = limit,
				  .type = 3,
				  .present = true,
				  .db = wide,
				  .granularity = wide },
			.tr = { .limit = 0xffff, .type = 0xb, .present = true, .system = true },
			.gdt_base = RIG_GDT,
			.gdt_limit = 23,
			.idt_base = wide ? RIG_IDT : 0,
			.idt_limit = wide ? 0xfff : 0x3ff,
		},
	};
	struct err err;

	if (mode == RIG_LONG) {
		rig_long_mode_tables(rig->ram);
		entry.x86.cr0 = 0x80000011; /* PG ET PE */
		entry.x86.cr3 = RIG_PML4;
		entry.x86.cr4 = 0x20;	/* PAE */
		entry.x86.efer = 0x500; /* LMA LME */
	}
	memcpy(rig->ram + RIG_CODE, code, len);
	if (rig->hv->vcpu_set_entry(rig->vcpu, &entry, &err))
		fail_msg("%s", err.text);
}

static inline void rig_run(struct rig *rig)
{
	do
		rig->hv->vcpu_run(rig->vcpu, &rig->exit);
	while (rig->exit.kind == HV_EXIT_AGAIN);
}

/* Runs to the next exit and asserts that it is of this kind. */
static inline void rig_expect(struct rig *rig, enum hv_exit_kind kind)
{
	rig_run(rig);
	if (rig->exit.kind == kind)
		return;
	if (rig->exit.kind == HV_EXIT_FAULT) {
		char dump[4096];

		rig->hv->vcpu_dump(rig->vcpu, dump, sizeof(dump));
		print_message("# %s\n%s", rig->exit.text, dump);
	}
	fail_msg("exit kind %d at pc %#llx, not %d", rig->exit.kind,
		 (unsigned long long)rig->hv->vcpu_pc(rig->vcpu), kind);
}

/* The next exit is one access to addr (a port or a window) of that size; for a write, with that
 * value. For a read, value is what the guest gets. */
static inline void rig_expect_io(struct rig *rig, enum hv_exit_kind kind, bool write, uint64_t addr,
				 unsigned size, uint64_t value)
{
	rig_expect(rig, kind);
	assert_int_equal(rig->exit.io.write, write);
	assert_int_equal(rig->exit.io.addr, addr);
	assert_int_equal(rig->exit.io.size, size);
	assert_int_equal(rig->exit.io.count, 1);
	if (write)
		assert_int_equal(bytes_get(rig->exit.io.data, size), value);
	else
		bytes_put(rig->exit.io.data, size, value);
}

/* Runs `tests` (of names and functions) on every backend of this build for x86_64. */
struct rig_test {
	const char *name;
	CMUnitTestFunction run;
};
#define RIG_TEST(f)                                                                                \
	{                                                                                          \
#f, f                                                                              \
	}

static inline int rig_run_tests(const struct rig_test *tests, size_t n)
{
	const struct hv_backend *const *backends;
	size_t n_backends;
	int failed = 0;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	backends = hv_backends(&n_backends);
	for (size_t b = 0; b < n_backends; b++) {
		struct CMUnitTest group[64] = { 0 };

		assert_in_range(n, 1, ARRAY_SIZE(group));
		if (backends[b]->arch != ARCH_X86_64 || !backends[b]->probe)
			continue;
		for (size_t i = 0; i < n; i++) {
			group[i].name = tests[i].name;
			group[i].test_func = tests[i].run;
			group[i].initial_state = (void *)backends[b];
		}
		failed += _cmocka_run_group_tests(backends[b]->name, group, n, NULL, NULL);
	}
	return failed;
}

#endif
