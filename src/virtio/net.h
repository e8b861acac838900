/* net.h: between the parts of virtio-net: the device (net.c), its control queue (net_control.c),
 * the way of a frame to the driver (net_rx.c), and what moves frames: net_stream.c,
 * net_tap_linux.c, or the kernel (net_vhost_linux.c).
 *
 * A pair of queues is served by one worker, which alone touches the pair's state.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include <stdatomic.h>

#include <vibevmm/net.h>
#include <vibevmm/virtio.h>

/* VIRTIO 5.1.3 */
enum {
	NET_F_CSUM = 0,
	NET_F_GUEST_CSUM = 1,
	NET_F_MTU = 3,
	NET_F_MAC = 5,
	NET_F_GUEST_TSO4 = 7,
	NET_F_GUEST_TSO6 = 8,
	NET_F_GUEST_ECN = 9,
	NET_F_GUEST_UFO = 10,
	NET_F_HOST_TSO4 = 11,
	NET_F_HOST_TSO6 = 12,
	NET_F_HOST_ECN = 13,
	NET_F_HOST_UFO = 14,
	NET_F_MRG_RXBUF = 15,
	NET_F_STATUS = 16,
	NET_F_CTRL_VQ = 17,
	NET_F_CTRL_RX = 18,
	NET_F_MQ = 22,
	NET_F_CTRL_MAC_ADDR = 23,
};

/* VIRTIO 5.1.4: struct virtio_net_config, as far as we have it */
enum {
	NET_CONFIG_MAC = 0,
	NET_CONFIG_STATUS = 6,
	NET_CONFIG_PAIRS = 8,
	NET_CONFIG_MTU = 10,
	NET_CONFIG_SIZE = 12,
};
#define NET_STATUS_LINK_UP 1

/* VIRTIO 5.1.6: struct virtio_net_hdr */
enum {
	NET_HEADER_FLAGS = 0,
	NET_HEADER_BUFFERS = 10,
	NET_HEADER = 12, /* its size */
};
#define NET_FLAG_DATA_VALID 2

enum {
	NET_QUEUE = 256, /* requests of a queue */
	NET_CHAIN = VIRTIO_CHAIN_MAX(NET_QUEUE),
	NET_IOV = 1024, /* what one system call takes: IOV_MAX */
	NET_RX_IOV = NET_IOV - 1,
	NET_BURST = 256,	/* frames one way before the other gets its turn */
	NET_FLUSH = 64,		/* frames before the driver hears of them */
	NET_SHORTEST = 14,	/* an Ethernet header */
	NET_SINGLE = 2048,	/* the longest that is not taken for one of many */
	NET_LONGEST = 66 << 10, /* 64 KiB of payload, headers */
};

enum { NET_VHOST_AUTO, NET_VHOST_ON, NET_VHOST_OFF };
enum { NET_LINK_UP, NET_LINK_DOWN };
enum { NET_TCP, NET_UDP };

struct net_config {
	VIRTIO_MEMBERS;
	char *tap;
	bool user;
	char *listen, *connect;
	struct config_maps forward; /* of struct net_forward */
	char *mac;
	uint32_t mtu, queues, vhost, link;
};

struct net_forward {
	uint32_t host, guest, proto;
	char *address;
};

struct net;
struct net_pair;

/* What moves frames. create and destroy are the device's, and destroy undoes a create that failed,
 * too. start comes before the workers run; stop when none does any more, and after a start that
 * failed. */
struct net_mover {
	int (*create)(struct net *net, struct err *err);
	void (*destroy)(struct net *net);
	int (*start)(struct net_pair *pair);
	void (*stop)(struct net_pair *pair);
	bool outside; /* it doesn't run on the pairs' workers */
};

extern const struct net_mover net_tap, net_stream, net_vhost;

/* Buffers that were taken from the driver and not given back. */
struct net_rx {
	struct virtio_chain chains[NET_QUEUE]; /* those from first to n - 1, in order */
	unsigned first, n;
	size_t room; /* bytes in them */
	unsigned n_iov;
	struct iovec iov[NET_RX_IOV + 1]; /* theirs; net_tap_linux.c adds one */
};

struct net_pair {
	struct net *net;
	unsigned index;
	struct virtio_queue *rx, *tx;
	struct virtio_worker *worker; /* from start to stop */
	void *mover;		      /* net_tap_linux.c's or net_stream.c's */
	struct vhost_pair *vhost;     /* net_vhost_linux.c's */
	uint64_t dropped;	      /* frames, either way */
	struct net_rx in;
};

struct net {
	struct virtio *v;
	const struct net_config *options;
	const struct net_mover *mover;
	bool vhost; /* the kernel moves frames */
	unsigned n_pairs, used_pairs;
	struct net_pair *pairs[TAP_QUEUES_MAX];
	struct tap tap;
	_Atomic bool up;      /* the link */
	_Atomic uint64_t mac; /* the driver may choose another one */
	uint8_t config[NET_CONFIG_SIZE];
};

/* ---- net.c --------------------------------------------------------------------------------- */

struct net_pair *net_pair_of(const struct virtio_queue *q);

/* The link went up or down. Any thread. */
void net_set_link(struct net *net, bool up);

/* Counts a frame that can't be delivered. */
static inline void net_drop(struct net_pair *pair)
{
	pair->dropped++;
}

/* ---- net_control.c ------------------------------------------------------------------------- */

/* Serves the control queue. */
void net_control(struct virtio_queue *q);

/* The driver uses the first n pairs. 0 or -errno. */
int net_use_pairs(struct net *net, unsigned n);

/* ---- net_rx.c ------------------------------------------------------------------------------ */

/* Takes buffers until they have room for that many bytes, as far as there are any. False: there are
 * none at all. */
bool net_rx_stage(struct net_pair *pair, size_t bytes);

/* A frame of len bytes, header included: its beginning is in the room of the buffers that were
 * staged for it, direct bytes; rest has the others. Gives the buffers to the driver. False: it has
 * too few; to be called again when there are more. */
bool net_rx_place(struct net_pair *pair, size_t len, size_t direct, const uint8_t *rest);

/* Forgets all. */
void net_rx_reset(struct net_pair *pair);

#endif
