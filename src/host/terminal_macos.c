/* terminal_macos.c: when the terminal's size changes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <vibevmm/host.h>

/* A pipe that nobody reads: each byte that comes is an edge. */
static int ends[2] = { -1, -1 };

static void on_resize(int sig)
{
	int error = errno;
	char old[512];

	(void)sig;
	if (write(ends[1], "", 1) < 0) {
		while (read(ends[0], old, sizeof(old)) > 0)
			;
		if (write(ends[1], "", 1) < 0)
			errno = error; /* the next one tells */
	}
	errno = error;
}

static void install_once(void)
{
	struct sigaction action = { .sa_handler = on_resize, .sa_flags = SA_RESTART }, old;

	if (sigaction(SIGWINCH, NULL, &old) || old.sa_flags & SA_SIGINFO ||
	    old.sa_handler != SIG_DFL)
		return; /* a handler of the program's own stays */
	if (!pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		sigaction(SIGWINCH, &action, NULL);
}

int terminal_size_event(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install_once);
	return ends[0];
}
