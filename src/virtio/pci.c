/* pci.c: virtio over PCI, VIRTIO 4.1: registers in a BAR that capabilities point to. */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>
#include <vibevmm/pci.h>

#include "core.h"

/* 4.1.2. The subsystem is the one that QEMU's devices have, by which Windows finds its drivers. */
#define VENDOR_VIRTIO  0x1af4
#define DEVICE_BASE    0x1040
#define SUBSYSTEM_QEMU 0x1100

/* The BAR of VIRTIO_CLAIM_BAR's size: what is where. */
#define BAR 0
enum {
	BAR_COMMON = 0x0000,
	BAR_ISR = 0x0800,
	BAR_CONFIG = 0x1000,
	BAR_NOTIFY = 0x2000,
	BAR_TABLE = 0x3000,
	BAR_PENDING = 0x3f00,
};

/* The BAR of VIRTIO_CLAIM_PORTS, if there is one: another place to notify at. On x86_64 an exit by
 * a port is cheaper than one by memory, whose instruction the hypervisor has to decode. */
#define BAR_BELL 2

#define COMMON_LEN  0x40
#define ISR_LEN	    1
#define CONFIG_MAX  (BAR_NOTIFY - BAR_CONFIG)
#define NOTIFY_LEN  4
#define VECTORS_MAX ((BAR_PENDING - BAR_TABLE) / 16)
#define NO_VECTOR   0xffff /* 4.1.4.3, VIRTIO_MSI_NO_VECTOR */

/* struct virtio_pci_common_cfg, 4.1.4.3 */
enum {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_MSIX_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_MSIX_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
};

/* struct virtio_pci_cap, 4.1.4, is a vendor's capability; cfg_type's values. */
#define CAP_VENDOR 0x09
enum { CAP_LEN = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_MORE = 16 };
enum { TYPE_COMMON = 1, TYPE_NOTIFY = 2, TYPE_ISR = 3, TYPE_DEVICE = 4, TYPE_PCI = 5 };

struct virtio_pci_state {
	struct pci_function f; /* first */
	struct virtio *v;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	_Atomic uint16_t config_vector; /* read on any thread */
	uint8_t window;			/* the capability that shows the BAR, 4.1.4.9 */
	bool kicking;			/* the core wants kicks bound */
	uint64_t bells[VIRTIO_BELLS];	/* the address and port where they are; 0: not there */
};

static struct virtio_pci_state *state_of(struct pci_function *f)
{
	return (struct virtio_pci_state *)f;
}

/* ---- Interrupts -------------------------------------------------------------------------- */

/* 4.1.4.5.1: the configuration bit is set in any case, the queue's without MSI-X alone. */
static void interrupt(struct virtio *v, const struct virtio_queue *q)
{
	struct virtio_pci_state *p = v->core->transport_state;

	if (!q)
		virtio_isr_raise(v, VIRTIO_ISR_CONFIG);
	if (!pci_msix_send(&p->f, q ? q->vector : p->config_vector) && q)
		virtio_isr_raise(v, VIRTIO_ISR_QUEUE);
}

static void line(struct virtio *v, bool level)
{
	struct virtio_pci_state *p = v->core->transport_state;

	pci_intx_set(&p->f, level);
}

static int call(struct virtio_queue *q, int fd, bool on)
{
	struct virtio_pci_state *p = q->v->core->transport_state;

	if (on && !pci_msix_enabled(&p->f))
		return -ENOTSUP;
	return pci_msix_bind(&p->f, q->vector, fd, on);
}

/* The messages of descriptors that are bound follow. What comes while none is waits in them. */
static void msix_changed(struct pci_function *f, unsigned vector)
{
	struct virtio *v = state_of(f)->v;

	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtio_queue *q = virtio_core_queue(v, i);

		if (q->call >= 0 && q->vector == vector)
			pci_msix_bind(f, q->vector, q->call, true);
	}
}

/* 4.1.5.1.2.1: a vector that doesn't exist shows that mapping it failed. */
static uint16_t checked_vector(const struct virtio_pci_state *p, uint64_t value)
{
	return (uint16_t)value < p->f.n_vectors ? (uint16_t)value : NO_VECTOR;
}

static void set_queue_vector(struct virtio_pci_state *p, struct virtio_queue *q, uint64_t value)
{
	if (!q)
		return;
	q->vector = checked_vector(p, value);
	if (q->call >= 0)
		pci_msix_bind(&p->f, q->vector, q->call, true);
}

/* ---- Kicks ---------------------------------------------------------------------------------
 *
 * All queues notify at one place, by their index: 4.1.4.4, with a multiplier of 0. There may be two
 * such places, but a driver uses one. Binding takes the kernel a while, so it is done for the one
 * that is offered first, and for the other when a driver has notified there.
 */

static void bind_kicks(struct virtio_pci_state *p, unsigned i)
{
	const struct pci_bar *bar = &p->f.bars[i];
	uint64_t *bell = &p->bells[bar->space];

	if (!p->kicking || !bar->mapped || *bell)
		return;
	*bell = bar->mapped + (i == BAR ? BAR_NOTIFY : 0);
	virtio_core_bind(p->v, bar->space, *bell, 2, true);
}

static void unbind_kicks(struct virtio_pci_state *p, enum plan_space space)
{
	if (p->bells[space])
		virtio_core_bind(p->v, space, p->bells[space], 2, false);
	p->bells[space] = 0;
}

static void kicks(struct virtio *v, bool on)
{
	struct virtio_pci_state *p = v->core->transport_state;

	p->kicking = on;
	if (on) {
		bind_kicks(p, p->f.bars[BAR_BELL].mapped ? BAR_BELL : BAR);
	} else {
		unbind_kicks(p, SPACE_MEM);
		unbind_kicks(p, SPACE_PIO);
	}
}

static void bar_mapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	(void)addr;
	bind_kicks(state_of(f), bar);
}

static void bar_unmapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	(void)addr;
	unbind_kicks(state_of(f), f->bars[bar].space);
}

static void notified(struct virtio_pci_state *p, unsigned bar, uint64_t value)
{
	virtio_core_kick(p->v, (uint16_t)value);
	bind_kicks(p, bar);
}

/* ---- Registers --------------------------------------------------------------------------- */

static uint64_t *queue_address(struct virtio_queue *q, unsigned offset)
{
	switch (offset & ~7U) {
	case QUEUE_DESC:
		return &q->ring.descriptors;
	case QUEUE_DRIVER:
		return &q->ring.driver;
	default:
		return &q->ring.device;
	}
}

static uint32_t queue_read(const struct virtio_pci_state *p, unsigned offset)
{
	struct virtio_queue *q = virtio_core_queue(p->v, p->queue_select);

	if (!q)
		return offset == QUEUE_MSIX_VECTOR ? NO_VECTOR : 0;
	switch (offset) {
	case QUEUE_SIZE:
		return q->size;
	case QUEUE_MSIX_VECTOR:
		return q->vector;
	case QUEUE_ENABLE:
		return q->enabled;
	case QUEUE_DESC:
	case QUEUE_DRIVER:
	case QUEUE_DEVICE:
		return (uint32_t)*queue_address(q, offset);
	case QUEUE_DESC + 4:
	case QUEUE_DRIVER + 4:
	case QUEUE_DEVICE + 4:
		return (uint32_t)(*queue_address(q, offset) >> 32);
	default: /* QUEUE_NOTIFY_OFF among them; what was not offered */
		return 0;
	}
}

static uint32_t common_read(const struct virtio_pci_state *p, unsigned offset)
{
	switch (offset) {
	case DEVICE_FEATURE_SELECT:
		return p->device_feature_select;
	case DEVICE_FEATURE:
		return virtio_core_offered(p->v, p->device_feature_select);
	case DRIVER_FEATURE_SELECT:
		return p->driver_feature_select;
	case DRIVER_FEATURE:
		return virtio_core_accepted(p->v, p->driver_feature_select);
	case CONFIG_MSIX_VECTOR:
		return p->config_vector;
	case NUM_QUEUES:
		return p->v->n_queues;
	case DEVICE_STATUS:
		return virtio_core_status(p->v);
	case CONFIG_GENERATION:
		return virtio_core_generation(p->v) & 0xff;
	case QUEUE_SELECT:
		return p->queue_select;
	default:
		return queue_read(p, offset);
	}
}

static void queue_write(struct virtio_pci_state *p, unsigned offset, uint32_t value)
{
	struct virtio_queue *q = virtio_core_queue(p->v, p->queue_select);

	switch (offset) {
	case QUEUE_SIZE:
		virtio_core_set_size(q, (uint16_t)value);
		break;
	case QUEUE_MSIX_VECTOR:
		set_queue_vector(p, q, value);
		break;
	case QUEUE_ENABLE: /* 4.1.4.3.2: only a reset disables it */
		if (value == 1)
			virtio_core_enable(q, true);
		break;
	case QUEUE_DESC:
	case QUEUE_DESC + 4:
	case QUEUE_DRIVER:
	case QUEUE_DRIVER + 4:
	case QUEUE_DEVICE:
	case QUEUE_DEVICE + 4:
		if (q)
			virtio_core_set_address(q, queue_address(q, offset), offset & 4, value);
		break;
	default:
		break;
	}
}

static void common_write(struct virtio_pci_state *p, unsigned offset, uint32_t value)
{
	switch (offset) {
	case DEVICE_FEATURE_SELECT:
		p->device_feature_select = value;
		break;
	case DRIVER_FEATURE_SELECT:
		p->driver_feature_select = value;
		break;
	case DRIVER_FEATURE:
		virtio_core_accept(p->v, p->driver_feature_select, value);
		break;
	case CONFIG_MSIX_VECTOR:
		p->config_vector = checked_vector(p, value);
		break;
	case DEVICE_STATUS:
		virtio_core_set_status(p->v, value & 0xff);
		break;
	case QUEUE_SELECT:
		p->queue_select = (uint16_t)value;
		break;
	default:
		queue_write(p, offset, value);
	}
}

/* Registers are read and written with their own width (4.1.3.1); quad words in two halves, as those
 * of addresses are. */
static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	struct virtio_pci_state *p = state_of(f);

	if (bar == BAR_BELL)
		return 0;
	if (offset >= BAR_CONFIG && offset < BAR_CONFIG + CONFIG_MAX)
		return virtio_core_config_read(p->v, offset - BAR_CONFIG, size);
	if (offset == BAR_ISR)
		return virtio_isr_take(p->v);
	if (offset >= BAR_COMMON + COMMON_LEN)
		return 0;
	if (size == 8)
		return common_read(p, (unsigned)offset) |
		       (uint64_t)common_read(p, (unsigned)offset + 4) << 32;
	return common_read(p, (unsigned)offset);
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct virtio_pci_state *p = state_of(f);

	if (bar == BAR_BELL) {
		if (!offset)
			notified(p, bar, value);
	} else if (offset >= BAR_CONFIG && offset < BAR_CONFIG + CONFIG_MAX) {
		virtio_core_config_write(p->v, offset - BAR_CONFIG, size, value);
	} else if (offset == BAR_NOTIFY) {
		notified(p, bar, value);
	} else if (offset < BAR_COMMON + COMMON_LEN) {
		common_write(p, (unsigned)offset, (uint32_t)value);
		if (size == 8)
			common_write(p, (unsigned)offset + 4, (uint32_t)(value >> 32));
	}
}

/* ---- The BARs through configuration space: 4.1.4.9 ------------------------------------------ */

struct access {
	unsigned bar;
	uint32_t at, len;
	uint8_t *data; /* of the window */
};

/* The access that the driver chose, which must be one that its registers take: 4.1.4.9.2. False if
 * [offset, offset + size) isn't its data register, or there is no such access. */
static bool through_window(struct virtio_pci_state *p, unsigned offset, unsigned size,
			   struct access *a)
{
	uint8_t *cap = p->f.config + p->window;
	unsigned data = p->window + CAP_MORE;

	*a = (struct access){ .bar = cap[CAP_BAR],
			      .at = bytes_get32(cap + CAP_OFFSET),
			      .len = bytes_get32(cap + CAP_LENGTH),
			      .data = cap + CAP_MORE };
	return offset < data + 4 && data < offset + size && a->bar < PCI_BARS &&
	       (a->len == 1 || a->len == 2 || a->len == 4) && !(a->at & (a->len - 1)) &&
	       a->at < p->f.bars[a->bar].size;
}

static void config_read(struct pci_function *f, unsigned offset, unsigned size)
{
	struct access a;

	if (through_window(state_of(f), offset, size, &a))
		bytes_put(a.data, a.len, bar_read(f, a.bar, a.at, a.len));
}

static void config_written(struct pci_function *f, unsigned offset, unsigned size)
{
	struct access a;

	if (through_window(state_of(f), offset, size, &a))
		bar_write(f, a.bar, a.at, a.len, bytes_get(a.data, a.len));
}

/* ---- Life ---------------------------------------------------------------------------------- */

static uint8_t add_cap(struct pci_function *f, uint8_t type, uint8_t more, uint8_t bar,
		       uint32_t offset, uint32_t length)
{
	uint8_t len = CAP_MORE + more, at = pci_capability_add(f, CAP_VENDOR, len);
	uint8_t *cap = f->config + at;

	cap[CAP_LEN] = len;
	cap[CAP_TYPE] = type;
	cap[CAP_BAR] = bar;
	bytes_put32(cap + CAP_OFFSET, offset);
	bytes_put32(cap + CAP_LENGTH, length);
	return at;
}

static void add_caps(struct virtio_pci_state *p)
{
	struct pci_function *f = &p->f;

	add_cap(f, TYPE_COMMON, 0, BAR, BAR_COMMON, COMMON_LEN);
	/* 4.1.4: what is preferred comes first. The other way to notify is the last of all: each
	 * capability costs drivers that look for one behind it some exits. */
	if (f->bars[BAR_BELL].size)
		add_cap(f, TYPE_NOTIFY, 4, BAR_BELL, 0, NOTIFY_LEN); /* multiplier 0 */
	add_cap(f, TYPE_ISR, 0, BAR, BAR_ISR, ISR_LEN);
	if (p->v->config_len)
		add_cap(f, TYPE_DEVICE, 0, BAR, BAR_CONFIG, p->v->config_len);
	p->window = add_cap(f, TYPE_PCI, 4, BAR, 0, 0);
	add_cap(f, TYPE_NOTIFY, 4, BAR, BAR_NOTIFY, NOTIFY_LEN);
	f->writable[p->window + CAP_BAR] = 0xff;
	bytes_put(f->writable + p->window + CAP_OFFSET, 8, UINT64_MAX); /* and the length */
	bytes_put32(f->writable + p->window + CAP_MORE, UINT32_MAX);
}

static const struct pci_ops ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.bar_mapped = bar_mapped,
	.bar_unmapped = bar_unmapped,
	.config_read = config_read,
	.config_written = config_written,
	.msix_changed = msix_changed,
};

/* What the driver set in the transport's registers. */
static void reset(struct virtio *v)
{
	struct virtio_pci_state *p = v->core->transport_state;

	p->device_feature_select = p->driver_feature_select = 0;
	p->queue_select = 0;
	p->config_vector = NO_VECTOR;
	for (unsigned i = 0; i < v->n_queues; i++)
		virtio_core_queue(v, i)->vector = NO_VECTOR;
}

static void detach(struct virtio *v)
{
	struct virtio_pci_state *p = v->core->transport_state;

	pci_detach(&p->f);
	free(p);
}

static int attach(struct virtio *v, struct err *err)
{
	const struct plan_claim *place = device_place(v->dev, VIRTIO_CLAIM_BAR);
	const struct plan_claim *ports = device_place(v->dev, VIRTIO_CLAIM_PORTS);
	struct pci_identity identity = {
		.vendor = VENDOR_VIRTIO,
		.device = (uint16_t)(DEVICE_BASE + v->type->id),
		.subsystem_vendor = VENDOR_VIRTIO,
		.subsystem = SUBSYSTEM_QEMU,
		.revision = 1,
		.class_code = v->type->pci_class,
	};
	unsigned vectors = v->n_queues + 1 < VECTORS_MAX ? v->n_queues + 1 : VECTORS_MAX;
	struct virtio_pci_state *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", v->dev->plan->label);
	p->v = v;
	v->core->transport_state = p;
	pci_function_init(&p->f, v->dev, &ops, &identity);
	pci_bar_add(&p->f, BAR, place->start, place->size, true, false);
	if (ports)
		pci_bar_add_ports(&p->f, BAR_BELL, ports->start, ports->size);
	add_caps(p);
	reset(v);
	ret = pci_msix_add(&p->f, (uint16_t)vectors, BAR, BAR_TABLE, BAR, BAR_PENDING);
	if (ret)
		err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", v->dev->plan->label);
	else
		ret = pci_attach(&p->f, err);
	if (ret)
		detach(v);
	return ret;
}

/* PCI's own registers, such as where the BAR is, stay: the bus made them, with the device. */
const struct virtio_transport virtio_pci = {
	.attach = attach,
	.detach = detach,
	.reset = reset,
	.power_on = reset,
	.interrupt = interrupt,
	.line = line,
	.kicks = kicks,
	.call = call,
};
