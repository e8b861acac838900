/* balloon.c: virtio-balloon: VIRTIO 5.5.
 *
 * The guest gives up pages, and the host takes their memory back: those it puts into the balloon,
 * up to the target that config names, and those that it reports to be free. A page that the guest
 * uses again comes back zeroed, by itself, so there is nothing to do for deflation.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/event.h>
#include <vibevmm/log.h>
#include <vibevmm/virtio.h>

/* 5.5.3. The features without which a queue would be missing are offered always, since drivers
 * number the queues behind a missing one in different ways. */
enum { F_STATS_VQ = 1, F_DEFLATE_ON_OOM = 2, F_FREE_PAGE_HINT = 3, F_PAGE_REPORTING = 5 };

/* 5.5.2 */
enum { INFLATE, DEFLATE, STATS, HINT, REPORTING, QUEUES };

/* 5.5.4. Hints come only when a command asks for them, and that stays 0. */
enum { CONFIG_NUM_PAGES = 0, CONFIG_ACTUAL = 4, CONFIG_HINT_COMMAND = 8, CONFIG_LEN = 16 };

enum {
	QUEUE_SIZE = 128,
	PAGE = 4096, /* 5.5.6: of page numbers, whatever the guest's pages are */
	PAGES_AT_ONCE = 256,
	STAT_LEN = 10, /* 5.5.6.3.1 */
	STATS_MAX = 32,
};

struct balloon_config {
	VIRTIO_MEMBERS;
	uint64_t size;
	bool deflate_on_oom, reporting;
	uint64_t statistics;
};

struct balloon {
	struct virtio *v;
	uint8_t config[CONFIG_LEN];
	const struct memory_slot *slots;
	size_t n_slots;
	uintptr_t host_page;
	struct virtio_worker *worker;
	_Atomic bool stops;
	bool misdeed; /* one was logged already */

	/* Statistics: the driver's buffer stays here until new ones are wanted. */
	int timer;
	bool holds, wanted;
	uint16_t held;
};

/* ---- Giving memory back -------------------------------------------------------------------- */

static void misdeed(struct balloon *balloon, uint64_t gpa)
{
	if (!balloon->misdeed)
		log_warn("%s: the guest gives up the page at %#llx, which is not its RAM; ignored",
			 balloon->v->dev->plan->label, (unsigned long long)gpa);
	balloon->misdeed = true;
}

/* Whole pages of the host in [p, p + len), all of which is in one slot. */
static void discard(struct balloon *balloon, const struct memory_slot *slot, uint8_t *p, size_t len)
{
	uintptr_t mask = balloon->host_page - 1;
	uintptr_t start = ((uintptr_t)p + mask) & ~mask, end = ((uintptr_t)p + len) & ~mask;
	int ret = start < end ? memory_discard(slot, (uint8_t *)start, end - start) : 0;

	if (ret)
		log_debug("%s: madvise: %s", balloon->v->dev->plan->label, strerror(-ret));
}

/* Pages by their guest-physical address, in one piece. */
static void discard_run(struct balloon *balloon, uint64_t gpa, uint64_t len)
{
	for (size_t i = 0; i < balloon->n_slots; i++) {
		const struct memory_slot *slot = &balloon->slots[i];

		if (bytes_inside(gpa, len, slot->gpa, slot->size) &&
		    !(slot->flags & MEMORY_READONLY)) {
			discard(balloon, slot, slot->host + (gpa - slot->gpa), len);
			return;
		}
	}
	if (len > PAGE) { /* a part of it may be RAM */
		for (uint64_t at = 0; at < len; at += PAGE)
			discard_run(balloon, gpa + at, PAGE);
	} else {
		misdeed(balloon, gpa);
	}
}

/* Neighbours become one run, whichever way the driver counts. */
static void discard_pages(struct balloon *balloon, const uint8_t *numbers, size_t n)
{
	uint64_t first = 0, last = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t page = bytes_get32(numbers + 4 * i);

		if (i && page == last + 1) {
			last = page;
		} else if (i && page + 1 == first) {
			first = page;
		} else {
			if (i)
				discard_run(balloon, first * PAGE, (last - first + 1) * PAGE);
			first = last = page;
		}
	}
	if (n)
		discard_run(balloon, first * PAGE, (last - first + 1) * PAGE);
}

static void inflate(struct balloon *balloon, const struct virtio_chain *chain)
{
	uint8_t numbers[4 * PAGES_AT_ONCE];
	size_t offset = 0, len;

	do {
		len = virtio_chain_read(chain, offset, numbers, sizeof(numbers));
		discard_pages(balloon, numbers, len / 4);
		offset += len;
	} while (len == sizeof(numbers) && !atomic_load(&balloon->stops));
}

/* The buffers are the free pages: 5.5.6.7. */
static void report(struct balloon *balloon, const struct virtio_chain *chain)
{
	for (unsigned i = chain->n_out; i < chain->n_out + chain->n_in; i++) {
		uint8_t *p = chain->iov[i].iov_base;
		size_t len = chain->iov[i].iov_len;

		for (size_t k = 0; k < balloon->n_slots; k++) {
			const struct memory_slot *slot = &balloon->slots[k];

			if (p >= slot->host && p < slot->host + slot->size)
				discard(balloon, slot, p, len);
		}
	}
}

/* ---- Statistics ---------------------------------------------------------------------------- */

/* 5.5.6.4, in the order of the tags; NULL: an amount that only means something as it grows. */
static const char *const stat_names[] = {
	NULL, NULL, NULL, NULL, "free", "in all", "available", "caches",
};

static void show(struct balloon *balloon, const struct virtio_chain *chain)
{
	uint8_t stats[STAT_LEN * STATS_MAX];
	size_t n = virtio_chain_read(chain, 0, stats, sizeof(stats)) / STAT_LEN, used = 0;
	char text[200] = "", size[24];

	for (size_t i = 0; i < n; i++) {
		uint16_t tag = bytes_get16(stats + i * STAT_LEN);
		uint64_t value = bytes_get64(stats + i * STAT_LEN + 2);

		if (tag >= ARRAY_SIZE(stat_names) || !stat_names[tag])
			continue;
		used += (size_t)snprintf(text + used, sizeof(text) - used, ", %s %s",
					 config_size_rough(value, size, sizeof(size)),
					 stat_names[tag]);
		if (used >= sizeof(text))
			break;
	}
	log_info("%s: %s in the balloon; the guest's memory: %s", balloon->v->dev->plan->label,
		 config_size_rough((uint64_t)bytes_get32(balloon->config + CONFIG_ACTUAL) * PAGE,
				   size, sizeof(size)),
		 text[0] ? text + 2 : "unknown");
}

static void give_held(struct balloon *balloon)
{
	struct virtio_queue *q = virtio_queue(balloon->v, STATS);

	if (!balloon->holds)
		return;
	balloon->holds = false;
	virtio_queue_give(q, balloon->held, 0);
	virtio_queue_flush(q);
}

static void on_timer(void *arg, uint32_t events)
{
	struct balloon *balloon = arg;

	(void)events;
	if (event_due(balloon->timer) && balloon->holds) {
		balloon->wanted = true;
		give_held(balloon);
	}
}

static int start_timer(struct balloon *balloon)
{
	const struct balloon_config *options = balloon->v->dev->options;

	if (!options->statistics)
		return 0;
	balloon->timer = event_timer();
	if (balloon->timer < 0)
		return balloon->timer;
	event_timer_every(balloon->timer, options->statistics);
	return virtio_worker_watch(balloon->worker, balloon->timer, EVENT_IN, on_timer, balloon);
}

/* ---- Queues -------------------------------------------------------------------------------- */

static void take_stats(struct balloon *balloon, const struct virtio_chain *chain)
{
	if (balloon->wanted)
		show(balloon, chain);
	balloon->wanted = false;
	give_held(balloon); /* a driver has one buffer; the last one counts */
	balloon->holds = true;
	balloon->held = chain->head;
}

static void serve(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(QUEUE_SIZE)];
	struct virtio_chain chain = { .iov = iov, .cap = VIRTIO_CHAIN_MAX(QUEUE_SIZE) };
	struct balloon *balloon = virtio_queue_device(q)->state;
	unsigned index = virtio_queue_index(q);

	do {
		while (virtio_queue_take(q, &chain)) {
			if (index == STATS) {
				take_stats(balloon, &chain);
				continue;
			}
			if (index == INFLATE)
				inflate(balloon, &chain);
			else if (index == REPORTING)
				report(balloon, &chain);
			virtio_queue_give(q, chain.head, 0);
		}
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void stop(struct virtio *v)
{
	struct balloon *balloon = v->state;

	atomic_store(&balloon->stops, true);
	virtio_worker_free(balloon->worker);
	balloon->worker = NULL;
	if (balloon->timer >= 0)
		close(balloon->timer);
	balloon->timer = -1;
	balloon->holds = balloon->wanted = false;
}

static int start(struct virtio *v)
{
	struct balloon *balloon = v->state;
	int ret = 0;

	atomic_store(&balloon->stops, false);
	balloon->worker = virtio_worker_new(v);
	if (!balloon->worker)
		ret = -ENOMEM;
	for (unsigned i = 0; i < v->n_queues && !ret; i++)
		ret = virtio_worker_queue(balloon->worker, virtio_queue(v, i), serve);
	if (!ret)
		ret = start_timer(balloon);
	if (!ret)
		ret = virtio_worker_run(balloon->worker);
	if (ret) {
		log_error("%s: can't start: %s", v->dev->plan->label, strerror(-ret));
		stop(v);
	}
	return ret;
}

static void config_write(struct virtio *v, unsigned offset, unsigned size)
{
	const struct balloon_config *options = v->dev->options;
	struct balloon *balloon = v->state;

	(void)offset;
	(void)size;
	bytes_put32(balloon->config + CONFIG_NUM_PAGES, (uint32_t)(options->size / PAGE));
	memset(balloon->config + CONFIG_HINT_COMMAND, 0, CONFIG_LEN - CONFIG_HINT_COMMAND);
	log_debug("%s: %u pages of 4 KiB in the balloon", v->dev->plan->label,
		  bytes_get32(balloon->config + CONFIG_ACTUAL));
}

static int create(struct virtio *v, struct err *err)
{
	const struct balloon_config *options = v->dev->options;
	struct balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", v->dev->plan->label);
	balloon->v = v;
	balloon->timer = -1;
	balloon->host_page = (uintptr_t)sysconf(_SC_PAGESIZE);
	balloon->n_slots = memory_slots(v->memory, &balloon->slots);
	v->state = balloon;
	v->features = 1 << F_STATS_VQ;
	if (options->deflate_on_oom)
		v->features |= 1 << F_DEFLATE_ON_OOM;
	if (options->reporting)
		v->features |= 1 << F_FREE_PAGE_HINT | 1 << F_PAGE_REPORTING;
	v->n_queues = options->reporting ? QUEUES : HINT;
	v->queue_size = QUEUE_SIZE;
	v->config = balloon->config;
	v->config_len = CONFIG_LEN;
	config_write(v, 0, 0);
	return 0;
}

static void destroy(struct virtio *v)
{
	free(v->state);
}

static const struct virtio_type type = {
	.id = 5,
	.pci_class = 0x00ff00,
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
	.config_write = config_write,
};

static int device_create_balloon(struct device *dev, struct err *err)
{
	return virtio_create(dev, &type, err);
}

static const struct option options[] = {
	VIRTIO_OPTIONS(struct balloon_config),
	OPTION(struct balloon_config, size, OPTION_SIZE, .def = "0", .align = PAGE, .of_ram = true,
	       .max = (uint64_t)UINT32_MAX * PAGE,
	       .doc = "How much of its memory the guest is to give back to the host"),
	OPTION(struct balloon_config, deflate_on_oom, OPTION_BOOL, .def = "true",
	       .doc = "Whether the guest may take it back when it runs out of memory"),
	OPTION(struct balloon_config, reporting, OPTION_BOOL, .def = "true",
	       .doc = "Whether the guest tells which pages are free, so that the host can use "
		      "them until the guest needs them again"),
	OPTION(struct balloon_config, statistics, OPTION_DURATION, .min = 1000000000,
	       .doc = "Logs the guest's memory statistics so often, as messages of level info"),
	{ 0 },
};

const struct device_row device_virtio_balloon = {
	.type = {
		.name = "virtio-balloon",
		.doc = "Balloon by which the guest gives memory that it doesn't need to the host",
		.options = options,
		.size = sizeof(struct balloon_config),
	},
	.max = 1,
	.drops_memory = true,
	VIRTIO_ROW,
	.create = device_create_balloon,
};
