/* worker.c: threads that serve queues and descriptors. */
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/event.h>
#include <vibevmm/log.h>

#include "core.h"

struct watch {
	int fd;
	virtio_fd_fn fn; /* NULL: it was taken away */
	void *arg;
	struct watch *next;
};

struct served {
	struct virtio_queue *q;
	virtio_queue_fn fn;
	struct served *next;
};

struct virtio_worker {
	struct virtio *v;
	pthread_t thread;
	bool running;
	bool stop;
	int kick;	   /* a doorbell that all the queues share, and the end */
	int set;	   /* of the kick and the watches; -1 while there was none of these */
	bool plain, batch; /* its policy, sched(7): nobody chose another; and what we chose */
	struct served *queues;
	struct watch *watches;
	bool swept; /* false: one was taken away */
};

/* A kick costs less while no set waits for it. */
static int need_set(struct virtio_worker *w)
{
	int set, ret;

	if (w->set >= 0)
		return 0;
	set = event_set();
	if (set < 0)
		return set;
	ret = event_add(set, w->kick, EVENT_IN, &w->kick);
	if (ret)
		close(set);
	else
		w->set = set;
	return ret;
}

struct virtio_worker *virtio_worker_new(struct virtio *v)
{
	struct virtio_worker *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct virtio_worker){ .v = v, .set = -1, .swept = true };
	w->kick = event_doorbell();
	if (w->kick >= 0)
		return w;
	free(w);
	return NULL;
}

int virtio_worker_queue(struct virtio_worker *w, struct virtio_queue *q, virtio_queue_fn fn)
{
	struct served *served, **last = &w->queues;

	assert(q->kick < 0);
	if (!q->enabled) /* it has no ring to look at */
		return 0;
	served = malloc(sizeof(*served));
	if (!served)
		return -ENOMEM;
	while (*last)
		last = &(*last)->next;
	*last = served;
	*served = (struct served){ .q = q, .fn = fn };
	q->kick = w->kick;
	return 0;
}

int virtio_worker_watch(struct virtio_worker *w, int fd, uint32_t events, virtio_fd_fn fn,
			void *arg)
{
	struct watch *watch = w->watches;
	int ret;

	while (watch && !(watch->fd == fd && watch->fn))
		watch = watch->next;
	if (!events) {
		if (watch) {
			event_remove(w->set, fd);
			watch->fn = NULL; /* freed when no event can be for it any more */
			w->swept = false;
		}
		return 0;
	}
	if (watch) {
		watch->fn = fn;
		watch->arg = arg;
		return event_change(w->set, fd, events, watch);
	}
	ret = need_set(w);
	if (ret)
		return ret;
	watch = malloc(sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	*watch = (struct watch){ .fd = fd, .fn = fn, .arg = arg, .next = w->watches };
	ret = event_add(w->set, fd, events, watch);
	if (ret)
		free(watch);
	else
		w->watches = watch;
	return ret;
}

static void sweep(struct virtio_worker *w)
{
	struct watch **p = &w->watches, *watch;

	while ((watch = *p)) {
		if (watch->fn) {
			p = &watch->next;
			continue;
		}
		*p = watch->next;
		free(watch);
	}
	w->swept = true;
}

/* sched(7): a thread of SCHED_BATCH that is woken lets the one that runs go on. It needs no rights,
 * and that it worked is of no importance. */
void virtio_worker_batch(struct virtio_worker *w, bool on)
{
	if (w->plain && w->batch != on)
		sched_setscheduler(0, on ? SCHED_BATCH : SCHED_OTHER, &(struct sched_param){ 0 });
	w->batch = on;
}

/* A kick doesn't say for which queue it is. */
static void serve(struct virtio_worker *w)
{
	for (struct served *served = w->queues; served; served = served->next)
		served->fn(served->q);
}

/* Waits for a kick, if none came yet, and takes it. False: this was the end. */
static bool take_kick(struct virtio_worker *w)
{
	event_await(w->kick);
	return !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE);
}

/* Linux takes 15 characters. */
static void name_thread(const struct virtio *v)
{
	char name[16];

	snprintf(name, sizeof(name), "%.15s", v->dev->plan->label);
	pthread_setname_np(pthread_self(), name);
}

static void *worker(void *arg)
{
	struct virtio_worker *w = arg;
	struct event events[EVENT_MOST];

	name_thread(w->v);
	w->plain = sched_getscheduler(0) == SCHED_OTHER;
	serve(w);
	for (;;) {
		int n;

		/* Nothing else to wait for: one system call a kick instead of two. */
		if (!w->watches) {
			if (!take_kick(w))
				return NULL;
			serve(w);
			continue;
		}
		n = event_wait(w->set, events);

		for (int i = 0; i < n; i++) {
			struct watch *watch = events[i].ptr;

			if (events[i].ptr == &w->kick) {
				if (!take_kick(w))
					return NULL;
				serve(w);
			} else if (watch->fn) {
				watch->fn(watch->arg, events[i].events);
			}
		}
		if (!w->swept)
			sweep(w);
	}
}

int virtio_worker_run(struct virtio_worker *w)
{
	int ret = thread_start(&w->thread, worker, w);

	if (ret)
		log_error("%s: can't start a thread: %s", w->v->dev->plan->label, strerror(-ret));
	w->running = !ret;
	return ret;
}

void virtio_worker_free(struct virtio_worker *w)
{
	if (!w)
		return;
	if (w->running) {
		__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
		event_ring(w->kick);
		pthread_join(w->thread, NULL);
	}
	for (struct served *served = w->queues, *next; served; served = next) {
		next = served->next;
		served->q->kick = -1;
		free(served);
	}
	for (struct watch *watch = w->watches, *next; watch; watch = next) {
		next = watch->next;
		free(watch);
	}
	close(w->kick);
	if (w->set >= 0)
		close(w->set);
	free(w);
}
