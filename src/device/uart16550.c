/* uart16550.c: a 16550A serial port on the VM's console.
 *
 * After National Semiconductor's PC16550D data sheet, section 8; comments name its registers. The
 * line is infinitely fast: a character is sent when it is written, so THRE and TEMT are always set,
 * and the four character times of the receiver's timeout are over at once. Input that doesn't fit
 * the FIFO waits in the console, so an overrun happens in loopback alone. Baud rate, parity and
 * word length are registers without effect.
 */
#include <errno.h>
#include <stdlib.h>

#include "common.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, REGS };

#define IER_RDI	 0x01 /* received data available */
#define IER_THRI 0x02 /* transmitter holding register empty */
#define IER_RLSI 0x04 /* receiver line status */
#define IER_MSI	 0x08 /* modem status */
#define IER_MASK 0x0f

#define IIR_NONE    0x01
#define IIR_RLS	    0x06
#define IIR_RDA	    0x04
#define IIR_TIMEOUT 0x0c
#define IIR_THRE    0x02
#define IIR_MODEM   0x00
#define IIR_FIFO    0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02

#define LCR_BREAK 0x40
#define LCR_DLAB  0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR	 0x01
#define LSR_OE	 0x02
#define LSR_FE	 0x08
#define LSR_BI	 0x10
#define LSR_IDLE 0x60 /* THRE, TEMT */
#define LSR_FIFO 0x80 /* an error is somewhere in the FIFO */

#define MSR_CTS	   0x10
#define MSR_DSR	   0x20
#define MSR_RI	   0x40
#define MSR_DCD	   0x80
#define MSR_DELTAS 0x0f /* the lines' changes, in the same order, four bits below */

enum { FIFO_SIZE = 16 };

struct uart16550_config {
	char *id;
	uint32_t port;
	uint64_t at;
	uint32_t irq;
	bool input;
};

struct uart {
	uint8_t ier, lcr, mcr, scr, divisor[2];
	uint8_t errors; /* LSR's error bits, latched until it is read */
	uint8_t msr;
	bool fifo;	   /* FCR bit 0 */
	uint8_t trigger;   /* characters that raise RDA */
	bool thre_pending; /* the THRE interrupt's own flag */
	struct {
		uint8_t data, errors;
	} rx[FIFO_SIZE]; /* a ring; without FIFO one entry of it is used */
	unsigned rx_head, rx_len;
	int irq;
	bool level;
	struct device_input input;
};

/* ---- Interrupts -------------------------------------------------------------------------- */

/* IIR bits 0-3: the source of highest priority. */
static uint8_t source(const struct uart *uart)
{
	if ((uart->ier & IER_RLSI) && uart->errors)
		return IIR_RLS;
	if ((uart->ier & IER_RDI) && uart->rx_len)
		return !uart->fifo || uart->rx_len >= uart->trigger ? IIR_RDA : IIR_TIMEOUT;
	if ((uart->ier & IER_THRI) && uart->thre_pending)
		return IIR_THRE;
	if ((uart->ier & IER_MSI) && (uart->msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

static void update(struct device *dev)
{
	struct uart *uart = dev->state;
	bool level = source(uart) != IIR_NONE;

	if (level == uart->level)
		return;
	uart->level = level;
	device_irq_set(dev, uart->irq, level);
}

/* ---- Receiver ---------------------------------------------------------------------------- */

/* The errors of a character show in LSR when it comes to the top of the FIFO. */
static void show_errors(struct uart *uart)
{
	if (uart->rx_len)
		uart->errors |= uart->rx[uart->rx_head].errors;
}

static void receive(struct uart *uart, uint8_t data, uint8_t errors)
{
	unsigned size = uart->fifo ? FIFO_SIZE : 1;

	if (uart->rx_len == size) {
		uart->errors |= LSR_OE;
		if (uart->fifo)
			return; /* this character is lost; without FIFO, the one before */
		uart->rx_len = 0;
	}
	uart->rx[(uart->rx_head + uart->rx_len) % FIFO_SIZE].data = data;
	uart->rx[(uart->rx_head + uart->rx_len) % FIFO_SIZE].errors = errors;
	if (!uart->rx_len++)
		show_errors(uart);
}

/* Takes from the console what fits. In loopback the receiver is cut off from the line. */
static void pull(struct device *dev)
{
	struct uart *uart = dev->state;
	unsigned size = uart->fifo ? FIFO_SIZE : 1;
	int c;

	if (uart->mcr & MCR_LOOP)
		return;
	while (uart->rx_len < size && (c = device_input_get(dev, &uart->input)) >= 0)
		receive(uart, (uint8_t)c, 0);
}

/* The lock may be held by a vCPU that waits for the console's reader. The loop's thread must not
 * wait with it: time limits and the user's commands are there. */
static bool input_ready(void *arg)
{
	struct device *dev = arg;

	if (!device_trylock(dev))
		return false;
	pull(dev);
	update(dev);
	device_unlock(dev);
	return true;
}

static uint8_t read_data(struct device *dev)
{
	struct uart *uart = dev->state;
	uint8_t data = 0;

	device_input_wake(dev, &uart->input, input_ready);
	if (uart->rx_len) {
		data = uart->rx[uart->rx_head].data;
		uart->rx_head = (uart->rx_head + 1) % FIFO_SIZE;
		uart->rx_len--;
		show_errors(uart);
	}
	pull(dev);
	return data;
}

static uint8_t read_lsr(struct device *dev)
{
	struct uart *uart = dev->state;
	uint8_t lsr = LSR_IDLE | uart->errors;

	device_input_wake(dev, &uart->input, input_ready);
	if (uart->rx_len)
		lsr |= LSR_DR;
	for (unsigned i = 0; uart->fifo && i < uart->rx_len; i++) {
		if (uart->rx[(uart->rx_head + i) % FIFO_SIZE].errors)
			lsr |= LSR_FIFO;
	}
	uart->errors = 0;
	if (uart->rx_len)
		uart->rx[uart->rx_head].errors = 0;
	return lsr;
}

static void write_fcr(struct device *dev, uint8_t value)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };
	struct uart *uart = dev->state;
	bool enable = value & FCR_ENABLE;

	/* The other bits count only in a write that has bit 0; changing it empties the FIFOs. */
	if (enable != uart->fifo || (enable && (value & FCR_CLEAR_RX)))
		uart->rx_len = 0;
	if (enable)
		uart->trigger = triggers[value >> 6];
	uart->fifo = enable;
	pull(dev);
}

/* ---- Transmitter and modem lines --------------------------------------------------------- */

static void transmit(struct device *dev, uint8_t data)
{
	struct uart *uart = dev->state;

	/* The holding register is full for a moment: that makes an edge of the interrupt. */
	uart->thre_pending = false;
	update(dev);
	if (uart->lcr & LCR_BREAK)
		; /* the line is held at space: nothing gets through */
	else if (uart->mcr & MCR_LOOP)
		receive(uart, data, 0);
	else
		console_write(dev->host->console, &data, 1);
	uart->thre_pending = true;
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
	lines = modem_lines(uart);
	/* The ring indicator counts when it ends (TERI), the others when they change. */
	changed = (uint8_t)((old ^ lines) & ~(lines & MSR_RI));
	uart->msr = (uint8_t)(lines | (old & MSR_DELTAS) | (changed & 0xf0) >> 4);
	if (!before && (uart->mcr & MCR_LOOP) && (lcr & LCR_BREAK))
		receive(uart, 0, LSR_BI | LSR_FE);
	pull(dev);
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
		value = read_data(dev);
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
		value = read_lsr(dev);
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
	update(dev);
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
		if (uart->ier & IER_RDI) {
			device_input_wake(dev, &uart->input, input_ready);
			pull(dev);
		}
		break;
	case REG_IIR_FCR:
		write_fcr(dev, byte);
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
	update(dev);
}

/* ---- Life -------------------------------------------------------------------------------- */

static void reset(struct device *dev)
{
	struct uart *uart = dev->state;

	/* Master reset, table I; the divisor, undefined there, stands for 9600 baud. */
	*uart = (struct uart){
		.divisor = { 12, 0 },
		.trigger = 1,
		.irq = uart->irq,
		.level = uart->level,
		.input = uart->input,
	};
	uart->msr = modem_lines(uart);
	pull(dev);
	update(dev);
}

static int create(struct device *dev, struct err *err)
{
	struct uart *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	uart->irq = device_claim(dev, "interrupt");
	device_input_init(dev, &uart->input);
	dev->state = uart;
	reset(dev);
	return 0;
}

static void destroy(struct device *dev)
{
	free(dev->state);
}

static void check(const void *config, const struct node *node, struct diags *diags)
{
	(void)config;
	device_check_place(node, diags);
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
	{ .name = "input", .space = SPACE_INPUT, .size = 1, .fix = "input" },
	{ 0 },
};

const struct device_row device_uart16550 = {
	.type = {
		.name = "uart16550",
		.doc = "16550A serial port on the VM's console",
		.options = options,
		.size = sizeof(struct uart16550_config),
	},
	.arches = ARCH_ANY,
	.claims = claims,
	.wants = HV_CAP_IRQ_LINE,
	.check = check,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = reg_read,
	.write = reg_write,
};
