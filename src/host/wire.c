/* wire.c: the buffers of a wire and the thread that moves them; wire_file.c, wire_socket.c and
 * wire_pty.c are what it moves them to and from. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "wire_end.h"

#define MS 1000000ULL

enum {
	IN_SIZE = 4096,
	GATHER_MS = 10, /* for the rest of a line of a log */
	TIME_MAX = 32,
};

#define HOLD_UP	      (1000 * MS)  /* the longest that a full log holds up the guest */
#define WAIT_AT_END   (1000 * MS)  /* for a client; ... */
#define WAIT_FOR_DISK (10000 * MS) /* ... and for a log */

/* ---- Rings ------------------------------------------------------------------------------- */

static size_t ring_put(struct ring *ring, const uint8_t *p, size_t len)
{
	size_t room = ring->size - ring->len, done = 0;

	if (len > room)
		len = room;
	while (done < len) {
		size_t at = (ring->head + ring->len) % ring->size, n = ring->size - at;

		if (n > len - done)
			n = len - done;
		memcpy(ring->buf + at, p + done, n);
		ring->len += n;
		done += n;
	}
	return len;
}

/* The first bytes, as far as they lie in one piece. */
static size_t ring_piece(const struct ring *ring, const uint8_t **p)
{
	size_t n = ring->size - ring->head;

	*p = ring->buf + ring->head;
	return n < ring->len ? n : ring->len;
}

/* An empty ring begins at its beginning again, so that little memory is touched. */
static void ring_drop(struct ring *ring, size_t n)
{
	ring->len -= n;
	ring->head = ring->len ? (ring->head + n) % ring->size : 0;
}

/* ---- The thread: all with the lock held, except where they say so ---------------------------- */

static void wake(struct wire *wire)
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

static void drop_all(struct wire *wire)
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
			drop_all(wire);
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
	uint8_t buf[IN_SIZE];
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

/* It blocks all signals: they belong to the threads of the machine. */
static int start(struct wire *wire)
{
	sigset_t all, old;
	int ret;

	if (wire->running)
		return 0;
	if (pipe(wire->wake) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fcntl(wire->wake[i], F_SETFD, FD_CLOEXEC);
		fcntl(wire->wake[i], F_SETFL, O_NONBLOCK);
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&wire->thread, NULL, run, wire);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret) {
		close(wire->wake[0]);
		close(wire->wake[1]);
	}
	wire->running = !ret;
	return -ret;
}

/* ---- Output ------------------------------------------------------------------------------ */

/* Waits until a log has room for n bytes; gives it up if that takes long. */
static bool hold_up(struct wire *wire, size_t n)
{
	uint64_t end = loop_now() + HOLD_UP;
	struct timespec limit = { (time_t)(end / (1000 * MS)), (long)(end % (1000 * MS)) };

	wire->ripe = true;
	wake(wire);
	while (wire->out.size - wire->out.len < n && !wire->broken && !wire->lagging)
		wire->lagging = pthread_cond_timedwait(&wire->drained, &wire->lock, &limit);
	return !wire->broken && !wire->lagging;
}

static void put_time(struct wire *wire)
{
	uint64_t now = loop_wall();
	time_t seconds = (time_t)(now / (1000 * MS));
	char text[TIME_MAX];
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	len += (size_t)snprintf(text + len, sizeof(text) - len, ".%03uZ ",
				(unsigned)(now / MS % 1000));
	ring_put(&wire->out, (const uint8_t *)text, len);
}

/* What there is room for, with the time before each line; if `all`, room is waited for. */
static size_t put(struct wire *wire, const uint8_t *p, size_t len, bool all)
{
	bool times = wire->config->timestamps;
	size_t done = 0;

	while (done < len && !(all && wire->lagging)) {
		const uint8_t *end = times ? memchr(p + done, '\n', len - done) : NULL;
		size_t n = end ? (size_t)(end - p) + 1 - done : len - done;
		size_t needs = times && !wire->mid_line ? TIME_MAX + 1 : 1;

		if (wire->out.size - wire->out.len < needs) {
			if (!all || !hold_up(wire, needs))
				break;
			continue;
		}
		if (needs > 1)
			put_time(wire);
		n = ring_put(&wire->out, p + done, n);
		done += n;
		wire->mid_line = p[done - 1] != '\n';
	}
	return done;
}

static size_t put_log(struct wire *wire, const uint8_t *p, size_t len, bool all)
{
	int ret = wire->broken ? 0 : start(wire);
	size_t taken;

	if (ret) {
		log_error("%s: cannot start a thread: %s; output is dropped", wire->label,
			  strerror(-ret));
		drop_all(wire);
	}
	if (wire->broken) {
		wire->lost += len;
		return len;
	}
	taken = put(wire, p, len, all);
	if (memchr(p, '\n', len) || wire->out.len >= wire->out.size / 2)
		wire->ripe = true;
	return taken;
}

static size_t write_some(struct wire *wire, const void *buf, size_t len, bool all)
{
	bool was_empty = !wire->out.len, was_ripe = wire->ripe;
	size_t taken = len;

	if (wire->end->log)
		taken = put_log(wire, buf, len, all);
	else if (wire->there)
		taken = ring_put(&wire->out, buf, len);
	if (wire->out.len && (was_empty || wire->ripe != was_ripe))
		wake(wire);
	return taken;
}

size_t wire_write(struct wire *wire, const void *buf, size_t len)
{
	size_t taken;

	pthread_mutex_lock(&wire->lock);
	taken = len ? write_some(wire, buf, len, false) : 0;
	wire->cut_short |= taken < len;
	pthread_mutex_unlock(&wire->lock);
	return taken;
}

void wire_put(struct wire *wire, const void *buf, size_t len)
{
	pthread_mutex_lock(&wire->lock);
	if (len)
		wire->lost += len - write_some(wire, buf, len, true);
	pthread_mutex_unlock(&wire->lock);
}

uint64_t wire_lost(struct wire *wire)
{
	uint64_t lost;

	pthread_mutex_lock(&wire->lock);
	lost = wire->lost;
	pthread_mutex_unlock(&wire->lock);
	return lost;
}

/* ---- Input ------------------------------------------------------------------------------- */

size_t wire_read(struct wire *wire, void *buf, size_t len)
{
	size_t done = 0;
	bool was_full;

	pthread_mutex_lock(&wire->lock);
	was_full = wire->in.len == wire->in.size;
	while (done < len && wire->in.len) {
		const uint8_t *p;
		size_t n = ring_piece(&wire->in, &p);

		if (n > len - done)
			n = len - done;
		memcpy((uint8_t *)buf + done, p, n);
		ring_drop(&wire->in, n);
		done += n;
	}
	/* The thread may read on, or let somebody in. */
	if (done && (was_full || (!wire->there && !wire->in.len)))
		wake(wire);
	pthread_mutex_unlock(&wire->lock);
	return done;
}

size_t wire_type(struct wire *wire, const void *buf, size_t len)
{
	size_t taken;

	pthread_mutex_lock(&wire->lock);
	taken = ring_put(&wire->in, buf, len);
	if (taken) {
		wire->typed = true;
		wake(wire);
	}
	pthread_mutex_unlock(&wire->lock);
	return taken;
}

void wire_follow(struct wire *wire)
{
	pthread_mutex_lock(&wire->lock);
	wire->followed = true;
	pthread_mutex_unlock(&wire->lock);
}

bool wire_has_input(struct wire *wire)
{
	bool has;

	pthread_mutex_lock(&wire->lock);
	has = wire->in.len;
	pthread_mutex_unlock(&wire->lock);
	return has;
}

bool wire_connected(struct wire *wire)
{
	bool connected;

	pthread_mutex_lock(&wire->lock);
	connected = wire->there || wire->followed || wire->in.len;
	pthread_mutex_unlock(&wire->lock);
	return connected;
}

/* ---- Life -------------------------------------------------------------------------------- */

static int init_locks(struct wire *wire)
{
	pthread_condattr_t attr;
	int ret = pthread_condattr_init(&attr);

	if (ret)
		return ret;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	ret = pthread_cond_init(&wire->drained, &attr);
	pthread_condattr_destroy(&attr);
	if (ret)
		return ret;
	ret = pthread_mutex_init(&wire->lock, NULL);
	if (ret)
		pthread_cond_destroy(&wire->drained);
	return ret;
}

static void release(struct wire *wire)
{
	pthread_mutex_destroy(&wire->lock);
	pthread_cond_destroy(&wire->drained);
	free(wire->out.buf);
	free(wire->in.buf);
	free(wire);
}

int wire_new(struct wire **wire, const struct wire_config *config, const char *label,
	     struct err *err)
{
	struct wire *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", label);
	ret = init_locks(new);
	if (ret) {
		free(new);
		return err_errno(err, ret, STATUS_OSERR, "%s", label);
	}
	new->end = config->file ? &wire_file : config->socket ? &wire_socket : &wire_pty;
	new->config = config;
	snprintf(new->label, sizeof(new->label), "%s", label);
	new->fd = new->door = -1;
	new->out.size = new->end->out_size;
	new->out.buf = malloc(new->out.size);
	new->in.size = new->end->log ? 0 : IN_SIZE;
	new->in.buf = malloc(IN_SIZE);
	if (!new->out.buf || !new->in.buf)
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "%s", label);
	else
		ret = new->end->open(new, err);
	if (ret) {
		release(new);
		return ret;
	}
	new->there = new->fd >= 0;
	*wire = new;
	return 0;
}

int wire_listen(struct wire *wire, wire_ready_fn ready, void *arg)
{
	int ret = 0;

	pthread_mutex_lock(&wire->lock);
	wire->ready = ready;
	wire->ready_arg = arg;
	if (!wire->end->log)
		ret = start(wire);
	pthread_mutex_unlock(&wire->lock);
	return ret;
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	pthread_mutex_lock(&wire->lock);
	wire->stop = true;
	wire->deadline = loop_now() + (wire->end->log ? WAIT_FOR_DISK : WAIT_AT_END);
	wake(wire);
	pthread_mutex_unlock(&wire->lock);
	if (wire->running) {
		pthread_join(wire->thread, NULL);
		close(wire->wake[0]);
		close(wire->wake[1]);
	}
	wire->lost += wire->out.len;
	if (wire->lost)
		log_warn("%s: %llu bytes of output were lost: nobody took them in time",
			 wire->label, (unsigned long long)wire->lost);
	wire->end->close(wire);
	release(wire);
}
