/* wire_thread.c: the thread of a wire, which moves bytes between its buffers and its end. All with
 * the lock held, except where they say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "wire_end.h"

#define GATHER_MS 10 /* for the rest of a line of a log */

void wire_thread_wake(struct wire *wire)
{
	if (!wire->running || wire->woken)
		return;
	wire->woken = true;
	while (write(wire->wake[1], "", 1) < 0 && errno == EINTR)
		;
}

static void clear_wake(struct wire *wire)
{
	char byte;

	if (wire->woken && read(wire->wake[0], &byte, 1) == 1)
		wire->woken = false;
}

/* They have gone: what they didn't take goes nowhere. */
static void leave(struct wire *wire)
{
	if (wire->end->leave)
		wire->end->leave(wire);
	wire->fd = -1;
	wire->there = false;
	wire->out.len = wire->out.head = 0;
	wire->cut_short = false;
}

void wire_drop(struct wire *wire)
{
	wire->broken = true;
	wire->lost += wire->out.len;
	wire->out.len = wire->out.head = 0;
}

/* The lock is not held during the write itself: others only add behind the piece. */
static void send_piece(struct wire *wire)
{
	const uint8_t *p;
	size_t len = ring_piece(&wire->out, &p);
	ssize_t n;
	int error;

	pthread_mutex_unlock(&wire->lock);
	n = wire->end->send ? wire->end->send(wire, p, len) : write(wire->fd, p, len);
	error = errno;
	pthread_mutex_lock(&wire->lock);
	if (n > 0) {
		ring_drop(&wire->out, (size_t)n);
	} else if (n < 0 && error != EINTR && error != EAGAIN) {
		if (wire->end->log) {
			log_error("%s: cannot write '%s': %s; the rest is dropped", wire->label,
				  wire->config->file, strerror(error));
			wire_drop(wire);
		} else {
			leave(wire);
		}
	}
	if (!wire->out.len)
		wire->ripe = wire->lagging = false;
	pthread_cond_broadcast(&wire->drained);
}

static void receive(struct wire *wire)
{
	size_t room = wire->in.size - wire->in.len;
	uint8_t buf[WIRE_IN_SIZE];
	ssize_t n = read(wire->fd, buf, room < sizeof(buf) ? room : sizeof(buf));

	if (n > 0)
		ring_put(&wire->in, buf, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		leave(wire);
}

/* One that hung up may have left input, for which there is no room now. */
static void serve(struct wire *wire, short wanted, short events)
{
	if ((wanted & POLLIN) && (events & ~POLLOUT))
		receive(wire);
	else if (events & (POLLHUP | POLLERR))
		wire->out.len = wire->out.head = 0;
	if (wire->out.len && wire->there && (events & POLLOUT))
		send_piece(wire);
}

/* What to wait for; returns how long, in milliseconds. A new client has to wait until what the one
 * before wrote is read. */
static int await(const struct wire *wire, struct pollfd polled[3])
{
	bool some = wire->out.len, ripe = wire->ripe || wire->stop || !wire->end->log;
	short events = 0;

	if (some && ripe)
		events |= POLLOUT;
	if (wire->in.size > wire->in.len && !wire->stop)
		events |= POLLIN;
	polled[0] = (struct pollfd){ .fd = wire->wake[0], .events = POLLIN };
	polled[1] = (struct pollfd){ .fd = wire->there || wire->in.len ? -1 : wire->door,
				     .events = POLLIN };
	polled[2] = (struct pollfd){ .fd = events ? wire->fd : -1, .events = events };
	if (wire->stop)
		return GATHER_MS;
	return some && !ripe ? GATHER_MS : -1;
}

/* After the end was asked for, what is left goes out if that can be. */
static bool finished(const struct wire *wire)
{
	return wire->stop && (!wire->out.len || wire->fd < 0 || loop_now() >= wire->deadline);
}

/* One turn; whether there is something to tell. */
static bool turn(struct wire *wire)
{
	bool was_there = wire->there, had_input, tell;
	struct pollfd polled[3];
	int timeout = await(wire, polled), n;

	pthread_mutex_unlock(&wire->lock);
	n = poll(polled, 3, timeout);
	pthread_mutex_lock(&wire->lock);
	had_input = wire->in.len; /* now: it may have been read meanwhile */
	clear_wake(wire);
	if (!n)
		wire->ripe = true;
	if (n > 0 && polled[1].revents) {
		wire->end->knock(wire);
		wire->there = wire->fd >= 0;
	}
	if (n > 0 && polled[2].revents)
		serve(wire, polled[2].events, polled[2].revents);
	tell = wire->there != was_there || (wire->in.len && !had_input);
	if (wire->typed) {
		wire->typed = false;
		tell = true;
	}
	if (wire->cut_short && wire->out.len <= wire->out.size / 2) {
		wire->cut_short = false;
		tell = true;
	}
	return tell;
}

static void *run(void *arg)
{
	struct wire *wire = arg;

	pthread_mutex_lock(&wire->lock);
	while (!finished(wire)) {
		if (!turn(wire) || !wire->ready)
			continue;
		pthread_mutex_unlock(&wire->lock);
		wire->ready(wire->ready_arg);
		pthread_mutex_lock(&wire->lock);
	}
	pthread_mutex_unlock(&wire->lock);
	return NULL;
}

int wire_thread_start(struct wire *wire)
{
	int ret;

	if (wire->running)
		return 0;
	if (pipe(wire->wake) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fcntl(wire->wake[i], F_SETFD, FD_CLOEXEC);
		fcntl(wire->wake[i], F_SETFL, O_NONBLOCK);
	}
	ret = thread_start(&wire->thread, run, wire);
	if (ret) {
		close(wire->wake[0]);
		close(wire->wake[1]);
	}
	wire->running = !ret;
	return ret;
}
