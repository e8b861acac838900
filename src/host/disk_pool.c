/* disk_pool.c: requests that threads do at once, where the kernel has no ring for them: containers
 * forbid io_uring(7), and macOS has none.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "disk_private.h"

#define THREADS_MAX 8

/* A lane's, made at first need. The lists and `end` are under the lock. */
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

static bool pool_ready(struct disk_file_lane *l)
{
	struct disk_pool *pool = l->pool;

	if (pool)
		return true;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return false;
	pool->l = l;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->begun, NULL);
	pthread_cond_init(&pool->finished, NULL);
	pool->todo_end = &pool->todo;
	pool->done_end = &pool->done;
	l->pool = pool;
	return true;
}

/* As many threads as there are requests; signals belong to others. False: not one. */
static bool grow(struct disk_pool *pool, unsigned n)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->n < n && pool->n < THREADS_MAX &&
	       !pthread_create(&pool->threads[pool->n], NULL, serve, pool))
		pool->n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pool->n;
}

/* Gives the lane what is done; waits for the first if there is nothing else. */
static void collect(struct disk_pool *pool, struct disk_lane *lane)
{
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

bool disk_pool_run(struct disk_file_lane *l)
{
	struct disk_request *r, *here = NULL, **here_end = &here;
	struct disk_lane *lane = &l->lane;

	if (!pool_ready(l) || !grow(l->pool, 1))
		return false;
	pthread_mutex_lock(&l->pool->lock);
	while ((r = disk_lane_take(lane))) {
		if (disk_io_waits_for(disk_file_of(l), r) < 0) {
			put(&here_end, r);
			continue;
		}
		put(&l->pool->todo_end, r);
		lane->running++;
		pthread_cond_signal(&l->pool->begun);
	}
	pthread_mutex_unlock(&l->pool->lock);
	grow(l->pool, lane->running);
	while ((r = here)) {
		here = r->next;
		disk_lane_finish(lane, r, disk_io_serve(l, r));
	}
	collect(l->pool, lane);
	return true;
}

void disk_pool_free(struct disk_file_lane *l)
{
	struct disk_pool *pool = l->pool;

	if (!pool)
		return;
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
