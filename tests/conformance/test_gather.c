/* test_gather.c: writes that a backend gathers: none lost, all in order, and before any exit. */
#include <pthread.h>

#include "conformance/rig.h"

struct late {
	unsigned n;
	uint64_t sum;
	enum hv_space space;
	uint64_t addr;
	unsigned size;
	uint8_t data[2048];
};

static void late_write(void *arg, enum hv_space space, uint64_t addr, const uint8_t *data,
		       unsigned size)
{
	struct late *late = arg;

	late->space = space;
	late->addr = addr;
	late->size = size;
	late->sum += bytes_get(data, size);
	if (late->n < sizeof(late->data))
		late->data[late->n] = data[0];
	late->n++;
}

static void open_gathering(struct rig *rig, const struct hv_backend *hv, struct late *late)
{
	struct hv_vm_config config = {
		.vcpus = 1,
		.topology = { 1, 1, 1 },
		.coalesced = late_write,
		.coalesced_arg = late,
	};

	rig_need(hv, HV_CAP_COALESCE);
	*late = (struct late){ 0 };
	rig_open_config(rig, hv, &config);
}

GUEST(log, 16,
      "mov $0x3f8, %dx; mov $1000, %cx; xor %ax, %ax; 1: out %al, %dx; inc %ax; loop 1b;"
      "mov $0x3fd, %dx; in %dx, %al; hlt");

/* Runs the log to its reading of port 0x3fd; how many of its 1000 bytes exited. All have come
 * before each exit that is later than they are. */
static unsigned run_log(struct rig *rig, const struct late *late)
{
	unsigned exits = 0;

	for (;; exits++) {
		rig_expect(rig, HV_EXIT_PIO);
		if (rig->exit.io.addr != 0x3f8)
			break;
		assert_int_equal(rig->exit.io.data[0], (uint8_t)(late->n + exits));
	}
	assert_int_equal(rig->exit.io.addr, 0x3fd);
	assert_int_equal(late->n + exits, 1000);
	rig_expect(rig, HV_EXIT_HALT);
	return exits;
}

static void gathered_ports_come_in_order_and_before_the_next_exit(void **state)
{
	struct late late;
	struct rig rig;

	open_gathering(&rig, *state, &late);
	assert_int_equal(rig.hv->coalesce(rig.vm, HV_PIO, 0x3f8, 1, true), 0);
	rig_enter(&rig, RIG_REAL, log);
	/* A full ring exits, but most do not. */
	assert_in_range(run_log(&rig, &late), 0, 100);
	assert_int_equal(late.space, HV_PIO);
	assert_int_equal(late.addr, 0x3f8);
	assert_int_equal(late.size, 1);
	rig_close(&rig);
}

static void nothing_is_gathered_before_or_after(void **state)
{
	struct late late;
	struct rig rig;

	open_gathering(&rig, *state, &late);
	rig_enter(&rig, RIG_REAL, log);
	assert_int_equal(run_log(&rig, &late), 1000);
	assert_int_equal(rig.hv->coalesce(rig.vm, HV_PIO, 0x3f8, 1, true), 0);
	assert_int_equal(rig.hv->coalesce(rig.vm, HV_PIO, 0x3f8, 1, false), 0);
	rig_enter(&rig, RIG_REAL, log);
	assert_int_equal(run_log(&rig, &late), 1000);
	assert_int_equal(late.n, 0);
	rig_close(&rig);
}

/* A write of two bytes reaches into the next port, a read is none, and the next port is another. */
GUEST(others, 16,
      "mov $0x3f8, %dx; mov $0x4241, %ax; out %ax, %dx; in %dx, %al; inc %dx; out %al, %dx;"
      "dec %dx; mov $0x43, %al; out %al, %dx; hlt");

static void only_the_very_writes_are_gathered(void **state)
{
	struct late late;
	struct rig rig;

	open_gathering(&rig, *state, &late);
	assert_int_equal(rig.hv->coalesce(rig.vm, HV_PIO, 0x3f8, 1, true), 0);
	rig_enter(&rig, RIG_REAL, others);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x3f8, 2, 0x4241);
	rig_expect_io(&rig, HV_EXIT_PIO, false, 0x3f8, 1, 0x44);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x3f9, 1, 0x44);
	assert_int_equal(late.n, 0);
	rig_expect(&rig, HV_EXIT_HALT);
	assert_int_equal(late.n, 1);
	assert_int_equal(late.data[0], 0x43);
	rig_close(&rig);
}

GUEST(window, 64,
      "mov $0x30000, %ebx; mov $0x11223344, %eax; mov %eax, (%rbx); mov %al, 8(%rbx); hlt");

static void windows_are_gathered_too(void **state)
{
	struct late late;
	struct rig rig;

	open_gathering(&rig, *state, &late);
	assert_int_equal(rig.hv->coalesce(rig.vm, HV_MMIO, 0x30000, 4, true), 0);
	rig_enter(&rig, RIG_LONG, window);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, 0x30008, 1, 0x44);
	assert_int_equal(late.n, 1);
	assert_int_equal(late.space, HV_MMIO);
	assert_int_equal(late.addr, 0x30000);
	assert_int_equal(late.size, 4);
	assert_int_equal(late.sum, 0x11223344);
	rig_close(&rig);
}

/* Writes one byte and stays in the guest. */
GUEST(stay, 16, "mov $0x3f8, %dx; mov $0x42, %al; out %al, %dx; 1: jmp 1b");

struct stayer {
	struct rig rig;
	pthread_t thread;
	pthread_barrier_t created;
	const struct hv_backend *hv;
	struct late late;
};

static void *stay_thread(void *arg)
{
	struct stayer *s = arg;

	open_gathering(&s->rig, s->hv, &s->late);
	assert_int_equal(s->rig.hv->coalesce(s->rig.vm, HV_PIO, 0x3f8, 1, true), 0);
	rig_enter(&s->rig, RIG_REAL, stay);
	pthread_barrier_wait(&s->created);
	rig_run(&s->rig);
	return NULL;
}

static void drain_brings_them_from_a_guest_that_does_not_exit(void **state)
{
	static struct stayer s;

	rig_need(*state, HV_CAP_COALESCE);
	s.hv = *state;
	pthread_barrier_init(&s.created, NULL, 2);
	assert_int_equal(pthread_create(&s.thread, NULL, stay_thread, &s), 0);
	pthread_barrier_wait(&s.created);
	/* The rig's time limit bounds this. Nobody else drains: the vCPU doesn't exit. */
	while (!s.late.n)
		s.hv->drain(s.rig.vm);
	assert_int_equal(s.late.data[0], 0x42);
	s.hv->vcpu_kick(s.rig.vcpu);
	pthread_join(s.thread, NULL);
	assert_int_equal(s.rig.exit.kind, HV_EXIT_KICKED);
	assert_int_equal(s.late.n, 1);
	rig_close(&s.rig);
	pthread_barrier_destroy(&s.created);
}

/* Without anybody to take them there is nothing to gather. */
static void a_machine_that_takes_none_gathers_none(void **state)
{
	struct rig rig;

	rig_need(*state, HV_CAP_COALESCE);
	rig_open(&rig, *state, 1, HV_IRQCHIP_NONE);
	assert_true(rig.hv->coalesce(rig.vm, HV_PIO, 0x3f8, 1, true) < 0);
	rig.hv->drain(rig.vm);
	rig_close(&rig);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(gathered_ports_come_in_order_and_before_the_next_exit),
		RIG_TEST(nothing_is_gathered_before_or_after),
		RIG_TEST(only_the_very_writes_are_gathered),
		RIG_TEST(windows_are_gathered_too),
		RIG_TEST(drain_brings_them_from_a_guest_that_does_not_exit),
		RIG_TEST(a_machine_that_takes_none_gathers_none),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
