/* virtio_console.c: a guest that sends anything to any queue of a console with several ports, above
 * all control messages. The first byte says what the driver accepted; then each request: its queue,
 * buffers and bytes. However much it sends, the device stays whole and answers a request after it.
 */
#include "fuzz.h"

#include "unit/virtio_driver.h"

#include <vibevmm/log.h>

enum { CONTROL_TX = 3, QUEUES = 8, MOST = 4, LENGTH = 128 };

extern const struct device_row device_virtio_console;

/* As src/virtio/console.c has them. */
static const struct line {
	char *name;
	bool console;
	struct wire_config to;
} lines[] = { { .name = (char *)"a", .to.file = (char *)"/dev/null" },
	      { .name = (char *)"b", .console = true, .to.file = (char *)"/dev/null" } };
static struct options {
	VIRTIO_MEMBERS;
	bool input;
	struct wire_config to;
	struct config_maps ports;
} options = { .transport = VIRTIO_MMIO,
	      .to.file = (char *)"/dev/null",
	      .ports = { lines, ARRAY_SIZE(lines) } };

static struct driver d;
static uint64_t memory_at;

/* One device for all inputs: each resets it. */
static void prepare(void)
{
	if (memory_at)
		return;
	log_set_level(LOG_NONE);
	must(sizeof(options) == device_virtio_console.type.size);
	driver_plug(&d, &device_virtio_console, &options);
	memory_at = d.next;
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

		buffers[i] = (struct driver_buffer){ driver_alloc(&d, len), len };
		p = driver_ptr(&d, buffers[i].gpa);
		for (uint32_t k = 0; k < len && k < 16 && i < n_out; k++)
			p[k] = (uint8_t)take(in, 1);
	}
	driver_add(&d, queue, buffers, n_out, n_in);
	driver_kick(&d, queue);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	bool multiport = take(&in, 1) & 1;
	struct driver_buffer last;

	prepare();
	d.next = memory_at;
	driver_start(&d, multiport ? 2 : 0);
	for (unsigned n = 0; n < 6 && in.len; n++) {
		unsigned what = (unsigned)take(&in, 1);

		if (what == 0xff)
			driver_write(&d, MMIO_CONFIG + take(&in, 1) % 16, 1, take(&in, 1));
		else
			request(&in, what & 0x80 ? CONTROL_TX : what % QUEUES);
	}
	last = (struct driver_buffer){ driver_alloc(&d, 8), 8 };
	driver_add(&d, 1, &last, 1, 0);
	driver_kick(&d, 1);
	while (d.queues[1].used[1] != d.queues[1].avail[1])
		driver_wait(&d, 1, NULL);
	must(!driver_broken(&d));
	driver_reset(&d);
}
