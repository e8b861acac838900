/* virtio_queue.c: what a request through a virtqueue costs the device, without a guest: take, give
 * and flush. A request is as a disk's: a header to read, 4 KiB and a status byte to write. Prints
 * one line for each way to hand it over: name, nanoseconds, instructions ("-": can't be counted).
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <vibevmm/virtio.h>

#define RAM	 0x100000U
#define RAM_SIZE 0x100000U
#define SIZE	 256U
#define REQUESTS 2000000U
#define ROUNDS	 5

enum { INDIRECT_DESC = 28, EVENT_IDX = 29 };

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static struct virtio *probe;
static uint8_t *ram;

static void die(const char *what)
{
	fprintf(stderr, "virtio_queue: %s\n", what);
	exit(70);
}

/* ---- A device that does nothing by itself, and a machine for it ---------------------------------
 */

static int type_create(struct virtio *v, struct err *err)
{
	(void)err;
	probe = v;
	v->n_queues = 1;
	return 0;
}

static void type_nothing(struct virtio *v)
{
	(void)v;
}

static int type_start(struct virtio *v)
{
	(void)v;
	return 0;
}

static const struct virtio_type type = {
	.id = 42,
	.create = type_create,
	.destroy = type_nothing,
	.start = type_start,
	.stop = type_nothing,
};

static void irq_set(struct device_host *host, struct device *dev, unsigned claim, bool level)
{
	(void)host;
	(void)dev;
	(void)claim;
	(void)level;
}

static struct device_host host = { .irq_set = irq_set };
static const struct plan_device plan = {
	.label = "bench",
	.claims = { { .claim = virtio_claims, .start = 0xd0000000, .size = 0x1000 } },
	.n_claims = 1,
};
static struct device dev = { .plan = &plan, .host = &host };

static void write_register(unsigned offset, uint32_t value)
{
	virtio_write(&dev, 0, offset, 4, value);
}

/* VIRTIO 3.1.1 and 4.2.2 */
static void start(uint64_t features)
{
	const uint32_t ring[] = { RAM, RAM + 0x1000, RAM + 0x2000 };

	memset(ram, 0, RAM_SIZE);
	write_register(0x070, 0);
	write_register(0x024, 1);
	write_register(0x020, 1);
	write_register(0x024, 0);
	write_register(0x020, (uint32_t)features);
	write_register(0x038, SIZE);
	for (unsigned i = 0; i < 3; i++)
		write_register(0x080 + 0x10 * i, ring[i]);
	write_register(0x044, 1);
	write_register(0x070, 1 | 2 | 8);
	write_register(0x070, 1 | 2 | 8 | 4);
	if (virtio_read(&dev, 0, 0x070, 4) != (1 | 2 | 8 | 4))
		die("the device does not start");
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* The driver's: n requests of three descriptors each, or of one that stands for a table. */
static void make_requests(bool indirect, unsigned n)
{
	struct desc *ring = (struct desc *)ram;
	uint16_t *avail = (uint16_t *)(ram + 0x1000);

	for (unsigned i = 0; i < n; i++) {
		uint32_t at = RAM + 0x8000 + i * 64;
		uint16_t first = (uint16_t)(indirect ? 0 : 3 * i);
		struct desc *table = indirect ? (struct desc *)(ram + at - RAM) : ring;

		table[first] = (struct desc){ RAM + 0x10000, 16, NEXT, (uint16_t)(first + 1) };
		table[first + 1] = (struct desc){ RAM + 0x20000 + i * 0x1000, 0x1000, NEXT | WRITE,
						  (uint16_t)(first + 2) };
		table[first + 2] = (struct desc){ RAM + 0x10800, 1, WRITE, 0 };
		if (indirect)
			ring[i] = (struct desc){ at, 48, INDIRECT, 0 };
	}
	for (unsigned i = 0; i < SIZE; i++)
		avail[2 + i] = (uint16_t)(indirect ? i % n : 3 * (i % n));
}

static void serve(struct virtio_queue *q, unsigned batch)
{
	uint16_t *avail = (uint16_t *)(ram + 0x1000), idx = avail[1];
	struct iovec iov[VIRTIO_CHAIN_MAX(SIZE)];
	struct virtio_chain chain = { .iov = iov, .cap = VIRTIO_CHAIN_MAX(SIZE) };
	unsigned done = 0;

	for (unsigned i = 0; i < REQUESTS; i += batch) {
		idx = (uint16_t)(idx + batch);
		__atomic_store_n(&avail[1], idx, __ATOMIC_RELEASE);
		do {
			while (virtio_queue_take(q, &chain)) {
				virtio_queue_give(q, chain.head, (uint32_t)chain.in_len);
				done++;
			}
			virtio_queue_flush(q);
		} while (!virtio_queue_idle(q));
	}
	if (done != REQUESTS)
		die("requests are missing");
}

/* ---- Clocks -------------------------------------------------------------------------------- */

static int instructions_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The best of some rounds. */
static void measure(const char *name, bool indirect, unsigned batch, int counter)
{
	double best = 0;
	uint64_t before = 0, after = 0, count = 0;

	start(1ULL << EVENT_IDX | (indirect ? 1ULL << INDIRECT_DESC : 0));
	make_requests(indirect, batch);
	for (unsigned i = 0; i < ROUNDS; i++) {
		double t = seconds();

		if (counter >= 0 && read(counter, &before, sizeof(before)) != sizeof(before))
			counter = -1;
		serve(virtio_queue(probe, 0), batch);
		if (counter >= 0 && read(counter, &after, sizeof(after)) != sizeof(after))
			counter = -1;
		t = seconds() - t;
		if (!i || t < best)
			best = t;
		if (!i || after - before < count)
			count = after - before;
	}
	printf("%s %.1f ", name, best * 1e9 / REQUESTS);
	if (counter >= 0)
		printf("%.0f\n", (double)count / REQUESTS);
	else
		printf("-\n");
}

int main(void)
{
	int counter = instructions_open();
	struct err err;

	host.memory = memory_new();
	if (!host.memory || memory_add(host.memory, RAM, RAM_SIZE, 0, &err))
		die("no memory");
	ram = memory_ptr(host.memory, RAM, RAM_SIZE, true);
	if (virtio_create(&dev, &type, &err))
		die("no device");
	measure("alone", false, 1, counter);
	measure("32-at-once", false, 32, counter);
	measure("32-at-once,indirect", true, 32, counter);
	virtio_destroy(&dev);
	memory_free(host.memory);
	return 0;
}
