/* net_control.c: virtio-net's control queue: VIRTIO 5.1.6.5. */
#include <vibevmm/bytes.h>

#include "net.h"

/* class << 8 | command */
enum {
	RX_PROMISC = 0x0000,
	RX_ALLMULTI = 0x0001,
	MAC_TABLE_SET = 0x0100,
	MAC_ADDR_SET = 0x0101,
	MQ_VQ_PAIRS_SET = 0x0400,
};

enum { ACK_OK, ACK_ERR };
enum { DATA = 2 }; /* behind class and command */

/* Two lists of addresses, for one station and for groups: each a number, and as many addresses. */
static bool is_mac_table(const struct virtio_chain *chain)
{
	size_t at = DATA;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t n[4];

		if (virtio_chain_read(chain, at, n, sizeof(n)) < sizeof(n))
			return false;
		at += sizeof(n);
		if (bytes_get32(n) > (chain->out_len - at) / 6)
			return false;
		at += (size_t)bytes_get32(n) * 6;
	}
	return true;
}

static bool set_mac(struct net *net, const struct virtio_chain *chain)
{
	uint8_t mac[6];

	if (virtio_chain_read(chain, DATA, mac, sizeof(mac)) < sizeof(mac) || (mac[0] & 1))
		return false;
	net->mac = bytes_get(mac, sizeof(mac));
	return true;
}

static bool set_pairs(struct net *net, const struct virtio_chain *chain)
{
	uint8_t data[2];
	unsigned n;

	if (!virtio_has(net->v, NET_F_MQ) ||
	    virtio_chain_read(chain, DATA, data, sizeof(data)) < sizeof(data))
		return false;
	n = bytes_get16(data);
	if (!n || n > net->n_pairs)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (!virtio_queue_ready(net->pairs[i]->rx) ||
		    !virtio_queue_ready(net->pairs[i]->tx))
			return false;
	}
	return !net_use_pairs(net, n);
}

/* Filters are wishes (5.1.6.5.1, 5.1.6.5.2): a driver gets all there is, and sorts it. */
static bool obey(struct net *net, const struct virtio_chain *chain)
{
	uint8_t head[DATA], on;

	if (virtio_chain_read(chain, 0, head, sizeof(head)) < sizeof(head))
		return false;
	switch (head[0] << 8 | head[1]) {
	case RX_PROMISC:
	case RX_ALLMULTI:
		return virtio_chain_read(chain, DATA, &on, 1) == 1;
	case MAC_TABLE_SET:
		return is_mac_table(chain);
	case MAC_ADDR_SET:
		return set_mac(net, chain);
	case MQ_VQ_PAIRS_SET:
		return set_pairs(net, chain);
	default:
		return false;
	}
}

void net_control(struct virtio_queue *q)
{
	struct virtio *v = virtio_queue_device(q);
	struct iovec iov[NET_CHAIN];
	struct virtio_chain chain = { .iov = iov, .cap = NET_CHAIN };

	do {
		while (virtio_queue_take(q, &chain)) {
			uint8_t ack;

			if (!chain.in_len) {
				virtio_broken(v, "queue %u: a command has no room for an answer",
					      virtio_queue_index(q));
				return;
			}
			ack = obey(v->state, &chain) ? ACK_OK : ACK_ERR;
			virtio_chain_write(&chain, 0, &ack, 1);
			virtio_queue_give(q, chain.head, 1);
		}
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}
