/* rtc.c: an MC146818 real-time clock with 128 bytes of memory, showing the host's time in UTC.
 *
 * After Motorola's MC146818A data sheet. The time registers hold what the guest sees. When it looks
 * they are brought forward by the seconds that passed on the host's clock since the last look; so a
 * time that the guest sets is kept and runs on. Registers it wrote nonsense into are normalised at
 * the next second.
 *
 * Flags in register C appear as time passes whether or not their interrupts are enabled, and are
 * worked out when the guest looks. A timer runs only for an enabled interrupt with a connected line
 * that isn't raised yet. Bit 7 of the index port (on a PC, the NMI mask) is ignored.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vibevmm/bytes.h>

#include "common.h"

#define SECOND	 1000000000ULL
#define UPDATE	 2228000ULL /* ns that UIP is set before a new second: tBUC + tUC at 32 kHz */
#define HALF_DAY 12

enum { PORT_INDEX, PORT_DATA };

enum {
	REG_SECOND = 0x00,
	REG_SECOND_ALARM,
	REG_MINUTE,
	REG_MINUTE_ALARM,
	REG_HOUR,
	REG_HOUR_ALARM,
	REG_WEEKDAY, /* 1: Sunday */
	REG_DAY,
	REG_MONTH,
	REG_YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D,
	REG_CENTURY = 0x32, /* as PCs have it */
	REGS = 128,
};

#define A_UIP	    0x80
#define A_DIVIDER   0x70
#define A_RESET	    0x60 /* both bits set: the divider is held in reset */
#define A_RATE	    0x0f
#define A_DEFAULT   0x26 /* 32768 Hz, 1024 Hz periodic rate */
#define B_SET	    0x80
#define B_SQWE	    0x08
#define B_BINARY    0x04
#define B_24H	    0x02
#define B_ENABLES   0x70 /* PIE, AIE, UIE; the flags in C have the same places */
#define C_IRQF	    0x80
#define FLAG_PERIOD 0x40
#define FLAG_ALARM  0x20
#define FLAG_UPDATE 0x10
#define D_VALID	    0x80
#define HOUR_PM	    0x80
#define ALARM_ANY   0xc0

struct rtc_config {
	char *id;
	uint32_t port, irq;
};

struct rtc {
	uint8_t index;
	uint8_t regs[REGS];
	uint64_t phase; /* added to the host's clock: where in a second this clock's seconds turn */
	uint64_t seen;	/* the time, so shifted, that the registers were brought to */
	int irq;
	bool level;
	struct loop_timer timer;
};

/* ---- Numbers in registers ---------------------------------------------------------------- */

static unsigned from_reg(const struct rtc *rtc, uint8_t v)
{
	return rtc->regs[REG_B] & B_BINARY ? v : (v >> 4) * 10U + (v & 15);
}

static uint8_t to_reg(const struct rtc *rtc, int v)
{
	return (uint8_t)(rtc->regs[REG_B] & B_BINARY ? v : v / 10 % 10 * 16 + v % 10);
}

static unsigned hour_from_reg(const struct rtc *rtc, uint8_t v)
{
	unsigned hour;

	if (rtc->regs[REG_B] & B_24H)
		return from_reg(rtc, v);
	hour = from_reg(rtc, v & (uint8_t)~HOUR_PM) % HALF_DAY; /* 12 AM is hour 0 */
	return v & HOUR_PM ? hour + HALF_DAY : hour;
}

static uint8_t hour_to_reg(const struct rtc *rtc, int hour)
{
	if (rtc->regs[REG_B] & B_24H)
		return to_reg(rtc, hour);
	return (uint8_t)(to_reg(rtc, hour % HALF_DAY ? hour % HALF_DAY : HALF_DAY) |
			 (hour >= HALF_DAY ? HOUR_PM : 0));
}

/* Seconds since 1970 that the registers show; out-of-range fields carry over. */
static int64_t get_time(const struct rtc *rtc)
{
	const uint8_t *regs = rtc->regs;
	struct tm tm = {
		.tm_sec = (int)from_reg(rtc, regs[REG_SECOND]),
		.tm_min = (int)from_reg(rtc, regs[REG_MINUTE]),
		.tm_hour = (int)hour_from_reg(rtc, regs[REG_HOUR]),
		.tm_mday = (int)from_reg(rtc, regs[REG_DAY]),
		.tm_mon = (int)from_reg(rtc, regs[REG_MONTH]) - 1,
		.tm_year = (int)(from_reg(rtc, regs[REG_CENTURY]) * 100 +
				 from_reg(rtc, regs[REG_YEAR])) -
			   1900,
	};

	return timegm(&tm);
}

static void put_time(struct rtc *rtc, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	int year;

	gmtime_r(&t, &tm);
	year = (tm.tm_year + 1900 + 10000) % 10000;
	rtc->regs[REG_SECOND] = to_reg(rtc, tm.tm_sec);
	rtc->regs[REG_MINUTE] = to_reg(rtc, tm.tm_min);
	rtc->regs[REG_HOUR] = hour_to_reg(rtc, tm.tm_hour);
	rtc->regs[REG_WEEKDAY] = to_reg(rtc, tm.tm_wday + 1);
	rtc->regs[REG_DAY] = to_reg(rtc, tm.tm_mday);
	rtc->regs[REG_MONTH] = to_reg(rtc, tm.tm_mon + 1);
	rtc->regs[REG_YEAR] = to_reg(rtc, year % 100);
	rtc->regs[REG_CENTURY] = to_reg(rtc, year / 100);
}

/* ---- The passing of time ----------------------------------------------------------------- */

static uint64_t shifted_now(const struct rtc *rtc)
{
	return loop_wall() + rtc->phase;
}

/* While the guest sets the time, or holds the divider in reset, nothing moves. */
static bool stopped(const struct rtc *rtc)
{
	return (rtc->regs[REG_B] & B_SET) || (rtc->regs[REG_A] & A_RESET) == A_RESET;
}

/* Periodic interrupts a second; 0: none (table 5, 32.768 kHz time base). */
static unsigned rate(const struct rtc *rtc)
{
	unsigned select = rtc->regs[REG_A] & A_RATE;

	if (!select || (rtc->regs[REG_A] & A_RESET) == A_RESET)
		return 0;
	return 32768U >> ((select <= 2 ? select + 7 : select) - 1);
}

/* How many periods fit into that time. */
static uint64_t periods(uint64_t time, unsigned hz)
{
	return time / SECOND * hz + time % SECOND * hz / SECOND;
}

static bool alarm_at(uint8_t reg, unsigned value, unsigned now)
{
	return (reg & ALARM_ANY) == ALARM_ANY || value == now;
}

/* Seconds from `seconds` until the alarm's time of day, 0 if it is now; -1 if it never comes. Skips
 * hours and minutes that don't match. */
static int64_t until_alarm(const struct rtc *rtc, int64_t seconds)
{
	const uint8_t *regs = rtc->regs;
	unsigned hour = hour_from_reg(rtc, regs[REG_HOUR_ALARM]);
	unsigned minute = from_reg(rtc, regs[REG_MINUTE_ALARM]);
	unsigned second = from_reg(rtc, regs[REG_SECOND_ALARM]);
	unsigned day = 86400, start = (unsigned)((seconds % day + day) % day), s = start;

	while (s < start + day) {
		if (!alarm_at(regs[REG_HOUR_ALARM], hour, s / 3600 % 24))
			s += 3600 - s % 3600;
		else if (!alarm_at(regs[REG_MINUTE_ALARM], minute, s / 60 % 60))
			s += 60 - s % 60;
		else if (!alarm_at(regs[REG_SECOND_ALARM], second, s % 60))
			s++;
		else
			return s - start;
	}
	return -1;
}

/* Brings registers and flags to the present. */
static void catch_up(struct rtc *rtc)
{
	uint64_t now = shifted_now(rtc), before = rtc->seen;
	int64_t passed = (int64_t)(now / SECOND - before / SECOND), alarm, shown;
	unsigned hz = rate(rtc);

	rtc->seen = now;
	if (hz && periods(now, hz) != periods(before, hz))
		rtc->regs[REG_C] |= FLAG_PERIOD;
	if (stopped(rtc) || !passed)
		return;
	shown = get_time(rtc);
	alarm = until_alarm(rtc, shown + 1);
	put_time(rtc, shown + passed);
	rtc->regs[REG_C] |= FLAG_UPDATE;
	if (alarm >= 0 && alarm < passed)
		rtc->regs[REG_C] |= FLAG_ALARM;
}

/* Nanoseconds until the first event whose interrupt is enabled; 0: there is none. */
static uint64_t until_event(const struct rtc *rtc)
{
	uint8_t enabled = rtc->regs[REG_B];
	uint64_t to_second = SECOND - rtc->seen % SECOND, first = 0;
	unsigned hz = rate(rtc);

	if ((enabled & FLAG_PERIOD) && hz) {
		uint64_t next = rtc->seen % SECOND * hz / SECOND + 1;

		first = (next * SECOND + hz - 1) / hz - rtc->seen % SECOND;
	}
	if (stopped(rtc))
		return first;
	if (enabled & FLAG_ALARM) {
		int64_t alarm = until_alarm(rtc, get_time(rtc) + 1);
		uint64_t ns = to_second + (uint64_t)alarm * SECOND;

		if (alarm >= 0 && (!first || ns < first))
			first = ns;
	}
	if ((enabled & FLAG_UPDATE) && (!first || to_second < first))
		first = to_second;
	return first;
}

/* Sets the line by the flags, and the timer for the next one. */
static void update(struct device *dev)
{
	struct rtc *rtc = dev->state;
	bool level = rtc->regs[REG_C] & rtc->regs[REG_B] & B_ENABLES;
	uint64_t wait = 0;

	if (!device_claim_connected(dev, rtc->irq))
		return;
	if (level != rtc->level)
		device_irq_set(dev, rtc->irq, level);
	rtc->level = level;
	if (!level)
		wait = until_event(rtc);
	if (wait)
		loop_timer_set(dev->host->loop, &rtc->timer, loop_now() + wait);
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

/* ---- Registers --------------------------------------------------------------------------- */

/* A change of A or B. When the clock starts again after a reset of its divider, its first new
 * second comes half a second later. */
static void write_control(struct rtc *rtc, unsigned reg, uint8_t value)
{
	bool was_reset = (rtc->regs[REG_A] & A_RESET) == A_RESET,
	     was_set = rtc->regs[REG_B] & B_SET;
	uint8_t format = B_BINARY | B_24H;

	if (reg == REG_A) {
		rtc->regs[REG_A] = value & (A_DIVIDER | A_RATE);
		if (was_reset && (value & A_RESET) != A_RESET) {
			rtc->phase += SECOND / 2 + (SECOND - rtc->seen % SECOND);
			rtc->phase %= SECOND;
			rtc->seen = shifted_now(rtc);
		}
		return;
	}
	if (value & B_SET)
		value &= (uint8_t)~FLAG_UPDATE; /* SET clears UIE */
	if (!was_set && ((value ^ rtc->regs[REG_B]) & format)) {
		/* A real clock wants its registers set anew; show the same time right away. */
		int64_t shown = get_time(rtc);

		rtc->regs[REG_B] = value;
		put_time(rtc, shown);
	}
	rtc->regs[REG_B] = value;
}

static uint8_t read_reg(struct device *dev, unsigned reg)
{
	struct rtc *rtc = dev->state;
	uint8_t value = rtc->regs[reg];

	if (reg == REG_A && !stopped(rtc) && rtc->seen % SECOND >= SECOND - UPDATE)
		value |= A_UIP;
	if (reg == REG_C) {
		if (value & rtc->regs[REG_B] & B_ENABLES)
			value |= C_IRQF;
		rtc->regs[REG_C] = 0;
		update(dev);
	}
	return value;
}

static void write_reg(struct device *dev, unsigned reg, uint8_t value)
{
	struct rtc *rtc = dev->state;

	if (reg == REG_C || reg == REG_D)
		return;
	if (reg == REG_A || reg == REG_B)
		write_control(rtc, reg, value);
	else
		rtc->regs[reg] = value;
	if (reg <= REG_B || reg == REG_CENTURY)
		update(dev);
}

static uint64_t port_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct rtc *rtc = dev->state;

	(void)claim;
	if (offset == PORT_INDEX)
		return bytes_ones(size);
	catch_up(rtc);
	return read_reg(dev, rtc->index);
}

static void port_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct rtc *rtc = dev->state;

	(void)claim;
	(void)size;
	if (offset == PORT_INDEX) {
		rtc->index = value & (REGS - 1);
		return;
	}
	catch_up(rtc);
	write_reg(dev, rtc->index, (uint8_t)value);
}

/* ---- Life -------------------------------------------------------------------------------- */

/* The RESET pin (data sheet, "RESET"): interrupts off, flags clear; time and memory go on. */
static void reset(struct device *dev)
{
	struct rtc *rtc = dev->state;

	catch_up(rtc);
	rtc->regs[REG_B] &= (uint8_t) ~(B_ENABLES | B_SQWE);
	rtc->regs[REG_C] = 0;
	update(dev);
}

static int create(struct device *dev, struct err *err)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	rtc->irq = device_claim(dev, "interrupt");
	rtc->timer = (struct loop_timer){ .fn = timer_due, .arg = dev };
	rtc->regs[REG_A] = A_DEFAULT;
	rtc->regs[REG_B] = B_24H;
	rtc->regs[REG_D] = D_VALID;
	rtc->seen = shifted_now(rtc);
	put_time(rtc, (int64_t)(rtc->seen / SECOND));
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
	DEVICE_ID(struct rtc_config),
	OPTION(struct rtc_config, port, OPTION_UINT, .def = "0x70", .max = 0xfffe,
	       .doc = "First of its two I/O ports: index, then data"),
	OPTION(struct rtc_config, irq, OPTION_IRQ,
	       .doc = "Interrupt line, or none; otherwise a free one, 8 first"),
	{ 0 },
};

static const uint64_t pc_irq[] = { 8 };

static const struct claim claims[] = {
	{ .name = "ports", .space = SPACE_PIO, .size = 2, .align = 1, .fix = "port", .width = 1 },
	{ .name = "interrupt",
	  .space = SPACE_IRQ,
	  .size = 1,
	  .fix = "irq",
	  .prefer = pc_irq,
	  .n_prefer = 1 },
	{ 0 },
};

static const struct device_description describe = { .role = ROLE_RTC, .hid = "PNP0B00" };

const struct device_row device_rtc = {
	.type = {
		.name = "rtc",
		.doc = "MC146818 real-time clock with the host's time in UTC",
		.options = options,
		.size = sizeof(struct rtc_config),
	},
	.arches = ARCH_X86_64,
	.max = 1,
	.claims = claims,
	.describe = &describe,
	.wants = HV_CAP_IRQ_LINE,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = port_read,
	.write = port_write,
};
