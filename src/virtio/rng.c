/* rng.c: an entropy device, VIRTIO 5.4: random bytes from the host's getrandom(2).
 *
 * A rate limit is a bucket that holds what one second allows: what was given is paid for by time. A
 * request is answered in full as soon as the bucket holds anything, on credit: Linux's driver waits
 * for ever after answers that are shorter than its buffers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <vibevmm/event.h>
#include <vibevmm/log.h>
#include <vibevmm/virtio.h>

#define SECOND 1000000000ULL

/* A request may be for 4 GiB, but a device may give less (5.4.6.1), and a reset must not wait. */
#define MOST 0x10000U

#define QUEUE_SIZE 64

struct rng_config {
	VIRTIO_MEMBERS;
	uint64_t rate;
};

struct rng {
	struct virtio *v;
	struct virtio_worker *worker;
	uint64_t rate; /* bytes a second; 0: no limit */
	uint64_t paid; /* when all that was given will be paid for, by loop_now's clock */
	int timer;
};

/* Whether the bucket holds a byte, at least. */
static bool allowed(struct rng *rng)
{
	uint64_t now = loop_now();

	if (!rng->rate)
		return true;
	if (rng->paid < now)
		rng->paid = now;
	return now + SECOND >= rng->paid + SECOND / rng->rate;
}

static void charge(struct rng *rng, uint64_t bytes)
{
	if (rng->rate)
		rng->paid += bytes * SECOND / rng->rate;
}

/* Wakes when a tenth of a second's bytes are there, or one. */
static void sleep_until_allowed(struct rng *rng)
{
	uint64_t some = rng->rate < 10 ? 1 : rng->rate / 10;
	uint64_t at = rng->paid - SECOND + some * SECOND / rng->rate + 1;

	event_timer_at(rng->timer, at);
}

/* Fills the request's buffers; how much that was. */
static uint32_t fill(const struct virtio_chain *chain)
{
	uint32_t done = 0;

	for (unsigned i = chain->n_out; i < chain->n_out + chain->n_in && done < MOST; i++) {
		size_t len = chain->iov[i].iov_len;
		ssize_t got;

		if (len > MOST - done)
			len = MOST - done;
		got = getrandom(chain->iov[i].iov_base, len, 0);
		if (got > 0)
			done += (uint32_t)got;
		if (got < 0 || (size_t)got < len)
			break;
	}
	return done;
}

static void serve(struct virtio_queue *q)
{
	struct rng *rng = virtio_queue_device(q)->state;
	struct iovec iov[VIRTIO_CHAIN_MAX(QUEUE_SIZE)];
	struct virtio_chain chain = { .iov = iov, .cap = sizeof(iov) / sizeof(iov[0]) };

	do {
		while (virtio_queue_take(q, &chain)) {
			uint32_t written;

			if (!allowed(rng)) {
				virtio_queue_untake(q);
				virtio_queue_flush(q);
				sleep_until_allowed(rng);
				return;
			}
			written = fill(&chain);
			charge(rng, written);
			virtio_queue_give(q, chain.head, written);
		}
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}

static void timer_fired(void *arg, uint32_t events)
{
	struct rng *rng = arg;

	(void)events;
	if (event_due(rng->timer))
		serve(virtio_queue(rng->v, 0));
}

/* ---- The device ---------------------------------------------------------------------------- */

static int start(struct virtio *v)
{
	struct rng *rng = v->state;
	int ret;

	if (!virtio_queue_ready(virtio_queue(v, 0)))
		return 0;
	rng->worker = virtio_worker_new(v);
	ret = rng->worker ? virtio_worker_queue(rng->worker, virtio_queue(v, 0), serve) : -ENOMEM;
	if (!ret && rng->timer >= 0)
		ret = virtio_worker_watch(rng->worker, rng->timer, EVENT_IN, timer_fired, rng);
	if (!ret)
		ret = virtio_worker_run(rng->worker);
	if (ret) {
		log_error("%s: can't start: %s", v->dev->plan->label, strerror(-ret));
		virtio_worker_free(rng->worker);
		rng->worker = NULL;
	}
	return ret;
}

static void stop(struct virtio *v)
{
	struct rng *rng = v->state;

	virtio_worker_free(rng->worker);
	rng->worker = NULL;
}

static int rng_create(struct virtio *v, struct err *err)
{
	const struct rng_config *config = v->dev->options;
	struct rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", v->dev->plan->label);
	*rng = (struct rng){ .v = v, .rate = config->rate, .timer = -1 };
	if (rng->rate) {
		int timer = event_timer();

		if (timer < 0) {
			free(rng);
			return err_errno(err, -timer, STATUS_OSERR, "%s: no timer",
					 v->dev->plan->label);
		}
		rng->timer = timer;
	}
	v->state = rng;
	v->n_queues = 1;
	v->queue_size = QUEUE_SIZE;
	return 0;
}

static void rng_destroy(struct virtio *v)
{
	struct rng *rng = v->state;

	if (rng->timer >= 0)
		close(rng->timer);
	free(rng);
}

static const struct virtio_type type = {
	.id = 4,	       /* VIRTIO 5.4.1 */
	.pci_class = 0x108000, /* Encryption controller, other */
	.create = rng_create,
	.destroy = rng_destroy,
	.start = start,
	.stop = stop,
};

static int create(struct device *dev, struct err *err)
{
	return virtio_create(dev, &type, err);
}

static const struct option options[] = {
	VIRTIO_OPTIONS(struct rng_config),
	OPTION(struct rng_config, rate, OPTION_SIZE, .min = 1, .max = 1 << 30,
	       .doc = "The most bytes a second, on average, that the guest gets; otherwise there "
		      "is no limit"),
	{ 0 },
};

const struct device_row device_virtio_rng = {
	.type = {
		.name = "virtio-rng",
		.doc = "Random numbers from the host, for a guest's entropy pool",
		.options = options,
		.size = sizeof(struct rng_config),
	},
	VIRTIO_ROW,
	.create = create,
};
