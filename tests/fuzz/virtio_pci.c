/* virtio_pci.c: a driver that does anything to a virtio device's registers, queues and MSI-X over
 * PCI. Each byte is an action, with what it needs behind it. */
#include "fuzz.h"

#include "unit/pci_helpers.h"

#include <unistd.h>

#include <vibevmm/log.h>
#include <vibevmm/virtio.h>

#define DEVFN	 0x18
#define BAR	 WINDOW
#define BAR_SIZE 0x4000
#define BELL	 (IO + 4)
#define QUEUES	 3
#define RAM	 0x100000
#define RAM_SIZE 0x10000

static struct {
	struct device dev;
	struct plan_device plan;
	struct config_choice choice;
	struct virtio *v;
	uint8_t config[24];
	bool runs;
} dev;

static struct memory *memory;

static int type_create(struct virtio *v, struct err *err)
{
	(void)err;
	v->n_queues = QUEUES;
	v->queue_size = 16;
	v->config = dev.config;
	v->config_len = sizeof(dev.config);
	dev.v = v;
	return 0;
}

static void type_destroy(struct virtio *v)
{
	(void)v;
	must(!dev.runs);
}

/* It is served here, between two actions of the driver. */
static int type_start(struct virtio *v)
{
	must(!dev.runs);
	dev.runs = true;
	for (unsigned i = 0; i < QUEUES; i++) {
		if (!virtio_queue_ready(virtio_queue(v, i)))
			continue;
		virtio_queue_kick_fd(virtio_queue(v, i));
		if (i)
			virtio_queue_call_fd(virtio_queue(v, i));
	}
	return 0;
}

static void type_stop(struct virtio *v)
{
	(void)v;
	must(dev.runs);
	dev.runs = false;
}

static void type_config_write(struct virtio *v, unsigned offset, unsigned size)
{
	(void)v;
	must(bytes_inside(offset, size, 0, sizeof(dev.config)));
}

static const struct virtio_type type = {
	.id = 0x2a,
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

static const struct device_row row = { .type = { .name = "thing" }, .create = create, VIRTIO_ROW };

static void serve(unsigned index)
{
	struct virtio_queue *q = virtio_queue(dev.v, index);
	struct iovec iov[VIRTIO_CHAIN_MAX(16)];
	struct virtio_chain chain = { .iov = iov, .cap = ARRAY_SIZE(iov) };

	if (!dev.runs || !virtio_queue_ready(q))
		return;
	for (unsigned n = 0; n < 32 && virtio_queue_take(q, &chain); n++) {
		const char *from = memory_ptr(memory, RAM, RAM_SIZE, true);

		for (unsigned i = 0; i < chain.n_out + chain.n_in; i++) {
			const char *p = iov[i].iov_base;

			must(p >= from && p + iov[i].iov_len <= from + RAM_SIZE);
		}
		virtio_queue_give(q, chain.head, (uint32_t)virtio_chain_write(&chain, 0, "x", 1));
	}
	virtio_queue_flush(q);
	virtio_queue_idle(q);
}

static void out(unsigned reg, unsigned size, uint64_t value)
{
	mem_out(BAR + reg, size, value);
}

/* As a driver should, so that what follows meets a device that runs. */
static void start(void)
{
	static const uint8_t status[] = { 0, 1, 3 };

	for (size_t i = 0; i < ARRAY_SIZE(status); i++)
		out(0x14, 1, status[i]);
	out(0x08, 4, 1);
	out(0x0c, 4, 1);
	out(0x14, 1, 0xb);
	for (unsigned i = 0; i < QUEUES; i++) {
		out(0x16, 2, i);
		out(0x1a, 2, i);
		out(0x20, 8, RAM + 0x4000 * i);
		out(0x28, 8, RAM + 0x4000 * i + 0x1000);
		out(0x30, 8, RAM + 0x4000 * i + 0x2000);
		out(0x1c, 2, 1);
	}
	out(0x14, 1, 0xf);
}

static void act(struct bytes *in)
{
	unsigned action = (unsigned)take(in, 1), size = 1U << action / 8 % 4,
		 queue = action / 32 % 3;
	uint64_t at, value;

	switch (action % 8) {
	case 0: /* common registers */
		at = take(in, 1) % 0x48;
		out((unsigned)at, size, take(in, size));
		mem_in(BAR + at, size);
		break;
	case 1: /* any other */
		at = take(in, 2) % (BAR_SIZE - 8);
		out((unsigned)at, size, take(in, size));
		mem_in(BAR + at, size);
		break;
	case 2: /* the table's first vectors */
		out(0x3000 + (unsigned)take(in, 1) % 64, size, take(in, size));
		break;
	case 3: /* configuration space */
		at = take(in, 1);
		config_out(DEVFN, (unsigned)at, size, take(in, size));
		config_in(DEVFN, (unsigned)at, size);
		break;
	case 4: /* a ring */
		at = RAM + 0x4000 * queue + 0x1000 * (take(in, 1) % 3) + take(in, 1);
		value = take(in, size);
		must(!memory_write(memory, at, &value, size));
		break;
	case 5:
		io_out(BELL + (action & 0x80 ? 2 : 0), size, queue);
		io_in(BELL, size);
		serve(queue);
		break;
	case 6:
		config_out(DEVFN, 4, 2, action & 0x80 ? 3 : 2);
		config_out(DEVFN, 0x10, 4, BAR);
		config_out(DEVFN, 0x18, 4, BELL);
		config_out(DEVFN, 0x14, 4, 0);
		if (queue)
			start();
		break;
	default:
		dev.config[action / 32]++;
		virtio_config_changed(dev.v);
	}
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct err err;

	log_set_level(LOG_NONE);
	pci_start(INTX);
	memory = memory_new();
	must(memory && !memory_add(memory, RAM, RAM_SIZE, 0, &err));
	pci.fake.host.memory = memory;
	memset(&dev, 0, sizeof(dev));
	dev.choice = (struct config_choice){ .type = &row.type };
	dev.plan = (struct plan_device){
		.row = &row,
		.choice = &dev.choice,
		.label = "thing",
		.claims = { { &virtio_claims[2], 2, DEVFN, 1, true },
			    { &virtio_claims[3], 3, BAR, BAR_SIZE, true },
			    { &virtio_claims[4], 4, BELL, 4, true } },
		.n_claims = 3,
	};
	must(!device_create(&dev.dev, &dev.plan, &pci.fake.host, &err));
	while (in.len) {
		act(&in);
		must(pci.n_bells <= 2 * QUEUES && (dev.runs || !pci.n_bells));
	}
	device_destroy(&dev.dev);
	must(!pci.n_bells);
	pci_stop();
	memory_free(memory);
}
