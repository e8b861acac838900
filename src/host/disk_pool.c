/* disk_pool.c: requests that threads do at once, where the kernel has no ring for them: containers
 * forbid io_uring(7), and macOS has none.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <vibevmm/host.h>

#include "disk_private.h"

#define THREADS_MAX 8

/* The lists and `end` are under the lock. */
struct disk_pool {
	struct disk_file_lane *l;
	pthread_mutex_t lock;
	pthread_cond_t begun, finished;
	struct disk_request *todo, **todo_end;
	struct disk_request *done, **done_end;
	bool end;
	unsigned n;
	pthread_t threads[THREADS_MAX];
};

static void put(struct disk_request ***end, struct disk_request *r)
{
	r->next = NULL;
	**end = r;
	*end = &r->next;
}

static void *serve(void *arg)
{
	struct disk_pool *pool = arg;
	struct disk_request *r;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->todo && !pool->end)
			pthread_cond_wait(&pool->begun, &pool->lock);
		r = pool->todo;
		if (!r)
			break;
		pool->todo = r->next;
		if (!pool->todo)
			pool->todo_end = &pool->todo;
		pthread_mutex_unlock(&pool->lock);
		r->result = disk_io_serve(pool->l, r);
		pthread_mutex_lock(&pool->lock);
		put(&pool->done_end, r);
		pthread_cond_signal(&pool->finished);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static bool make(struct disk_file_lane *l)
{
	struct disk_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return false;
	pool->l = l;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->begun, NULL);
	pthread_cond_init(&pool->finished, NULL);
	pool->todo_end = &pool->todo;
	pool->done_end = &pool->done;
	l->engine_state = pool;
	return true;
}

/* As many threads as there are requests; one may have to do. */
static bool start(struct disk_file_lane *l, struct disk_request *r, int fd)
{
	struct disk_pool *pool = l->engine_state;

	(void)fd;
	if (pool->n <= l->lane.running && pool->n < THREADS_MAX &&
	    !thread_start(&pool->threads[pool->n], serve, pool))
		pool->n++;
	if (!pool->n)
		return false;
	pthread_mutex_lock(&pool->lock);
	put(&pool->todo_end, r);
	pthread_cond_signal(&pool->begun);
	pthread_mutex_unlock(&pool->lock);
	return true;
}

static void collect(struct disk_file_lane *l)
{
	struct disk_pool *pool = l->engine_state;
	struct disk_lane *lane = &l->lane;
	struct disk_request *r;

	pthread_mutex_lock(&pool->lock);
	while (!pool->done && !lane->done && lane->running)
		pthread_cond_wait(&pool->finished, &pool->lock);
	while ((r = pool->done)) {
		pool->done = r->next;
		lane->running--;
		disk_lane_finish(lane, r, r->result);
	}
	pool->done_end = &pool->done;
	pthread_mutex_unlock(&pool->lock);
}

static void end(struct disk_file_lane *l)
{
	struct disk_pool *pool = l->engine_state;

	pthread_mutex_lock(&pool->lock);
	pool->end = true;
	pthread_cond_broadcast(&pool->begun);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->finished);
	pthread_cond_destroy(&pool->begun);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

const struct disk_engine disk_pool = {
	.make = make,
	.start = start,
	.collect = collect,
	.free = end,
};
