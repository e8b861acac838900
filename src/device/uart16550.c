/* uart16550.c: a 16550A serial port on the VM's console.
 *
 * After National Semiconductor's PC16550D data sheet, section 8; comments name its registers. The
 * transmitter's line is infinitely fast: a character is sent when it is written, so THRE and TEMT
 * are always set. Baud rate, parity and word length are registers without effect. uart16550_rx.c is
 * the receiver.
 */
#include <errno.h>
#include <stdlib.h>

#include "uart16550.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, REGS };

#define IIR_NONE    0x01
#define IIR_RLS	    0x06
#define IIR_RDA	    0x04
#define IIR_TIMEOUT 0x0c
#define IIR_THRE    0x02
#define IIR_MODEM   0x00
#define IIR_FIFO    0xc0

#define MSR_CTS	   0x10
#define MSR_DSR	   0x20
#define MSR_RI	   0x40
#define MSR_DCD	   0x80
#define MSR_DELTAS 0x0f /* the lines' changes, in the same order, four bits below */

struct uart16550_config {
	char *id;
	uint32_t port;
	uint64_t at;
	uint32_t irq;
	bool input;
	struct wire_config to;
};

/* ---- Interrupts -------------------------------------------------------------------------- */

/* IIR bits 0-3: the source of highest priority. */
static uint8_t source(const struct uart *uart)
{
	if ((uart->ier & IER_RLSI) && uart->errors)
		return IIR_RLS;
	if ((uart->ier & IER_RDI) && uart->line->rx_len)
		return !uart->fifo || uart->line->rx_len >= uart->trigger ? IIR_RDA : IIR_TIMEOUT;
	if ((uart->ier & IER_THRI) && uart->thre_pending)
		return IIR_THRE;
	if ((uart->ier & IER_MSI) && (uart->msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

void uart16550_update(struct device *dev)
{
	struct uart *uart = dev->state;

	serial_irq_set(uart->line, source(uart) != IIR_NONE);
}

/* ---- Transmitter and modem lines --------------------------------------------------------- */

static void transmit(struct device *dev, uint8_t data)
{
	struct uart *uart = dev->state;

	/* The holding register is full for a moment: that makes an edge of the interrupt. */
	uart->thre_pending = false;
	uart16550_update(dev);
	if (uart->lcr & LCR_BREAK)
		; /* the line is held at space: nothing gets through */
	else if (uart->mcr & MCR_LOOP)
		uart16550_receive(uart, data, 0);
	else
		serial_send(uart->line, data);
	uart->thre_pending = true;
}

/* Whether the guest may halt until the transmitter has an interrupt, or until it receives what it
 * sent. */
static bool waits(const struct uart *uart)
{
	return (uart->ier & IER_THRI) || (uart->mcr & MCR_LOOP);
}

/* MSR bits 4-7: in loopback wired to MCR; otherwise somebody is on the line. */
static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t mcr = uart->mcr, lines = 0;

	if (!(mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return lines;
}

/* MCR and LCR: what they do to the modem lines, and a break that loops back. */
static void write_control(struct device *dev, uint8_t mcr, uint8_t lcr)
{
	struct uart *uart = dev->state;
	bool before = (uart->mcr & MCR_LOOP) && (uart->lcr & LCR_BREAK);
	uint8_t old = uart->msr, lines, changed;

	uart->mcr = mcr & MCR_MASK;
	uart->lcr = lcr;
	if ((mcr & MCR_RTS) && !(mcr & MCR_LOOP))
		uart->rts = true;
	lines = modem_lines(uart);
	/* The ring indicator counts when it ends (TERI), the others when they change. */
	changed = (uint8_t)((old ^ lines) & ~(lines & MSR_RI));
	uart->msr = (uint8_t)(lines | (old & MSR_DELTAS) | (changed & 0xf0) >> 4);
	if (!before && (uart->mcr & MCR_LOOP) && (lcr & LCR_BREAK))
		uart16550_receive(uart, 0, LSR_BI | LSR_FE);
	uart16550_pull(dev);
}

/* ---- Registers --------------------------------------------------------------------------- */

static uint64_t reg_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	struct uart *uart = dev->state;
	uint8_t value = 0;

	(void)claim;
	(void)size;
	if (offset <= REG_IER && (uart->lcr & LCR_DLAB))
		return uart->divisor[offset];
	switch (offset) {
	case REG_DATA:
		value = uart16550_read_data(dev);
		break;
	case REG_IER:
		value = uart->ier;
		break;
	case REG_IIR_FCR:
		value = source(uart);
		if (value == IIR_THRE)
			uart->thre_pending = false;
		value |= uart->fifo ? IIR_FIFO : 0;
		break;
	case REG_LCR:
		value = uart->lcr;
		break;
	case REG_MCR:
		value = uart->mcr;
		break;
	case REG_LSR:
		value = uart16550_read_lsr(dev);
		break;
	case REG_MSR:
		value = uart->msr;
		uart->msr &= (uint8_t)~MSR_DELTAS;
		break;
	case REG_SCR:
		value = uart->scr;
		break;
	default:
		break;
	}
	uart16550_update(dev);
	return value;
}

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct uart *uart = dev->state;
	uint8_t byte = (uint8_t)value;

	(void)claim;
	(void)size;
	if (offset <= REG_IER && (uart->lcr & LCR_DLAB)) {
		uart->divisor[offset] = byte;
		return;
	}
	switch (offset) {
	case REG_DATA:
		transmit(dev, byte);
		break;
	case REG_IER:
		if (byte & ~uart->ier & IER_THRI) /* it is empty: say so */
			uart->thre_pending = true;
		uart->ier = byte & IER_MASK;
		if (uart->ier & IER_RDI)
			serial_wake(uart->line);
		uart16550_pull(dev);
		break;
	case REG_IIR_FCR:
		uart16550_write_fcr(dev, byte);
		break;
	case REG_LCR:
		write_control(dev, uart->mcr, byte);
		break;
	case REG_MCR:
		write_control(dev, byte, uart->lcr);
		break;
	case REG_SCR:
		uart->scr = byte;
		break;
	default: /* LSR and MSR: writing is for factory tests */
		break;
	}
	serial_wrote(uart->line, offset == REG_DATA, waits(uart));
	uart16550_update(dev);
}

/* ---- Life -------------------------------------------------------------------------------- */

static void refill(struct device *dev)
{
	uart16550_pull(dev);
	uart16550_update(dev);
}

static void reset(struct device *dev)
{
	struct uart *uart = dev->state;

	serial_reset(uart->line);
	/* Master reset, table I; the divisor, undefined there, stands for 9600 baud. */
	*uart = (struct uart){
		.divisor = { 12, 0 },
		.trigger = 1,
		.line = uart->line,
	};
	uart->msr = modem_lines(uart);
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
	const struct uart16550_config *config = dev->options;
	struct {
		struct uart uart;
		struct serial line;
	} *all = calloc(1, sizeof(*all));
	struct uart *uart;
	int ret;
	int registers = device_claim(dev, "ports");

	if (!all)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	uart = &all->uart;
	uart->line = &all->line;
	if (registers < 0)
		registers = device_claim(dev, "registers");
	dev->state = uart;
	ret = serial_init(uart->line, dev, registers, &config->to, refill, err);
	if (ret)
		destroy(dev);
	return ret;
}

static void check(const void *config, const struct node *node, struct diags *diags)
{
	const struct uart16550_config *uart = config;

	device_check_place(node, diags);
	device_wire_check(&uart->to, node_get(node, "to"), node_get(node, "input"), diags);
}

static const struct option options[] = {
	DEVICE_ID(struct uart16550_config),
	OPTION(struct uart16550_config, port, OPTION_UINT, .arches = ARCH_X86_64, .max = 0xfff8,
	       .doc = "First of its eight I/O ports; otherwise the first free of COM1 to COM4"),
	OPTION(struct uart16550_config, at, OPTION_ADDR,
	       .doc = "Address of its registers; on x86_64, memory-mapped instead of at ports"),
	OPTION(struct uart16550_config, irq, OPTION_IRQ,
	       .doc = "Interrupt line, or none; otherwise a free one, 4 or 3 first"),
	OPTION(struct uart16550_config, input, OPTION_BOOL, .def = "true", .planned = true,
	       .doc = "Whether it may read the VM's standard input"),
	OPTION(struct uart16550_config, to, OPTION_MAP, .type = &device_wire_type, .planned = true,
	       .doc = "The line's other end, if not the VM's standard input and output"),
	{ 0 },
};

static const uint64_t com_ports[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
static const uint64_t com_irqs[] = { 4, 3 };

static const struct claim claims[] = {
	{ .name = "ports",
	  .space = SPACE_PIO,
	  .arches = ARCH_X86_64,
	  .size = REGS,
	  .fix = "port",
	  .unless = "at",
	  .prefer = com_ports,
	  .n_prefer = sizeof(com_ports) / sizeof(com_ports[0]),
	  .width = 1 },
	{ .name = "registers",
	  .space = SPACE_MEM,
	  .arches = ARCH_X86_64,
	  .size = REGS,
	  .fix = "at",
	  .only_if = "at",
	  .width = 1 },
	{ .name = "registers",
	  .space = SPACE_MEM,
	  .arches = ARCH_ARM64,
	  .size = REGS,
	  .fix = "at",
	  .width = 1 },
	{ .name = "interrupt",
	  .space = SPACE_IRQ,
	  .size = 1,
	  .fix = "irq",
	  .prefer = com_irqs,
	  .n_prefer = sizeof(com_irqs) / sizeof(com_irqs[0]) },
	{ .name = "input", .space = SPACE_INPUT, .size = 1, .fix = "input", .unless = "to" },
	{ 0 },
};

/* The PC's: 16 * 115200 Hz. */
static const struct device_property properties[] = {
	{ "clock-frequency", 1843200 },
	{ 0 },
};

static const struct device_description describe = {
	.role = ROLE_SERIAL,
	.hid = "PNP0501",
	.compatible = { "ns16550a" },
	.node = "serial",
	.properties = properties,
};

const struct device_row device_uart16550 = {
	.type = {
		.name = "uart16550",
		.doc = "16550A serial port on the VM's console",
		.options = options,
		.size = sizeof(struct uart16550_config),
	},
	.arches = ARCH_ANY,
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
