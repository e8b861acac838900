/* uart16550.h: what the two halves of the 16550A share. */
#ifndef DEVICE_UART16550_H
#define DEVICE_UART16550_H

#include "serial.h"

#define IER_RDI	 0x01 /* received data available */
#define IER_THRI 0x02 /* transmitter holding register empty */
#define IER_RLSI 0x04 /* receiver line status */
#define IER_MSI	 0x08 /* modem status */
#define IER_MASK 0x0f

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

enum { FIFO_SIZE = 16 };

struct uart {
	uint8_t ier, lcr, mcr, scr, divisor[2];
	uint8_t errors; /* LSR's error bits, latched until it is read */
	uint8_t msr;
	bool fifo;	   /* FCR bit 0 */
	uint8_t trigger;   /* characters that raise RDA */
	bool thre_pending; /* the THRE interrupt's own flag */
	bool rts;	   /* the guest has raised RTS: it knows flow control */
	struct serial *line;
};

/* Sets the interrupt line as the registers want it. */
void uart16550_update(struct device *dev);

/* uart16550_rx.c, the receiver. A character that loops back comes, with LSR's bits for it, ... */
void uart16550_receive(struct uart *uart, uint8_t data, uint8_t errors);

/* ... others are taken from the console: to be called when something changed that may have kept
 * them waiting. */
void uart16550_pull(struct device *dev);

uint8_t uart16550_read_data(struct device *dev);
uint8_t uart16550_read_lsr(struct device *dev);
void uart16550_write_fcr(struct device *dev, uint8_t value);

#endif
