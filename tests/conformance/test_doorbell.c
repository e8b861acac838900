/* test_doorbell.c: ioeventfds of every backend. */
#include <errno.h>
#include <sys/eventfd.h>

#include "conformance/rig.h"

#define WINDOW 0x10200U

static void open_rig(struct rig *rig, const struct hv_backend *hv)
{
	rig_need(hv, HV_CAP_IOEVENTFD | HV_CAP_PIO);
	rig_open(rig, hv, 1, HV_IRQCHIP_NONE);
}

static void add(struct rig *rig, enum hv_space space, uint64_t addr, unsigned len,
		const uint64_t *match, int fd)
{
	struct err err;

	if (rig->hv->ioeventfd(rig->vm, space, addr, len, match, fd, true, &err))
		fail_msg("%s", err.text);
}

GUEST(doorbells, 64,
      "mov $0x10200, %ebx; mov $7, %eax;"
      "out %ax, $0x30; out %ax, $0x30; out %ax, $0x31; mov %eax, (%rbx); mov %al, 8(%rbx);"
      "mov %rax, 8(%rbx); out %al, $0x30; mov %eax, 4(%rbx); hlt");

static void doorbells_signal_without_an_exit(void **state)
{
	int port = rig_eventfd(), window = rig_eventfd(), any = rig_eventfd();
	struct rig rig;

	open_rig(&rig, *state);
	add(&rig, HV_PIO, 0x30, 2, NULL, port);
	add(&rig, HV_MMIO, WINDOW, 4, NULL, window);
	add(&rig, HV_MMIO, WINDOW + 8, 0, NULL, any);
	rig_enter(&rig, RIG_LONG, doorbells);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x31, 2, 7);
	assert_int_equal(rig_count(port), 2);
	assert_int_equal(rig_count(window), 0);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x30, 1, 7); /* another width: no doorbell */
	assert_int_equal(rig_count(port), 0);
	assert_int_equal(rig_count(window), 1);
	assert_int_equal(rig_count(any), 2);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW + 4, 4, 7);
	rig_expect(&rig, HV_EXIT_HALT);
	rig_close(&rig);
	close(port);
	close(window);
	close(any);
}

/* All four widths at one address, the value 5 in each. */
GUEST(widths, 64,
      "mov $0x10200, %ebx; mov $5, %eax; mov %al, (%rbx); mov %ax, (%rbx); mov %eax, (%rbx);"
      "mov %rax, (%rbx); out %al, $0x20; hlt");

static void each_width_has_its_own_doorbell(void **state)
{
	int fds[] = { rig_eventfd(), rig_eventfd(), rig_eventfd(), rig_eventfd() };
	struct rig rig;

	open_rig(&rig, *state);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		add(&rig, HV_MMIO, WINDOW, 1U << i, NULL, fds[i]);
	rig_enter(&rig, RIG_LONG, widths);
	rig_expect_io(&rig, HV_EXIT_PIO, true, 0x20, 1, 5);
	rig_close(&rig);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(rig_count(fds[i]), 1);
		close(fds[i]);
	}
}

/* As a driver of several queues rings: 16-bit values 0, 1, 2, 1; then 32 bits whose low half is 1.
 */
GUEST(queues, 64,
      "mov $0x10200, %ebx; movw $0, (%rbx); movw $1, (%rbx); movw $2, (%rbx); movw $1, (%rbx);"
      "movl $0x10001, (%rbx); out %al, $0x20; hlt");

static void a_doorbell_may_be_for_one_value(void **state)
{
	const uint64_t one = 1, two = 2;
	int first = rig_eventfd(), second = rig_eventfd();
	struct rig rig;

	open_rig(&rig, *state);
	add(&rig, HV_MMIO, WINDOW, 2, &one, first);
	add(&rig, HV_MMIO, WINDOW, 2, &two, second);
	rig_enter(&rig, RIG_LONG, queues);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 2, 0);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 4, 0x10001);
	assert_int_equal(rig_count(first), 2);
	assert_int_equal(rig_count(second), 1);
	rig_expect(&rig, HV_EXIT_PIO);
	rig_close(&rig);
	close(first);
	close(second);
}

/* Forever 1, then 2. */
GUEST(ringing, 64, "mov $0x10200, %ebx; 1: movw $1, (%rbx); movw $2, (%rbx); jmp 1b");

static void a_doorbell_that_is_gone_lets_writes_through(void **state)
{
	const struct hv_backend *hv = *state;
	const uint64_t one = 1, two = 2;
	int fd = rig_eventfd();
	struct rig rig;
	struct err err;

	open_rig(&rig, hv);
	rig_enter(&rig, RIG_LONG, ringing);
	for (int i = 0; i < 3; i++) {
		add(&rig, HV_MMIO, WINDOW, 2, &one, fd);
		rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 2, 2);
		rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 2, 2);
		assert_in_range(rig_count(fd), 1, 2);
		/* Only what is there goes. */
		assert_true(hv->ioeventfd(rig.vm, HV_MMIO, WINDOW, 2, &two, fd, false, &err) < 0);
		assert_int_equal(hv->ioeventfd(rig.vm, HV_MMIO, WINDOW, 2, &one, fd, false, &err),
				 0);
		rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 2, 1);
		assert_int_equal(rig_count(fd), 0);
		rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 2, 2);
	}
	rig_close(&rig);
	close(fd);
}

static void two_doorbells_of_one_value_are_refused(void **state)
{
	const struct hv_backend *hv = *state;
	const uint64_t one = 1;
	int fd = rig_eventfd(), other = rig_eventfd();
	struct rig rig;
	struct err err = { 0 };

	open_rig(&rig, hv);
	add(&rig, HV_MMIO, WINDOW, 2, &one, fd);
	assert_true(hv->ioeventfd(rig.vm, HV_MMIO, WINDOW, 2, &one, other, true, &err) < 0);
	assert_non_null(strstr(err.text, "0x10200"));
	rig_close(&rig);
	close(fd);
	close(other);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(doorbells_signal_without_an_exit),
		RIG_TEST(each_width_has_its_own_doorbell),
		RIG_TEST(a_doorbell_may_be_for_one_value),
		RIG_TEST(a_doorbell_that_is_gone_lets_writes_through),
		RIG_TEST(two_doorbells_of_one_value_are_refused),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
