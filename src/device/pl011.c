/* pl011.c: Arm's PrimeCell UART on the VM's console.
 *
 * After the PL011 Technical Reference Manual (DDI 0183), revision r1p5, whose FIFOs are 32 deep;
 * comments name its registers. The line is infinitely fast: a character is sent when it is written,
 * so the transmitter is always empty, and the receiver's timeout is over at once. Input that
 * doesn't fit the FIFO waits in the console, so an overrun happens in loopback alone. Baud rate,
 * parity, word length and DMA are registers without effect; and as guests that come after firmware
 * expect it in use, UARTEN and TXE are too.
 */
#include <errno.h>
#include <stdlib.h>

#include "serial.h"

/* 3.2, "Summary of registers". */
enum {
	REG_DR = 0x000,
	REG_RSR = 0x004, /* write: ECR */
	REG_FR = 0x018,
	REG_ILPR = 0x020,
	REG_IBRD = 0x024,
	REG_FBRD = 0x028,
	REG_LCR_H = 0x02c,
	REG_CR = 0x030,
	REG_IFLS = 0x034,
	REG_IMSC = 0x038,
	REG_RIS = 0x03c,
	REG_MIS = 0x040,
	REG_ICR = 0x044,
	REG_DMACR = 0x048,
};

#define PERIPHERAL_ID 0x00341011

#define DR_ERRORS_SHIFT 8 /* RSR's bits, from here on */
#define RSR_FE		0x1
#define RSR_BE		0x4
#define RSR_OE		0x8

#define FR_CTS	 0x001
#define FR_DSR	 0x002
#define FR_DCD	 0x004
#define FR_RXFE	 0x010
#define FR_RXFF	 0x040
#define FR_TXFE	 0x080
#define FR_RI	 0x100
#define FR_LINES (FR_CTS | FR_DSR | FR_DCD | FR_RI)

#define LCR_BREAK 0x01
#define LCR_FIFO  0x10

#define CR_LOOP	 0x0080
#define CR_RXE	 0x0200
#define CR_DTR	 0x0400
#define CR_RTS	 0x0800
#define CR_OUT1	 0x1000
#define CR_OUT2	 0x2000
#define CR_MASK	 0xff87
#define CR_RESET 0x0300 /* RXE, TXE */

#define IFLS_RESET 0x12

#define INT_RI	0x001
#define INT_CTS 0x002
#define INT_DCD 0x004
#define INT_DSR 0x008
#define INT_RX	0x010
#define INT_TX	0x020
#define INT_RT	0x040
#define INT_FE	0x080
#define INT_BE	0x200
#define INT_OE	0x400
#define INT_ALL 0x7ff

enum { FIFO_SIZE = 32 };

struct pl011_config {
	char *id;
	uint64_t at;
	uint32_t irq;
	bool input;
	struct wire_config to;
};

struct uart {
	uint16_t cr, ibrd, imsc, ris;
	uint8_t rsr, ilpr, fbrd, lcr, ifls, dmacr;
	bool overrun;	     /* the next character that gets in says so */
	bool fresh;	     /* characters came since the guest last looked at any */
	struct serial *line; /* its FIFO's entries are as DR shows them */
};

static void update(struct device *dev)
{
	struct uart *uart = dev->state;

	serial_irq_set(uart->line, uart->ris & uart->imsc);
}

/* ---- Receiver ---------------------------------------------------------------------------- */

static unsigned rx_size(const struct uart *uart)
{
	return uart->lcr & LCR_FIFO ? FIFO_SIZE : 1;
}

/* Characters that raise the receive interrupt: IFLS, in eighths. */
static unsigned rx_trigger(const struct uart *uart)
{
	static const uint8_t eighths[] = { 1, 2, 4, 6, 7 };
	unsigned select = uart->ifls >> 3;

	if (!(uart->lcr & LCR_FIFO))
		return 1;
	return FIFO_SIZE / 8 * (select < sizeof(eighths) ? eighths[select] : 4U);
}

static void receive(struct uart *uart, uint8_t data, unsigned errors)
{
	if (uart->line->rx_len == rx_size(uart)) {
		uart->overrun = true;
		uart->rsr |= RSR_OE;
		uart->ris |= INT_OE;
		return;
	}
	if (uart->overrun)
		errors |= RSR_OE;
	uart->overrun = false;
	serial_push(uart->line, (uint16_t)(data | errors << DR_ERRORS_SHIFT));
	uart->fresh = true;
	uart->ris |= INT_RT;
	if (uart->line->rx_len == rx_trigger(uart))
		uart->ris |= INT_RX;
	if (errors & RSR_FE)
		uart->ris |= INT_FE;
	if (errors & RSR_BE)
		uart->ris |= INT_BE;
}

/* By the timeout's interrupt, as those do that read until there is nothing left. */
static bool takes_interrupts(const struct uart *uart)
{
	return uart->imsc & INT_RT;
}

/* Takes from the console what fits: as fast as it is read, by a guest that polls. In loopback the
 * receiver is cut off from the line. */
static void pull(struct device *dev)
{
	struct uart *uart = dev->state;
	unsigned room;
	int c;

	if ((uart->cr & CR_LOOP) || !(uart->cr & CR_RXE))
		return;
	room = serial_room(uart->line, rx_size(uart), takes_interrupts(uart));
	while (room-- && (c = serial_get(uart->line)) >= 0)
		receive(uart, (uint8_t)c, 0);
}

static uint16_t read_data(struct device *dev)
{
	struct uart *uart = dev->state;
	struct serial *line = uart->line;
	uint16_t data = 0;

	serial_wake(line);
	uart->fresh = false;
	if (line->rx_len) {
		data = serial_pop(line);
		uart->rsr = (uint8_t)(data >> DR_ERRORS_SHIFT);
		if (!line->rx_len && takes_interrupts(uart))
			serial_drained(line);
	}
	if (line->rx_len < rx_trigger(uart))
		uart->ris &= (uint16_t)~INT_RX;
	if (!line->rx_len)
		uart->ris &= (uint16_t)~INT_RT;
	pull(dev);
	return data;
}

static uint16_t flags(struct device *dev)
{
	struct uart *uart = dev->state;
	uint16_t fr = FR_TXFE, cr = uart->cr;

	serial_wake(uart->line);
	if (!uart->line->rx_len)
		fr |= FR_RXFE;
	if (uart->line->rx_len == rx_size(uart))
		fr |= FR_RXFF;
	/* In loopback the modem lines come from CR; otherwise somebody is on the line. */
	if (!(cr & CR_LOOP))
		return fr | FR_CTS | FR_DSR | FR_DCD;
	if (cr & CR_RTS)
		fr |= FR_CTS;
	if (cr & CR_DTR)
		fr |= FR_DSR;
	if (cr & CR_OUT1)
		fr |= FR_DCD;
	if (cr & CR_OUT2)
		fr |= FR_RI;
	return fr;
}

/* ---- Transmitter and control --------------------------------------------------------------- */

/* What is written leaves the FIFO at once, and passes the level that raises the interrupt. */
static void transmit(struct device *dev, uint8_t data)
{
	struct uart *uart = dev->state;

	uart->ris |= INT_TX;
	if (uart->lcr & LCR_BREAK)
		; /* the line is held low: nothing gets through */
	else if (!(uart->cr & CR_LOOP))
		serial_send(uart->line, data);
	else if (uart->cr & CR_RXE)
		receive(uart, data, 0);
}

/* Whether the guest may halt until the transmitter has an interrupt, or until it receives what it
 * sent. */
static bool waits(const struct uart *uart)
{
	return (uart->imsc & INT_TX) || (uart->cr & CR_LOOP);
}

/* CR and LCR_H: the modem lines' changes, a break that loops back, and FIFOs that go. */
static void write_control(struct device *dev, uint16_t cr, uint8_t lcr)
{
	static const uint16_t interrupts[][2] = {
		{ FR_RI, INT_RI },
		{ FR_CTS, INT_CTS },
		{ FR_DCD, INT_DCD },
		{ FR_DSR, INT_DSR },
	};
	struct uart *uart = dev->state;
	bool before = (uart->cr & CR_LOOP) && (uart->lcr & LCR_BREAK);
	uint16_t lines = flags(dev) & FR_LINES;

	if ((uart->lcr ^ lcr) & LCR_FIFO) {
		uart->line->rx_len = 0;
		uart->ris &= (uint16_t) ~(INT_RX | INT_RT);
	}
	uart->cr = cr & CR_MASK;
	uart->lcr = lcr;
	lines ^= flags(dev) & FR_LINES;
	for (size_t i = 0; i < sizeof(interrupts) / sizeof(interrupts[0]); i++)
		uart->ris |= lines & interrupts[i][0] ? interrupts[i][1] : 0;
	if (!before && (cr & CR_LOOP) && (lcr & LCR_BREAK) && (cr & CR_RXE))
		receive(uart, 0, RSR_BE);
	pull(dev);
}

/* A character that came after the guest had emptied the FIFO, and before it cleared the interrupt
 * for that: a real line's timeout would still be to come. */
static void clear_interrupts(struct uart *uart, uint16_t value)
{
	uart->ris &= (uint16_t)~value;
	if ((value & INT_RT) && uart->fresh && uart->line->rx_len)
		uart->ris |= INT_RT;
	uart->fresh = false;
}

/* ---- Registers --------------------------------------------------------------------------- */

static uint16_t read_reg(struct device *dev, uint64_t reg)
{
	struct uart *uart = dev->state;

	switch (reg) {
	case REG_DR:
		return read_data(dev);
	case REG_RSR:
		return uart->rsr;
	case REG_FR:
		return flags(dev);
	case REG_ILPR:
		return uart->ilpr;
	case REG_IBRD:
		return uart->ibrd;
	case REG_FBRD:
		return uart->fbrd;
	case REG_LCR_H:
		return uart->lcr;
	case REG_CR:
		return uart->cr;
	case REG_IFLS:
		return uart->ifls;
	case REG_IMSC:
		return uart->imsc;
	case REG_RIS:
		return uart->ris;
	case REG_MIS:
		return uart->ris & uart->imsc;
	case REG_DMACR:
		return uart->dmacr;
	default:
		return device_primecell_id(PERIPHERAL_ID, reg);
	}
}

/* An access of any width reaches the one register at its offset; bytes behind its first read as
 * they are, and writing them does nothing. */
static uint64_t reg_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	uint64_t value;

	(void)claim;
	(void)size;
	value = (uint64_t)read_reg(dev, offset & ~3ULL) >> offset % 4 * 8;
	update(dev);
	return value;
}

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct uart *uart = dev->state;

	(void)claim;
	(void)size;
	switch (offset) {
	case REG_DR:
		transmit(dev, (uint8_t)value);
		break;
	case REG_RSR:
		uart->rsr = 0;
		break;
	case REG_ILPR:
		uart->ilpr = (uint8_t)value;
		break;
	case REG_IBRD:
		uart->ibrd = (uint16_t)value;
		break;
	case REG_FBRD:
		uart->fbrd = value & 0x3f;
		break;
	case REG_LCR_H:
		write_control(dev, uart->cr, (uint8_t)value);
		break;
	case REG_CR:
		write_control(dev, (uint16_t)value, uart->lcr);
		break;
	case REG_IFLS:
		uart->ifls = value & 0x3f;
		break;
	case REG_IMSC:
		uart->imsc = value & INT_ALL;
		if (uart->imsc & (INT_RX | INT_RT)) {
			serial_wake(uart->line);
			pull(dev);
		}
		break;
	case REG_ICR:
		clear_interrupts(uart, (uint16_t)value);
		break;
	case REG_DMACR:
		uart->dmacr = value & 0x7;
		break;
	default:
		break;
	}
	serial_wrote(uart->line, offset == REG_DR, waits(uart));
	update(dev);
}

/* ---- Life -------------------------------------------------------------------------------- */

static void refill(struct device *dev)
{
	pull(dev);
	update(dev);
}

static void reset(struct device *dev)
{
	struct uart *uart = dev->state;

	serial_reset(uart->line);
	*uart = (struct uart){
		.cr = CR_RESET,
		.ifls = IFLS_RESET,
		.line = uart->line,
	};
	refill(dev);
}

static void destroy(struct device *dev)
{
	struct uart *uart = dev->state;

	serial_destroy(uart->line);
	free(uart);
}

static int create(struct device *dev, struct err *err)
{
	const struct pl011_config *config = dev->options;
	struct {
		struct uart uart;
		struct serial line;
	} *all = calloc(1, sizeof(*all));
	struct uart *uart;
	int ret;

	if (!all)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	uart = &all->uart;
	uart->line = &all->line;
	dev->state = uart;
	ret = serial_init(uart->line, dev, device_claim(dev, "registers"), &config->to, refill,
			  err);
	if (ret)
		destroy(dev);
	return ret;
}

static void check(const void *config, const struct node *node, struct diags *diags)
{
	const struct pl011_config *uart = config;

	device_wire_check(&uart->to, node_get(node, "to"), node_get(node, "input"), diags);
}

static const struct option options[] = {
	DEVICE_ID(struct pl011_config),
	OPTION(struct pl011_config, at, OPTION_ADDR,
	       .doc = "Address of its 4 KiB of registers; otherwise 0x9000000, or a free one"),
	OPTION(struct pl011_config, irq, OPTION_IRQ,
	       .doc = "Interrupt line (SPI), or none; otherwise a free one, 1 first"),
	OPTION(struct pl011_config, input, OPTION_BOOL, .def = "true", .planned = true,
	       .doc = "Whether it may read the VM's standard input"),
	OPTION(struct pl011_config, to, OPTION_MAP, .type = &device_wire_type, .planned = true,
	       .doc = "The line's other end, if not the VM's standard input and output"),
	{ 0 },
};

static const struct claim claims[] = {
	DEVICE_PRIMECELL_CLAIMS(0x09000000, 1),
	{ .name = "input", .space = SPACE_INPUT, .size = 1, .fix = "input", .unless = "to" },
	{ 0 },
};

static const struct device_description describe = {
	.role = ROLE_SERIAL,
	.compatible = { "arm,pl011", "arm,primecell" },
	.node = "serial",
};

const struct device_row device_pl011 = {
	.type = {
		.name = "pl011",
		.doc = "Arm's PL011 serial port on the VM's console",
		.options = options,
		.size = sizeof(struct pl011_config),
	},
	.arches = ARCH_ARM64,
	.console = true,
	.claims = claims,
	.describe = &describe,
	.wants = HV_CAP_IRQ_LINE,
	.check = check,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = reg_read,
	.write = reg_write,
};
