/* net_tap_linux.c: frames between the driver's queues and a tap, whose header is the driver's as
 * well (VIRTIO 5.1.6; Linux's struct virtio_net_hdr_v1). Nothing is copied but what is longer than
 * was expected.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "net.h"

struct tap_pair {
	int fd;
	bool blocked;	 /* no frame goes out until ready is called */
	bool starved;	 /* no frame comes in until the driver has more buffers */
	unsigned stream; /* short frames until we no longer take this for a stream of data */
	bool lost;	 /* the interface is gone */
	size_t expected; /* length of the next frame, by those before */
	size_t len;	 /* of a frame that was read and waits for buffers; 0: none */
	size_t direct;	 /* what of it is in buffers already */
	uint8_t rest[NET_LONGEST];
	struct virtio_chain chain; /* to send */
	struct iovec iov[NET_CHAIN];
};

static void ready(void *arg, uint32_t events);

/* By edges: whoever stops before the descriptor would block calls this again, and is called. */
static int watch(struct net_pair *pair)
{
	struct tap_pair *t = pair->mover;

	return virtio_worker_watch(pair->worker, t->fd,
				   EPOLLIN | EPOLLET | (t->blocked ? EPOLLOUT : 0U), ready, pair);
}

/* Frames longer than Ethernet's are pieces of streams. Who sends or receives one of these shall go
 * on rather than be interrupted for each frame; then many are moved at once. Answers to single
 * short frames are waited for. */
static void note_length(struct net_pair *pair, size_t len)
{
	struct tap_pair *t = pair->mover;

	if (len > NET_SINGLE)
		t->stream = NET_FLUSH;
	else if (t->stream)
		t->stream--;
	virtio_worker_batch(pair->worker, t->stream);
}

/* ---- To the driver ------------------------------------------------------------------------- */

/* EBADFD: this queue takes no part now, or the interface is gone. */
static void read_failed(struct net_pair *pair, int errnum)
{
	struct tap_pair *t = pair->mover;

	if (errnum == EAGAIN || errnum == EBADFD || t->lost)
		return;
	t->lost = true;
	log_error("%s: tap '%s': %s; nothing comes from it any more",
		  pair->net->v->dev->plan->label, pair->net->options->tap, strerror(errnum));
}

/* Reads a frame into the driver's buffers, as far as they were staged, and behind them. */
static bool read_frame(struct net_pair *pair)
{
	struct tap_pair *t = pair->mover;
	struct net_rx *rx = &pair->in;
	struct iovec *iov = rx->chains[rx->first].iov;
	ssize_t n;

	rx->iov[rx->n_iov] = (struct iovec){ t->rest, sizeof(t->rest) };
	do
		n = readv(t->fd, iov, (int)(rx->iov + rx->n_iov + 1 - iov));
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		read_failed(pair, n ? errno : EAGAIN);
		return false;
	}
	t->len = (size_t)n;
	note_length(pair, t->len);
	t->direct = rx->room < t->len ? rx->room : t->len;
	/* Up at once, down slowly: frames of a stream are long, with short ones in between. */
	if (t->len > t->expected)
		t->expected = t->len;
	else
		t->expected -= (t->expected - t->len) / 8;
	return true;
}

enum moved { MOVED, NO_FRAME, NO_ROOM };

static enum moved move_frame(struct net_pair *pair)
{
	struct tap_pair *t = pair->mover;

	if (!t->len) {
		if (!net_rx_stage(pair, t->expected))
			return NO_ROOM;
		if (!read_frame(pair))
			return NO_FRAME;
	}
	if (!net_rx_place(pair, t->len, t->direct, t->rest))
		return NO_ROOM;
	t->len = 0;
	return MOVED;
}

/* Without room for more it leaves the tap alone until the driver's next kick. */
static void receive(struct net_pair *pair)
{
	struct tap_pair *t = pair->mover;
	struct virtio_queue *q = pair->rx;
	enum moved moved;
	unsigned n = 0;

	do {
		while ((moved = move_frame(pair)) == MOVED && n < NET_BURST) {
			if (++n % NET_FLUSH == 0)
				virtio_queue_flush(q);
		}
		virtio_queue_flush(q);
	} while (moved == NO_ROOM && !virtio_queue_idle(q));
	t->starved = moved == NO_ROOM;
	if (moved == MOVED)
		watch(pair);
}

/* A kick, of whichever queue. */
static void refilled(struct virtio_queue *q)
{
	struct net_pair *pair = net_pair_of(q);
	struct tap_pair *t = pair->mover;

	if (t->starved)
		receive(pair);
}

/* ---- From the driver ------------------------------------------------------------------------ */

static bool send_frame(struct net_pair *pair)
{
	struct tap_pair *t = pair->mover;
	ssize_t n;

	if (t->chain.out_len < NET_HEADER + NET_SHORTEST || t->chain.out_len > NET_LONGEST) {
		net_drop(pair);
		return true;
	}
	note_length(pair, t->chain.out_len);
	do
		n = writev(t->fd, t->iov, (int)t->chain.n_out);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0) /* the interface is down, or the header is nonsense */
		net_drop(pair);
	return true;
}

static void transmit(struct virtio_queue *q)
{
	struct net_pair *pair = net_pair_of(q);
	struct tap_pair *t = pair->mover;
	unsigned n = 0;

	if (t->blocked)
		return;
	do {
		while (n < NET_BURST && virtio_queue_take(q, &t->chain)) {
			if (!send_frame(pair)) {
				virtio_queue_untake(q);
				n = NET_BURST;
				break;
			}
			virtio_queue_give(q, t->chain.head, 0);
			if (++n % NET_FLUSH == 0)
				virtio_queue_flush(q);
		}
		virtio_queue_flush(q);
	} while (n < NET_BURST && !virtio_queue_idle(q));
	t->blocked = n == NET_BURST;
	if (t->blocked)
		watch(pair);
}

static void ready(void *arg, uint32_t events)
{
	struct net_pair *pair = arg;
	struct tap_pair *t = pair->mover;

	if (events & ~(uint32_t)EPOLLOUT)
		receive(pair);
	if (t->blocked && events & ~(uint32_t)EPOLLIN) {
		t->blocked = false;
		watch(pair);
		transmit(pair->tx);
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void drop(void *tap)
{
	tap_close(tap);
	free(tap);
}

static int create(struct net *net, struct err *err)
{
	struct tap *kept = device_kept(net->v->dev);

	/* Its interface may have been deleted since: then there may be another of that name. */
	if (kept && tap_set_offloads(kept, 0)) {
		drop(kept);
		kept = NULL;
	}
	if (!kept)
		return tap_open(&net->tap, net->options->tap, net->n_pairs, NET_HEADER, err);
	net->tap = *kept;
	free(kept);
	return 0;
}

/* A tap that we made goes when it is closed, and with it the address and the bridge that the user
 * has given to it. A restart of the guest is no reason for that. */
static void destroy(struct net *net)
{
	struct tap *kept = malloc(sizeof(*kept));
	bool open = net->tap.queues;

	if (kept && open) {
		*kept = net->tap;
		device_keep(net->v->dev, kept, drop);
	} else {
		free(kept);
		if (open)
			tap_close(&net->tap);
	}
	for (unsigned i = 0; i < net->n_pairs; i++)
		free(net->pairs[i]->mover);
}

/* Frames from before, which the driver that was there then had asked for. */
static void drain(struct tap_pair *t)
{
	for (unsigned n = 0; n < 2 * NET_BURST && read(t->fd, t->rest, sizeof(t->rest)) > 0; n++)
		;
}

static int start(struct net_pair *pair)
{
	struct tap_pair *t = pair->mover;
	int ret;

	if (!t) {
		t = pair->mover = calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		t->fd = pair->net->tap.fds[pair->index];
		t->chain = (struct virtio_chain){ .iov = t->iov, .cap = NET_CHAIN };
	}
	t->blocked = false;
	t->starved = true; /* there may be frames already */
	t->stream = 0;
	t->expected = 1;
	t->len = 0;
	drain(t);
	ret = virtio_worker_queue(pair->worker, pair->rx, refilled);
	if (!ret)
		ret = virtio_worker_queue(pair->worker, pair->tx, transmit);
	return ret ? ret : watch(pair);
}

static void stop(struct net_pair *pair)
{
	(void)pair;
}

const struct net_mover net_tap = {
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
};
