/* pthread.h: what Linux has there and macOS lacks. */
#ifndef MACOS_PTHREAD_H
#define MACOS_PTHREAD_H

#include_next <pthread.h>

#include <assert.h>
#include <time.h>

/* The thread is always the caller. */
#define pthread_setname_np(thread, name) pthread_setname_np(name)

/* Here all conditions are waited for by the monotonic clock. */
static inline int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
	(void)attr;
	assert(clock == CLOCK_MONOTONIC);
	(void)clock;
	return 0;
}

static inline int macos_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				       const struct timespec *limit)
{
	struct timespec now, left = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (limit->tv_sec > now.tv_sec ||
	    (limit->tv_sec == now.tv_sec && limit->tv_nsec > now.tv_nsec)) {
		left.tv_sec = limit->tv_sec - now.tv_sec;
		left.tv_nsec = limit->tv_nsec - now.tv_nsec;
		if (left.tv_nsec < 0) {
			left.tv_sec--;
			left.tv_nsec += 1000000000L;
		}
	}
	return pthread_cond_timedwait_relative_np(cond, lock, &left);
}
#define pthread_cond_timedwait macos_cond_timedwait

#endif
