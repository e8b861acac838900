/* console.h: what the parts of virtio-console share: VIRTIO 5.3. */
#ifndef VIRTIO_CONSOLE_H
#define VIRTIO_CONSOLE_H

#include <stdatomic.h>

#include <vibevmm/virtio.h>
#include <vibevmm/wire.h>

/* 5.3.3 */
#define CONSOLE_F_SIZE	      0
#define CONSOLE_F_MULTIPORT   1
#define CONSOLE_F_EMERG_WRITE 2

enum {
	CONSOLE_QUEUE_SIZE = 64,
	CONSOLE_MORE_PORTS = 30, /* beside the first */
	/* 5.3.2, "Virtqueues" */
	CONSOLE_CONTROL_RX = 2,
	CONSOLE_CONTROL_TX = 3,
};

struct virtio_console;

/* What the specification calls a port. */
struct console_line {
	struct virtio_console *console;
	unsigned id;
	const char *name;  /* NULL: none */
	bool log;	   /* a console that goes to a file */
	bool tty;	   /* the guest makes it a console: hvc0 ... */
	struct wire *wire; /* NULL: the VM's standard input and output */

	/* The worker's */
	size_t sent;	 /* of the request at the head of the transmit queue, so far */
	bool open;	 /* the guest has it open */
	bool ready;	 /* the guest's driver knows it */
	bool told;	 /* what it was told last of whether somebody is there */
	uint8_t pending; /* control messages that wait for a buffer: a bit for each event */
};

struct virtio_console {
	struct virtio *v;
	uint8_t config[12];
	unsigned n_lines;
	bool input;	    /* the VM's standard input belongs to it ... */
	bool listening;	    /* ... and is read */
	int event;	    /* a bell: something happened at a host's end */
	_Atomic bool stops; /* the workers are to end soon */
	bool misdeed;	    /* one was logged already */

	/* talker writes to standard output alone, whose reader may lag; worker does all else. */
	struct virtio_worker *worker, *talker;
	struct console_line lines[];
};

/* ---- console_line.c: bytes. On the worker. ------------------------------------------------- */

void console_line_take(struct virtio_queue *q); /* a virtio_queue_fn for each direction */
void console_line_fill(struct virtio_queue *q);

/* Goes on with what had to wait for the host's end. */
void console_line_resume(struct console_line *line);

/* ---- console_control.c: the control queues of CONSOLE_F_MULTIPORT. On the worker. ----------- */

void console_control_take(struct virtio_queue *q);
void console_control_fill(struct virtio_queue *q);

/* Tells the guest whether somebody is at the host's end, if that changed. */
void console_control_presence(struct console_line *line);

/* Tells the guest the size of the host's terminal, which has changed. */
void console_control_resize(struct console_line *line);

/* ---- console.c ----------------------------------------------------------------------------- */

struct console_line *console_line_of(struct virtio_queue *q);
bool console_line_there(struct console_line *line);

#endif
