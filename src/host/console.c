/* console.c: the VM's standard input and output.
 *
 * Two halves with a lock each, so that a writer who waits for a lagging reader holds up neither
 * the user's keys nor the loop. Lock order: device lock, then one of these, then the loop's.
 * Callbacks (the listener, the command) run with none of them held.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vibevmm/host.h>
#include <vibevmm/log.h>

#include "ring.h"

#define MS 1000000ULL

enum {
	OUT_SIZE = 4096,
	IN_SIZE = 4096,
	/* Partial lines that are written at once instead of gathered for 10 ms: gathering needs the
	 * loop's thread, and to start one costs as much as a hundred short writes. */
	EAGER_WRITES = 64,
	CTRL_A = 1,
};

struct console {
	struct loop *loop;
	struct console_config config;

	pthread_mutex_t out_lock;
	char out[OUT_SIZE];
	size_t out_len;
	unsigned eager;
	bool armed;  /* the timer below is set */
	bool broken; /* the reader is gone */
	struct loop_timer partial;
	_Atomic uint64_t hurry; /* when to stop waiting for the reader; 0: never */
	_Atomic uint64_t lost;

	pthread_mutex_t in_lock;
	uint8_t in_buf[IN_SIZE];
	struct ring in;
	bool reading; /* the first listener came */
	bool paused;  /* the ring was full: not watching until there is room */
	bool prefix;  /* Ctrl-A came; the loop's thread alone uses this */
	console_ready_fn ready;
	void *ready_arg;
	struct loop_timer foreground;
	struct loop_timer again; /* the listener was busy */
	struct loop_timer help;	 /* Ctrl-A h found no room yet */
};

/* ---- Output ------------------------------------------------------------------------------ */

static bool out_of_patience(struct console *console)
{
	uint64_t hurry = console->hurry;

	return hurry && loop_now() >= hurry;
}

static void reader_gone(struct console *console, const char *why)
{
	console->broken = true;
	log_error("console output: %s; the rest is dropped", why);
}

/* Writes what was gathered: with `wait` all of it, however long the reader takes; without, what
 * goes out at once. A write is preceded by poll and no longer than PIPE_BUF, which a pipe that
 * polls writable takes without blocking, be it in blocking mode or not. With the lock held. */
static void drain(struct console *console, bool wait)
{
	size_t done = 0;

	while (done < console->out_len && !console->broken) {
		struct pollfd out = { .fd = console->config.out, .events = POLLOUT };
		size_t len = console->out_len - done;
		int ready = poll(&out, 1, wait ? 50 : 0);
		ssize_t n;

		n = ready <= 0 ? 0
			       : write(console->config.out, console->out + done,
				       len < PIPE_BUF ? len : PIPE_BUF);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR && errno != EAGAIN)
			reader_gone(console, strerror(errno));
		else if (!wait)
			break;
		else if (out_of_patience(console))
			reader_gone(console, "nobody reads it");
	}
	if (console->broken) {
		console->lost += console->out_len - done;
		console->out_len = done;
	}
	console->out_len -= done;
	memmove(console->out, console->out + done, console->out_len);
}

/* Sees to it that a partial line goes out. With the lock held. */
static void arm(struct console *console)
{
	if (console->armed)
		return;
	console->armed = !loop_timer_set(console->loop, &console->partial, loop_now() + 10 * MS);
	if (!console->armed) /* the loop has stopped */
		drain(console, true);
}

/* On the loop's thread, which must not wait: neither for the reader nor for a writer. */
static void partial_due(void *arg)
{
	struct console *console = arg;

	if (pthread_mutex_trylock(&console->out_lock)) {
		loop_timer_set(console->loop, &console->partial, loop_now() + 10 * MS);
		return;
	}
	console->armed = false;
	drain(console, false);
	if (console->out_len)
		arm(console);
	pthread_mutex_unlock(&console->out_lock);
}

void console_write(struct console *console, const void *buf, size_t len)
{
	const char *p = buf;

	pthread_mutex_lock(&console->out_lock);
	while (len) {
		size_t n = OUT_SIZE - console->out_len;
		char *to = console->out + console->out_len;

		if (n > len)
			n = len;
		memcpy(to, p, n);
		console->out_len += n;
		p += n;
		len -= n;
		if (console->out_len == OUT_SIZE || memchr(to, '\n', n)) {
			drain(console, true);
		} else if (console->eager) {
			console->eager--;
			drain(console, true);
		} else {
			arm(console);
		}
	}
	pthread_mutex_unlock(&console->out_lock);
}

void console_flush(struct console *console)
{
	pthread_mutex_lock(&console->out_lock);
	drain(console, true);
	pthread_mutex_unlock(&console->out_lock);
}

void console_hurry(struct console *console)
{
	console->hurry = loop_now() + 1000 * MS;
}

uint64_t console_lost(const struct console *console)
{
	return console->lost;
}

bool console_size(const struct console *console, uint16_t *cols, uint16_t *rows)
{
	struct winsize size;

	if (ioctl(console->config.out, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
		return false;
	*cols = size.ws_col;
	*rows = size.ws_row;
	return true;
}

/* ---- Input ------------------------------------------------------------------------------- */

/* On the loop's thread, which must not wait: while a writer is busy, or has filled the buffer, it
 * tries again. */
static void show_help(void *arg)
{
	static const char text[] = "\nCtrl-A x       end the VM\n"
				   "Ctrl-A p       press its power button\n"
				   "Ctrl-A h       show this help\n"
				   "Ctrl-A Ctrl-A  send Ctrl-A to the VM\n";
	struct console *console = arg;
	bool shown = false;

	if (!pthread_mutex_trylock(&console->out_lock)) {
		shown = console->out_len + sizeof(text) - 1 <= OUT_SIZE;
		if (shown) {
			memcpy(console->out + console->out_len, text, sizeof(text) - 1);
			console->out_len += sizeof(text) - 1;
			drain(console, false);
			if (console->out_len)
				arm(console);
		}
		pthread_mutex_unlock(&console->out_lock);
	}
	if (!shown)
		loop_timer_set(console->loop, &console->help, loop_now() + 10 * MS);
}

/* Takes the user's commands out of n bytes; returns how many bytes are left for the VM. */
static size_t filter(struct console *console, uint8_t *buf, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = buf[i];

		if (!console->config.escape || (!console->prefix && c != CTRL_A)) {
			buf[kept++] = c;
		} else if (!console->prefix) {
			console->prefix = true;
		} else {
			console->prefix = false;
			if (c == CTRL_A)
				buf[kept++] = c;
			else if (c == 'x' && console->config.command)
				console->config.command(console->config.arg, CONSOLE_QUIT);
			else if (c == 'p' && console->config.command)
				console->config.command(console->config.arg, CONSOLE_POWER);
			else if (c == 'h')
				show_help(console);
		}
	}
	return kept;
}

/* No event tells when the shell moves a running job to the foreground, so look twice a second. */
static int await_foreground(struct console *console)
{
	return loop_timer_set(console->loop, &console->foreground, loop_now() + 500 * MS);
}

static void tell_listener(void *arg)
{
	struct console *console = arg;
	console_ready_fn ready;
	void *ready_arg;

	pthread_mutex_lock(&console->in_lock);
	ready = console->ready;
	ready_arg = console->ready_arg;
	pthread_mutex_unlock(&console->in_lock);
	if (ready && !ready(ready_arg))
		loop_timer_set(console->loop, &console->again, loop_now() + 10 * MS);
}

static void input_due(void *arg)
{
	struct console *console = arg;
	uint8_t buf[512];
	size_t room;
	ssize_t n;
	bool was_empty;

	/* Only this thread fills the ring, so the room can but grow meanwhile. */
	pthread_mutex_lock(&console->in_lock);
	room = IN_SIZE - console->in.len;
	pthread_mutex_unlock(&console->in_lock);
	n = read(console->config.in, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n <= 0) {
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		loop_unwatch(console->loop, console->config.in);
		/* A terminal that the shell took from us in the meantime; otherwise the end of the
		 * file, or as good as that: no error, there is just no more input. */
		if (n < 0 && errno == EIO && isatty(console->config.in))
			await_foreground(console);
		return;
	}
	n = (ssize_t)filter(console, buf, (size_t)n);

	pthread_mutex_lock(&console->in_lock);
	was_empty = !console->in.len;
	ring_put(&console->in, buf, (size_t)n);
	if (console->in.len == IN_SIZE) {
		loop_unwatch(console->loop, console->config.in);
		console->paused = true;
	}
	pthread_mutex_unlock(&console->in_lock);
	if (was_empty && n)
		tell_listener(console);
}

/* Watches the input; a terminal only when we are in its foreground. */
static int begin_reading(struct console *console)
{
	int ret = terminal_raw(console->config.in);

	if (ret == -EAGAIN)
		return await_foreground(console);
	if (ret && ret != -ENOTTY)
		log_warn("console input: can't set the terminal up: %s", strerror(-ret));
	return loop_watch(console->loop, console->config.in, input_due, console);
}

static void foreground_due(void *arg)
{
	begin_reading(arg);
}

int console_listen(struct console *console, console_ready_fn ready, void *arg)
{
	bool taken, first = false, waits = false;

	pthread_mutex_lock(&console->in_lock);
	taken = console->ready;
	if (!taken) {
		console->ready = ready;
		console->ready_arg = arg;
		first = !console->reading;
		waits = console->in.len;
		console->reading = true;
	}
	pthread_mutex_unlock(&console->in_lock);
	if (taken)
		return -EBUSY;
	if (first)
		return console->config.in < 0 ? 0 : begin_reading(console);
	return waits ? loop_timer_set(console->loop, &console->again, loop_now()) : 0;
}

void console_unlisten(struct console *console)
{
	pthread_mutex_lock(&console->in_lock);
	console->ready = NULL;
	pthread_mutex_unlock(&console->in_lock);
	loop_timer_clear(console->loop, &console->again);
}

int console_get(struct console *console)
{
	const uint8_t *p;
	int c = -1;

	pthread_mutex_lock(&console->in_lock);
	if (ring_piece(&console->in, &p)) {
		c = *p;
		ring_drop(&console->in, 1);
	}
	if (console->paused && console->in.len <= IN_SIZE / 2)
		console->paused =
			loop_watch(console->loop, console->config.in, input_due, console) != 0;
	pthread_mutex_unlock(&console->in_lock);
	return c;
}

bool console_has_input(struct console *console)
{
	bool has;

	pthread_mutex_lock(&console->in_lock);
	has = console->in.len;
	pthread_mutex_unlock(&console->in_lock);
	return has;
}

/* ---- Life -------------------------------------------------------------------------------- */

/* A reader who leaves is an error to report, not a reason to die; a handler of the program's own
 * stays. */
static void survive_sigpipe(void)
{
	struct sigaction action;

	if (!sigaction(SIGPIPE, NULL, &action) && action.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

struct console *console_new(struct loop *loop, const struct console_config *config)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		return NULL;
	if (pthread_mutex_init(&console->out_lock, NULL) ||
	    pthread_mutex_init(&console->in_lock, NULL)) {
		free(console);
		return NULL;
	}
	console->loop = loop;
	console->config = *config;
	console->in = (struct ring){ .buf = console->in_buf, .size = IN_SIZE };
	console->eager = EAGER_WRITES;
	console->partial = (struct loop_timer){ .fn = partial_due, .arg = console };
	console->again = (struct loop_timer){ .fn = tell_listener, .arg = console };
	console->help = (struct loop_timer){ .fn = show_help, .arg = console };
	console->foreground = (struct loop_timer){ .fn = foreground_due, .arg = console };
	survive_sigpipe();
	return console;
}

void console_free(struct console *console)
{
	if (!console)
		return;
	console_flush(console);
	terminal_restore();
	pthread_mutex_destroy(&console->in_lock);
	pthread_mutex_destroy(&console->out_lock);
	free(console);
}
