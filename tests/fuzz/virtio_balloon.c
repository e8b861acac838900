/* virtio_balloon.c: a guest that puts any page numbers into the balloon, reports anything to be
 * free and tells any statistics. Each request: its queue, buffers and bytes. Memory that it did not
 * give up stays as it is. */
#include "fuzz.h"

#include "unit/virtio_driver.h"

#include <vibevmm/log.h>

enum { INFLATE, DEFLATE, STATS, HINT, REPORTING, QUEUES, MOST = 4, LENGTH = 256, KEPT = 64 };

extern const struct device_row device_virtio_balloon;

/* As src/virtio/balloon.c has them. */
static struct options {
	VIRTIO_MEMBERS;
	uint64_t size;
	bool deflate_on_oom, reporting;
	uint64_t statistics;
} options = { .transport = VIRTIO_MMIO, .reporting = true, .statistics = 1000000 };

static struct driver d;
static uint64_t memory_at, kept;

/* One device for all inputs: each resets it. */
static void prepare(void)
{
	if (memory_at)
		return;
	log_set_level(LOG_NONE);
	must(sizeof(options) == device_virtio_balloon.type.size);
	driver_plug(&d, &device_virtio_balloon, &options);
	kept = driver_alloc(&d, KEPT * 4096);
	memory_at = d.next;
}

/* Page numbers near the ends of memory, and anywhere but where the rings are, and what is kept. */
static uint32_t page(struct bytes *in)
{
	uint32_t number = (uint32_t)take(in, 4), last = (DRIVER_RAM + DRIVER_RAM_SIZE) / 4096;

	switch (number % 4) {
	case 0:
		return last - 8 + (number >> 8) % 16;
	case 1:
		return (number >> 8) % (DRIVER_RAM / 4096);
	default:
		return number < last && number >= DRIVER_RAM / 4096 ? last : number;
	}
}

static void request(struct bytes *in, unsigned queue)
{
	unsigned n_out = (unsigned)take(in, 1) % MOST, n_in = (unsigned)take(in, 1) % MOST;
	struct driver_buffer buffers[2 * MOST];

	if (!n_out && !n_in)
		n_out = 1;
	for (unsigned i = 0; i < n_out + n_in; i++) {
		uint32_t len = (uint32_t)take(in, 1) % LENGTH + 1;
		uint8_t *p;

		if (queue == INFLATE) /* else numbers would be put together from parts */
			len = (len + 3) & ~3U;
		/* What is written may become zero, so it shares no page with others. */
		buffers[i] =
			(struct driver_buffer){ driver_alloc(&d, i < n_out ? len : 8192), len };
		p = driver_ptr(&d, buffers[i].gpa);
		memset(p, 0, len);
		if (i >= n_out)
			buffers[i].len = (uint32_t)take(in, 2) % 8192 + 1;
		else
			for (uint32_t k = 0; k + 4 <= len && k < 64; k += 4)
				bytes_put32(p + k,
					    queue == INFLATE ? page(in) : (uint32_t)take(in, 4));
	}
	driver_add(&d, queue, buffers, n_out, n_in);
	driver_kick(&d, queue);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct driver_buffer last;
	uint8_t *p;

	prepare();
	d.next = memory_at;
	p = driver_ptr(&d, kept);
	for (unsigned i = 0; i < KEPT; i++)
		p[i * 4096] = 0xaa;
	driver_start(&d, 0x3e & driver_offered(&d));
	for (unsigned n = 0; n < 8 && in.len; n++) {
		unsigned what = (unsigned)take(&in, 1);

		if (what == 0xff)
			driver_out(&d, MMIO_CONFIG + take(&in, 1) % 4 * 4, (uint32_t)take(&in, 4));
		else
			request(&in, what % QUEUES);
	}
	last = (struct driver_buffer){ driver_alloc(&d, 4096), 4 };
	driver_add(&d, DEFLATE, &last, 1, 0);
	driver_kick(&d, DEFLATE);
	while (d.queues[DEFLATE].used[1] != d.queues[DEFLATE].avail[1])
		driver_wait(&d, DEFLATE, NULL);
	must(!driver_broken(&d));
	driver_reset(&d);
	for (unsigned i = 0; i < KEPT; i++)
		must(p[i * 4096] == 0xaa);
}
