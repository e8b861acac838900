/* i8042.c: a PC's keyboard controller with nothing plugged in.
 *
 * After IBM's PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller". What guests want of it is the reset line (command 0xfe, or bit 0 of the output port)
 * and a probe that ends quickly:
 *
 * - Linux finds a controller (flush, command byte, self-test), then asks for a mouse port with
 *   "loop" (0xd3). It comes back without the AUX bit in the status, which Linux takes for an
 *   error at once, while no answer would cost it half a second; then the port's test (0xa9)
 *   reports a stuck clock line, and Linux gives the mouse up.
 * - A byte to the keyboard is answered as by the real controller when nobody takes it: 0xfe with
 *   the timeout bit in the status. A polling guest sees its reset command refused and goes on.
 *
 * There is no interrupt: nothing ever comes unasked.
 */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>

#include "common.h"

enum { CLAIM_DATA, CLAIM_COMMAND };

#define STATUS_FULL	0x01 /* the output buffer */
#define STATUS_SYSTEM	0x04
#define STATUS_COMMAND	0x08 /* the last write was a command */
#define STATUS_UNLOCKED 0x10
#define STATUS_TIMEOUT	0x40

#define MODE_SYSTEM  0x04 /* copied to the status */
#define MODE_NO_KBD  0x10
#define MODE_NO_AUX  0x20
#define OUTPUT_RESET 0x01 /* low resets the processor */
#define OUTPUT_A20   0x02
#define OUTPUT_ONES  0xc0 /* keyboard clock and data, idle */

#define REPLY_RESEND	 0xfe
#define REPLY_TEST_OK	 0x55
#define REPLY_CLOCK_LOW	 0x01
#define INPUT_PORT	 0x80 /* bit 7: the keyboard isn't locked */
#define COMMAND_NONE	 0
#define COMMAND_SET_MODE 0x60
#define COMMAND_SET_OUT	 0xd1
#define COMMAND_FAKE_KBD 0xd2
#define COMMAND_FAKE_AUX 0xd3
#define COMMAND_TO_AUX	 0xd4

struct i8042_config {
	char *id;
	uint32_t data_port, command_port;
};

struct i8042 {
	uint8_t buffer, status, mode, output;
	uint8_t command; /* the one whose data byte comes next */
};

static void reset(struct device *dev)
{
	struct i8042 *kbc = dev->state;

	*kbc = (struct i8042){
		.status = STATUS_UNLOCKED,
		.mode = MODE_NO_KBD | MODE_NO_AUX,
		.output = OUTPUT_RESET | OUTPUT_A20 | OUTPUT_ONES,
	};
}

static int create(struct device *dev, struct err *err)
{
	dev->state = calloc(1, sizeof(struct i8042));
	if (!dev->state)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	reset(dev);
	return 0;
}

static void destroy(struct device *dev)
{
	free(dev->state);
}

static void reply(struct i8042 *kbc, uint8_t byte, uint8_t status)
{
	kbc->buffer = byte;
	kbc->status = (uint8_t)((kbc->status & ~STATUS_TIMEOUT) | STATUS_FULL | status);
}

static void set_output(struct device *dev, uint8_t value)
{
	struct i8042 *kbc = dev->state;

	kbc->output = value;
	if (!(value & OUTPUT_RESET))
		dev->host->guest_reset(dev->host, dev);
}

static void write_command(struct device *dev, uint8_t command)
{
	struct i8042 *kbc = dev->state;

	kbc->status |= STATUS_COMMAND;
	kbc->command = COMMAND_NONE;
	switch (command) {
	case 0x20:
		reply(kbc, kbc->mode, 0);
		break;
	case COMMAND_SET_MODE:
	case COMMAND_SET_OUT:
	case COMMAND_FAKE_KBD:
	case COMMAND_FAKE_AUX:
	case COMMAND_TO_AUX:
		kbc->command = command;
		break;
	case 0xa7:
		kbc->mode |= MODE_NO_AUX;
		break;
	case 0xa8:
		kbc->mode &= (uint8_t)~MODE_NO_AUX;
		break;
	case 0xa9: /* test the mouse port */
		reply(kbc, REPLY_CLOCK_LOW, 0);
		break;
	case 0xaa: /* self-test */
		kbc->mode |= MODE_SYSTEM | MODE_NO_KBD | MODE_NO_AUX;
		kbc->status |= STATUS_SYSTEM;
		reply(kbc, REPLY_TEST_OK, 0);
		break;
	case 0xab: /* test the keyboard port: the lines are fine */
		reply(kbc, 0, 0);
		break;
	case 0xad:
		kbc->mode |= MODE_NO_KBD;
		break;
	case 0xae:
		kbc->mode &= (uint8_t)~MODE_NO_KBD;
		break;
	case 0xc0:
		reply(kbc, INPUT_PORT, 0);
		break;
	case 0xd0:
		reply(kbc, kbc->output, 0);
		break;
	default:
		/* 0xf0-0xff pulse the lines of the output port whose bit is clear. */
		if (command >= 0xf0 && !(command & OUTPUT_RESET))
			dev->host->guest_reset(dev->host, dev);
		break;
	}
}

static void write_data(struct device *dev, uint8_t byte)
{
	struct i8042 *kbc = dev->state;
	uint8_t command = kbc->command;

	kbc->status &= (uint8_t)~STATUS_COMMAND;
	kbc->command = COMMAND_NONE;
	switch (command) {
	case COMMAND_SET_MODE:
		kbc->mode = byte;
		kbc->status = (uint8_t)((kbc->status & ~STATUS_SYSTEM) |
					(byte & MODE_SYSTEM ? STATUS_SYSTEM : 0));
		break;
	case COMMAND_SET_OUT:
		set_output(dev, byte);
		break;
	case COMMAND_FAKE_KBD:
	case COMMAND_FAKE_AUX:
		reply(kbc, byte, 0);
		break;
	default: /* to the keyboard or the mouse */
		reply(kbc, REPLY_RESEND, STATUS_TIMEOUT);
		break;
	}
}

static uint64_t port_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct i8042 *kbc = dev->state;

	(void)offset;
	(void)size;
	if (claim == CLAIM_COMMAND)
		return kbc->status;
	kbc->status &= (uint8_t) ~(STATUS_FULL | STATUS_TIMEOUT);
	return kbc->buffer;
}

static void port_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		       uint64_t value)
{
	(void)offset;
	(void)size;
	if (claim == CLAIM_COMMAND)
		write_command(dev, (uint8_t)value);
	else
		write_data(dev, (uint8_t)value);
}

static const struct option options[] = {
	DEVICE_ID(struct i8042_config),
	OPTION(struct i8042_config, data_port, OPTION_UINT, .def = "0x60", .max = 0xffff,
	       .doc = "I/O port of its data"),
	OPTION(struct i8042_config, command_port, OPTION_UINT, .def = "0x64", .max = 0xffff,
	       .doc = "I/O port of its commands and status"),
	{ 0 },
};

static const struct claim claims[] = {
	[CLAIM_DATA] = { .name = "data",
			 .space = SPACE_PIO,
			 .size = 1,
			 .fix = "data_port",
			 .width = 1 },
	[CLAIM_COMMAND] = { .name = "command",
			    .space = SPACE_PIO,
			    .size = 1,
			    .fix = "command_port",
			    .width = 1 },
	{ 0 },
};

/* Without an object of its own, which would promise a keyboard. */
static const struct device_description describe = { .role = ROLE_KEYBOARD };

const struct device_row device_i8042 = {
	.type = {
		.name = "i8042",
		.doc = "Keyboard controller with no keyboard: its reset line, and a quick probe",
		.options = options,
		.size = sizeof(struct i8042_config),
	},
	.arches = ARCH_X86_64,
	.max = 1,
	.claims = claims,
	.describe = &describe,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = port_read,
	.write = port_write,
};
