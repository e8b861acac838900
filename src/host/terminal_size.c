/* terminal_size.c: when the terminal's size changes. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include <vibevmm/host.h>

#include "terminal_size.h"

static int event = -1;

static void on_resize(int sig)
{
	int error = errno;

	(void)sig;
	terminal_size_tell();
	errno = error;
}

static void install_once(void)
{
	struct sigaction action = { .sa_handler = on_resize, .sa_flags = SA_RESTART }, old;

	if (sigaction(SIGWINCH, NULL, &old) || old.sa_flags & SA_SIGINFO ||
	    old.sa_handler != SIG_DFL)
		return; /* a handler of the program's own stays */
	event = terminal_size_open();
	if (event >= 0)
		sigaction(SIGWINCH, &action, NULL);
}

int terminal_size_event(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install_once);
	return event;
}
