/* timeline.h: when things happened on the way to the guest and through its life.
 *
 * A process runs one VM, so there is one timeline. A mark costs one clock reading the first time
 * and one load after that, so it is always on.
 */
#ifndef VIBEVMM_TIMELINE_H
#define VIBEVMM_TIMELINE_H

#include <stdatomic.h>
#include <stdint.h>

enum timeline_point {
	TIMELINE_EXEC,	  /* main began, or the process was forked for a case */
	TIMELINE_LOADED,  /* the config */
	TIMELINE_PLANNED, /* the plan */
	TIMELINE_BACKEND, /* the hypervisor has made the VM */
	TIMELINE_IMAGE,	  /* what to boot is in guest memory */
	TIMELINE_GUEST,	  /* the first vCPU enters the guest */
	TIMELINE_CONSOLE, /* the guest's first byte on any console */
	TIMELINE_EXIT,	  /* the VM has ended */
	TIMELINE_POINTS,
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t timeline_now(void);

/* That clock by point; 0: not reached. */
extern _Atomic uint64_t timeline_at[TIMELINE_POINTS];

/* Sets it to now, the first time. */
void timeline_set(enum timeline_point point);

static inline void timeline_mark(enum timeline_point point)
{
	if (!atomic_load_explicit(&timeline_at[point], memory_order_relaxed))
		timeline_set(point);
}

/* Forgets all, and begins anew with TIMELINE_EXEC. */
void timeline_begin(void);

/* "exec", "first instruction": what the point is called. */
const char *timeline_name(enum timeline_point point);

#endif
