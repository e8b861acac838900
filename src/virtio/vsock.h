/* vsock.h: connections between sockets of the guest and unix sockets of the host.
 *
 * A switch knows no queue: vsock.c gives it the guest's packets and asks for those to the guest, so
 * a test can be the guest. Data goes straight between the guest's buffers and the host's sockets;
 * only what a host socket doesn't take at once waits here, no more than VSOCK_BUFFER bytes a
 * connection, which is the credit that the guest gets. Everything happens on one thread.
 */
#ifndef VIRTIO_VSOCK_H
#define VIRTIO_VSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <vibevmm/unixsock.h>
#include <vibevmm/virtio.h>

struct vsock_options {
	VIRTIO_MEMBERS;
	uint32_t cid;
	char *socket;
};

#define VSOCK_BUFFER	  131072U
#define VSOCK_CONNECTIONS 512U
#define VSOCK_REPLIES	  256U /* resets that no connection stands for */
#define VSOCK_HEADER	  44U
#define VSOCK_HOST	  2U	      /* VIRTIO 5.10.4: the host's CID */
#define VSOCK_PORT_MAX	  11	      /* bytes behind the path: "_4294967295" */
#define VSOCK_FIRST_PORT  0x40000000U /* of the host's end, for connections that it begins */
#define VSOCK_HELLO_MAX	  32U	      /* "CONNECT 4294967295\n" fits */

/* VIRTIO 5.10.6, "struct virtio_vsock_hdr", 5.10.6.5 for the bits of shutdown. */
enum { VSOCK_STREAM = 1 };
enum vsock_op {
	VSOCK_INVALID,
	VSOCK_REQUEST,
	VSOCK_RESPONSE,
	VSOCK_RST,
	VSOCK_SHUTDOWN,
	VSOCK_RW,
	VSOCK_CREDIT_UPDATE,
	VSOCK_CREDIT_REQUEST,
};
enum { VSOCK_NO_RECEIVE = 1, VSOCK_NO_SEND = 2 };

struct vsock_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

void vsock_decode(struct vsock_packet *packet, const uint8_t bytes[VSOCK_HEADER]);
void vsock_encode(const struct vsock_packet *packet, uint8_t bytes[VSOCK_HEADER]);

struct vsock_switch;
struct vsock_end; /* of a descriptor, for vsock_ready */

/* The descriptor of `end` is to be watched for these events of event.h, edge-triggered, or for
 * others than before; 0: no more. 0 or -errno. */
typedef int (*vsock_watch_fn)(void *arg, int fd, uint32_t events, struct vsock_end *end);

struct vsock_config {
	uint64_t cid;	  /* the guest's */
	const char *path; /* PATH, and PATH_PORT for the guest's connections to the host */
	int listener;	  /* listens at path, non-blocking; the caller's; -1: none */
	const char *label;
	vsock_watch_fn watch;
	void *arg; /* watch's */
};

/* *config is copied, the path is not. 0 or -errno. vsock_free closes all connections; NULL is
 * fine. */
int vsock_new(const struct vsock_config *config, struct vsock_switch **s);
void vsock_free(struct vsock_switch *s);

/* Something happened at a descriptor: events of event.h. Gives back the config's arg. */
void *vsock_ready(struct vsock_end *end, uint32_t events);

/* Whether the guest's next packet can be taken now; otherwise the guest must take some first. */
bool vsock_open_to_guest(const struct vsock_switch *s);

/* The guest's packet, with packet->len bytes of data in iov. Only if vsock_open_to_guest. */
void vsock_from_guest(struct vsock_switch *s, const struct vsock_packet *packet,
		      const struct iovec *iov, unsigned n);

/* There may be a packet for the guest; and the next one, with its data, packet->len bytes, in iov,
 * which gets shortened. False: there is none after all. */
bool vsock_has_packet(const struct vsock_switch *s);
bool vsock_to_guest(struct vsock_switch *s, struct vsock_packet *packet, struct iovec *iov,
		    unsigned n);

/* How many connections there are, and how many bytes of the guest wait in them for a host socket
 * that is full. */
unsigned vsock_connections(const struct vsock_switch *s);
uint64_t vsock_waiting(const struct vsock_switch *s);

#endif
