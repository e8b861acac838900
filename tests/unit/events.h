/* unit/events.h: counting what other threads do, and waiting for it. */
#ifndef UNIT_EVENTS_H
#define UNIT_EVENTS_H

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>

/* A count that threads wait for; PTHREAD initialisers, so that it can be static. */
struct events {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned n;
};

#define EVENTS_INIT                                                                                \
	{                                                                                          \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                             \
	}

static inline void events_add(struct events *events)
{
	pthread_mutex_lock(&events->lock);
	events->n++;
	pthread_cond_broadcast(&events->changed);
	pthread_mutex_unlock(&events->lock);
}

/* True once there were n; false if that takes more than 20 seconds. */
static inline bool events_wait(struct events *events, unsigned n)
{
	struct timespec limit;
	bool came;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 20;
	pthread_mutex_lock(&events->lock);
	while (events->n < n && !pthread_cond_timedwait(&events->changed, &events->lock, &limit))
		;
	came = events->n >= n;
	pthread_mutex_unlock(&events->lock);
	return came;
}

/* Threads of this process; 0 where the host doesn't tell. */
static inline unsigned events_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	if (!dir)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* True once there are n: a thread that was joined takes a moment to disappear. False after 20
 * seconds. Always true where the host doesn't tell. */
static inline bool events_threads_become(unsigned n)
{
	time_t start = time(NULL);

	while (events_threads() && events_threads() != n) {
		if (time(NULL) - start > 20)
			return false;
		sched_yield();
	}
	return true;
}

#endif
