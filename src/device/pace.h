/* pace.h: how fast a serial line brings input to a guest that takes interrupts.
 *
 * A line without an end would be a handler without an end: it loops until there is nothing to read,
 * while whoever is to work on what it read waits for the CPU. So such a guest gets a FIFO full when
 * it has emptied the FIFO; and when that has gone on for a millisecond, a pause as long as the
 * burst was. Then half of the time is the guest's own, however slow it is.
 */
#ifndef DEVICE_PACE_H
#define DEVICE_PACE_H

#include <vibevmm/device.h>

/* All under the device's lock but the timer, which is the loop's. It outlives a reset. */
struct device_pace {
	uint64_t burst, drained; /* when the line last began, and the guest last had read all */
	struct loop_timer timer;
	console_ready_fn resume;
	struct device *dev;
};

/* When a pause is over, resume(dev) is called on the loop's thread; it returns false to be called
 * again 10 ms later, rather than wait for a lock. */
void device_pace_init(struct device_pace *pace, console_ready_fn resume, struct device *dev);
void device_pace_clear(struct device_pace *pace);

/* The guest has emptied the FIFO. */
void device_pace_drained(struct device_pace *pace);

/* The FIFO is empty and input waits: whether it may come now. If not, resume will be called. */
bool device_pace_go(struct device_pace *pace);

#endif
