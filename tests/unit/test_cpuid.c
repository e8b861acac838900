/* test_cpuid.c: fitting CPUID leaves to a VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/hv/cpuid.h"

#define BIT(n) (1U << (n))

static const struct cpuid_vm lone = { .vcpus = 1 };
static const struct cpuid_vm intel_6 = { .vcpus = 6, .apic = true, .tsc_deadline = true };
static const struct cpuid_vm amd_6 = { .vcpus = 6, .apic = true, .amd = true };

static struct cpuid_regs fit(const struct cpuid_vm *vm, unsigned apic_id, uint32_t leaf,
			     uint32_t subleaf, struct cpuid_regs regs)
{
	cpuid_fit(vm, apic_id, leaf, subleaf, &regs);
	return regs;
}

static const struct cpuid_regs all = { ~0U, ~0U, ~0U, ~0U };

static void leaf_1_has_the_apic_id_and_the_number_of_vcpus(void **state)
{
	struct cpuid_regs r = fit(&intel_6, 5, 1, 0, (struct cpuid_regs){ .ebx = 0x00ff0800 });

	(void)state;
	assert_int_equal(r.ebx, 0x05060800);
	assert_int_equal(r.edx, BIT(28));
	assert_int_equal(r.ecx, BIT(31) | BIT(24));
	r = fit(&lone, 0, 1, 0, all);
	assert_int_equal(r.ebx >> 16, 1);
}

static void a_vm_without_apics_shows_nothing_of_them(void **state)
{
	struct cpuid_regs r = fit(&lone, 0, 1, 0, all);

	(void)state;
	assert_int_equal(r.ecx, ~(BIT(21) | BIT(24)));
	assert_int_equal(r.edx, ~(BIT(9) | BIT(28)));
	r = fit(&lone, 0, 0x40000001, 0, all);
	assert_int_equal(r.eax, 0xffff953f);
	r = fit(&amd_6, 0, 0x40000001, 0, all);
	assert_int_equal(r.eax, ~0U);
	r = fit(&(struct cpuid_vm){ .vcpus = 1, .amd = true }, 0, 0x80000001, 0, all);
	assert_int_equal(r.ecx, ~(BIT(1) | BIT(3)));
	assert_int_equal(r.edx, ~BIT(9));
}

static void leaf_0xb_has_one_thread_a_core_and_all_cores(void **state)
{
	struct cpuid_regs r = fit(&intel_6, 3, 0xb, 0, all);

	(void)state;
	assert_int_equal(r.eax, 0);
	assert_int_equal(r.ebx, 1);
	assert_int_equal(r.ecx, 0x100);
	assert_int_equal(r.edx, 3);
	r = fit(&intel_6, 3, 0xb, 1, all);
	assert_int_equal(r.eax, 3); /* 6 cores take 3 bits */
	assert_int_equal(r.ebx, 6);
	assert_int_equal(r.ecx, 0x201);
	assert_int_equal(r.edx, 3);
}

static void caches_of_levels_1_and_2_are_private_and_the_third_shared(void **state)
{
	/* type 1, level 1; type 3, level 3; the host's sharing in the fields above bit 13 */
	struct cpuid_regs level_1 = { .eax = 0xfffc0021 }, level_3 = { .eax = 0xfffc0063 };

	(void)state;
	assert_int_equal(fit(&intel_6, 0, 4, 0, level_1).eax, 7U << 26 | 0x21);
	assert_int_equal(fit(&intel_6, 0, 4, 3, level_3).eax, 7U << 26 | 7U << 14 | 0x63);
	assert_int_equal(fit(&lone, 0, 4, 3, level_3).eax, 0x63);
	assert_int_equal(fit(&amd_6, 0, 0x8000001d, 3, level_3).eax & 0x3ffc000, 7U << 14);
	assert_int_equal(fit(&intel_6, 0, 4, 4, (struct cpuid_regs){ 0 }).eax, 0);
}

static void numbers_too_large_for_their_field_stop_at_its_top(void **state)
{
	static const struct cpuid_vm many = { .vcpus = 255, .apic = true, .amd = true };

	(void)state;
	assert_int_equal(fit(&many, 254, 1, 0, all).ebx >> 16, 0xfeff);
	assert_int_equal(fit(&many, 254, 4, 0, (struct cpuid_regs){ .eax = 0x21 }).eax,
			 63U << 26 | 0x21);
	assert_int_equal(fit(&many, 254, 0x80000008, 0, (struct cpuid_regs){ 0 }).ecx,
			 8U << 12 | 254);
}

static void amd_has_leaves_of_its_own(void **state)
{
	struct cpuid_regs r = fit(&amd_6, 4, 0x8000001e, 0, all);

	(void)state;
	assert_int_equal(r.eax, 4);
	assert_int_equal(r.ebx, 4);
	assert_int_equal(r.ecx, 0);
	assert_int_equal(fit(&amd_6, 4, 0x80000008, 0, (struct cpuid_regs){ 0 }).ecx, 3 << 12 | 5);
	assert_int_equal(fit(&amd_6, 4, 0x80000001, 0, (struct cpuid_regs){ 0 }).ecx, BIT(1));
	/* ... which are reserved on Intel */
	assert_int_equal(fit(&intel_6, 4, 0x80000008, 0, (struct cpuid_regs){ 0 }).ecx, 0);
	assert_int_equal(fit(&intel_6, 4, 0x80000001, 0, (struct cpuid_regs){ 0 }).ecx, 0);
}

static void vendors_and_host_topology_are_known(void **state)
{
	(void)state;
	/* EBX, EDX, ECX spell "AuthenticAMD", "HygonGenuine", "GenuineIntel" */
	assert_true(cpuid_is_amd(&(struct cpuid_regs){ .ebx = 0x68747541 }));
	assert_true(cpuid_is_amd(&(struct cpuid_regs){ .ebx = 0x6f677948 }));
	assert_false(cpuid_is_amd(&(struct cpuid_regs){ .ebx = 0x756e6547 }));
	assert_true(cpuid_is_host_topology(0xb));
	assert_true(cpuid_is_host_topology(0x1f));
	assert_true(cpuid_is_host_topology(0x80000026));
	assert_false(cpuid_is_host_topology(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaf_1_has_the_apic_id_and_the_number_of_vcpus),
		cmocka_unit_test(a_vm_without_apics_shows_nothing_of_them),
		cmocka_unit_test(leaf_0xb_has_one_thread_a_core_and_all_cores),
		cmocka_unit_test(caches_of_levels_1_and_2_are_private_and_the_third_shared),
		cmocka_unit_test(numbers_too_large_for_their_field_stop_at_its_top),
		cmocka_unit_test(amd_has_leaves_of_its_own),
		cmocka_unit_test(vendors_and_host_topology_are_known),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
