/* net_rx.c: how a frame gets into the driver's buffers: VIRTIO 5.1.6.3 and 5.1.6.4. */
#include <string.h>

#include <vibevmm/bytes.h>

#include "net.h"

/* Moves what is there to the beginning. */
static void compact(struct net_rx *rx)
{
	struct iovec *begin = rx->first < rx->n ? rx->chains[rx->first].iov : rx->iov + rx->n_iov;
	size_t shift = (size_t)(begin - rx->iov);

	rx->n -= rx->first;
	rx->n_iov -= (unsigned)shift;
	memmove(rx->chains, rx->chains + rx->first, rx->n * sizeof(*rx->chains));
	memmove(rx->iov, begin, rx->n_iov * sizeof(*rx->iov));
	for (unsigned i = 0; i < rx->n; i++)
		rx->chains[i].iov -= shift;
	rx->first = 0;
}

/* Whether another one may not find room, whatever it looks like. */
static bool is_full(const struct net_rx *rx)
{
	return rx->n == NET_QUEUE || rx->n_iov + NET_CHAIN > NET_RX_IOV;
}

/* One more; false: there is none. */
static bool take(struct net_pair *pair)
{
	struct net_rx *rx = &pair->in;
	struct virtio_chain *chain = &rx->chains[rx->n];

	chain->iov = rx->iov + rx->n_iov;
	chain->cap = NET_CHAIN;
	if (!virtio_queue_take(pair->rx, chain))
		return false;
	if (chain->n_out || chain->in_len < NET_HEADER) {
		virtio_broken(pair->net->v, "queue %u: a receive buffer is too short, or to read",
			      virtio_queue_index(pair->rx));
		return false;
	}
	rx->n++;
	rx->n_iov += chain->n_in;
	rx->room += chain->in_len;
	return true;
}

/* Takes until there is room for bytes: 1, or 0 if the driver has no more, or -1 if that is never
 * possible. */
static int make_room(struct net_pair *pair, size_t bytes)
{
	bool mergeable = virtio_has(pair->net->v, NET_F_MRG_RXBUF);
	struct net_rx *rx = &pair->in;

	while (rx->room < bytes) {
		if (rx->first && is_full(rx))
			compact(rx);
		if (is_full(rx) || (rx->first < rx->n && !mergeable))
			return -1;
		if (!take(pair))
			return 0;
	}
	return 1;
}

bool net_rx_stage(struct net_pair *pair, size_t bytes)
{
	make_room(pair, bytes);
	return pair->in.room > 0;
}

/* Copies to where the buffers' bytes from offset on are. */
static void copy(const struct net_rx *rx, size_t offset, const uint8_t *buf, size_t len)
{
	for (const struct virtio_chain *chain = &rx->chains[rx->first]; len; chain++) {
		size_t some;

		if (offset >= chain->in_len) {
			offset -= chain->in_len;
			continue;
		}
		some = virtio_chain_write(chain, offset, buf, len);
		offset = 0;
		buf += some;
		len -= some;
	}
}

/* Gives as many buffers as the frame fills, and tells their number (5.1.6.4.1). */
static void give(struct net_pair *pair, size_t len)
{
	struct net_rx *rx = &pair->in;
	struct virtio_chain *chain = &rx->chains[rx->first];
	uint8_t count[2];
	unsigned n = 0;

	for (size_t left = len; left; n++)
		left -= chain[n].in_len < left ? chain[n].in_len : left;
	bytes_put16(count, (uint16_t)n);
	virtio_chain_write(chain, NET_HEADER_BUFFERS, count, sizeof(count));
	for (; n; n--, chain++) {
		size_t some = chain->in_len < len ? chain->in_len : len;

		virtio_queue_give(pair->rx, chain->head, (uint32_t)some);
		rx->room -= chain->in_len;
		rx->first++;
		len -= some;
	}
	if (rx->first == rx->n)
		rx->first = rx->n = rx->n_iov = 0;
}

bool net_rx_place(struct net_pair *pair, size_t len, size_t direct, const uint8_t *rest)
{
	int ret = make_room(pair, len);

	if (ret < 0) /* too long for this driver */
		net_drop(pair);
	if (ret > 0) {
		copy(&pair->in, direct, rest, len - direct);
		give(pair, len);
	}
	return ret != 0;
}

void net_rx_reset(struct net_pair *pair)
{
	pair->in.first = pair->in.n = pair->in.n_iov = 0;
	pair->in.room = 0;
}
