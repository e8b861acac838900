/* test_virtio_vsock.c: the guest's sockets, as a driver and programs of the host see them. */
#include "virtio_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../../src/virtio/vsock.h"

extern const struct device_row device_virtio_vsock;

#define CID	 42
#define RX_SIZE	 8192U
#define RX_COUNT 16U
#define HEADER	 44U

enum { RX, TX };

static struct {
	struct driver d;
	struct vsock_options options;
	char dir[64], path[96];
	uint64_t tx, rx[256]; /* buffers in guest memory; rx by head */
} t;

/* ---- The guest ----------------------------------------------------------------------------- */

static void post(unsigned n)
{
	while (n--) {
		uint64_t gpa = driver_alloc(&t.d, RX_SIZE);
		uint16_t head = driver_add(&t.d, RX, &(struct driver_buffer){ gpa, RX_SIZE }, 0, 1);

		t.rx[head] = gpa;
	}
	driver_kick(&t.d, RX);
}

static void start(unsigned buffers)
{
	driver_start(&t.d, 0);
	t.tx = driver_alloc(&t.d, HEADER + 0x40000);
	post(buffers);
}

/* With the ring's own header, apart from the device's code: VIRTIO 5.10.6. */
static struct driver_buffer packet_at(const struct vsock_packet *p, const void *data)
{
	uint8_t *b = driver_ptr(&t.d, t.tx);

	bytes_put64(b, p->src_cid);
	bytes_put64(b + 8, p->dst_cid);
	bytes_put32(b + 16, p->src_port);
	bytes_put32(b + 20, p->dst_port);
	bytes_put32(b + 24, p->len);
	bytes_put16(b + 28, p->type);
	bytes_put16(b + 30, p->op);
	bytes_put32(b + 32, p->flags);
	bytes_put32(b + 36, p->buf_alloc);
	bytes_put32(b + 40, p->fwd_cnt);
	if (data)
		memcpy(b + HEADER, data, p->len);
	return (struct driver_buffer){ t.tx, HEADER + p->len };
}

static void send_packet(const struct vsock_packet *p, const void *data)
{
	struct driver_buffer buffer = packet_at(p, data);

	assert_int_equal(driver_request(&t.d, TX, &buffer, 1, 0), 0);
}

/* One with the usual CIDs and plenty of credit for the device. */
static struct vsock_packet packet(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	return (struct vsock_packet){ .src_cid = CID,
				      .dst_cid = 2,
				      .src_port = guest_port,
				      .dst_port = host_port,
				      .type = 1,
				      .op = op,
				      .buf_alloc = 1 << 20 };
}

static void send_op(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_packet p = packet(op, guest_port, host_port);

	send_packet(&p, NULL);
}

static void send_data(uint32_t guest_port, uint32_t host_port, const void *data, uint32_t len)
{
	struct vsock_packet p = packet(VSOCK_RW, guest_port, host_port);

	p.len = len;
	send_packet(&p, data);
}

/* The next packet for the guest; its data goes to data, or is none. The buffer is posted anew. */
static struct vsock_packet receive(void *data)
{
	struct vsock_packet p;
	uint16_t head;
	uint32_t written = driver_wait(&t.d, RX, &head);
	uint8_t *b = driver_ptr(&t.d, t.rx[head]);

	assert_true(written >= HEADER && written <= RX_SIZE);
	p = (struct vsock_packet){
		.src_cid = bytes_get64(b),
		.dst_cid = bytes_get64(b + 8),
		.src_port = bytes_get32(b + 16),
		.dst_port = bytes_get32(b + 20),
		.len = bytes_get32(b + 24),
		.type = bytes_get16(b + 28),
		.op = bytes_get16(b + 30),
		.flags = bytes_get32(b + 32),
		.buf_alloc = bytes_get32(b + 36),
		.fwd_cnt = bytes_get32(b + 40),
	};
	assert_int_equal(written, HEADER + p.len);
	assert_int_equal(p.dst_cid, CID);
	if (p.op == VSOCK_RW)
		assert_non_null(data);
	else
		assert_int_equal(p.len, 0);
	memcpy(data ? data : &p, data ? b + HEADER : (uint8_t *)&p, data ? p.len : 0);
	driver_offer(&t.d, RX, head);
	t.d.queues[RX].busy[head] = true;
	driver_kick(&t.d, RX);
	return p;
}

static struct vsock_packet expect(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_packet p = receive(NULL);

	assert_int_equal(p.op, op);
	assert_int_equal(p.src_cid, 2);
	assert_int_equal(p.src_port, host_port);
	assert_int_equal(p.dst_port, guest_port);
	assert_int_equal(p.type, 1);
	return p;
}

/* ---- The host ------------------------------------------------------------------------------ */

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return addr;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1024), 0);
	return fd;
}

/* Who listens for the guest's connections to that port. */
static int listen_port(unsigned port)
{
	char path[108];

	snprintf(path, sizeof(path), "%s_%u", t.path, port);
	return listen_at(path);
}

static int accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval limit = { .tv_sec = 10 };

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static int connect_host(void)
{
	struct sockaddr_un addr = address(t.path);
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Exactly len bytes, or the end of the stream. */
static size_t hear(int fd, void *buf, size_t len)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < len && (n = read(fd, (uint8_t *)buf + done, len - done)) > 0)
		done += (size_t)n;
	if (n < 0 && errno != ECONNRESET)
		fail_msg("read: %s", strerror(errno));
	return done;
}

static bool at_end(int fd)
{
	char c;

	return !hear(fd, &c, 1);
}

/* A connection that the guest began, joined on both sides; the host's end. */
static int join(int listener, uint32_t guest_port, uint32_t host_port)
{
	send_op(VSOCK_REQUEST, guest_port, host_port);
	expect(VSOCK_RESPONSE, host_port, guest_port);
	return accept_one(listener);
}

/* Pseudo-random bytes that both ends can make. */
static void fill_pattern(uint8_t *buf, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		buf[i] = (uint8_t)(seed >> 24);
	}
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/vsock.XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/s", t.dir);
	t.options =
		(struct vsock_options){ .transport = VIRTIO_MMIO, .cid = CID, .socket = t.path };
	driver_plug(&t.d, &device_virtio_vsock, &t.options);
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	driver_unplug(&t.d);
	assert_int_equal(access(t.path, F_OK), -1); /* the socket is gone */
	snprintf(command, sizeof(command), "rm -rf %s", t.dir);
	return system(command);
}

/* ---- Connections --------------------------------------------------------------------------- */

static void test_config_is_the_cid(void **state)
{
	(void)state;
	assert_int_equal(driver_in(&t.d, MMIO_CONFIG), CID);
	assert_int_equal(driver_in(&t.d, MMIO_CONFIG + 4), 0);
	assert_true(driver_offered(&t.d) & 1); /* VIRTIO_VSOCK_F_STREAM */
}

static void test_guest_connects_and_bytes_go_both_ways(void **state)
{
	int listener = listen_port(7), fd;
	char buf[RX_SIZE];
	struct vsock_packet p;

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	send_data(1000, 7, "from the guest", 14);
	assert_int_equal(hear(fd, buf, 14), 14);
	assert_memory_equal(buf, "from the guest", 14);
	say(fd, "from the host");
	p = receive(buf);
	assert_int_equal(p.op, VSOCK_RW);
	assert_int_equal(p.len, 13);
	assert_memory_equal(buf, "from the host", 13);
	assert_int_equal(p.fwd_cnt, 14);
	assert_int_equal(p.buf_alloc, VSOCK_BUFFER);
	close(fd);
	close(listener);
}

static void test_guest_is_refused_where_nobody_listens(void **state)
{
	(void)state;
	start(RX_COUNT);
	send_op(VSOCK_REQUEST, 1000, 7);
	expect(VSOCK_RST, 7, 1000);
}

static void test_host_connects_and_what_follows_the_line_is_data(void **state)
{
	struct vsock_packet p;
	char buf[RX_SIZE];
	int fd;

	(void)state;
	start(RX_COUNT);
	fd = connect_host();
	say(fd, "CONNECT 52\nearly");
	p = receive(NULL);
	assert_int_equal(p.op, VSOCK_REQUEST);
	assert_int_equal(p.dst_port, 52);
	assert_true(p.src_port >= VSOCK_FIRST_PORT);
	send_op(VSOCK_RESPONSE, 52, p.src_port);
	snprintf(buf, sizeof(buf), "OK %u\n", p.src_port);
	{
		char line[32];

		assert_int_equal(hear(fd, line, strlen(buf)), strlen(buf));
		assert_memory_equal(line, buf, strlen(buf));
	}
	p = receive(buf);
	assert_int_equal(p.len, 5);
	assert_memory_equal(buf, "early", 5);
	send_data(52, p.src_port, "hello", 5);
	assert_int_equal(hear(fd, buf, 5), 5);
	assert_memory_equal(buf, "hello", 5);
	close(fd);
}

static void test_host_line_may_come_in_pieces(void **state)
{
	int fd;

	(void)state;
	start(RX_COUNT);
	fd = connect_host();
	for (const char *c = "CONNECT 4294967295\n"; *c; c++) {
		usleep(*c == '9' ? 2000 : 0); /* a race that is lost proves less, not wrong */
		say(fd, (char[]){ *c, 0 });
	}
	assert_int_equal(receive(NULL).dst_port, 4294967295U);
	close(fd);
}

static void test_host_is_told_when_guest_refuses(void **state)
{
	struct vsock_packet p;
	int fd;

	(void)state;
	start(RX_COUNT);
	fd = connect_host();
	say(fd, "CONNECT 52\n");
	p = receive(NULL);
	send_op(VSOCK_RST, 52, p.src_port);
	assert_true(at_end(fd));
	close(fd);
}

static void test_host_that_gives_up_takes_its_request_back(void **state)
{
	struct vsock_packet p;
	int fd;

	(void)state;
	start(RX_COUNT);
	fd = connect_host();
	say(fd, "CONNECT 52\n");
	p = receive(NULL);
	close(fd);
	expect(VSOCK_RST, p.src_port, 52);
}

static void test_host_with_another_line_is_hung_up_on(void **state)
{
	static const char *const lines[] = {
		"CONNECT\n",	"CONNECT \n",		"CONNECT x\n",
		"CONNECT -1\n", "CONNECT 4294967296\n", "connect 1\n",
		"\n",		"CONNECT 1 \n",		"GET / HTTP/1.1 and so on and so on",
	};

	(void)state;
	start(RX_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int fd = connect_host();

		say(fd, lines[i]);
		assert_true(at_end(fd));
		close(fd);
	}
}

static void test_host_waits_until_the_guest_has_a_driver(void **state)
{
	int fd = connect_host();

	(void)state;
	say(fd, "CONNECT 5\n");
	start(RX_COUNT);
	assert_int_equal(receive(NULL).dst_port, 5);
	close(fd);
}

/* ---- Ends of connections ------------------------------------------------------------------- */

static void test_guest_closes_one_half(void **state)
{
	struct vsock_packet p = packet(VSOCK_SHUTDOWN, 1000, 7);
	int listener = listen_port(7), fd;
	char buf[RX_SIZE];

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	send_data(1000, 7, "last", 4);
	p.flags = VSOCK_NO_SEND;
	send_packet(&p, NULL);
	assert_int_equal(hear(fd, buf, 5), 4); /* and the end of the stream */
	say(fd, "answer");
	assert_int_equal(receive(buf).len, 6);
	assert_memory_equal(buf, "answer", 6);
	close(fd);
	close(listener);
}

static void test_host_closes_one_half(void **state)
{
	int listener = listen_port(7), fd;
	struct vsock_packet p;
	char buf[RX_SIZE];

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	say(fd, "last");
	shutdown(fd, SHUT_WR);
	assert_int_equal(receive(buf).len, 4);
	p = expect(VSOCK_SHUTDOWN, 7, 1000);
	assert_int_equal(p.flags, VSOCK_NO_SEND);
	send_data(1000, 7, "answer", 6);
	assert_int_equal(hear(fd, buf, 6), 6);
	close(fd);
	p = expect(VSOCK_SHUTDOWN, 7, 1000);
	assert_int_equal(p.flags, VSOCK_NO_SEND | VSOCK_NO_RECEIVE);
	send_op(VSOCK_RST, 1000, 7);
	/* It is gone. */
	send_op(VSOCK_CREDIT_UPDATE, 1000, 7);
	expect(VSOCK_RST, 7, 1000);
	close(listener);
}

static void test_host_that_closes_leaves_what_it_sent(void **state)
{
	int listener = listen_port(7), fd;
	char buf[RX_SIZE];
	unsigned flags = 0;
	bool heard = false;

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	say(fd, "last");
	close(fd);
	while (flags != (VSOCK_NO_SEND | VSOCK_NO_RECEIVE)) {
		struct vsock_packet p = receive(buf);

		if (p.op == VSOCK_RW) {
			assert_int_equal(p.len, 4);
			assert_false(flags & VSOCK_NO_SEND);
			heard = true;
		} else {
			assert_int_equal(p.op, VSOCK_SHUTDOWN);
			flags |= p.flags;
		}
	}
	assert_true(heard);
	close(listener);
}

/* More than a socket takes at once: the guest's credit. */
static uint32_t fill_up(uint32_t guest_port, uint32_t host_port, uint32_t seed)
{
	static uint8_t chunk[VSOCK_BUFFER];
	struct vsock_packet p;
	uint32_t sent = 0, done = 0;

	/* The socket first, which says by a credit update that it took it; then what waits. */
	fill_pattern(chunk, sizeof(chunk), seed);
	do {
		send_data(guest_port, host_port, chunk, VSOCK_BUFFER - (sent - done));
		sent += VSOCK_BUFFER - (sent - done);
		send_op(VSOCK_CREDIT_REQUEST, guest_port, host_port);
		do {
			p = receive(NULL);
			assert_int_equal(p.op, VSOCK_CREDIT_UPDATE);
		} while (p.fwd_cnt == done && p.fwd_cnt == sent);
		done = p.fwd_cnt;
	} while (sent - done < VSOCK_BUFFER / 2);
	return sent;
}

static void test_all_that_was_sent_arrives_after_the_guest_closed(void **state)
{
	struct vsock_packet p = packet(VSOCK_SHUTDOWN, 1000, 7);
	int listener = listen_port(7), fd;
	uint32_t sent;
	uint8_t *buf = malloc(4 * VSOCK_BUFFER + 1);

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	sent = fill_up(1000, 7, 1);
	assert_in_range(sent, VSOCK_BUFFER, 4 * VSOCK_BUFFER);
	p.flags = VSOCK_NO_SEND | VSOCK_NO_RECEIVE;
	send_packet(&p, NULL);
	do
		p = receive(NULL);
	while (p.op == VSOCK_CREDIT_UPDATE);
	assert_int_equal(p.op, VSOCK_RST);
	/* These ports are free again, while the bytes still wait. */
	close(join(listener, 1000, 7));
	assert_int_equal(hear(fd, buf, sent + 1), sent);
	free(buf);
	close(fd);
	close(listener);
}

static void test_reset_by_guest_ends_both(void **state)
{
	int listener = listen_port(7), fd;

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	send_op(VSOCK_RST, 1000, 7);
	assert_true(at_end(fd));
	close(fd);
	close(listener);
}

static void test_reset_of_the_device_ends_all(void **state)
{
	int listener = listen_port(7), fd;

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	driver_reset(&t.d);
	assert_true(at_end(fd));
	close(fd);
	start(RX_COUNT);
	close(join(listener, 1000, 7));
	close(listener);
}

/* ---- Credit -------------------------------------------------------------------------------- */

static void test_slow_host_holds_the_guest_back(void **state)
{
	int listener = listen_port(7), fd;
	uint8_t *buf = malloc(4 * VSOCK_BUFFER);
	struct vsock_packet p;
	uint32_t sent;

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	sent = fill_up(1000, 7, 2);
	assert_int_equal(hear(fd, buf, sent), sent);
	do
		p = expect(VSOCK_CREDIT_UPDATE, 7, 1000);
	while (sent - p.fwd_cnt >= VSOCK_BUFFER / 2);
	send_data(1000, 7, "more", 4);
	assert_int_equal(hear(fd, buf, 4), 4);
	assert_memory_equal(buf, "more", 4);
	free(buf);
	close(fd);
	close(listener);
}

static void test_guest_that_exceeds_its_credit_is_reset(void **state)
{
	static uint8_t chunk[VSOCK_BUFFER];
	int listener = listen_port(7), fd;
	struct vsock_packet p;

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	fill_up(1000, 7, 3);
	send_data(1000, 7, chunk, sizeof(chunk));
	do
		p = receive(NULL);
	while (p.op == VSOCK_CREDIT_UPDATE);
	assert_int_equal(p.op, VSOCK_RST);
	close(fd);
	close(listener);
}

static void test_packet_longer_than_all_credit_is_reset(void **state)
{
	static uint8_t chunk[VSOCK_BUFFER + 1];
	int listener = listen_port(7), fd;

	(void)state;
	start(RX_COUNT);
	fd = join(listener, 1000, 7);
	send_data(1000, 7, chunk, sizeof(chunk));
	expect(VSOCK_RST, 7, 1000);
	close(fd);
	close(listener);
}

static void test_slow_guest_holds_the_host_back(void **state)
{
	struct vsock_packet p = packet(VSOCK_REQUEST, 1000, 7);
	int listener = listen_port(7), fd;
	char buf[RX_SIZE];

	(void)state;
	start(RX_COUNT);
	p.buf_alloc = 10;
	send_packet(&p, NULL);
	expect(VSOCK_RESPONSE, 7, 1000);
	fd = accept_one(listener);
	say(fd, "0123456789abcdef");
	assert_int_equal(receive(buf).len, 10);
	expect(VSOCK_CREDIT_REQUEST, 7, 1000);
	p.op = VSOCK_CREDIT_UPDATE;
	p.fwd_cnt = 4;
	send_packet(&p, NULL);
	assert_int_equal(receive(buf).len, 4);
	assert_memory_equal(buf, "abcd", 4);
	expect(VSOCK_CREDIT_REQUEST, 7, 1000);
	/* Less than nothing: a buffer that shrank, and a count from the future. */
	p.buf_alloc = 1;
	send_packet(&p, NULL);
	expect(VSOCK_CREDIT_REQUEST, 7, 1000);
	p.fwd_cnt = 1000;
	send_packet(&p, NULL);
	expect(VSOCK_CREDIT_REQUEST, 7, 1000);
	p.buf_alloc = 100;
	p.fwd_cnt = 14;
	send_packet(&p, NULL);
	assert_int_equal(receive(buf).len, 2);
	close(fd);
	close(listener);
}

static void test_a_mebibyte_each_way_is_the_same(void **state)
{
	enum { TOTAL = 1 << 20, CHUNK = 30000 };
	int listener = listen_port(7), fd;
	uint8_t *sent = malloc(TOTAL), *got = malloc(TOTAL + RX_SIZE);
	uint32_t done = 0, fwd = 0, heard = 0, chunk;

	(void)state;
	start(RX_COUNT);
	fill_pattern(sent, TOTAL, 4);
	fd = join(listener, 1000, 7);
	while (done < TOTAL) {
		chunk = TOTAL - done < CHUNK ? TOTAL - done : CHUNK;
		while (done + chunk - fwd > VSOCK_BUFFER) {
			struct vsock_packet p;

			/* What it waits for: the reader. */
			heard += (uint32_t)hear(fd, got + heard, done - heard);
			send_op(VSOCK_CREDIT_REQUEST, 1000, 7);
			p = receive(NULL);
			assert_int_equal(p.op, VSOCK_CREDIT_UPDATE);
			fwd = p.fwd_cnt;
		}
		send_data(1000, 7, sent + done, chunk);
		done += chunk;
	}
	heard += (uint32_t)hear(fd, got + heard, TOTAL - heard);
	assert_int_equal(heard, TOTAL);
	assert_memory_equal(sent, got, TOTAL);

	for (done = heard = 0; heard < TOTAL;) {
		ssize_t n = send(fd, sent + done, TOTAL - done, MSG_DONTWAIT);
		struct vsock_packet p;

		done += n > 0 ? (uint32_t)n : 0;
		p = receive(got + heard);
		heard += p.op == VSOCK_RW ? p.len : 0;
	}
	assert_memory_equal(sent, got, TOTAL);
	free(sent);
	free(got);
	close(fd);
	close(listener);
}

/* ---- Hostile guests ------------------------------------------------------------------------ */

static void test_strange_packets_are_answered_by_a_reset(void **state)
{
	struct vsock_packet p = packet(VSOCK_RW, 1000, 7), answer;

	(void)state;
	start(RX_COUNT);
	for (uint16_t op = 0; op < 12; op++) {
		if (op == VSOCK_RST)
			continue; /* never answered */
		send_op(op, 1000, 7);
		expect(VSOCK_RST, 7, 1000);
	}
	p.type = 3;
	send_packet(&p, NULL);
	answer = receive(NULL);
	assert_int_equal(answer.op, VSOCK_RST);
	assert_int_equal(answer.type, 3);
	p.type = 1;
	p.dst_cid = 77;
	send_packet(&p, NULL);
	answer = receive(NULL);
	assert_int_equal(answer.op, VSOCK_RST);
	assert_int_equal(answer.src_cid, 77);
	/* From somebody else: not even that. */
	p.dst_cid = 2;
	p.src_cid = CID + 1;
	send_packet(&p, NULL);
	send_op(VSOCK_RST, 1000, 7);
	send_op(VSOCK_RW, 1001, 8);
	expect(VSOCK_RST, 8, 1001);
	assert_false(driver_broken(&t.d));
}

static void test_strange_packets_reset_a_connection(void **state)
{
	static const uint16_t ops[] = { VSOCK_INVALID, VSOCK_REQUEST, VSOCK_RESPONSE, 8, 0xffff };
	int listener = listen_port(7);

	(void)state;
	start(RX_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int fd = join(listener, 1000, 7);

		send_op(ops[i], 1000, 7);
		expect(VSOCK_RST, 7, 1000);
		assert_true(at_end(fd));
		close(fd);
	}
	close(listener);
}

/* Without buffers for the answers the device takes no more packets than it can answer. */
static void test_flood_without_buffers_waits(void **state)
{
	uint16_t head;
	unsigned answers = 0;

	(void)state;
	start(0);
	for (unsigned i = 0; i < VSOCK_REPLIES; i++)
		send_op(VSOCK_RW, i, 7);
	for (unsigned i = 0; i < 50; i++) {
		struct vsock_packet p = packet(VSOCK_RW, VSOCK_REPLIES + i, 7);
		uint64_t gpa = driver_alloc(&t.d, HEADER);
		struct driver_buffer buffer = packet_at(&p, NULL);

		memcpy(driver_ptr(&t.d, gpa), driver_ptr(&t.d, t.tx), HEADER);
		buffer.gpa = gpa;
		driver_add(&t.d, TX, &buffer, 1, 0);
	}
	driver_kick(&t.d, TX);
	assert_int_equal(t.d.queues[TX].last_used, VSOCK_REPLIES);
	post(RX_COUNT);
	for (; answers < VSOCK_REPLIES + 50; answers++)
		expect(VSOCK_RST, 7, answers);
	for (unsigned i = 0; i < 50; i++)
		driver_wait(&t.d, TX, &head);
}

static void expect_broken(unsigned queue, const struct driver_buffer *buffer, unsigned in)
{
	driver_add(&t.d, queue, buffer, !in, in);
	driver_kick(&t.d, queue);
	while (!driver_broken(&t.d))
		driver_wait_irq(&t.d);
}

static void test_packet_without_a_header_breaks_the_device(void **state)
{
	(void)state;
	start(RX_COUNT);
	expect_broken(TX, &(struct driver_buffer){ t.tx, HEADER - 1 }, 0);
}

static void test_packet_shorter_than_it_says_breaks_the_device(void **state)
{
	struct vsock_packet p = packet(VSOCK_RW, 1000, 7);
	struct driver_buffer buffer;

	(void)state;
	start(RX_COUNT);
	p.len = 0xffffffff;
	buffer = packet_at(&p, NULL);
	buffer.len = HEADER + 10;
	expect_broken(TX, &buffer, 0);
}

static void test_buffer_too_short_for_a_header_breaks_the_device(void **state)
{
	(void)state;
	start(0);
	send_op(VSOCK_RW, 1, 1); /* something to answer */
	expect_broken(RX, &(struct driver_buffer){ t.tx, HEADER - 1 }, 1);
}

static void test_connections_are_limited(void **state)
{
	int listener, fds[VSOCK_CONNECTIONS];
	struct rlimit limit;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * VSOCK_CONNECTIONS + 100)
		skip();
	listener = listen_port(7);
	start(RX_COUNT);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++)
		fds[i] = join(listener, i, 7);
	send_op(VSOCK_REQUEST, VSOCK_CONNECTIONS, 7);
	expect(VSOCK_RST, 7, VSOCK_CONNECTIONS);
	close(accept_one(listener)); /* that was the one refused */
	/* A program of the host waits for its turn. */
	close(fds[0]);
	fds[0] = connect_host();
	say(fds[0], "CONNECT 9\n");
	send_op(VSOCK_RST, 1, 7);
	for (struct vsock_packet p = { 0 }; p.op != VSOCK_REQUEST;) {
		p = receive(NULL);
		assert_true(p.op == VSOCK_REQUEST || p.op == VSOCK_SHUTDOWN);
	}
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++)
		close(fds[i]);
	close(listener);
}

/* ---- The socket file ----------------------------------------------------------------------- */

static void test_socket_in_use_is_refused_and_a_stale_one_replaced(void **state)
{
	static struct driver other;
	struct vsock_options options = t.options;
	char path[96];
	struct err err;

	(void)state;
	driver_init(&other);
	assert_int_equal(driver_try_create(&other, &device_virtio_vsock, &options, &err),
			 -EADDRINUSE);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.text, t.path));

	snprintf(path, sizeof(path), "%s/stale", t.dir);
	options.socket = path;
	close(listen_at(path)); /* its file stays */
	driver_create(&other, &device_virtio_vsock, &options);
	device_destroy(&other.dev);
	assert_int_equal(access(path, F_OK), -1);

	close(creat(path, 0600));
	assert_int_equal(driver_try_create(&other, &device_virtio_vsock, &options, &err), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	driver_free(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_config_is_the_cid),
		TEST(test_guest_connects_and_bytes_go_both_ways),
		TEST(test_guest_is_refused_where_nobody_listens),
		TEST(test_host_connects_and_what_follows_the_line_is_data),
		TEST(test_host_line_may_come_in_pieces),
		TEST(test_host_is_told_when_guest_refuses),
		TEST(test_host_that_gives_up_takes_its_request_back),
		TEST(test_host_with_another_line_is_hung_up_on),
		TEST(test_host_waits_until_the_guest_has_a_driver),
		TEST(test_guest_closes_one_half),
		TEST(test_host_closes_one_half),
		TEST(test_host_that_closes_leaves_what_it_sent),
		TEST(test_all_that_was_sent_arrives_after_the_guest_closed),
		TEST(test_reset_by_guest_ends_both),
		TEST(test_reset_of_the_device_ends_all),
		TEST(test_slow_host_holds_the_guest_back),
		TEST(test_guest_that_exceeds_its_credit_is_reset),
		TEST(test_packet_longer_than_all_credit_is_reset),
		TEST(test_slow_guest_holds_the_host_back),
		TEST(test_a_mebibyte_each_way_is_the_same),
		TEST(test_strange_packets_are_answered_by_a_reset),
		TEST(test_strange_packets_reset_a_connection),
		TEST(test_flood_without_buffers_waits),
		TEST(test_packet_without_a_header_breaks_the_device),
		TEST(test_packet_shorter_than_it_says_breaks_the_device),
		TEST(test_buffer_too_short_for_a_header_breaks_the_device),
		TEST(test_connections_are_limited),
		TEST(test_socket_in_use_is_refused_and_a_stale_one_replaced),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
