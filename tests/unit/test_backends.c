/* test_backends.c: the table of hypervisors, with and without their code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/backend.h>

static const struct hv_backend *const *rows(size_t *n)
{
	const struct hv_backend *const *all = hv_backends(n);

	assert_true(*n > 0);
	return all;
}

static void every_row_describes_itself(void **state)
{
	const struct hv_backend *const *all;
	size_t n;

	(void)state;
	all = rows(&n);
	for (size_t i = 0; i < n; i++) {
		assert_true(all[i]->name && *all[i]->name && all[i]->doc && *all[i]->doc);
		assert_true(all[i]->arch == ARCH_X86_64 || all[i]->arch == ARCH_ARM64);
		assert_in_range(all[i]->caps.max_vcpus, 1, 4096);
		assert_in_range(all[i]->caps.phys_bits, 36, 52);
	}
}

static void caps_agree_with_one_another(void **state)
{
	const unsigned irqchips = HV_CAP_IRQCHIP_SPLIT | HV_CAP_IRQCHIP_FULL;
	const struct hv_backend *const *all;
	size_t n;

	(void)state;
	all = rows(&n);
	for (size_t i = 0; i < n; i++) {
		unsigned caps = all[i]->caps.caps;

		assert_int_equal(!!(caps & HV_CAP_PIO), all[i]->arch == ARCH_X86_64);
		assert_int_equal(!!(caps & HV_CAP_IRQ_LINE), !!(caps & irqchips));
		assert_true(!(caps & HV_CAP_PIT) || (caps & HV_CAP_IRQCHIP_FULL));
		assert_true(!(caps & HV_CAP_IRQFD) || (caps & HV_CAP_IRQ_LINE));
		/* Without interrupts a second vCPU could not be started. */
		assert_true((caps & irqchips) || all[i]->caps.max_vcpus == 1);
		for (unsigned bit = 1; bit && bit <= caps; bit <<= 1)
			assert_true(!(caps & bit) || strcmp(hv_cap_name((enum hv_cap)bit),
							    hv_cap_name((enum hv_cap)(1U << 31))));
	}
}

static void every_pair_of_name_and_arch_is_there_once(void **state)
{
	static const char *const names[] = { "kvm", "hvf" };
	static const enum arch arches[] = { ARCH_X86_64, ARCH_ARM64 };
	size_t n;

	(void)state;
	rows(&n);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < 2; k++) {
			const struct hv_backend *row = hv_backend_find(names[i], arches[k]);

			assert_non_null(row);
			assert_string_equal(row->name, names[i]);
			assert_int_equal(row->arch, arches[k]);
		}
	}
	assert_null(hv_backend_find("auto", ARCH_X86_64));
	assert_null(hv_backend_find("kvm", ARCH_ANY));
}

/* "Not in this build" means none of it. */
static void functions_are_all_there_or_none(void **state)
{
	const struct hv_backend *const *all;
	size_t n;

	(void)state;
	all = rows(&n);
	for (size_t i = 0; i < n; i++) {
		const struct hv_backend *b = all[i];
		bool here = b->probe != NULL;

		assert_int_equal(b->vm_create != NULL, here);
		assert_int_equal(b->vm_destroy != NULL, here);
		assert_int_equal(b->mem_map != NULL, here);
		assert_int_equal(b->mem_unmap != NULL, here);
		assert_int_equal(b->platform_create != NULL, here);
		assert_int_equal(b->vcpu_create != NULL, here);
		assert_int_equal(b->vcpu_destroy != NULL, here);
		assert_int_equal(b->vcpu_set_entry != NULL, here);
		assert_int_equal(b->vcpu_run != NULL, here);
		assert_int_equal(b->vcpu_kick != NULL, here);
		assert_int_equal(b->vcpu_pc != NULL, here);
		assert_int_equal(b->vcpu_dump != NULL, here);
		assert_int_equal(b->irq_set != NULL, here && (b->caps.caps & HV_CAP_IRQ_LINE));
		assert_int_equal(b->msi_send != NULL, here && (b->caps.caps & HV_CAP_MSI));
		assert_int_equal(b->irqfd != NULL, here && (b->caps.caps & HV_CAP_IRQFD));
		assert_int_equal(b->msi_irqfd != NULL, here && (b->caps.caps & HV_CAP_MSI) &&
							       (b->caps.caps & HV_CAP_IRQFD));
		assert_int_equal(b->ioeventfd != NULL, here && (b->caps.caps & HV_CAP_IOEVENTFD));
	}
}

/* What can run here first; then kvm before hvf. */
static void auto_is_what_this_build_can_run(void **state)
{
	static const enum arch arches[] = { ARCH_X86_64, ARCH_ARM64 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct hv_backend *kvm = hv_backend_find("kvm", arches[i]);
		const struct hv_backend *hvf = hv_backend_find("hvf", arches[i]);

		assert_ptr_equal(hv_backend_auto(arches[i]), hvf->probe && !kvm->probe ? hvf : kvm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_describes_itself),
		cmocka_unit_test(caps_agree_with_one_another),
		cmocka_unit_test(every_pair_of_name_and_arch_is_there_once),
		cmocka_unit_test(functions_are_all_there_or_none),
		cmocka_unit_test(auto_is_what_this_build_can_run),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
