/* queue.c: split virtqueues, VIRTIO 2.7: the one place that reads what a driver put in a ring.
 *
 * The driver may change all of it at any time. So every value is copied once, the copy is checked,
 * and only the copy is used. The ring's fields are little-endian, as all our hosts are.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/event.h>
#include <vibevmm/log.h>

#include "core.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are read as they are");

/* VIRTIO 2.7.5, 2.7.6 and 2.7.8. Behind the rings' entries lie the event indices of 2.7.10. */
struct virtio_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
#define DESC_NEXT     1
#define DESC_WRITE    2
#define DESC_INDIRECT 4

struct virtio_avail {
	uint16_t flags, idx, ring[];
};
#define AVAIL_NO_INTERRUPT 1

struct virtio_used {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[];
};
#define USED_NO_NOTIFY 1

/* Each exactly once. */
static uint16_t load(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store(uint16_t *p, uint16_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

static uint16_t *used_event(const struct virtio_queue *q)
{
	return &q->avail->ring[q->size];
}

static uint16_t *avail_event(const struct virtio_queue *q)
{
	return (uint16_t *)&q->used->ring[q->size];
}

/* ---- What is wrong with a ring ------------------------------------------------------------- */

static int bad(struct virtio_queue *q, const char *what)
{
	virtio_broken(q->v, "queue %u: %s", q->index, what);
	return 0;
}

/* ---- Start and stop ------------------------------------------------------------------------ */

/* Each part must lie in one piece of RAM, aligned as 2.7 says. */
static void *part(const struct virtio_queue *q, uint64_t addr, uint64_t size, uint64_t align,
		  bool writable)
{
	return addr % align ? NULL : memory_ptr(q->v->memory, addr, size, writable);
}

bool virtio_queue_start(struct virtio_queue *q)
{
	uint64_t size = q->size;

	if (!bytes_is_power_of_2(size) || size > q->max)
		return bad(q, "its size is no power of two, or more than the device allows");
	q->desc = part(q, q->ring.descriptors, sizeof(*q->desc) * size, 16, false);
	q->avail = part(q, q->ring.driver, sizeof(*q->avail) + 2 * size + 2, 2, false);
	q->used = part(q, q->ring.device, sizeof(*q->used) + 8 * size + 2, 4, true);
	if (!q->desc || !q->avail || !q->used)
		return bad(q, "its ring is not aligned, or not in RAM");
	q->n_slots = memory_slots(q->v->memory, &q->slots);
	q->slot = q->slots;
	q->next_avail = q->seen_avail = q->next_used = q->shown_used = 0;
	q->event_idx = virtio_has(q->v, VIRTIO_FEATURE_EVENT_IDX);
	q->indirect = virtio_has(q->v, VIRTIO_FEATURE_INDIRECT_DESC);
	q->silenced = false;
	memset(q->taken, 0, (q->max + 63U) / 64 * sizeof(*q->taken));
	return true;
}

void virtio_queue_stop(struct virtio_queue *q)
{
	if (q->own_kick)
		close(q->kick);
	q->own_kick = false;
	q->kick = -1;
	if (q->call >= 0) {
		q->v->core->transport->call(q, q->call, false);
		close(q->call);
	}
	q->call = -1;
}

/* ---- Taking requests ----------------------------------------------------------------------- */

/* Where guest memory at addr is, and how many of len bytes are there in one piece; 0: none. */
static uint64_t piece(struct virtio_queue *q, uint64_t addr, uint64_t len, bool writable,
		      uint8_t **host)
{
	const struct memory_slot *end = q->slots + q->n_slots;
	uint64_t left;

	for (const struct memory_slot *slot = q->slots; slot < end; slot++) {
		if (addr - slot->gpa >= slot->size)
			continue;
		if (writable && (slot->flags & MEMORY_READONLY))
			return 0;
		q->slot = slot;
		*host = slot->host + (addr - slot->gpa);
		left = slot->size - (addr - slot->gpa);
		return len < left ? len : left;
	}
	return 0;
}

/* A buffer that is in another slot than the last one, or in several: as many entries from iov[n]
 * on. How many there are then; 0: it is bad. */
static unsigned add_pieces(struct virtio_queue *q, const struct virtio_chain *chain, unsigned n,
			   uint64_t addr, uint64_t left, bool writable)
{
	for (;;) {
		uint8_t *host;
		uint64_t len = piece(q, addr, left, writable, &host);

		if (!len)
			return (unsigned)bad(q, "a buffer has no length, or is not in RAM");
		if (n == chain->cap)
			return (unsigned)bad(q, "a request has too many buffers");
		chain->iov[n++] = (struct iovec){ host, len };
		left -= len;
		if (!left)
			return n;
		if (bytes_add_wraps(addr, len, &addr))
			return (unsigned)bad(q, "a buffer reaches beyond the last address");
	}
}

/* Nearly all buffers lie in the slot where the last one was. */
static inline unsigned add(struct virtio_queue *q, const struct virtio_chain *chain, unsigned n,
			   uint64_t addr, uint64_t len, bool writable)
{
	const struct memory_slot *slot = q->slot;
	uint64_t offset = addr - slot->gpa;

	if (!bytes_inside(offset, len, 0, slot->size) || !len || n == chain->cap ||
	    (slot->flags & MEMORY_READONLY))
		return add_pieces(q, chain, n, addr, len, writable);
	chain->iov[n] = (struct iovec){ slot->host + offset, len };
	return n + 1;
}

/* Not a pointer to a struct: the driver may put an indirect table at any address. */
static inline struct virtio_desc copy_desc(const uint8_t *table, uint32_t i)
{
	struct virtio_desc desc;

	memcpy(&desc, table + sizeof(desc) * i, sizeof(desc));
	atomic_signal_fence(memory_order_seq_cst); /* not read again */
	return desc;
}

/* The table that a chain's last descriptor may stand for: 2.7.5.3. */
static const uint8_t *indirect_table(struct virtio_queue *q, const struct virtio_desc *desc)
{
	uint8_t *table;

	if (!q->indirect || (desc->flags & DESC_NEXT)) {
		bad(q, "an indirect table is where none may be");
		return NULL;
	}
	if (!desc->len || desc->len % sizeof(*desc) ||
	    piece(q, desc->addr, desc->len, false, &table) != desc->len) {
		bad(q, "an indirect table is no table, or not in RAM");
		return NULL;
	}
	return table;
}

/* Follows a chain: 2.7.5. */
static int follow(struct virtio_queue *q, struct virtio_chain *chain, uint16_t head)
{
	const uint8_t *table = (const uint8_t *)q->desc;
	uint32_t size = q->size, left = size, i = head;
	uint64_t len = 0, out_len = 0;
	unsigned n = 0, n_out = 0;
	bool in = false, indirect = false;

	for (;;) {
		struct virtio_desc desc;

		if (i >= size)
			return bad(q, "a chain leaves its table");
		if (!left--)
			return bad(q, "a chain has a loop");
		desc = copy_desc(table, i);
		if (desc.flags & DESC_INDIRECT) {
			if (indirect)
				return bad(q, "an indirect table is in another one");
			table = indirect_table(q, &desc);
			if (!table)
				return 0;
			indirect = true;
			size = left = desc.len / (uint32_t)sizeof(desc);
			i = 0;
			continue;
		}
		if (!in && (desc.flags & DESC_WRITE)) {
			in = true;
			n_out = n;
			out_len = len;
		} else if (in && !(desc.flags & DESC_WRITE)) {
			return bad(q, "a buffer to read comes behind one to write");
		}
		n = add(q, chain, n, desc.addr, desc.len, in);
		if (!n)
			return 0;
		len += desc.len;
		if (!(desc.flags & DESC_NEXT))
			break;
		i = desc.next;
	}
	if (len > UINT32_MAX)
		return bad(q, "a request is longer than 4 GiB");
	chain->n_out = in ? n_out : n;
	chain->n_in = n - chain->n_out;
	chain->out_len = in ? out_len : len;
	chain->in_len = len - chain->out_len;
	return 1;
}

/* Looks for new requests. What the driver wrote before its index is seen after it (2.7.13). */
static bool look(struct virtio_queue *q)
{
	uint16_t idx = __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE);

	if ((uint16_t)(idx - q->next_avail) > q->size)
		return bad(q, "its index is ahead by more than its size");
	q->seen_avail = idx;
	return idx != q->next_avail;
}

int virtio_queue_take(struct virtio_queue *q, struct virtio_chain *chain)
{
	uint64_t bit, *taken;
	uint16_t head;

	if (atomic_load_explicit(&q->v->core->quiet, memory_order_relaxed))
		return 0;
	if (q->next_avail == q->seen_avail && !look(q))
		return 0;
	head = load(&q->avail->ring[q->next_avail & (q->size - 1)]);
	if (head >= q->size)
		return bad(q, "a request begins outside of the table");
	taken = &q->taken[head / 64];
	bit = 1ULL << head % 64;
	if (*taken & bit)
		return bad(q, "a request was made available a second time");
	chain->head = head;
	if (!follow(q, chain, head))
		return 0;
	*taken |= bit;
	q->last_head = head;
	q->next_avail++;
	if (!q->event_idx && !q->silenced) {
		q->silenced = true;
		store(&q->used->flags, USED_NO_NOTIFY);
	}
	return 1;
}

void virtio_queue_untake(struct virtio_queue *q)
{
	q->next_avail--;
	q->taken[q->last_head / 64] &= ~(1ULL << q->last_head % 64);
}

bool virtio_queue_idle(struct virtio_queue *q)
{
	if (q->event_idx) {
		store(avail_event(q), q->next_avail);
	} else {
		q->silenced = false;
		store(&q->used->flags, 0);
	}
	/* The driver stores its index and then looks whether we want a kick; we, the other way
	 * round. With a full barrier on both sides one of us sees the other (2.7.13.3). */
	atomic_thread_fence(memory_order_seq_cst);
	return load(&q->avail->idx) == q->next_avail ||
	       atomic_load_explicit(&q->v->core->quiet, memory_order_relaxed);
}

/* ---- Giving them back ---------------------------------------------------------------------- */

void virtio_queue_give(struct virtio_queue *q, uint16_t head, uint32_t written)
{
	uint64_t bit = 1ULL << head % 64;
	unsigned i = q->next_used++ & (q->size - 1U);

	assert(head < q->size && (q->taken[head / 64] & bit));
	q->taken[head / 64] &= ~bit;
	q->used->ring[i].id = head;
	q->used->ring[i].len = written;
}

/* 2.7.7 and 2.7.10. The index lies on a circle: the driver waits for the use of entry `event`, and
 * wants to know when that is among those shown now. */
static bool wants_interrupt(const struct virtio_queue *q, uint16_t before)
{
	if (!q->event_idx)
		return !(load(&q->avail->flags) & AVAIL_NO_INTERRUPT);
	return (uint16_t)(q->next_used - load(used_event(q)) - 1) <
	       (uint16_t)(q->next_used - before);
}

void virtio_queue_flush(struct virtio_queue *q)
{
	uint16_t before = q->shown_used;

	if (q->next_used == before)
		return;
	q->shown_used = q->next_used;
	/* Entries and data first, then the index (2.7.13); and that before looking whether the
	 * driver sleeps: it says so and then looks at the index again. */
	__atomic_store_n(&q->used->idx, q->next_used, __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
	if (wants_interrupt(q, before))
		virtio_queue_interrupt(q);
}

void virtio_queue_interrupt(struct virtio_queue *q)
{
	q->v->core->transport->interrupt(q->v, q);
}

/* ---- Requests' bytes ----------------------------------------------------------------------- */

/* Copies between buf and n buffers, beginning at offset. */
static size_t copy(const struct iovec *iov, unsigned n, size_t offset, uint8_t *buf, size_t len,
		   bool to_guest)
{
	size_t done = 0;

	for (; n && done < len; iov++, n--) {
		uint8_t *guest = iov->iov_base;
		size_t some = iov->iov_len;

		if (offset >= some) {
			offset -= some;
			continue;
		}
		guest += offset;
		some -= offset;
		offset = 0;
		if (some > len - done)
			some = len - done;
		if (to_guest)
			memcpy(guest, buf + done, some);
		else
			memcpy(buf + done, guest, some);
		done += some;
	}
	return done;
}

size_t virtio_chain_read(const struct virtio_chain *chain, size_t offset, void *buf, size_t len)
{
	return copy(chain->iov, chain->n_out, offset, buf, len, false);
}

size_t virtio_chain_write(const struct virtio_chain *chain, size_t offset, const void *buf,
			  size_t len)
{
	return copy(chain->iov + chain->n_out, chain->n_in, offset, (void *)buf, len, true);
}

/* ---- Of a queue ---------------------------------------------------------------------------- */

unsigned virtio_queue_index(const struct virtio_queue *q)
{
	return q->index;
}

struct virtio *virtio_queue_device(const struct virtio_queue *q)
{
	return q->v;
}

bool virtio_queue_ready(const struct virtio_queue *q)
{
	return q->enabled;
}

uint16_t virtio_queue_size(const struct virtio_queue *q)
{
	return q->size;
}

struct virtio_ring virtio_queue_ring(const struct virtio_queue *q)
{
	return q->ring;
}

static int new_bell(const struct virtio_queue *q)
{
	int fd = event_bell();

	if (fd < 0)
		log_error("%s: no descriptor for a queue: %s", q->v->dev->plan->label,
			  strerror(-fd));
	return fd < 0 ? -1 : fd;
}

int virtio_queue_kick_fd(struct virtio_queue *q)
{
	if (q->kick < 0) {
		q->kick = new_bell(q);
		q->own_kick = q->kick >= 0;
	}
	return q->kick;
}

int virtio_queue_call_fd(struct virtio_queue *q)
{
	const struct virtio_transport *transport = q->v->core->transport;
	int fd, ret;

	if (q->call >= 0)
		return q->call;
	fd = new_bell(q);
	if (fd < 0)
		return -1;
	ret = transport->call ? transport->call(q, fd, true) : -ENOTSUP;
	if (ret) {
		log_info("%s: queue %u: no interrupts without us: %s", q->v->dev->plan->label,
			 q->index, strerror(-ret));
		close(fd);
		return -1;
	}
	q->call = fd;
	return fd;
}
