/* micro_keyboard.c: Micro VMM's keyboard: keys from standard input, one per acknowledgement.
 *
 * Port 0 (data), read: the last key taken. Port 1 (status), read: 1 while a key waits, else 0;
 * write of 0: acknowledges, and the next key is presented. Other writes do nothing. The next key is
 * taken when the guest looks at either port, so keys typed ahead stay in the console until then.
 *
 * Enter is a line feed, as these guests expect; a raw terminal sends a carriage return for it.
 */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>

#include "common.h"

enum { PORT_DATA, PORT_STATUS };

struct micro_keyboard_config {
	char *id;
	uint32_t port;
	bool input;
};

struct micro_keyboard {
	uint8_t key;
	bool waiting;
	struct device_input input;
};

static int create(struct device *dev, struct err *err)
{
	struct micro_keyboard *kbd = calloc(1, sizeof(*kbd));

	if (!kbd)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	device_input_init(dev, &kbd->input);
	dev->state = kbd;
	return 0;
}

static void destroy(struct device *dev)
{
	free(dev->state);
}

static void reset(struct device *dev)
{
	struct micro_keyboard *kbd = dev->state;

	kbd->key = 0;
	kbd->waiting = false;
}

static void present(struct device *dev)
{
	struct micro_keyboard *kbd = dev->state;
	int c;

	if (kbd->waiting)
		return;
	device_input_wake(dev, &kbd->input, NULL, NULL);
	c = device_input_get(dev, &kbd->input);
	if (c < 0)
		return;
	kbd->key = c == '\r' ? '\n' : (uint8_t)c;
	kbd->waiting = true;
}

static uint64_t port_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct micro_keyboard *kbd = dev->state;

	(void)claim;
	(void)size;
	present(dev);
	return offset == PORT_DATA ? kbd->key : kbd->waiting;
}

static void port_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct micro_keyboard *kbd = dev->state;

	(void)claim;
	(void)size;
	if (offset == PORT_STATUS && !(uint8_t)value)
		kbd->waiting = false;
}

static const struct option options[] = {
	DEVICE_ID(struct micro_keyboard_config),
	OPTION(struct micro_keyboard_config, port, OPTION_UINT, .def = "0x44", .max = 0xfffe,
	       .doc = "First of its two I/O ports: data, then status"),
	OPTION(struct micro_keyboard_config, input, OPTION_BOOL, .def = "true", .planned = true,
	       .doc = "Whether it may read the VM's standard input"),
	{ 0 },
};

static const struct claim claims[] = {
	{ .name = "ports", .space = SPACE_PIO, .size = 2, .align = 1, .fix = "port", .width = 1 },
	{ .name = "input", .space = SPACE_INPUT, .size = 1, .fix = "input" },
	{ 0 },
};

const struct device_row device_micro_keyboard = {
	.type = {
		.name = "micro-keyboard",
		.doc = "Micro VMM's keyboard: keys from standard input, polled",
		.options = options,
		.size = sizeof(struct micro_keyboard_config),
	},
	.arches = ARCH_X86_64,
	.claims = claims,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = port_read,
	.write = port_write,
};
