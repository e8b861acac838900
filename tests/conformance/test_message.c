/* test_message.c: eventfds that send interrupt messages, of every backend. */
#include <errno.h>
#include <sys/eventfd.h>

#include "conformance/irq_x86_64.h"

#define APIC	0xfee00000U
#define PATIENT 1000000 /* rounds: a signal may be left to a worker thread */
#define SILENT	1000

GUEST(edge, 64, IRQ_GUEST("0x31"));

static void open_rig(struct rig *rig, const struct hv_backend *hv, enum hv_irqchip irqchip)
{
	rig_need(hv,
		 HV_CAP_MSI | HV_CAP_IRQFD |
			 (irqchip == HV_IRQCHIP_FULL ? HV_CAP_IRQCHIP_FULL : HV_CAP_IRQCHIP_SPLIT));
	rig_open(rig, hv, 1, irqchip);
}

static void bind_to(struct rig *rig, int fd, uint32_t vector)
{
	struct err err;

	if (rig->hv->msi_irqfd(rig->vm, fd, APIC, vector, 0, true, &err))
		fail_msg("%s", err.text);
}

static void unbind(struct rig *rig, int fd)
{
	struct err err;

	if (rig->hv->msi_irqfd(rig->vm, fd, 0, 0, 0, false, &err))
		fail_msg("%s", err.text);
}

/* The signal interrupts once, by the vector of that port; 0: not at all. */
static void expect_of(struct rig *rig, int fd, uint64_t port)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(next_interrupt(rig, port ? PATIENT : SILENT), port);
	assert_int_equal(next_interrupt(rig, QUIET), 0);
}

static void life_of_a_message(const struct hv_backend *hv, enum hv_irqchip irqchip)
{
	int fd = rig_eventfd();
	struct rig rig;

	open_rig(&rig, hv, irqchip);
	enter_irq_guest(&rig, edge, PIN_VECTOR);
	for (int i = 0; i < 2; i++) {
		bind_to(&rig, fd, MSI_VECTOR);
		expect_of(&rig, fd, PORT_MSI);
		expect_of(&rig, fd, PORT_MSI);
		bind_to(&rig, fd, PIN_VECTOR);
		expect_of(&rig, fd, PORT_PIN);
		bind_to(&rig, fd, PIN_VECTOR);
		expect_of(&rig, fd, PORT_PIN);
		unbind(&rig, fd);
		expect_of(&rig, fd, 0);
		unbind(&rig, fd); /* nothing to do */
		/* What was signalled meanwhile is not held back: an irqfd takes the count. */
		assert_int_equal(eventfd_read(fd, &(eventfd_t){ 0 }), 0);
	}
	rig_close(&rig);
	close(fd);
}

static void split_controller_message_is_bound_changed_unbound(void **state)
{
	life_of_a_message(*state, HV_IRQCHIP_SPLIT);
}

static void full_controller_message_is_bound_changed_unbound(void **state)
{
	life_of_a_message(*state, HV_IRQCHIP_FULL);
}

static void lines_beside(const struct hv_backend *hv, enum hv_irqchip irqchip)
{
	int message = rig_eventfd(), line = rig_eventfd();
	struct rig rig;
	struct err err;

	open_rig(&rig, hv, irqchip);
	if (hv->irqfd(rig.vm, PIN, line, &err))
		fail_msg("%s", err.text);
	bind_to(&rig, message, MSI_VECTOR);
	enter_irq_guest(&rig, edge, PIN_VECTOR); /* changes the line's route, in a split one */
	for (int i = 0; i < 3; i++) {
		expect_of(&rig, message, PORT_MSI);
		expect_of(&rig, line, PORT_PIN);
		hv->irq_set(rig.vm, PIN, true);
		assert_int_equal(next_interrupt(&rig, QUIET), PORT_PIN);
		hv->irq_set(rig.vm, PIN, false);
		assert_int_equal(next_interrupt(&rig, QUIET), 0);
	}
	rig_close(&rig);
	close(message);
	close(line);
}

static void split_controller_lines_work_beside_messages(void **state)
{
	lines_beside(*state, HV_IRQCHIP_SPLIT);
}

static void full_controller_lines_work_beside_messages(void **state)
{
	lines_beside(*state, HV_IRQCHIP_FULL);
}

/* The last of many is as good as the first, and whoever takes the place of one that is gone sends
 * his own message. */
static void many_messages_do_not_mix(void **state)
{
	struct rig rig;
	int fds[100], other = rig_eventfd();

	open_rig(&rig, *state, HV_IRQCHIP_SPLIT);
	enter_irq_guest(&rig, edge, PIN_VECTOR);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = rig_eventfd();
		bind_to(&rig, fds[i], i % 2 ? MSI_VECTOR : PIN_VECTOR);
	}
	expect_of(&rig, fds[0], PORT_PIN);
	expect_of(&rig, fds[99], PORT_MSI);
	unbind(&rig, fds[50]);
	expect_of(&rig, fds[50], 0);
	bind_to(&rig, other, MSI_VECTOR);
	expect_of(&rig, other, PORT_MSI);
	expect_of(&rig, fds[50], 0);
	expect_of(&rig, fds[51], PORT_MSI);
	expect_of(&rig, fds[52], PORT_PIN);
	rig_close(&rig);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(other);
}

static void a_refused_binding_changes_nothing(void **state)
{
	const struct hv_backend *hv = *state;
	int fd = rig_eventfd(), none = rig_eventfd();
	struct rig rig;
	struct err err = { 0 };

	open_rig(&rig, hv, HV_IRQCHIP_SPLIT);
	enter_irq_guest(&rig, edge, PIN_VECTOR);
	bind_to(&rig, fd, MSI_VECTOR);
	close(none);
	assert_int_equal(hv->msi_irqfd(rig.vm, none, APIC, PIN_VECTOR, 0, true, &err), -EBADF);
	assert_int_equal(err.status, STATUS_OSERR);
	expect_of(&rig, fd, PORT_MSI);
	none = rig_eventfd();
	bind_to(&rig, none, PIN_VECTOR);
	expect_of(&rig, none, PORT_PIN);
	rig_close(&rig);
	close(none);
	close(fd);
}

static void without_an_interrupt_controller_there_are_no_messages(void **state)
{
	const struct hv_backend *hv = *state;
	int fd = rig_eventfd();
	struct rig rig;
	struct err err = { 0 };

	rig_need(hv, HV_CAP_MSI | HV_CAP_IRQFD);
	rig_open(&rig, hv, 1, HV_IRQCHIP_NONE);
	assert_int_equal(hv->msi_irqfd(rig.vm, fd, APIC, MSI_VECTOR, 0, true, &err), -ENOTSUP);
	assert_true(hv->msi_send(rig.vm, APIC, MSI_VECTOR, 0) < 0);
	rig_close(&rig);
	close(fd);
}

int main(void)
{
	static const struct rig_test tests[] = {
		RIG_TEST(split_controller_message_is_bound_changed_unbound),
		RIG_TEST(full_controller_message_is_bound_changed_unbound),
		RIG_TEST(split_controller_lines_work_beside_messages),
		RIG_TEST(full_controller_lines_work_beside_messages),
		RIG_TEST(many_messages_do_not_mix),
		RIG_TEST(a_refused_binding_changes_nothing),
		RIG_TEST(without_an_interrupt_controller_there_are_no_messages),
	};

	return rig_run_tests(tests, ARRAY_SIZE(tests));
}
