/* test_cpuid.c: fitting CPUID leaves to a VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/hv/cpuid.h"

#define BIT(n) (1U << (n))

static const struct cpuid_vm lone = { .topology = { 1, 1, 1 } };
static const struct cpuid_vm intel_6 = {
	.topology = { 1, 6, 1 },
	.apic = true,
	.tsc_deadline = true,
};
static const struct cpuid_vm amd_6 = { .topology = { 1, 6, 1 }, .apic = true, .amd = true };

/* 2 sockets of 3 cores of 2 threads: 1 bit for the thread, 2 for the core. vCPU 9 is thread 1 of
 * core 1 of socket 1, its APIC ID 1 01 1. */
static const struct cpuid_vm intel_12 = { .topology = { 2, 3, 2 }, .apic = true };
static const struct cpuid_vm amd_12 = { .topology = { 2, 3, 2 }, .apic = true, .amd = true };

static struct cpuid_regs fit(const struct cpuid_vm *vm, unsigned index, uint32_t leaf,
			     uint32_t subleaf, struct cpuid_regs regs)
{
	cpuid_fit(vm, index, leaf, subleaf, &regs);
	return regs;
}

static const struct cpuid_regs all = { ~0U, ~0U, ~0U, ~0U };

static void leaf_1_has_the_apic_id_and_the_number_of_vcpus(void **state)
{
	struct cpuid_regs r = fit(&intel_6, 5, 1, 0, (struct cpuid_regs){ .ebx = 0x00ff0800 });

	(void)state;
	assert_int_equal(r.ebx, 0x05080800); /* 8 IDs are set aside for the 6 */
	assert_int_equal(r.edx, BIT(28));
	assert_int_equal(r.ecx, BIT(31) | BIT(24));
	assert_int_equal(fit(&amd_6, 5, 1, 0, all).ebx >> 16, 0x0506);
	assert_int_equal(fit(&intel_12, 9, 1, 0, all).ebx >> 16, 0x0b08);
	assert_int_equal(fit(&amd_12, 9, 1, 0, all).ebx >> 16, 0x0b06);
	r = fit(&lone, 0, 1, 0, all);
	assert_int_equal(r.ebx >> 16, 1);
}

static void every_vcpu_alone_in_its_socket_is_no_multiprocessor(void **state)
{
	const struct cpuid_vm vm = { .topology = { 4, 1, 1 }, .apic = true, .amd = true };

	(void)state;
	assert_int_equal(fit(&vm, 3, 1, 0, all).ebx >> 16, 0x0301);
	assert_int_equal(fit(&vm, 3, 1, 0, all).edx, ~BIT(28));
	assert_int_equal(fit(&vm, 3, 0x80000001, 0, all).ecx, ~BIT(1));
	assert_int_equal(fit(&vm, 3, 0xb, 1, all).eax, 0);
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
	r = fit(&(struct cpuid_vm){ .topology = { 1, 1, 1 }, .amd = true }, 0, 0x80000001, 0, all);
	assert_int_equal(r.ecx, ~(BIT(1) | BIT(3)));
	assert_int_equal(r.edx, ~BIT(9));
}

static void leaf_0xb_has_the_threads_of_a_core_and_of_a_package(void **state)
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
	r = fit(&intel_12, 9, 0xb, 0, all);
	assert_int_equal(r.eax, 1);
	assert_int_equal(r.ebx, 2);
	assert_int_equal(r.edx, 11);
	r = fit(&intel_12, 9, 0xb, 1, all);
	assert_int_equal(r.eax, 3);
	assert_int_equal(r.ebx, 6);
	assert_int_equal(r.edx, 11);
}

static void caches_of_levels_1_and_2_are_the_cores_and_the_third_the_packages(void **state)
{
	/* type 1, level 1; type 3, level 3; the host's sharing in the fields above bit 13 */
	struct cpuid_regs level_1 = { .eax = 0xfffc0021 }, level_3 = { .eax = 0xfffc0063 };

	(void)state;
	assert_int_equal(fit(&intel_6, 0, 4, 0, level_1).eax, 7U << 26 | 0x21);
	assert_int_equal(fit(&intel_6, 0, 4, 3, level_3).eax, 7U << 26 | 7U << 14 | 0x63);
	assert_int_equal(fit(&lone, 0, 4, 3, level_3).eax, 0x63);
	/* 2 threads share; 4 core numbers, 8 threads' */
	assert_int_equal(fit(&intel_12, 9, 4, 0, level_1).eax, 3U << 26 | 1U << 14 | 0x21);
	assert_int_equal(fit(&intel_12, 9, 4, 3, level_3).eax, 3U << 26 | 7U << 14 | 0x63);
	assert_int_equal(fit(&amd_6, 0, 0x8000001d, 3, level_3).eax & 0x3ffc000, 7U << 14);
	assert_int_equal(fit(&intel_6, 0, 4, 4, (struct cpuid_regs){ 0 }).eax, 0);
}

static void numbers_too_large_for_their_field_stop_at_its_top(void **state)
{
	static const struct cpuid_vm many = { .topology = { 1, 255, 1 },
					      .apic = true,
					      .amd = true };

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
	r = fit(&amd_12, 9, 0x8000001e, 0, all);
	assert_int_equal(r.eax, 11);
	assert_int_equal(r.ebx, 0x101); /* core 1, of 2 threads */
	assert_int_equal(r.ecx, 1);	/* node 1, of 1 in this socket */
	assert_int_equal(fit(&amd_12, 9, 0x80000008, 0, (struct cpuid_regs){ 0 }).ecx, 3 << 12 | 5);
	assert_int_equal(fit(&amd_6, 4, 0x80000008, 0, (struct cpuid_regs){ 0 }).ecx, 3 << 12 | 5);
	assert_int_equal(fit(&amd_6, 4, 0x80000001, 0, (struct cpuid_regs){ 0 }).ecx, BIT(1));
	/* ... which are reserved on Intel */
	assert_int_equal(fit(&intel_6, 4, 0x80000008, 0, (struct cpuid_regs){ 0 }).ecx, 0);
	assert_int_equal(fit(&intel_6, 4, 0x80000001, 0, (struct cpuid_regs){ 0 }).ecx, 0);
}

static void clock_rates_are_told_where_they_are_known(void **state)
{
	const struct cpuid_vm vm = {
		.topology = { 1, 1, 1 },
		.tsc_khz = 2100000,
		.apic_khz = 1000000,
	};
	struct cpuid_regs r = fit(&vm, 0, 0x40000010, 0, all), max = { .eax = 0x40000001 };

	(void)state;
	assert_int_equal(r.eax, 2100000);
	assert_int_equal(r.ebx, 1000000);
	assert_int_equal(r.ecx | r.edx, 0);
	assert_int_equal(fit(&vm, 0, 0x40000000, 0, max).eax, 0x40000010);
	assert_int_equal(fit(&vm, 0, 0x40000000, 0, all).eax, ~0U);
	assert_int_equal(fit(&lone, 0, 0x40000000, 0, max).eax, 0x40000001);
}

static void apic_ids_number_threads_cores_and_sockets(void **state)
{
	static const struct hv_topology flat = { 1, 6, 1 }, gaps = { 2, 3, 2 }, odd = { 2, 1, 3 };
	static const struct hv_topology wide = { 4, 8, 2 };
	static const unsigned of_gaps[] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13 };
	static const unsigned of_odd[] = { 0, 1, 2, 4, 5, 6 };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(hv_x86_apic_id(&flat, i), i);
		assert_int_equal(hv_x86_apic_id(&odd, i), of_odd[i]);
	}
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(hv_x86_apic_id(&gaps, i), of_gaps[i]);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(hv_x86_apic_id(&wide, i), i);
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
		cmocka_unit_test(leaf_0xb_has_the_threads_of_a_core_and_of_a_package),
		cmocka_unit_test(caches_of_levels_1_and_2_are_the_cores_and_the_third_the_packages),
		cmocka_unit_test(numbers_too_large_for_their_field_stop_at_its_top),
		cmocka_unit_test(amd_has_leaves_of_its_own),
		cmocka_unit_test(every_vcpu_alone_in_its_socket_is_no_multiprocessor),
		cmocka_unit_test(clock_rates_are_told_where_they_are_known),
		cmocka_unit_test(apic_ids_number_threads_cores_and_sockets),
		cmocka_unit_test(vendors_and_host_topology_are_known),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
