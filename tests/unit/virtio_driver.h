/* unit/virtio_driver.h: a driver's side of a virtio device, for tests without a machine.
 *
 *	struct driver d;
 *	driver_plug(&d, &device_virtio_x, &options);	// of the row; creates it, over MMIO
 *	driver_start(&d, features);			// all queues, as large as they can be
 *	head = driver_add(&d, 0, (struct driver_buffer[]){ { gpa, len }, ... }, n_out, n_in);
 *	driver_kick(&d, 0);
 *	written = driver_wait(&d, 0, &head);		// by interrupt; fails the test after 10 s
 *	driver_unplug(&d);
 *
 * The device works as in a VM: on its workers. driver_alloc gives the guest memory for buffers,
 * driver_ptr the test's pointer to it.
 */
#ifndef UNIT_VIRTIO_DRIVER_H
#define UNIT_VIRTIO_DRIVER_H

#include "fake_host.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include <vibevmm/virtio.h>

#define DRIVER_RAM	  0x100000U /* where guest memory begins, and how much there is */
#define DRIVER_RAM_SIZE	  0x1000000U
#define DRIVER_REGISTERS  0x10000000U
#define DRIVER_QUEUES	  16
#define DRIVER_QUEUE_SIZE 1024

#define DRIVER_VERSION_1     (1ULL << 32)
#define DRIVER_EVENT_IDX     (1ULL << 29)
#define DRIVER_INDIRECT_DESC (1ULL << 28)

/* VIRTIO 4.2.2 */
enum {
	MMIO_DEVICE_FEATURES = 0x010,
	MMIO_DEVICE_FEATURES_SEL = 0x014,
	MMIO_DRIVER_FEATURES = 0x020,
	MMIO_DRIVER_FEATURES_SEL = 0x024,
	MMIO_QUEUE_SEL = 0x030,
	MMIO_QUEUE_NUM_MAX = 0x034,
	MMIO_QUEUE_NUM = 0x038,
	MMIO_QUEUE_READY = 0x044,
	MMIO_QUEUE_NOTIFY = 0x050,
	MMIO_INTERRUPT_STATUS = 0x060,
	MMIO_INTERRUPT_ACK = 0x064,
	MMIO_STATUS = 0x070,
	MMIO_QUEUE_DESC = 0x080,
	MMIO_QUEUE_DRIVER = 0x090,
	MMIO_QUEUE_DEVICE = 0x0a0,
	MMIO_GENERATION = 0x0fc,
	MMIO_CONFIG = 0x100,
};

struct driver_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
enum { DRIVER_NEXT = 1, DRIVER_WRITE = 2, DRIVER_INDIRECT = 4 };

struct driver_buffer {
	uint64_t gpa;
	uint32_t len;
};

struct driver_queue {
	uint16_t size;
	uint64_t gpa[3];	  /* descriptors, avail, used */
	struct driver_desc *desc; /* the ring in guest memory: tests may break it */
	uint16_t *avail;	  /* flags, idx, ring[size], used_event */
	uint16_t *used;		  /* flags, idx, ring[size] of two 32-bit words, avail_event */
	uint16_t last_used;
	bool busy[DRIVER_QUEUE_SIZE]; /* descriptors in use */
};

struct driver {
	struct fake_host host;
	struct device dev;
	struct plan_device plan;
	struct config_choice choice;
	struct memory *memory;
	uint64_t next; /* for driver_alloc */
	uint64_t features;
	unsigned n_queues;
	struct driver_queue queues[DRIVER_QUEUES];
	int irq;	       /* an eventfd: the line rose */
	_Atomic unsigned irqs; /* how often */
	_Atomic bool level;
};

/* ---- The machine -------------------------------------------------------------------------- */

static inline void driver_irq_set(struct device_host *host, struct device *dev, unsigned claim,
				  bool level)
{
	struct driver *d = (struct driver *)host; /* the host is its first member's first */

	(void)dev;
	assert_int_equal(claim, 1);
	if (level && !atomic_exchange(&d->level, true)) {
		d->irqs++;
		eventfd_write(d->irq, 1);
	}
	if (!level)
		d->level = false;
}

static inline void *driver_ptr(struct driver *d, uint64_t gpa)
{
	void *p = memory_ptr(d->memory, gpa, 1, false);

	assert_non_null(p);
	return p;
}

/* Guest memory, zeroed, aligned to 4 KiB from that size on, else to 16 bytes. */
static inline uint64_t driver_alloc(struct driver *d, uint64_t size)
{
	uint64_t align = size >= 4096 ? 4096 : 16, gpa = (d->next + align - 1) & ~(align - 1);

	d->next = gpa + size;
	assert_true(d->next <= DRIVER_RAM + DRIVER_RAM_SIZE);
	return gpa;
}

static inline uint64_t driver_read(struct driver *d, uint64_t offset, unsigned size)
{
	uint64_t value;

	device_lock(&d->dev);
	value = d->dev.row->read(&d->dev, 0, offset, size);
	device_unlock(&d->dev);
	return value;
}

static inline void driver_write(struct driver *d, uint64_t offset, unsigned size, uint64_t value)
{
	device_lock(&d->dev);
	d->dev.row->write(&d->dev, 0, offset, size, value);
	device_unlock(&d->dev);
}

static inline uint32_t driver_in(struct driver *d, uint64_t offset)
{
	return (uint32_t)driver_read(d, offset, 4);
}

static inline void driver_out(struct driver *d, uint64_t offset, uint32_t value)
{
	driver_write(d, offset, 4, value);
}

/* ---- Plugging ----------------------------------------------------------------------------- */

/* Memory and a host without a device yet: tests may change the host before driver_create. */
static inline void driver_init(struct driver *d)
{
	struct err err;

	*d = (struct driver){ .next = DRIVER_RAM };
	fake_host_init(&d->host);
	d->memory = memory_new();
	assert_non_null(d->memory);
	assert_int_equal(memory_add(d->memory, DRIVER_RAM, DRIVER_RAM_SIZE, 0, &err), 0);
	d->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(d->irq >= 0);
	d->host.host.irq_set = driver_irq_set;
	d->host.host.memory = d->memory;
}

static inline int driver_try_create(struct driver *d, const struct device_row *row,
				    const void *options, struct err *err)
{
	static const struct claim registers = { .name = "registers", .space = SPACE_MEM };
	static const struct claim interrupt = { .name = "interrupt", .space = SPACE_IRQ };

	d->choice = (struct config_choice){ .type = &row->type, .options = options };
	d->plan = (struct plan_device){
		.row = row,
		.choice = &d->choice,
		.claims = { { &registers, 0, DRIVER_REGISTERS, 0x1000, true },
			    { &interrupt, 1, 5, 1, true } },
		.n_claims = 2,
	};
	snprintf(d->plan.label, sizeof(d->plan.label), "%s", row->type.name);
	return device_create(&d->dev, &d->plan, &d->host.host, err);
}

static inline void driver_create(struct driver *d, const struct device_row *row,
				 const void *options)
{
	struct err err;

	assert_int_equal(driver_try_create(d, row, options, &err), 0);
}

static inline void driver_plug(struct driver *d, const struct device_row *row, const void *options)
{
	driver_init(d);
	driver_create(d, row, options);
}

/* The machine without its device, if that was never made. */
static inline void driver_free(struct driver *d)
{
	fake_host_free(&d->host);
	memory_free(d->memory);
	close(d->irq);
}

static inline void driver_unplug(struct driver *d)
{
	loop_stop(d->host.host.loop);
	device_destroy(&d->dev);
	driver_free(d);
}

/* The row of a device type that a test makes up; and functions of a type that has nothing to do. */
#define DRIVER_ROW(row, virtio_type, text)                                                         \
	static int row##_create(struct device *dev, struct err *err)                               \
	{                                                                                          \
		return virtio_create(dev, &(virtio_type), err);                                    \
	}                                                                                          \
	static const struct device_row row = { .type = { .name = (text) },                         \
					       VIRTIO_ROW,                                         \
					       .create = row##_create }

static inline void driver_nothing(struct virtio *v)
{
	(void)v;
}

static inline int driver_starts(struct virtio *v)
{
	(void)v;
	return 0;
}

/* ---- VIRTIO 3.1.1 ------------------------------------------------------------------------- */

static inline uint64_t driver_offered(struct driver *d)
{
	uint64_t features;

	driver_out(d, MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)driver_in(d, MMIO_DEVICE_FEATURES) << 32;
	driver_out(d, MMIO_DEVICE_FEATURES_SEL, 0);
	return features | driver_in(d, MMIO_DEVICE_FEATURES);
}

/* Resets, and agrees on exactly these features, and VERSION_1. */
static inline void driver_negotiate(struct driver *d, uint64_t features)
{
	d->features = features | DRIVER_VERSION_1;
	driver_out(d, MMIO_STATUS, 0);
	assert_int_equal(driver_in(d, MMIO_STATUS), 0);
	driver_out(d, MMIO_STATUS, 1);
	driver_out(d, MMIO_STATUS, 1 | 2);
	driver_out(d, MMIO_DRIVER_FEATURES_SEL, 1);
	driver_out(d, MMIO_DRIVER_FEATURES, (uint32_t)(d->features >> 32));
	driver_out(d, MMIO_DRIVER_FEATURES_SEL, 0);
	driver_out(d, MMIO_DRIVER_FEATURES, (uint32_t)d->features);
	driver_out(d, MMIO_STATUS, 1 | 2 | 8);
	assert_int_equal(driver_in(d, MMIO_STATUS), 1 | 2 | 8);
}

/* How large that queue may be; 0: there is none. */
static inline uint16_t driver_queue_max(struct driver *d, unsigned index)
{
	driver_out(d, MMIO_QUEUE_SEL, index);
	return (uint16_t)driver_in(d, MMIO_QUEUE_NUM_MAX);
}

/* Tells the device where the queue's ring is, as it stands in d->queues. */
static inline void driver_enable(struct driver *d, unsigned index)
{
	struct driver_queue *q = &d->queues[index];

	driver_out(d, MMIO_QUEUE_SEL, index);
	driver_out(d, MMIO_QUEUE_NUM, q->size);
	for (unsigned i = 0; i < 3; i++) {
		driver_out(d, MMIO_QUEUE_DESC + 0x10 * i, (uint32_t)q->gpa[i]);
		driver_out(d, MMIO_QUEUE_DESC + 0x10 * i + 4, (uint32_t)(q->gpa[i] >> 32));
	}
	driver_out(d, MMIO_QUEUE_READY, 1);
}

/* Makes a queue's ring, empty. */
static inline void driver_ring(struct driver *d, unsigned index, uint16_t size)
{
	struct driver_queue *q = &d->queues[index];

	assert_true(index < DRIVER_QUEUES && size <= DRIVER_QUEUE_SIZE);
	*q = (struct driver_queue){ .size = size };
	q->gpa[0] = driver_alloc(d, 16ULL * size);
	q->gpa[1] = driver_alloc(d, 6 + 2ULL * size);
	q->gpa[2] = driver_alloc(d, 6 + 8ULL * size);
	q->desc = driver_ptr(d, q->gpa[0]);
	q->avail = driver_ptr(d, q->gpa[1]);
	q->used = driver_ptr(d, q->gpa[2]);
	memset(q->desc, 0, 16U * size);
	memset(q->avail, 0, 6 + 2U * size);
	memset(q->used, 0, 6 + 8U * size);
	if (index >= d->n_queues)
		d->n_queues = index + 1;
}

static inline void driver_ok(struct driver *d)
{
	driver_out(d, MMIO_STATUS, 1 | 2 | 8 | 4);
}

/* All of it, with all queues at their largest (but DRIVER_QUEUE_SIZE). */
static inline void driver_start(struct driver *d, uint64_t features)
{
	uint16_t size;

	driver_negotiate(d, features);
	for (unsigned i = 0; i < DRIVER_QUEUES && (size = driver_queue_max(d, i)); i++) {
		driver_ring(d, i, size < DRIVER_QUEUE_SIZE ? size : DRIVER_QUEUE_SIZE);
		driver_enable(d, i);
	}
	driver_ok(d);
	assert_int_equal(driver_in(d, MMIO_STATUS), 1 | 2 | 8 | 4);
}

static inline void driver_reset(struct driver *d)
{
	driver_out(d, MMIO_STATUS, 0);
	assert_int_equal(driver_in(d, MMIO_STATUS), 0);
}

/* DEVICE_NEEDS_RESET */
static inline bool driver_broken(struct driver *d)
{
	return driver_in(d, MMIO_STATUS) & 0x40;
}

/* ---- Requests ----------------------------------------------------------------------------- */

static inline uint16_t driver_take_desc(struct driver_queue *q)
{
	for (uint16_t i = 0; i < q->size; i++) {
		if (!q->busy[i]) {
			q->busy[i] = true;
			return i;
		}
	}
	fail_msg("no descriptor is free");
	return 0;
}

/* Makes a chain of descriptors, first those to read, then those to write; its head. */
static inline uint16_t driver_chain(struct driver *d, unsigned index,
				    const struct driver_buffer *buffers, unsigned n_out,
				    unsigned n_in)
{
	struct driver_queue *q = &d->queues[index];
	uint16_t head = driver_take_desc(q), at = head;

	for (unsigned i = 0; i < n_out + n_in; i++) {
		struct driver_desc *desc = &q->desc[at];

		*desc = (struct driver_desc){ buffers[i].gpa, buffers[i].len,
					      i < n_out ? 0 : DRIVER_WRITE, 0 };
		if (i + 1 < n_out + n_in) {
			at = driver_take_desc(q);
			desc->next = at;
			desc->flags |= DRIVER_NEXT;
		}
	}
	return head;
}

/* Makes a chain available that begins at head; any number. */
static inline void driver_offer(struct driver *d, unsigned index, uint16_t head)
{
	struct driver_queue *q = &d->queues[index];
	uint16_t idx = q->avail[1];

	q->avail[2 + idx % q->size] = head;
	__atomic_store_n(&q->avail[1], (uint16_t)(idx + 1), __ATOMIC_RELEASE);
}

static inline uint16_t driver_add(struct driver *d, unsigned index,
				  const struct driver_buffer *buffers, unsigned n_out,
				  unsigned n_in)
{
	uint16_t head = driver_chain(d, index, buffers, n_out, n_in);

	driver_offer(d, index, head);
	return head;
}

static inline void driver_kick(struct driver *d, unsigned index)
{
	driver_out(d, MMIO_QUEUE_NOTIFY, index);
}

/* The next used one, if there is: its head, and how much was written. Frees its descriptors. */
static inline bool driver_used(struct driver *d, unsigned index, uint16_t *head, uint32_t *written)
{
	struct driver_queue *q = &d->queues[index];
	uint32_t elem[2];

	if (__atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE) == q->last_used)
		return false;
	memcpy(elem, (uint8_t *)q->used + 4 + 8 * (q->last_used % q->size), sizeof(elem));
	q->last_used++;
	assert_true(elem[0] < q->size);
	for (uint16_t i = (uint16_t)elem[0];; i = q->desc[i].next) {
		assert_true(q->busy[i]);
		q->busy[i] = false;
		if (!(q->desc[i].flags & DRIVER_NEXT))
			break;
	}
	*head = (uint16_t)elem[0];
	*written = elem[1];
	return true;
}

/* Waits for the line to rise, and acknowledges what it stands for: VIRTIO 4.2.2, InterruptACK. */
static inline uint32_t driver_wait_irq(struct driver *d)
{
	struct pollfd poll_irq = { d->irq, POLLIN, 0 };
	eventfd_t value;
	uint32_t isr;
	int ready;

	do /* libFuzzer's alarm interrupts */
		ready = poll(&poll_irq, 1, 10000);
	while (ready < 0 && errno == EINTR);
	if (ready != 1)
		fail_msg("no interrupt in 10 s");
	eventfd_read(d->irq, &value);
	isr = driver_in(d, MMIO_INTERRUPT_STATUS);
	driver_out(d, MMIO_INTERRUPT_ACK, isr);
	return isr;
}

/* Waits for the next used one: how much was written; its head too, if asked for. */
static inline uint32_t driver_wait(struct driver *d, unsigned index, uint16_t *head)
{
	struct driver_queue *q = &d->queues[index];
	uint16_t which;
	uint32_t written;

	while (!driver_used(d, index, &which, &written)) {
		__atomic_store_n(&q->avail[2 + q->size], q->last_used,
				 __ATOMIC_RELAXED); /* used_event */
		atomic_thread_fence(memory_order_seq_cst);
		if (__atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE) == q->last_used)
			driver_wait_irq(d);
	}
	if (head)
		*head = which;
	return written;
}

/* One request from beginning to end. */
static inline uint32_t driver_request(struct driver *d, unsigned index,
				      const struct driver_buffer *buffers, unsigned n_out,
				      unsigned n_in)
{
	uint16_t head = driver_add(d, index, buffers, n_out, n_in), used;
	uint32_t written;

	driver_kick(d, index);
	written = driver_wait(d, index, &used);
	assert_int_equal(used, head);
	return written;
}

#endif
