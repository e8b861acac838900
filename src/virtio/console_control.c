/* console_control.c: the messages about ports: VIRTIO 5.3.6.2.
 *
 * What is to be told waits as a bit for each port and event, so a driver that asks again and again
 * makes nothing grow.
 */
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "console.h"

/* In the order in which a driver needs them: a port's name before it may be opened. */
enum {
	DEVICE_READY,
	PORT_ADD,
	PORT_REMOVE,
	PORT_READY,
	CONSOLE_PORT,
	RESIZE,
	PORT_OPEN,
	PORT_NAME
};

static const uint8_t order[] = { PORT_ADD, CONSOLE_PORT, RESIZE, PORT_NAME, PORT_OPEN };

enum { MESSAGE = 8, MESSAGE_MAX = MESSAGE + 64 };

/* ---- To the driver ------------------------------------------------------------------------- */

static size_t make_message(struct console_line *line, unsigned event, uint8_t *buf)
{
	uint16_t cols = 0, rows = 0;
	size_t len = MESSAGE;

	bytes_put32(buf, line->id);
	bytes_put16(buf + 4, (uint16_t)event);
	bytes_put16(buf + 6, 1);
	if (event == PORT_OPEN) {
		line->told = console_line_there(line);
		bytes_put16(buf + 6, line->told);
	} else if (event == PORT_NAME) {
		len += strnlen(line->name, MESSAGE_MAX - MESSAGE);
		memcpy(buf + MESSAGE, line->name, len - MESSAGE);
	} else if (event == RESIZE) {
		/* Rows first: VIRTIO 1.2 has it the other way round, Linux and what came later
		 * don't. */
		console_size(line->console->v->dev->host->console, &cols, &rows);
		bytes_put16(buf + MESSAGE, rows);
		bytes_put16(buf + MESSAGE + 2, cols);
		len += 4;
	}
	return len;
}

/* Of all lines, the first message that waits; NULL: none does. */
static struct console_line *pending(struct virtio_console *console, unsigned *event)
{
	for (unsigned i = 0; i < console->n_lines; i++) {
		for (unsigned k = 0; k < sizeof(order); k++) {
			*event = order[k];
			if (console->lines[i].pending >> *event & 1)
				return &console->lines[i];
		}
	}
	return NULL;
}

void console_control_fill(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE)];
	struct virtio_chain chain = { .iov = iov, .cap = VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE) };
	struct virtio_console *console = virtio_queue_device(q)->state;
	struct console_line *line;
	uint8_t buf[MESSAGE_MAX];
	unsigned event;

	do {
		while ((line = pending(console, &event)) && virtio_queue_take(q, &chain)) {
			size_t len = make_message(line, event, buf);

			line->pending &= (uint8_t) ~(1U << event);
			len = virtio_chain_write(&chain, 0, buf, len);
			virtio_queue_give(q, chain.head, (uint32_t)len);
		}
		virtio_queue_flush(q);
	} while (line && !virtio_queue_idle(q));
}

static void tell(struct virtio_console *console)
{
	struct virtio_queue *q = virtio_queue(console->v, CONSOLE_CONTROL_RX);

	if (virtio_queue_ready(q))
		console_control_fill(q);
}

static void add_pending(struct console_line *line, unsigned event)
{
	line->pending |= (uint8_t)(1U << event);
}

void console_control_presence(struct console_line *line)
{
	if (!virtio_has(line->console->v, CONSOLE_F_MULTIPORT) || !line->ready ||
	    line->told == console_line_there(line))
		return;
	add_pending(line, PORT_OPEN);
	tell(line->console);
}

void console_control_resize(struct console_line *line)
{
	if (!line->ready)
		return; /* it is told when it is */
	add_pending(line, RESIZE);
	tell(line->console);
}

/* ---- From the driver ----------------------------------------------------------------------- */

static void misdeed(struct virtio_console *console, const char *what)
{
	if (!console->misdeed)
		log_warn("%s: the guest's driver sent %s; ignored", console->v->dev->plan->label,
			 what);
	console->misdeed = true;
}

static void port_ready(struct console_line *line, bool ready)
{
	bool sized = !line->id && virtio_has(line->console->v, CONSOLE_F_SIZE);

	line->ready = ready;
	line->pending = 0;
	if (!ready)
		return;
	if (line->tty)
		add_pending(line, CONSOLE_PORT);
	if (line->tty && sized)
		add_pending(line, RESIZE);
	if (line->name)
		add_pending(line, PORT_NAME);
	add_pending(line, PORT_OPEN);
}

static void obey(struct virtio_console *console, const uint8_t *message)
{
	uint32_t id = bytes_get32(message);
	uint16_t event = bytes_get16(message + 4), value = bytes_get16(message + 6);

	if (event == DEVICE_READY) {
		for (unsigned i = 0; value && i < console->n_lines; i++)
			add_pending(&console->lines[i], PORT_ADD);
	} else if (id >= console->n_lines) {
		misdeed(console, "a message about a port that does not exist");
	} else if (event == PORT_READY) {
		port_ready(&console->lines[id], value);
	} else if (event == PORT_OPEN) {
		console->lines[id].open = value;
		if (value)
			console_line_resume(&console->lines[id]);
	} else {
		misdeed(console, "a message that is not a driver's to send");
	}
}

void console_control_take(struct virtio_queue *q)
{
	struct iovec iov[VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE)];
	struct virtio_chain chain = { .iov = iov, .cap = VIRTIO_CHAIN_MAX(CONSOLE_QUEUE_SIZE) };
	struct virtio_console *console = virtio_queue_device(q)->state;
	uint8_t message[MESSAGE];

	do {
		while (virtio_queue_take(q, &chain)) {
			if (virtio_chain_read(&chain, 0, message, MESSAGE) == MESSAGE)
				obey(console, message);
			else
				misdeed(console, "a message that is too short");
			virtio_queue_give(q, chain.head, 0);
		}
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
	tell(console);
}
