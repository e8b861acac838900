/* core.h: between the core of virtio and its two transports, mmio.c and pci.c.
 *
 * A transport is registers: it reads and writes the driver's choices by the functions here, and
 * carries interrupts and kicks. Everything else is the core's. All is under dev->lock but what says
 * otherwise.
 */
#ifndef VIRTIO_CORE_H
#define VIRTIO_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include <vibevmm/virtio.h>

/* VIRTIO 6 */
#define VIRTIO_FEATURE_INDIRECT_DESC 28
#define VIRTIO_FEATURE_EVENT_IDX     29
#define VIRTIO_FEATURE_VERSION_1     32

/* VIRTIO 2.1 */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER	  0x02
#define VIRTIO_STATUS_DRIVER_OK	  0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED	  0x80

/* VIRTIO 4.1.4.5, ISR status, and 4.2.2, InterruptStatus */
#define VIRTIO_ISR_QUEUE  0x01
#define VIRTIO_ISR_CONFIG 0x02

/* The indices in virtio_claims. A device has the first two or the others. */
enum {
	VIRTIO_CLAIM_MMIO,
	VIRTIO_CLAIM_IRQ,
	VIRTIO_CLAIM_PCI,
	VIRTIO_CLAIM_BAR,
	VIRTIO_CLAIM_PORTS, /* on x86_64 */
};

struct virtio_transport {
	/* At the end of create, when the type has filled *v; and before destroy. attach sets
	 * core->transport_state. */
	int (*attach)(struct virtio *v, struct err *err);
	void (*detach)(struct virtio *v);

	/* The transport's own registers that a reset by the driver clears, too (q->vector). NULL:
	 * none. */
	void (*reset)(struct virtio *v);

	/* The row's reset: after that all its registers are as after power-on. */
	void (*power_on)(struct virtio *v);

	/* The device used buffers of q, or, q NULL, its config changed. Any thread, without
	 * dev->lock. */
	void (*interrupt)(struct virtio *v, const struct virtio_queue *q);

	/* The line that virtio_isr_* stands for. Any thread; under a lock of the core's. */
	void (*line)(struct virtio *v, bool level);

	/* Binds the kick descriptors to where the driver notifies, by virtio_core_bind; and off. */
	void (*kicks)(struct virtio *v, bool on);

	/* Lets fd raise the queue's interrupt, and no longer. 0 or -errno; NULL: can't. */
	int (*call)(struct virtio_queue *q, int fd, bool on);
};

extern const struct virtio_transport virtio_mmio, virtio_pci;

/* Where a driver may notify: SPACE_MEM and SPACE_PIO. */
#define VIRTIO_BELLS (SPACE_PIO + 1)

struct virtio_core {
	const struct virtio_transport *transport;
	void *transport_state;

	_Atomic uint8_t status; /* bits are set on any thread */
	_Atomic bool quiet;	/* queues give nothing: the device is broken, or stops */
	_Atomic bool told;	/* a misdeed was logged already */
	bool running;		/* from start to stop */
	uint64_t offered;	/* features, with the core's own */
	uint64_t accepted;	/* by the driver, so far */
	uint8_t *shown;		/* config as the guest saw it last ... */
	uint32_t generation;	/* ... and how often that changed */

	/* ISR bits and the line that they raise change together: on workers and on vCPUs. */
	pthread_mutex_t isr_lock;
	uint8_t isr;

	int any_fd[VIRTIO_BELLS]; /* bound to all kicks by virtio_core_bind, or -1 */
};

struct virtio_queue {
	_Alignas(64) struct virtio *v; /* queues of several workers share no cache line */
	uint16_t index;

	/* The driver's, before start */
	uint16_t size, max;
	bool enabled;
	struct virtio_ring ring;
	_Atomic uint16_t vector; /* pci.c's; read on workers */

	/* queue.c's, from start to stop; on one thread at a time */
	struct virtio_desc *desc;
	struct virtio_avail *avail;
	struct virtio_used *used;
	const struct memory_slot *slots, *slot; /* slot: where the last address was */
	size_t n_slots;
	uint16_t next_avail; /* the next to be taken ... */
	uint16_t seen_avail; /* ... of those known to be there */
	uint16_t next_used, shown_used;
	uint16_t last_head;
	bool event_idx, indirect, silenced;
	uint64_t *taken; /* a bit for each head that is out */

	/* from start to stop; -1: none */
	int kick, call;
	bool own_kick;		  /* made for this queue alone; others belong to a worker */
	bool bound[VIRTIO_BELLS]; /* by virtio_core_bind, kick by itself */
};

/* ---- Registers ---------------------------------------------------------------------------- */

/* Bits 32 * select to 32 * select + 31 of the features offered, and accepted. */
uint32_t virtio_core_offered(const struct virtio *v, uint32_t select);
uint32_t virtio_core_accepted(const struct virtio *v, uint32_t select);
void virtio_core_accept(struct virtio *v, uint32_t select, uint32_t bits);

/* A write of 0 resets, before it returns; one that makes the driver ready starts the device. */
uint8_t virtio_core_status(const struct virtio *v);
void virtio_core_set_status(struct virtio *v, uint32_t value);

/* NULL: there is no such queue. */
struct virtio_queue *virtio_core_queue(struct virtio *v, uint32_t index);

/* What the driver says of a queue: ignored once it is enabled, or runs. q may be NULL. set_address
 * replaces one half of an address, bits 32..63 if high. */
void virtio_core_set_size(struct virtio_queue *q, uint32_t size);
void virtio_core_set_address(struct virtio_queue *q, uint64_t *address, bool high, uint32_t value);
void virtio_core_enable(struct virtio_queue *q, bool on);

/* The driver notified that queue by a register, rather than by what virtio_core_bind bound. */
void virtio_core_kick(struct virtio *v, uint32_t index);

/* 1, 2, 4 or 8 bytes of the device's config; what is outside reads as 0 and isn't written. */
uint64_t virtio_core_config_read(struct virtio *v, uint64_t offset, unsigned size);
void virtio_core_config_write(struct virtio *v, uint64_t offset, unsigned size, uint64_t value);

/* Two reads of config between which this is the same are of the same config. */
uint32_t virtio_core_generation(struct virtio *v);

/* ---- Kicks -------------------------------------------------------------------------------- */

/* While the device runs: binds the kicks to guest writes of len bytes at that address or port whose
 * value is the queue's index, or unbinds all of them. One binding for all where the queues share a
 * descriptor; one place in each space. */
void virtio_core_bind(struct virtio *v, enum plan_space space, uint64_t addr, unsigned len,
		      bool on);

/* ---- ISR: for transports that have one. Any thread. --------------------------------------- */

void virtio_isr_raise(struct virtio *v, uint8_t bits);
uint8_t virtio_isr_read(struct virtio *v);

/* The line falls when no bit is left. */
void virtio_isr_clear(struct virtio *v, uint8_t bits);

/* What was set, all cleared at once. */
uint8_t virtio_isr_take(struct virtio *v);

/* ---- queue.c for virtio.c ------------------------------------------------------------------ */

/* Looks at what the driver said of the queue, and finds its ring. False after virtio_broken. */
bool virtio_queue_start(struct virtio_queue *q);

/* Closes its descriptors. */
void virtio_queue_stop(struct virtio_queue *q);

#endif
