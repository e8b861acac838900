/* clock.c: what time it is; an object of its own, so that a test can bring another clock. */
#include <time.h>

#include <vibevmm/host.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t loop_now(void)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	return now ? now : 1;
}

uint64_t loop_wall(void)
{
	return clock_ns(CLOCK_REALTIME);
}
