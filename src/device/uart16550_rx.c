/* uart16550_rx.c: the receiver of the 16550A.
 *
 * An overrun happens in loopback alone: other input waits until the FIFO has room for it. The four
 * character times of the receiver's timeout are over at once.
 *
 * As a terminal does that obeys RTS, the line waits while MCR has it low; but not for a guest that
 * never raised it.
 */
#include "uart16550.h"

#define ERRORS_SHIFT 8 /* in the FIFO, LSR's bits for a character */

static unsigned rx_size(const struct uart *uart)
{
	return uart->fifo ? FIFO_SIZE : 1;
}

/* The errors of a character show in LSR when it comes to the top of the FIFO. */
static void show_errors(struct uart *uart)
{
	if (uart->line->rx_len)
		uart->errors |= (uint8_t)(*serial_at(uart->line, 0) >> ERRORS_SHIFT);
}

void uart16550_receive(struct uart *uart, uint8_t data, uint8_t errors)
{
	struct serial *line = uart->line;

	if (line->rx_len == rx_size(uart)) {
		uart->errors |= LSR_OE;
		if (uart->fifo)
			return; /* this character is lost; without FIFO, the one before */
		line->rx_len = 0;
	}
	serial_push(line, (uint16_t)(data | errors << ERRORS_SHIFT));
	if (line->rx_len == 1)
		show_errors(uart);
}

void uart16550_pull(struct device *dev)
{
	struct uart *uart = dev->state;
	unsigned room;
	int c;

	/* In loopback the receiver is cut off from the line. */
	if ((uart->mcr & MCR_LOOP) || (uart->rts && !(uart->mcr & MCR_RTS)))
		return;
	room = serial_room(uart->line, rx_size(uart), uart->ier & IER_RDI);
	while (room-- && (c = serial_get(uart->line)) >= 0)
		uart16550_receive(uart, (uint8_t)c, 0);
}

uint8_t uart16550_read_data(struct device *dev)
{
	struct uart *uart = dev->state;
	struct serial *line = uart->line;
	uint8_t data = 0;

	serial_wake(line);
	if (line->rx_len) {
		data = (uint8_t)serial_pop(line);
		show_errors(uart);
		if (!line->rx_len && (uart->ier & IER_RDI)) {
			serial_drained(line);
			/* An edge for the next ones: without FIFO a guest may read one for each. */
			uart16550_update(dev);
		}
	}
	uart16550_pull(dev);
	return data;
}

uint8_t uart16550_read_lsr(struct device *dev)
{
	struct uart *uart = dev->state;
	struct serial *line = uart->line;
	uint8_t lsr = LSR_IDLE | uart->errors;

	serial_wake(line);
	if (line->rx_len)
		lsr |= LSR_DR;
	for (unsigned i = 0; uart->fifo && i < line->rx_len; i++) {
		if (*serial_at(line, i) >> ERRORS_SHIFT)
			lsr |= LSR_FIFO;
	}
	uart->errors = 0;
	if (line->rx_len)
		*serial_at(line, 0) &= 0xff;
	return lsr;
}

void uart16550_write_fcr(struct device *dev, uint8_t value)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };
	struct uart *uart = dev->state;
	bool enable = value & FCR_ENABLE;

	/* The other bits count only in a write that has bit 0; changing it empties the FIFOs. */
	if (enable != uart->fifo || (enable && (value & FCR_CLEAR_RX)))
		uart->line->rx_len = 0;
	if (enable)
		uart->trigger = triggers[value >> 6];
	uart->fifo = enable;
	uart16550_pull(dev);
}
