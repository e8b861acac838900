/* virtio_vsock.c: a guest that sends any packets, and programs of the host that do anything with
 * their ends, in any order. Each byte is an action, with what it needs behind it. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

#include "../../src/virtio/vsock.h"

#define CID   3
#define HOSTS 16 /* programs of the host, at most */

/* Without epoll: whoever is watched is told of anything that might be. */
struct watched {
	struct vsock_end *end;
	uint32_t events;
};

static struct watched watched[1024];
static char dir[32], path[48];
static int ports[2] = { -1, -1 }; /* who listens for the guest, at ports 1 and 2 */
static int listener = -1;
static int hosts[HOSTS];

static int watch(void *arg, int fd, uint32_t events, struct vsock_end *end)
{
	(void)arg;
	must(fd >= 0 && (size_t)fd < sizeof(watched) / sizeof(*watched));
	watched[fd] = (struct watched){ events ? end : NULL, events };
	return 0;
}

static void tell_all(void)
{
	for (int fd = 0; (size_t)fd < sizeof(watched) / sizeof(*watched); fd++) {
		struct epoll_event event = { .events = watched[fd].events & ~(uint32_t)EPOLLET };
		int epoll;

		if (!watched[fd].end)
			continue;
		epoll = epoll_create1(EPOLL_CLOEXEC);
		must(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
		if (epoll_wait(epoll, &event, 1, 0) == 1 && watched[fd].end)
			vsock_ready(watched[fd].end, event.events);
		close(epoll);
	}
}

static void remove_sockets(void)
{
	char port[64];

	for (int i = 0; i < 2; i++) {
		snprintf(port, sizeof(port), "%s_%d", path, i + 1);
		unlink(port);
	}
	unlink(path);
	rmdir(dir);
}

static void once(void)
{
	char port[64];

	if (listener >= 0)
		return;
	snprintf(dir, sizeof(dir), "/tmp/fuzz.XXXXXX");
	must(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	listener = unixsock_listen(path, NULL);
	for (int i = 0; i < 2; i++) {
		snprintf(port, sizeof(port), "%s_%d", path, i + 1);
		ports[i] = unixsock_listen(port, NULL);
		must(ports[i] >= 0);
	}
	must(listener >= 0);
	atexit(remove_sockets);
	for (int i = 0; i < HOSTS; i++)
		hosts[i] = -1;
}

static void keep(int fd)
{
	static unsigned next;
	unsigned i = next++ % HOSTS;

	if (fd < 0)
		return;
	if (hosts[i] >= 0)
		close(hosts[i]);
	hosts[i] = fd;
}

static void host_acts(struct bytes *in)
{
	unsigned what = (unsigned)take(in, 1), i = what / 8 % HOSTS;
	static char buf[40000];
	char line[40];

	switch (what % 8) {
	case 0:
		keep(unixsock_connect(path));
		break;
	case 1:
		keep(accept4(ports[i % 2], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
		break;
	case 2:
		snprintf(line, sizeof(line), "CONNECT %u\n", (unsigned)take(in, 1));
		send(hosts[i], line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case 3:
		for (size_t n = 0; n < sizeof(line); n++)
			line[n] = (char)take(in, 1);
		send(hosts[i], line, (size_t)take(in, 1) % sizeof(line),
		     MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case 4:
		send(hosts[i], buf, (size_t)take(in, 2) % sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case 5:
		recv(hosts[i], buf, (size_t)take(in, 2) % sizeof(buf), MSG_DONTWAIT);
		break;
	case 6:
		shutdown(hosts[i], (int)(take(in, 1) % 3));
		break;
	default:
		close(hosts[i]);
		hosts[i] = -1;
	}
}

static void guest_sends(struct vsock_switch *s, struct bytes *in)
{
	static uint8_t data[200000];
	uint8_t header[VSOCK_HEADER] = { 0 };
	struct vsock_packet packet, same;
	unsigned what = (unsigned)take(in, 1);
	struct iovec iov[2];

	for (size_t i = 0; i < sizeof(header) && what % 4 == 3; i++)
		header[i] = (uint8_t)take(in, 1);
	vsock_decode(&packet, header);
	if (what % 4 != 3) {
		packet = (struct vsock_packet){
			.src_cid = CID,
			.dst_cid = VSOCK_HOST,
			.type = VSOCK_STREAM,
			.op = (uint16_t)(what / 4 % 9),
			.src_port = (uint32_t)take(in, 1),
			.dst_port = what % 4 == 2 ? VSOCK_FIRST_PORT + (uint32_t)take(in, 1) % 4
						  : 1 + (uint32_t)take(in, 1) % 3,
			.len = (uint32_t)take(in, 2) * 3,
			.flags = (uint32_t)take(in, 1),
			.buf_alloc = (uint32_t)take(in, 3),
			.fwd_cnt = (uint32_t)take(in, 2),
		};
	}
	vsock_encode(&packet, header);
	vsock_decode(&same, header);
	must(same.fwd_cnt == packet.fwd_cnt && same.op == packet.op && same.len == packet.len);
	packet.len %= sizeof(data);
	iov[0] = (struct iovec){ data, packet.len / 3 };
	iov[1] = (struct iovec){ data + packet.len / 3, packet.len - packet.len / 3 };
	if (vsock_open_to_guest(s))
		vsock_from_guest(s, &packet, iov, 2);
}

static void guest_receives(struct vsock_switch *s, size_t room)
{
	static uint8_t data[65536];
	struct iovec iov = { data, room % (sizeof(data) + 1) };
	struct vsock_packet packet = { .len = 0 };
	bool had = vsock_has_packet(s);

	if (vsock_to_guest(s, &packet, &iov, iov.iov_len ? 1 : 0)) {
		must(had);
		must(packet.len <= room);
		must(packet.dst_cid == CID);
		must(packet.op == VSOCK_RW ? packet.len > 0 : !packet.len);
	}
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct vsock_config config = { .cid = CID, .label = "fuzz", .watch = watch };
	struct vsock_switch *s;

	once();
	config.path = path;
	config.listener = listener;
	must(!vsock_new(&config, &s));
	while (in.len) {
		switch (take(&in, 1) % 4) {
		case 0:
			guest_sends(s, &in);
			break;
		case 1:
			guest_receives(s, (size_t)take(&in, 2));
			break;
		case 2:
			host_acts(&in);
			break;
		default:
			tell_all();
		}
		must(vsock_connections(s) <= VSOCK_CONNECTIONS);
		must(vsock_waiting(s) <= (uint64_t)vsock_connections(s) * VSOCK_BUFFER);
	}
	vsock_free(s);
	for (int i = 0; i < HOSTS; i++) {
		if (hosts[i] >= 0)
			close(hosts[i]);
		hosts[i] = -1;
	}
	for (int i = 0, fd; i < 3; i++) {
		while ((fd = accept(i < 2 ? ports[i] : listener, NULL, NULL)) >= 0)
			close(fd);
	}
	memset(watched, 0, sizeof(watched));
}
