/* macos/kqueue.h: a double of kqueue(2) on Linux, for one test program, after its manual page: it
 * tells an error in how the calls are used, and nothing about macOS.
 *
 * A kqueue's descriptor is an epoll's, so that it can be watched by another one. Each event has a
 * descriptor of its own in there: an eventfd, a timerfd, or a copy of what is watched.
 */
#ifndef MACOS_KQUEUE_H
#define MACOS_KQUEUE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define KQ_MOST	 16 /* events in one kqueue */
#define KQ_TABLE 256

struct kq_note {
	struct kevent event; /* as it was added; filter 0: none */
	int fd;
};

static struct kq {
	struct kq_note notes[KQ_MOST];
	bool used;
} kq_table[KQ_TABLE]; /* by descriptor */
static pthread_mutex_t kq_lock = PTHREAD_MUTEX_INITIALIZER;

static void kq_drop(int kq, struct kq_note *note)
{
	epoll_ctl(kq, EPOLL_CTL_DEL, note->fd, NULL);
	close(note->fd);
	note->event.filter = 0;
}

int kqueue(void)
{
	int fd = epoll_create1(0);

	pthread_mutex_lock(&kq_lock);
	if (fd >= KQ_TABLE)
		abort();
	/* One of that number was closed: its events went with it. */
	for (unsigned i = 0; i < KQ_MOST && fd >= 0; i++) {
		if (kq_table[fd].notes[i].event.filter)
			close(kq_table[fd].notes[i].fd);
	}
	if (fd >= 0)
		kq_table[fd] = (struct kq){ .used = true };
	pthread_mutex_unlock(&kq_lock);
	return fd;
}

static struct kq_note *kq_find(int kq, uintptr_t ident, int filter)
{
	for (unsigned i = 0; i < KQ_MOST; i++) {
		struct kq_note *note = &kq_table[kq].notes[i];

		if (note->event.filter == filter && (!filter || note->event.ident == ident))
			return note;
	}
	return NULL;
}

static uint32_t kq_events(const struct kevent *event)
{
	uint32_t events = event->filter == EVFILT_WRITE	 ? EPOLLOUT
			  : event->filter == EVFILT_READ ? EPOLLIN | EPOLLRDHUP
							 : EPOLLIN;

	return events | (event->flags & EV_CLEAR ? (uint32_t)EPOLLET : 0);
}

static int kq_add(int kq, const struct kevent *change)
{
	struct kq_note *note = kq_find(kq, change->ident, change->filter);
	int op = note ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	struct epoll_event event = { .events = kq_events(change) };

	if (!note) {
		note = kq_find(kq, 0, 0);
		if (!note)
			abort();
		note->fd = change->filter == EVFILT_USER ? eventfd(0, EFD_NONBLOCK)
			   : change->filter == EVFILT_TIMER
				   ? timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
				   : dup((int)change->ident);
	}
	if (note->fd < 0)
		return -1;
	note->event = *change;
	event.data.ptr = note;
	if (change->filter == EVFILT_TIMER) {
		struct timespec every = { .tv_sec = change->data / 1000000000,
					  .tv_nsec = change->data % 1000000000 };
		struct itimerspec spec = { .it_value = every };

		if (!(change->flags & EV_ONESHOT))
			spec.it_interval = every;
		if (!(change->fflags & NOTE_NSECONDS))
			abort();
		timerfd_settime(note->fd, 0, &spec, NULL);
	}
	return epoll_ctl(kq, op, note->fd, &event);
}

static int kq_change(int kq, const struct kevent *change)
{
	struct kq_note *note = kq_find(kq, change->ident, change->filter);

	if (change->flags & EV_ADD)
		return kq_add(kq, change);
	if (!note) {
		errno = ENOENT;
		return -1;
	}
	if (change->flags & EV_DELETE)
		kq_drop(kq, note);
	else if (change->fflags & NOTE_TRIGGER)
		eventfd_write(note->fd, 1);
	return 0;
}

/* What is told of an event; what EV_CLEAR and EV_ONESHOT do then is done. False: another thread
 * took it. */
static bool kq_tell(int kq, struct kq_note *note, uint32_t happened, struct kevent *out)
{
	uint32_t ends =
		note->event.filter == EVFILT_READ ? EPOLLRDHUP | EPOLLHUP : EPOLLHUP | EPOLLERR;
	uint64_t times;

	if (!note->event.filter)
		return false;
	*out = note->event;
	out->flags = happened & ends ? EV_EOF : 0;
	if (note->event.filter != EVFILT_USER && note->event.filter != EVFILT_TIMER)
		return true;
	if (read(note->fd, &times, sizeof(times)) < 0)
		return false;
	if (note->event.flags & EV_ONESHOT)
		kq_drop(kq, note);
	return true;
}

int kevent(int kq, const struct kevent *changes, int n_changes, struct kevent *events, int n_events,
	   const struct timespec *timeout)
{
	struct epoll_event happened[KQ_MOST];
	int ret = 0, n, told = 0;

	if (kq < 0 || kq >= KQ_TABLE || !kq_table[kq].used) {
		errno = EBADF;
		return -1;
	}
	pthread_mutex_lock(&kq_lock);
	for (int i = 0; i < n_changes && !ret; i++)
		ret = kq_change(kq, &changes[i]);
	pthread_mutex_unlock(&kq_lock);
	if (ret || !n_events)
		return ret;
	if (timeout && (timeout->tv_sec || timeout->tv_nsec))
		abort();
	do {
		n = epoll_wait(kq, happened, n_events < KQ_MOST ? n_events : KQ_MOST,
			       timeout ? 0 : -1);
		if (n <= 0)
			return n;
		pthread_mutex_lock(&kq_lock);
		for (int i = 0; i < n; i++)
			told += kq_tell(kq, happened[i].data.ptr, happened[i].events,
					&events[told]);
		pthread_mutex_unlock(&kq_lock);
	} while (!told && !timeout);
	return told;
}

#endif
