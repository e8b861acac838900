/* vsock_end.c: one connection between a socket of the guest and one of the host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vibevmm/event.h>

#include "vsock_end.h"

/* ---- Ends -------------------------------------------------------------------------------- */

static unsigned bucket(uint32_t host_port, uint32_t guest_port)
{
	return (host_port * 31U ^ guest_port * 0x9e3779b1U >> 16) % VSOCK_BUCKETS;
}

struct vsock_end *vsock_end_find(struct vsock_switch *s, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_end *end;

	for (end = LIST_FIRST(&s->buckets[bucket(host_port, guest_port)]); end;
	     end = LIST_NEXT(end, same)) {
		if (end->host_port == host_port && end->guest_port == guest_port)
			break;
	}
	return end;
}

void vsock_end_name(struct vsock_end *end, uint32_t host_port, uint32_t guest_port)
{
	end->host_port = host_port;
	end->guest_port = guest_port;
	LIST_INSERT_HEAD(&end->s->buckets[bucket(host_port, guest_port)], end, same);
}

struct vsock_end *vsock_end_new(struct vsock_switch *s, int fd, enum vsock_state state)
{
	struct vsock_end *end = LIST_FIRST(&s->unused);

	if (!end || s->config.watch(s->config.arg, fd, EVENT_IN | EVENT_RDHUP | EVENT_EDGE, end))
		return NULL;
	LIST_REMOVE(end, same);
	*end = (struct vsock_end){ .s = s, .fd = fd, .state = state };
	s->n++;
	return end;
}

static bool has_name(const struct vsock_end *end)
{
	return end->state == END_ASKED || end->state == END_JOINED;
}

void vsock_end_leave_turn(struct vsock_end *end)
{
	if (end->in_turn)
		TAILQ_REMOVE(&end->s->turns, end, turn);
	end->in_turn = false;
}

void vsock_end_enter_turn(struct vsock_end *end)
{
	if (!end->in_turn)
		TAILQ_INSERT_TAIL(&end->s->turns, end, turn);
	end->in_turn = true;
}

void vsock_end_owe(struct vsock_end *end, unsigned what)
{
	end->owed |= what;
	vsock_end_enter_turn(end);
}

void vsock_end_free(struct vsock_end *end)
{
	struct vsock_switch *s = end->s;

	vsock_end_leave_turn(end);
	if (has_name(end))
		LIST_REMOVE(end, same);
	s->config.watch(s->config.arg, end->fd, 0, end);
	close(end->fd);
	s->waiting -= end->waiting;
	free(end->ring);
	*end = (struct vsock_end){ .s = s, .fd = -1 };
	LIST_INSERT_HEAD(&s->unused, end, same);
	s->n--;
}

void vsock_end_linger(struct vsock_end *end)
{
	if (!end->waiting) {
		vsock_end_free(end);
		return;
	}
	vsock_end_leave_turn(end);
	LIST_REMOVE(end, same);
	end->state = END_LINGER;
	end->owed = 0;
	end->readable = false;
}

void vsock_reply_reset(struct vsock_switch *s, uint64_t cid, uint16_t type, uint32_t host_port,
		       uint32_t guest_port)
{
	if (s->n_replies == VSOCK_REPLIES)
		return;
	s->replies[(s->first_reply + s->n_replies++) % VSOCK_REPLIES] = (struct vsock_reply){
		.cid = cid,
		.type = type,
		.host_port = host_port,
		.guest_port = guest_port,
	};
}

void vsock_end_reset(struct vsock_end *end)
{
	if (has_name(end))
		vsock_reply_reset(end->s, VSOCK_HOST, VSOCK_STREAM, end->host_port,
				  end->guest_port);
	vsock_end_free(end);
}

/* ---- The guest's bytes for the host ------------------------------------------------------- */

static void want_room(struct vsock_end *end, bool on)
{
	struct vsock_switch *s = end->s;

	s->config.watch(s->config.arg, end->fd,
			EVENT_IN | EVENT_RDHUP | EVENT_EDGE | (on ? EVENT_OUT : 0), end);
}

ssize_t vsock_end_send(int fd, const struct iovec *iov, unsigned n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov };
	ssize_t sent;

	msg.msg_iovlen = (__typeof__(msg.msg_iovlen))n; /* the type is the host's */

	do
		sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent >= 0 ? sent : -errno;
}

/* Drops the first n bytes of what waits. */
static void drop(struct vsock_end *end, uint32_t n)
{
	end->first = (end->first + n) % VSOCK_BUFFER;
	end->waiting -= n;
	end->s->waiting -= n;
	if (end->waiting)
		return;
	free(end->ring); /* most connections never need one again */
	end->ring = NULL;
	end->first = 0;
	want_room(end, false);
	if (end->shut_us & VSOCK_NO_SEND)
		shutdown(end->fd, SHUT_WR);
}

void vsock_end_deaf(struct vsock_end *end)
{
	if (end->waiting)
		drop(end, end->waiting);
	if (end->shut & VSOCK_NO_RECEIVE || end->state != END_JOINED)
		return;
	end->shut |= VSOCK_NO_RECEIVE;
	vsock_end_owe(end, OWE_SHUTDOWN);
}

void vsock_end_flush(struct vsock_end *end)
{
	while (end->waiting) {
		uint32_t tail = VSOCK_BUFFER - end->first;
		struct iovec iov[2] = {
			{ end->ring + end->first, end->waiting < tail ? end->waiting : tail },
			{ end->ring, end->waiting < tail ? 0 : end->waiting - tail },
		};
		ssize_t sent = vsock_end_send(end->fd, iov, 2);

		if (sent == -EAGAIN)
			return;
		if (sent < 0)
			vsock_end_deaf(end);
		else
			drop(end, (uint32_t)sent);
	}
}

/* Keeps len bytes of the guest's for later. There is room: the guest kept to its credit. */
static int keep(struct vsock_end *end, const struct iovec *iov, unsigned n, size_t skip)
{
	uint32_t at = (end->first + end->waiting) % VSOCK_BUFFER;
	bool first = !end->ring;

	if (first && !(end->ring = malloc(VSOCK_BUFFER)))
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *from = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		if (skip >= left) {
			skip -= left;
			continue;
		}
		for (from += skip, left -= skip, skip = 0; left;) {
			uint32_t some = VSOCK_BUFFER - at;

			if (some > left)
				some = (uint32_t)left;
			memcpy(end->ring + at, from, some);
			from += some;
			left -= some;
			at = (at + some) % VSOCK_BUFFER;
			end->waiting += some;
			end->s->waiting += some;
		}
	}
	if (first)
		want_room(end, true);
	return 0;
}

/* The guest counts on half of its credit at least, but isn't told of each byte. */
void vsock_end_credit(struct vsock_end *end)
{
	if (end->state == END_JOINED && end->taken - end->told >= VSOCK_BUFFER / 2 &&
	    end->taken - end->waiting != end->told)
		vsock_end_owe(end, OWE_CREDIT);
}

void vsock_end_take(struct vsock_end *end, const struct iovec *iov, unsigned n, uint32_t len)
{
	ssize_t sent = 0;

	if (len > VSOCK_BUFFER - end->waiting || end->shut_us & VSOCK_NO_SEND) {
		vsock_end_reset(end);
		return;
	}
	end->taken += len;
	if (!(end->shut & VSOCK_NO_RECEIVE)) {
		if (!end->waiting)
			sent = vsock_end_send(end->fd, iov, n);
		if (sent == -EAGAIN)
			sent = 0;
		if (sent < 0) {
			vsock_end_deaf(end);
		} else if ((size_t)sent < len && keep(end, iov, n, (size_t)sent)) {
			vsock_end_reset(end);
			return;
		}
	}
	vsock_end_credit(end);
}
