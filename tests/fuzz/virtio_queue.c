/* virtio_queue.c: a driver that writes anything into its ring, between the steps of a device that
 * keeps to the rules. What the device gets must lie in guest memory that it may use, and be no
 * request that it has already. The input is a list of actions, a byte each with what it needs. */
#include "fuzz.h"

#include "unit/virtio_driver.h"

#include <vibevmm/log.h>

#define MAX	  64U				 /* the largest queue */
#define NEXT_RAM  (DRIVER_RAM + DRIVER_RAM_SIZE) /* adjacent to the first */
#define ROM	  0x8000000U
#define TOP	  0xfffffffffffff000U
#define PAGE	  0x1000U
#define NOT_TAKEN 0xffffU

static struct driver d;
static struct virtio *probe;
static bool held[MAX];
static uint16_t last; /* the one that may be put back */

static int probe_create(struct virtio *v, struct err *err)
{
	(void)err;
	probe = v;
	v->n_queues = 1;
	v->queue_size = MAX;
	return 0;
}

static const struct virtio_type type = {
	.id = 42,
	.create = probe_create,
	.destroy = driver_nothing,
	.start = driver_starts,
	.stop = driver_nothing,
};

DRIVER_ROW(row, type, "probe");

static void plug(void)
{
	struct err err;

	log_set_level(LOG_NONE);
	driver_init(&d);
	must(!memory_add(d.memory, NEXT_RAM, PAGE, 0, &err));
	must(!memory_add(d.memory, ROM, PAGE, MEMORY_READONLY, &err));
	must(!memory_add(d.memory, TOP, PAGE, 0, &err));
	driver_create(&d, &row, NULL);
}

static void start(struct bytes *in)
{
	uint64_t features = take(in, 1);

	d.next = DRIVER_RAM;
	memset(held, 0, sizeof(held));
	last = NOT_TAKEN;
	driver_negotiate(&d, (features & 1 ? DRIVER_EVENT_IDX : 0) |
				     (features & 2 ? DRIVER_INDIRECT_DESC : 0));
	driver_ring(&d, 0, (uint16_t)(1U << (features >> 2) % 7));
	driver_enable(&d, 0);
	driver_ok(&d);
	must(!driver_broken(&d));
}

/* Places where checks may be off by one. */
static uint64_t take_address(struct bytes *in)
{
	static const uint64_t places[] = { DRIVER_RAM, DRIVER_RAM + PAGE, NEXT_RAM, NEXT_RAM + PAGE,
					   ROM,	       ROM + PAGE,	  TOP,	    0 };

	return places[take(in, 1) % 8] + take(in, 2) - 0x8000;
}

static uint32_t take_length(struct bytes *in)
{
	unsigned kind = (unsigned)take(in, 1);

	return kind < 0xf0 ? kind * 16 : (uint32_t)take(in, 4);
}

static void write_descriptor(struct bytes *in)
{
	struct driver_queue *q = &d.queues[0];
	uint64_t to = take(in, 1);
	struct driver_desc desc = { .addr = take_address(in), .len = take_length(in) };

	desc.flags = (uint16_t)take(in, 1);
	desc.next = (uint16_t)take(in, 1);
	/* Into the table, or to the page where indirect ones are likely to be looked for. */
	if (to & 0x80)
		memcpy((uint8_t *)driver_ptr(&d, DRIVER_RAM + PAGE) + to % 128 * 16, &desc, 16);
	else
		q->desc[to % q->size] = desc;
}

static void check_buffer(const struct iovec *iov, bool writable)
{
	const struct memory_slot *slot;
	size_t n = memory_slots(d.memory, &slot);
	uint64_t at = (uintptr_t)iov->iov_base;

	while (n && !bytes_inside(at, iov->iov_len, (uintptr_t)slot->host, slot->size)) {
		slot++;
		n--;
	}
	must(n && iov->iov_len > 0);
	must(!writable || !(slot->flags & MEMORY_READONLY));
}

static void take_request(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(MAX)];
	struct virtio_chain chain = { .iov = iov, .cap = ARRAY_SIZE(iov) };
	bool broken = driver_broken(&d);
	size_t out = 0, in = 0;
	uint8_t buf[64] = "written by the device";

	if (!virtio_queue_take(q, &chain))
		return;
	must(!broken && !driver_broken(&d));
	must(chain.head < virtio_queue_size(q) && !held[chain.head]);
	must(chain.n_out + chain.n_in > 0 && chain.n_out + chain.n_in <= chain.cap);
	for (unsigned i = 0; i < chain.n_out + chain.n_in; i++) {
		check_buffer(&iov[i], i >= chain.n_out);
		*(i < chain.n_out ? &out : &in) += iov[i].iov_len;
	}
	must(out == chain.out_len && in == chain.in_len && out + in <= UINT32_MAX);
	held[chain.head] = true;
	last = chain.head;
	/* Perhaps onto the ring itself. */
	virtio_chain_write(&chain, chain.in_len / 2, buf, sizeof(buf));
	must(virtio_chain_read(&chain, 0, buf, sizeof(buf)) ==
	     (out < sizeof(buf) ? out : sizeof(buf)));
}

static void give_request(struct virtio_queue *q, struct bytes *in)
{
	uint16_t head = (uint16_t)(take(in, 1) % MAX);

	for (unsigned i = 0; i < MAX && !held[head]; i++)
		head = (head + 1) % MAX;
	if (!held[head])
		return;
	held[head] = false;
	last = NOT_TAKEN;
	virtio_queue_give(q, head, (uint32_t)take(in, 1));
}

static void poke(struct bytes *in)
{
	uint64_t at = take(in, 2);

	*((uint8_t *)driver_ptr(&d, DRIVER_RAM) + at % (2 * PAGE)) = (uint8_t)take(in, 1);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	static bool plugged;
	struct bytes in = { data, size };
	struct driver_queue *ring = &d.queues[0];
	struct virtio_queue *q;

	if (!plugged)
		plug();
	plugged = true;
	memset(driver_ptr(&d, DRIVER_RAM), 0, 2 * PAGE);
	start(&in);
	q = virtio_queue(probe, 0);
	while (in.len) {
		switch (take(&in, 1) % 12) {
		case 0:
		case 1:
			write_descriptor(&in);
			break;
		case 2: /* a new request, as a good driver would */
			driver_offer(&d, 0, (uint16_t)(take(&in, 1) % ring->size));
			break;
		case 3:
		case 4:
			take_request(q);
			break;
		case 5:
			if (last != NOT_TAKEN) {
				virtio_queue_untake(q);
				held[last] = false;
			}
			last = NOT_TAKEN;
			break;
		case 6:
		case 7:
			give_request(q, &in);
			break;
		case 8:
			virtio_queue_flush(q);
			break;
		case 9:
			virtio_queue_idle(q);
			break;
		case 10:
			poke(&in);
			break;
		default:
			if (!(take(&in, 1) % 16))
				start(&in);
		}
	}
}
