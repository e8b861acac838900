/* event.h: kqueue(2) as far as src/host/event_macos.c takes it, for a double of it on Linux. Names
 * are macOS's; numbers are our own.
 */
#ifndef TESTS_SYS_EVENT_H
#define TESTS_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

struct kevent {
	uintptr_t ident;
	int16_t filter;
	uint16_t flags;
	uint32_t fflags;
	intptr_t data;
	void *udata;
};

enum { EVFILT_READ = -1, EVFILT_WRITE = -2, EVFILT_TIMER = -7, EVFILT_USER = -10 };
enum { EV_ADD = 1, EV_DELETE = 2, EV_ONESHOT = 16, EV_CLEAR = 32, EV_ERROR = 64, EV_EOF = 128 };
enum { NOTE_NSECONDS = 4, NOTE_TRIGGER = 8 };

#define EV_SET(e, i, fi, fl, ff, d, u) (*(e) = (struct kevent){ (i), (fi), (fl), (ff), (d), (u) })

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int n_changes, struct kevent *events, int n_events,
	   const struct timespec *timeout);

#endif
