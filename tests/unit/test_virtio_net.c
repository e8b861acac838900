/* test_virtio_net.c: src/virtio/net*.c, with socket pairs in place of a tap and of passt. */
#include "virtio_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <vibevmm/net.h>

extern const struct device_row device_virtio_net;

/* As in src/virtio/net.h: bound to the options' rows, and the numbers of VIRTIO 5.1. */
struct options {
	VIRTIO_MEMBERS;
	char *tap;
	bool user;
	char *listen, *connect;
	struct config_maps forward;
	char *mac;
	uint32_t mtu, queues, vhost, link;
};

enum { RX, TX };
enum { VHOST_OFF = 2, LINK_DOWN = 1 };
enum { CONFIG_STATUS = 6, CONFIG_PAIRS = 8, CONFIG_MTU = 10 };
enum { HEADER = 12, BUFFERS = 10 };
#define F(bit)	   (1ULL << (bit))
#define CSUM	   F(0)
#define GUEST_CSUM F(1)
#define MTU	   F(3)
#define GUEST_TSO4 F(7)
#define HOST_TSO4  F(11)
#define MRG_RXBUF  F(15)
#define STATUS	   F(16)
#define CTRL_VQ	   F(17)
#define MQ	   F(22)

/* ---- A tap: each queue one end of a socket pair that keeps frames apart ---------------------- */

static int tap_ends[TAP_QUEUES_MAX]; /* the test's */
static bool tap_on[TAP_QUEUES_MAX];
static unsigned tap_has, tap_wanted, tap_opened;
static bool tap_gone; /* its interface */

int tap_open(struct tap *tap, const char *name, unsigned queues, unsigned header, struct err *err)
{
	(void)err;
	assert_string_equal(name, "tap0");
	assert_int_equal(header, HEADER);
	*tap = (struct tap){ .queues = queues, .offloads = tap_has, .lock = -1 };
	for (unsigned i = 0; i < queues; i++) {
		int ends[2], size = 1 << 17;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
		for (unsigned k = 0; k < 2; k++)
			setsockopt(ends[k], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		tap->fds[i] = ends[0];
		tap_ends[i] = ends[1];
		tap_on[i] = true;
	}
	tap_opened++;
	return 0;
}

void tap_close(struct tap *tap)
{
	for (unsigned i = 0; i < tap->queues; i++) {
		close(tap->fds[i]);
		close(tap_ends[i]);
	}
	tap_opened--;
}

int tap_set_offloads(const struct tap *tap, unsigned offloads)
{
	(void)tap;
	tap_wanted = offloads;
	return tap_gone ? -EBADFD : 0;
}

int tap_enable(const struct tap *tap, unsigned queue, bool on)
{
	assert_in_range(queue, 0, tap->queues - 1);
	tap_on[queue] = on;
	return 0;
}

/* ---- passt: the same, as a stream ------------------------------------------------------------ */

static int passt_end = -1;
static struct passt_forward passt_forwards[4];
static unsigned passt_n_forwards, passt_mtu;

void passt_stop(int fd)
{
	close(fd);
}

int passt_start(const struct passt_config *config, struct err *err)
{
	int ends[2];

	(void)err;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	passt_n_forwards = config->n_forwards;
	passt_mtu = config->mtu;
	memcpy(passt_forwards, config->forwards, config->n_forwards * sizeof(*config->forwards));
	passt_end = ends[1];
	return ends[0];
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static const struct options tap_options = { .tap = (char *)"tap0",
					    .queues = 1,
					    .vhost = VHOST_OFF };

static void wait_readable(int fd)
{
	struct pollfd in = { fd, POLLIN, 0 };

	if (poll(&in, 1, 10000) != 1)
		fail_msg("nothing came in 10 s");
}

/* Bytes that tell where they are, and of which frame. */
static void fill(uint8_t *p, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
}

static bool is_filled(const uint8_t *p, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != (uint8_t)(i * 7 + (i >> 8) + seed))
			return false;
	}
	return true;
}

/* A request to send a frame of len bytes, behind its header, in one buffer. */
static void add_frame(struct driver *d, unsigned queue, size_t len, unsigned seed)
{
	struct driver_buffer buffer = { driver_alloc(d, HEADER + len), (uint32_t)(HEADER + len) };

	fill((uint8_t *)driver_ptr(d, buffer.gpa) + HEADER, len, seed);
	driver_add(d, queue, &buffer, 1, 0);
}

static void expect_frame(int fd, size_t len, unsigned seed)
{
	static uint8_t buf[70000];

	wait_readable(fd);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), HEADER + len);
	assert_true(is_filled(buf + HEADER, len, seed));
}

/* A frame comes to the tap. */
static void give_frame(int fd, size_t len, unsigned seed)
{
	static uint8_t buf[70000];

	memset(buf, 0, HEADER);
	buf[0] = 0x55;
	fill(buf + HEADER, len, seed);
	assert_int_equal(send(fd, buf, HEADER + len, 0), HEADER + len);
}

/* Buffers to receive in: n of that size, side by side. */
static uint64_t add_buffers(struct driver *d, unsigned n, uint32_t size)
{
	uint64_t gpa = driver_alloc(d, (uint64_t)n * size);

	for (unsigned i = 0; i < n; i++)
		driver_add(d, RX, &(struct driver_buffer){ gpa + (uint64_t)i * size, size }, 0, 1);
	return gpa;
}

/* A frame lies in so many of those buffers, from gpa on. */
static void expect_received(struct driver *d, uint64_t gpa, unsigned n, uint32_t size, size_t len,
			    unsigned seed)
{
	uint8_t *p = driver_ptr(d, gpa);
	size_t left = HEADER + len;

	for (unsigned i = 0; i < n; i++) {
		size_t some = left < size ? left : size;

		assert_int_equal(driver_wait(d, RX, NULL), some);
		left -= some;
	}
	assert_int_equal(left, 0);
	assert_int_equal(bytes_get16(p + BUFFERS), n);
	assert_true(is_filled(p + HEADER, len, seed));
}

/* ---- Features and config --------------------------------------------------------------------- */

static void what_the_tap_does_is_offered_and_what_the_driver_takes_is_asked_for(void **state)
{
	struct driver d;

	(void)state;
	tap_has = 0;
	driver_plug(&d, &device_virtio_net, &tap_options);
	assert_int_equal(driver_offered(&d) & (CSUM | GUEST_CSUM | HOST_TSO4 | GUEST_TSO4), 0);
	driver_unplug(&d);
	tap_has = TAP_CSUM | TAP_TSO4;
	driver_plug(&d, &device_virtio_net, &tap_options);
	assert_int_equal(driver_offered(&d) & (CSUM | GUEST_CSUM | HOST_TSO4 | GUEST_TSO4 | F(12)),
			 CSUM | GUEST_CSUM | HOST_TSO4 | GUEST_TSO4);
	driver_start(&d, GUEST_CSUM);
	assert_int_equal(tap_wanted, TAP_CSUM);
	driver_start(&d, GUEST_CSUM | GUEST_TSO4 | CSUM);
	assert_int_equal(tap_wanted, TAP_CSUM | TAP_TSO4);
	driver_start(&d, GUEST_TSO4); /* which takes GUEST_CSUM: a tap would refuse */
	assert_int_equal(tap_wanted, 0);
	driver_unplug(&d);
	assert_int_equal(tap_opened, 0);
	tap_has = 0;
}

static uint64_t read_mac(struct driver *d)
{
	return driver_read(d, MMIO_CONFIG, 4) | driver_read(d, MMIO_CONFIG + 4, 2) << 32;
}

static uint64_t mac_of(const char *vm, struct options options)
{
	struct driver d;
	uint64_t mac;

	driver_init(&d);
	d.host.host.vm_name = vm;
	driver_create(&d, &device_virtio_net, &options);
	mac = read_mac(&d);
	driver_unplug(&d);
	return mac;
}

static void the_mac_is_the_given_one_or_made_of_the_name(void **state)
{
	struct options options = tap_options;

	(void)state;
	assert_int_equal(mac_of("a", options), mac_of("a", options));
	assert_int_not_equal(mac_of("a", options), mac_of("b", options));
	assert_int_equal(mac_of("a", options) & 3, 2);
	assert_int_equal(mac_of("b", options) & 3, 2);
	options.mac = (char *)"52:54:00:12:34:56";
	assert_int_equal(mac_of("a", options), 0x563412005452);
}

static void mtu_pairs_and_link_are_in_the_config(void **state)
{
	struct options options = tap_options;
	struct driver d;

	(void)state;
	driver_plug(&d, &device_virtio_net, &options);
	assert_int_equal(driver_offered(&d) & (MTU | MQ | STATUS), STATUS);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + CONFIG_STATUS, 2), 1);
	driver_unplug(&d);
	options.mtu = 9000;
	options.queues = 3;
	options.link = LINK_DOWN;
	driver_plug(&d, &device_virtio_net, &options);
	assert_int_equal(driver_offered(&d) & (MTU | MQ), MTU | MQ);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + CONFIG_STATUS, 2), 0);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + CONFIG_PAIRS, 2), 3);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + CONFIG_MTU, 2), 9000);
	driver_unplug(&d);
}

static void with_the_link_down_frames_are_lost_and_none_come(void **state)
{
	struct options options = tap_options;
	struct driver d;

	(void)state;
	options.link = LINK_DOWN;
	driver_plug(&d, &device_virtio_net, &options);
	driver_start(&d, 0);
	add_buffers(&d, 1, 2000);
	driver_kick(&d, RX);
	give_frame(tap_ends[0], 100, 1);
	add_frame(&d, TX, 60, 1);
	driver_kick(&d, TX);
	driver_wait(&d, TX, NULL);
	assert_int_equal(recv(tap_ends[0], &d, 1, MSG_DONTWAIT), -1);
	assert_int_equal(d.queues[RX].used[1], 0);
	driver_unplug(&d);
}

/* ---- A new start -------------------------------------------------------------------------- */

static struct device_kept kept;

static struct device_kept *keep(struct device_host *host, const struct device *dev)
{
	(void)host;
	(void)dev;
	return &kept;
}

static void a_new_start_has_the_same_tap(void **state)
{
	struct driver d;
	uint64_t gpa;
	int end;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	d.host.host.kept = keep;
	driver_start(&d, 0);
	end = tap_ends[0];
	loop_stop(d.host.host.loop);
	device_destroy(&d.dev);
	assert_int_equal(tap_opened, 1);
	driver_free(&d);
	driver_init(&d);
	d.host.host.kept = keep;
	driver_create(&d, &device_virtio_net, &tap_options);
	assert_null(kept.what);
	assert_int_equal(tap_opened, 1);
	driver_start(&d, 0);
	gpa = add_buffers(&d, 1, 1600);
	driver_kick(&d, RX);
	give_frame(end, 60, 1);
	expect_received(&d, gpa, 1, 1600, 60, 1);
	driver_unplug(&d);
	assert_int_equal(tap_opened, 1);
	kept.drop(kept.what);
	assert_int_equal(tap_opened, 0);
}

static void a_tap_that_is_gone_is_opened_again(void **state)
{
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	d.host.host.kept = keep;
	loop_stop(d.host.host.loop);
	device_destroy(&d.dev);
	driver_free(&d);
	tap_gone = true;
	driver_init(&d);
	d.host.host.kept = keep;
	driver_create(&d, &device_virtio_net, &tap_options);
	tap_gone = false;
	assert_int_equal(tap_opened, 1);
	driver_start(&d, 0);
	gpa = add_buffers(&d, 1, 1600);
	driver_kick(&d, RX);
	give_frame(tap_ends[0], 60, 1);
	expect_received(&d, gpa, 1, 1600, 60, 1);
	driver_unplug(&d);
	kept.drop(kept.what);
	kept.what = NULL;
	assert_int_equal(tap_opened, 0);
}

/* ---- From the driver to a tap ---------------------------------------------------------------- */

static void frames_go_out_however_their_buffers_are_cut(void **state)
{
	static const uint32_t cuts[][4] = { { 112 }, { 12, 100 }, { 1, 11, 100 }, { 5, 9, 1, 97 } };
	struct driver d;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, DRIVER_EVENT_IDX);
	for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
		uint64_t gpa = driver_alloc(&d, 112);
		struct driver_buffer buffers[4];
		unsigned n = 0;

		fill((uint8_t *)driver_ptr(&d, gpa) + HEADER, 100, i);
		for (uint64_t at = gpa; n < 4 && cuts[i][n]; n++) {
			buffers[n] = (struct driver_buffer){ at, cuts[i][n] };
			at += cuts[i][n];
		}
		assert_int_equal(driver_request(&d, TX, buffers, n, 0), 0);
		expect_frame(tap_ends[0], 100, i);
	}
	driver_unplug(&d);
}

static void a_frame_that_is_none_is_dropped_and_the_next_one_goes_out(void **state)
{
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, 0);
	gpa = driver_alloc(&d, 100000);
	driver_add(&d, TX, &(struct driver_buffer){ gpa, 5 }, 1, 0);
	driver_add(&d, TX, &(struct driver_buffer){ gpa, HEADER }, 1, 0);
	driver_add(&d, TX, &(struct driver_buffer){ gpa, HEADER + 13 }, 1, 0);
	driver_add(&d, TX, &(struct driver_buffer){ gpa, 100000 }, 1, 0);
	driver_add(&d, TX, &(struct driver_buffer){ gpa, 2000 }, 0, 1);
	add_frame(&d, TX, 60, 9);
	driver_kick(&d, TX);
	for (unsigned i = 0; i < 6; i++)
		driver_wait(&d, TX, NULL);
	expect_frame(tap_ends[0], 60, 9);
	assert_false(driver_broken(&d));
	driver_unplug(&d);
}

static void a_tap_that_is_full_is_waited_for(void **state)
{
	struct driver d;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, DRIVER_EVENT_IDX);
	for (unsigned i = 0; i < 200; i++)
		add_frame(&d, TX, 4000, i);
	driver_kick(&d, TX);
	for (unsigned i = 0; i < 200; i++)
		expect_frame(tap_ends[0], 4000, i);
	for (unsigned i = 0; i < 200; i++)
		driver_wait(&d, TX, NULL);
	driver_unplug(&d);
}

static void a_reset_while_the_tap_is_full_ends_it_and_the_next_driver_sends(void **state)
{
	struct driver d;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, 0);
	for (unsigned i = 0; i < 200; i++)
		add_frame(&d, TX, 4000, i);
	driver_kick(&d, TX);
	wait_readable(tap_ends[0]);
	driver_start(&d, 0);
	add_frame(&d, TX, 60, 77);
	driver_kick(&d, TX);
	for (unsigned i = 0;; i++) {
		uint8_t buf[HEADER + 4000];

		wait_readable(tap_ends[0]);
		if (recv(tap_ends[0], buf, sizeof(buf), 0) == HEADER + 60) {
			assert_true(is_filled(buf + HEADER, 60, 77));
			break;
		}
		assert_true(i < 200);
	}
	driver_unplug(&d);
}

/* ---- From a tap to the driver ---------------------------------------------------------------- */

static void frames_come_into_one_buffer_each(void **state)
{
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, DRIVER_EVENT_IDX);
	gpa = add_buffers(&d, 3, 2048);
	driver_kick(&d, RX);
	for (unsigned i = 0; i < 3; i++) {
		give_frame(tap_ends[0], 500 * (i + 1), i);
		expect_received(&d, gpa + 2048 * i, 1, 2048, 500 * (i + 1), i);
		/* the tap's header */
		assert_int_equal(*(uint8_t *)driver_ptr(&d, gpa + 2048 * i), 0x55);
	}
	driver_unplug(&d);
}

/* The first is longer than expected, so that its end is copied; others are read in place. */
static void long_frames_fill_several_buffers(void **state)
{
	static const size_t lens[] = { 60000, 60000, 1488, 1489, 3000, 65000, 14, 3036 };
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, MRG_RXBUF);
	gpa = add_buffers(&d, 200, 1500);
	driver_kick(&d, RX);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		unsigned n = (unsigned)(HEADER + lens[i] + 1499) / 1500;

		give_frame(tap_ends[0], lens[i], i);
		expect_received(&d, gpa, n, 1500, lens[i], i);
		gpa += n * 1500ULL;
	}
	driver_unplug(&d);
}

/* As many as a ring has, several times around, with what is staged moved down in between. */
static void a_stream_of_all_lengths_arrives_in_order(void **state)
{
	enum { SIZE = 700, SLOTS = 256 };
	struct driver d;
	uint64_t gpa, slot = 0;
	size_t len = 14;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, MRG_RXBUF | DRIVER_EVENT_IDX);
	gpa = add_buffers(&d, SLOTS, SIZE);
	driver_kick(&d, RX);
	for (unsigned i = 0; i < 600; i++) {
		unsigned n = (unsigned)(HEADER + len + SIZE - 1) / SIZE;
		uint8_t got[70000];
		size_t at = 0;

		give_frame(tap_ends[0], len, i);
		for (unsigned k = 0; k < n; k++) {
			uint64_t from = gpa + slot % SLOTS * SIZE;
			uint32_t written = driver_wait(&d, RX, NULL);

			memcpy(got + at, driver_ptr(&d, from), written);
			at += written;
			driver_add(&d, RX, &(struct driver_buffer){ from, SIZE }, 0, 1);
			slot++;
		}
		driver_kick(&d, RX);
		assert_int_equal(at, HEADER + len);
		assert_int_equal(bytes_get16(got + BUFFERS), n);
		assert_true(is_filled(got + HEADER, len, i));
		len = 14 + len * 31 % 17001;
	}
	driver_unplug(&d);
}

static void without_merging_a_frame_too_long_is_lost_and_the_next_one_comes(void **state)
{
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, 0);
	gpa = add_buffers(&d, 2, 1500);
	driver_kick(&d, RX);
	give_frame(tap_ends[0], 3000, 1);
	give_frame(tap_ends[0], 1488, 2);
	expect_received(&d, gpa, 1, 1500, 1488, 2);
	driver_unplug(&d);
}

static void frames_wait_for_buffers(void **state)
{
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, MRG_RXBUF);
	give_frame(tap_ends[0], 4000, 1);
	give_frame(tap_ends[0], 100, 2);
	gpa = add_buffers(&d, 2, 1504); /* the first needs three */
	driver_kick(&d, RX);
	add_buffers(&d, 2, 1504);
	driver_kick(&d, RX);
	expect_received(&d, gpa, 3, 1504, 4000, 1);
	expect_received(&d, gpa + 3 * 1504, 1, 1504, 100, 2);
	driver_unplug(&d);
}

static uint64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void a_driver_without_buffers_costs_no_time(void **state)
{
	struct timespec nap = { .tv_nsec = 300000000 };
	struct driver d;
	uint64_t before;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, DRIVER_EVENT_IDX);
	for (unsigned i = 0; i < 20; i++)
		give_frame(tap_ends[0], 1000, i);
	driver_kick(&d, RX);
	before = cpu_time();
	nanosleep(&nap, NULL);
	assert_in_range(cpu_time() - before, 0, 100000000);
	driver_unplug(&d);
}

static void a_buffer_too_short_for_a_header_breaks_the_device(void **state)
{
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, 0);
	add_buffers(&d, 1, HEADER - 1);
	driver_kick(&d, RX);
	give_frame(tap_ends[0], 100, 1);
	driver_wait_irq(&d);
	assert_true(driver_broken(&d));
	driver_start(&d, 0); /* and a reset mends it */
	gpa = add_buffers(&d, 1, 2000);
	driver_kick(&d, RX);
	give_frame(tap_ends[0], 80, 3);
	expect_received(&d, gpa, 1, 2000, 80, 3);
	driver_unplug(&d);
}

/* ---- The control queue ----------------------------------------------------------------------- */

/* The answer to a command of these bytes. */
static uint8_t command(struct driver *d, unsigned queue, const void *bytes, uint32_t len)
{
	uint64_t gpa = driver_alloc(d, len + 1);
	uint8_t *p = driver_ptr(d, gpa);

	memcpy(p, bytes, len);
	p[len] = 0xee;
	assert_int_equal(driver_request(d, queue,
					(struct driver_buffer[]){ { gpa, len }, { gpa + len, 1 } },
					1, 1),
			 1);
	return p[len];
}

#define COMMAND(d, queue, ...)                                                                     \
	command(d, queue, (uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

static void commands_are_obeyed_or_refused(void **state)
{
	struct driver d;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, CTRL_VQ);
	assert_int_equal(COMMAND(&d, 2, 0, 0, 1), 0); /* promiscuous */
	assert_int_equal(COMMAND(&d, 2, 0, 1, 0), 0);
	assert_int_equal(COMMAND(&d, 2, 0, 0), 1);
	assert_int_equal(COMMAND(&d, 2, 0, 7, 0), 1);
	assert_int_equal(COMMAND(&d, 2, 9), 1);
	assert_int_equal(COMMAND(&d, 2, 200, 200, 200), 1);
	assert_int_equal(COMMAND(&d, 2, 1, 1, 2, 3, 4, 5, 6, 7), 0); /* the address */
	assert_int_equal(read_mac(&d), 0x070605040302);
	assert_int_equal(COMMAND(&d, 2, 1, 1, 3, 3, 4, 5, 6, 7), 1); /* a group's */
	assert_int_equal(COMMAND(&d, 2, 1, 1, 2, 3, 4, 5, 6), 1);
	assert_int_equal(read_mac(&d), 0x070605040302);
	/* Two lists of addresses */
	assert_int_equal(COMMAND(&d, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	assert_int_equal(COMMAND(&d, 2, 1, 0, 1, 0, 0, 0, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0), 0);
	assert_int_equal(COMMAND(&d, 2, 1, 0, 2, 0, 0, 0, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0), 1);
	assert_int_equal(COMMAND(&d, 2, 1, 0, 255, 255, 255, 255, 0, 0, 0, 0), 1);
	assert_int_equal(COMMAND(&d, 2, 1, 0, 0, 0, 0, 0), 1);
	assert_int_equal(COMMAND(&d, 2, 4, 0, 1, 0), 1); /* pairs: not negotiated */
	driver_start(&d, CTRL_VQ);
	assert_int_not_equal(read_mac(&d), 0x070605040302);
	driver_unplug(&d);
}

static void a_command_without_room_for_an_answer_breaks_the_device(void **state)
{
	struct driver d;

	(void)state;
	driver_plug(&d, &device_virtio_net, &tap_options);
	driver_start(&d, CTRL_VQ);
	driver_add(&d, 2, &(struct driver_buffer){ driver_alloc(&d, 16), 3 }, 1, 0);
	driver_kick(&d, 2);
	driver_wait_irq(&d);
	assert_true(driver_broken(&d));
	driver_unplug(&d);
}

static void pairs_take_part_as_the_driver_says(void **state)
{
	struct options options = tap_options;
	struct driver d;

	(void)state;
	options.queues = 3;
	driver_plug(&d, &device_virtio_net, &options);
	driver_start(&d, CTRL_VQ | MQ);
	assert_true(tap_on[0] && !tap_on[1] && !tap_on[2]);
	assert_int_equal(COMMAND(&d, 6, 4, 0, 3, 0), 0);
	assert_true(tap_on[0] && tap_on[1] && tap_on[2]);
	for (unsigned i = 0; i < 3; i++) {
		add_frame(&d, 2 * i + TX, 100, i);
		driver_kick(&d, 2 * i + TX);
		expect_frame(tap_ends[i], 100, i);
	}
	assert_int_equal(COMMAND(&d, 6, 4, 0, 2, 0), 0);
	assert_true(tap_on[0] && tap_on[1] && !tap_on[2]);
	assert_int_equal(COMMAND(&d, 6, 4, 0, 0, 0), 1);
	assert_int_equal(COMMAND(&d, 6, 4, 0, 4, 0), 1);
	assert_int_equal(COMMAND(&d, 6, 4, 0, 1), 1);
	driver_reset(&d);
	assert_true(tap_on[0] && tap_on[1] && tap_on[2]);
	driver_unplug(&d);
}

/* A driver that knows of one pair alone finds the control queue behind it: VIRTIO 5.1.2. */
static void without_several_pairs_the_control_queue_is_the_third(void **state)
{
	struct options options = tap_options;
	struct driver d;

	(void)state;
	options.queues = 4;
	driver_plug(&d, &device_virtio_net, &options);
	driver_negotiate(&d, CTRL_VQ);
	for (unsigned i = 0; i < 3; i++) {
		driver_ring(&d, i, 64);
		driver_enable(&d, i);
	}
	driver_ok(&d);
	assert_int_equal(COMMAND(&d, 2, 0, 0, 1), 0);
	assert_true(tap_on[0] && !tap_on[1] && !tap_on[2] && !tap_on[3]);
	driver_unplug(&d);
}

/* ---- Streams --------------------------------------------------------------------------------- */

static char path[64];

static void make_path(void)
{
	snprintf(path, sizeof(path), "/tmp/vibevmm-test-net.%d", (int)getpid());
	unlink(path);
}

static int socket_at(struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(addr->sun_path, path);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int join(void)
{
	struct sockaddr_un addr;
	int fd = socket_at(&addr);

	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static bool link_up(struct driver *d)
{
	return driver_read(d, MMIO_CONFIG + CONFIG_STATUS, 2) & 1;
}

static void wait_link(struct driver *d, bool up)
{
	while (link_up(d) != up)
		driver_wait_irq(d);
}

static void put_stream(int fd, size_t len, unsigned seed)
{
	static uint8_t buf[70000];

	buf[0] = buf[1] = 0;
	buf[2] = (uint8_t)(len >> 8);
	buf[3] = (uint8_t)len;
	fill(buf + 4, len, seed);
	assert_int_equal(send(fd, buf, 4 + len, MSG_NOSIGNAL), 4 + len);
}

static void get_stream(int fd, size_t len, unsigned seed)
{
	static uint8_t buf[70000];

	wait_readable(fd);
	assert_int_equal(recv(fd, buf, 4, MSG_WAITALL), 4);
	assert_int_equal(buf[0] << 24 | buf[1] << 16 | buf[2] << 8 | buf[3], len);
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
	assert_true(is_filled(buf, len, seed));
}

static struct driver *listening(struct driver *d, uint64_t features)
{
	static struct options options;

	make_path();
	options = (struct options){ .listen = path, .queues = 1 };
	driver_plug(d, &device_virtio_net, &options);
	driver_start(d, features);
	return d;
}

static void the_link_is_up_while_the_other_vm_is_there(void **state)
{
	struct driver d;
	int fd, other;
	char byte;

	(void)state;
	listening(&d, 0);
	assert_false(link_up(&d));
	fd = join();
	wait_link(&d, true);
	other = join(); /* a third one is turned away */
	wait_readable(other);
	assert_int_equal(recv(other, &byte, 1, 0), 0);
	close(other);
	close(fd);
	wait_link(&d, false);
	fd = join();
	wait_link(&d, true);
	close(fd);
	driver_unplug(&d);
	assert_int_equal(access(path, F_OK), -1);
}

static void frames_pass_both_ways_on_a_stream(void **state)
{
	struct driver d;
	uint64_t gpa;
	int fd;

	(void)state;
	listening(&d, MRG_RXBUF | DRIVER_EVENT_IDX);
	fd = join();
	wait_link(&d, true);
	gpa = add_buffers(&d, 100, 1500);
	driver_kick(&d, RX);
	put_stream(fd, 60, 1);
	expect_received(&d, gpa, 1, 1500, 60, 1);
	put_stream(fd, 65535, 2);
	put_stream(fd, 14, 3);
	expect_received(&d, gpa + 1500, 44, 1500, 65535, 2);
	expect_received(&d, gpa + 45 * 1500, 1, 1500, 14, 3);
	for (unsigned i = 0; i < 10; i++)
		add_frame(&d, TX, 200 + i, i);
	driver_kick(&d, TX);
	for (unsigned i = 0; i < 10; i++)
		get_stream(fd, 200 + i, i);
	close(fd);
	driver_unplug(&d);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
	uint8_t bytes[4 + 40] = { 0, 0, 0, 40 };
	struct driver d;
	uint64_t gpa;
	int fd;

	(void)state;
	listening(&d, 0);
	fd = join();
	wait_link(&d, true);
	gpa = add_buffers(&d, 2, 1500);
	driver_kick(&d, RX);
	fill(bytes + 4, 40, 5);
	for (unsigned n = 0; n < 2; n++) {
		for (unsigned i = 0; i < sizeof(bytes); i++)
			assert_int_equal(send(fd, bytes + i, 1, 0), 1);
		expect_received(&d, gpa + n * 1500, 1, 1500, 40, 5);
	}
	close(fd);
	driver_unplug(&d);
}

static void headers_are_taken_off_however_they_are_cut(void **state)
{
	static const uint32_t cuts[][4] = { { 112 }, { 12, 100 }, { 1, 11, 100 }, { 5, 9, 1, 97 } };
	struct driver d;
	int fd;

	(void)state;
	listening(&d, 0);
	fd = join();
	wait_link(&d, true);
	for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
		uint64_t gpa = driver_alloc(&d, 112);
		struct driver_buffer buffers[4];
		unsigned n = 0;

		fill((uint8_t *)driver_ptr(&d, gpa) + HEADER, 100, i);
		for (uint64_t at = gpa; n < 4 && cuts[i][n]; n++) {
			buffers[n] = (struct driver_buffer){ at, cuts[i][n] };
			at += cuts[i][n];
		}
		driver_request(&d, TX, buffers, n, 0);
		get_stream(fd, 100, i);
	}
	close(fd);
	driver_unplug(&d);
}

static void a_slow_reader_gets_all_of_it(void **state)
{
	struct driver d;
	int fd;

	(void)state;
	listening(&d, DRIVER_EVENT_IDX);
	fd = join();
	wait_link(&d, true);
	for (unsigned i = 0; i < 100; i++)
		add_frame(&d, TX, 30000, i);
	driver_kick(&d, TX);
	for (unsigned i = 0; i < 100; i++)
		get_stream(fd, 30000, i);
	for (unsigned i = 0; i < 100; i++)
		driver_wait(&d, TX, NULL);
	close(fd);
	driver_unplug(&d);
}

/* The driver stopped at a full ring: nothing but their use makes it go on. */
static void who_goes_while_frames_wait_sets_them_free(void **state)
{
	struct driver d;
	int fd;

	(void)state;
	listening(&d, DRIVER_EVENT_IDX);
	fd = join();
	wait_link(&d, true);
	for (unsigned i = 0; i < 100; i++)
		add_frame(&d, TX, 30000, i);
	driver_kick(&d, TX);
	get_stream(fd, 30000, 0);
	close(fd);
	for (unsigned i = 0; i < 100; i++)
		driver_wait(&d, TX, NULL);
	driver_unplug(&d);
}

/* Frames after one that a reset has cut would be garbage to the reader. */
static void a_reset_leaves_the_stream_whole(void **state)
{
	static uint8_t buf[70000];
	struct driver d;
	uint32_t len;
	int fd;

	(void)state;
	listening(&d, 0);
	fd = join();
	wait_link(&d, true);
	for (unsigned i = 0; i < 100; i++)
		add_frame(&d, TX, 30000, i);
	driver_kick(&d, TX);
	wait_readable(fd);
	assert_int_equal(recv(fd, buf, 4, MSG_WAITALL), 4);
	assert_int_equal(recv(fd, buf, 30000, MSG_WAITALL), 30000);
	driver_start(&d, 0);
	add_frame(&d, TX, 60, 200);
	driver_kick(&d, TX);
	for (unsigned i = 1;; i++) {
		wait_readable(fd);
		assert_int_equal(recv(fd, buf, 4, MSG_WAITALL), 4);
		len = (uint32_t)(buf[2] << 8 | buf[3]);
		assert_true(len == 30000 || len == 60);
		assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
		assert_true(is_filled(buf, len, len == 60 ? 200 : i));
		if (len == 60)
			break;
	}
	close(fd);
	driver_unplug(&d);
}

static void a_stream_waits_for_buffers(void **state)
{
	struct driver d;
	uint64_t gpa;
	int fd;

	(void)state;
	listening(&d, MRG_RXBUF);
	fd = join();
	wait_link(&d, true);
	put_stream(fd, 4000, 1);
	put_stream(fd, 100, 2);
	gpa = add_buffers(&d, 2, 1504);
	driver_kick(&d, RX);
	add_buffers(&d, 2, 1504);
	driver_kick(&d, RX);
	expect_received(&d, gpa, 3, 1504, 4000, 1);
	expect_received(&d, gpa + 3 * 1504, 1, 1504, 100, 2);
	close(fd);
	driver_unplug(&d);
}

static void without_merging_a_long_frame_of_a_stream_is_lost(void **state)
{
	struct driver d;
	uint64_t gpa;
	int fd;

	(void)state;
	listening(&d, 0);
	fd = join();
	wait_link(&d, true);
	gpa = add_buffers(&d, 2, 1500);
	driver_kick(&d, RX);
	put_stream(fd, 3000, 1);
	put_stream(fd, 1488, 2);
	expect_received(&d, gpa, 1, 1500, 1488, 2);
	close(fd);
	driver_unplug(&d);
}

static void who_sends_no_frames_is_cut_off(void **state)
{
	static const uint8_t lengths[][4] = { { 0xff, 0xff, 0xff, 0xff }, { 0, 1, 0, 0 }, { 0 } };
	struct driver d;
	char byte;

	(void)state;
	listening(&d, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		int fd = join();

		wait_link(&d, true);
		assert_int_equal(send(fd, lengths[i], 4, 0), 4);
		wait_readable(fd);
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		wait_link(&d, false);
		close(fd);
	}
	assert_false(driver_broken(&d));
	driver_unplug(&d);
}

static void frames_without_another_vm_are_lost(void **state)
{
	struct driver d;

	(void)state;
	listening(&d, 0);
	for (unsigned i = 0; i < 5; i++)
		add_frame(&d, TX, 100, i);
	driver_kick(&d, TX);
	for (unsigned i = 0; i < 5; i++)
		driver_wait(&d, TX, NULL);
	driver_unplug(&d);
}

static void who_connects_waits_for_the_one_who_listens(void **state)
{
	struct options options = { .connect = path, .queues = 1 };
	struct sockaddr_un addr;
	struct driver d;
	int listener, fd;

	(void)state;
	make_path();
	driver_plug(&d, &device_virtio_net, &options);
	driver_start(&d, 0);
	assert_false(link_up(&d));
	for (unsigned i = 0; i < 2; i++) { /* and again when that one has gone */
		listener = socket_at(&addr);
		assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_int_equal(listen(listener, 1), 0);
		fd = accept(listener, NULL, NULL);
		wait_link(&d, true);
		add_frame(&d, TX, 100, i);
		driver_kick(&d, TX);
		get_stream(fd, 100, i);
		unlink(path);
		close(listener);
		close(fd);
		wait_link(&d, false);
	}
	driver_unplug(&d);
}

static void passt_is_told_of_ports_and_its_checksums_are_trusted(void **state)
{
	struct forward {
		uint32_t host, guest, proto;
		char *address;
	} forwards[] = { { 2222, 22, 0, NULL }, { 53, 0, 1, (char *)"127.0.0.1" } };
	struct options options = {
		.user = true, .queues = 1, .mtu = 1400, .forward = { forwards, 2 }
	};
	struct driver d;
	uint64_t gpa;

	(void)state;
	driver_plug(&d, &device_virtio_net, &options);
	assert_int_equal(passt_n_forwards, 2);
	assert_int_equal(passt_mtu, 1400);
	assert_int_equal(passt_forwards[0].host, 2222);
	assert_int_equal(passt_forwards[0].guest, 22);
	assert_false(passt_forwards[0].udp);
	assert_int_equal(passt_forwards[1].guest, 53);
	assert_true(passt_forwards[1].udp);
	assert_string_equal(passt_forwards[1].address, "127.0.0.1");
	assert_true(driver_offered(&d) & GUEST_CSUM);
	assert_true(link_up(&d));
	driver_start(&d, GUEST_CSUM);
	gpa = add_buffers(&d, 1, 1500);
	driver_kick(&d, RX);
	put_stream(passt_end, 60, 1);
	expect_received(&d, gpa, 1, 1500, 60, 1);
	assert_int_equal(*(uint8_t *)driver_ptr(&d, gpa), 2); /* VIRTIO_NET_HDR_F_DATA_VALID */
	close(passt_end);
	wait_link(&d, false);
	driver_unplug(&d);
}

/* It would lose its place in the stream: see n_iov_now(). */
static void passt_finds_whole_frames_however_slow_it_reads(void **state)
{
	enum { N = 100, LEN = 9000, SIZE = 1 << 20 };
	static uint8_t expected[4 + LEN];
	struct options options = { .user = true, .queues = 1 };
	uint8_t *buf = malloc(SIZE);
	struct driver d;
	unsigned done = 0;

	(void)state;
	assert_non_null(buf);
	driver_plug(&d, &device_virtio_net, &options);
	driver_start(&d, DRIVER_EVENT_IDX);
	for (unsigned i = 0; i < N; i++)
		add_frame(&d, TX, LEN, i);
	driver_kick(&d, TX);
	while (done < N) {
		ssize_t n;

		wait_readable(passt_end);
		n = recv(passt_end, buf, SIZE, 0);
		assert_true(n > 0);
		assert_int_equal(n % (ssize_t)sizeof(expected), 0);
		for (ssize_t at = 0; at < n; at += (ssize_t)sizeof(expected)) {
			expected[2] = LEN >> 8;
			expected[3] = LEN & 0xff;
			fill(expected + 4, LEN, done++);
			assert_memory_equal(buf + at, expected, sizeof(expected));
		}
	}
	free(buf);
	close(passt_end);
	driver_unplug(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_the_tap_does_is_offered_and_what_the_driver_takes_is_asked_for),
		cmocka_unit_test(a_new_start_has_the_same_tap),
		cmocka_unit_test(a_tap_that_is_gone_is_opened_again),
		cmocka_unit_test(the_mac_is_the_given_one_or_made_of_the_name),
		cmocka_unit_test(mtu_pairs_and_link_are_in_the_config),
		cmocka_unit_test(with_the_link_down_frames_are_lost_and_none_come),
		cmocka_unit_test(frames_go_out_however_their_buffers_are_cut),
		cmocka_unit_test(a_frame_that_is_none_is_dropped_and_the_next_one_goes_out),
		cmocka_unit_test(a_tap_that_is_full_is_waited_for),
		cmocka_unit_test(a_reset_while_the_tap_is_full_ends_it_and_the_next_driver_sends),
		cmocka_unit_test(frames_come_into_one_buffer_each),
		cmocka_unit_test(long_frames_fill_several_buffers),
		cmocka_unit_test(a_stream_of_all_lengths_arrives_in_order),
		cmocka_unit_test(without_merging_a_frame_too_long_is_lost_and_the_next_one_comes),
		cmocka_unit_test(frames_wait_for_buffers),
		cmocka_unit_test(a_driver_without_buffers_costs_no_time),
		cmocka_unit_test(a_buffer_too_short_for_a_header_breaks_the_device),
		cmocka_unit_test(commands_are_obeyed_or_refused),
		cmocka_unit_test(a_command_without_room_for_an_answer_breaks_the_device),
		cmocka_unit_test(pairs_take_part_as_the_driver_says),
		cmocka_unit_test(without_several_pairs_the_control_queue_is_the_third),
		cmocka_unit_test(the_link_is_up_while_the_other_vm_is_there),
		cmocka_unit_test(frames_pass_both_ways_on_a_stream),
		cmocka_unit_test(a_frame_may_come_byte_by_byte),
		cmocka_unit_test(headers_are_taken_off_however_they_are_cut),
		cmocka_unit_test(a_slow_reader_gets_all_of_it),
		cmocka_unit_test(who_goes_while_frames_wait_sets_them_free),
		cmocka_unit_test(a_reset_leaves_the_stream_whole),
		cmocka_unit_test(a_stream_waits_for_buffers),
		cmocka_unit_test(without_merging_a_long_frame_of_a_stream_is_lost),
		cmocka_unit_test(who_sends_no_frames_is_cut_off),
		cmocka_unit_test(frames_without_another_vm_are_lost),
		cmocka_unit_test(who_connects_waits_for_the_one_who_listens),
		cmocka_unit_test(passt_is_told_of_ports_and_its_checksums_are_trusted),
		cmocka_unit_test(passt_finds_whole_frames_however_slow_it_reads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
