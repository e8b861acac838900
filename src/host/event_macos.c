/* event_macos.c: bells, timers and sets are all kqueues.
 *
 * A kqueue is readable itself while it has an event to give; so one that has a single event of its
 * own, an EVFILT_USER or an EVFILT_TIMER, is a descriptor that another one can watch. What is said
 * here of the filters is kqueue(2)'s.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vibevmm/event.h>
#include <vibevmm/host.h>

static int new_kqueue(void)
{
	int kq = kqueue();

	if (kq < 0)
		return -errno;
	fcntl(kq, F_SETFD, FD_CLOEXEC);
	return kq;
}

static int change(int kq, uintptr_t ident, int filter, unsigned flags, unsigned fflags,
		  uint64_t data, void *ptr)
{
	struct kevent event;

	EV_SET(&event, ident, (int16_t)filter, (uint16_t)flags, fflags, (intptr_t)data, ptr);
	return kevent(kq, &event, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

/* The next event, if there is one, or once there is one. */
static bool take(int kq, const struct timespec *timeout)
{
	struct kevent event;

	return kevent(kq, NULL, 0, &event, 1, timeout) == 1;
}

static const struct timespec now;

/* ---- Bells ----------------------------------------------------------------------------------- */

int event_bell(void)
{
	int kq = new_kqueue(), ret;

	if (kq < 0)
		return kq;
	ret = change(kq, 0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL);
	if (!ret)
		return kq;
	close(kq);
	return ret;
}

int event_doorbell(void)
{
	return event_bell();
}

void event_ring(int bell)
{
	change(bell, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
}

bool event_heard(int bell)
{
	return take(bell, &now);
}

void event_await(int bell)
{
	while (!take(bell, NULL) && errno == EINTR)
		;
}

/* ---- Timers ---------------------------------------------------------------------------------- */

int event_timer(void)
{
	return new_kqueue();
}

/* One that fired and wasn't taken goes with it. */
static void set_timer(int timer, unsigned flags, uint64_t ns)
{
	change(timer, 0, EVFILT_TIMER, EV_DELETE, 0, 0, NULL);
	if (flags)
		change(timer, 0, EVFILT_TIMER, EV_ADD | flags, NOTE_NSECONDS, ns, NULL);
}

/* Absolute times of the filter are the calendar's. */
void event_timer_at(int timer, uint64_t at)
{
	uint64_t begin = loop_now();

	set_timer(timer, at ? EV_ONESHOT : 0, at > begin ? at - begin : 1);
}

void event_timer_every(int timer, uint64_t ns)
{
	set_timer(timer, ns ? EV_CLEAR : 0, ns);
}

bool event_due(int timer)
{
	return take(timer, &now);
}

/* ---- Sets ------------------------------------------------------------------------------------ */

int event_set(void)
{
	return new_kqueue();
}

static int watch(int set, int fd, int filter, bool on, uint32_t events, void *ptr)
{
	unsigned edge = events & EVENT_EDGE ? EV_CLEAR : 0;
	int ret = change(set, (uintptr_t)fd, filter, on ? EV_ADD | edge : EV_DELETE, 0, 0, ptr);

	return ret == -ENOENT && !on ? 0 : ret;
}

int event_change(int set, int fd, uint32_t events, void *ptr)
{
	int ret = watch(set, fd, EVFILT_READ, events & (EVENT_IN | EVENT_RDHUP), events, ptr);

	return ret ? ret : watch(set, fd, EVFILT_WRITE, events & EVENT_OUT, events, ptr);
}

int event_add(int set, int fd, uint32_t events, void *ptr)
{
	int ret = event_change(set, fd, events, ptr);

	if (ret)
		event_remove(set, fd);
	return ret;
}

void event_remove(int set, int fd)
{
	event_change(set, fd, 0, NULL);
}

/* EV_EOF of a reader says that no more will come; of a writer, that nobody reads. A stream's other
 * end that may still read has a name. */
static uint32_t meaning(const struct kevent *event)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (event->flags & EV_ERROR)
		return EVENT_ERR;
	if (event->filter == EVFILT_WRITE)
		return EVENT_OUT | (event->flags & EV_EOF ? EVENT_HUP : 0);
	if (!(event->flags & EV_EOF))
		return EVENT_IN;
	if (!getpeername((int)event->ident, (struct sockaddr *)&peer, &len))
		return EVENT_IN | EVENT_RDHUP;
	return EVENT_IN | EVENT_RDHUP | EVENT_HUP;
}

int event_wait(int set, struct event events[EVENT_MOST])
{
	struct kevent happened[EVENT_MOST];
	int n = kevent(set, NULL, 0, happened, EVENT_MOST, NULL);

	for (int i = 0; i < n; i++)
		events[i] = (struct event){ meaning(&happened[i]), happened[i].udata };
	return n < 0 ? 0 : n;
}
