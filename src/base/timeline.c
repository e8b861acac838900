/* timeline.c: when things happened. */
#include <time.h>

#include <vibevmm/timeline.h>

_Atomic uint64_t timeline_at[TIMELINE_POINTS];

uint64_t timeline_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void timeline_set(enum timeline_point point)
{
	uint64_t none = 0;

	atomic_compare_exchange_strong(&timeline_at[point], &none, timeline_now());
}

void timeline_begin(void)
{
	for (int i = 0; i < TIMELINE_POINTS; i++)
		atomic_store(&timeline_at[i], 0);
	timeline_set(TIMELINE_EXEC);
}

const char *timeline_name(enum timeline_point point)
{
	static const char *const names[TIMELINE_POINTS] = {
		[TIMELINE_EXEC] = "start",
		[TIMELINE_LOADED] = "config loaded",
		[TIMELINE_PLANNED] = "planned",
		[TIMELINE_BACKEND] = "VM made",
		[TIMELINE_IMAGE] = "image loaded",
		[TIMELINE_GUEST] = "first instruction",
		[TIMELINE_CONSOLE] = "first console byte",
		[TIMELINE_EXIT] = "end",
	};

	return names[point];
}
