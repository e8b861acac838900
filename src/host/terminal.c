/* terminal.c: raw mode, and the way back on every way out.
 *
 * Raw means input only: the guest gets each key at once, Ctrl-C included. Output processing stays
 * as the user has it, so that a lone newline, from a small guest or from our own messages, still
 * begins a new line.
 *
 * Signal handlers are installed only where the program has none. Everything they use is
 * async-signal-safe (POSIX.1-2017, XSH 2.4.3), tcsetattr and tcgetpgrp included.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/host.h>

static _Atomic int raw_fd = -1; /* the terminal that is raw, or was when we were stopped */
static struct termios saved, raw;

/* Job control lets only the foreground change a terminal. One that doesn't control this process
 * has no foreground. */
static bool in_background(int fd)
{
	pid_t group = tcgetpgrp(fd);

	return group >= 0 && group != getpgrp();
}

void terminal_restore(void)
{
	int error = errno, fd = atomic_exchange(&raw_fd, -1);

	if (fd >= 0 && !in_background(fd))
		tcsetattr(fd, TCSANOW, &saved);
	errno = error;
}

/* SA_RESETHAND has put the default action back: it comes with the return from here. */
static void on_fatal(int sig)
{
	terminal_restore();
	raise(sig);
}

static void on_continue(int sig)
{
	int error = errno, fd = raw_fd;

	(void)sig;
	if (fd >= 0 && !in_background(fd))
		tcsetattr(fd, TCSANOW, &raw);
	errno = error;
}

static void handle(int sig, void (*fn)(int), int flags)
{
	struct sigaction action = { .sa_handler = fn, .sa_flags = flags };

	sigfillset(&action.sa_mask);
	sigaction(sig, &action, NULL);
}

static void on_stop(int sig)
{
	int error = errno, fd = raw_fd;
	sigset_t set;

	if (fd >= 0 && !in_background(fd))
		tcsetattr(fd, TCSANOW, &saved);
	signal(sig, SIG_DFL);
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* stops here; on_continue comes next */
	handle(sig, on_stop, SA_RESTART);
	errno = error;
}

static void handle_if_default(int sig, void (*fn)(int), int flags)
{
	struct sigaction old;

	if (!sigaction(sig, NULL, &old) && !(old.sa_flags & SA_SIGINFO) &&
	    old.sa_handler == SIG_DFL)
		handle(sig, fn, flags);
}

static void install_once(void)
{
	static const int fatal[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGILL,	 SIGTRAP, SIGABRT,
				     SIGBUS,  SIGFPE,  SIGSEGV, SIGTERM, SIGALRM, SIGUSR1,
				     SIGUSR2, SIGXCPU, SIGXFSZ, SIGSYS };
	static bool done;

	if (done)
		return;
	done = true;
	atexit(terminal_restore);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		handle_if_default(fatal[i], on_fatal, (int)SA_RESETHAND);
	handle_if_default(SIGTSTP, on_stop, SA_RESTART);
	handle_if_default(SIGCONT, on_continue, SA_RESTART);
}

int terminal_raw(int fd)
{
	struct termios mode;

	if (!isatty(fd))
		return -ENOTTY;
	if (in_background(fd))
		return -EAGAIN;
	if (raw_fd == fd) /* back in the foreground */
		return tcsetattr(fd, TCSANOW, &raw) ? -errno : 0;
	if (tcgetattr(fd, &mode))
		return -errno;
	saved = mode;
	mode.c_iflag &=
		~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	mode.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	raw = mode;
	install_once();
	raw_fd = fd; /* before the change: a signal in between must undo it */
	if (tcsetattr(fd, TCSANOW, &raw)) {
		int error = errno;

		raw_fd = -1;
		return -error;
	}
	return 0;
}
