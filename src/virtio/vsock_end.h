/* vsock_end.h: one connection between a socket of the guest and one of the host. */
#ifndef VIRTIO_VSOCK_END_H
#define VIRTIO_VSOCK_END_H

#include <sys/queue.h>

#include "vsock.h"

#define VSOCK_BUCKETS 256U

enum vsock_state {
	END_FREE,
	END_HELLO,  /* a program of the host connected; its line is not complete */
	END_ASKED,  /* the guest has not answered our request yet */
	END_JOINED, /* both ends are there */
	END_LINGER, /* the guest's end is gone; the host's gets what waits for it */
};

/* Packets that a connection owes the guest, in the order they are sent: see pay. */
enum {
	OWE_REQUEST = 1,
	OWE_RESPONSE = 2,
	OWE_SHUTDOWN = 4,
	OWE_CREDIT = 8,
	OWE_CREDIT_REQUEST = 16
};

/* The listener is an end, too; it has only the first two members. */
struct vsock_end {
	struct vsock_switch *s;
	int fd;
	enum vsock_state state;
	uint32_t host_port, guest_port;
	LIST_ENTRY(vsock_end) same; /* ends of one bucket, or free ones */
	TAILQ_ENTRY(vsock_end) turn;
	bool in_turn;

	unsigned owed;	   /* OWE_* */
	uint32_t shut;	   /* what we told the guest about the host's end, VSOCK_NO_* */
	uint32_t shut_us;  /* and it us about its own */
	bool readable;	   /* until a read says otherwise */
	bool asked_credit; /* since the guest gave some */

	/* To the guest: bytes sent, its last word about its buffer. */
	uint32_t sent, peer_alloc, peer_fwd;

	/* To the host: bytes taken from the guest, how many of those the guest was last told to be
	 * done with, and those that wait in a ring of VSOCK_BUFFER bytes. */
	uint32_t taken, told;
	uint32_t first, waiting;
	uint8_t *ring;
};

struct vsock_reply {
	uint64_t cid; /* whom the guest took us for */
	uint32_t host_port, guest_port;
	uint16_t type;
};

struct vsock_switch {
	struct vsock_config config;
	struct vsock_end listener;
	LIST_HEAD(vsock_ends, vsock_end) buckets[VSOCK_BUCKETS], unused;
	TAILQ_HEAD(vsock_turns, vsock_end) turns; /* ends that may have something for the guest */
	unsigned n;				  /* ends in use */
	uint64_t waiting;
	uint32_t next_port;
	bool full_told, odd_told;

	struct vsock_reply replies[VSOCK_REPLIES]; /* a ring */
	unsigned first_reply, n_replies;

	struct vsock_end ends[VSOCK_CONNECTIONS];
};

struct vsock_end *vsock_end_find(struct vsock_switch *s, uint32_t host_port, uint32_t guest_port);

/* Takes fd over; NULL: there is no room, and fd is still the caller's. */
struct vsock_end *vsock_end_new(struct vsock_switch *s, int fd, enum vsock_state state);
void vsock_end_free(struct vsock_end *end);

/* From now on the guest's packets with these ports are this end's. */
void vsock_end_name(struct vsock_end *end, uint32_t host_port, uint32_t guest_port);

/* It may have something for the guest, or it has nothing more; and it owes these packets. */
void vsock_end_enter_turn(struct vsock_end *end);
void vsock_end_leave_turn(struct vsock_end *end);
void vsock_end_owe(struct vsock_end *end, unsigned what);

/* Bytes for the host: at once, -errno if that can't be; all len of the guest's, now or later; those
 * that wait, as far as the host takes them. */
ssize_t vsock_end_send(int fd, const struct iovec *iov, unsigned n);
void vsock_end_take(struct vsock_end *end, const struct iovec *iov, unsigned n, uint32_t len);
void vsock_end_flush(struct vsock_end *end);

/* The host's program reads no more; what the guest still sends is for nobody. */
void vsock_end_deaf(struct vsock_end *end);

/* Tells the guest what it may send, if it is time. */
void vsock_end_credit(struct vsock_end *end);

/* The guest's end is gone; the host's goes as soon as it has what the guest sent. */
void vsock_end_linger(struct vsock_end *end);

/* It ends here and now, for both. */
void vsock_end_reset(struct vsock_end *end);

/* There is room for the answer to each of the guest's packets: vsock_open_to_guest. */
void vsock_reply_reset(struct vsock_switch *s, uint64_t cid, uint16_t type, uint32_t host_port,
		       uint32_t guest_port);

#endif
