/* loop.c: one thread that waits for file descriptors and timers.
 *
 * Portable means only: poll(2) and a pipe to wake it. Most guests that run for a millisecond need
 * neither, so the thread starts with the first watch or timer. It blocks all signals: they belong
 * to the threads of the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/host.h>

struct watch {
	int fd;
	bool polled; /* the thread's present poll includes it */
	loop_fn fn;
	void *arg;
};

struct loop {
	pthread_mutex_t lock;
	pthread_t thread;
	bool running, stop;
	bool paused; /* stopped only for a while */
	bool woken;  /* a byte is in the pipe */
	int wake[2]; /* read end, write end */

	struct watch *watches;
	size_t n, cap;
	struct pollfd *spare; /* room for cap + 1 that the thread has yet to take over */

	struct loop_timer *timers; /* by deadline; equal ones first come, first served */
};

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	if (pthread_mutex_init(&loop->lock, NULL)) {
		free(loop);
		return NULL;
	}
	loop->wake[0] = loop->wake[1] = -1;
	return loop;
}

/* Makes the thread look at the lists again. With the lock held. */
static void wake(struct loop *loop)
{
	if (!loop->running || loop->woken || pthread_equal(pthread_self(), loop->thread))
		return;
	loop->woken = true;
	while (write(loop->wake[1], "", 1) < 0 && errno == EINTR)
		;
}

static void clear_wake(struct loop *loop)
{
	char byte;

	if (loop->woken && read(loop->wake[0], &byte, 1) == 1)
		loop->woken = false;
}

/* Milliseconds until the first timer, rounded up so that it is due when poll returns. */
static int poll_timeout(const struct loop *loop)
{
	uint64_t now, ms;

	if (!loop->timers)
		return -1;
	now = loop_now();
	if (loop->timers->deadline <= now)
		return 0;
	ms = (loop->timers->deadline - now + 999999) / 1000000;
	return ms > 60000 ? 60000 : (int)ms;
}

static struct watch *find_watch(struct loop *loop, int fd)
{
	for (size_t i = 0; i < loop->n; i++) {
		if (loop->watches[i].fd == fd)
			return &loop->watches[i];
	}
	return NULL;
}

static void call(struct loop *loop, loop_fn fn, void *arg)
{
	pthread_mutex_unlock(&loop->lock);
	fn(arg);
	pthread_mutex_lock(&loop->lock);
}

static void run_timers(struct loop *loop)
{
	uint64_t now = loop->timers ? loop_now() : 0;

	while (!loop->stop && loop->timers && loop->timers->deadline <= now) {
		struct loop_timer *timer = loop->timers;

		loop->timers = timer->next;
		timer->deadline = 0;
		call(loop, timer->fn, timer->arg);
	}
}

static void run_watches(struct loop *loop, const struct pollfd *polled, size_t n)
{
	for (size_t i = 0; i < n && !loop->stop; i++) {
		struct watch *watch;

		if (!polled[i].revents)
			continue;
		/* Callbacks may have removed it, or put another in its place. */
		watch = find_watch(loop, polled[i].fd);
		if (watch && watch->polled)
			call(loop, watch->fn, watch->arg);
	}
}

static void *run(void *arg)
{
	struct pollfd only_wake, *polled = &only_wake, *owned = NULL;
	struct loop *loop = arg;

	pthread_mutex_lock(&loop->lock);
	while (!loop->stop) {
		size_t n = loop->n;
		int timeout = poll_timeout(loop), ready;

		if (loop->spare) {
			free(owned);
			polled = owned = loop->spare;
			loop->spare = NULL;
		}
		polled[0] = (struct pollfd){ .fd = loop->wake[0], .events = POLLIN };
		for (size_t i = 0; i < n; i++) {
			polled[i + 1] =
				(struct pollfd){ .fd = loop->watches[i].fd, .events = POLLIN };
			loop->watches[i].polled = true;
		}
		pthread_mutex_unlock(&loop->lock);
		ready = poll(polled, (nfds_t)n + 1, timeout);
		pthread_mutex_lock(&loop->lock);
		clear_wake(loop);
		run_timers(loop);
		if (ready > 0)
			run_watches(loop, polled + 1, n);
	}
	if (!loop->spare) { /* for the thread of loop_resume */
		loop->spare = owned;
		owned = NULL;
	}
	pthread_mutex_unlock(&loop->lock);
	free(owned);
	return NULL;
}

static int make_wake_pipe(int fds[2])
{
	if (pipe(fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

/* With the lock held. */
static int start(struct loop *loop)
{
	int ret;

	if (loop->paused)
		return 0;
	if (loop->stop)
		return -ECANCELED;
	if (loop->running)
		return 0;
	if (loop->wake[0] < 0) {
		ret = make_wake_pipe(loop->wake);
		if (ret)
			return ret;
	}
	ret = thread_start(&loop->thread, run, loop);
	loop->running = !ret;
	return ret;
}

static void halt(struct loop *loop, bool for_a_while)
{
	bool join;

	pthread_mutex_lock(&loop->lock);
	loop->stop = true;
	loop->paused = for_a_while;
	wake(loop);
	join = loop->running;
	pthread_mutex_unlock(&loop->lock);
	if (!join)
		return;
	pthread_join(loop->thread, NULL);
	pthread_mutex_lock(&loop->lock);
	loop->running = false;
	pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	halt(loop, false);
}

void loop_pause(struct loop *loop)
{
	halt(loop, true);
}

int loop_resume(struct loop *loop)
{
	int ret = 0;

	pthread_mutex_lock(&loop->lock);
	loop->stop = loop->paused = false;
	if (loop->n || loop->timers)
		ret = start(loop);
	pthread_mutex_unlock(&loop->lock);
	return ret;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_stop(loop);
	if (loop->wake[0] >= 0) {
		close(loop->wake[0]);
		close(loop->wake[1]);
	}
	pthread_mutex_destroy(&loop->lock);
	free(loop->spare);
	free(loop->watches);
	free(loop);
}

/* Makes room for one more watch, for us and for the thread. With the lock held. */
static int grow(struct loop *loop)
{
	size_t cap = loop->cap ? 2 * loop->cap : 8;
	struct pollfd *spare;
	struct watch *watches;

	if (loop->n < loop->cap)
		return 0;
	spare = calloc(cap + 1, sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	watches = realloc(loop->watches, cap * sizeof(*watches));
	if (!watches) {
		free(spare);
		return -ENOMEM;
	}
	free(loop->spare);
	loop->spare = spare;
	loop->watches = watches;
	loop->cap = cap;
	return 0;
}

int loop_watch(struct loop *loop, int fd, loop_fn fn, void *arg)
{
	int ret;

	pthread_mutex_lock(&loop->lock);
	ret = find_watch(loop, fd) ? -EEXIST : grow(loop);
	if (!ret)
		ret = start(loop);
	if (!ret) {
		loop->watches[loop->n++] = (struct watch){ .fd = fd, .fn = fn, .arg = arg };
		wake(loop);
	}
	pthread_mutex_unlock(&loop->lock);
	return ret;
}

void loop_unwatch(struct loop *loop, int fd)
{
	struct watch *watch;

	pthread_mutex_lock(&loop->lock);
	watch = find_watch(loop, fd);
	if (watch) {
		*watch = loop->watches[--loop->n];
		wake(loop);
	}
	pthread_mutex_unlock(&loop->lock);
}

/* With the lock held. */
static void remove_timer(struct loop *loop, struct loop_timer *timer)
{
	if (!timer->deadline)
		return;
	for (struct loop_timer **at = &loop->timers; *at; at = &(*at)->next) {
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	}
	timer->deadline = 0;
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline)
{
	struct loop_timer **at = &loop->timers;
	int ret;

	pthread_mutex_lock(&loop->lock);
	ret = start(loop);
	if (!ret) {
		remove_timer(loop, timer);
		timer->deadline = deadline ? deadline : 1;
		while (*at && (*at)->deadline <= timer->deadline)
			at = &(*at)->next;
		timer->next = *at;
		*at = timer;
		if (loop->timers == timer)
			wake(loop);
	}
	pthread_mutex_unlock(&loop->lock);
	return ret;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	pthread_mutex_lock(&loop->lock);
	remove_timer(loop, timer);
	pthread_mutex_unlock(&loop->lock);
}
