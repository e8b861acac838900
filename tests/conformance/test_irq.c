/* test_irq.c: interrupt controllers, irqfds and several vCPUs of every backend. */
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>

#include "conformance/irq_x86_64.h"

/* ---- Lines and messages -------------------------------------------------------------------- */

GUEST(edge, 64, IRQ_GUEST("0x31"));
GUEST(level, 64, IRQ_GUEST("0x8031"));
GUEST(masked, 64, IRQ_GUEST("0x10031"));

static void edge_lines(const struct hv_backend *hv, enum hv_irqchip irqchip, unsigned cap)
{
	struct rig rig;

	rig_need(hv, cap | HV_CAP_IRQ_LINE);
	rig_open(&rig, hv, 1, irqchip);
	enter_irq_guest(&rig, edge, PIN_VECTOR);
	assert_int_equal(next_interrupt(&rig, QUIET), 0);
	for (int i = 0; i < 3; i++) {
		hv->irq_set(rig.vm, PIN, true);
		assert_int_equal(next_interrupt(&rig, QUIET), PORT_PIN);
		hv->irq_set(rig.vm, PIN, true); /* no edge */
		assert_int_equal(next_interrupt(&rig, QUIET), 0);
		hv->irq_set(rig.vm, PIN, false);
		assert_int_equal(next_interrupt(&rig, QUIET), 0);
	}
	hv->irq_set(rig.vm, 23, true); /* masked */
	assert_int_equal(next_interrupt(&rig, QUIET), 0);
	rig_close(&rig);
}

static void level_lines(const struct hv_backend *hv, enum hv_irqchip irqchip, unsigned cap)
{
	struct rig rig;

	rig_need(hv, cap | HV_CAP_IRQ_LINE);
	rig_open(&rig, hv, 1, irqchip);
	enter_irq_guest(&rig, level, 0x8000 | PIN_VECTOR);
	for (int i = 0; i < 3; i++) {
		hv->irq_set(rig.vm, PIN, true);
		/* As long as it is asserted each end of interrupt begins the next. */
		for (int n = 0; n < 5; n++)
			assert_int_equal(next_interrupt(&rig, QUIET), PORT_PIN);
		/* This is before the handler's EOI, so nothing should follow. But a KVM of the PVM
		 * kind ends an interrupt as it delivers it: the next may be on its way. */
		hv->irq_set(rig.vm, PIN, false);
		next_interrupt(&rig, QUIET);
		assert_int_equal(next_interrupt(&rig, QUIET), 0);
	}
	rig_close(&rig);
}

static void split_controller_edge_line(void **state)
{
	edge_lines(*state, HV_IRQCHIP_SPLIT, HV_CAP_IRQCHIP_SPLIT);
}

static void split_controller_level_line_with_eoi(void **state)
{
	level_lines(*state, HV_IRQCHIP_SPLIT, HV_CAP_IRQCHIP_SPLIT);
}

static void full_controller_edge_line(void **state)
{
	edge_lines(*state, HV_IRQCHIP_FULL, HV_CAP_IRQCHIP_FULL);
}

static void full_controller_level_line_with_eoi(void **state)
{
	level_lines(*state, HV_IRQCHIP_FULL, HV_CAP_IRQCHIP_FULL);
}

static void a_message_interrupts(void **state)
{
	const struct hv_backend *hv = *state;
	struct rig rig;

	rig_need(hv, HV_CAP_MSI | HV_CAP_IRQCHIP_SPLIT);
	rig_open(&rig, hv, 1, HV_IRQCHIP_SPLIT);
	enter_irq_guest(&rig, masked, 0x10000 | PIN_VECTOR);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(hv->msi_send(rig.vm, 0xfee00000, MSI_VECTOR, 0), 0);
		assert_int_equal(next_interrupt(&rig, QUIET), PORT_MSI);
		assert_int_equal(next_interrupt(&rig, QUIET), 0);
	}
	rig_close(&rig);
}

static void irqfds(const struct hv_backend *hv, enum hv_irqchip irqchip, unsigned cap)
{
	const uint64_t one = 1;
	struct rig rig;
	struct err err;
	int fd;

	rig_need(hv, HV_CAP_IRQFD | cap);
	fd = eventfd(0, EFD_CLOEXEC);
	assert_true(fd >= 0);
	rig_open(&rig, hv, 1, irqchip);
	if (hv->irqfd(rig.vm, PIN, fd, &err))
		fail_msg("%s", err.text);
	assert_int_not_equal(hv->irqfd(rig.vm, 100000, fd, &err), 0);
	enter_irq_guest(&rig, edge, PIN_VECTOR);
	assert_int_equal(next_interrupt(&rig, QUIET), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
		/* KVM may leave it to a worker thread. */
		assert_int_equal(next_interrupt(&rig, 1000000), PORT_PIN);
		assert_int_equal(next_interrupt(&rig, QUIET), 0);
	}
	rig_close(&rig);
	close(fd);
}

static void split_controller_irqfd(void **state)
{
	irqfds(*state, HV_IRQCHIP_SPLIT, HV_CAP_IRQCHIP_SPLIT);
}

static void full_controller_irqfd(void **state)
{
	irqfds(*state, HV_IRQCHIP_FULL, HV_CAP_IRQCHIP_FULL);
}

static void split_controller_irqfd_of_a_masked_pin_is_silent(void **state)
{
	const struct hv_backend *hv = *state;
	const uint64_t one = 1;
	struct rig rig;
	struct err err;
	int fd;

	rig_need(hv, HV_CAP_IRQFD | HV_CAP_IRQCHIP_SPLIT);
	fd = eventfd(0, EFD_CLOEXEC);
	assert_true(fd >= 0);
	rig_open(&rig, hv, 1, HV_IRQCHIP_SPLIT);
	if (hv->irqfd(rig.vm, PIN, fd, &err))
		fail_msg("%s", err.text);
	enter_irq_guest(&rig, masked, 0x10000 | PIN_VECTOR);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(next_interrupt(&rig, 1000), 0);
	rig_close(&rig);
	close(fd);
}

/* ---- Timer --------------------------------------------------------------------------------- */

static int try_platform(const struct hv_backend *hv, const struct hv_vm_config *config,
			struct err *err)
{
	struct hv_vm *vm = NULL;
	int ret = hv->vm_create(config, &vm, err);

	if (ret) {
		assert_null(vm);
		return ret;
	}
	ret = hv->platform_create(vm, err);
	hv->vm_destroy(vm);
	return ret;
}

static void impossible_machines_are_refused_in_words(void **state)
{
	const struct hv_backend *hv = *state;
	struct err err = { 0 };

	rig_need(hv, HV_CAP_IRQCHIP_SPLIT);
	assert_true(try_platform(hv, &(struct hv_vm_config){ .vcpus = 2, .topology = { 1, 2, 1 } },
				 &err) < 0);
	assert_non_null(strstr(err.text, "interrupt controller"));
	err.text[0] = '\0';
	assert_true(try_platform(hv,
				 &(struct hv_vm_config){
					 .vcpus = 1,
					 .topology = { 1, 1, 1 },
					 .irqchip = HV_IRQCHIP_SPLIT,
					 .pit = true,
				 },
				 &err) < 0);
	assert_non_null(strstr(err.text, "timer"));
}

/* The 8254's channel 2 as a gate for its output bit, which port 0x61 shows: it answers only if it
 * is in the kernel, as no port exit comes. */
GUEST(pit, 64,
      "mov $1, %al; out %al, $0x61; mov $0xb0, %al; out %al, $0x43;"
      "mov $0xff, %al; out %al, $0x42; out %al, $0x42;"
      "1: in $0x61, %al; test $0x20, %al; jz 1b; out %al, $0x14; hlt");

static void the_timer_counts_in_the_kernel(void **state)
{
	const struct hv_backend *hv = *state;
	struct hv_vm_config config = {
		.vcpus = 1,
		.topology = { 1, 1, 1 },
		.irqchip = HV_IRQCHIP_FULL,
		.pit = true,
	};
	struct rig rig;

	rig_need(hv, HV_CAP_PIT | HV_CAP_IRQCHIP_FULL);
	rig_open_config(&rig, hv, &config);
	rig_enter(&rig, RIG_LONG, pit);
	rig_expect(&rig, HV_EXIT_PIO);
	assert_int_equal(rig.exit.io.addr, PORT_IDLE);
	rig_close(&rig);
}

/* ---- Several vCPUs ------------------------------------------------------------------------- */

/* Switches the APIC on, sends INIT, then STARTUP twice for RIG_AP_CODE, to APIC ID 1 (Intel SDM
 * Vol. 3, 9.4.4.1), and waits for the other's word. */
GUEST(bsp, 64,
      "mov $0xfee00000, %edi; movl $0x1ff, 0xf0(%rdi);"
      "movl $0x01000000, 0x310(%rdi); movl $0x4500, 0x300(%rdi);"
      "movl $0x01000000, 0x310(%rdi); movl $0x4608, 0x300(%rdi);"
      "movl $0x01000000, 0x310(%rdi); movl $0x4608, 0x300(%rdi);"
      "1: pause; cmpb $1, 0xb000; jne 1b; lock incl 0xb004; out %al, $0x20; hlt");

/* Runs with CS = RIG_AP_CODE / 16, IP 0. Tells its APIC ID by leaf 1 and by leaf 0xb. */
GUEST(ap, 16,
      "cli; xor %ax, %ax; mov %ax, %ds; mov $1, %eax; cpuid; shr $24, %ebx; mov %bl, %al;"
      "out %al, $0x21; mov $0xb, %eax; xor %ecx, %ecx; cpuid; mov %dl, %al; out %al, $0x22;"
      "lock incl 0xb004; movb $1, 0xb000; 1: hlt; jmp 1b");

struct ap {
	struct rig *rig;
	struct hv_vcpu *vcpu;
	sem_t created, done;
	unsigned leaf_1, leaf_b, kicked;
};

static void *ap_main(void *arg)
{
	struct ap *ap = arg;
	const struct hv_backend *hv = ap->rig->hv;
	struct hv_exit exit;
	struct err err;

	if (hv->vcpu_create(ap->rig->vm, 1, &ap->vcpu, &err))
		ap->vcpu = NULL;
	sem_post(&ap->created);
	if (!ap->vcpu)
		return NULL;
	for (;;) {
		hv->vcpu_run(ap->vcpu, &exit);
		if (exit.kind != HV_EXIT_PIO)
			break;
		if (exit.io.addr == 0x21)
			ap->leaf_1 = exit.io.data[0];
		if (exit.io.addr == 0x22)
			ap->leaf_b = exit.io.data[0];
	}
	ap->kicked = exit.kind == HV_EXIT_KICKED;
	sem_wait(&ap->done); /* the kicker has left vcpu_kick */
	hv->vcpu_destroy(ap->vcpu);
	return NULL;
}

static void a_second_vcpu_waits_for_init_and_startup(void **state)
{
	const struct hv_backend *hv = *state;
	struct ap ap = { .leaf_1 = 99, .leaf_b = 99 };
	pthread_t thread;
	struct rig rig;

	rig_need(hv, HV_CAP_IRQCHIP_SPLIT);
	rig_open(&rig, hv, 2, HV_IRQCHIP_SPLIT);
	memcpy(rig.ram + RIG_AP_CODE, guest_ap, (size_t)(guest_ap_end - guest_ap));
	ap.rig = &rig;
	sem_init(&ap.created, 0, 0);
	sem_init(&ap.done, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, ap_main, &ap), 0);
	sem_wait(&ap.created);
	assert_non_null(ap.vcpu);

	rig_enter(&rig, RIG_LONG, bsp);
	rig_expect(&rig, HV_EXIT_PIO);
	assert_int_equal(rig.exit.io.addr, 0x20);
	assert_int_equal(bytes_get32(rig.ram + RIG_DATA + 4), 2);

	hv->vcpu_kick(ap.vcpu); /* it halts inside of the kernel */
	sem_post(&ap.done);
	pthread_join(thread, NULL);
	assert_int_equal(ap.leaf_1, 1);
	assert_int_equal(ap.leaf_b, 1);
	assert_int_equal(ap.kicked, 1);
	rig_close(&rig);
}

static void a_vcpu_that_never_starts_can_be_kicked(void **state)
{
	const struct hv_backend *hv = *state;
	struct ap ap = { 0 };
	pthread_t thread;
	struct rig rig;

	rig_need(hv, HV_CAP_IRQCHIP_SPLIT);
	rig_open(&rig, hv, 2, HV_IRQCHIP_SPLIT);
	ap.rig = &rig;
	sem_init(&ap.created, 0, 0);
	sem_init(&ap.done, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, ap_main, &ap), 0);
	sem_wait(&ap.created);
	assert_non_null(ap.vcpu);
	hv->vcpu_kick(ap.vcpu);
	sem_post(&ap.done);
	pthread_join(thread, NULL);
	assert_int_equal(ap.kicked, 1);
	rig_close(&rig);
}

/* ---- CPUID with an APIC -------------------------------------------------------------------- */

GUEST(cpuid, 64, "mov $1, %eax; cpuid; mov %edx, 0xb000; mov %ebx, 0xb004; out %al, $0x20; hlt");

static void cpuid_tells_of_the_apic_and_of_all_vcpus(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_IRQCHIP_SPLIT);
	rig_open(&rig, *state, 4, HV_IRQCHIP_SPLIT);
	rig_enter(&rig, RIG_LONG, cpuid);
	rig_expect(&rig, HV_EXIT_PIO);
	assert_true(bytes_get32(rig.ram + RIG_DATA) & 1U << 9);
	assert_true(bytes_get32(rig.ram + RIG_DATA) & 1U << 28);
	assert_int_equal(bytes_get32(rig.ram + RIG_DATA + 4) >> 16, 4);
	rig_close(&rig);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(split_controller_edge_line),
		RIG_TEST(split_controller_level_line_with_eoi),
		RIG_TEST(full_controller_edge_line),
		RIG_TEST(full_controller_level_line_with_eoi),
		RIG_TEST(a_message_interrupts),
		RIG_TEST(split_controller_irqfd),
		RIG_TEST(full_controller_irqfd),
		RIG_TEST(split_controller_irqfd_of_a_masked_pin_is_silent),
		RIG_TEST(impossible_machines_are_refused_in_words),
		RIG_TEST(the_timer_counts_in_the_kernel),
		RIG_TEST(a_second_vcpu_waits_for_init_and_startup),
		RIG_TEST(a_vcpu_that_never_starts_can_be_kicked),
		RIG_TEST(cpuid_tells_of_the_apic_and_of_all_vcpus),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
