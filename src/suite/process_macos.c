/* process_macos.c: what the runner takes of macOS; see process_linux.c. All that can be waited for
 * is a kqueue(2), which is readable while it has an event. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/host.h>

#include "suite_private.h"

static int watch(int kq, uintptr_t ident, int filter, unsigned flags, unsigned fflags)
{
	struct kevent event;

	EV_SET(&event, ident, (int16_t)filter, (uint16_t)flags, fflags, 0, NULL);
	return kevent(kq, &event, 1, NULL, 0, NULL);
}

static int new_kqueue(void)
{
	int kq = kqueue();

	if (kq >= 0)
		fcntl(kq, F_SETFD, FD_CLOEXEC);
	return kq;
}

static int close_with(int kq, int errnum)
{
	close(kq);
	errno = errnum;
	return -1;
}

/* Its events tell of blocked signals as well. */
int suite_signals(sigset_t *old)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;
	int kq = new_kqueue();
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
		if (sigaction(stops[i], NULL, &action) || action.sa_handler == SIG_IGN)
			continue;
		sigaddset(&set, stops[i]);
		if (kq >= 0 && watch(kq, (uintptr_t)stops[i], EVFILT_SIGNAL, EV_ADD, 0))
			kq = close_with(kq, errno);
	}
	sigprocmask(SIG_BLOCK, &set, old);
	return kq;
}

/* And takes the signal itself, which would be delivered when it is let in again. */
int suite_signal_take(int signals)
{
	static const struct timespec now;
	struct kevent event;
	sigset_t set;
	int sig;

	if (kevent(signals, NULL, 0, &event, 1, &now) != 1)
		return 0;
	sigpending(&set);
	if (sigismember(&set, (int)event.ident)) {
		sigemptyset(&set);
		sigaddset(&set, (int)event.ident);
		sigwait(&set, &sig);
	}
	return (int)event.ident;
}

/* One that has ended already can't be watched any more. */
int suite_end_of(pid_t child)
{
	int kq = new_kqueue();

	if (kq < 0 || !watch(kq, (uintptr_t)child, EVFILT_PROC, EV_ADD, NOTE_EXIT))
		return kq;
	if (errno == ESRCH && !watch(kq, 0, EVFILT_USER, EV_ADD, 0) &&
	    !watch(kq, 0, EVFILT_USER, 0, NOTE_TRIGGER))
		return kq;
	return close_with(kq, errno);
}

static void *await_parent(void *arg)
{
	int kq = (int)(intptr_t)arg;
	struct kevent event;

	while (kevent(kq, NULL, 0, &event, 1, NULL) != 1)
		;
	kill(getpid(), SIGKILL);
	return NULL;
}

/* By a thread: no signal tells of it here. Without one the child outlives its parent, at worst
 * until its time is up. */
bool suite_die_with(pid_t parent)
{
	pthread_t thread;
	int kq = new_kqueue();

	if (kq >= 0 && watch(kq, (uintptr_t)parent, EVFILT_PROC, EV_ADD, NOTE_EXIT) &&
	    errno == ESRCH)
		return false;
	if (kq >= 0 && !thread_start(&thread, await_parent, (void *)(intptr_t)kq))
		pthread_detach(thread);
	return getppid() == parent;
}

int suite_memory_file(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC);
}

/* Whole blocks alone can be given back. */
void suite_memory_trim(int fd, off_t keep)
{
	fpunchhole_t hole = { 0 };
	struct stat st;

	if (fstat(fd, &st) || st.st_blocks <= 2 * keep / 512)
		return;
	hole.fp_length = (st.st_size - keep) / st.st_blksize * st.st_blksize;
	fcntl(fd, F_PUNCHHOLE, &hole);
}
