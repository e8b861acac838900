/* test_hvf.c: the backend for macOS on Apple silicon, upon a framework that plays back exits: what
 * of its decoding, calls and refusals no guest on a test host brings about. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/backend.h>
#include <vibevmm/bytes.h>

#include "../../src/hv/arm64_sysreg.h"
#include "../../src/hv/hvf_api.h"
#include "../../src/hv/psci.h"

extern const struct hv_backend hv_hvf_arm64;
static const struct hv_backend *const hv = &hv_hvf_arm64;

#define PC	0x1000U
#define ADDRESS 0x30004U
#define VBAR	0x2000U

/* ---- The framework ------------------------------------------------------------------------- */

static struct {
	bool supported;
	hv_return_t create; /* what hv_vm_create returns */
	unsigned vms, vcpus;
	uint64_t x[HV_REG_CPSR + 1], sysregs[0x10000];
	hv_vcpu_exit_t exit, script[8];
	unsigned played, n;
	sem_t ran; /* an exit was played */
} fake;

int sysctlbyname(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
{
	assert_string_equal(name, "kern.hv_support");
	assert_int_equal(*old_len, sizeof(int));
	(void)new;
	(void)new_len;
	*(int *)old = fake.supported;
	return 0;
}

uint64_t mach_absolute_time(void)
{
	return 12345;
}

void os_release(void *object)
{
	(void)object;
}

hv_vm_config_t hv_vm_config_create(void)
{
	return NULL;
}

hv_return_t hv_vm_config_get_default_ipa_size(uint32_t *bits)
{
	*bits = 36;
	return HV_SUCCESS;
}

hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *bits)
{
	*bits = 40;
	return HV_SUCCESS;
}

hv_return_t hv_vm_config_set_ipa_size(hv_vm_config_t config, uint32_t bits)
{
	(void)config;
	(void)bits;
	return HV_SUCCESS;
}

hv_return_t hv_vm_get_max_vcpu_count(uint32_t *count)
{
	*count = 10;
	return HV_SUCCESS;
}

hv_return_t hv_vm_create(hv_vm_config_t config)
{
	assert_null(config);
	fake.vms += !fake.create;
	return fake.create;
}

hv_return_t hv_vm_destroy(void)
{
	assert_int_equal(fake.vcpus, 0);
	fake.vms--;
	return HV_SUCCESS;
}

hv_return_t hv_vm_map(void *host, uint64_t ipa, size_t size, hv_memory_flags_t flags)
{
	(void)host;
	(void)ipa;
	(void)size;
	(void)flags;
	return HV_SUCCESS;
}

hv_return_t hv_vm_unmap(uint64_t ipa, size_t size)
{
	(void)ipa;
	(void)size;
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_create(hv_vcpu_t *vcpu, hv_vcpu_exit_t **exit, hv_vcpu_config_t config)
{
	(void)config;
	*vcpu = 7;
	*exit = &fake.exit;
	fake.vcpus++;
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_destroy(hv_vcpu_t vcpu)
{
	assert_int_equal(vcpu, 7);
	fake.vcpus--;
	return HV_SUCCESS;
}

hv_return_t hv_vcpus_exit(hv_vcpu_t *vcpus, uint32_t n)
{
	assert_int_equal(n, 1);
	assert_int_equal(vcpus[0], 7);
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_run(hv_vcpu_t vcpu)
{
	assert_int_equal(vcpu, 7);
	assert_in_range(fake.played, 0, fake.n - 1);
	fake.exit = fake.script[fake.played++];
	sem_post(&fake.ran);
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value)
{
	(void)vcpu;
	*value = fake.x[reg];
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value)
{
	(void)vcpu;
	fake.x[reg] = value;
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_get_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t *value)
{
	(void)vcpu;
	*value = fake.sysregs[reg];
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t value)
{
	(void)vcpu;
	fake.sysregs[reg] = value;
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_get_simd_fp_reg(hv_vcpu_t vcpu, uint32_t q, void *value)
{
	(void)vcpu;
	memset(value, q == 3 ? 0x11 : 0, 16);
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_vtimer_offset(hv_vcpu_t vcpu, uint64_t offset)
{
	(void)vcpu;
	assert_int_equal(offset, 12345);
	return HV_SUCCESS;
}

/* ---- A VM of one vCPU ---------------------------------------------------------------------- */

static const struct hv_vm_config one = { .vcpus = 1, .topology = { 1, 1, 1 } };
static struct hv_vm *vm;
static struct hv_vcpu *vcpu;
static struct hv_exit out;

static int set_up(void **state)
{
	const struct hv_entry entry = { .arm64 = { .pc = PC, .x0 = 0x77 } };
	struct err err;

	(void)state;
	alarm(60);
	memset(&fake, 0, sizeof(fake));
	fake.supported = true;
	fake.x[1] = fake.x[2] = fake.x[3] = 0x66; /* of whoever had the vCPU before */
	sem_init(&fake.ran, 0, 0);
	if (hv->vm_create(&one, &vm, &err) || hv->platform_create(vm, &err) ||
	    hv->vcpu_create(vm, 0, &vcpu, &err) || hv->vcpu_set_entry(vcpu, &entry, &err))
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	hv->vcpu_destroy(vcpu);
	hv->vm_destroy(vm);
	return fake.vms || fake.vcpus;
}

/* Arm ARM (DDI 0487), D17.2.38: EC and IL. */
static uint64_t syndrome(unsigned class, uint32_t iss)
{
	return (uint64_t) class << 26 | 1U << 25 | iss;
}

static void play(unsigned class, uint32_t iss)
{
	fake.script[fake.n++] =
		(hv_vcpu_exit_t){ HV_EXIT_REASON_EXCEPTION, { syndrome(class, iss), 0, ADDRESS } };
}

/* An exit after which nothing is left to do: the guest powers off. */
static void expect_off(void)
{
	play(0x16, 0);
	fake.x[0] = PSCI_SYSTEM_OFF;
	hv->vcpu_run(vcpu, &out);
	assert_int_equal(out.kind, HV_EXIT_POWEROFF);
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

static void expect_fault(const char *words)
{
	hv->vcpu_run(vcpu, &out);
	assert_int_equal(out.kind, HV_EXIT_FAULT);
	assert_contains(out.text, words);
}

/* ---- Accesses ------------------------------------------------------------------------------ */

/* ISV, SAS, SSE, SRT, SF, WnR */
#define ACCESS(sas, sse, srt, sf, wnr)                                                             \
	(1U << 24 | (sas) << 22 | (sse) << 21 | (srt) << 16 | (sf) << 15 | (wnr) << 6 | 7)

static void loads_are_extended_as_their_instruction_says(void **state)
{
	static const struct {
		unsigned sas, sse, sf;
		uint64_t value, expected;
	} rows[] = {
		{ 0, 0, 0, 0x91, 0x91 },
		{ 0, 1, 0, 0x91, 0xffffff91 },
		{ 0, 1, 1, 0x91, 0xffffffffffffff91 },
		{ 0, 1, 1, 0x71, 0x71 },
		{ 1, 1, 0, 0x8000, 0xffff8000 },
		{ 1, 0, 0, 0x8000, 0x8000 },
		{ 2, 1, 1, 0x80000000, 0xffffffff80000000 },
		{ 2, 0, 0, 0x80000000, 0x80000000 },
		{ 3, 0, 1, 0x8877665544332211, 0x8877665544332211 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake.played = fake.n = 0;
		fake.x[HV_REG_PC] = PC;
		fake.x[5] = UINT64_MAX;
		play(0x24, ACCESS(rows[i].sas, rows[i].sse, 5U, rows[i].sf, 0U));
		hv->vcpu_run(vcpu, &out);
		assert_int_equal(out.kind, HV_EXIT_MMIO);
		assert_int_equal(out.io.addr, ADDRESS);
		assert_int_equal(out.io.size, 1U << rows[i].sas);
		assert_int_equal(out.io.count, 1);
		assert_false(out.io.write);
		assert_int_equal(hv->vcpu_pc(vcpu), PC);
		bytes_put(out.io.data, out.io.size, rows[i].value);
		expect_off();
		assert_int_equal(fake.x[5], rows[i].expected);
		assert_int_equal(fake.x[HV_REG_PC], PC + 4);
	}
}

/* Its number is that of the PC among the framework's registers. */
static void register_31_is_the_zero_register(void **state)
{
	(void)state;
	play(0x24, ACCESS(3U, 0U, 31U, 1U, 1U));
	hv->vcpu_run(vcpu, &out);
	assert_true(out.io.write);
	assert_int_equal(bytes_get(out.io.data, 8), 0);
	play(0x24, ACCESS(3U, 0U, 31U, 1U, 0U));
	hv->vcpu_run(vcpu, &out);
	assert_int_equal(fake.x[HV_REG_PC], PC + 4);
	bytes_put(out.io.data, 8, UINT64_MAX);
	expect_off();
	assert_int_equal(fake.x[HV_REG_PC], PC + 8);
}

static void stores_give_the_low_end_of_their_register(void **state)
{
	(void)state;
	fake.x[30] = 0x1122334455667788;
	play(0x24, ACCESS(1U, 0U, 30U, 0U, 1U));
	hv->vcpu_run(vcpu, &out);
	assert_true(out.io.write);
	assert_int_equal(out.io.size, 2);
	assert_int_equal(bytes_get(out.io.data, 2), 0x7788);
	expect_off();
}

static void cache_maintenance_where_no_memory_is_is_skipped(void **state)
{
	(void)state;
	play(0x24, 1U << 8 | 7);
	expect_off();
	assert_int_equal(fake.x[HV_REG_PC], PC + 4);
}

static void tables_where_no_memory_is_end_the_guest(void **state)
{
	(void)state;
	play(0x24, ACCESS(3U, 0U, 1U, 1U, 0U) | 1U << 7);
	expect_fault("of stage 2 on a stage 1 walk");
}

static void an_access_without_a_syndrome_ends_the_guest(void **state)
{
	(void)state;
	play(0x24, 7);
	expect_fault("at pc 0x1000 is of a kind, which no device can take");
}

static void code_where_no_memory_is_ends_the_guest(void **state)
{
	(void)state;
	play(0x20, 7);
	expect_fault("pc 0x1000, address 0x30004: instruction abort from a lower level");
}

static void a_trapped_breakpoint_ends_the_guest(void **state)
{
	(void)state;
	play(0x3c, 0x123);
	expect_fault("BRK #0x123");
}

/* ---- Calls --------------------------------------------------------------------------------- */

static uint64_t call(unsigned class, uint64_t function, uint64_t x1, uint64_t x2)
{
	uint64_t result;

	fake.played = fake.n = 0;
	fake.x[0] = function;
	fake.x[1] = x1;
	fake.x[2] = x2;
	play(class, 0);
	/* The call's result is there when the next exit comes. */
	play(0x24, ACCESS(3U, 0U, 0U, 1U, 1U));
	hv->vcpu_run(vcpu, &out);
	assert_int_equal(out.kind, HV_EXIT_MMIO);
	result = bytes_get(out.io.data, 8);
	return result;
}

static void calls_of_psci_have_their_results(void **state)
{
	const uint64_t none = (uint64_t)PSCI_NOT_SUPPORTED;

	(void)state;
	assert_int_equal(call(0x16, PSCI_VERSION, 0, 0), 0x10001);
	assert_int_equal(call(0x16, PSCI_MIGRATE_INFO_TYPE, 0, 0), 2);
	assert_int_equal(call(0x16, PSCI_CPU_SUSPEND, 0, 0), 0);
	assert_int_equal(call(0x16, PSCI_FEATURES, PSCI_CPU_ON, 0), 0);
	assert_int_equal(call(0x16, PSCI_FEATURES, 0x84000003, 0), 0);
	assert_int_equal(call(0x16, PSCI_FEATURES, 0x80000000, 0), 0);
	assert_int_equal(call(0x16, PSCI_FEATURES, 0x8400000e, 0), none);
	assert_int_equal(call(0x16, 0x80000000, 0, 0), 0x10001);
	assert_int_equal(call(0x16, 0x80000001, 0x80000000, 0), 0);
	assert_int_equal(call(0x16, 0x80000001, 0x80008000, 0), none);
	assert_int_equal(call(0x16, 0x8400000e, 0, 0), none);
}

static void processors_are_named_by_their_affinity(void **state)
{
	(void)state;
	assert_int_equal(call(0x16, PSCI_AFFINITY_INFO, 0, 0), PSCI_AFFINITY_ON);
	assert_int_equal(call(0x16, PSCI_AFFINITY_INFO, 1, 0), (uint64_t)PSCI_INVALID_PARAMS);
	assert_int_equal(call(0x16, PSCI_AFFINITY_INFO, 1U << 31, 0),
			 (uint64_t)PSCI_INVALID_PARAMS);
	assert_int_equal(call(0x16, PSCI_AFFINITY_INFO, 0, 1), (uint64_t)PSCI_INVALID_PARAMS);
	assert_int_equal(call(0x16, PSCI_CPU_ON, 0, PC), (uint64_t)PSCI_ALREADY_ON);
	assert_int_equal(call(0x16, PSCI_CPU_ON, 0, PC + 2), (uint64_t)PSCI_INVALID_ADDRESS);
	assert_int_equal(call(0x16, PSCI_CPU_ON, 1, PC), (uint64_t)PSCI_INVALID_PARAMS);
	/* 32-bit callers' arguments end at 32 bits. */
	assert_int_equal(call(0x16, 0x84000004, 0x500000000, 0), PSCI_AFFINITY_ON);
}

/* Of an SMC the PC is at it, of an HVC behind it. */
static void an_smc_is_skipped(void **state)
{
	(void)state;
	call(0x17, PSCI_VERSION, 0, 0);
	assert_int_equal(fake.x[HV_REG_PC], PC + 4);
	fake.x[HV_REG_PC] = PC - 4;
	call(0x16, PSCI_VERSION, 0, 0); /* resumes the first one's access */
	assert_int_equal(fake.x[HV_REG_PC], PC);
}

/* ---- System registers ---------------------------------------------------------------------- */

static uint32_t sysreg(unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2,
		       unsigned rt, bool read)
{
	return op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | read;
}

static void what_kernels_probe_for_reads_as_zero(void **state)
{
	static const unsigned rows[][5] = {
		{ 2, 0, 1, 1, 4 },   /* OSLSR_EL1 */
		{ 2, 0, 0, 0, 4 },   /* DBGBVR0_EL1 */
		{ 3, 0, 0, 7, 3 },   /* an ID register to come */
		{ 3, 3, 9, 12, 0 },  /* PMCR_EL0 */
		{ 3, 0, 9, 14, 1 },  /* PMINTENSET_EL1 */
		{ 3, 3, 14, 15, 7 }, /* PMCCFILTR_EL0 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const unsigned *r = rows[i];

		fake.played = fake.n = 0;
		fake.x[HV_REG_PC] = PC;
		fake.x[4] = fake.x[6] = 0x55;
		play(0x18, sysreg(r[0], r[1], r[2], r[3], r[4], 4, true));
		play(0x18, sysreg(r[0], r[1], r[2], r[3], r[4], 6, false));
		expect_off();
		assert_int_equal(fake.x[4], 0);
		assert_int_equal(fake.x[6], 0x55);
		assert_int_equal(fake.x[HV_REG_PC], PC + 8);
	}
}

static void other_registers_are_undefined(void **state)
{
	static const struct {
		uint64_t pstate, sctlr, vector, new;
	} rows[] = {
		{ 0x5, 1 << 23, 0x200, 0x3c5 },		      /* EL1h */
		{ 0x4, 1 << 23, 0x000, 0x3c5 },		      /* EL1t */
		{ 0xa0000000, 0, 0x400, 0xa04003c5 },	      /* EL0, and PAN is set */
		{ 0x5, 1ULL << 44 | 1 << 23, 0x200, 0x13c5 }, /* SSBS */
		{ 0x400005, 1 << 23, 0x200, 0x4003c5 },	      /* PAN stays */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake.played = fake.n = 0;
		fake.x[HV_REG_PC] = PC;
		fake.x[HV_REG_CPSR] = rows[i].pstate;
		fake.sysregs[ARM64_SCTLR_EL1] = rows[i].sctlr;
		fake.sysregs[ARM64_VBAR_EL1] = VBAR;
		play(0x18, sysreg(3, 0, 12, 12, 0, 4, true)); /* ICC_IAR1_EL1 */
		expect_off();
		assert_int_equal(fake.x[HV_REG_PC], VBAR + rows[i].vector);
		assert_int_equal(fake.x[HV_REG_CPSR], rows[i].new);
		assert_int_equal(fake.sysregs[ARM64_ELR_EL1], PC);
		assert_int_equal(fake.sysregs[ARM64_SPSR_EL1], rows[i].pstate);
		assert_int_equal(fake.sysregs[ARM64_ESR_EL1], 1 << 25);
	}
}

/* ---- Waits, kicks, the timer --------------------------------------------------------------- */

static void *kick_after_exit(void *arg)
{
	sem_wait(&fake.ran);
	hv->vcpu_kick(vcpu);
	return arg;
}

static void wfi_sleeps_until_a_kick(void **state)
{
	pthread_t thread;

	(void)state;
	play(0x01, 0);
	assert_int_equal(pthread_create(&thread, NULL, kick_after_exit, NULL), 0);
	hv->vcpu_run(vcpu, &out);
	assert_int_equal(out.kind, HV_EXIT_KICKED);
	pthread_join(thread, NULL);
	assert_int_equal(fake.x[HV_REG_PC], PC + 4);
	expect_off(); /* once */
}

static void wfe_does_not_sleep(void **state)
{
	(void)state;
	play(0x01, 1);
	expect_off();
	assert_int_equal(fake.x[HV_REG_PC], PC + 4);
}

static void a_vcpu_that_switched_itself_off_waits_for_a_kick(void **state)
{
	pthread_t thread;

	(void)state;
	fake.x[0] = PSCI_CPU_OFF;
	play(0x16, 0);
	assert_int_equal(pthread_create(&thread, NULL, kick_after_exit, NULL), 0);
	hv->vcpu_run(vcpu, &out);
	assert_int_equal(out.kind, HV_EXIT_KICKED);
	pthread_join(thread, NULL);
	assert_true(hv->vcpu_waits(vcpu));
}

static void runs_that_end_for_nothing_go_on(void **state)
{
	(void)state;
	fake.script[fake.n++].reason = HV_EXIT_REASON_CANCELED;
	fake.script[fake.n++].reason = HV_EXIT_REASON_VTIMER_ACTIVATED;
	expect_off();
}

static void an_unknown_end_is_told(void **state)
{
	(void)state;
	fake.script[fake.n++].reason = HV_EXIT_REASON_UNKNOWN;
	expect_fault("exit 3, which vibevmm does not handle");
}

static void the_entry_state_is_a_processors_reset(void **state)
{
	(void)state;
	assert_int_equal(fake.x[HV_REG_PC], PC);
	assert_int_equal(fake.x[0], 0x77);
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(fake.x[i], 0);
	assert_int_equal(fake.x[HV_REG_CPSR], 0x3c5);
	assert_int_equal(fake.sysregs[ARM64_SCTLR_EL1], 0x30d00800);
	assert_int_equal(fake.sysregs[ARM64_MPIDR_EL1], 0x80000000);
}

static void the_dump_has_vectors_that_are_not_zero(void **state)
{
	char text[4096];

	(void)state;
	hv->vcpu_dump(vcpu, text, sizeof(text));
	assert_contains(text, "pc    0000000000001000  pstate 3c5  EL1h DAIF");
	assert_contains(text, "\nv3    11111111111111111111111111111111\n");
	assert_null(strstr(text, "v4"));
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static int nothing_is_there(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	return 0;
}

static void a_host_without_the_framework_says_so(void **state)
{
	struct hv_caps caps = { .max_vcpus = 77 };
	struct err err;

	(void)state;
	assert_int_equal(hv->probe(&caps, &err), -ENOTSUP);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_contains(err.text, "kern.hv_support");
	assert_int_equal(caps.max_vcpus, 77);
}

/* The functions of macOS 15 are not there. */
static void before_macos_15_there_are_no_interrupts(void **state)
{
	const struct hv_vm_config full = { .vcpus = 1,
					   .topology = { 1, 1, 1 },
					   .irqchip = HV_IRQCHIP_FULL,
					   .gic = { .version = HV_GIC_V3 } };
	const struct hv_vm_config two = { .vcpus = 2, .topology = { 1, 2, 1 } };
	struct hv_caps caps;
	struct err err;

	(void)state;
	fake.supported = true;
	assert_int_equal(hv->probe(&caps, &err), 0);
	assert_int_equal(caps.caps, HV_CAP_READONLY_MEM);
	assert_int_equal(caps.max_vcpus, 10);
	assert_int_equal(caps.phys_bits, 40);
	assert_int_equal(hv->vm_create(&full, &vm, &err), 0);
	assert_int_equal(hv->platform_create(vm, &err), -ENODEV);
	assert_contains(err.text, "macOS 15");
	hv->vm_destroy(vm);
	assert_int_equal(hv->vm_create(&two, &vm, &err), -EINVAL);
	assert_int_equal(fake.vms, 0);
}

static void a_program_without_the_entitlement_is_told_how_to_sign(void **state)
{
	struct err err;

	(void)state;
	fake.create = HV_DENIED;
	assert_int_equal(hv->vm_create(&one, &vm, &err), -EPERM);
	assert_contains(err.text, "com.apple.security.hypervisor");
	assert_contains(err.text, "codesign");
}

static void memory_must_be_in_pages_of_a_mac(void **state)
{
	static uint8_t page[0x8000];
	struct err err;

	(void)state;
	assert_int_equal(hv->vm_create(&one, &vm, &err), 0);
	assert_int_equal(hv->mem_map(vm, 0x1000, 0x4000, page, 0, &err), -EINVAL);
	assert_contains(err.text, "0x1000-0x4fff does not begin and end at multiples of 16K");
	assert_int_equal(hv->mem_map(vm, 0, 0x5000, page, 0, NULL), -EINVAL);
	assert_int_equal(hv->mem_map(vm, 0x4000, 0x4000, page, 0, &err), 0);
	assert_int_equal(hv->mem_unmap(vm, 0x4000, 0x8000), -ENOENT);
	assert_int_equal(hv->mem_unmap(vm, 0x4000, 0x4000), 0);
	assert_int_equal(hv->mem_unmap(vm, 0x4000, 0x4000), -ENOENT);
	hv->vm_destroy(vm);
}

int main(void)
{
#define PLAYED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define BARE(f)	  cmocka_unit_test_setup(f, nothing_is_there)
	const struct CMUnitTest tests[] = {
		PLAYED(loads_are_extended_as_their_instruction_says),
		PLAYED(register_31_is_the_zero_register),
		PLAYED(stores_give_the_low_end_of_their_register),
		PLAYED(cache_maintenance_where_no_memory_is_is_skipped),
		PLAYED(tables_where_no_memory_is_end_the_guest),
		PLAYED(an_access_without_a_syndrome_ends_the_guest),
		PLAYED(code_where_no_memory_is_ends_the_guest),
		PLAYED(a_trapped_breakpoint_ends_the_guest),
		PLAYED(calls_of_psci_have_their_results),
		PLAYED(processors_are_named_by_their_affinity),
		PLAYED(an_smc_is_skipped),
		PLAYED(what_kernels_probe_for_reads_as_zero),
		PLAYED(other_registers_are_undefined),
		PLAYED(wfi_sleeps_until_a_kick),
		PLAYED(wfe_does_not_sleep),
		PLAYED(a_vcpu_that_switched_itself_off_waits_for_a_kick),
		PLAYED(runs_that_end_for_nothing_go_on),
		PLAYED(an_unknown_end_is_told),
		PLAYED(the_entry_state_is_a_processors_reset),
		PLAYED(the_dump_has_vectors_that_are_not_zero),
		BARE(a_host_without_the_framework_says_so),
		BARE(before_macos_15_there_are_no_interrupts),
		BARE(a_program_without_the_entitlement_is_told_how_to_sign),
		BARE(memory_must_be_in_pages_of_a_mac),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
