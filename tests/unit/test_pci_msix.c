/* test_pci_msix.c: MSI-X: the table, masks, what is pending, and descriptors that send. */
#include <pthread.h>
#include <sched.h>

#include "pci_helpers.h"

#define DEVFN	0x08
#define STATUS	0x06
#define CAP	0x11
#define VECTORS 70
#define TABLE	(WINDOW + 0x1000)
#define PBA	(WINDOW + 0x1800)

/* Message Control */
enum { ENABLE = 1 << 15, FUNCTION_MASK = 1 << 14 };

static struct {
	struct device dev;
	struct plan_device plan;
	struct pci_function f;
	unsigned changes, changed;  /* how often msix_changed came; the last vector */
	int bound_fd, bound_vector; /* follows msix_changed */
} thing;

static unsigned cap;

static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	(void)f;
	(void)bar;
	(void)size;
	return offset;
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	(void)f;
	(void)bar;
	(void)size;
	(void)value;
	assert_true(offset < 0x1000 || offset >= 0x1000 + VECTORS * 16);
	assert_true(offset < 0x1800 || offset >= 0x1810);
}

static void msix_changed(struct pci_function *f, unsigned vector)
{
	thing.changes++;
	thing.changed = vector;
	if (thing.bound_fd && (unsigned)thing.bound_vector == vector)
		pci_msix_bind(f, (uint16_t)vector, thing.bound_fd, true);
}

static const struct pci_ops ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.msix_changed = msix_changed,
};

static const struct claim claims[] = { { .name = "function", .space = SPACE_PCI } };

static int setup(void **state)
{
	const struct pci_identity identity = { 0 };
	struct err err;

	(void)state;
	pci_start(INTX);
	memset(&thing, 0, sizeof(thing));
	thing.dev = (struct device){ .plan = &thing.plan, .host = &pci.fake.host };
	thing.plan = (struct plan_device){ .label = "thing",
					   .claims = { { &claims[0], 0, DEVFN, 1, true } },
					   .n_claims = 1 };
	pthread_mutex_init(&thing.dev.lock, NULL);
	pci_function_init(&thing.f, &thing.dev, &ops, &identity);
	pci_bar_add(&thing.f, 0, WINDOW, 0x4000, true, false);
	assert_int_equal(pci_msix_add(&thing.f, VECTORS, 0, 0x1000, 0, 0x1800), 0);
	assert_int_equal(pci_attach(&thing.f, &err), 0);
	cap = capability(DEVFN, CAP, 0);
	assert_int_not_equal(cap, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_detach(&thing.f);
	pthread_mutex_destroy(&thing.dev.lock);
	pci_stop();
	return 0;
}

static void control(unsigned value)
{
	config_out(DEVFN, cap + 2, 2, value);
}

static void set_message(unsigned vector, uint64_t addr, uint32_t data)
{
	mem_out(TABLE + 16 * vector, 4, addr);
	mem_out(TABLE + 16 * vector + 4, 4, addr >> 32);
	mem_out(TABLE + 16 * vector + 8, 4, data);
}

static void mask(unsigned vector, bool on)
{
	mem_out(TABLE + 16 * vector + 12, 4, on);
}

/* Vector 3 sends this. */
static void open_vector_3(void)
{
	set_message(3, 0x1fee01000, 0x4021);
	mask(3, false);
	control(ENABLE);
}

static void assert_sent(unsigned n, uint64_t addr, uint32_t data)
{
	assert_int_equal(pci.n_sent, n);
	assert_int_equal(pci.sent.addr, addr);
	assert_int_equal(pci.sent.data, data);
	assert_int_equal(pci.sent.who, DEVFN);
}

/* ---- Registers --------------------------------------------------------------------------- */

static void test_capability_shows_size_and_places(void **state)
{
	(void)state;
	assert_int_equal(config_in(DEVFN, cap + 2, 2), VECTORS - 1);
	assert_int_equal(config_in(DEVFN, cap + 4, 4), 0x1000);
	assert_int_equal(config_in(DEVFN, cap + 8, 4), 0x1800);
	config_out(DEVFN, cap, 4, 0xffffffff);
	config_out(DEVFN, cap + 4, 4, 0xffffffff);
	config_out(DEVFN, cap + 8, 4, 0xffffffff);
	assert_int_equal(config_in(DEVFN, cap + 2, 2), (VECTORS - 1) | ENABLE | FUNCTION_MASK);
	assert_int_equal(config_in(DEVFN, cap + 4, 4), 0x1000);
	assert_int_equal(config_in(DEVFN, cap + 8, 4), 0x1800);
}

static void test_vectors_begin_masked(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VECTORS; i++) {
		assert_int_equal(mem_in(TABLE + 16 * i, 8), 0);
		assert_int_equal(mem_in(TABLE + 16 * i + 8, 8), 1ULL << 32);
	}
	assert_int_equal(mem_in(TABLE + 16 * VECTORS, 4), 0x1000 + 16 * VECTORS); /* not of it */
	assert_int_equal(mem_in(PBA + 16, 8), 0x1810);
}

static void test_table_takes_double_and_quad_words(void **state)
{
	(void)state;
	mem_out(TABLE + 16, 8, 0x1122334455667788);
	mem_out(TABLE + 24, 8, 0xfffffffe99aabbcc);
	assert_int_equal(mem_in(TABLE + 16, 4), 0x55667788);
	assert_int_equal(mem_in(TABLE + 20, 4), 0x11223344);
	assert_int_equal(mem_in(TABLE + 24, 4), 0x99aabbcc);
	assert_int_equal(mem_in(TABLE + 28, 4), 0); /* of the control, bit 0 alone */
	assert_int_equal(mem_in(TABLE + 16, 8), 0x1122334455667788);
	mem_out(TABLE + 16, 4, 3); /* messages are double words */
	assert_int_equal(mem_in(TABLE + 16, 4), 0);
}

static void test_other_widths_are_harmless(void **state)
{
	const unsigned sizes[] = { 1, 2, 4, 8 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned at = sizes[i] < 4 ? 0 : 2;

		mem_out(TABLE + at, sizes[i], UINT64_MAX);
		assert_int_equal(mem_in(TABLE + at, sizes[i]), bytes_ones(sizes[i]));
		assert_int_equal(mem_in(PBA + at, sizes[i]), bytes_ones(sizes[i]));
	}
	assert_int_equal(mem_in(TABLE, 8), 0);
	assert_int_equal(mem_in(TABLE - 4, 8), UINT64_MAX); /* over its border */
	mem_out(TABLE - 4, 8, UINT64_MAX);
	assert_int_equal(mem_in(TABLE, 8), 0);
}

static void test_pending_bits_cant_be_written(void **state)
{
	(void)state;
	mem_out(PBA, 8, UINT64_MAX);
	mem_out(PBA + 8, 4, UINT32_MAX);
	assert_int_equal(mem_in(PBA, 8), 0);
	assert_int_equal(mem_in(PBA + 8, 8), 0);
}

/* ---- Sending ----------------------------------------------------------------------------- */

static void test_message_is_sent(void **state)
{
	(void)state;
	open_vector_3();
	assert_true(pci_msix_enabled(&thing.f));
	assert_true(pci_msix_send(&thing.f, 3));
	assert_sent(1, 0x1fee01000, 0x4021);
	assert_int_equal(mem_in(PBA, 8), 0);
}

static void test_nothing_is_sent_or_noted_while_off(void **state)
{
	(void)state;
	open_vector_3();
	control(0);
	assert_false(pci_msix_enabled(&thing.f));
	assert_false(pci_msix_send(&thing.f, 3));
	assert_int_equal(mem_in(PBA, 8), 0);
	control(ENABLE);
	assert_int_equal(pci.n_sent, 0);
}

static void test_vectors_that_dont_exist_send_nothing(void **state)
{
	(void)state;
	open_vector_3();
	assert_true(pci_msix_send(&thing.f, VECTORS));
	assert_true(pci_msix_send(&thing.f, 0xffff));
	assert_int_equal(pci.n_sent, 0);
	assert_int_equal(mem_in(PBA + 8, 8), 0);
}

static void test_masked_message_waits(void **state)
{
	(void)state;
	open_vector_3();
	mask(3, true);
	pci_msix_send(&thing.f, 3);
	pci_msix_send(&thing.f, 3);
	assert_int_equal(pci.n_sent, 0);
	assert_int_equal(mem_in(PBA, 4), 1 << 3);
	set_message(3, 0xfee02000, 0x55); /* it goes to where it belongs by then */
	assert_int_equal(pci.n_sent, 0);
	mask(3, false);
	assert_sent(1, 0xfee02000, 0x55);
	assert_int_equal(mem_in(PBA, 8), 0);
	mask(3, true);
	mask(3, false);
	assert_int_equal(pci.n_sent, 1);
}

static void test_all_wait_behind_the_functions_mask(void **state)
{
	(void)state;
	open_vector_3();
	set_message(69, 0xfee03000, 0x69);
	mask(69, false);
	control(ENABLE | FUNCTION_MASK);
	pci_msix_send(&thing.f, 3);
	pci_msix_send(&thing.f, 69);
	pci_msix_send(&thing.f, 68); /* masked itself */
	assert_int_equal(pci.n_sent, 0);
	assert_int_equal(mem_in(PBA, 8), 1 << 3);
	assert_int_equal(mem_in(PBA + 8, 8), 1 << 5 | 1 << 4);
	mask(3, true);
	mask(3, false);
	assert_int_equal(pci.n_sent, 0);
	control(ENABLE);
	assert_sent(2, 0xfee03000, 0x69);
	assert_int_equal(mem_in(PBA, 8), 0);
	assert_int_equal(mem_in(PBA + 8, 4), 1 << 4);
}

static void test_turning_off_forgets_what_waits(void **state)
{
	(void)state;
	open_vector_3();
	mask(3, true);
	pci_msix_send(&thing.f, 3);
	control(0);
	assert_int_equal(mem_in(PBA, 8), 0);
	control(ENABLE);
	mask(3, false);
	assert_int_equal(pci.n_sent, 0);
}

static void test_intx_is_silent_while_on(void **state)
{
	(void)state;
	pci_intx_set(&thing.f, true);
	assert_true(intx_level());
	control(ENABLE | FUNCTION_MASK);
	assert_false(intx_level());
	assert_int_equal(config_in(DEVFN, STATUS, 2) & 8, 8);
	control(0);
	assert_true(intx_level());
}

/* ---- Descriptors --------------------------------------------------------------------------- */

static void bind_100_to_3(void)
{
	device_lock(&thing.dev);
	assert_int_equal(pci_msix_bind(&thing.f, 3, 100, true), 0);
	device_unlock(&thing.dev);
	thing.bound_fd = 100;
	thing.bound_vector = 3;
}

static void test_changes_are_told(void **state)
{
	(void)state;
	set_message(3, 0x1fee01000, 0x4021);
	assert_int_equal(thing.changes, 3);
	assert_int_equal(thing.changed, 3);
	set_message(3, 0x1fee01000, 0x4021); /* nothing new */
	assert_int_equal(thing.changes, 3);
	mask(3, false);
	assert_int_equal(thing.changes, 4);
	control(ENABLE);
	assert_int_equal(thing.changes, 4 + VECTORS);
	control(ENABLE);
	config_out(DEVFN, cap, 1, 0);
	assert_int_equal(thing.changes, 4 + VECTORS);
	config_out(DEVFN, cap + 3, 1, 0); /* by its byte alone */
	assert_int_equal(thing.changes, 4 + 2 * VECTORS);
}

static void test_descriptor_follows_the_message(void **state)
{
	(void)state;
	open_vector_3();
	bind_100_to_3();
	assert_int_equal(pci_bound(100)->addr, 0x1fee01000);
	assert_int_equal(pci_bound(100)->data, 0x4021);
	assert_int_equal(pci_bound(100)->who, DEVFN);
	set_message(3, 0xfee05000, 5);
	assert_int_equal(pci_bound(100)->addr, 0xfee05000);
	assert_int_equal(pci_bound(100)->data, 5);
	mask(3, true);
	assert_int_equal(pci_bound(100)->addr, 0);
	mask(3, false);
	assert_int_equal(pci_bound(100)->addr, 0xfee05000);
	control(ENABLE | FUNCTION_MASK);
	assert_int_equal(pci_bound(100)->addr, 0);
	control(ENABLE);
	assert_int_equal(pci_bound(100)->addr, 0xfee05000);
	control(0);
	assert_int_equal(pci_bound(100)->addr, 0);
}

static void test_descriptor_is_unbound(void **state)
{
	(void)state;
	open_vector_3();
	bind_100_to_3();
	assert_int_equal(pci_msix_bind(&thing.f, 3, 100, false), 0);
	assert_int_equal(pci_bound(100)->addr, 0);
}

/* And what was bound goes: a guest took the vector away. */
static void test_vector_that_doesnt_exist_binds_nothing(void **state)
{
	(void)state;
	open_vector_3();
	bind_100_to_3();
	assert_int_equal(pci_msix_bind(&thing.f, 0xffff, 100, true), -EINVAL);
	assert_int_equal(pci_bound(100)->addr, 0);
	assert_int_equal(pci_msix_bind(&thing.f, 0xffff, 100, false), 0);
}

/* ---- Threads ------------------------------------------------------------------------------- */

static _Atomic bool stop_sending, torn;

/* The guest keeps both the same, and 0 is never unmasked. */
static void check_message(const struct message *message)
{
	if (message->addr != (uint64_t)message->data << 8 || !message->data)
		torn = true;
}

static void *sender(void *arg)
{
	(void)arg;
	while (!stop_sending) {
		pci_msix_send(&thing.f, 3);
		pci_msix_send(&thing.f, VECTORS);
	}
	return NULL;
}

static void test_messages_are_whole_while_the_guest_writes(void **state)
{
	pthread_t threads[2];
	unsigned value = 1;

	(void)state;
	stop_sending = torn = false;
	set_message(3, 1 << 8, 1);
	open_vector_3();
	control(0);
	set_message(3, 1 << 8, 1);
	control(ENABLE);
	pci.on_send = check_message;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sender, NULL), 0);
	while (pci.n_sent < 1000)
		sched_yield();
	for (unsigned i = 0; i < 2000; i++) {
		value = i % 2 ? 0x7fffff : 1 + i;
		mask(3, true);
		set_message(3, (uint64_t)value << 8, value);
		mask(3, false);
		if (i % 50 == 0)
			sched_yield();
	}
	stop_sending = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_false(torn);
	assert_int_equal(mem_in(PBA, 8), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_capability_shows_size_and_places),
		TEST(test_vectors_begin_masked),
		TEST(test_table_takes_double_and_quad_words),
		TEST(test_other_widths_are_harmless),
		TEST(test_pending_bits_cant_be_written),
		TEST(test_message_is_sent),
		TEST(test_nothing_is_sent_or_noted_while_off),
		TEST(test_vectors_that_dont_exist_send_nothing),
		TEST(test_masked_message_waits),
		TEST(test_all_wait_behind_the_functions_mask),
		TEST(test_turning_off_forgets_what_waits),
		TEST(test_intx_is_silent_while_on),
		TEST(test_changes_are_told),
		TEST(test_descriptor_follows_the_message),
		TEST(test_descriptor_is_unbound),
		TEST(test_vector_that_doesnt_exist_binds_nothing),
		TEST(test_messages_are_whole_while_the_guest_writes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
