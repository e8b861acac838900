/* pl031.c: Arm's PrimeCell real-time clock, showing the host's time in UTC.
 *
 * After the PL031 Technical Reference Manual (DDI 0224): a counter of seconds, which the guest may
 * set, and an alarm when it equals the match register. The counter always runs.
 */
#include <errno.h>
#include <stdlib.h>

#include "common.h"

/* 3.2, "Summary of registers". */
enum {
	REG_DR = 0x00,
	REG_MR = 0x04,
	REG_LR = 0x08,
	REG_CR = 0x0c,
	REG_IMSC = 0x10,
	REG_RIS = 0x14,
	REG_MIS = 0x18,
	REG_ICR = 0x1c,
};

#define PERIPHERAL_ID 0x00041031
#define SECOND	      1000000000ULL

struct pl031_config {
	char *id;
	uint64_t at;
	uint32_t irq;
};

struct rtc {
	uint32_t offset; /* added to the host's seconds since 1970 */
	uint32_t match, load;
	uint32_t seen; /* the counter when it was last looked at */
	bool raised, enabled;
	int irq;
	bool level;
	struct loop_timer timer;
};

/* Brings the alarm to the present. */
static void catch_up(struct rtc *rtc)
{
	uint32_t now = (uint32_t)(loop_wall() / SECOND) + rtc->offset;

	/* Not at the second it was when last looked at, but at one since. */
	if (rtc->match - rtc->seen - 1 < now - rtc->seen)
		rtc->raised = true;
	rtc->seen = now;
}

/* Sets the line, and the timer for an alarm to come. */
static void update(struct device *dev)
{
	struct rtc *rtc = dev->state;
	bool level = rtc->raised && rtc->enabled;
	uint64_t wait = (uint64_t)(rtc->match - rtc->seen) * SECOND;

	if (!device_claim_connected(dev, rtc->irq))
		return;
	if (level != rtc->level)
		device_irq_set(dev, rtc->irq, level);
	rtc->level = level;
	if (rtc->enabled && !rtc->raised && wait)
		loop_timer_set(dev->host->loop, &rtc->timer,
			       loop_now() + wait - loop_wall() % SECOND);
	else
		loop_timer_clear(dev->host->loop, &rtc->timer);
}

static void timer_due(void *arg)
{
	struct device *dev = arg;

	device_lock(dev);
	catch_up(dev->state);
	update(dev);
	device_unlock(dev);
}

/* An alarm for this very second is due at once. */
static void moved(struct rtc *rtc)
{
	if (rtc->match == rtc->seen)
		rtc->raised = true;
}

static uint64_t reg_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct rtc *rtc = dev->state;

	(void)claim;
	(void)size;
	catch_up(rtc);
	switch (offset) {
	case REG_DR:
		return rtc->seen;
	case REG_MR:
		return rtc->match;
	case REG_LR:
		return rtc->load;
	case REG_CR:
		return 1; /* enabled */
	case REG_IMSC:
		return rtc->enabled;
	case REG_RIS:
		return rtc->raised;
	case REG_MIS:
		return rtc->raised && rtc->enabled;
	default:
		return device_primecell_id(PERIPHERAL_ID, offset);
	}
}

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct rtc *rtc = dev->state;

	(void)claim;
	(void)size;
	catch_up(rtc);
	switch (offset) {
	case REG_MR:
		rtc->match = (uint32_t)value;
		moved(rtc);
		break;
	case REG_LR:
		rtc->load = (uint32_t)value;
		rtc->offset += rtc->load - rtc->seen;
		rtc->seen = rtc->load;
		moved(rtc);
		break;
	case REG_IMSC:
		rtc->enabled = value & 1;
		break;
	case REG_ICR:
		if (value & 1)
			rtc->raised = false;
		break;
	default:
		break;
	}
	update(dev);
}

/* Time goes on. */
static void reset(struct device *dev)
{
	struct rtc *rtc = dev->state;

	rtc->match = 0;
	rtc->load = 0;
	rtc->raised = false;
	rtc->enabled = false;
	update(dev);
}

static int create(struct device *dev, struct err *err)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	rtc->irq = device_claim(dev, "interrupt");
	rtc->timer = (struct loop_timer){ .fn = timer_due, .arg = dev };
	rtc->seen = (uint32_t)(loop_wall() / SECOND);
	dev->state = rtc;
	return 0;
}

static void destroy(struct device *dev)
{
	struct rtc *rtc = dev->state;

	loop_timer_clear(dev->host->loop, &rtc->timer);
	free(rtc);
}

static const struct option options[] = {
	DEVICE_ID(struct pl031_config),
	OPTION(struct pl031_config, at, OPTION_ADDR,
	       .doc = "Address of its 4 KiB of registers; otherwise 0x9010000, or a free one"),
	OPTION(struct pl031_config, irq, OPTION_IRQ,
	       .doc = "Interrupt line (SPI), or none; otherwise a free one, 2 first"),
	{ 0 },
};

static const struct claim claims[] = {
	DEVICE_PRIMECELL_CLAIMS(0x09010000, 2),
	{ 0 },
};

static const struct device_description describe = {
	.role = ROLE_RTC,
	.compatible = { "arm,pl031", "arm,primecell" },
	.node = "rtc",
};

const struct device_row device_pl031 = {
	.type = {
		.name = "pl031",
		.doc = "Arm's PL031 real-time clock with the host's time in UTC",
		.options = options,
		.size = sizeof(struct pl031_config),
	},
	.arches = ARCH_ARM64,
	.max = 1,
	.claims = claims,
	.describe = &describe,
	.wants = HV_CAP_IRQ_LINE,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = reg_read,
	.write = reg_write,
};
