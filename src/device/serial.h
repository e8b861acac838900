/* serial.h: what serial ports have in common: the receiver's FIFO and the pace of its line, the
 * interrupt line, and the gathering of logs.
 *
 * Input waits in the console until the FIFO has room for it. A guest that polls gets characters as
 * fast as it reads them. To one that takes interrupts, a line without an end would be a handler
 * without an end: it loops until there is nothing to read, while whoever is to work on what it read
 * waits for the CPU. So such a guest gets a FIFO full when it has emptied the FIFO; and when that
 * has gone on for a millisecond, a pause as long as the burst was. Then half of the time is the
 * guest's own, however slow it is, and a burst ends after one FIFO where reading that takes a
 * millisecond.
 *
 * An operating system's log is written by a guest that polls the transmitter, and each byte costs
 * an exit, until the backend gathers the writes: they come out before any other access. A guest
 * that waits for the effect of what it wrote, and does not access anything meanwhile, must get no
 * gathered writes. As switching costs about as much as a hundred exits, each time that the guest
 * changes its mind it takes twice as many characters to begin anew.
 */
#ifndef DEVICE_SERIAL_H
#define DEVICE_SERIAL_H

#include "common.h"

enum { SERIAL_FIFO_MAX = 32 };

/* A port's part that is not registers. It outlives a reset of them, as its timer belongs to the
 * loop; all else is under the device's lock. Ports read the fields, and empty the FIFO by rx_len;
 * the rest is written here. */
struct serial {
	struct device *dev;
	void (*refill)(struct device *dev);
	struct wire *wire; /* where the line leads; NULL: to the VM's standard input and output */
	struct device_input input;
	int registers, irq; /* claims */
	bool level;
	struct loop_timer pause; /* of the line */

	uint16_t rx[SERIAL_FIFO_MAX]; /* a ring */
	unsigned rx_head, rx_len;
	uint64_t burst, drained; /* when the line last began, and the guest last had read all */
	bool gathered;		 /* the writes of characters */
	unsigned sent, log_size; /* characters in a row, and how many it takes */
};

/* registers is the claim whose first register sends characters; the interrupt's and the input's are
 * found by name. refill(dev) is called on another thread, with the device's lock, when input came
 * or a pause is over. It takes what there is room for, and brings the interrupt line up to date.
 * Resets the device by its row, which has to reach the line by then; input may come from then on.
 * 0, or -errno with err, which leaves something to serial_destroy. */
int serial_init(struct serial *line, struct device *dev, int registers,
		const struct wire_config *to, void (*refill)(struct device *dev), struct err *err);
void serial_destroy(struct serial *line);
void serial_reset(struct serial *line);

void serial_irq_set(struct serial *line, bool level);

/* Sends a character. */
void serial_send(struct serial *line, uint8_t data);

/* The guest looks for input: before that, nothing reads the console. */
void serial_wake(struct serial *line);

/* How many characters of the console may come now, to a FIFO of that size: as many calls of
 * serial_get are due, which returns -1 when there are no more. If 0 because of a pause, refill will
 * be called at its end. */
unsigned serial_room(struct serial *line, unsigned size, bool interrupts);
int serial_get(struct serial *line);

/* The FIFO's entries: a character in the low byte, above it what the port notes about it. push
 * wants room; pop and at want an entry, at's being the i-th from the top. */
void serial_push(struct serial *line, uint16_t entry);
uint16_t serial_pop(struct serial *line);
uint16_t *serial_at(struct serial *line, unsigned i);

/* A guest that takes interrupts has emptied the FIFO. */
void serial_drained(struct serial *line);

/* The guest has written a register: whether that sent a character, and whether from now on it may
 * wait for the effect of one. */
void serial_wrote(struct serial *line, bool character, bool waits);

#endif
