/* vsock_switch.c: what becomes of each packet of the guest and of each byte for it.
 *
 * A connection is begun by the guest, with a request, or by a program of the host, which connects
 * to the unix socket and says "CONNECT PORT" to be asked for at that port of the guest. Packets to
 * the guest are made when it has a buffer for one: a connection only notes what it owes, so however
 * slow the guest is, nothing piles up.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/event.h>
#include <vibevmm/log.h>

#include "vsock_end.h"

/* ---- The guest's packets ------------------------------------------------------------------- */

bool vsock_open_to_guest(const struct vsock_switch *s)
{
	return s->n_replies < VSOCK_REPLIES;
}

static void refuse(struct vsock_switch *s, const struct vsock_packet *packet)
{
	if (packet->op != VSOCK_RST)
		vsock_reply_reset(s, packet->dst_cid, packet->type, packet->dst_port,
				  packet->src_port);
}

static void say_full(struct vsock_switch *s, const char *why)
{
	if (!s->full_told)
		log_warn("%s: %s: some connections wait or are refused", s->config.label, why);
	s->full_told = true;
}

/* The guest connects: to the program that listens at PATH_PORT. */
static void connect_host(struct vsock_switch *s, const struct vsock_packet *packet)
{
	char path[UNIXSOCK_PATH_MAX + 1];
	struct vsock_end *end = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s_%u", s->config.path, packet->dst_port);
	fd = unixsock_connect(path);
	if (fd >= 0) {
		end = vsock_end_new(s, fd, END_JOINED);
		if (!end)
			say_full(s, "too many connections");
	} else if (fd != -ENOENT && fd != -ECONNREFUSED) {
		say_full(s, strerror(-fd));
	}
	if (!end) {
		if (fd >= 0)
			close(fd);
		refuse(s, packet);
		return;
	}
	vsock_end_name(end, packet->dst_port, packet->src_port);
	end->peer_alloc = packet->buf_alloc;
	end->peer_fwd = packet->fwd_cnt;
	vsock_end_owe(end, OWE_RESPONSE);
}

/* The guest accepted what a program of the host asked for. */
static void accepted(struct vsock_end *end)
{
	char line[24];
	struct iovec iov = { line,
			     (size_t)snprintf(line, sizeof(line), "OK %u\n", end->host_port) };

	end->state = END_JOINED;
	if (vsock_end_send(end->fd, &iov, 1) != (ssize_t)iov.iov_len)
		vsock_end_reset(end);
}

static void shut_down(struct vsock_end *end, uint32_t flags)
{
	struct vsock_switch *s = end->s;

	flags &= (VSOCK_NO_RECEIVE | VSOCK_NO_SEND) & ~end->shut_us;
	end->shut_us |= flags;
	if (end->shut_us == (VSOCK_NO_RECEIVE | VSOCK_NO_SEND)) {
		/* VIRTIO 5.10.6.5: the end of a clean disconnection. */
		vsock_reply_reset(s, VSOCK_HOST, VSOCK_STREAM, end->host_port, end->guest_port);
		vsock_end_linger(end);
		return;
	}
	if (flags & VSOCK_NO_RECEIVE)
		shutdown(end->fd, SHUT_RD);
	if (flags & VSOCK_NO_SEND && !end->waiting)
		shutdown(end->fd, SHUT_WR);
}

static void to_end(struct vsock_end *end, const struct vsock_packet *packet,
		   const struct iovec *iov, unsigned n)
{
	if (packet->op == VSOCK_RST) {
		/* What was sent before a shutdown was sent for good. */
		if (end->shut_us & VSOCK_NO_SEND)
			vsock_end_linger(end);
		else
			vsock_end_free(end);
		return;
	}
	end->peer_alloc = packet->buf_alloc;
	end->peer_fwd = packet->fwd_cnt;
	end->asked_credit = false;
	if (end->readable) /* there may be credit again */
		vsock_end_enter_turn(end);
	if (end->state == END_ASKED) {
		if (packet->op == VSOCK_RESPONSE)
			accepted(end);
		else
			vsock_end_reset(end);
		return;
	}
	switch (packet->op) {
	case VSOCK_RW:
		vsock_end_take(end, iov, n, packet->len);
		break;
	case VSOCK_SHUTDOWN:
		shut_down(end, packet->flags);
		break;
	case VSOCK_CREDIT_UPDATE:
		break;
	case VSOCK_CREDIT_REQUEST:
		vsock_end_owe(end, OWE_CREDIT);
		break;
	default:
		vsock_end_reset(end);
	}
}

/* ---- Packets for the guest ----------------------------------------------------------------- */

bool vsock_has_packet(const struct vsock_switch *s)
{
	return s->n_replies || !TAILQ_EMPTY(&s->turns);
}

/* What the guest has room for. It may have shrunk its buffer meanwhile, or lie. */
static uint32_t credit(const struct vsock_end *end)
{
	uint32_t under_way = end->sent - end->peer_fwd;

	return under_way < end->peer_alloc ? end->peer_alloc - under_way : 0;
}

/* Shortens a list to len bytes; how many entries are left. */
static unsigned shorten(struct iovec *iov, unsigned n, size_t len)
{
	unsigned i;

	for (i = 0; i < n && len; i++) {
		if (iov[i].iov_len > len)
			iov[i].iov_len = len;
		len -= iov[i].iov_len;
	}
	return i;
}

/* The host's program sends no more. */
static void end_of_file(struct vsock_end *end)
{
	end->readable = false;
	if (!(end->shut & VSOCK_NO_SEND))
		end->owed |= OWE_SHUTDOWN;
	end->shut |= VSOCK_NO_SEND;
}

/* Reads from the host into the guest's buffers: how much, or 0 if there is nothing to send. */
static uint32_t read_host(struct vsock_end *end, struct iovec *iov, unsigned n)
{
	uint32_t most = credit(end);
	ssize_t got;

	if (!end->readable || end->state != END_JOINED || end->shut_us & VSOCK_NO_RECEIVE)
		return 0;
	if (!most) {
		if (!end->asked_credit)
			end->owed |= OWE_CREDIT_REQUEST;
		end->asked_credit = true;
		return 0;
	}
	n = shorten(iov, n, most);
	if (!n)
		return 0;
	do
		got = readv(end->fd, iov, (int)n);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		end->readable = false;
	else if (got <= 0)
		end_of_file(end);
	return got > 0 ? (uint32_t)got : 0;
}

/* The one packet that this end owes first: its op; or VSOCK_INVALID. */
static enum vsock_op pay(struct vsock_end *end, uint32_t *flags)
{
	static const enum vsock_op ops[] = { VSOCK_REQUEST, VSOCK_RESPONSE, VSOCK_SHUTDOWN,
					     VSOCK_CREDIT_UPDATE, VSOCK_CREDIT_REQUEST };

	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!(end->owed & 1U << i))
			continue;
		end->owed &= ~(1U << i);
		if (ops[i] == VSOCK_SHUTDOWN)
			*flags = end->shut;
		return ops[i];
	}
	return VSOCK_INVALID;
}

static bool fill(struct vsock_end *end, struct vsock_packet *packet, struct iovec *iov, unsigned n)
{
	*packet = (struct vsock_packet){
		.src_cid = VSOCK_HOST,
		.dst_cid = end->s->config.cid,
		.src_port = end->host_port,
		.dst_port = end->guest_port,
		.type = VSOCK_STREAM,
		.buf_alloc = VSOCK_BUFFER,
		.fwd_cnt = end->taken - end->waiting,
	};
	packet->op = (uint16_t)pay(end, &packet->flags);
	if (packet->op == VSOCK_INVALID) {
		packet->len = read_host(end, iov, n);
		packet->op = (uint16_t)(packet->len ? VSOCK_RW : pay(end, &packet->flags));
		end->sent += packet->len;
	}
	if (packet->op == VSOCK_INVALID)
		return false;
	end->told = packet->fwd_cnt; /* every packet has it */
	end->owed &= ~(unsigned)OWE_CREDIT;
	return true;
}

bool vsock_to_guest(struct vsock_switch *s, struct vsock_packet *packet, struct iovec *iov,
		    unsigned n)
{
	struct vsock_end *end;

	if (s->n_replies) {
		const struct vsock_reply *reply = &s->replies[s->first_reply];

		*packet = (struct vsock_packet){
			.src_cid = reply->cid,
			.dst_cid = s->config.cid,
			.src_port = reply->host_port,
			.dst_port = reply->guest_port,
			.type = reply->type,
			.op = VSOCK_RST,
		};
		s->first_reply = (s->first_reply + 1) % VSOCK_REPLIES;
		s->n_replies--;
		return true;
	}
	while ((end = TAILQ_FIRST(&s->turns))) {
		vsock_end_leave_turn(end);
		if (fill(end, packet, iov, n)) {
			vsock_end_enter_turn(end); /* behind the others */
			return true;
		}
	}
	return false;
}

/* ---- The host's programs ------------------------------------------------------------------- */

/* "CONNECT PORT\n": the port, or -1. */
static int64_t parse_hello(const char *line, size_t len)
{
	static const char word[] = "CONNECT ";
	int64_t port = 0;

	if (len < sizeof(word) || memcmp(line, word, sizeof(word) - 1))
		return -1;
	for (size_t i = sizeof(word) - 1; i < len; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		port = 10 * port + line[i] - '0';
		if (port > UINT32_MAX)
			return -1;
	}
	return port;
}

/* A port of ours that no connection to that port of the guest has. */
static uint32_t choose_port(struct vsock_switch *s, uint32_t guest_port)
{
	uint32_t port;

	do {
		port = s->next_port;
		s->next_port = port == UINT32_MAX - 1 ? VSOCK_FIRST_PORT : port + 1;
	} while (vsock_end_find(s, port, guest_port));
	return port;
}

/* Reads the first line, and not a byte more: what is behind it is for the guest. */
static void read_hello(struct vsock_end *end)
{
	char line[VSOCK_HELLO_MAX];
	ssize_t len = recv(end->fd, line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
	const char *newline;
	int64_t port = -1;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	newline = len > 0 ? memchr(line, '\n', (size_t)len) : NULL;
	if (!newline && len > 0 && (size_t)len < sizeof(line))
		return;
	if (newline) {
		len = newline - line;
		port = parse_hello(line, (size_t)len);
	}
	if (port < 0 || recv(end->fd, line, (size_t)len + 1, MSG_DONTWAIT) != len + 1) {
		vsock_end_free(end);
		return;
	}
	vsock_end_name(end, choose_port(end->s, (uint32_t)port), (uint32_t)port);
	end->state = END_ASKED;
	vsock_end_owe(end, OWE_REQUEST);
}

static void accept_all(struct vsock_switch *s)
{
	struct vsock_end *end;
	int fd;

	while (s->listener.readable) {
		if (LIST_EMPTY(&s->unused)) {
			say_full(s, "too many connections");
			return;
		}
		fd = accept4(s->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			/* Out of descriptors: the next one who connects makes us try again. */
			if (errno != EAGAIN)
				say_full(s, strerror(errno));
			s->listener.readable = false;
			return;
		}
		end = vsock_end_new(s, fd, END_HELLO);
		if (!end)
			close(fd);
	}
}

/* ---- Events ---------------------------------------------------------------------------------- */

void vsock_from_guest(struct vsock_switch *s, const struct vsock_packet *packet,
		      const struct iovec *iov, unsigned n)
{
	struct vsock_end *end;

	if (packet->src_cid != s->config.cid) {
		if (!s->odd_told)
			log_warn("%s: the guest sends as CID %llu, which is not its own",
				 s->config.label, (unsigned long long)packet->src_cid);
		s->odd_told = true;
		return;
	}
	/* VIRTIO 5.10.6.6.1: an unknown type is answered by a reset. */
	if (packet->type != VSOCK_STREAM || packet->dst_cid != VSOCK_HOST) {
		refuse(s, packet);
		return;
	}
	end = vsock_end_find(s, packet->dst_port, packet->src_port);
	if (end)
		to_end(end, packet, iov, n);
	else if (packet->op == VSOCK_REQUEST)
		connect_host(s, packet);
	else
		refuse(s, packet);
	accept_all(s); /* one may have made room */
}

void *vsock_ready(struct vsock_end *end, uint32_t events)
{
	struct vsock_switch *s = end->s;

	end->readable = true;
	switch (end == &s->listener ? END_FREE : end->state) {
	case END_FREE: /* an end that was freed after this event came has nothing to do */
		break;
	case END_HELLO:
		read_hello(end);
		break;
	case END_ASKED:
		if (events & (EVENT_HUP | EVENT_ERR))
			vsock_end_reset(end); /* nobody waits for the answer any more */
		break;
	case END_JOINED:
		vsock_end_flush(end);
		if (events & (EVENT_HUP | EVENT_ERR))
			vsock_end_deaf(end);
		vsock_end_credit(end);
		vsock_end_enter_turn(end);
		break;
	case END_LINGER:
		vsock_end_flush(end);
		if (!end->waiting)
			vsock_end_free(end);
		break;
	}
	accept_all(s);
	return s->config.arg;
}

/* ---- The header: VIRTIO 5.10.6 ------------------------------------------------------------- */

void vsock_decode(struct vsock_packet *packet, const uint8_t bytes[VSOCK_HEADER])
{
	*packet = (struct vsock_packet){
		.src_cid = bytes_get64(bytes),
		.dst_cid = bytes_get64(bytes + 8),
		.src_port = bytes_get32(bytes + 16),
		.dst_port = bytes_get32(bytes + 20),
		.len = bytes_get32(bytes + 24),
		.type = bytes_get16(bytes + 28),
		.op = bytes_get16(bytes + 30),
		.flags = bytes_get32(bytes + 32),
		.buf_alloc = bytes_get32(bytes + 36),
		.fwd_cnt = bytes_get32(bytes + 40),
	};
}

void vsock_encode(const struct vsock_packet *packet, uint8_t bytes[VSOCK_HEADER])
{
	bytes_put64(bytes, packet->src_cid);
	bytes_put64(bytes + 8, packet->dst_cid);
	bytes_put32(bytes + 16, packet->src_port);
	bytes_put32(bytes + 20, packet->dst_port);
	bytes_put32(bytes + 24, packet->len);
	bytes_put16(bytes + 28, packet->type);
	bytes_put16(bytes + 30, packet->op);
	bytes_put32(bytes + 32, packet->flags);
	bytes_put32(bytes + 36, packet->buf_alloc);
	bytes_put32(bytes + 40, packet->fwd_cnt);
}

/* ---- All of it ----------------------------------------------------------------------------- */

int vsock_new(const struct vsock_config *config, struct vsock_switch **out)
{
	struct vsock_switch *s = calloc(1, sizeof(*s));
	int ret = 0;

	if (!s)
		return -ENOMEM;
	s->config = *config;
	s->next_port = VSOCK_FIRST_PORT;
	s->listener = (struct vsock_end){ .s = s, .fd = config->listener };
	TAILQ_INIT(&s->turns);
	for (unsigned i = VSOCK_CONNECTIONS; i--;) {
		s->ends[i] = (struct vsock_end){ .s = s, .fd = -1 };
		LIST_INSERT_HEAD(&s->unused, &s->ends[i], same);
	}
	if (config->listener >= 0)
		ret = config->watch(config->arg, config->listener, EVENT_IN | EVENT_EDGE,
				    &s->listener);
	if (ret) {
		free(s);
		return ret;
	}
	*out = s;
	return 0;
}

void vsock_free(struct vsock_switch *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++) {
		if (s->ends[i].state != END_FREE)
			vsock_end_free(&s->ends[i]);
	}
	free(s);
}

unsigned vsock_connections(const struct vsock_switch *s)
{
	return s->n;
}

uint64_t vsock_waiting(const struct vsock_switch *s)
{
	return s->waiting;
}
