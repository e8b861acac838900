/* test_arm64_backend.c: entry, memory, windows, PSCI and reports of every arm64 backend, by guests
 * of a dozen instructions. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "conformance/rig.h"

/* What a guest says goes to RIG_PORT, whose address it has in x9. */
#define PORT "mov x9, #0x30000;"
#define HANG "1: wfi; b 1b"

static void open_and_enter(struct rig *rig, void **state, const uint8_t *code, const uint8_t *end)
{
	rig_need(*state, 0);
	rig_open(rig, *state, 1, HV_IRQCHIP_NONE);
	rig_enter_code(rig, code, (size_t)(end - code));
}
#define OPEN(rig, name) open_and_enter(rig, state, guest_##name, guest_##name##_end)

static void expect_says(struct rig *rig, uint64_t value)
{
	rig_expect_io(rig, HV_EXIT_MMIO, true, RIG_PORT, 8, value);
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

/* ---- Entry --------------------------------------------------------------------------------- */

GUEST(entry,
      PORT "str x0, [x9]; mrs x1, CurrentEL; str x1, [x9]; mrs x1, SPSel; str x1, [x9];"
	   "mrs x1, DAIF; str x1, [x9]; mrs x1, SCTLR_EL1; and x1, x1, #1; str x1, [x9];" HANG);

static void entry_is_at_el1_with_mmu_and_interrupts_off(void **state)
{
	struct rig rig;

	OPEN(&rig, entry);
	assert_int_equal(rig.hv->vcpu_pc(rig.vcpu), RIG_CODE);
	expect_says(&rig, 0x1111222233334444);
	expect_says(&rig, 1 << 2);
	expect_says(&rig, 1);
	expect_says(&rig, 0x3c0);
	expect_says(&rig, 0);
	rig_close(&rig);
}

/* ---- Windows and memory -------------------------------------------------------------------- */

GUEST(store, PORT "movz x1, #0x8877; movk x1, #0x6655, lsl #16; movk x1, #0x4433, lsl #32;"
		  "movk x1, #0x2211, lsl #48; strb w1, [x9, #1]; strh w1, [x9, #2];"
		  "str w1, [x9, #4]; str x1, [x9, #8]; str xzr, [x9];" HANG);

static void stores_of_1_to_8_bytes_come_as_they_are(void **state)
{
	struct rig rig;

	OPEN(&rig, store);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_PORT + 1, 1, 0x77);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_PORT + 2, 2, 0x8877);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_PORT + 4, 4, 0x66558877);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_PORT + 8, 8, 0x2211443366558877);
	expect_says(&rig, 0);
	rig_close(&rig);
}

GUEST(load, PORT "mov x1, #-1; ldrb w1, [x9, #1]; str x1, [x9]; mov x1, #-1; ldrh w1, [x9, #2];"
		 "str x1, [x9]; mov x1, #-1; ldr w1, [x9, #4]; str x1, [x9]; ldr x1, [x9, #8];"
		 "str x1, [x9];" HANG);

static void loads_of_1_to_8_bytes_fill_their_register(void **state)
{
	struct rig rig;

	OPEN(&rig, load);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, RIG_PORT + 1, 1, 0x91);
	expect_says(&rig, 0x91);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, RIG_PORT + 2, 2, 0x9293);
	expect_says(&rig, 0x9293);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, RIG_PORT + 4, 4, 0x94959697);
	expect_says(&rig, 0x94959697);
	rig_expect_io(&rig, HV_EXIT_MMIO, false, RIG_PORT + 8, 8, 0x98999a9b9c9d9e9f);
	expect_says(&rig, 0x98999a9b9c9d9e9f);
	rig_close(&rig);
}

GUEST(ram_edge, PORT "mov x1, #0x10000; mov x2, #0x5a; str x2, [x1, #-8]; ldr x3, [x1, #-8];"
		     "str x3, [x9]; str x2, [x1];" HANG);

static void ram_ends_at_its_last_byte(void **state)
{
	struct rig rig;

	OPEN(&rig, ram_edge);
	expect_says(&rig, 0x5a);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_RAM_SIZE, 8, 0x5a);
	rig_close(&rig);
}

GUEST(rom, PORT "mov x1, #0x20000; ldr w2, [x1, #4]; str x2, [x9]; str w9, [x1, #4];"
		"ldr w2, [x1, #4]; str x2, [x9];" HANG);

static void rom_is_read_and_a_write_to_it_exits(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_READONLY_MEM);
	OPEN(&rig, rom);
	expect_says(&rig, 0x07060504);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_ROM + 4, 4, RIG_PORT);
	expect_says(&rig, 0x07060504);
	rig_close(&rig);
}

/* ---- Accesses that tell no syndrome -------------------------------------------------------- */

GUEST(stp, PORT "stp x0, x0, [x9, #16];" HANG);
GUEST(ldp, PORT "ldp x0, x1, [x9];" HANG);
GUEST(post_index, PORT "str x0, [x9], #8;" HANG);
GUEST(pre_index, PORT "ldr x0, [x9, #8]!;" HANG);
GUEST(simd, PORT "mov x0, #0x300000; msr CPACR_EL1, x0; isb; str q0, [x9];" HANG);

static void expect_no_syndrome(struct rig *rig, uint64_t pc, const char *addr, const char *words)
{
	char text[64];

	rig_run(rig);
	assert_int_equal(rig->exit.kind, HV_EXIT_FAULT);
	snprintf(text, sizeof(text), "at pc %#llx ", (unsigned long long)pc);
	assert_contains(rig->exit.text, text);
	assert_contains(rig->exit.text, addr);
	assert_contains(rig->exit.text, words);
	assert_contains(rig->exit.text, "one general register");
	assert_int_equal(rig->hv->vcpu_pc(rig->vcpu), pc);
	rig_close(rig);
}

static void a_pair_stored_to_a_window_is_told_with_its_pc(void **state)
{
	struct rig rig;

	OPEN(&rig, stp);
	expect_no_syndrome(&rig, RIG_CODE + 4, "access to 0x30010 ", "a pair of registers");
}

static void a_pair_loaded_from_a_window_is_told_with_its_pc(void **state)
{
	struct rig rig;

	OPEN(&rig, ldp);
	expect_no_syndrome(&rig, RIG_CODE + 4, "access to 0x30000 ", "a pair of registers");
}

static void written_back_addresses_are_told(void **state)
{
	struct rig rig;

	OPEN(&rig, post_index);
	expect_no_syndrome(&rig, RIG_CODE + 4, "access to 0x30000 ", "written back");
	OPEN(&rig, pre_index);
	expect_no_syndrome(&rig, RIG_CODE + 4, "access to 0x30008 ", "written back");
}

static void a_vector_register_is_told(void **state)
{
	struct rig rig;

	OPEN(&rig, simd);
	expect_no_syndrome(&rig, RIG_CODE + 16, "access to 0x30000 ", "a SIMD");
}

/* ---- PSCI (Arm DEN0022) and calls ---------------------------------------------------------- */

#define CALL(number) "ldr x0, =" #number "; hvc #0;"

GUEST(off, CALL(0x84000008) HANG);
GUEST(reset, CALL(0x84000009) HANG);
GUEST(reset2, "mov x1, #0; mov x2, #0;" CALL(0xc4000012) HANG);

static void psci_system_off_is_a_power_off(void **state)
{
	struct rig rig;

	OPEN(&rig, off);
	rig_expect(&rig, HV_EXIT_POWEROFF);
	rig_close(&rig);
}

static void psci_resets_of_both_kinds_are_a_reset(void **state)
{
	struct rig rig;

	OPEN(&rig, reset);
	rig_expect(&rig, HV_EXIT_RESET);
	rig_close(&rig);
	OPEN(&rig, reset2);
	rig_expect(&rig, HV_EXIT_RESET);
	rig_close(&rig);
}

GUEST(version, PORT CALL(0x84000000) "str x0, [x9];" HANG);

static void psci_is_1_0_or_later(void **state)
{
	struct rig rig;

	OPEN(&rig, version);
	rig_expect(&rig, HV_EXIT_MMIO);
	assert_in_range(bytes_get(rig.exit.io.data, 8), 0x10000, 0x1ffff);
	rig_close(&rig);
}

GUEST(unknown_hvc, PORT CALL(0xc600ff01) "str x0, [x9];" HANG);
GUEST(unknown_smc, PORT "ldr x0, =0xc600ff01; smc #0; str x0, [x9];" HANG);

static void unknown_calls_are_not_supported(void **state)
{
	struct rig rig;

	OPEN(&rig, unknown_hvc);
	expect_says(&rig, UINT64_MAX);
	rig_close(&rig);
	OPEN(&rig, unknown_smc);
	expect_says(&rig, UINT64_MAX);
	rig_close(&rig);
}

/* The boot processor asks for the second twice, and for one that isn't there. */
GUEST(boot, PORT "mov x2, #0x8000; mov x3, #0x77; mov x1, #1;" CALL(
		    0xc4000003) "str x0, [x9];"
				"mov x2, #0x8000; mov x1, #1;" CALL(
					0xc4000003) "str x0, [x9];"
						    "mov x2, #0x8000; mov x1, #9;" CALL(
							    0xc4000003) "str x0, [x9];" HANG);
GUEST(second,
      PORT "str x0, [x9, #8]; mrs x1, MPIDR_EL1; and x1, x1, #0xffffff; str x1, [x9, #8];" CALL(
	      0x84000002) HANG);

struct second {
	struct rig rig; /* its own exit and vCPU */
	sem_t ready, go;
	bool waited;
};

static void *run_second(void *arg)
{
	struct second *s = arg;
	struct err err;

	if (s->rig.hv->vcpu_create(s->rig.vm, 1, &s->rig.vcpu, &err))
		s->rig.vcpu = NULL;
	else
		s->waited = s->rig.hv->vcpu_waits(s->rig.vcpu);
	sem_post(&s->ready);
	sem_wait(&s->go);
	if (!s->rig.vcpu)
		return NULL;
	rig_expect_io(&s->rig, HV_EXIT_MMIO, true, RIG_PORT + 8, 8, 0x77);
	rig_expect_io(&s->rig, HV_EXIT_MMIO, true, RIG_PORT + 8, 8, hv_arm64_affinity(1));
	/* It switches itself off, and then only a kick brings it back. */
	sem_post(&s->ready);
	rig_expect(&s->rig, HV_EXIT_KICKED);
	return NULL;
}

static void psci_cpu_on_starts_a_second_vcpu(void **state)
{
	struct second s = { 0 };
	struct rig rig;
	pthread_t thread;

	rig_need(*state, HV_CAP_IRQCHIP_FULL);
	rig_open(&rig, *state, 2, HV_IRQCHIP_FULL);
	rig_put(&rig, RIG_AP_CODE, second);
	s.rig = rig;
	sem_init(&s.ready, 0, 0);
	sem_init(&s.go, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, run_second, &s), 0);
	sem_wait(&s.ready);
	assert_non_null(s.rig.vcpu);
	assert_true(s.waited);
	assert_false(rig.hv->vcpu_waits(rig.vcpu));
	rig_enter(&rig, boot);
	expect_says(&rig, 0);
	expect_says(&rig, (uint64_t)-4); /* ALREADY_ON */
	expect_says(&rig, (uint64_t)-2); /* INVALID_PARAMETERS: there is no such vCPU */
	sem_post(&s.go);
	sem_wait(&s.ready);
	rig.hv->vcpu_kick(s.rig.vcpu);
	pthread_join(thread, NULL);
	rig.hv->vcpu_destroy(s.rig.vcpu);
	rig_close(&rig);
}

/* ---- WFI ------------------------------------------------------------------------------------ */

static void *kick(void *arg)
{
	struct rig *rig = arg;

	rig->hv->vcpu_kick(rig->vcpu);
	return NULL;
}

GUEST(wfi, PORT "str x0, [x9];" HANG);

static void wfi_sleeps_until_a_kick(void **state)
{
	struct rig rig;
	pthread_t thread;

	OPEN(&rig, wfi);
	expect_says(&rig, 0x1111222233334444);
	assert_int_equal(pthread_create(&thread, NULL, kick, &rig), 0);
	rig_expect(&rig, HV_EXIT_KICKED);
	pthread_join(thread, NULL);
	rig_close(&rig);
}

/* ---- Gathered writes ------------------------------------------------------------------------ */

struct gathered {
	unsigned n;
	uint64_t values[4];
};

static void gather(void *arg, enum hv_space space, uint64_t addr, const uint8_t *data,
		   unsigned size)
{
	struct gathered *g = arg;

	assert_int_equal(space, HV_MMIO);
	assert_int_equal(addr, RIG_PORT + 32);
	assert_int_equal(size, 1);
	assert_true(g->n < ARRAY_SIZE(g->values));
	g->values[g->n++] = data[0];
}

GUEST(bytes, PORT "mov w1, #1; strb w1, [x9, #32]; mov w1, #2; strb w1, [x9, #32]; mov w1, #3;"
		  "strb w1, [x9, #32]; str x0, [x9];" HANG);

static void gathered_writes_come_before_the_next_exit(void **state)
{
	struct gathered g = { 0 };
	struct rig rig;

	rig_need(*state, HV_CAP_COALESCE);
	rig_open_config(&rig, *state,
			&(struct hv_vm_config){ .vcpus = 1,
						.topology = { 1, 1, 1 },
						.coalesced = gather,
						.coalesced_arg = &g });
	rig_enter(&rig, bytes);
	assert_int_equal(rig.hv->coalesce(rig.vm, HV_MMIO, RIG_PORT + 32, 1, true), 0);
	expect_says(&rig, 0x1111222233334444);
	assert_int_equal(g.n, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(g.values[i], i + 1);
	rig_close(&rig);
}

/* ---- Reports -------------------------------------------------------------------------------- */

GUEST(brk, "mov x0, #0x2000; msr VBAR_EL1, x0; mov x28, #0x1234; brk #0x123;" HANG);
GUEST(says_so, PORT "str x0, [x9];" HANG);

static void the_dump_tells_the_last_exception_in_words(void **state)
{
	char dump[4096], small[40];
	struct rig rig;

	OPEN(&rig, brk);
	rig_put(&rig, RIG_VECTORS + RIG_VECTOR_SYNC, says_so);
	expect_says(&rig, RIG_VECTORS);
	rig.hv->vcpu_dump(rig.vcpu, dump, sizeof(dump));
	assert_contains(dump, "BRK #0x123");
	assert_contains(dump, "EL1h DAIF");
	assert_contains(dump, "x28   0000000000001234");
	assert_contains(dump, "vbar_el1  0000000000002000");
	assert_contains(dump, "elr_el1   000000000000100c");
	rig.hv->vcpu_dump(rig.vcpu, small, sizeof(small));
	assert_int_equal(strlen(small), sizeof(small) - 1);
	rig_close(&rig);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(entry_is_at_el1_with_mmu_and_interrupts_off),
		RIG_TEST(stores_of_1_to_8_bytes_come_as_they_are),
		RIG_TEST(loads_of_1_to_8_bytes_fill_their_register),
		RIG_TEST(ram_ends_at_its_last_byte),
		RIG_TEST(rom_is_read_and_a_write_to_it_exits),
		RIG_TEST(a_pair_stored_to_a_window_is_told_with_its_pc),
		RIG_TEST(a_pair_loaded_from_a_window_is_told_with_its_pc),
		RIG_TEST(written_back_addresses_are_told),
		RIG_TEST(a_vector_register_is_told),
		RIG_TEST(psci_system_off_is_a_power_off),
		RIG_TEST(psci_resets_of_both_kinds_are_a_reset),
		RIG_TEST(psci_is_1_0_or_later),
		RIG_TEST(unknown_calls_are_not_supported),
		RIG_TEST(psci_cpu_on_starts_a_second_vcpu),
		RIG_TEST(wfi_sleeps_until_a_kick),
		RIG_TEST(gathered_writes_come_before_the_next_exit),
		RIG_TEST(the_dump_tells_the_last_exception_in_words),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
