/* uart16550_rx.c: the receiver of the 16550A, and how fast its line is.
 *
 * Input waits in the console until the FIFO has room for it, so an overrun happens in loopback
 * alone. The four character times of the receiver's timeout are over at once.
 *
 * A guest that polls gets characters as fast as it reads them. To one that takes interrupts, a line
 * without an end would be a handler without an end: it loops until there is nothing to read, while
 * whoever is to work on what it read waits for the CPU. So such a guest gets a FIFO full when it
 * has emptied the FIFO; and when that has gone on for a millisecond, a pause as long as the burst
 * was. Then half of the time is the guest's own, however slow it is, and a burst ends after one
 * FIFO where reading that takes a millisecond.
 *
 * As a terminal does that obeys RTS, the line waits while MCR has it low; but not for a guest that
 * never raised it.
 */
#include "uart16550.h"

#define MS 1000000ULL

/* The longest pause: for guests that are not slow to read, but slow to come. */
#define PAUSE_MAX (20 * MS)

/* The errors of a character show in LSR when it comes to the top of the FIFO. */
static void show_errors(struct uart *uart)
{
	if (uart->rx_len)
		uart->errors |= uart->rx[uart->rx_head].errors;
}

void uart16550_receive(struct uart *uart, uint8_t data, uint8_t errors)
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

/* Whether the line may bring characters now to a guest that takes interrupts; if only later, it
 * sees to that. A guest that was idle for as long as its last burst has had its pause. */
static bool may_interrupt(struct device *dev)
{
	struct uart *uart = dev->state;
	uint64_t now = loop_now(), burst = uart->drained - uart->burst;

	if (uart->rx_len)
		return false;
	if (burst > PAUSE_MAX)
		burst = PAUSE_MAX;
	if (now - uart->drained >= burst) {
		uart->burst = uart->drained = now;
		return true;
	}
	return burst < MS ||
	       loop_timer_set(dev->host->loop, uart->pause, uart->drained + burst) != 0;
}

void uart16550_pull(struct device *dev)
{
	struct uart *uart = dev->state;
	unsigned size = uart->fifo ? FIFO_SIZE : 1;
	int c;

	/* In loopback the receiver is cut off from the line. */
	if ((uart->mcr & MCR_LOOP) || (uart->rts && !(uart->mcr & MCR_RTS)))
		return;
	if (!device_input_waits(dev, &uart->input))
		return;
	if ((uart->ier & IER_RDI) && !may_interrupt(dev))
		return;
	while (uart->rx_len < size && (c = device_input_get(dev, &uart->input)) >= 0)
		uart16550_receive(uart, (uint8_t)c, 0);
}

/* The lock may be held by a vCPU that waits for the console's reader. The loop's thread must not
 * wait with it: time limits and the user's commands are there. */
static bool input_ready(void *arg)
{
	struct device *dev = arg;

	if (!device_trylock(dev))
		return false;
	uart16550_pull(dev);
	uart16550_update(dev);
	device_unlock(dev);
	return true;
}

void uart16550_resume(void *arg)
{
	struct device *dev = arg;
	struct uart *uart = dev->state;

	if (!input_ready(dev))
		loop_timer_set(dev->host->loop, uart->pause, loop_now() + 10 * MS);
}

void uart16550_wake(struct device *dev)
{
	struct uart *uart = dev->state;

	device_input_wake(dev, &uart->input, input_ready);
}

uint8_t uart16550_read_data(struct device *dev)
{
	struct uart *uart = dev->state;
	uint8_t data = 0;

	uart16550_wake(dev);
	if (uart->rx_len) {
		data = uart->rx[uart->rx_head].data;
		uart->rx_head = (uart->rx_head + 1) % FIFO_SIZE;
		uart->rx_len--;
		show_errors(uart);
		if (!uart->rx_len && (uart->ier & IER_RDI)) {
			uart->drained = loop_now();
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
	uint8_t lsr = LSR_IDLE | uart->errors;

	uart16550_wake(dev);
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

void uart16550_write_fcr(struct device *dev, uint8_t value)
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
	uart16550_pull(dev);
}
