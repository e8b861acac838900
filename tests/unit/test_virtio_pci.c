/* test_virtio_pci.c: virtio's registers, interrupts and kicks over PCI. */
#include "pci_helpers.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <vibevmm/virtio.h>

#define DEVFN  0x18
#define BAR    WINDOW
#define BELL   (IO + 4)
#define QUEUES 2
#define RAM    0x100000
#define DESC   RAM
#define AVAIL  (RAM + 0x1000)
#define USED   (RAM + 0x2000)

/* VIRTIO 4.1.4.3 */
enum {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	STATUS = 0x14,
	GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 0x40 };

#define NO_VECTOR 0xffff

/* ---- A device that others serve, such as vhost --------------------------------------------- */

static struct {
	struct device dev;
	struct plan_device plan;
	struct config_choice choice;
	struct virtio *v;
	uint8_t config[12];
	unsigned config_len, starts, stops;
	bool wants_call, has_ports;
	int kick[QUEUES], call[QUEUES];
} dev;

static int type_create(struct virtio *v, struct err *err)
{
	(void)err;
	v->n_queues = QUEUES;
	v->queue_size = 8;
	v->features = 1ULL << 5 | 1ULL << 40;
	v->config = dev.config;
	v->config_len = dev.config_len;
	dev.v = v;
	return 0;
}

static void type_destroy(struct virtio *v)
{
	(void)v;
}

static int type_start(struct virtio *v)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		if (!virtio_queue_ready(virtio_queue(v, i)))
			continue;
		dev.kick[i] = virtio_queue_kick_fd(virtio_queue(v, i));
		if (dev.wants_call)
			dev.call[i] = virtio_queue_call_fd(virtio_queue(v, i));
	}
	dev.starts++;
	return 0;
}

static void type_stop(struct virtio *v)
{
	(void)v;
	dev.stops++;
}

static void type_config_write(struct virtio *v, unsigned offset, unsigned size)
{
	(void)v;
	(void)offset;
	(void)size;
}

static const struct virtio_type type = {
	.id = 0x2a,
	.pci_class = 0x018000,
	.create = type_create,
	.destroy = type_destroy,
	.start = type_start,
	.stop = type_stop,
	.config_write = type_config_write,
};

static int create(struct device *device, struct err *err)
{
	return virtio_create(device, &type, err);
}

static const struct device_row row = {
	.type = { .name = "thing" },
	.create = create,
	VIRTIO_ROW,
};

static struct memory *memory;

static void plug(unsigned config_len, bool has_ports)
{
	struct err err;

	pci_start(INTX);
	memory = memory_new();
	assert_non_null(memory);
	assert_int_equal(memory_add(memory, RAM, 0x10000, 0, &err), 0);
	pci.fake.host.memory = memory;
	memset(&dev, 0, sizeof(dev));
	dev.config_len = config_len;
	dev.has_ports = has_ports;
	dev.choice = (struct config_choice){ .type = &row.type };
	dev.plan = (struct plan_device){
		.row = &row,
		.choice = &dev.choice,
		.label = "thing",
		.claims = { { &virtio_claims[2], 2, DEVFN, 1, true },
			    { &virtio_claims[3], 3, BAR, 0x4000, true },
			    { &virtio_claims[4], 4, BELL, 4, true } },
		.n_claims = dev.has_ports ? 3 : 2,
	};
	assert_int_equal(device_create(&dev.dev, &dev.plan, &pci.fake.host, &err), 0);
}

static int setup(void **state)
{
	(void)state;
	plug(sizeof(dev.config), false);
	return 0;
}

static int setup_ports(void **state)
{
	(void)state;
	plug(sizeof(dev.config), true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	device_destroy(&dev.dev);
	assert_int_equal(dev.starts, dev.stops);
	assert_int_equal(pci.n_bells, 0);
	pci_stop();
	memory_free(memory);
	return 0;
}

/* ---- The driver ---------------------------------------------------------------------------- */

/* Where a structure is, from its capability (4.1.4); its offset in configuration space. */
static unsigned find(unsigned kind, uint64_t *addr, uint32_t *len)
{
	for (unsigned at = capability(DEVFN, 9, 0); at; at = capability(DEVFN, 9, at)) {
		if (config_in(DEVFN, at + 3, 1) != kind)
			continue;
		assert_true(config_in(DEVFN, at + 2, 1) >= 16);
		if (config_in(DEVFN, at + 4, 1))
			continue; /* ports */
		*addr = BAR + config_in(DEVFN, at + 8, 4);
		*len = (uint32_t)config_in(DEVFN, at + 12, 4);
		return at;
	}
	return 0;
}

static uint64_t place(unsigned kind)
{
	uint64_t addr;
	uint32_t len;

	assert_int_not_equal(find(kind, &addr, &len), 0);
	return addr;
}

#define COMMON place(1)
#define NOTIFY place(2)
#define ISR    place(3)
#define CONFIG place(4)

static uint64_t in(unsigned reg, unsigned size)
{
	return mem_in(COMMON + reg, size);
}

static void out(unsigned reg, unsigned size, uint64_t value)
{
	mem_out(COMMON + reg, size, value);
}

static void negotiate(void)
{
	out(STATUS, 1, 0);
	out(STATUS, 1, ACKNOWLEDGE);
	out(STATUS, 1, ACKNOWLEDGE | DRIVER);
	out(DRIVER_FEATURE_SELECT, 4, 1);
	out(DRIVER_FEATURE, 4, 1);
	out(STATUS, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	assert_int_equal(in(STATUS, 1), ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

static void enable(unsigned queue)
{
	out(QUEUE_SELECT, 2, queue);
	out(QUEUE_DESC, 8, DESC + 0x4000 * queue);
	out(QUEUE_DRIVER, 8, AVAIL + 0x4000 * queue);
	out(QUEUE_DEVICE, 8, USED + 0x4000 * queue);
	out(QUEUE_ENABLE, 2, 1);
}

static void ready(void)
{
	out(STATUS, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void start(void)
{
	negotiate();
	enable(0);
	enable(1);
	ready();
	assert_int_equal(in(STATUS, 1), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

/* Vector i sends i + 1 to 0xfee01000; those of queue i and of config, behind them. */
static void use_msix(void)
{
	unsigned cap = capability(DEVFN, 0x11, 0);
	uint64_t table = BAR + config_in(DEVFN, cap + 4, 4);

	for (unsigned i = 0; i <= QUEUES; i++) {
		mem_out(table + 16 * i, 8, 0xfee01000);
		mem_out(table + 16 * i + 8, 8, i + 1);
	}
	config_out(DEVFN, cap + 2, 2, 0x8000);
	for (unsigned i = 0; i < QUEUES; i++) {
		out(QUEUE_SELECT, 2, i);
		out(QUEUE_VECTOR, 2, i);
		assert_int_equal(in(QUEUE_VECTOR, 2), i);
	}
	out(CONFIG_VECTOR, 2, QUEUES);
	assert_int_equal(in(CONFIG_VECTOR, 2), QUEUES);
}

/* ---- Registers --------------------------------------------------------------------------- */

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(config_in(DEVFN, 0, 4), 0x106a1af4);
	assert_int_equal(config_in(DEVFN, 8, 4), 0x01800001);
	assert_int_equal(config_in(DEVFN, 0x2c, 4), 0x11001af4);
	assert_int_equal(config_in(DEVFN, 0x10, 4), BAR | 4);
	assert_int_equal(config_in(DEVFN, capability(DEVFN, 0x11, 0) + 2, 2), QUEUES);
}

/* Where they are aligned as they must be (4.1.4.3 ff.), and disjoint. */
static void test_structures_lie_apart(void **state)
{
	const uint32_t least[] = { 0, 0x38, 2, 1, sizeof(dev.config) };
	uint64_t addr, other;
	uint32_t len, other_len;

	(void)state;
	for (unsigned i = 1; i <= 4; i++) {
		assert_int_not_equal(find(i, &addr, &len), 0);
		assert_true(len >= least[i] && addr + len <= BAR + 0x3000); /* then MSI-X's */
		assert_int_equal(addr & 3, 0);
		for (unsigned j = 1; j < i; j++) {
			find(j, &other, &other_len);
			assert_true(addr + len <= other || other + other_len <= addr);
		}
	}
	assert_int_equal(config_in(DEVFN, find(2, &addr, &len) + 16, 4), 0);
}

static void test_device_without_config(void **state)
{
	uint64_t addr;
	uint32_t len;

	(void)state;
	plug(0, false);
	assert_int_equal(find(4, &addr, &len), 0);
	assert_int_not_equal(find(5, &addr, &len), 0);
	teardown(state);
}

static void test_features_are_shown_by_halves(void **state)
{
	(void)state;
	assert_int_equal(in(DEVICE_FEATURE, 4), 1 << 28 | 1 << 29 | 1 << 5);
	out(DEVICE_FEATURE_SELECT, 4, 1);
	assert_int_equal(in(DEVICE_FEATURE_SELECT, 4), 1);
	assert_int_equal(in(DEVICE_FEATURE, 4), 1 << 8 | 1);
	out(DEVICE_FEATURE_SELECT, 4, 2);
	assert_int_equal(in(DEVICE_FEATURE, 4), 0);
	out(DRIVER_FEATURE_SELECT, 4, 1);
	out(DRIVER_FEATURE, 4, 1 << 8 | 1);
	out(DRIVER_FEATURE_SELECT, 4, 0);
	assert_int_equal(in(DRIVER_FEATURE, 4), 0);
	out(DRIVER_FEATURE_SELECT, 4, 1);
	assert_int_equal(in(DRIVER_FEATURE, 4), 1 << 8 | 1);
}

static void test_queues_are_selected(void **state)
{
	(void)state;
	assert_int_equal(in(NUM_QUEUES, 2), QUEUES);
	for (unsigned i = 0; i < QUEUES; i++) {
		out(QUEUE_SELECT, 2, i);
		assert_int_equal(in(QUEUE_SIZE, 2), 8);
		assert_int_equal(in(QUEUE_ENABLE, 2), 0);
		assert_int_equal(in(QUEUE_NOTIFY_OFF, 2), 0);
		out(QUEUE_SIZE, 2, 4 >> i);
	}
	out(QUEUE_SELECT, 2, 0);
	assert_int_equal(in(QUEUE_SIZE, 2), 4);
	out(QUEUE_SELECT, 2, QUEUES);
	assert_int_equal(in(QUEUE_SELECT, 2), QUEUES);
	assert_int_equal(in(QUEUE_SIZE, 2), 0);
	assert_int_equal(in(QUEUE_VECTOR, 2), NO_VECTOR);
	assert_int_equal(in(QUEUE_DESC, 8), 0);
	out(QUEUE_DESC, 8, 0x1000);
	out(QUEUE_VECTOR, 2, 0);
	out(QUEUE_ENABLE, 2, 1);
}

static void test_addresses_are_taken_in_halves_or_whole(void **state)
{
	(void)state;
	out(QUEUE_DESC, 4, 0x55667780);
	out(QUEUE_DESC + 4, 4, 0x11223344);
	assert_int_equal(in(QUEUE_DESC, 8), 0x1122334455667780);
	out(QUEUE_DRIVER, 8, 0xaabbccdd00112230);
	assert_int_equal(in(QUEUE_DRIVER, 4), 0x00112230);
	assert_int_equal(in(QUEUE_DRIVER + 4, 4), 0xaabbccdd);
	out(QUEUE_DEVICE + 4, 4, 7);
	assert_int_equal(in(QUEUE_DEVICE, 8), 7ULL << 32);
	out(STATUS, 1, 0);
	assert_int_equal(in(QUEUE_DESC, 8), 0);
}

static void test_config_is_read_and_written(void **state)
{
	uint64_t generation;

	(void)state;
	bytes_put64(dev.config, 0x1122334455667788);
	generation = in(GENERATION, 1);
	assert_int_equal(mem_in(CONFIG, 8), 0x1122334455667788);
	assert_int_equal(mem_in(CONFIG + 3, 1), 0x55);
	assert_int_equal(mem_in(CONFIG + 2, 2), 0x5566);
	assert_int_equal(mem_in(CONFIG + 8, 8), 0); /* half outside */
	assert_int_equal(mem_in(CONFIG + 0x800, 4), 0);
	assert_int_equal(in(GENERATION, 1), generation);
	dev.config[0]++;
	assert_int_not_equal(in(GENERATION, 1), generation);
	mem_out(CONFIG + 8, 4, 0xabcdef01);
	assert_int_equal(bytes_get32(dev.config + 8), 0xabcdef01);
	mem_out(CONFIG + 8, 8, 0); /* half outside: nothing */
	assert_int_equal(mem_in(CONFIG + 8, 4), 0xabcdef01);
}

static void test_life(void **state)
{
	(void)state;
	start();
	assert_int_equal(dev.starts, 1);
	assert_int_equal(in(QUEUE_ENABLE, 2), 1);
	out(STATUS, 1, 0);
	assert_int_equal(dev.stops, 1);
	assert_int_equal(in(STATUS, 1), 0);
	assert_int_equal(in(QUEUE_ENABLE, 2), 0);
	start();
}

static void test_queue_outside_of_ram_needs_a_reset(void **state)
{
	(void)state;
	negotiate();
	out(QUEUE_DESC, 8, UINT64_MAX - 15);
	out(QUEUE_DRIVER, 8, RAM);
	out(QUEUE_DEVICE, 8, RAM);
	out(QUEUE_ENABLE, 2, 1);
	ready();
	assert_int_equal(in(STATUS, 1) & NEEDS_RESET, NEEDS_RESET);
	assert_int_equal(dev.starts, 0);
	start();
	assert_int_equal(dev.starts, 1);
}

/* ---- Interrupts -------------------------------------------------------------------------- */

static void test_vectors_that_dont_exist_are_refused(void **state)
{
	(void)state;
	use_msix();
	out(QUEUE_VECTOR, 2, QUEUES + 1);
	assert_int_equal(in(QUEUE_VECTOR, 2), NO_VECTOR);
	out(CONFIG_VECTOR, 2, 0x8000);
	assert_int_equal(in(CONFIG_VECTOR, 2), NO_VECTOR);
	use_msix();
	out(STATUS, 1, 0);
	assert_int_equal(in(CONFIG_VECTOR, 2), NO_VECTOR);
	assert_int_equal(in(QUEUE_VECTOR, 2), NO_VECTOR);
}

static void test_queue_interrupts_by_its_message(void **state)
{
	(void)state;
	use_msix();
	start(); /* whose reset took the vectors */
	virtio_queue_interrupt(virtio_queue(dev.v, 1));
	assert_int_equal(pci.n_sent, 0);
	use_msix();
	virtio_queue_interrupt(virtio_queue(dev.v, 1));
	assert_int_equal(pci.n_sent, 1);
	assert_int_equal(pci.sent.data, 2);
	assert_int_equal(pci.sent.who, DEVFN);
	virtio_queue_interrupt(virtio_queue(dev.v, 0));
	assert_int_equal(pci.sent.data, 1);
	assert_int_equal(mem_in(ISR, 1), 0);
	assert_false(intx_level());
}

static void test_config_change_interrupts_by_its_message(void **state)
{
	(void)state;
	start();
	use_msix();
	virtio_config_changed(dev.v);
	assert_int_equal(pci.n_sent, 1);
	assert_int_equal(pci.sent.data, QUEUES + 1);
	assert_false(intx_level());
	assert_int_equal(mem_in(ISR, 1), 2);
	assert_int_equal(mem_in(ISR, 1), 0);
}

static void test_line_without_msix(void **state)
{
	(void)state;
	start();
	virtio_queue_interrupt(virtio_queue(dev.v, 1));
	virtio_config_changed(dev.v);
	assert_true(intx_level());
	assert_int_equal(pci.n_sent, 0);
	assert_int_equal(config_in(DEVFN, 6, 2) & 8, 8);
	assert_int_equal(mem_in(ISR, 1), 3);
	assert_false(intx_level());
	assert_int_equal(config_in(DEVFN, 6, 2) & 8, 0);
	virtio_queue_interrupt(virtio_queue(dev.v, 0));
	assert_true(intx_level());
	out(STATUS, 1, 0);
	assert_false(intx_level());
}

static void test_descriptors_send_messages(void **state)
{
	(void)state;
	dev.wants_call = true;
	negotiate();
	use_msix();
	enable(0);
	enable(1);
	ready();
	assert_true(dev.call[0] >= 0 && dev.call[1] >= 0);
	assert_int_equal(pci_bound(dev.call[0])->data, 1);
	assert_int_equal(pci_bound(dev.call[1])->data, 2);
	/* Its message, and its vector, change. */
	mem_out(BAR + config_in(DEVFN, capability(DEVFN, 0x11, 0) + 4, 4) + 16 + 8, 4, 0x77);
	assert_int_equal(pci_bound(dev.call[0])->data, 1);
	assert_int_equal(pci_bound(dev.call[1])->data, 0x77);
	out(QUEUE_SELECT, 2, 1);
	out(QUEUE_VECTOR, 2, 2);
	assert_int_equal(pci_bound(dev.call[1])->data, 3);
	out(QUEUE_VECTOR, 2, NO_VECTOR);
	assert_int_equal(pci_bound(dev.call[1])->addr, 0);
	out(QUEUE_VECTOR, 2, 1);
	assert_int_equal(pci_bound(dev.call[1])->data, 0x77);
	out(STATUS, 1, 0);
	assert_int_equal(pci_bound(dev.call[0])->addr, 0);
	assert_int_equal(pci_bound(dev.call[1])->addr, 0);
}

static void test_no_descriptors_without_msix(void **state)
{
	(void)state;
	dev.wants_call = true;
	start();
	assert_int_equal(dev.call[0], -1);
}

/* ---- Kicks --------------------------------------------------------------------------------- */

static bool kicked(unsigned queue)
{
	struct pollfd poll_fd = { dev.kick[queue], POLLIN, 0 };
	eventfd_t value;

	return poll(&poll_fd, 1, 0) == 1 && !eventfd_read(dev.kick[queue], &value);
}

static bool has_bell_in(enum plan_space space, unsigned queue, uint64_t addr)
{
	for (unsigned i = 0; i < pci.n_bells; i++) {
		const struct bell *bell = &pci.bells[i];

		if (bell->space == space && bell->addr == addr && bell->len == 2 &&
		    bell->match == queue && bell->fd == dev.kick[queue])
			return true;
	}
	return false;
}

static bool has_bell(unsigned queue, uint64_t addr)
{
	return has_bell_in(SPACE_MEM, queue, addr);
}

static bool has_port(unsigned queue, uint64_t port)
{
	return has_bell_in(SPACE_PIO, queue, port);
}

static void test_doorbells_are_there_while_it_runs(void **state)
{
	uint64_t notify = NOTIFY;

	(void)state;
	negotiate();
	enable(0);
	enable(1);
	assert_int_equal(pci.n_bells, 0);
	ready();
	assert_int_equal(pci.n_bells, QUEUES);
	assert_true(has_bell(0, notify) && has_bell(1, notify));
	out(STATUS, 1, 0);
	assert_int_equal(pci.n_bells, 0);
}

static void test_doorbells_move_with_the_bar(void **state)
{
	uint64_t notify = NOTIFY;

	(void)state;
	start();
	config_out(DEVFN, 4, 2, 0);
	assert_int_equal(pci.n_bells, 0);
	config_out(DEVFN, 0x10, 4, BAR + 0x8000);
	config_out(DEVFN, 4, 2, 2);
	assert_int_equal(pci.n_bells, QUEUES);
	assert_true(has_bell(0, notify + 0x8000) && has_bell(1, notify + 0x8000));
	config_out(DEVFN, 0x10, 4, 0); /* onto RAM */
	assert_int_equal(pci.n_bells, 0);
	config_out(DEVFN, 0x10, 4, BAR);
	assert_true(has_bell(0, notify) && has_bell(1, notify));
}

/* It is started by way of configuration space, and then gets its BAR. */
static void test_doorbells_wait_for_the_bar(void **state)
{
	(void)state;
	negotiate();
	enable(0);
	uint64_t status = COMMON + STATUS - BAR, addr;
	uint32_t len;
	unsigned window = find(5, &addr, &len);

	config_out(DEVFN, 4, 2, 0);
	config_out(DEVFN, window + 8, 4, status);
	config_out(DEVFN, window + 12, 4, 1);
	config_out(DEVFN, window + 16, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(dev.starts, 1);
	assert_int_equal(pci.n_bells, 0);
	config_out(DEVFN, 4, 2, 2);
	assert_int_equal(pci.n_bells, 1);
}

static void test_kicks_without_doorbells(void **state)
{
	(void)state;
	pci.no_bells = true;
	start();
	assert_false(kicked(0));
	mem_out(NOTIFY, 2, 1);
	assert_false(kicked(0));
	assert_true(kicked(1));
	mem_out(NOTIFY, 2, QUEUES); /* there is no such one */
	mem_out(NOTIFY, 4, 0);
	assert_true(kicked(0));
	out(STATUS, 1, 0);
	mem_out(NOTIFY, 2, 0);
}

/* ---- Kicks by a port ----------------------------------------------------------------------- */

/* 4.1.4: in the order of preference. */
static void test_port_is_offered_before_the_register(void **state)
{
	unsigned at = capability(DEVFN, 9, 0);

	(void)state;
	while (config_in(DEVFN, at + 3, 1) != 2)
		at = capability(DEVFN, 9, at);
	assert_int_equal(config_in(DEVFN, at + 2, 1), 20);
	assert_int_equal(config_in(DEVFN, at + 4, 1), 2);
	assert_int_equal(config_in(DEVFN, at + 8, 4), 0);
	assert_true(config_in(DEVFN, at + 12, 4) >= 2);
	assert_int_equal(config_in(DEVFN, at + 16, 4), 0);
	assert_int_equal(config_in(DEVFN, 0x18, 4), BELL | 1);
	do
		at = capability(DEVFN, 9, at);
	while (config_in(DEVFN, at + 3, 1) != 2);
	assert_int_equal(config_in(DEVFN, at + 4, 1), 0);
	assert_int_equal(config_in(DEVFN, 4, 2), 3);
}

static void test_doorbells_are_at_the_port_alone(void **state)
{
	(void)state;
	start();
	assert_int_equal(pci.n_bells, QUEUES);
	assert_true(has_port(0, BELL) && has_port(1, BELL));
	out(STATUS, 1, 0);
	assert_int_equal(pci.n_bells, 0);
}

static void test_a_driver_that_takes_no_ports_gets_doorbells_of_its_own(void **state)
{
	uint64_t notify = NOTIFY;

	(void)state;
	start();
	mem_out(notify, 2, 1);
	assert_true(kicked(1));
	assert_false(kicked(0));
	assert_int_equal(pci.n_bells, 2 * QUEUES);
	assert_true(has_bell(0, notify) && has_bell(1, notify));
	mem_out(notify, 2, 0); /* as on a host that didn't take it */
	assert_true(kicked(0));
	assert_int_equal(pci.n_bells, 2 * QUEUES);
	out(STATUS, 1, 0);
	assert_int_equal(pci.n_bells, 0);
	start();
	assert_int_equal(pci.n_bells, QUEUES);
}

static void test_doorbells_move_with_the_port(void **state)
{
	uint64_t notify = NOTIFY;

	(void)state;
	start();
	config_out(DEVFN, 0x18, 4, IO + 0x40);
	assert_int_equal(pci.n_bells, QUEUES);
	assert_true(has_port(0, IO + 0x40) && has_port(1, IO + 0x40));
	config_out(DEVFN, 0x18, 4, 0x3f8); /* onto a UART */
	assert_int_equal(pci.n_bells, 0);
	mem_out(notify, 2, 0);
	assert_true(kicked(0));
	assert_true(has_bell(0, notify));
	config_out(DEVFN, 0x18, 4, BELL);
	assert_int_equal(pci.n_bells, 2 * QUEUES);
	config_out(DEVFN, 4, 2, 0); /* neither is decoded */
	assert_int_equal(pci.n_bells, 0);
	config_out(DEVFN, 4, 2, 3);
	assert_int_equal(pci.n_bells, 2 * QUEUES);
}

/* The driver wants none. */
static void test_without_ports_doorbells_are_at_the_register(void **state)
{
	uint64_t notify = NOTIFY;

	(void)state;
	config_out(DEVFN, 4, 2, 2);
	start();
	assert_int_equal(pci.n_bells, QUEUES);
	assert_true(has_bell(0, notify) && has_bell(1, notify));
}

static void test_kicks_by_a_port_without_doorbells(void **state)
{
	(void)state;
	pci.no_bells = true;
	start();
	io_out(BELL, 2, 1);
	assert_false(kicked(0));
	assert_true(kicked(1));
	io_out(BELL, 4, 0);
	assert_true(kicked(0));
	io_out(BELL, 2, QUEUES); /* there is no such one */
	io_out(BELL + 2, 2, 0);	 /* nor anything there */
	assert_false(kicked(0) || kicked(1));
	assert_int_equal(io_in(BELL, 4), 0);
	out(STATUS, 1, 0);
	io_out(BELL, 2, 0);
}

/* ---- Through configuration space ----------------------------------------------------------- */

static unsigned window;

static void aim(uint64_t offset, uint32_t len)
{
	uint64_t addr;
	uint32_t size;

	window = find(5, &addr, &size);
	config_out(DEVFN, window + 4, 1, 0);
	config_out(DEVFN, window + 8, 4, offset);
	config_out(DEVFN, window + 12, 4, len);
}

static void test_bar_is_seen_through_configuration_space(void **state)
{
	(void)state;
	config_out(DEVFN, 4, 2, 0); /* for firmware that doesn't map BARs */
	aim(NUM_QUEUES, 2);
	assert_int_equal(config_in(DEVFN, window + 16, 2), QUEUES);
	aim(DEVICE_FEATURE_SELECT, 4);
	config_out(DEVFN, window + 16, 4, 1);
	aim(DEVICE_FEATURE, 4);
	assert_int_equal(config_in(DEVFN, window + 16, 4), 1 << 8 | 1);
	config_out(DEVFN, 4, 2, 2);
}

static void test_port_is_reached_through_configuration_space(void **state)
{
	(void)state;
	pci.no_bells = true;
	start();
	config_out(DEVFN, 4, 2, 0);
	aim(0, 2);
	config_out(DEVFN, window + 4, 1, 2);
	config_out(DEVFN, window + 16, 2, 1);
	assert_true(kicked(1));
	config_out(DEVFN, window + 8, 4, 4); /* behind its end */
	config_out(DEVFN, window + 16, 2, 0);
	assert_false(kicked(0));
	for (unsigned bar = 1; bar <= 0xff; bar++) { /* there are none but 0 and 2 */
		config_out(DEVFN, window + 4, 1, bar);
		config_out(DEVFN, window + 8, 4, STATUS);
		config_out(DEVFN, window + 12, 4, 1);
		config_out(DEVFN, window + 16, 1, 0);
	}
	config_out(DEVFN, 4, 2, 3);
	assert_int_equal(in(STATUS, 1), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void test_strange_windows_are_harmless(void **state)
{
	const uint64_t aims[][2] = {
		{ 0x14, 0 },	   { 0x14, 3 },	      { 0x14, 8 },   { 0x14, 0xffffffff },
		{ 0x4000, 1 },	   { 0xffffffff, 1 }, { 0x3fff, 2 }, { 0x15, 4 },
		{ 0xfffffffc, 4 }, { 0x3000, 4 },     { 0x3f00, 4 },
	};

	(void)state;
	start();
	for (size_t i = 0; i < ARRAY_SIZE(aims); i++) {
		aim(aims[i][0], (uint32_t)aims[i][1]);
		config_out(DEVFN, window + 16, 4, 0);
		config_in(DEVFN, window + 16, 4);
	}
	aim(STATUS, 1);
	config_out(DEVFN, window + 4, 1, 2); /* there is no such BAR */
	config_out(DEVFN, window + 16, 1, 0);
	assert_int_equal(in(STATUS, 1), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_identity),
		TEST(test_structures_lie_apart),
		cmocka_unit_test(test_device_without_config),
		TEST(test_features_are_shown_by_halves),
		TEST(test_queues_are_selected),
		TEST(test_addresses_are_taken_in_halves_or_whole),
		TEST(test_config_is_read_and_written),
		TEST(test_life),
		TEST(test_queue_outside_of_ram_needs_a_reset),
		TEST(test_vectors_that_dont_exist_are_refused),
		TEST(test_queue_interrupts_by_its_message),
		TEST(test_config_change_interrupts_by_its_message),
		TEST(test_line_without_msix),
		TEST(test_descriptors_send_messages),
		TEST(test_no_descriptors_without_msix),
		TEST(test_doorbells_are_there_while_it_runs),
		TEST(test_doorbells_move_with_the_bar),
		TEST(test_doorbells_wait_for_the_bar),
		TEST(test_kicks_without_doorbells),
#define PORTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup_ports, teardown)
		PORTS_TEST(test_structures_lie_apart),
		PORTS_TEST(test_port_is_offered_before_the_register),
		PORTS_TEST(test_doorbells_are_at_the_port_alone),
		PORTS_TEST(test_a_driver_that_takes_no_ports_gets_doorbells_of_its_own),
		PORTS_TEST(test_doorbells_move_with_the_port),
		PORTS_TEST(test_without_ports_doorbells_are_at_the_register),
		PORTS_TEST(test_kicks_by_a_port_without_doorbells),
		PORTS_TEST(test_port_is_reached_through_configuration_space),
		TEST(test_bar_is_seen_through_configuration_space),
		TEST(test_strange_windows_are_harmless),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
