/* test_arm64_doorbell.c: ioeventfds of every arm64 backend. */
#include <sys/eventfd.h>

#include "conformance/rig.h"

#define WINDOW (RIG_PORT + 64)

/* What a guest says goes to RIG_PORT, whose address it has in x9; x0 is what it began with. */
#define PORT "mov x9, #0x30000;"
#define HANG "1: wfi; b 1b"

static void open_rig(struct rig *rig, const struct hv_backend *hv)
{
	rig_need(hv, HV_CAP_IOEVENTFD);
	rig_open(rig, hv, 1, HV_IRQCHIP_NONE);
}

static void add(struct rig *rig, unsigned len, const uint64_t *match, int fd)
{
	struct err err;

	if (rig->hv->ioeventfd(rig->vm, HV_MMIO, WINDOW, len, match, fd, true, &err))
		fail_msg("%s", err.text);
}

GUEST(widths, PORT "add x10, x9, #64; strb w0, [x10]; strh w0, [x10]; str w0, [x10];"
		   "str x0, [x10]; str x0, [x9];" HANG);

static void each_width_has_its_own_doorbell(void **state)
{
	int fds[] = { rig_eventfd(), rig_eventfd(), rig_eventfd(), rig_eventfd() };
	struct rig rig;

	open_rig(&rig, *state);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		add(&rig, 1U << i, NULL, fds[i]);
	rig_enter(&rig, widths);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_PORT, 8, 0x1111222233334444);
	rig_close(&rig);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(rig_count(fds[i]), 1);
		close(fds[i]);
	}
}

static void a_doorbell_of_any_width(void **state)
{
	int fd = rig_eventfd();
	struct rig rig;

	open_rig(&rig, *state);
	add(&rig, 0, NULL, fd);
	rig_enter(&rig, widths);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, RIG_PORT, 8, 0x1111222233334444);
	rig_close(&rig);
	assert_int_equal(rig_count(fd), 4);
	close(fd);
}

/* As a driver of several queues rings: 16-bit values 0, 1, 2, 1; then 32 bits whose low half is 1.
 */
GUEST(queues, PORT "add x10, x9, #64; mov w1, #1; mov w2, #2; movz w3, #1; movk w3, #1, lsl #16;"
		   "strh wzr, [x10]; strh w1, [x10]; strh w2, [x10]; strh w1, [x10];"
		   "str w3, [x10]; str x0, [x9];" HANG);

static void a_doorbell_may_be_for_one_value(void **state)
{
	const uint64_t one = 1, two = 2;
	int first = rig_eventfd(), second = rig_eventfd();
	struct rig rig;

	open_rig(&rig, *state);
	add(&rig, 2, &one, first);
	add(&rig, 2, &two, second);
	rig_enter(&rig, queues);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 2, 0);
	rig_expect_io(&rig, HV_EXIT_MMIO, true, WINDOW, 4, 0x10001);
	assert_int_equal(rig_count(first), 2);
	assert_int_equal(rig_count(second), 1);
	rig_close(&rig);
	close(first);
	close(second);
}

/* Forever 1, then 2. */
GUEST(ringing, PORT "add x10, x9, #64; mov w1, #1; mov w2, #2;"
		    "1: strh w1, [x10]; strh w2, [x10]; b 1b");

static void a_doorbell_that_is_gone_lets_writes_through(void **state)
{
	const struct hv_backend *hv = *state;
	const uint64_t one = 1, two = 2;
	int fd = rig_eventfd();
	struct rig rig;
	struct err err;

	open_rig(&rig, hv);
	rig_enter(&rig, ringing);
	for (int i = 0; i < 3; i++) {
		add(&rig, 2, &one, fd);
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

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(each_width_has_its_own_doorbell),
		RIG_TEST(a_doorbell_of_any_width),
		RIG_TEST(a_doorbell_may_be_for_one_value),
		RIG_TEST(a_doorbell_that_is_gone_lets_writes_through),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
