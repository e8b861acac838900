/* net_stream.c: frames between the driver's queues and a stream, each behind its length: passt, or
 * another VM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/event.h>
#include <vibevmm/log.h>
#include <vibevmm/unixsock.h>

#include "net.h"

enum {
	LENGTH = 4, /* bytes before each frame, in network order */
	LONGEST = 65535,
	/* A frame's header for the driver is put where its length was and the end of the frame
	 * before it. */
	HEADROOM = NET_HEADER - LENGTH,
	IN_SIZE = 256 << 10,
	BATCH = 64,	       /* frames for one system call */
	PASST_MOST = 32 << 10, /* bytes: see n_iov_now() */
	RETRY_MS = 250,
};

struct stream {
	int fd;		     /* -1: nobody is there */
	int listener, timer; /* who waits for the other VM; or asks for it again and again; or -1 */
	struct net *net;

	/* To the driver: bytes that came are [at, end) of in. */
	size_t at, end;
	size_t len; /* of a frame that waits for buffers; 0: none */
	bool more;  /* there may be more to read */
	uint8_t in[IN_SIZE];

	/* From the driver: frames that wait for the other end, from the one `first` on. */
	unsigned first, n;
	struct {
		uint32_t length;
		uint16_t head;
		unsigned end; /* behind its last entry of iov */
	} frames[BATCH];
	unsigned at_iov, n_iov;
	struct iovec iov[NET_IOV];
	bool blocked;

	/* What is left of a frame whose driver has gone. */
	size_t tail_at, tail_end;
	uint8_t tail[LENGTH + LONGEST];
};

static void ready(void *arg, uint32_t events);
static void transmit(struct virtio_queue *q);

static struct net_pair *only_pair(const struct stream *s)
{
	return s->net->pairs[0];
}

/* ---- Who is there ---------------------------------------------------------------------------- */

static int watch(struct stream *s)
{
	return virtio_worker_watch(only_pair(s)->worker, s->fd,
				   EVENT_IN | EVENT_EDGE | (s->blocked ? EVENT_OUT : 0), ready, s);
}

static void set_timer(const struct stream *s, unsigned ms)
{
	if (s->timer >= 0)
		event_timer_every(s->timer, ms * 1000000ULL);
}

/* A new one, or -1. What was under way is lost, and begins anew. */
static void set_peer(struct stream *s, int fd)
{
	s->fd = fd;
	s->at = s->end = HEADROOM;
	s->len = 0;
	s->more = fd >= 0;
	s->tail_at = s->tail_end = 0;
	s->blocked = false;
	set_timer(s, fd < 0 ? RETRY_MS : 0);
}

/* Gives back all that was taken to be sent. */
static void forget_frames(struct stream *s)
{
	struct virtio_queue *q = only_pair(s)->tx;

	for (; s->first < s->n; s->first++) {
		net_drop(only_pair(s));
		virtio_queue_give(q, s->frames[s->first].head, 0);
	}
	s->first = s->n = s->at_iov = s->n_iov = 0;
}

static void lose_peer(struct stream *s, const char *why)
{
	const char *label = s->net->v->dev->plan->label;

	if (s->net->options->user)
		log_error("%s: passt: %s; the guest has no network any more", label, why);
	else
		log_info("%s: the other VM: %s", label, why);
	virtio_worker_watch(only_pair(s)->worker, s->fd, 0, NULL, NULL);
	close(s->fd);
	set_peer(s, -1);
	forget_frames(s);
	net_set_link(s->net, false);
}

static void add_peer(struct stream *s, int fd)
{
	set_peer(s, fd);
	if (watch(s)) {
		close(fd);
		set_peer(s, -1);
		return;
	}
	log_info("%s: the other VM is there", s->net->v->dev->plan->label);
	net_set_link(s->net, true);
}

/* By edges, so all of them. There is one peer at a time; others are turned away. */
static void on_listener(void *arg, uint32_t events)
{
	struct stream *s = arg;
	int fd;

	(void)events;
	while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (s->fd < 0)
			add_peer(s, fd);
		else
			close(fd);
	}
}

static void on_timer(void *arg, uint32_t events)
{
	struct stream *s = arg;
	int fd;

	(void)events;
	if (!event_due(s->timer) || s->fd >= 0)
		return;
	fd = unixsock_connect(s->net->options->connect);
	if (fd >= 0)
		add_peer(s, fd);
}

/* ---- To the driver --------------------------------------------------------------------------- */

enum moved { MOVED, NO_FRAME, NO_ROOM, NONSENSE };

static enum moved move_frame(struct stream *s)
{
	struct net_pair *pair = only_pair(s);
	uint8_t *frame = s->in + s->at + LENGTH;
	size_t there = s->end - s->at;
	uint32_t len;

	if (!s->len) {
		if (there < LENGTH)
			return NO_FRAME;
		memcpy(&len, s->in + s->at, LENGTH);
		len = ntohl(len);
		if (len < NET_SHORTEST || len > LONGEST)
			return NONSENSE;
		if (there < LENGTH + len)
			return NO_FRAME;
		s->len = len;
		memset(frame - NET_HEADER, 0, NET_HEADER);
		if (virtio_has(s->net->v, NET_F_GUEST_CSUM))
			frame[NET_HEADER_FLAGS - NET_HEADER] = NET_FLAG_DATA_VALID;
	}
	if (!net_rx_place(pair, NET_HEADER + s->len, 0, frame - NET_HEADER))
		return NO_ROOM;
	s->at += LENGTH + s->len;
	s->len = 0;
	return MOVED;
}

/* Reads what there is. When that was less than asked for, the next edge tells of more. */
static bool fill(struct stream *s)
{
	size_t room;
	ssize_t n;

	if (!s->more)
		return false;
	memmove(s->in + HEADROOM, s->in + s->at, s->end - s->at);
	s->end = HEADROOM + s->end - s->at;
	s->at = HEADROOM;
	room = sizeof(s->in) - s->end;
	n = recv(s->fd, s->in + s->end, room, MSG_DONTWAIT);
	s->more = n > 0 ? (size_t)n == room : n < 0 && errno == EINTR;
	if (n > 0)
		s->end += (size_t)n;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		lose_peer(s, n ? strerror(errno) : "it has ended");
	return n > 0 || s->more;
}

static void receive(struct virtio_queue *q)
{
	struct stream *s = net_pair_of(q)->mover;
	bool there = s->fd >= 0;
	enum moved moved;
	unsigned n = 0;

	/* After a burst no more is read; but what was read goes on, since no edge tells of that. */
	do {
		do {
			moved = move_frame(s);
			if (moved == MOVED && ++n % NET_FLUSH == 0)
				virtio_queue_flush(q);
		} while (moved == MOVED || (moved == NO_FRAME && n < NET_BURST && fill(s)));
		virtio_queue_flush(q);
	} while (moved == NO_ROOM && !virtio_queue_idle(q));
	if (moved == NONSENSE)
		lose_peer(s, "what comes is no frame");
	else if (n >= NET_BURST && s->fd >= 0)
		watch(s);
	if (there && s->fd < 0) /* the driver hears of what waited for the peer, and goes on */
		transmit(net_pair_of(q)->tx);
}

/* ---- From the driver --------------------------------------------------------------------------
 */

/* The request becomes a frame: its length, and then what is behind the driver's header. */
static void add_frame(struct stream *s, const struct virtio_chain *chain)
{
	struct iovec *iov = s->iov + s->n_iov;
	size_t header = NET_HEADER;
	unsigned skip = 0;

	while (chain->iov[skip].iov_len <= header)
		header -= chain->iov[skip++].iov_len;
	memmove(iov + 1, chain->iov + skip, (chain->n_out - skip) * sizeof(*iov));
	iov[1].iov_base = (uint8_t *)iov[1].iov_base + header;
	iov[1].iov_len -= header;
	s->n_iov += 1 + chain->n_out - skip;
	s->frames[s->n].length = htonl((uint32_t)(chain->out_len - NET_HEADER));
	s->frames[s->n].head = chain->head;
	s->frames[s->n].end = s->n_iov;
	iov[0] = (struct iovec){ &s->frames[s->n].length, LENGTH };
	s->n++;
}

/* Takes some, unless there are some still. False: there are none. */
static bool take_frames(struct stream *s)
{
	struct net_pair *pair = only_pair(s);

	if (s->first < s->n)
		return true;
	s->first = s->n = s->at_iov = s->n_iov = 0;
	while (s->n < BATCH && s->n_iov + 1 + NET_CHAIN <= NET_IOV) {
		struct virtio_chain chain = { .iov = s->iov + s->n_iov + 1, .cap = NET_CHAIN };

		if (!virtio_queue_take(pair->tx, &chain))
			break;
		if (chain.out_len >= NET_HEADER + NET_SHORTEST &&
		    chain.out_len <= NET_HEADER + LONGEST) {
			add_frame(s, &chain);
			continue;
		}
		net_drop(pair);
		virtio_queue_give(pair->tx, chain.head, 0);
	}
	return s->n > 0;
}

/* How much of these buffers was sent. */
static void advance(struct stream *s, size_t sent)
{
	for (; s->at_iov < s->n_iov && sent >= s->iov[s->at_iov].iov_len; s->at_iov++)
		sent -= s->iov[s->at_iov].iov_len;
	if (sent) {
		struct iovec *iov = &s->iov[s->at_iov];

		iov->iov_base = (uint8_t *)iov->iov_base + sent;
		iov->iov_len -= sent;
	}
	for (; s->first < s->n && s->frames[s->first].end <= s->at_iov; s->first++)
		virtio_queue_give(only_pair(s)->tx, s->frames[s->first].head, 0);
}

/* How much of what waits one call sends. Debian 12's passt forgets what it has of a frame's length
 * if that comes in parts, and takes what follows for lengths. A Unix socket takes so few bytes in
 * one piece or not at all, so frames for passt come whole. Longer ones are cut behind their length.
 */
static unsigned n_iov_now(const struct stream *s)
{
	size_t bytes = 0;
	unsigned i;

	if (!s->net->options->user)
		return s->n_iov - s->at_iov;
	for (i = s->first; i < s->n; i++) {
		bytes += LENGTH + ntohl(s->frames[i].length);
		if (i > s->first && bytes > PASST_MOST)
			break;
	}
	return s->frames[i - 1].end - s->at_iov;
}

/* False: the other end takes no more now, or has gone. */
static bool send_some(struct stream *s)
{
	bool tail = s->tail_at < s->tail_end;
	struct iovec rest = { s->tail + s->tail_at, s->tail_end - s->tail_at };
	struct msghdr msg = { .msg_iov = tail ? &rest : s->iov + s->at_iov, .msg_iovlen = 1 };
	ssize_t n;

	if (!tail) /* its type is the host's */
		msg.msg_iovlen = (__typeof__(msg.msg_iovlen))n_iov_now(s);
	n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 && tail)
		s->tail_at += (size_t)n;
	else if (n >= 0)
		advance(s, (size_t)n);
	else if (errno == EAGAIN)
		s->blocked = true;
	else if (errno != EINTR)
		lose_peer(s, strerror(errno));
	return !s->blocked && s->fd >= 0;
}

static void transmit(struct virtio_queue *q)
{
	struct stream *s = net_pair_of(q)->mover;
	unsigned n = 0;

	if (s->blocked)
		return;
	do {
		while (!s->blocked && take_frames(s)) {
			if (s->fd < 0)
				forget_frames(s);
			else if (send_some(s) && s->first == s->n)
				s->blocked = (n += s->n) >= NET_BURST;
			virtio_queue_flush(q);
		}
	} while (!s->blocked && !virtio_queue_idle(q));
	if (s->blocked)
		watch(s);
}

static void ready(void *arg, uint32_t events)
{
	struct stream *s = arg;

	if (events & ~EVENT_OUT) {
		s->more = true;
		receive(only_pair(s)->rx);
	}
	if (s->fd >= 0 && s->blocked && events & ~EVENT_IN) {
		s->blocked = false;
		watch(s);
		transmit(only_pair(s)->tx);
	}
}

/* ---- Life -------------------------------------------------------------------------------------
 */

static int start_passt(const struct net *net, struct err *err)
{
	const struct net_config *options = net->options;
	const struct net_forward *list = options->forward.list;
	struct passt_config config = { .n_forwards = options->forward.n, .mtu = options->mtu };
	struct passt_forward *forwards = calloc(config.n_forwards + 1, sizeof(*forwards));
	int fd;

	if (!forwards)
		return err_errno(err, ENOMEM, STATUS_OSERR, "passt");
	for (uint32_t i = 0; i < options->forward.n; i++)
		forwards[i] = (struct passt_forward){
			.address = list[i].address,
			.host = (uint16_t)list[i].host,
			.guest = (uint16_t)(list[i].guest ? list[i].guest : list[i].host),
			.udp = list[i].proto == NET_UDP,
		};
	config.forwards = forwards;
	fd = passt_start(&config, err);
	free(forwards);
	return fd;
}

/* Whoever connects may come before the one who listens: -EAGAIN. */
static int start_socket(struct stream *s, struct err *err)
{
	const struct net_config *options = s->net->options;
	const char *label = s->net->v->dev->plan->label;
	struct err why;
	int ret;

	if (options->listen) {
		s->listener = unixsock_listen(options->listen, &why);
		return s->listener >= 0 ? -EAGAIN
					: err_set(err, -s->listener, (enum status)why.status,
						  "%s: %s", label, why.text);
	}
	s->timer = event_timer();
	if (s->timer < 0)
		return err_errno(err, -s->timer, STATUS_OSERR, "%s: no timer", label);
	ret = unixsock_connect(options->connect);
	if (ret == -ENOENT || ret == -ECONNREFUSED)
		ret = -EAGAIN;
	return ret >= 0 || ret == -EAGAIN
		       ? ret
		       : err_errno(err, -ret, STATUS_UNAVAILABLE, "%s: can't connect to '%s'",
				   label, options->connect);
}

static int create(struct net *net, struct err *err)
{
	struct stream *s = calloc(1, sizeof(*s));
	int fd;

	if (!s)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", net->v->dev->plan->label);
	*s = (struct stream){ .fd = -1, .listener = -1, .timer = -1, .net = net };
	net->pairs[0]->mover = s;
	fd = net->options->user ? start_passt(net, err) : start_socket(s, err);
	if (fd < 0 && fd != -EAGAIN)
		return fd;
	set_peer(s, fd < 0 ? -1 : fd);
	net->up = net->up && fd >= 0;
	return 0;
}

static void destroy(struct net *net)
{
	struct stream *s = net->pairs[0]->mover;

	if (!s)
		return;
	if (s->listener >= 0)
		unixsock_unlisten(s->listener, net->options->listen);
	if (s->timer >= 0)
		close(s->timer);
	if (s->fd >= 0 && net->options->forward.n)
		passt_stop(s->fd);
	else if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static int start(struct net_pair *pair)
{
	struct stream *s = pair->mover;
	int ret = virtio_worker_queue(pair->worker, pair->rx, receive);

	s->blocked = s->tail_at < s->tail_end;
	if (!ret)
		ret = virtio_worker_queue(pair->worker, pair->tx, transmit);
	if (!ret && s->fd >= 0)
		ret = watch(s);
	if (!ret && s->listener >= 0)
		ret = virtio_worker_watch(pair->worker, s->listener, EVENT_IN | EVENT_EDGE,
					  on_listener, s);
	if (!ret && s->timer >= 0)
		ret = virtio_worker_watch(pair->worker, s->timer, EVENT_IN | EVENT_EDGE, on_timer,
					  s);
	return ret;
}

/* A frame that the other end has in part will be there as a whole. */
static void stop(struct net_pair *pair)
{
	struct stream *s = pair->mover;
	size_t left = 0;

	if (s->fd >= 0 && s->first < s->n && s->tail_at == s->tail_end) {
		const struct iovec *end = s->iov + s->frames[s->first].end;
		const struct iovec *begin = s->iov + s->at_iov;

		for (const struct iovec *iov = begin; iov < end; iov++)
			left += iov->iov_len;
		if (left < LENGTH + ntohl(s->frames[s->first].length)) {
			s->tail_at = s->tail_end = 0;
			for (const struct iovec *iov = begin; iov < end; iov++) {
				memcpy(s->tail + s->tail_end, iov->iov_base, iov->iov_len);
				s->tail_end += iov->iov_len;
			}
		}
	}
	s->first = s->n = s->at_iov = s->n_iov = 0;
	s->blocked = false;
}

const struct net_mover net_stream = {
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
};
