/* terminal_linux.c: when the terminal's size changes. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <vibevmm/host.h>

static int event = -1;

static void on_resize(int sig)
{
	int error = errno;

	(void)sig;
	eventfd_write(event, 1); /* write(2), in glibc and musl */
	errno = error;
}

static void install_once(void)
{
	struct sigaction action = { .sa_handler = on_resize, .sa_flags = SA_RESTART }, old;

	if (sigaction(SIGWINCH, NULL, &old) || old.sa_flags & SA_SIGINFO ||
	    old.sa_handler != SIG_DFL)
		return; /* a handler of the program's own stays */
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event >= 0)
		sigaction(SIGWINCH, &action, NULL);
}

int terminal_size_event(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install_once);
	return event;
}
