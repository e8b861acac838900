/* blk_io.c: the requests of virtio-blk: VIRTIO 5.2.6.
 *
 * A queue's worker takes all requests there are, gives them to the disk together, and shows the
 * guest together what was done meanwhile. Requests are done in any order, as the specification has
 * it: a flush is for the writes that were done before it came. Other queues don't wait for it; what
 * comes to its own queue while nothing but it is under way, does.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "blk.h"

/* ---- What the guest asks for ----------------------------------------------------------------- */

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};
#define RANGE_UNMAP 1U

/* Skips n bytes of buffers, of which there are more. */
static void skip(struct iovec **iov, unsigned *n_iov, size_t n)
{
	while (*n_iov && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*n_iov)--;
	}
	if (n) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

static bool inside(const struct blk *b, uint64_t sector, uint64_t len)
{
	uint64_t size = disk_size(b->disk);

	return sector <= size / BLK_SECTOR && len <= size - sector * BLK_SECTOR;
}

static int done(uint8_t *status, uint8_t result)
{
	*status = result;
	return 0;
}

static int parse_transfer(const struct blk *b, struct disk_request *r, uint64_t sector, size_t len,
			  uint8_t *status)
{
	if (len % BLK_SECTOR || len > BLK_TRANSFER_MAX || !inside(b, sector, len) ||
	    (r->op == DISK_WRITE && b->read_only))
		return done(status, BLK_S_IOERR);
	if (!len)
		return done(status, BLK_S_OK);
	r->offset = sector * BLK_SECTOR;
	r->len = len;
	return 1;
}

/* 5.2.6.2 has what becomes of flags. */
static int parse_range(const struct blk *b, struct blk_slot *slot, uint8_t *status)
{
	struct disk_request *r = &slot->disk;
	bool zero = r->op == DISK_ZERO;
	unsigned feature = zero ? BLK_F_WRITE_ZEROES : BLK_F_DISCARD;
	struct blk_range range;

	if (!virtio_has(b->v, feature))
		return done(status, BLK_S_UNSUPP);
	/* One range, as config says. */
	if (slot->chain.out_len != sizeof(struct blk_header) + sizeof(range))
		return done(status, BLK_S_IOERR);
	virtio_chain_read(&slot->chain, sizeof(struct blk_header), &range, sizeof(range));
	if (range.flags & ~(zero ? RANGE_UNMAP : 0))
		return done(status, BLK_S_UNSUPP);
	if (b->read_only || range.sectors > BLK_RANGE_MAX ||
	    !inside(b, range.sector, (uint64_t)range.sectors * BLK_SECTOR))
		return done(status, BLK_S_IOERR);
	if (!range.sectors)
		return done(status, BLK_S_OK);
	r->offset = range.sector * BLK_SECTOR;
	r->len = (uint64_t)range.sectors * BLK_SECTOR;
	r->unmap = range.flags & RANGE_UNMAP;
	return 1;
}

/* Copies to the buffers of a read, which get all that it names. */
static void fill(struct disk_request *r, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	for (; r->n_iov; r->iov++, r->n_iov--) {
		size_t n = r->iov->iov_len < len ? r->iov->iov_len : len;

		memcpy(r->iov->iov_base, from, n);
		memset((uint8_t *)r->iov->iov_base + n, 0, r->iov->iov_len - n);
		from += n;
		len -= n;
	}
}

/* The status is the last byte to write; what is before it is data. */
static void split_off_status(struct blk_slot *slot)
{
	struct virtio_chain *chain = &slot->chain;
	struct iovec *last = &chain->iov[chain->n_out + chain->n_in - 1];

	slot->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	if (!--last->iov_len)
		chain->n_in--;
}

int virtio_blk_parse(struct blk *b, struct blk_slot *slot, uint8_t *status)
{
	struct virtio_chain *chain = &slot->chain;
	struct disk_request *r = &slot->disk;
	struct blk_header header;
	size_t written = chain->in_len;

	if (!chain->in_len || chain->out_len < sizeof(header)) {
		virtio_broken(b->v, "a request without %s",
			      chain->in_len ? "a header" : "a byte for its status");
		return -1;
	}
	virtio_chain_read(chain, 0, &header, sizeof(header));
	split_off_status(slot);
	*r = (struct disk_request){ .iov = chain->iov + chain->n_out, .n_iov = chain->n_in };
	if (header.type != BLK_T_IN)
		fill(r, b->id, header.type == BLK_T_GET_ID ? sizeof(b->id) : 0);
	switch (header.type) {
	case BLK_T_IN:
		r->op = DISK_READ;
		return parse_transfer(b, r, header.sector, written - 1, status);
	case BLK_T_OUT:
		r->op = DISK_WRITE;
		r->iov = chain->iov;
		r->n_iov = chain->n_out;
		skip(&r->iov, &r->n_iov, sizeof(header));
		/* 5.2.6.2: a driver that never flushes counts on every write. */
		r->durable = !virtio_has(b->v, BLK_F_FLUSH);
		return parse_transfer(b, r, header.sector, chain->out_len - sizeof(header), status);
	case BLK_T_FLUSH:
		r->op = DISK_FLUSH;
		return 1;
	case BLK_T_GET_ID:
		return done(status, BLK_S_OK);
	case BLK_T_DISCARD:
		r->op = DISK_DISCARD;
		return parse_range(b, slot, status);
	case BLK_T_WRITE_ZEROES:
		r->op = DISK_ZERO;
		r->durable = !virtio_has(b->v, BLK_F_FLUSH);
		return parse_range(b, slot, status);
	default:
		return done(status, BLK_S_UNSUPP);
	}
}

/* ---- What comes of it ------------------------------------------------------------------------ */

/* The length used counts all that was written up to the status, which is the last byte. So what a
 * read left unwritten is written here: r->iov is the rest of it. */
static void give(struct virtio_queue *q, struct blk_queue *bq, struct blk_slot *slot,
		 uint8_t status)
{
	if (slot->disk.op == DISK_READ)
		fill(&slot->disk, "", 0);
	*slot->status = status;
	virtio_queue_give(q, slot->chain.head, (uint32_t)slot->chain.in_len);
	slot->next = bq->free;
	bq->free = slot;
}

static void give_done(struct virtio_queue *q, struct blk_queue *bq, struct blk_slot *slot)
{
	static const char *const words[] = { [DISK_READ] = "read",
					     [DISK_WRITE] = "write",
					     [DISK_FLUSH] = "flush",
					     [DISK_DISCARD] = "discard",
					     [DISK_ZERO] = "write of zeros" };
	struct virtio *v = virtio_queue_device(q);
	struct blk *b = v->state;
	int result = slot->disk.result;

	if (result == -ECANCELED) /* the driver has gone: blk_stop */
		return;
	if (result && !atomic_exchange(&b->told, true))
		log_error("%s: a %s failed: %s; the guest is told, and goes on (said once)",
			  v->dev->plan->label, words[slot->disk.op], strerror(-result));
	if (!result)
		slot->disk.n_iov = 0;
	give(q, bq, slot, result ? BLK_S_IOERR : BLK_S_OK);
}

/* Takes what there is, as far as there are slots for it. */
static void take(struct virtio_queue *q, struct blk *b, struct blk_queue *bq)
{
	struct blk_slot *slot;
	uint8_t status;

	while ((slot = bq->free) && virtio_queue_take(q, &slot->chain)) {
		int ret = virtio_blk_parse(b, slot, &status);

		if (ret < 0)
			return;
		bq->free = slot->next;
		if (ret)
			disk_lane_add(bq->lane, &slot->disk);
		else
			give(q, bq, slot, status);
	}
}

void virtio_blk_serve(struct virtio_queue *q)
{
	struct blk *b = virtio_queue_device(q)->state;
	struct blk_queue *bq = &b->queues[virtio_queue_index(q)];
	struct disk_request *r;

	do {
		take(q, b, bq);
		while (disk_lane_wait(bq->lane)) {
			while ((r = disk_lane_done(bq->lane)))
				give_done(q, bq, (struct blk_slot *)r);
			virtio_queue_flush(q);
			take(q, b, bq);
		}
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}
