/* virtio_mmio.c: a guest that does anything to the registers of a virtio device over MMIO, and to
 * its rings, while the device works. The input is a list of actions, a byte each with what it
 * needs.
 */
#include "fuzz.h"

#include "unit/virtio_driver.h"

#include <vibevmm/log.h>

#define QUEUES 3U

static struct driver d;
static struct virtio *probe;
static bool running;
static uint8_t config[24];

static int probe_create(struct virtio *v, struct err *err)
{
	(void)err;
	probe = v;
	v->features = 0xff;
	v->n_queues = QUEUES;
	v->queue_size = 128;
	v->config = config;
	v->config_len = sizeof(config);
	return 0;
}

static int probe_start(struct virtio *v)
{
	must(!running);
	must(!(v->driver_features &
	       ~(0xffULL | DRIVER_VERSION_1 | DRIVER_EVENT_IDX | DRIVER_INDIRECT_DESC)));
	must(virtio_has(v, 32));
	if (config[0] == 0xee)
		return -1;
	running = true;
	return 0;
}

static void probe_stop(struct virtio *v)
{
	(void)v;
	must(running);
	running = false;
}

static void probe_config_write(struct virtio *v, unsigned offset, unsigned size)
{
	must(offset < v->config_len && size <= v->config_len - offset);
}

static const struct virtio_type type = {
	.id = 42,
	.create = probe_create,
	.destroy = driver_nothing,
	.start = probe_start,
	.stop = probe_stop,
	.config_write = probe_config_write,
};

DRIVER_ROW(row, type, "probe");

/* What a worker does. */
static void serve(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(128)];
	struct virtio_chain chain = { .iov = iov, .cap = ARRAY_SIZE(iov) };

	if (!running || !virtio_queue_ready(q))
		return;
	for (unsigned i = 0; i < 200 && virtio_queue_take(q, &chain); i++) {
		virtio_chain_write(&chain, 0, config, sizeof(config));
		virtio_queue_give(q, chain.head, (uint32_t)chain.in_len);
	}
	virtio_queue_flush(q);
	virtio_queue_idle(q);
}

static void write_register(uint64_t offset, unsigned size, uint64_t value)
{
	uint8_t before = (uint8_t)driver_in(&d, MMIO_STATUS), after;

	driver_write(&d, offset, size, value);
	after = (uint8_t)driver_in(&d, MMIO_STATUS);
	if (offset == MMIO_STATUS && size == 4 && !value)
		must(!after && !running && !d.level);
	else
		must((after & before) == before);
	must(d.level == !!driver_in(&d, MMIO_INTERRUPT_STATUS));
}

static void act(struct bytes *in)
{
	static const uint16_t registers[] = {
		MMIO_DEVICE_FEATURES_SEL,
		MMIO_DRIVER_FEATURES,
		MMIO_DRIVER_FEATURES_SEL,
		MMIO_QUEUE_SEL,
		MMIO_QUEUE_NUM,
		MMIO_QUEUE_READY,
		MMIO_QUEUE_NOTIFY,
		MMIO_INTERRUPT_ACK,
		MMIO_STATUS,
		MMIO_QUEUE_DESC,
		MMIO_QUEUE_DRIVER,
		MMIO_QUEUE_DEVICE,
		MMIO_CONFIG,
	};
	unsigned size = 1U << take(in, 1) % 4;
	uint64_t offset, value;

	switch (take(in, 1) % 10) {
	case 0: /* any register, any way */
		offset = take(in, 2) % (0x1000 - size + 1);
		write_register(offset, size, take(in, size));
		break;
	case 1:
		offset = take(in, 2) % (0x1000 - size + 1);
		value = driver_read(&d, offset, size);
		must(size == 8 || !(value >> 8 * size));
		break;
	case 2:
	case 3:
	case 4: /* those that do something */
		offset = registers[take(in, 1) % ARRAY_SIZE(registers)];
		write_register(offset, 4, (uint32_t)take(in, 1 + size / 2));
		break;
	case 5: /* as a good driver */
		d.next = DRIVER_RAM;
		driver_negotiate(&d, take(in, 1) & 0xff);
		for (unsigned i = 0; i < QUEUES; i++) {
			driver_ring(&d, i, (uint16_t)(1U << take(in, 1) % 8));
			driver_enable(&d, i);
		}
		driver_ok(&d);
		break;
	case 6:
		((uint8_t *)driver_ptr(&d, DRIVER_RAM))[take(in, 2) % 0x4000] =
			(uint8_t)take(in, 1);
		break;
	case 7:
	case 8:
		serve(virtio_queue(probe, (unsigned)(take(in, 1) % QUEUES)));
		break;
	default:
		config[take(in, 1) % sizeof(config)]++;
		virtio_config_changed(probe);
	}
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	static bool plugged;

	if (!plugged) {
		log_set_level(LOG_NONE);
		driver_plug(&d, &row, NULL);
	}
	plugged = true;
	memset(driver_ptr(&d, DRIVER_RAM), 0, 0x4000);
	memset(config, 0, sizeof(config));
	device_lock(&d.dev);
	d.dev.row->reset(&d.dev);
	device_unlock(&d.dev);
	must(!driver_in(&d, MMIO_STATUS) && !d.level);
	while (in.len)
		act(&in);
}
