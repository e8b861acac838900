/* sched.h: what Linux has there and macOS lacks: policies of scheduling that are chosen by hand. */
#ifndef MACOS_SCHED_H
#define MACOS_SCHED_H

#include_next <sched.h>

#include <errno.h>
#include <sys/types.h>

enum { SCHED_BATCH = 3 };

static inline int sched_getscheduler(pid_t pid)
{
	(void)pid;
	return SCHED_OTHER;
}

static inline int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
	(void)pid;
	(void)policy;
	(void)param;
	errno = ENOTSUP;
	return -1;
}

#endif
