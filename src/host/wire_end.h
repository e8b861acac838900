/* wire_end.h: what the kinds of wires have in common, for src/host/wire*.c. */
#ifndef HOST_WIRE_END_H
#define HOST_WIRE_END_H

#include <pthread.h>
#include <sys/types.h>

#include <vibevmm/host.h>
#include <vibevmm/wire.h>

#include "ring.h"

#define WIRE_IN_SIZE 4096 /* of the buffer */

/* A kind. Its functions run on the wire's thread, or while there is none. */
struct wire_end {
	/* Sets fd, door, or both. 0, or -errno with err and nothing left open. */
	int (*open)(struct wire *wire, struct err *err);
	void (*close)(struct wire *wire);

	/* door is readable: somebody may have come. Sets fd if so. NULL: there is no door. */
	void (*knock)(struct wire *wire);

	/* They have gone, and fd becomes -1: NULL: nothing else is to be done. */
	void (*leave)(struct wire *wire);

	/* As write(2), of one byte at least. NULL: it is write(2). */
	ssize_t (*send)(struct wire *wire, const void *buf, size_t len);

	size_t out_size; /* of the buffer */
	bool log;	 /* takes everything, gives nothing */
};

struct wire {
	const struct wire_end *end;
	const struct wire_config *config;
	char label[64];

	/* The thread's, and its kind's: */
	int fd;	  /* to write to and read from; -1: nobody is there */
	int door; /* -1: none */
	union {
		struct {
			uint64_t size;
		} file;
		struct {
			int master;
			char name[32];
		} pty;
	};

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t drained;
	pthread_t thread;
	bool running, stop;
	uint64_t deadline; /* of the rest, after stop */
	bool woken;	   /* a byte is in the pipe */
	int wake[2];
	wire_ready_fn ready;
	void *ready_arg;

	struct ring out, in;
	bool there;	/* fd is open */
	bool typed;	/* input came by wire_type: tell */
	bool followed;	/* in this process: wire_follow */
	bool ripe;	/* out is worth a write: a line ended, it is half full, or 10 ms went by */
	bool cut_short; /* a write was: tell when there is room */
	bool lagging;	/* the log: nothing more is taken until all is written */
	bool broken;	/* nothing is ever written again */
	bool mid_line;
	uint64_t lost;
};

/* ---- wire_pty_linux.c, wire_pty_macos.c ------------------------------------------------------ */

/* What the names of terminals begin with. */
extern const char wire_pty_names[];

/* Makes the terminal raw from the start, for the guest echoes and edits; sets door, and fd if
 * somebody is there already. 0 or -errno. */
int wire_pty_prepare(struct wire *wire);

/* Somebody may have opened it, and have gone again. */
void wire_pty_knock(struct wire *wire);

extern const struct wire_end wire_file, wire_socket, wire_pty;

/* ---- wire_thread.c: all with the lock held -------------------------------------------------- */

/* Starts the thread, unless it runs. 0 or -errno. */
int wire_thread_start(struct wire *wire);

/* It looks again at what there is to do. */
void wire_thread_wake(struct wire *wire);

/* Nothing more is ever written, and what waits for that is lost. */
void wire_drop(struct wire *wire);

#endif
