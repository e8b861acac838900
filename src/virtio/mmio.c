/* mmio.c: the MMIO transport, VIRTIO 4.2: 4 KiB of registers and a level-triggered line. */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>

#include "core.h"

/* VIRTIO 4.2.2 */
enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE = 0x008,
	REG_VENDOR = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC = 0x080, /* these three: the lower half, then the upper */
	REG_QUEUE_DRIVER = 0x090,
	REG_QUEUE_DEVICE = 0x0a0,
	REG_SHM_LEN = 0x0b0,
	REG_SHM_BASE = 0x0b8,
	REG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};

#define MAGIC	0x74726976U /* "virt" */
#define VERSION 2
#define VENDOR	0x65626976U /* "vibe": a driver has no use for it */

struct selectors {
	uint32_t device_features, driver_features, queue;
};

/* ---- Interrupts and kicks ------------------------------------------------------------------ */

static void interrupt(struct virtio *v, const struct virtio_queue *q)
{
	virtio_isr_raise(v, q ? VIRTIO_ISR_QUEUE : VIRTIO_ISR_CONFIG);
}

static void line(struct virtio *v, bool level)
{
	device_irq_set(v->dev, VIRTIO_CLAIM_IRQ, level);
}

static void kicks(struct virtio *v, bool on)
{
	const struct plan_claim *place = device_place(v->dev, VIRTIO_CLAIM_MMIO);

	virtio_core_bind(v, SPACE_MEM, place->start + REG_QUEUE_NOTIFY, 4, on);
}

/* ---- Registers ----------------------------------------------------------------------------- */

static uint32_t read_register(struct virtio *v, uint64_t offset)
{
	const struct selectors *select = v->core->transport_state;
	const struct virtio_queue *q = virtio_core_queue(v, select->queue);

	switch (offset) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE:
		return v->type->id;
	case REG_VENDOR:
		return VENDOR;
	case REG_DEVICE_FEATURES:
		return virtio_core_offered(v, select->device_features);
	case REG_QUEUE_NUM_MAX:
		return q ? q->max : 0;
	case REG_QUEUE_READY:
		return q && q->enabled;
	case REG_INTERRUPT_STATUS:
		return virtio_isr_read(v);
	case REG_STATUS:
		return virtio_core_status(v);
	case REG_SHM_LEN: /* no region has that length: there is none */
	case REG_SHM_LEN + 4:
	case REG_SHM_BASE:
	case REG_SHM_BASE + 4:
		return UINT32_MAX;
	case REG_GENERATION:
		return virtio_core_generation(v);
	default:
		return 0;
	}
}

static void write_queue(struct virtio_queue *q, uint64_t offset, uint32_t value)
{
	bool high = offset & 4;

	if (!q)
		return;
	switch (offset & ~4ULL) {
	case REG_QUEUE_DESC:
		virtio_core_set_address(q, &q->ring.descriptors, high, value);
		break;
	case REG_QUEUE_DRIVER:
		virtio_core_set_address(q, &q->ring.driver, high, value);
		break;
	case REG_QUEUE_DEVICE:
		virtio_core_set_address(q, &q->ring.device, high, value);
		break;
	}
}

static void write_register(struct virtio *v, uint64_t offset, uint32_t value)
{
	struct selectors *select = v->core->transport_state;
	struct virtio_queue *q = virtio_core_queue(v, select->queue);

	switch (offset) {
	case REG_DEVICE_FEATURES_SEL:
		select->device_features = value;
		break;
	case REG_DRIVER_FEATURES:
		virtio_core_accept(v, select->driver_features, value);
		break;
	case REG_DRIVER_FEATURES_SEL:
		select->driver_features = value;
		break;
	case REG_QUEUE_SEL:
		select->queue = value;
		break;
	case REG_QUEUE_NUM:
		virtio_core_set_size(q, value);
		break;
	case REG_QUEUE_READY:
		virtio_core_enable(q, value & 1);
		break;
	case REG_QUEUE_NOTIFY:
		virtio_core_kick(v, value);
		break;
	case REG_INTERRUPT_ACK:
		virtio_isr_clear(v, (uint8_t)value);
		break;
	case REG_STATUS:
		virtio_core_set_status(v, value);
		break;
	default:
		write_queue(q, offset, value);
	}
}

/* Only config may be accessed other than by 32 bits (4.2.2.2). */
uint64_t virtio_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct virtio *v = dev->state;

	(void)claim;
	if (offset >= REG_CONFIG)
		return virtio_core_config_read(v, offset - REG_CONFIG, size);
	return size == 4 ? read_register(v, offset) : 0;
}

void virtio_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		  uint64_t value)
{
	struct virtio *v = dev->state;

	(void)claim;
	if (offset >= REG_CONFIG)
		virtio_core_config_write(v, offset - REG_CONFIG, size, value);
	else if (size == 4)
		write_register(v, offset, (uint32_t)value);
}

/* ---- The transport ------------------------------------------------------------------------- */

static int attach(struct virtio *v, struct err *err)
{
	v->core->transport_state = calloc(1, sizeof(struct selectors));
	return v->core->transport_state
		       ? 0
		       : err_errno(err, ENOMEM, STATUS_OSERR, "%s", v->dev->plan->label);
}

static void detach(struct virtio *v)
{
	free(v->core->transport_state);
}

static void power_on(struct virtio *v)
{
	*(struct selectors *)v->core->transport_state = (struct selectors){ 0 };
}

const struct virtio_transport virtio_mmio = {
	.attach = attach,
	.detach = detach,
	.power_on = power_on,
	.interrupt = interrupt,
	.line = line,
	.kicks = kicks,
};
