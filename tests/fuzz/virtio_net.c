/* virtio_net.c: a driver that gives a network card any requests, while the other VM sends any
 * bytes. The card is real, with its worker, on a stream. Each byte is an action, with what it needs
 * behind it. */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

#include "unit/virtio_driver.h"

#include <vibevmm/log.h>
#include <vibevmm/net.h>

extern const struct device_row device_virtio_net;

/* As in src/virtio/net.h. */
struct options {
	VIRTIO_MEMBERS;
	char *tap;
	bool user;
	char *listen, *connect;
	struct config_maps forward;
	char *mac;
	uint32_t mtu, queues, vhost, link;
};

enum { QUEUES = 3, PAGE = 0x1000 };

static int ours = -1; /* passt's end */

void passt_stop(int fd)
{
	close(fd);
}

int passt_start(const struct passt_config *config, struct err *err)
{
	int ends[2];

	(void)config;
	(void)err;
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
	ours = ends[1];
	return ends[0];
}

/* Both ends of one tap: what goes out may come back. */
int tap_open(struct tap *tap, const char *name, unsigned queues, unsigned header, struct err *err)
{
	int ends[2];

	(void)name;
	(void)header;
	(void)err;
	must(queues == 1 && !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends));
	*tap = (struct tap){ .fds = { ends[0] }, .queues = 1, .offloads = 0x1f, .lock = -1 };
	ours = ends[1];
	return 0;
}

void tap_close(struct tap *tap)
{
	if (tap->queues)
		close(tap->fds[0]);
}

int tap_set_offloads(const struct tap *tap, unsigned offloads)
{
	(void)tap;
	must(!(offloads & ~0x1fU));
	return 0;
}

int tap_enable(const struct tap *tap, unsigned queue, bool on)
{
	(void)tap;
	must(on && !queue);
	return 0;
}

static void start(struct driver *d, struct bytes *in)
{
	uint64_t features = take(in, 1);

	d->next = DRIVER_RAM;
	driver_negotiate(d, (features & 1 ? DRIVER_EVENT_IDX : 0) |
				    (features & 2 ? DRIVER_INDIRECT_DESC : 0) |
				    (features & 4 ? 1 << 15 : 0) | (features & 8 ? 1 << 17 : 0));
	for (unsigned i = 0; i < QUEUES; i++) {
		driver_ring(d, i, (uint16_t)(1U << (4 + take(in, 1) % 5)));
		if (!(features >> (4 + i) & 1))
			driver_enable(d, i);
	}
	driver_ok(d);
}

/* Up to three buffers, anywhere in a few pages, with bytes of the input in the first. */
static void request(struct driver *d, struct bytes *in)
{
	unsigned what = (unsigned)take(in, 1), index = what % QUEUES, n = 1 + what / 4 % 3;
	struct driver_queue *q = &d->queues[index];
	uint16_t at = (uint16_t)(take(in, 1) % (q->size - 3U));
	unsigned n_out = (unsigned)(index == 0 ? 0 : index == 1 ? n : n - 1);

	if (what & 0x80)
		n_out = what / 16 % 4;
	for (unsigned i = 0; i < n; i++) {
		uint64_t gpa = DRIVER_RAM + 0x100000 + take(in, 1) * 16;
		uint32_t len = (uint32_t)(take(in, 1) << what / 32 % 3 * 4);

		if (i < n_out) {
			for (unsigned k = 0; k < 16; k++)
				*((uint8_t *)driver_ptr(d, gpa) + k) = (uint8_t)take(in, 1);
		}
		q->desc[at + i] = (struct driver_desc){ gpa, len,
							(uint16_t)((i < n_out ? 0 : DRIVER_WRITE) |
								   (i + 1 < n ? DRIVER_NEXT : 0)),
							(uint16_t)(at + i + 1) };
	}
	driver_offer(d, index, at);
	driver_kick(d, index);
}

static void host_acts(struct bytes *in)
{
	unsigned what = (unsigned)take(in, 1);
	static uint8_t buf[70000];
	size_t len = what & 1 ? take(in, 2) : take(in, 1);

	if (ours < 0)
		return;
	buf[0] = buf[1] = 0;
	buf[2] = (uint8_t)(len >> 8);
	buf[3] = (uint8_t)len;
	if (what % 8 == 7)
		buf[take(in, 1) % 4] = (uint8_t)take(in, 1);
	if (what & 16)
		recv(ours, buf + 4, sizeof(buf) - 4, MSG_DONTWAIT);
	else
		send(ours, buf, what & 8 ? len : 4 + len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct options options = { .queues = 1, .vhost = 2 };
	struct driver d;

	log_set_level(LOG_NONE);
	if (take(&in, 1) & 1)
		options.tap = (char *)"tap0";
	else
		options.user = true;
	driver_plug(&d, &device_virtio_net, &options);
	start(&d, &in);
	for (unsigned n = 0; in.len && n < 200; n++) {
		switch (take(&in, 1) % 8) {
		case 0:
			start(&d, &in);
			break;
		case 1:
		case 2:
		case 3:
			host_acts(&in);
			break;
		default:
			request(&d, &in);
		}
	}
	driver_unplug(&d);
	close(ours);
	ours = -1;
}
