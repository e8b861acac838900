/* test_virtio_core.c: the life of a virtio device: status, features, config, kicks, workers. */
#include "virtio_driver.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

#include <vibevmm/log.h>

enum {
	ACKNOWLEDGE = 1,
	DRIVER = 2,
	DRIVER_OK = 4,
	FEATURES_OK = 8,
	NEEDS_RESET = 0x40,
	FAILED = 0x80
};
#define READY	   (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)
#define FEATURE	   (1ULL << 7)
#define FEATURE_HI (1ULL << 40)
#define QUEUES	   3U

/* ---- The device: it counts what is asked of it ------------------------------------------------
 */

static struct driver d;
static struct virtio *probe;
static struct {
	unsigned creates, destroys, starts, stops, reads, writes;
	int start_result, create_result;
	unsigned write_offset, write_size;
	bool bound_at_stop; /* kicks were still bound when the type was stopped */
	unsigned workers;   /* one for all queues, or one each; 0: none */
} did;

static uint8_t config[12], next_config[12];
static struct virtio_worker *workers[QUEUES];
static _Atomic unsigned served[QUEUES]; /* calls of a queue's function */
static unsigned bound(void);

static void on_queue(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(256)];
	struct virtio_chain chain = { .iov = iov, .cap = ARRAY_SIZE(iov) };

	served[virtio_queue_index(q)]++;
	do {
		while (virtio_queue_take(q, &chain))
			virtio_queue_give(q, chain.head, (uint32_t)chain.in_len);
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}

static int probe_create(struct virtio *v, struct err *err)
{
	did.creates++;
	if (did.create_result)
		return err_set(err, did.create_result, STATUS_OSERR, "no");
	probe = v;
	v->features = FEATURE | FEATURE_HI;
	v->n_queues = QUEUES;
	v->config = config;
	v->config_len = sizeof(config);
	return 0;
}

static void probe_destroy(struct virtio *v)
{
	(void)v;
	did.destroys++;
}

static int probe_start(struct virtio *v)
{
	did.starts++;
	if (did.start_result)
		return did.start_result;
	for (unsigned i = 0; i < did.workers; i++) {
		workers[i] = virtio_worker_new(v);
		assert_non_null(workers[i]);
	}
	for (unsigned i = 0; did.workers && i < QUEUES; i++)
		assert_int_equal(
			virtio_worker_queue(workers[i % did.workers], virtio_queue(v, i), on_queue),
			0);
	for (unsigned i = 0; i < did.workers; i++)
		assert_int_equal(virtio_worker_run(workers[i]), 0);
	return 0;
}

static void probe_stop(struct virtio *v)
{
	(void)v;
	did.stops++;
	did.bound_at_stop = bound();
	for (unsigned i = 0; i < did.workers; i++)
		virtio_worker_free(workers[i]);
}

static void probe_config_read(struct virtio *v)
{
	did.reads++;
	memcpy(v->config, next_config, sizeof(next_config));
}

static void probe_config_write(struct virtio *v, unsigned offset, unsigned size)
{
	did.writes++;
	did.write_offset = offset;
	did.write_size = size;
	memcpy(next_config, v->config, sizeof(next_config));
}

static const struct virtio_type type = {
	.id = 42,
	.create = probe_create,
	.destroy = probe_destroy,
	.start = probe_start,
	.stop = probe_stop,
	.config_read = probe_config_read,
	.config_write = probe_config_write,
};

DRIVER_ROW(row, type, "virtio-probe-of-a-long-name");

/* ---- A host with ioeventfds --------------------------------------------------------------------
 */

static struct binding {
	uint64_t addr, match;
	unsigned len;
	bool any;
	int fd; /* -1: free */
} bindings[8];
static int bind_result;

static unsigned bound(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
		n += bindings[i].fd >= 0;
	return n;
}

static int fake_ioeventfd(struct device_host *host, enum plan_space space, uint64_t addr,
			  unsigned len, const uint64_t *match, int fd, bool on)
{
	struct binding want = { addr, match ? *match : 0, len, !match, fd };

	(void)host;
	assert_int_equal(space, SPACE_MEM);
	if (bind_result)
		return bind_result;
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++) {
		struct binding *b = &bindings[i];

		if (on ? b->fd < 0 : b->fd == fd && b->addr == addr && b->match == want.match) {
			assert_true(on || (b->len == len && b->any == want.any));
			*b = want;
			if (!on)
				b->fd = -1;
			return 0;
		}
	}
	fail_msg("unbound what is not, or too many");
	return -1;
}

/* As the guest's write would. */
static void guest_notifies(uint32_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++) {
		struct binding *b = &bindings[i];

		if (b->fd >= 0 && (b->any || b->match == index)) {
			eventfd_write(b->fd, 1);
			return;
		}
	}
	driver_kick(&d, index);
}

static int setup(void **state)
{
	(void)state;
	memset(&did, 0, sizeof(did));
	memset(config, 0, sizeof(config));
	memset(next_config, 0, sizeof(next_config));
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
		bindings[i].fd = -1;
	for (unsigned i = 0; i < QUEUES; i++)
		served[i] = 0;
	bind_result = 0;
	driver_init(&d);
	d.host.host.ioeventfd = fake_ioeventfd;
	driver_create(&d, &row, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	driver_unplug(&d);
	return did.creates != 1 || did.destroys != 1 || did.starts < did.stops || bound();
}

static uint8_t status(void)
{
	return (uint8_t)driver_in(&d, MMIO_STATUS);
}

static void set_status(uint32_t value)
{
	driver_out(&d, MMIO_STATUS, value);
}

static void accept(uint64_t features)
{
	driver_out(&d, MMIO_DRIVER_FEATURES_SEL, 0);
	driver_out(&d, MMIO_DRIVER_FEATURES, (uint32_t)features);
	driver_out(&d, MMIO_DRIVER_FEATURES_SEL, 1);
	driver_out(&d, MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

/* ---- Features and status ------------------------------------------------------------------- */

static void features_are_the_types_and_the_rings(void **state)
{
	(void)state;
	assert_int_equal(driver_offered(&d), FEATURE | FEATURE_HI | DRIVER_VERSION_1 |
						     DRIVER_EVENT_IDX | DRIVER_INDIRECT_DESC);
	driver_out(&d, MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(driver_in(&d, MMIO_DEVICE_FEATURES), 0);
	driver_out(&d, MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	assert_int_equal(driver_in(&d, MMIO_DEVICE_FEATURES), 0);
}

static void features_must_be_offered_ones_and_version_1(void **state)
{
	const uint64_t bad[] = { 0, FEATURE, DRIVER_VERSION_1 | 1, DRIVER_VERSION_1 | 1ULL << 63,
				 UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set_status(0);
		set_status(ACKNOWLEDGE | DRIVER);
		accept(bad[i]);
		set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
		assert_int_equal(status(), ACKNOWLEDGE | DRIVER);
	}
	accept(DRIVER_VERSION_1 | FEATURE);
	set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FEATURES_OK);
	/* Nothing more from then on. */
	accept(DRIVER_VERSION_1 | FEATURE_HI);
	set_status(READY);
	assert_int_equal(probe->driver_features, DRIVER_VERSION_1 | FEATURE);
	assert_true(virtio_has(probe, 7));
	assert_false(virtio_has(probe, 40));
}

static void features_beyond_64_bits_are_ignored(void **state)
{
	(void)state;
	accept(DRIVER_VERSION_1);
	driver_out(&d, MMIO_DRIVER_FEATURES_SEL, 2);
	driver_out(&d, MMIO_DRIVER_FEATURES, UINT32_MAX);
	set_status(FEATURES_OK);
	assert_int_equal(status(), FEATURES_OK);
}

static void status_bits_stay_until_a_reset(void **state)
{
	(void)state;
	set_status(ACKNOWLEDGE | DRIVER);
	set_status(ACKNOWLEDGE);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER);
	set_status(0x100); /* no bit that there is, and no reset */
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER);
	set_status(FAILED | NEEDS_RESET | 0x30);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER | FAILED);
	set_status(0);
	assert_int_equal(status(), 0);
}

static void the_device_starts_once(void **state)
{
	(void)state;
	driver_start(&d, 0);
	assert_int_equal(did.starts, 1);
	set_status(READY);
	set_status(DRIVER_OK);
	assert_int_equal(did.starts, 1);
	driver_reset(&d);
	assert_int_equal(did.stops, 1);
	driver_reset(&d);
	assert_int_equal(did.stops, 1);
	driver_start(&d, 0);
	assert_int_equal(did.starts, 2);
}

static void all_at_once_is_in_order_too(void **state)
{
	(void)state;
	accept(DRIVER_VERSION_1);
	set_status(READY);
	assert_int_equal(status(), READY);
	assert_int_equal(did.starts, 1);
}

static void ready_without_features_needs_a_reset(void **state)
{
	(void)state;
	accept(DRIVER_VERSION_1 | 1);
	set_status(READY);
	assert_int_equal(status(), ACKNOWLEDGE | DRIVER | DRIVER_OK | NEEDS_RESET);
	assert_int_equal(did.starts, 0);
	driver_reset(&d);
	assert_int_equal(did.stops, 0);
}

static void a_failed_start_needs_a_reset(void **state)
{
	(void)state;
	did.start_result = -EMFILE;
	driver_negotiate(&d, 0);
	driver_ok(&d);
	assert_int_equal(status(), READY | NEEDS_RESET);
	did.start_result = 0;
	set_status(READY);
	assert_int_equal(did.starts, 1);
	driver_start(&d, 0);
	assert_int_equal(did.starts, 2);
	assert_int_equal(did.stops, 0);
}

static void a_broken_device_tells_once_and_waits_for_a_reset(void **state)
{
	(void)state;
	driver_start(&d, 0);
	virtio_broken(probe, "a %s", "test");
	virtio_broken(probe, "again");
	assert_int_equal(d.irqs, 1);
	assert_int_equal(driver_wait_irq(&d), 2);
	assert_int_equal(status(), READY | NEEDS_RESET);
	set_status(READY);
	set_status(ACKNOWLEDGE);
	assert_int_equal(status(), READY | NEEDS_RESET);
	assert_int_equal(did.starts, 1);
	set_status(FAILED);
	assert_int_equal(status(), READY | NEEDS_RESET | FAILED);
	driver_start(&d, 0);
	assert_int_equal(status(), READY);
}

static void a_device_that_breaks_before_it_is_ready_does_not_interrupt(void **state)
{
	(void)state;
	driver_negotiate(&d, 0);
	virtio_broken(probe, "a test");
	assert_int_equal(d.irqs, 0);
	driver_ok(&d);
	assert_int_equal(did.starts, 0);
}

static void a_misdeed_is_logged_once(void **state)
{
	char text[512] = { 0 };
	int out[2], before = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(out), 0);
	dup2(out[1], STDERR_FILENO);
	log_set_level(LOG_WARN);
	for (unsigned i = 0; i < 100; i++) {
		driver_start(&d, 0);
		virtio_broken(probe, "number %u", i);
	}
	log_set_level(LOG_NONE);
	dup2(before, STDERR_FILENO);
	close(out[1]);
	n = read(out[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_string_equal(text,
			    "vibevmm: warn: virtio-probe-of-a-long-name: number 0; the device does "
			    "nothing more until the guest resets it\n");
	close(out[0]);
	close(before);
}

static void a_reset_forgets_all_that_the_driver_said(void **state)
{
	(void)state;
	driver_start(&d, FEATURE);
	virtio_broken(probe, "a test");
	assert_true(d.level);
	driver_reset(&d);
	assert_false(d.level);
	assert_int_equal(driver_in(&d, MMIO_INTERRUPT_STATUS), 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_int_equal(driver_queue_max(&d, i), 256);
		assert_int_equal(driver_in(&d, MMIO_QUEUE_READY), 0);
		assert_int_equal(virtio_queue_ring(virtio_queue(probe, i)).descriptors, 0);
		assert_int_equal(virtio_queue_size(virtio_queue(probe, i)), 256);
	}
	set_status(FEATURES_OK); /* VERSION_1 is forgotten, too */
	assert_int_equal(status(), 0);
}

static void a_queue_cannot_change_while_it_is_enabled_or_runs(void **state)
{
	struct virtio_queue *q = virtio_queue(probe, 0);

	(void)state;
	driver_negotiate(&d, 0);
	driver_ring(&d, 0, 16);
	driver_enable(&d, 0);
	driver_out(&d, MMIO_QUEUE_NUM, 32);
	driver_out(&d, MMIO_QUEUE_DESC, 0x1234);
	assert_int_equal(virtio_queue_size(q), 16);
	assert_int_equal(virtio_queue_ring(q).descriptors, d.queues[0].gpa[0]);
	/* Taken back before the start. */
	driver_out(&d, MMIO_QUEUE_READY, 0);
	driver_out(&d, MMIO_QUEUE_NUM, 32);
	assert_int_equal(virtio_queue_size(q), 32);
	driver_out(&d, MMIO_QUEUE_NUM, 16);
	driver_out(&d, MMIO_QUEUE_READY, 1);
	driver_ok(&d);
	assert_true(virtio_queue_ready(q));
	assert_false(virtio_queue_ready(virtio_queue(probe, 1)));
	driver_out(&d, MMIO_QUEUE_READY, 1);
	assert_false(driver_broken(&d));
	driver_out(&d, MMIO_QUEUE_READY, 0);
	assert_true(driver_broken(&d));
	assert_true(virtio_queue_ready(q));
}

static void the_end_of_the_vm_stops_the_device(void **state)
{
	(void)state;
	did.workers = 1;
	driver_start(&d, 0); /* teardown compares starts and stops */
	device_destroy(&d.dev);
	assert_int_equal(did.stops, 1);
	did.creates = did.destroys = 0;
	driver_create(&d, &row, NULL);
}

static void the_machines_reset_is_one_of_the_device(void **state)
{
	(void)state;
	driver_start(&d, 0);
	driver_out(&d, MMIO_QUEUE_SEL, 77);
	device_lock(&d.dev);
	d.dev.row->reset(&d.dev);
	device_unlock(&d.dev);
	assert_int_equal(did.stops, 1);
	assert_int_equal(status(), 0);
	assert_int_equal(driver_in(&d, MMIO_QUEUE_NUM_MAX), 256); /* queue 0 is selected */
}

static void a_failed_create_leaves_nothing(void **state)
{
	struct driver other;
	struct err err;

	(void)state;
	did.create_result = ENOMEM;
	driver_init(&other);
	assert_int_equal(driver_try_create(&other, &row, NULL, &err), -ENOMEM);
	driver_free(&other);
	did.creates--;
}

/* ---- Config -------------------------------------------------------------------------------- */

static void config_reads_of_each_width_and_at_its_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(next_config); i++)
		next_config[i] = (uint8_t)(0xa0 + i);
	assert_int_equal(driver_read(&d, MMIO_CONFIG, 1), 0xa0);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 1, 2), 0xa2a1);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 4, 4), 0xa7a6a5a4);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 4, 8), 0xabaaa9a8a7a6a5a4);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 11, 8), 0xab);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 12, 4), 0);
	assert_int_equal(driver_read(&d, 0xff8, 8), 0);
}

static void config_writes_are_told_if_they_lie_inside(void **state)
{
	(void)state;
	driver_write(&d, MMIO_CONFIG + 2, 2, 0x1234);
	assert_int_equal(did.writes, 1);
	assert_int_equal(did.write_offset, 2);
	assert_int_equal(did.write_size, 2);
	assert_int_equal(config[2], 0x34);
	assert_int_equal(config[3], 0x12);
	driver_write(&d, MMIO_CONFIG + 9, 4, UINT32_MAX);
	driver_write(&d, MMIO_CONFIG + 12, 1, 1);
	driver_write(&d, 0xff8, 8, UINT64_MAX);
	assert_int_equal(did.writes, 1);
	assert_int_equal(config[9], 0);
	driver_write(&d, MMIO_CONFIG + 8, 4, UINT32_MAX);
	assert_int_equal(did.writes, 2);
}

static void the_generation_changes_with_what_the_guest_sees(void **state)
{
	uint32_t generation = driver_in(&d, MMIO_GENERATION);

	(void)state;
	driver_read(&d, MMIO_CONFIG, 4);
	assert_int_equal(driver_in(&d, MMIO_GENERATION), generation);
	next_config[0] = 1;
	assert_int_equal(driver_read(&d, MMIO_CONFIG, 4), 1);
	next_config[8] = 1; /* between two reads of one value */
	driver_read(&d, MMIO_CONFIG + 8, 4);
	assert_int_equal(driver_in(&d, MMIO_GENERATION), generation + 2);
	driver_write(&d, MMIO_CONFIG, 1, 7); /* the driver's own */
	assert_int_equal(driver_in(&d, MMIO_GENERATION), generation + 2);
}

static void a_change_of_config_interrupts_a_driver_that_is_ready(void **state)
{
	(void)state;
	virtio_config_changed(probe);
	assert_int_equal(d.irqs, 0);
	driver_start(&d, 0);
	assert_int_equal(d.irqs, 0);
	virtio_config_changed(probe);
	assert_int_equal(driver_wait_irq(&d), 2);
	/* One that came between the driver's look and its start. */
	driver_negotiate(&d, 0);
	driver_read(&d, MMIO_CONFIG, 4);
	next_config[0] = 1;
	driver_ok(&d);
	assert_int_equal(driver_wait_irq(&d), 2);
}

/* ---- Interrupts ---------------------------------------------------------------------------- */

static void the_line_is_high_while_a_bit_is_set(void **state)
{
	(void)state;
	driver_start(&d, 0);
	virtio_queue_interrupt(virtio_queue(probe, 1));
	virtio_queue_interrupt(virtio_queue(probe, 2));
	assert_int_equal(d.irqs, 1);
	virtio_config_changed(probe);
	assert_int_equal(driver_in(&d, MMIO_INTERRUPT_STATUS), 3);
	driver_out(&d, MMIO_INTERRUPT_ACK, 1);
	assert_true(d.level);
	assert_int_equal(driver_in(&d, MMIO_INTERRUPT_STATUS), 2);
	driver_out(&d, MMIO_INTERRUPT_ACK, 0xfd);
	assert_true(d.level);
	driver_out(&d, MMIO_INTERRUPT_ACK, 2);
	assert_false(d.level);
}

static void there_are_no_interrupts_without_us_over_mmio(void **state)
{
	(void)state;
	driver_start(&d, 0);
	assert_int_equal(virtio_queue_call_fd(virtio_queue(probe, 0)), -1);
}

/* ---- Kicks --------------------------------------------------------------------------------- */

static void a_request_is_served(unsigned queue)
{
	uint64_t page = driver_alloc(&d, 4096);
	struct driver_buffer buffer = { page, 100 };
	uint16_t head = driver_add(&d, queue, &buffer, 0, 1), used;

	guest_notifies(queue);
	assert_int_equal(driver_wait(&d, queue, &used), 100);
	assert_int_equal(used, head);
}

static void queues_of_one_worker_share_one_binding(void **state)
{
	(void)state;
	did.workers = 1;
	driver_start(&d, DRIVER_EVENT_IDX);
	assert_int_equal(bound(), 1);
	assert_true(bindings[0].any);
	assert_int_equal(bindings[0].addr, DRIVER_REGISTERS + MMIO_QUEUE_NOTIFY);
	for (unsigned i = 0; i < 100; i++)
		a_request_is_served(i % QUEUES);
	driver_reset(&d);
	assert_int_equal(bound(), 0);
	assert_false(did.bound_at_stop);
}

static void queues_of_several_workers_have_a_binding_each(void **state)
{
	(void)state;
	did.workers = QUEUES;
	driver_start(&d, 0);
	assert_int_equal(bound(), QUEUES);
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_false(bindings[i].any);
		assert_int_equal(bindings[i].match, i);
		assert_int_equal(bindings[i].len, 4);
	}
	for (unsigned i = 0; i < 100; i++)
		a_request_is_served(i % QUEUES);
}

static void without_ioeventfds_kicks_come_by_the_register(void **state)
{
	(void)state;
	did.workers = 2;
	bind_result = -ENOTSUP;
	driver_start(&d, DRIVER_EVENT_IDX);
	for (unsigned i = 0; i < 100; i++)
		a_request_is_served(i % QUEUES);
	driver_kick(&d, QUEUES);
	driver_kick(&d, UINT32_MAX);
	driver_reset(&d);
	driver_kick(&d, 0);
}

static void a_kick_descriptor_is_a_queues_own(void **state)
{
	struct virtio_queue *q = virtio_queue(probe, 1);
	eventfd_t value;
	int fd;

	(void)state;
	driver_start(&d, 0);
	fd = virtio_queue_kick_fd(q);
	assert_true(fd >= 0);
	assert_int_equal(virtio_queue_kick_fd(q), fd);
	driver_kick(&d, 0);
	assert_int_equal(eventfd_read(fd, &value), -1);
	driver_kick(&d, 1);
	assert_int_equal(eventfd_read(fd, &value), 0);
	driver_reset(&d);
	assert_int_equal(eventfd_read(fd, &value), -1);
	assert_int_equal(errno, EBADF);
}

/* ---- Workers ------------------------------------------------------------------------------- */

static void a_kick_calls_all_queues_of_the_worker(void **state)
{
	(void)state;
	did.workers = 1;
	driver_start(&d, 0);
	/* At the beginning, and at a kick: it doesn't say for which queue it is. The call at the
	 * beginning may find several requests. */
	do
		a_request_is_served(2);
	while (served[2] < 2);
	assert_true(served[0] >= 2);
	assert_true(served[1] >= 2);
}

/* A hostile driver makes the same requests available for ever. */
static _Atomic bool flood_ends;
static int flood_kick;

static void *flood(void *arg)
{
	struct driver_queue *q = arg;

	while (!flood_ends) {
		uint16_t used = __atomic_load_n(&q->used[1], __ATOMIC_RELAXED);

		__atomic_store_n(&q->avail[1], (uint16_t)(used + q->size), __ATOMIC_RELEASE);
		eventfd_write(flood_kick, 1);
	}
	return NULL;
}

static void a_reset_ends_a_worker_that_never_runs_out_of_work(void **state)
{
	struct driver_queue *q = &d.queues[0];
	pthread_t thread;

	(void)state;
	did.workers = 1;
	driver_start(&d, DRIVER_EVENT_IDX);
	for (uint16_t i = 0; i < q->size; i++) {
		q->desc[i] = (struct driver_desc){ DRIVER_RAM, 1, DRIVER_WRITE, 0 };
		q->avail[2 + i] = i;
	}
	flood_ends = false;
	flood_kick = dup(bindings[0].fd); /* the reset closes the other */
	assert_int_equal(pthread_create(&thread, NULL, flood, q), 0);
	while (__atomic_load_n(&q->used[1], __ATOMIC_RELAXED) < 1000)
		sched_yield();
	driver_reset(&d);
	flood_ends = true;
	pthread_join(thread, NULL);
	close(flood_kick);
}

/* ---- Descriptors on a worker ---------------------------------------------------------------- */

static struct virtio_worker *w;
static int fds[2], done; /* eventfds */
static _Atomic unsigned calls[2];
static char thread_name[16];
static sigset_t thread_signals;

static void wait_done(void)
{
	struct pollfd poll_done = { done, POLLIN, 0 };
	eventfd_t value;

	assert_int_equal(poll(&poll_done, 1, 10000), 1);
	eventfd_read(done, &value);
}

static void drained(int *fd)
{
	eventfd_t value;

	eventfd_read(*fd, &value);
	calls[fd - fds]++;
}

/* Takes the other away: both are ready in one go, and only one may be called. */
static void takes_the_other_away(void *arg, uint32_t events)
{
	int *fd = arg;

	assert_int_equal(events, EPOLLIN);
	drained(fd);
	virtio_worker_watch(w, fds[fd == fds], 0, NULL, NULL);
	eventfd_write(done, 1);
}

static void notes_where_it_runs(void *arg, uint32_t events)
{
	(void)events;
	drained(arg);
	pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
	pthread_sigmask(SIG_BLOCK, NULL, &thread_signals);
	eventfd_write(done, 1);
}

static int policies[3]; /* of a worker's thread: at first, told to wait for its turn, and not to */

static void notes_its_policy(void *arg, uint32_t events)
{
	(void)events;
	drained(arg);
	policies[0] = sched_getscheduler(0);
	virtio_worker_batch(w, true);
	policies[1] = sched_getscheduler(0);
	virtio_worker_batch(w, false);
	policies[2] = sched_getscheduler(0);
	eventfd_write(done, 1);
}

/* Takes itself away, adds itself again, and is the other function from then on. */
static void replaces_itself(void *arg, uint32_t events)
{
	int *fd = arg;

	(void)events;
	drained(fd);
	virtio_worker_watch(w, *fd, 0, NULL, NULL);
	assert_int_equal(virtio_worker_watch(w, *fd, EPOLLIN, notes_where_it_runs, fd), 0);
	eventfd_write(done, 1);
}

static void may_write(void *arg, uint32_t events)
{
	int *fd = arg;

	assert_int_equal(events, EPOLLOUT);
	calls[fd - fds]++;
	assert_int_equal(virtio_worker_watch(w, *fd, EPOLLIN, notes_where_it_runs, fd), 0);
	eventfd_write(done, 1);
}

static int setup_worker(void **state)
{
	setup(state);
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		calls[i] = 0;
	}
	done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w = virtio_worker_new(probe);
	assert_non_null(w);
	return 0;
}

static int teardown_worker(void **state)
{
	virtio_worker_free(w);
	close(fds[0]);
	close(fds[1]);
	close(done);
	return teardown(state);
}

static void end_worker(void)
{
	virtio_worker_free(w);
	w = NULL;
}

static void a_watch_taken_away_is_not_called_any_more(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		eventfd_write(fds[i], 1);
		assert_int_equal(
			virtio_worker_watch(w, fds[i], EPOLLIN, takes_the_other_away, &fds[i]), 0);
	}
	assert_int_equal(virtio_worker_run(w), 0);
	wait_done();
	end_worker();
	assert_int_equal(calls[0] + calls[1], 1);
}

static void a_watch_may_change(void **state)
{
	(void)state;
	assert_int_equal(virtio_worker_watch(w, fds[0], EPOLLOUT, may_write, &fds[0]), 0);
	assert_int_equal(virtio_worker_watch(w, fds[1], EPOLLIN, replaces_itself, &fds[1]), 0);
	assert_int_equal(virtio_worker_run(w), 0);
	wait_done();
	assert_int_equal(calls[0], 1);
	for (unsigned i = 0; i < 4; i++) {
		eventfd_write(fds[i % 2], 1);
		wait_done();
	}
	end_worker();
	assert_int_equal(calls[0], 3);
	assert_int_equal(calls[1], 2);
}

static void a_worker_has_the_devices_name_and_no_signals(void **state)
{
	(void)state;
	eventfd_write(fds[0], 1);
	assert_int_equal(virtio_worker_watch(w, fds[0], EPOLLIN, notes_where_it_runs, &fds[0]), 0);
	assert_int_equal(virtio_worker_run(w), 0);
	wait_done();
	assert_string_equal(thread_name, "virtio-probe-of");
	assert_true(sigismember(&thread_signals, SIGTERM));
	assert_true(sigismember(&thread_signals, SIGUSR1));
	pthread_sigmask(SIG_BLOCK, NULL, &thread_signals);
	assert_false(sigismember(&thread_signals, SIGTERM));
}

static void the_workers_policy_is(int given, int batch)
{
	assert_int_equal(sched_setscheduler(0, given, &(struct sched_param){ 0 }), 0);
	eventfd_write(fds[0], 1);
	assert_int_equal(virtio_worker_watch(w, fds[0], EPOLLIN, notes_its_policy, &fds[0]), 0);
	assert_int_equal(virtio_worker_run(w), 0);
	wait_done();
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	assert_int_equal(policies[0], given);
	assert_int_equal(policies[1], batch);
	assert_int_equal(policies[2], given);
}

static void a_worker_may_wait_for_its_turn(void **state)
{
	(void)state;
	the_workers_policy_is(SCHED_OTHER, SCHED_BATCH);
}

static void the_users_policy_stays(void **state)
{
	(void)state;
	the_workers_policy_is(SCHED_BATCH, SCHED_BATCH);
}

static void a_worker_may_end_before_it_runs(void **state)
{
	(void)state;
	assert_int_equal(virtio_worker_watch(w, fds[0], EPOLLIN, notes_where_it_runs, &fds[0]), 0);
	assert_int_equal(virtio_worker_watch(w, fds[0], 0, NULL, NULL), 0);
	assert_int_equal(virtio_worker_watch(w, fds[0], 0, NULL, NULL), 0);
	assert_int_not_equal(virtio_worker_watch(w, -1, EPOLLIN, notes_where_it_runs, NULL), 0);
	end_worker();
	virtio_worker_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name)	  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_WORKER(name) cmocka_unit_test_setup_teardown(name, setup_worker, teardown_worker)
		TEST(features_are_the_types_and_the_rings),
		TEST(features_must_be_offered_ones_and_version_1),
		TEST(features_beyond_64_bits_are_ignored),
		TEST(status_bits_stay_until_a_reset),
		TEST(the_device_starts_once),
		TEST(all_at_once_is_in_order_too),
		TEST(ready_without_features_needs_a_reset),
		TEST(a_failed_start_needs_a_reset),
		TEST(a_broken_device_tells_once_and_waits_for_a_reset),
		TEST(a_device_that_breaks_before_it_is_ready_does_not_interrupt),
		TEST(a_misdeed_is_logged_once),
		TEST(a_reset_forgets_all_that_the_driver_said),
		TEST(a_queue_cannot_change_while_it_is_enabled_or_runs),
		TEST(the_end_of_the_vm_stops_the_device),
		TEST(the_machines_reset_is_one_of_the_device),
		TEST(a_failed_create_leaves_nothing),
		TEST(config_reads_of_each_width_and_at_its_end),
		TEST(config_writes_are_told_if_they_lie_inside),
		TEST(the_generation_changes_with_what_the_guest_sees),
		TEST(a_change_of_config_interrupts_a_driver_that_is_ready),
		TEST(the_line_is_high_while_a_bit_is_set),
		TEST(there_are_no_interrupts_without_us_over_mmio),
		TEST(queues_of_one_worker_share_one_binding),
		TEST(queues_of_several_workers_have_a_binding_each),
		TEST(without_ioeventfds_kicks_come_by_the_register),
		TEST(a_kick_descriptor_is_a_queues_own),
		TEST(a_kick_calls_all_queues_of_the_worker),
		TEST(a_reset_ends_a_worker_that_never_runs_out_of_work),
		TEST_WORKER(a_watch_taken_away_is_not_called_any_more),
		TEST_WORKER(a_watch_may_change),
		TEST_WORKER(a_worker_has_the_devices_name_and_no_signals),
		TEST_WORKER(a_worker_may_wait_for_its_turn),
		TEST_WORKER(the_users_policy_stays),
		TEST_WORKER(a_worker_may_end_before_it_runs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
