/* gpio.c: Arm's PrimeCell GPIO with the power button on one of its lines.
 *
 * After the PL061 Technical Reference Manual (DDI 0190): eight lines, each an input or an output,
 * with an interrupt by level or edge. Line 3 is the button; nothing is wired to the others. It is
 * held long enough for guests that look at the line again later, lest it was a bounce.
 */
#include <errno.h>
#include <stdlib.h>

#include "common.h"

/* 3.2, "Summary of PrimeCell GPIO registers". Bits 9:2 of DATA's address choose lines. */
enum {
	REG_DATA_LAST = 0x3ff,
	REG_DIR = 0x400,
	REG_IS = 0x404,
	REG_IBE = 0x408,
	REG_IEV = 0x40c,
	REG_IE = 0x410,
	REG_RIS = 0x414,
	REG_MIS = 0x418,
	REG_IC = 0x41c,
	REG_AFSEL = 0x420,
};

#define PERIPHERAL_ID 0x00041061
#define BUTTON	      (1U << 3)
#define HELD	      100000000ULL /* ns */

struct gpio_config {
	char *id;
	uint64_t at;
	uint32_t irq;
};

struct gpio {
	uint8_t data, dir; /* outputs; and which lines are those */
	uint8_t is, ibe, iev, ie, afsel;
	uint8_t edges; /* that came and were not cleared */
	uint8_t in;    /* the lines from outside */
	int irq;
	bool level;
	struct loop_timer press, release;
};

/* What is on the lines. */
static uint8_t lines(const struct gpio *gpio)
{
	return (uint8_t)((gpio->in & ~gpio->dir) | (gpio->data & gpio->dir));
}

static uint8_t raw_status(const struct gpio *gpio)
{
	uint8_t active = (uint8_t) ~(lines(gpio) ^ gpio->iev);

	return (uint8_t)((gpio->is & active) | (~gpio->is & gpio->edges));
}

/* Lines may have changed, from what they were `before`. */
static void update(struct device *dev, uint8_t before)
{
	struct gpio *gpio = dev->state;
	uint8_t now = lines(gpio), changed = before ^ now;
	bool level;

	gpio->edges |= (uint8_t)(changed & ~gpio->is & (gpio->ibe | ~(now ^ gpio->iev)));
	level = raw_status(gpio) & gpio->ie;
	if (level != gpio->level)
		device_irq_set(dev, gpio->irq, level);
	gpio->level = level;
}

/* ---- The button -------------------------------------------------------------------------- */

static void set_button(struct device *dev, bool pressed)
{
	struct gpio *gpio = dev->state;
	uint8_t before;

	device_lock(dev);
	before = lines(gpio);
	gpio->in = pressed ? BUTTON : 0;
	update(dev, before);
	device_unlock(dev);
}

static void press_due(void *arg)
{
	struct device *dev = arg;
	struct gpio *gpio = dev->state;

	set_button(dev, true);
	loop_timer_set(dev->host->loop, &gpio->release, loop_now() + HELD);
}

static void release_due(void *arg)
{
	set_button(arg, false);
}

/* Left to the loop: whoever asks holds no lock, and must not wait for one. */
static void power_button(struct device *dev)
{
	struct gpio *gpio = dev->state;

	loop_timer_set(dev->host->loop, &gpio->press, loop_now());
}

/* ---- Registers --------------------------------------------------------------------------- */

static uint64_t reg_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	const struct gpio *gpio = dev->state;

	(void)claim;
	(void)size;
	if (offset <= REG_DATA_LAST)
		return lines(gpio) & offset >> 2;
	switch (offset) {
	case REG_DIR:
		return gpio->dir;
	case REG_IS:
		return gpio->is;
	case REG_IBE:
		return gpio->ibe;
	case REG_IEV:
		return gpio->iev;
	case REG_IE:
		return gpio->ie;
	case REG_RIS:
		return raw_status(gpio);
	case REG_MIS:
		return raw_status(gpio) & gpio->ie;
	case REG_AFSEL:
		return gpio->afsel;
	default:
		return device_primecell_id(PERIPHERAL_ID, offset);
	}
}

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct gpio *gpio = dev->state;
	uint8_t byte = (uint8_t)value, mask = (uint8_t)(offset >> 2), before = lines(gpio);

	(void)claim;
	(void)size;
	if (offset <= REG_DATA_LAST) {
		mask &= gpio->dir; /* inputs don't keep what is written */
		gpio->data = (uint8_t)((gpio->data & ~mask) | (byte & mask));
		update(dev, before);
		return;
	}
	switch (offset) {
	case REG_DIR:
		gpio->dir = byte;
		break;
	case REG_IS:
		gpio->is = byte;
		break;
	case REG_IBE:
		gpio->ibe = byte;
		break;
	case REG_IEV:
		gpio->iev = byte;
		break;
	case REG_IE:
		gpio->ie = byte;
		break;
	case REG_IC:
		gpio->edges &= (uint8_t)~byte;
		break;
	case REG_AFSEL:
		gpio->afsel = byte;
		break;
	default:
		break;
	}
	update(dev, before);
}

/* ---- Life -------------------------------------------------------------------------------- */

static void reset(struct device *dev)
{
	struct gpio *gpio = dev->state;

	gpio->data = gpio->dir = gpio->is = gpio->ibe = gpio->iev = gpio->ie = gpio->afsel = 0;
	gpio->edges = 0;
	update(dev, lines(gpio));
}

static int create(struct device *dev, struct err *err)
{
	struct gpio *gpio = calloc(1, sizeof(*gpio));

	if (!gpio)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	gpio->irq = device_claim(dev, "interrupt");
	gpio->press = (struct loop_timer){ .fn = press_due, .arg = dev };
	gpio->release = (struct loop_timer){ .fn = release_due, .arg = dev };
	dev->state = gpio;
	return 0;
}

static void destroy(struct device *dev)
{
	struct gpio *gpio = dev->state;

	loop_timer_clear(dev->host->loop, &gpio->press);
	loop_timer_clear(dev->host->loop, &gpio->release);
	free(gpio);
}

static const struct option options[] = {
	DEVICE_ID(struct gpio_config),
	OPTION(struct gpio_config, at, OPTION_ADDR,
	       .doc = "Address of its 4 KiB of registers; otherwise 0x9030000, or a free one"),
	OPTION(struct gpio_config, irq, OPTION_IRQ,
	       .doc = "Interrupt line (SPI), or none; otherwise a free one, 7 first"),
	{ 0 },
};

static const struct claim claims[] = {
	DEVICE_PRIMECELL_CLAIMS(0x09030000, 7),
	{ 0 },
};

static const struct device_description describe = {
	.role = ROLE_POWER,
	.compatible = { "arm,pl061", "arm,primecell" },
	.node = "gpio",
};

const struct device_row device_gpio = {
	.type = {
		.name = "gpio",
		.doc = "Arm's PL061 with the power button on its line 3",
		.options = options,
		.size = sizeof(struct gpio_config),
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
	.power_button = power_button,
};
