/* console_line.c: bytes between a port's queues and the host's end. */
#include <vibevmm/host.h>

#include "console.h"

/* So many bytes at a time, so that a request of gigabytes doesn't hold up the device's end. */
#define SLICE 4096U

/* ---- From the guest ------------------------------------------------------------------------ */

/* How many were taken: all, unless somebody at the host's end lags. A guest's console must not wait
 * for the disk that its log goes to; programs may. */
static size_t send(struct console_line *line, const void *p, size_t len)
{
	struct device *dev = line->console->v->dev;

	if (line->wire && !line->log)
		len = wire_write(line->wire, p, len);
	else if (line->wire)
		wire_put(line->wire, p, len);
	else
		console_write(dev->host->console, p, len);
	device_said(dev, line->id, !line->wire, p, len);
	return len;
}

/* Whether all of the request has been sent. It may be seen again, so what was sent is counted; a
 * guest that shortens it meanwhile has sent it. */
static bool send_request(struct console_line *line, const struct virtio_chain *chain)
{
	size_t skip = line->sent;

	for (unsigned i = 0; i < chain->n_out; i++) {
		const uint8_t *p = chain->iov[i].iov_base;
		size_t len = chain->iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		for (size_t at = skip; at < len;) {
			size_t n = len - at < SLICE ? len - at : SLICE, done;

			done = atomic_load(&line->console->stops) ? 0 : send(line, p + at, n);
			line->sent += done;
			at += done;
			if (done < n)
				return false;
		}
		skip = 0;
	}
	line->sent = 0;
	return true;
}

void console_line_take(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE)];
	struct virtio_chain chain = { .iov = iov, .cap = VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE) };
	struct console_line *line = console_line_of(q);

	do {
		while (virtio_queue_take(q, &chain)) {
			if (!send_request(line, &chain)) {
				virtio_queue_untake(q);
				virtio_queue_flush(q);
				return; /* console_line_resume */
			}
			virtio_queue_give(q, chain.head, 0);
		}
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}

/* ---- To the guest -------------------------------------------------------------------------- */

static bool has_input(struct console_line *line)
{
	struct virtio_console *console = line->console;

	if (!line->open)
		return false;
	return line->wire ? wire_has_input(line->wire)
			  : console->listening && console_has_input(console->v->dev->host->console);
}

static size_t receive(struct console_line *line, uint8_t *p, size_t len)
{
	struct console *console = line->console->v->dev->host->console;
	size_t n = 0;
	int c;

	if (line->wire)
		return wire_read(line->wire, p, len);
	while (n < len && (c = console_get(console)) >= 0)
		p[n++] = (uint8_t)c;
	return n;
}

static uint32_t receive_request(struct console_line *line, const struct virtio_chain *chain)
{
	uint32_t written = 0;

	for (unsigned i = chain->n_out; i < chain->n_out + chain->n_in; i++) {
		size_t len = chain->iov[i].iov_len;
		size_t n = receive(line, chain->iov[i].iov_base, len < SLICE ? len : SLICE);

		written += (uint32_t)n;
		if (n < len)
			break;
	}
	return written;
}

void console_line_fill(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE)];
	struct virtio_chain chain = { .iov = iov, .cap = VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE) };
	struct console_line *line = console_line_of(q);

	do {
		while (has_input(line) && virtio_queue_take(q, &chain))
			virtio_queue_give(q, chain.head, receive_request(line, &chain));
		virtio_queue_flush(q);
	} while (has_input(line) && !virtio_queue_idle(q));
	console_control_presence(line);
}

void console_line_resume(struct console_line *line)
{
	struct virtio *v = line->console->v;
	unsigned rx = line->id ? 2 * line->id + 2 : 0;

	if (!virtio_queue_ready(virtio_queue(v, rx)))
		return;
	console_line_fill(virtio_queue(v, rx));
	if (line->wire && virtio_queue_ready(virtio_queue(v, rx + 1)))
		console_line_take(virtio_queue(v, rx + 1));
}
