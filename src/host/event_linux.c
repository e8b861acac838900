/* event_linux.c: bells are eventfds, timers timerfds, sets epolls. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <vibevmm/event.h>

#define SECOND 1000000000ULL

_Static_assert(EVENT_IN == EPOLLIN && EVENT_OUT == EPOLLOUT && EVENT_ERR == EPOLLERR &&
		       EVENT_HUP == EPOLLHUP && EVENT_RDHUP == EPOLLRDHUP &&
		       EVENT_EDGE == (uint32_t)EPOLLET,
	       "events need no translation");

int event_bell(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int event_doorbell(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void event_ring(int bell)
{
	const uint64_t once = 1;

	/* It can fail only where it was rung 2^64 - 2 times. */
	if (write(bell, &once, sizeof(once)) < 0)
		return;
}

/* Bells and timers alike: how often, in 8 bytes. */
static bool take(int fd)
{
	uint64_t times;

	return read(fd, &times, sizeof(times)) == (ssize_t)sizeof(times);
}

bool event_heard(int bell)
{
	return take(bell);
}

void event_await(int bell)
{
	while (!take(bell) && errno == EINTR)
		;
}

int event_timer(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };
}

void event_timer_at(int timer, uint64_t at)
{
	struct itimerspec spec = { .it_value = to_timespec(at) };

	timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

void event_timer_every(int timer, uint64_t ns)
{
	struct itimerspec spec = { .it_value = to_timespec(ns), .it_interval = to_timespec(ns) };

	timerfd_settime(timer, 0, &spec, NULL);
}

bool event_due(int timer)
{
	return take(timer);
}

int event_set(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int control(int set, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event event = { .events = events, .data.ptr = ptr };

	return epoll_ctl(set, op, fd, &event) ? -errno : 0;
}

int event_add(int set, int fd, uint32_t events, void *ptr)
{
	return control(set, EPOLL_CTL_ADD, fd, events, ptr);
}

int event_change(int set, int fd, uint32_t events, void *ptr)
{
	return control(set, EPOLL_CTL_MOD, fd, events, ptr);
}

void event_remove(int set, int fd)
{
	epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL);
}

int event_wait(int set, struct event events[EVENT_MOST])
{
	struct epoll_event happened[EVENT_MOST];
	int n = epoll_wait(set, happened, EVENT_MOST, -1);

	for (int i = 0; i < n; i++)
		events[i] = (struct event){ happened[i].events, happened[i].data.ptr };
	return n < 0 ? 0 : n;
}
