/* virtio.h: virtio devices: what a device type gives, and what the core does for it.
 *
 * "VIRTIO" is OASIS's "Virtual I/O Device (VIRTIO) Version 1.2". Only its modern interface is here
 * (VIRTIO_F_VERSION_1), with split queues, indirect descriptors and event indices.
 *
 * A device type is one file in src/virtio: a `struct virtio_type`, and a device row whose functions
 * but create are the core's (VIRTIO_ROW). It never knows its transport. What it does with requests
 * it does on workers, threads of its own, never on a vCPU's.
 *
 * Life of a device: create, then any number of times start (the driver set DRIVER_OK) and stop (the
 * driver reset the device, or the VM ends), at last destroy. Between start and stop its queues
 * belong to its workers: nobody else touches them. Locks: registers and start and stop are under
 * dev->lock; workers never take that, since stop waits for them. What a worker shares with register
 * accesses, such as config, is the device's to guard.
 *
 * Guest memory is hostile: chains are checked as they are taken, and what is in them may change at
 * any time: read a value once, check the copy, use the copy.
 */
#ifndef VIBEVMM_VIRTIO_H
#define VIBEVMM_VIRTIO_H

#include <sys/uio.h>

#include <vibevmm/device.h>

struct virtio;
struct virtio_queue;
struct virtio_worker;

/* ---- Device types ------------------------------------------------------------------------ */

struct virtio_type {
	uint16_t id;	    /* VIRTIO 5, "Device Types" */
	uint32_t pci_class; /* PCI Code and ID Assignment Specification: 0x018000 */

	/* Opens host things and fills what is marked "create" below. On failure it undoes its own
	 * work. */
	int (*create)(struct virtio *v, struct err *err);
	void (*destroy)(struct virtio *v);

	/* The driver is ready: v->driver_features and the queues are set; those with
	 * virtio_queue_ready may be used. Starts workers. -errno, after a message: the device needs
	 * a reset. */
	int (*start)(struct virtio *v);

	/* When it returns no worker runs, no request is under way that writes guest memory, and the
	 * queues are not touched any more. Only after start succeeded. */
	void (*stop)(struct virtio *v);

	/* Brings v->config up to date before the guest reads it; and the guest wrote size bytes at
	 * offset, all inside, which are in v->config already. Each may be NULL: config doesn't
	 * change by itself; a write changes nothing. */
	void (*config_read)(struct virtio *v);
	void (*config_write)(struct virtio *v, unsigned offset, unsigned size);
};

struct virtio {
	struct device *dev; /* its options, label, host */
	const struct virtio_type *type;
	struct memory *memory;

	/* create: */
	void *state;
	uint64_t features; /* offered, VIRTIO 6; the core adds the ring's and VERSION_1 */
	unsigned n_queues;
	uint16_t queue_size; /* the most that the driver may choose, a power of two; 0: 256 */
	uint8_t *config;     /* little-endian, VIRTIO 2.5; the device's, lives until destroy */
	unsigned config_len;

	/* The core: */
	uint64_t driver_features; /* negotiated, from start on */
	struct virtio_queue *queues;
	struct virtio_core *core; /* private */
};

static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
	return v->driver_features >> feature & 1;
}

/* Little-endian values, for config and requests: bytes.h. */

/* Config changed: tells the driver (VIRTIO 2.5, 4.1.5.4). Any thread. */
void virtio_config_changed(struct virtio *v);

/* The driver or the device broke its word: DEVICE_NEEDS_RESET (VIRTIO 2.1.2), said once in a log
 * message that begins with the device's label, and the queues give nothing any more. Any thread. */
void virtio_broken(struct virtio *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- Queues: VIRTIO 2.7 ------------------------------------------------------------------- */

/* One request: buffers for the device to read, then those for it to write. iov and cap are the
 * caller's and set before; host pointers are valid while the VM lives. */
struct virtio_chain {
	struct iovec *iov;
	unsigned cap;	      /* entries of iov */
	unsigned n_out, n_in; /* iov[0..n_out-1] to read, iov[n_out..n_out+n_in-1] to write */
	size_t out_len, in_len;
	uint16_t head; /* which one, for virtio_queue_give */
};

/* The most entries that a chain of a queue of that size can take: VIRTIO 2.7.5.3.1 limits it to the
 * queue size; buffers across two pieces of guest memory take two. */
#define VIRTIO_CHAIN_MAX(queue_size) ((queue_size) + 8U)

struct virtio_queue *virtio_queue(struct virtio *v, unsigned index);
unsigned virtio_queue_index(const struct virtio_queue *q);
struct virtio *virtio_queue_device(const struct virtio_queue *q);

/* The driver enabled it; and its size, then. */
bool virtio_queue_ready(const struct virtio_queue *q);
uint16_t virtio_queue_size(const struct virtio_queue *q);

/* The next request: 1, or 0 if there is none now, or if the ring is broken (virtio_broken was
 * called). While requests are taken the driver need not kick. */
int virtio_queue_take(struct virtio_queue *q, struct virtio_chain *chain);

/* Puts back what was taken last and not given: for a device that can't serve it now. */
void virtio_queue_untake(struct virtio_queue *q);

/* Done: written bytes were written from the beginning of the in-buffers on. Any order. The driver
 * sees it at the next flush. */
void virtio_queue_give(struct virtio_queue *q, uint16_t head, uint32_t written);

/* Shows the driver all that was given, and interrupts it if it wants that. */
void virtio_queue_flush(struct virtio_queue *q);

/* Asks the driver for a kick at its next request. False: one came meanwhile; take again. */
bool virtio_queue_idle(struct virtio_queue *q);

/* How a worker serves a queue:
 *
 *	do {
 *		while (virtio_queue_take(q, &chain)) {
 *			...
 *			virtio_queue_give(q, chain.head, written);
 *		}
 *		virtio_queue_flush(q);
 *	} while (!virtio_queue_idle(q));
 */

/* Copy between a request's buffers and ours: how many bytes there were, at most len. */
size_t virtio_chain_read(const struct virtio_chain *chain, size_t offset, void *buf, size_t len);
size_t virtio_chain_write(const struct virtio_chain *chain, size_t offset, const void *buf,
			  size_t len);

/* The descriptors that signal a queue's kicks and by which others raise its interrupt: for those
 * who serve it outside of here (vhost, vhost-user). The core's, from start to stop. call gives -1
 * after a message if there is no irqfd for it: then the device watches a descriptor of its own and
 * calls virtio_queue_interrupt. The guest-physical places of the ring are what they need, too. */
int virtio_queue_kick_fd(struct virtio_queue *q);
int virtio_queue_call_fd(struct virtio_queue *q);
void virtio_queue_interrupt(struct virtio_queue *q);
struct virtio_ring {
	uint64_t descriptors, driver, device; /* VIRTIO 2.7: descriptor table, avail, used */
};
struct virtio_ring virtio_queue_ring(const struct virtio_queue *q);

/* ---- Workers ------------------------------------------------------------------------------ */

/* A thread that serves queues and descriptors of one device. Made in start, freed in stop. Its
 * functions run on it, one at a time. new and the adding ones: 0 or -errno; before run, or on the
 * worker itself. */
struct virtio_worker *virtio_worker_new(struct virtio *v);

/* fn(q) at each kick, and once at the beginning; never, if the driver didn't enable the queue.
 * Never if the driver did not enable it. */
typedef void (*virtio_queue_fn)(struct virtio_queue *q);
int virtio_worker_queue(struct virtio_worker *w, struct virtio_queue *q, virtio_queue_fn fn);

/* fn(arg) when fd has events (EVENT_IN and so on, event.h); 0: takes it away. A
 * second call changes events and fn. */
typedef void (*virtio_fd_fn)(void *arg, uint32_t events);
int virtio_worker_watch(struct virtio_worker *w, int fd, uint32_t events, virtio_fd_fn fn,
			void *arg);

/* On: the worker no longer takes the CPU away from a thread that runs when there is something to do
 * for it: where CPUs are scarce, more work is done at once, and later. Off at first. On the worker
 * itself. */
void virtio_worker_batch(struct virtio_worker *w, bool on);

int virtio_worker_run(struct virtio_worker *w);

/* Ends the thread and waits for it. NULL is fine. Not on the worker. */
void virtio_worker_free(struct virtio_worker *w);

/* ---- Rows --------------------------------------------------------------------------------- */

enum virtio_transport_kind { VIRTIO_PCI, VIRTIO_MMIO };

/* The first members of each device's options, and their rows. */
#define VIRTIO_MEMBERS                                                                             \
	char *id;                                                                                  \
	uint32_t transport; /* enum virtio_transport_kind */                                       \
	uint32_t slot;                                                                             \
	uint64_t at;                                                                               \
	uint32_t irq

extern const char *const virtio_transport_words[];

#define VIRTIO_OPTIONS(st)                                                                         \
	DEVICE_ID(st),                                                                             \
		OPTION(st, transport, OPTION_ENUM, .words = virtio_transport_words, .def = "pci",  \
		       .doc = "How the guest finds the device: on the PCI bus, or as registers "   \
			      "in memory"),                                                        \
		OPTION(st, slot, OPTION_UINT, .min = 1, .max = 31, .planned = true,                \
		       .doc = "PCI device number on bus 0, with `transport: pci`"),                \
		OPTION(st, at, OPTION_ADDR, .planned = true,                                       \
		       .doc = "Address of the registers, with `transport: mmio`"),                 \
		OPTION(st, irq, OPTION_IRQ, .planned = true,                                       \
		       .doc = "Interrupt line, with `transport: mmio`")

/* Makes a device of that type: what its row's create does. */
int virtio_create(struct device *dev, const struct virtio_type *type, struct err *err);

/* What its destroy, reset, read and write are, and its check, which its own may call. */
void virtio_destroy(struct device *dev);
void virtio_reset(struct device *dev);
uint64_t virtio_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size);
void virtio_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		  uint64_t value);
void virtio_check(const void *options, const struct node *node, struct diags *diags);

extern const struct claim virtio_claims[];

/* What is in there, for a device with claims of its own behind these. */
#define VIRTIO_CLAIMS                                                                              \
	{ .name = "registers",                                                                     \
	  .space = SPACE_MEM,                                                                      \
	  .size = 0x1000,                                                                          \
	  .fix = "at",                                                                             \
	  .when = "transport",                                                                     \
	  .is = VIRTIO_MMIO },                                                                     \
		{ .name = "interrupt",                                                             \
		  .space = SPACE_IRQ,                                                              \
		  .size = 1,                                                                       \
		  .fix = "irq",                                                                    \
		  .when = "transport",                                                             \
		  .is = VIRTIO_MMIO,                                                               \
		  .level = true },                                                                 \
		{ .name = "function",                                                              \
		  .space = SPACE_PCI,                                                              \
		  .size = 1,                                                                       \
		  .fix = "slot",                                                                   \
		  .when = "transport",                                                             \
		  .is = VIRTIO_PCI },                                                              \
		{ .name = "registers",                                                             \
		  .space = SPACE_BAR,                                                              \
		  .size = 0x4000,                                                                  \
		  .when = "transport",                                                             \
		  .is = VIRTIO_PCI },                                                              \
	{                                                                                          \
		.name = "doorbell", .space = SPACE_PORTS_BAR, .arches = ARCH_X86_64, .size = 4,    \
		.when = "transport", .is = VIRTIO_PCI                                              \
	}

extern const struct device_description virtio_description;

/* VIRTIO_ROW_OWN: for a device with claims and a check of its own; VIRTIO_ROW_CHECK: with a check.
 */
#define VIRTIO_ROW_OWN(own_claims, own_check)                                                      \
	.arches = ARCH_ANY, .claims = (own_claims), .needs = HV_CAP_IRQ_LINE,                      \
	.wants = HV_CAP_MSI | HV_CAP_IRQFD | HV_CAP_IOEVENTFD, .describe = &virtio_description,    \
	.check = (own_check), .destroy = virtio_destroy, .reset = virtio_reset,                    \
	.read = virtio_read, .write = virtio_write
#define VIRTIO_ROW_CHECK(own_check) VIRTIO_ROW_OWN(virtio_claims, own_check)
#define VIRTIO_ROW		    VIRTIO_ROW_CHECK(virtio_check)

#endif
