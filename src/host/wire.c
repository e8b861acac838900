/* wire.c: the buffers of a wire; wire_thread.c moves what is in them, to and from wire_file.c,
 * wire_socket.c and wire_pty.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "wire_end.h"

#define MS	 1000000ULL
#define TIME_MAX 32

#define HOLD_UP	      (1000 * MS)  /* the longest that a full log holds up the guest */
#define WAIT_AT_END   (1000 * MS)  /* for a client; ... */
#define WAIT_FOR_DISK (10000 * MS) /* ... and for a log */

/* ---- Output ------------------------------------------------------------------------------ */

/* Waits until a log has room for n bytes; gives it up if that takes long. */
static bool hold_up(struct wire *wire, size_t n)
{
	uint64_t end = loop_now() + HOLD_UP;
	struct timespec limit = { (time_t)(end / (1000 * MS)), (long)(end % (1000 * MS)) };

	wire->ripe = true;
	wire_thread_wake(wire);
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
	int ret = wire->broken ? 0 : wire_thread_start(wire);
	size_t taken;

	if (ret) {
		log_error("%s: cannot start a thread: %s; output is dropped", wire->label,
			  strerror(-ret));
		wire_drop(wire);
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
		wire_thread_wake(wire);
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
		wire_thread_wake(wire);
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
		wire_thread_wake(wire);
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
	new->in.size = new->end->log ? 0 : WIRE_IN_SIZE;
	new->in.buf = malloc(WIRE_IN_SIZE);
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
		ret = wire_thread_start(wire);
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
	wire_thread_wake(wire);
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
