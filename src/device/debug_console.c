/* debug_console.c: a 16550-like console without interrupts, polled, in a 4 KiB window.
 *
 * Registers lie one byte apart, as a 16550's (National PC16550D data sheet, section 8.0), and only
 * what a polling guest uses is there. An access of any width reaches the one register at its
 * offset: the guests this is for also store words.
 */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>

#include "common.h"

enum { REG_DATA, REG_IER, REG_IIR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH, REGS };

#define IIR_NONE    0x01
#define LCR_DLAB    0x80
#define LSR_READY   0x01
#define LSR_IDLE    0x60 /* transmitter and its holding register empty */
#define MSR_ONLINE  0xb0 /* carrier, data set ready, clear to send */
#define WINDOW_SIZE 0x1000

struct debug_console_config {
	char *id;
	uint64_t at;
	bool input;
};

struct debug_console {
	uint8_t regs[REGS]; /* those that just hold what was written */
	uint8_t divisor[2];
	struct device_input input;
};

static int create(struct device *dev, struct err *err)
{
	struct debug_console *con = calloc(1, sizeof(*con));

	if (!con)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	device_input_init(dev, &con->input);
	dev->state = con;
	return 0;
}

static void destroy(struct device *dev)
{
	free(dev->state);
}

static void reset(struct device *dev)
{
	struct debug_console *con = dev->state;

	*con = (struct debug_console){ .input = con->input };
}

static uint64_t reg_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct debug_console *con = dev->state;
	int c;

	(void)claim;
	(void)size;
	if (offset <= REG_IER && (con->regs[REG_LCR] & LCR_DLAB))
		return con->divisor[offset];
	switch (offset) {
	case REG_DATA:
		device_input_wake(dev, &con->input, NULL, NULL);
		c = device_input_get(dev, &con->input);
		return c < 0 ? 0 : (uint64_t)c;
	case REG_IIR:
		return IIR_NONE;
	case REG_LSR:
		device_input_wake(dev, &con->input, NULL, NULL);
		return LSR_IDLE | (device_input_waits(dev, &con->input) ? LSR_READY : 0);
	case REG_MSR:
		return MSR_ONLINE;
	default:
		return offset < REGS ? con->regs[offset] : 0;
	}
}

static void send(struct device *dev, uint8_t byte)
{
	console_write(dev->host->console, &byte, 1);
	device_said(dev, 0, true, &byte, 1);
}

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct debug_console *con = dev->state;
	uint8_t byte = (uint8_t)value;

	(void)claim;
	(void)size;
	if (offset <= REG_IER && (con->regs[REG_LCR] & LCR_DLAB))
		con->divisor[offset] = byte;
	else if (offset == REG_DATA)
		send(dev, byte);
	else if (offset < REGS)
		con->regs[offset] = byte;
}

static const struct option options[] = {
	DEVICE_ID(struct debug_console_config),
	OPTION(struct debug_console_config, at, OPTION_ADDR,
	       .doc = "Address of the 4 KiB window; the planner finds one otherwise"),
	OPTION(struct debug_console_config, input, OPTION_BOOL, .def = "true", .planned = true,
	       .doc = "Whether it may read the VM's standard input"),
	{ 0 },
};

static const struct claim claims[] = {
	{ .name = "registers", .space = SPACE_MEM, .size = WINDOW_SIZE, .fix = "at" },
	{ .name = "input", .space = SPACE_INPUT, .size = 1, .fix = "input" },
	{ 0 },
};

const struct device_row device_debug_console = {
	.type = {
		.name = "debug-console",
		.doc = "Console with the registers of a 16550, polled, memory-mapped",
		.options = options,
		.size = sizeof(struct debug_console_config),
	},
	.arches = ARCH_ANY,
	.console = true,
	.claims = claims,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = reg_read,
	.write = reg_write,
};
