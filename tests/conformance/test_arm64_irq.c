/* test_arm64_irq.c: interrupts of every arm64 backend: GICv2, GICv3, timer, irqfd. */
#include <errno.h>
#include <sys/eventfd.h>

#include "conformance/irq_arm64.h"

static void open_v3(struct rig *rig, void **state, unsigned caps)
{
	rig_need(*state, HV_CAP_GICV3 | caps);
	rig_open_gic(rig, *state, 1, HV_GIC_V3);
	rig_put(rig, RIG_VECTORS + RIG_VECTOR_IRQ, v3_handler);
}

/* Twice, so that the end of the first one counts as well. */
static void raise_twice(struct rig *rig)
{
	expect_says(rig, 0);
	for (int i = 0; i < 2; i++) {
		rig->hv->irq_set(rig->vm, LINE, true);
		expect_says(rig, INTID);
		rig->hv->irq_set(rig->vm, LINE, false);
	}
	rig_close(rig);
}

static void a_line_interrupts_by_a_gicv3(void **state)
{
	struct rig rig;

	open_v3(&rig, state, 0);
	rig_enter(&rig, v3);
	raise_twice(&rig);
}

static void a_line_interrupts_by_a_gicv2(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_GICV2);
	rig_open_gic(&rig, *state, 1, HV_GIC_V2);
	rig_put(&rig, RIG_VECTORS + RIG_VECTOR_IRQ, v2_handler);
	rig_enter(&rig, v2);
	raise_twice(&rig);
}

/* GICD_ICFGR at 0xc00, two bits each, the upper one for edges. */
GUEST(edge, VECTORS "mov w1, #0x12; str w1, [x10]; mov w1, #8; str w1, [x10, #0x84];"
		    "str w1, [x10, #0x104]; mov w1, #0x80; str w1, [x10, #0xc08];" CPU_V3 SLEEP);

static void an_irqfd_interrupts_without_us(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct rig rig;
	struct err err;

	open_v3(&rig, state, HV_CAP_IRQFD);
	assert_int_equal(rig.hv->irqfd(rig.vm, LINE, fd, &err), 0);
	rig_enter(&rig, edge);
	expect_says(&rig, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(eventfd_write(fd, 1), 0);
		expect_says(&rig, INTID);
	}
	close(fd);
	rig_close(&rig);
}

/* The virtual timer's interrupt is PPI 11, INTID 27 (Arm BSA, "PPI assignments"). The handler
 * leaves it raised, so it masks it first. */
GUEST(timer,
      VECTORS "mov w1, #0x12; str w1, [x10]; add x12, x10, #0xb0000; mov w1, #0x08000000;"
	      "str w1, [x12, #0x80]; str w1, [x12, #0x100];" CPU_V3
	      "mov x1, #1000; msr CNTV_TVAL_EL0, x1; mov x1, #1; msr CNTV_CTL_EL0, x1;" SLEEP);
GUEST(timer_handler, "msr CNTV_CTL_EL0, xzr; mrs x1, S3_0_C12_C12_0; str x1, [x9];"
		     "msr S3_0_C12_C12_1, x1; eret;");

static void the_timer_ends_a_wfi(void **state)
{
	struct rig rig;

	open_v3(&rig, state, 0);
	rig_put(&rig, RIG_VECTORS + RIG_VECTOR_IRQ, timer_handler);
	rig_enter(&rig, timer);
	expect_says(&rig, 0);
	expect_says(&rig, 27);
	rig_close(&rig);
}

/* The ITS answers at GITS_TYPER (offset 8), and a message that nobody mapped does no harm. */
GUEST(its, "mov x9, #0x30000; mov x10, #0x08080000; ldr x1, [x10, #8]; and x1, x1, #1;"
	   "str x1, [x9]; str x1, [x9]; 1: wfi; b 1b");

static void an_its_is_there_and_survives_a_stray_message(void **state)
{
	struct hv_gic_config gic = rig_gic(HV_GIC_V3);
	struct rig rig;

	rig_need(*state, HV_CAP_ITS);
	gic.its = RIG_ITS;
	rig_open_config(&rig, *state,
			&(struct hv_vm_config){ .vcpus = 1,
						.topology = { 1, 1, 1 },
						.irqchip = HV_IRQCHIP_FULL,
						.gic = gic,
						.irq_lines = 1 });
	rig_enter(&rig, its);
	expect_says(&rig, 1); /* physical LPIs */
	rig.hv->msi_send(rig.vm, RIG_ITS + 0x10040, 5, 8);
	expect_says(&rig, 1);
	rig_close(&rig);
}

/* GICR_TYPER is at offset 8 (IHI 0069, 12.11): bit 4 says that it is the last of its region, bits
 * 23 to 8 whose it is. */
GUEST(redists, "mov x9, #0x30000; mov x10, #0x080a0000; mov x11, #0x20000; ldr x1, [x10, #8];"
	       "str x1, [x9]; add x10, x10, x11; ldr x1, [x10, #8]; str x1, [x9];"
	       "mov x10, #0x0a000000; ldr x1, [x10, #8]; str x1, [x9]; 1: wfi; b 1b");

static void redistributors_may_be_in_two_places(void **state)
{
	struct hv_gic_config gic = rig_gic(HV_GIC_V3);
	struct rig rig;

	rig_need(*state, HV_CAP_GICV3);
	if (((const struct hv_backend *)*state)->caps.gic_redists) {
		print_message("# skipped: they are all in one place\n");
		skip();
	}
	gic.redist_room = 2;
	gic.redist_more = 0x0a000000;
	rig_open_config(&rig, *state,
			&(struct hv_vm_config){ .vcpus = 3,
						.topology = { 1, 3, 1 },
						.irqchip = HV_IRQCHIP_FULL,
						.gic = gic,
						.irq_lines = 1 });
	rig_enter(&rig, redists);
	for (uint64_t i = 0; i < 3; i++) {
		rig_expect(&rig, HV_EXIT_MMIO);
		assert_int_equal(bytes_get(rig.exit.io.data, 8) & 0xffff10,
				 i << 8 | (i > 0 ? 1 << 4 : 0));
	}
	rig_close(&rig);
}

static void the_gic_that_a_host_lacks_is_refused_with_what_it_has(void **state)
{
	const struct hv_backend *hv = *state;
	struct hv_vm_config config = {
		.vcpus = 1, .topology = { 1, 1, 1 }, .irqchip = HV_IRQCHIP_FULL, .irq_lines = 1
	};
	struct hv_caps caps;
	struct hv_vm *vm;
	struct err err = { 0 };
	bool v3;

	rig_need(hv, HV_CAP_IRQCHIP_FULL);
	assert_int_equal(hv->probe(&caps, &err), 0);
	v3 = caps.caps & HV_CAP_GICV3;
	if (v3 && (caps.caps & HV_CAP_GICV2)) {
		print_message("# skipped: this host has both versions\n");
		skip();
	}
	config.gic = rig_gic(v3 ? HV_GIC_V2 : HV_GIC_V3);
	assert_int_equal(hv->vm_create(&config, &vm, &err), 0);
	assert_int_equal(hv->platform_create(vm, &err), -ENODEV);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_non_null(
		strstr(err.text, v3 ? "no GICv2; it has a GICv3" : "no GICv3; it has a GICv2"));
	hv->vm_destroy(vm);
}

/* PMCR_EL0.N, bits 15:11: how many counters there are. */
GUEST(pmu, "mov x9, #0x30000; mrs x1, PMCR_EL0; ubfx x1, x1, #11, #5; str x1, [x9]; 1: wfi; b 1b");

static void performance_counters_are_there_if_asked_for(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_PMU | HV_CAP_GICV3);
	rig_open_config(&rig, *state,
			&(struct hv_vm_config){ .vcpus = 1,
						.topology = { 1, 1, 1 },
						.irqchip = HV_IRQCHIP_FULL,
						.gic = rig_gic(HV_GIC_V3),
						.irq_lines = 1,
						.pmu = true });
	rig_enter(&rig, pmu);
	rig_expect(&rig, HV_EXIT_MMIO);
	assert_in_range(bytes_get(rig.exit.io.data, 8), 1, 31);
	rig_close(&rig);
}

/* ZCR_EL1 and SVE itself are let through by CPACR_EL1.ZEN; RDVL counts the bytes of a vector. */
GUEST(sve, ".arch_extension sve; mov x9, #0x30000; mov x0, #0x330000; msr CPACR_EL1, x0; isb;"
	   "rdvl x1, #1; str x1, [x9]; 1: wfi; b 1b");

static void scalable_vectors_are_there_if_asked_for(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_SVE);
	rig_open_config(&rig, *state,
			&(struct hv_vm_config){ .vcpus = 1, .topology = { 1, 1, 1 }, .sve = true });
	rig_enter(&rig, sve);
	rig_expect(&rig, HV_EXIT_MMIO);
	assert_in_range(bytes_get(rig.exit.io.data, 8), 16, 256);
	rig_close(&rig);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(a_line_interrupts_by_a_gicv3),
		RIG_TEST(a_line_interrupts_by_a_gicv2),
		RIG_TEST(an_irqfd_interrupts_without_us),
		RIG_TEST(the_timer_ends_a_wfi),
		RIG_TEST(an_its_is_there_and_survives_a_stray_message),
		RIG_TEST(redistributors_may_be_in_two_places),
		RIG_TEST(the_gic_that_a_host_lacks_is_refused_with_what_it_has),
		RIG_TEST(performance_counters_are_there_if_asked_for),
		RIG_TEST(scalable_vectors_are_there_if_asked_for),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
