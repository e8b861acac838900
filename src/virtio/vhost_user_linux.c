/* vhost_user_linux.c: a virtio device whose queues another program serves. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "core.h"
#include "vhost_user.h"

/* "Vhost-user Protocol", "Front-end message types" */
enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
};

/* "Header" */
#define VERSION	   1U
#define REPLY	   4U
#define NEED_REPLY 8U

#define F_PROTOCOL_FEATURES (1ULL << 30)
#define P_REPLY_ACK	    (1ULL << 3)
#define NEEDED                                                                                     \
	(1ULL << VIRTIO_FEATURE_VERSION_1 | 1ULL << VIRTIO_FEATURE_EVENT_IDX |                     \
	 1ULL << VIRTIO_FEATURE_INDIRECT_DESC | F_PROTOCOL_FEATURES)

/* "Memory regions description"; a message has at most 8. */
#define REGIONS 8

struct header {
	uint32_t request, flags, size;
};

struct vring_state {
	uint32_t index, num;
};

struct vring_addr {
	uint32_t index, flags;
	uint64_t descriptors, used, available, log;
};

struct memory_table {
	uint32_t n, padding;
	struct {
		uint64_t gpa, size, user, offset;
	} regions[REGIONS];
};

#define SECONDS 5 /* for an answer */

/* ---- Messages ------------------------------------------------------------------------------ */

/* With descriptors, which go along with the first byte. */
static int send_all(int fd, struct iovec *iov, size_t n, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(REGIONS * sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	size_t left = 0;
	ssize_t sent;

	if (n_fds) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	for (size_t i = 0; i < n; i++)
		left += iov[i].iov_len;
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return (size_t)sent == left ? 0 : -EIO; /* a few hundred bytes are taken whole */
}

static int receive_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(fd, (uint8_t *)buf + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!n)
			return -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

/* Sends a message and, if it is answered, waits for that: always 8 bytes. */
static int call(struct vhost_user *u, uint32_t request, const void *payload, size_t len,
		const int *fds, size_t n_fds, uint64_t *answer)
{
	bool ack = !answer && u->acks;
	struct header header = { request, VERSION | (ack ? NEED_REPLY : 0), (uint32_t)len };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)payload, len } };
	uint64_t value = 0;
	int ret = send_all(u->fd, iov, ARRAY_SIZE(iov), fds, n_fds);

	if (ret || (!answer && !ack))
		return ret;
	ret = receive_all(u->fd, &header, sizeof(header));
	if (!ret && (header.request != request || header.size != sizeof(value) ||
		     (header.flags & 7) != (VERSION | REPLY)))
		ret = -EPROTO;
	if (!ret)
		ret = receive_all(u->fd, &value, sizeof(value));
	if (!ret && ack && value)
		ret = -EPROTO;
	if (!ret && answer)
		*answer = value;
	return ret;
}

static int set(struct vhost_user *u, uint32_t request, uint64_t value)
{
	return call(u, request, &value, sizeof(value), NULL, 0, NULL);
}

static int set_ring(struct vhost_user *u, uint32_t request, unsigned index, uint32_t num)
{
	struct vring_state state = { index, num };

	return call(u, request, &state, sizeof(state), NULL, 0, NULL);
}

int vhost_user_open(struct vhost_user *u, struct virtio *v, const char *who, int fd)
{
	struct timeval limit = { .tv_sec = SECONDS };
	uint64_t features = 0, protocol = 0;
	int ret;

	*u = (struct vhost_user){ .v = v, .who = who, .fd = fd };
	for (unsigned i = 0; i < VHOST_USER_QUEUES; i++)
		u->call[i] = -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return -errno;
	ret = call(u, GET_FEATURES, NULL, 0, NULL, 0, &features);
	if (!ret && (features & NEEDED) != NEEDED)
		ret = -ENOTSUP;
	if (!ret)
		ret = call(u, GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0, &protocol);
	if (!ret)
		ret = set(u, SET_PROTOCOL_FEATURES, protocol & P_REPLY_ACK);
	if (!ret) {
		u->acks = protocol & P_REPLY_ACK;
		ret = call(u, SET_OWNER, NULL, 0, NULL, 0, NULL);
	}
	return ret == -ECONNRESET ? -EPIPE : ret;
}

/* ---- Start and stop ------------------------------------------------------------------------ */

/* All RAM. Of ROM no driver can make buffers. */
static int give_memory(struct vhost_user *u)
{
	const struct memory_slot *slots;
	size_t n_slots = memory_slots(u->v->memory, &slots);
	struct memory_table table = { 0 };
	int fds[REGIONS];

	for (size_t i = 0; i < n_slots; i++) {
		if (slots[i].fd < 0)
			continue;
		if (table.n == REGIONS)
			return -E2BIG;
		fds[table.n] = slots[i].fd;
		table.regions[table.n].gpa = slots[i].gpa;
		table.regions[table.n].size = slots[i].size;
		table.regions[table.n].user = (uintptr_t)slots[i].host;
		table.n++;
	}
	return call(u, SET_MEM_TABLE, &table,
		    offsetof(struct memory_table, regions) + table.n * sizeof(table.regions[0]),
		    fds, table.n, NULL);
}

/* A part of a ring, as an address of ours. The core has checked it. */
static uint64_t user_address(struct vhost_user *u, uint64_t gpa)
{
	return (uintptr_t)memory_ptr(u->v->memory, gpa, 1, false);
}

/* Interrupts that no descriptor can raise. */
static void on_call(void *arg, uint32_t events)
{
	struct virtio_queue *q = arg;
	struct vhost_user *u = virtio_queue_device(q)->state;
	eventfd_t value;

	(void)events;
	if (!eventfd_read(u->call[virtio_queue_index(q)], &value))
		virtio_queue_interrupt(q);
}

static int call_descriptor(struct vhost_user *u, struct virtio_queue *q)
{
	int fd = virtio_queue_call_fd(q), ret;

	if (fd >= 0)
		return fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	u->call[virtio_queue_index(q)] = fd;
	ret = virtio_worker_watch(u->worker, fd, EPOLLIN, on_call, q);
	return ret ? ret : fd;
}

static int give_queue(struct vhost_user *u, struct virtio_queue *q)
{
	struct virtio_ring ring = virtio_queue_ring(q);
	unsigned index = virtio_queue_index(q);
	struct vring_addr addr = {
		.index = index,
		.descriptors = user_address(u, ring.descriptors),
		.available = user_address(u, ring.driver),
		.used = user_address(u, ring.device),
	};
	uint64_t which = index;
	int kick = virtio_queue_kick_fd(q), call_fd = call_descriptor(u, q), ret;

	if (kick < 0 || call_fd < 0)
		return kick < 0 ? kick : call_fd;
	ret = set_ring(u, SET_VRING_NUM, index, virtio_queue_size(q));
	if (!ret)
		ret = set_ring(u, SET_VRING_BASE, index, 0);
	if (!ret)
		ret = call(u, SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, NULL);
	if (!ret)
		ret = call(u, SET_VRING_CALL, &which, sizeof(which), &call_fd, 1, NULL);
	if (!ret)
		ret = call(u, SET_VRING_KICK, &which, sizeof(which), &kick, 1, NULL);
	if (!ret)
		ret = set_ring(u, SET_VRING_ENABLE, index, 1);
	if (!ret)
		eventfd_write(kick, 1); /* for what is in the ring already */
	return ret;
}

static void on_end(void *arg, uint32_t events)
{
	struct vhost_user *u = arg;

	(void)events;
	virtio_worker_watch(u->worker, u->fd, 0, NULL, NULL);
	virtio_broken(u->v, "%s has ended", u->who);
}

static int start(struct vhost_user *u)
{
	int ret = set(u, SET_FEATURES, u->v->driver_features | F_PROTOCOL_FEATURES);

	if (!ret)
		ret = give_memory(u);
	for (unsigned i = 0; i < u->v->n_queues && !ret; i++) {
		struct virtio_queue *q = virtio_queue(u->v, i);

		if (virtio_queue_ready(q))
			ret = give_queue(u, q);
	}
	/* The other side says nothing by itself: what can be read is its end. */
	if (!ret)
		ret = virtio_worker_watch(u->worker, u->fd, EPOLLIN | EPOLLRDHUP, on_end, u);
	return ret ? ret : virtio_worker_run(u->worker);
}

static void free_worker(struct vhost_user *u)
{
	virtio_worker_free(u->worker);
	u->worker = NULL;
	for (unsigned i = 0; i < VHOST_USER_QUEUES; i++) {
		if (u->call[i] >= 0)
			close(u->call[i]);
		u->call[i] = -1;
	}
}

int vhost_user_start(struct vhost_user *u)
{
	int ret;

	assert(u->v->n_queues <= VHOST_USER_QUEUES);
	u->worker = virtio_worker_new(u->v);
	if (!u->worker)
		return -ENOMEM;
	ret = start(u);
	if (ret)
		vhost_user_stop(u);
	return ret;
}

int vhost_user_stop(struct vhost_user *u)
{
	int ret = 0;

	free_worker(u);
	for (unsigned i = 0; i < u->v->n_queues && !ret; i++) {
		struct vring_state state = { .index = i };
		uint64_t base;

		if (virtio_queue_ready(virtio_queue(u->v, i)))
			ret = call(u, GET_VRING_BASE, &state, sizeof(state), NULL, 0, &base);
	}
	return ret;
}
