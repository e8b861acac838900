/* pace.c: bursts of input and the pauses between them. */
#include "pace.h"

#define MS 1000000ULL

/* The longest pause: for guests that are not slow to read, but slow to come. */
#define PAUSE_MAX (20 * MS)

static void pause_over(void *arg)
{
	struct device_pace *pace = arg;

	if (!pace->resume(pace->dev))
		loop_timer_set(pace->dev->host->loop, &pace->timer, loop_now() + 10 * MS);
}

void device_pace_init(struct device_pace *pace, console_ready_fn resume, struct device *dev)
{
	*pace = (struct device_pace){ .timer = { .fn = pause_over, .arg = pace },
				      .resume = resume,
				      .dev = dev };
}

void device_pace_clear(struct device_pace *pace)
{
	loop_timer_clear(pace->dev->host->loop, &pace->timer);
}

void device_pace_drained(struct device_pace *pace)
{
	pace->drained = loop_now();
}

/* A guest that was idle for as long as its last burst has had its pause. */
bool device_pace_go(struct device_pace *pace)
{
	uint64_t now = loop_now(), burst = pace->drained - pace->burst;

	if (burst > PAUSE_MAX)
		burst = PAUSE_MAX;
	if (now - pace->drained >= burst) {
		pace->burst = pace->drained = now;
		return true;
	}
	return burst < MS ||
	       loop_timer_set(pace->dev->host->loop, &pace->timer, pace->drained + burst) != 0;
}
