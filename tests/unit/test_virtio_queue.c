/* test_virtio_queue.c: split queues: what a good driver gets, and each way to break a ring. The
 * device is one whose queues the test itself serves. */
#include "virtio_driver.h"

#include <vibevmm/log.h>

#define SIZE	   16U
#define BIG	   512U
#define MORE_RAM   (DRIVER_RAM + DRIVER_RAM_SIZE) /* a slot of its own behind the first */
#define ROM	   0x4000000U
#define TOP	   0xfffffffffffff000U
#define PAGE	   0x1000U
#define NO_ADDRESS 0x9000000U

/* ---- A device that does nothing by itself ------------------------------------------------- */

static struct virtio *probe;

static int probe_create(struct virtio *v, struct err *err)
{
	(void)err;
	probe = v;
	v->n_queues = 2;
	v->queue_size = BIG;
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

static struct driver d;
static struct iovec iov[VIRTIO_CHAIN_MAX(BIG)];
static struct virtio_chain chain;
static uint64_t page; /* of guest memory, for buffers */

#define ALL (DRIVER_EVENT_IDX | DRIVER_INDIRECT_DESC)

static void start(uint64_t features, uint16_t size)
{
	driver_negotiate(&d, features);
	for (unsigned i = 0; i < 2; i++) {
		driver_ring(&d, i, size);
		driver_enable(&d, i);
	}
	driver_ok(&d);
	assert_false(driver_broken(&d));
	chain = (struct virtio_chain){ .iov = iov, .cap = VIRTIO_CHAIN_MAX(size) };
}

static void open_machine(void)
{
	struct err err;

	driver_init(&d);
	assert_int_equal(memory_add(d.memory, MORE_RAM, PAGE, 0, &err), 0);
	assert_int_equal(memory_add(d.memory, ROM, PAGE, MEMORY_READONLY, &err), 0);
	assert_int_equal(memory_add(d.memory, TOP, PAGE, 0, &err), 0);
	page = driver_alloc(&d, PAGE);
	driver_create(&d, &row, NULL);
}

static int setup(void **state)
{
	(void)state;
	open_machine();
	start(ALL, SIZE);
	return 0;
}

static int setup_plain(void **state)
{
	(void)state;
	open_machine();
	start(0, SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	driver_unplug(&d);
	return 0;
}

static struct virtio_queue *queue(void)
{
	return virtio_queue(probe, 0);
}

static uint16_t add_one(void)
{
	return driver_add(&d, 0, &(struct driver_buffer){ page, 16 }, 0, 1);
}

static void assert_taken(uint16_t head)
{
	assert_int_equal(virtio_queue_take(queue(), &chain), 1);
	assert_int_equal(chain.head, head);
}

/* An indirect table in guest memory; where it is. */
static uint64_t table(const struct driver_desc *entries, unsigned n)
{
	uint64_t gpa = driver_alloc(&d, 16ULL * n);

	memcpy(driver_ptr(&d, gpa), entries, 16ULL * n);
	return gpa;
}

/* ---- What a good driver gets -------------------------------------------------------------- */

static void buffers_come_in_order_those_to_read_first(void **state)
{
	const struct driver_buffer buffers[] = {
		{ page, 10 }, { page + 100, 20 }, { page + 200, 30 }, { page + 300, 40 }
	};
	uint16_t head = driver_add(&d, 0, buffers, 2, 2);

	(void)state;
	assert_taken(head);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.n_in, 2);
	assert_int_equal(chain.out_len, 30);
	assert_int_equal(chain.in_len, 70);
	for (unsigned i = 0; i < 4; i++) {
		assert_ptr_equal(iov[i].iov_base, driver_ptr(&d, buffers[i].gpa));
		assert_int_equal(iov[i].iov_len, buffers[i].len);
	}
	assert_int_equal(virtio_queue_take(queue(), &chain), 0);
	assert_false(driver_broken(&d));
}

static void an_indirect_table_may_follow_direct_descriptors(void **state)
{
	struct driver_queue *q = &d.queues[0];
	/* Not in order, and at an address that is aligned to nothing. */
	struct driver_desc entries[] = {
		{ page + 16, 16, DRIVER_NEXT, 2 },
		{ page + 48, 16, DRIVER_WRITE, 0 },
		{ page + 32, 16, DRIVER_NEXT | DRIVER_WRITE, 1 },
	};
	uint64_t odd = driver_alloc(&d, 16 * 4) + 3;

	(void)state;
	memcpy(driver_ptr(&d, odd), entries, sizeof(entries));
	q->desc[0] = (struct driver_desc){ page, 16, DRIVER_NEXT, 5 };
	/* WRITE says nothing about a table: 2.7.5.3.2. */
	q->desc[5] =
		(struct driver_desc){ odd, sizeof(entries), DRIVER_INDIRECT | DRIVER_WRITE, 0 };
	driver_offer(&d, 0, 0);
	assert_taken(0);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.n_in, 2);
	for (unsigned i = 0; i < 4; i++)
		assert_ptr_equal(iov[i].iov_base, driver_ptr(&d, page + 16 * i));
}

static void a_chain_may_be_as_long_as_the_queue(void **state)
{
	struct driver_buffer buffers[SIZE];

	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		buffers[i] = (struct driver_buffer){ page + i, 1 };
	driver_add(&d, 0, buffers, SIZE / 2, SIZE / 2);
	assert_taken(0);
	assert_int_equal(chain.n_out + chain.n_in, SIZE);
}

static void a_buffer_across_two_slots_is_two_pieces(void **state)
{
	uint16_t head = driver_add(
		&d, 0, (struct driver_buffer[]){ { MORE_RAM - 100, 300 }, { MORE_RAM, PAGE } }, 1,
		1);
	uint8_t in[300], out[300];

	(void)state;
	assert_taken(head);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.n_in, 1);
	assert_int_equal(chain.out_len, 300);
	assert_ptr_equal(iov[0].iov_base, driver_ptr(&d, MORE_RAM - 100));
	assert_int_equal(iov[0].iov_len, 100);
	assert_ptr_equal(iov[1].iov_base, driver_ptr(&d, MORE_RAM));
	assert_int_equal(iov[1].iov_len, 200);
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)i;
	assert_int_equal(memory_write(d.memory, MORE_RAM - 100, out, sizeof(out)), 0);
	assert_int_equal(virtio_chain_read(&chain, 0, in, sizeof(in)), sizeof(in));
	assert_memory_equal(in, out, sizeof(out));
}

static void the_last_bytes_of_ram_and_a_rom_can_be_used(void **state)
{
	uint16_t head =
		driver_add(&d, 0,
			   (struct driver_buffer[]){
				   { ROM, PAGE }, { TOP, PAGE }, { MORE_RAM + PAGE - 1, 1 } },
			   1, 2);

	(void)state;
	assert_taken(head);
	assert_int_equal(chain.in_len, PAGE + 1);
}

static void requests_bytes_are_copied_from_any_offset_on(void **state)
{
	uint8_t *guest = driver_ptr(&d, page);
	uint8_t buf[64];

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		guest[i] = (uint8_t)i;
	driver_add(&d, 0,
		   (struct driver_buffer[]){ { page, 3 },
					     { page + 10, 4 },
					     { page + 20, 5 },
					     { page + 100, 2 },
					     { page + 110, 3 } },
		   3, 2);
	assert_int_equal(virtio_queue_take(queue(), &chain), 1);
	assert_int_equal(virtio_chain_read(&chain, 0, buf, 64), 12);
	assert_memory_equal(buf, "\x00\x01\x02\x0a\x0b\x0c\x0d\x14\x15\x16\x17\x18", 12);
	assert_int_equal(virtio_chain_read(&chain, 5, buf, 3), 3);
	assert_memory_equal(buf, "\x0c\x0d\x14", 3);
	assert_int_equal(virtio_chain_read(&chain, 12, buf, 3), 0);
	assert_int_equal(virtio_chain_write(&chain, 1, "abcdef", 6), 4);
	assert_memory_equal(guest + 99,
			    "\x63\x64"
			    "a\x66",
			    4);
	assert_memory_equal(guest + 110, "bcd\x71", 4);
	assert_int_equal(virtio_chain_write(&chain, SIZE_MAX, "abcdef", 6), 0);
}

static void one_flush_is_one_interrupt_for_all_that_was_given(void **state)
{
	uint16_t heads[3], head;
	uint32_t written;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		heads[i] = add_one();
	for (unsigned i = 0; i < 3; i++)
		assert_taken(heads[i]);
	/* In another order. */
	virtio_queue_give(queue(), heads[2], 12);
	virtio_queue_give(queue(), heads[0], 10);
	virtio_queue_give(queue(), heads[1], 0);
	assert_false(driver_used(&d, 0, &head, &written));
	assert_int_equal(d.irqs, 0);
	virtio_queue_flush(queue());
	assert_int_equal(d.irqs, 1);
	assert_int_equal(driver_in(&d, MMIO_INTERRUPT_STATUS), 1);
	assert_true(driver_used(&d, 0, &head, &written));
	assert_int_equal(head, heads[2]);
	assert_int_equal(written, 12);
	assert_true(driver_used(&d, 0, &head, &written));
	assert_int_equal(head, heads[0]);
	assert_int_equal(written, 10);
	assert_true(driver_used(&d, 0, &head, &written));
	assert_int_equal(head, heads[1]);
	assert_int_equal(written, 0);
	assert_false(driver_used(&d, 0, &head, &written));
	driver_wait_irq(&d);
	virtio_queue_flush(queue());
	assert_int_equal(d.irqs, 1);
}

static void what_is_put_back_comes_again(void **state)
{
	uint16_t first = add_one(), second = add_one();

	(void)state;
	assert_taken(first);
	assert_taken(second);
	virtio_queue_untake(queue());
	assert_taken(second);
	virtio_queue_give(queue(), first, 0);
	virtio_queue_give(queue(), second, 0);
	assert_int_equal(virtio_queue_take(queue(), &chain), 0);
	assert_false(driver_broken(&d));
}

/* ---- Who wants to hear of what ------------------------------------------------------------ */

/* n requests from beginning to end, without a look at interrupts. */
static void pass(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t head = add_one(), used;
		uint32_t written;

		assert_taken(head);
		virtio_queue_give(queue(), head, i);
		virtio_queue_flush(queue());
		assert_true(driver_used(&d, 0, &used, &written));
		assert_int_equal(used, head);
		assert_int_equal(written, i);
	}
}

static unsigned irqs_of(unsigned n)
{
	unsigned before = d.irqs;

	pass(n);
	if (d.level)
		driver_wait_irq(&d);
	return d.irqs - before;
}

static void interrupts_come_at_the_index_the_driver_waits_for(void **state)
{
	struct driver_queue *q = &d.queues[0];

	(void)state;
	q->avail[2 + SIZE] = 3; /* the use of entry 3: the fourth */
	assert_int_equal(irqs_of(3), 0);
	assert_int_equal(irqs_of(1), 1);
	assert_int_equal(irqs_of(100), 0);
	/* A batch that goes past it. */
	q->avail[2 + SIZE] = 105;
	for (unsigned i = 0; i < 4; i++)
		assert_taken(add_one());
	for (uint16_t i = 0; i < 4; i++)
		virtio_queue_give(queue(), i, 0);
	virtio_queue_flush(queue());
	assert_int_equal(d.irqs, 2);
}

/* The driver waits for each use in turn, or for the one before the wrap, or behind it. */
static void interrupts_come_across_the_wrap_of_the_index(void **state)
{
	struct driver_queue *q = &d.queues[0];

	(void)state;
	q->avail[2 + SIZE] = 0xfffe;
	assert_int_equal(irqs_of(0xfffe), 0);
	assert_int_equal(irqs_of(1), 1);
	q->avail[2 + SIZE] = 1;
	assert_int_equal(irqs_of(2), 0); /* entries 0xffff and 0 */
	assert_int_equal(irqs_of(1), 1);
	assert_int_equal(q->used[1], 2);
	/* A batch from 0xfffe to 0x0002 holds 0xffff. */
	q->avail[2 + SIZE] = 0x8000;
	irqs_of(0xfffc);
	assert_int_equal(q->used[1], 0xfffe);
	q->avail[2 + SIZE] = 0xffff;
	for (unsigned i = 0; i < 4; i++)
		assert_taken(add_one());
	for (uint16_t i = 0; i < 4; i++)
		virtio_queue_give(queue(), i, 0);
	virtio_queue_flush(queue());
	assert_true(d.level);
}

static void without_event_indices_a_flag_decides(void **state)
{
	struct driver_queue *q = &d.queues[0];

	(void)state;
	assert_int_equal(irqs_of(1), 1);
	q->avail[0] = 1; /* VIRTQ_AVAIL_F_NO_INTERRUPT */
	assert_int_equal(irqs_of(10), 0);
	q->avail[0] = 0;
	assert_int_equal(irqs_of(1), 1);
}

static void kicks_are_not_wanted_while_requests_are_taken(void **state)
{
	struct driver_queue *q = &d.queues[0];

	(void)state;
	assert_int_equal(q->used[0], 0);
	pass(1);
	assert_int_equal(q->used[0], 1); /* VIRTQ_USED_F_NO_NOTIFY */
	assert_true(virtio_queue_idle(queue()));
	assert_int_equal(q->used[0], 0);
	pass(1);
	add_one();
	assert_false(virtio_queue_idle(queue())); /* one came meanwhile */
}

static void the_kick_wanted_is_for_the_next_request(void **state)
{
	struct driver_queue *q = &d.queues[0];
	const uint16_t *avail_event = (uint16_t *)((uint8_t *)q->used + 4 + 8 * SIZE);

	(void)state;
	pass(5);
	assert_int_equal(*avail_event, 0); /* taking asks for none */
	assert_true(virtio_queue_idle(queue()));
	assert_int_equal(*avail_event, 5);
	add_one();
	assert_false(virtio_queue_idle(queue()));
	assert_int_equal(q->used[0], 0);
}

/* ---- Breaking it --------------------------------------------------------------------------- */

/* One request with this first descriptor. */
static void offer(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	d.queues[0].desc[0] = (struct driver_desc){ addr, len, flags, next };
	driver_offer(&d, 0, 0);
}

static void break_index(void)
{
	d.queues[0].avail[1] = SIZE + 1;
}

static void break_index_backwards(void)
{
	pass(3);
	d.queues[0].avail[1] = 2;
}

static void break_head(void)
{
	driver_offer(&d, 0, SIZE);
}

static void break_head_far(void)
{
	driver_offer(&d, 0, 0xffff);
}

static void break_twice(void)
{
	uint16_t head = add_one();

	assert_taken(head);
	driver_offer(&d, 0, head);
}

static void break_next(void)
{
	offer(page, 1, DRIVER_NEXT, SIZE);
}

static void break_loop(void)
{
	d.queues[0].desc[1] = (struct driver_desc){ page, 1, DRIVER_NEXT, 0 };
	offer(page, 1, DRIVER_NEXT, 1);
}

static void break_loop_of_one(void)
{
	offer(page, 1, DRIVER_NEXT, 0);
}

static void break_no_length(void)
{
	offer(page, 0, 0, 0);
}

static void break_order(void)
{
	d.queues[0].desc[1] = (struct driver_desc){ page, 1, 0, 0 };
	offer(page, 1, DRIVER_WRITE | DRIVER_NEXT, 1);
}

static void break_below_ram(void)
{
	offer(DRIVER_RAM - 1, 2, 0, 0);
}

static void break_outside_ram(void)
{
	offer(NO_ADDRESS, 1, 0, 0);
}

static void break_behind_ram(void)
{
	offer(MORE_RAM + PAGE - 1, 2, 0, 0);
}

static void break_registers(void)
{
	offer(DRIVER_REGISTERS, 4, DRIVER_WRITE, 0);
}

static void break_wrap(void)
{
	offer(TOP + PAGE - 1, 2, 0, 0);
}

static void break_wrap_far(void)
{
	offer(UINT64_MAX, UINT32_MAX, 0, 0);
}

static void break_4_gib(void)
{
	offer(DRIVER_RAM, UINT32_MAX, DRIVER_WRITE, 0);
}

static void break_rom(void)
{
	offer(ROM, 1, DRIVER_WRITE, 0);
}

static void break_sum(void)
{
	struct driver_desc entries[3] = {
		{ DRIVER_RAM, DRIVER_RAM_SIZE, DRIVER_NEXT, 1 },
		{ DRIVER_RAM, DRIVER_RAM_SIZE, DRIVER_NEXT, 2 },
		{ DRIVER_RAM, UINT32_MAX, 0, 0 },
	};

	offer(table(entries, 3), sizeof(entries), DRIVER_INDIRECT, 0);
}

static void break_indirect_next(void)
{
	struct driver_desc entry = { page, 1, 0, 0 };

	offer(table(&entry, 1), 16, DRIVER_INDIRECT | DRIVER_NEXT, 1);
}

static void break_indirect_in_indirect(void)
{
	struct driver_desc inner = { page, 1, 0, 0 };
	struct driver_desc outer = { table(&inner, 1), 16, DRIVER_INDIRECT, 0 };

	offer(table(&outer, 1), 16, DRIVER_INDIRECT, 0);
}

/* The ring as its own indirect table. */
static void break_indirect_ring(void)
{
	offer(d.queues[0].gpa[0], 16 * SIZE, DRIVER_INDIRECT, 0);
}

static void break_indirect_empty(void)
{
	offer(page, 0, DRIVER_INDIRECT, 0);
}

static void break_indirect_length(void)
{
	offer(page, 24, DRIVER_INDIRECT, 0);
}

static void break_indirect_outside(void)
{
	offer(MORE_RAM + PAGE - 16, 32, DRIVER_INDIRECT, 0);
}

static void break_indirect_leaves(void)
{
	struct driver_desc entry = { page, 1, DRIVER_NEXT, 1 };

	offer(table(&entry, 1), 16, DRIVER_INDIRECT, 0);
}

static void break_indirect_loop(void)
{
	struct driver_desc entry = { page, 1, DRIVER_NEXT, 0 };

	offer(table(&entry, 1), 16, DRIVER_INDIRECT, 0);
}

static void break_too_long(void)
{
	struct driver_desc entries[VIRTIO_CHAIN_MAX(SIZE) + 1];

	for (uint16_t i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] = (struct driver_desc){ page, 1, DRIVER_NEXT, (uint16_t)(i + 1) };
	entries[ARRAY_SIZE(entries) - 1].flags = 0;
	offer(table(entries, ARRAY_SIZE(entries)), sizeof(entries), DRIVER_INDIRECT, 0);
}

static const struct breakage {
	const char *name;
	void (*fn)(void);
} breakages[] = {
	{ "index ahead", break_index },
	{ "index back", break_index_backwards },
	{ "head outside", break_head },
	{ "head far outside", break_head_far },
	{ "head twice", break_twice },
	{ "next outside", break_next },
	{ "loop", break_loop },
	{ "loop of one", break_loop_of_one },
	{ "no length", break_no_length },
	{ "read behind write", break_order },
	{ "below RAM", break_below_ram },
	{ "outside RAM", break_outside_ram },
	{ "behind RAM", break_behind_ram },
	{ "registers", break_registers },
	{ "wrap by a byte", break_wrap },
	{ "wrap by 4 GiB", break_wrap_far },
	{ "4 GiB", break_4_gib },
	{ "ROM", break_rom },
	{ "sum over 4 GiB", break_sum },
	{ "indirect and next", break_indirect_next },
	{ "indirect in indirect", break_indirect_in_indirect },
	{ "the ring as a table", break_indirect_ring },
	{ "empty table", break_indirect_empty },
	{ "table of a half", break_indirect_length },
	{ "table outside RAM", break_indirect_outside },
	{ "next outside the table", break_indirect_leaves },
	{ "loop in the table", break_indirect_loop },
	{ "too long", break_too_long },
};

static void assert_broken(const char *name)
{
	if (virtio_queue_take(queue(), &chain) || !driver_broken(&d))
		fail_msg("%s: the device is not broken", name);
	/* VIRTIO 2.1.2: the driver is told. */
	assert_int_equal(driver_wait_irq(&d) & 2, 2);
}

static void each_breakage_needs_a_reset_and_is_healed_by_it(void **state)
{
	uint32_t written;
	uint16_t head;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(breakages); i++) {
		d.next = page + PAGE;
		start(ALL, SIZE);
		breakages[i].fn();
		assert_broken(breakages[i].name);
		/* No queue gives anything, nor asks for more. */
		d.queues[1].desc[0] = (struct driver_desc){ page, 1, 0, 0 };
		driver_offer(&d, 1, 0);
		assert_int_equal(virtio_queue_take(virtio_queue(probe, 1), &chain), 0);
		assert_true(virtio_queue_idle(virtio_queue(probe, 1)));

		start(ALL, SIZE);
		pass(SIZE + 1);
		assert_false(driver_used(&d, 0, &head, &written));
	}
}

static void an_indirect_table_must_have_been_agreed_on(void **state)
{
	struct driver_desc entry = { page, 1, 0, 0 };

	(void)state;
	offer(table(&entry, 1), 16, DRIVER_INDIRECT, 0);
	assert_broken("indirect");
}

static void what_was_taken_before_it_broke_may_still_be_given(void **state)
{
	uint32_t written;
	uint16_t head = add_one(), used;

	(void)state;
	assert_taken(head);
	break_head();
	assert_broken("head");
	virtio_queue_give(queue(), head, 7);
	virtio_queue_flush(queue());
	assert_true(driver_used(&d, 0, &used, &written));
	assert_int_equal(written, 7);
}

static void a_sum_of_4_gib_is_too_much(void **state)
{
	struct driver_buffer buffers[DRIVER_RAM_SIZE >> 20 << 4];

	(void)state;
	start(ALL, BIG);
	for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
		buffers[i] = (struct driver_buffer){ DRIVER_RAM, DRIVER_RAM_SIZE };
	assert_int_equal(ARRAY_SIZE(buffers), 256); /* 4 GiB in all */
	driver_add(&d, 0, buffers, 255, 0);
	assert_int_equal(virtio_queue_take(queue(), &chain), 1);
	assert_int_equal(chain.out_len, 255ULL * DRIVER_RAM_SIZE);
	driver_add(&d, 0, buffers, 128, 128);
	assert_broken("4 GiB");
}

/* What the driver says of a ring before it is used. */
static bool starts(uint16_t size, const uint64_t gpa[3])
{
	struct driver_queue *q = &d.queues[0];

	d.next = page + PAGE;
	driver_negotiate(&d, 0);
	driver_ring(&d, 0, SIZE);
	q->size = size;
	for (unsigned i = 0; gpa && i < 3; i++)
		q->gpa[i] = gpa[i];
	driver_enable(&d, 0);
	driver_ok(&d);
	return !driver_broken(&d);
}

static void a_ring_must_be_aligned_and_in_ram(void **state)
{
	const uint64_t a = page, b = page + 0x400, c = page + 0x800;

	(void)state;
	assert_true(starts(SIZE, (uint64_t[]){ a, b, c }));
	assert_true(starts(SIZE, (uint64_t[]){ ROM, ROM + 0x400, c })); /* read only */
	assert_false(starts(SIZE, (uint64_t[]){ a + 8, b, c }));
	assert_false(starts(SIZE, (uint64_t[]){ a, b + 1, c }));
	assert_false(starts(SIZE, (uint64_t[]){ a, b, c + 2 }));
	assert_false(starts(SIZE, (uint64_t[]){ NO_ADDRESS, b, c }));
	assert_false(starts(SIZE, (uint64_t[]){ a, NO_ADDRESS, c }));
	assert_false(starts(SIZE, (uint64_t[]){ a, b, NO_ADDRESS }));
	assert_false(starts(SIZE, (uint64_t[]){ a, b, ROM }));
	/* Up to the end of memory, with the event index, and not beyond. */
	assert_true(starts(SIZE, (uint64_t[]){ TOP + PAGE - 16 * SIZE, b, c }));
	assert_false(starts(SIZE, (uint64_t[]){ TOP + PAGE - 16 * SIZE + 16, b, c }));
	assert_true(starts(SIZE, (uint64_t[]){ a, TOP + PAGE - 2 * SIZE - 6, c }));
	assert_false(starts(SIZE, (uint64_t[]){ a, TOP + PAGE - 2 * SIZE - 4, c }));
	assert_true(starts(SIZE, (uint64_t[]){ a, b, TOP + PAGE - 8 * SIZE - 8 }));
	assert_false(starts(SIZE, (uint64_t[]){ a, b, TOP + PAGE - 8 * SIZE - 4 }));
}

static void a_size_must_be_a_power_of_2_that_was_offered(void **state)
{
	(void)state;
	assert_true(starts(1, NULL));
	assert_true(starts(BIG, NULL));
	assert_false(starts(0, NULL));
	assert_false(starts(3, NULL));
	assert_false(starts(2 * BIG, NULL));
	driver_negotiate(&d, 0);
	driver_out(&d, MMIO_QUEUE_SEL, 0);
	driver_out(&d, MMIO_QUEUE_NUM, 0x10001); /* not 1 */
	driver_out(&d, MMIO_QUEUE_READY, 1);
	driver_ok(&d);
	assert_true(driver_broken(&d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name)	 cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_PLAIN(name) cmocka_unit_test_setup_teardown(name, setup_plain, teardown)
		TEST(buffers_come_in_order_those_to_read_first),
		TEST(an_indirect_table_may_follow_direct_descriptors),
		TEST(a_chain_may_be_as_long_as_the_queue),
		TEST(a_buffer_across_two_slots_is_two_pieces),
		TEST(the_last_bytes_of_ram_and_a_rom_can_be_used),
		TEST(requests_bytes_are_copied_from_any_offset_on),
		TEST(one_flush_is_one_interrupt_for_all_that_was_given),
		TEST(what_is_put_back_comes_again),
		TEST(interrupts_come_at_the_index_the_driver_waits_for),
		TEST(interrupts_come_across_the_wrap_of_the_index),
		TEST_PLAIN(without_event_indices_a_flag_decides),
		TEST_PLAIN(kicks_are_not_wanted_while_requests_are_taken),
		TEST(the_kick_wanted_is_for_the_next_request),
		TEST(each_breakage_needs_a_reset_and_is_healed_by_it),
		TEST_PLAIN(an_indirect_table_must_have_been_agreed_on),
		TEST(what_was_taken_before_it_broke_may_still_be_given),
		TEST(a_sum_of_4_gib_is_too_much),
		TEST(a_ring_must_be_aligned_and_in_ram),
		TEST(a_size_must_be_a_power_of_2_that_was_offered),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
