/* signals_macos.c: handlers run on a thread of their own: the hypervisor may keep a signal waiting
 * until the guest leaves it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "machine_private.h"

/* A process runs one machine. */
static int ends[2]; /* a pipe whose end is the thread's */
static pthread_t thread;
static bool listening;
static sigset_t before;

static void *listen(void *arg)
{
	sigset_t all;
	char byte;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	pthread_sigmask(SIG_UNBLOCK, arg, NULL);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	return NULL;
}

/* And the terminal's (terminal.c, terminal_macos.c), which the guest would keep waiting as well. If
 * there is no thread to be had, the handlers run as they would without one. */
void machine_signals_listen(const sigset_t *set)
{
	static const int terminals[] = { SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH };
	static sigset_t listened;

	listened = *set;
	for (size_t i = 0; i < ARRAY_SIZE(terminals); i++)
		sigaddset(&listened, terminals[i]);
	if (pipe2(ends, O_CLOEXEC))
		return;
	pthread_sigmask(SIG_BLOCK, &listened, &before);
	listening = !pthread_create(&thread, NULL, listen, &listened);
	if (listening)
		return;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	close(ends[1]);
}

void machine_signals_deafen(void)
{
	if (!listening)
		return;
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	listening = false;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
