/* micro_timer.c: Micro VMM's timer: a polled interval timer.
 *
 * Port 0, write: the interval in milliseconds; 0 means that no events come. Port 1, write: bit 0
 * enables, bit 1 clear acknowledges the event; read: bit 0 enabled, bit 1 event pending.
 *
 * - Enabling starts an interval; writing the enable bit again (to acknowledge) doesn't.
 * - Events keep to the raster of the first: a guest that polls late sees no drift. Events that come
 *   while one is pending are one with it.
 * - Writing the interval while enabled starts a new one from now. A pending event stays.
 * - Disabling stops events to come. A pending one stays until it is acknowledged.
 *
 * Nothing happens between accesses: the state is worked out from the clock when the guest looks.
 */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>

#include "common.h"

enum { PORT_INTERVAL, PORT_CONTROL };

#define CONTROL_ENABLE	0x01
#define CONTROL_PENDING 0x02

struct micro_timer_config {
	char *id;
	uint32_t port;
};

struct micro_timer {
	uint64_t interval; /* ns */
	uint64_t next;	   /* when the next event comes, if enabled and the interval isn't 0 */
	bool enabled, pending;
};

static int create(struct device *dev, struct err *err)
{
	dev->state = calloc(1, sizeof(struct micro_timer));
	if (!dev->state)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	return 0;
}

static void destroy(struct device *dev)
{
	free(dev->state);
}

static void reset(struct device *dev)
{
	struct micro_timer *timer = dev->state;

	*timer = (struct micro_timer){ 0 };
}

static void catch_up(struct micro_timer *timer, uint64_t now)
{
	if (!timer->enabled || !timer->interval || now < timer->next)
		return;
	timer->pending = true;
	timer->next += ((now - timer->next) / timer->interval + 1) * timer->interval;
}

static uint64_t port_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct micro_timer *timer = dev->state;

	(void)claim;
	if (offset != PORT_CONTROL)
		return bytes_ones(size);
	catch_up(timer, loop_now());
	return (timer->enabled ? CONTROL_ENABLE : 0) | (timer->pending ? CONTROL_PENDING : 0);
}

static void port_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct micro_timer *timer = dev->state;
	uint64_t now = loop_now();
	bool start;

	(void)claim;
	(void)size;
	catch_up(timer, now);
	if (offset == PORT_INTERVAL) {
		timer->interval = (value & 0xff) * 1000000;
		start = true;
	} else {
		start = !timer->enabled;
		timer->enabled = value & CONTROL_ENABLE;
		if (!(value & CONTROL_PENDING))
			timer->pending = false;
	}
	if (start)
		timer->next = now + timer->interval;
}

static const struct option options[] = {
	DEVICE_ID(struct micro_timer_config),
	OPTION(struct micro_timer_config, port, OPTION_UINT, .def = "0x46", .max = 0xfffe,
	       .doc = "First of its two I/O ports: interval, then control"),
	{ 0 },
};

static const struct claim claims[] = {
	{ .name = "ports", .space = SPACE_PIO, .size = 2, .align = 1, .fix = "port", .width = 1 },
	{ 0 },
};

const struct device_row device_micro_timer = {
	.type = {
		.name = "micro-timer",
		.doc = "Micro VMM's interval timer, polled",
		.options = options,
		.size = sizeof(struct micro_timer_config),
	},
	.arches = ARCH_X86_64,
	.claims = claims,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = port_read,
	.write = port_write,
};
