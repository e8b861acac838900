/* host.h: what the host lends to devices: threads, an event loop, timers, the console, the
 * terminal.
 */
#ifndef VIBEVMM_HOST_H
#define VIBEVMM_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vibevmm/err.h>

/* ---- Threads ------------------------------------------------------------------------------- */

/* Starts run(arg) on a thread that blocks all signals: these belong to the threads of the machine.
 * 0 or -errno. Any thread. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

/* ---- Event loop: one thread, started by the first watch or timer --------------------------- */

struct loop;

/* Callbacks run on the loop's thread, one at a time, with no lock of the loop held. */
typedef void (*loop_fn)(void *arg);

/* NULL when out of memory. loop_free stops the thread first; no callback runs after it returns.
 * It must not be called from a callback. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Stops and joins the thread but keeps the object: after it no callback runs. */
void loop_stop(struct loop *loop);

/* Stops and joins the thread for a while: until loop_resume no callback runs, while watches and
 * timers may be set and cleared. Not from a callback. loop_resume: 0 or -errno, as loop_watch. */
void loop_pause(struct loop *loop);
int loop_resume(struct loop *loop);

/* Calls fn(arg) whenever fd is readable (or at end of file, or in error: fn finds out by reading).
 * One watch per fd. 0 or -errno. Any thread. */
int loop_watch(struct loop *loop, int fd, loop_fn fn, void *arg);

/* No new call of fn begins after this returns; one that runs now may still be finishing. */
void loop_unwatch(struct loop *loop, int fd);

struct loop_timer {
	loop_fn fn;
	void *arg;
	/* private */
	uint64_t deadline; /* CLOCK_MONOTONIC, ns; 0: not set */
	struct loop_timer *next;
};

/* Calls timer->fn(arg) once, at or after `deadline` (loop_now's clock, in nanoseconds). Setting a
 * set timer moves it. Clearing: as loop_unwatch. 0 or -errno. Any thread. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* CLOCK_MONOTONIC in nanoseconds; never 0. */
uint64_t loop_now(void);

/* CLOCK_REALTIME in nanoseconds since 1970: for clocks that guests read, never for deadlines. */
uint64_t loop_wall(void);

/* ---- Console: the VM's standard input and output ------------------------------------------ */

struct console;

/* What the user typed behind Ctrl-A. */
enum console_command { CONSOLE_QUIT, CONSOLE_POWER };

struct console_config {
	int in, out; /* file descriptors; in -1: no input */
	bool escape; /* Ctrl-A is a command key (standard input is a terminal) */
	void (*command)(void *arg, enum console_command command); /* on the loop's thread */
	void *arg;
};

struct console *console_new(struct loop *loop, const struct console_config *config);

/* Flushes, restores the terminal, frees. After loop_stop. */
void console_free(struct console *console);

/* Output is gathered: it goes out at a newline, when the buffer fills, at console_flush, and a
 * partial line 10 ms after its first byte. Every byte is written, in order, however the write is
 * interrupted or the pipe lags; if the reader is gone (EPIPE, ENOSPC ...) that is logged once and
 * the rest is counted and dropped. Any thread. */
void console_write(struct console *console, const void *buf, size_t len);
void console_flush(struct console *console);

/* Input: the first call of console_listen starts reading (and puts a terminal in the foreground
 * into raw mode); ready(arg) is called on the loop's thread whenever bytes came to an empty buffer.
 * It must not wait for a lock that may be held while output waits for its reader: it returns false
 * instead, and is called again 10 ms later. One listener at a time: the planner gives the input to
 * one device. 0 or -errno. */
typedef bool (*console_ready_fn)(void *arg);
int console_listen(struct console *console, console_ready_fn ready, void *arg);

/* The listener, if any, goes; the next one is called for what waits by then. Reading goes on, and
 * the terminal stays as it is. While the loop is paused. */
void console_unlisten(struct console *console);

/* The next byte, or -1 if none is there now. Reading from the host stops while 4 KiB wait, so
 * nothing is lost. Any thread. */
int console_get(struct console *console);
bool console_has_input(struct console *console);

/* The VM is ending: from now on a reader that lags is waited for one second in all, then the rest
 * is dropped as lost. Without it one who never reads would hold up the end for ever. Any thread;
 * async-signal-safe. */
void console_hurry(struct console *console);

/* The size in characters of the terminal that output goes to; false if it goes to none, or to one
 * that doesn't tell. Any thread. */
bool console_size(const struct console *console, uint16_t *cols, uint16_t *rows);

/* Bytes that could not be written. */
uint64_t console_lost(const struct console *console);

/* ---- Terminal ---------------------------------------------------------------------------- */

/* Raw mode for a terminal, undone by terminal_restore, at exit(3), by signals that end or stop the
 * process (then set again on SIGCONT). Not for a process in the background. 0 or -errno. */
int terminal_raw(int fd);

/* Async-signal-safe; does nothing if no terminal is raw. */
void terminal_restore(void);

/* A descriptor that becomes readable anew whenever the size of the terminal that controls this
 * process changes. It is for everybody, and nobody's to read or close: watch it for EVENT_IN |
 * EVENT_EDGE (event.h). -1: none can be had, or SIGWINCH is the program's own. Any thread. */
int terminal_size_event(void);

#endif
