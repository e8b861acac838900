/* process_linux.c: what the runner takes of Linux: signals and ends of processes that can be waited
 * for together, children that don't outlive their parent, files in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "suite_private.h"

int suite_signals(sigset_t *old)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
		if (!sigaction(stops[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, stops[i]);
	}
	sigprocmask(SIG_BLOCK, &set, old);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int suite_signal_take(int signals)
{
	struct signalfd_siginfo info;

	return read(signals, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

int suite_end_of(pid_t child)
{
	return (int)syscall(SYS_pidfd_open, child, 0);
}

/* The parent may have died before it could be told. */
bool suite_die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return getppid() == parent;
}

int suite_memory_file(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC);
}

void suite_memory_trim(int fd, off_t keep)
{
	struct stat st;

	if (!fstat(fd, &st) && st.st_blocks > 2 * keep / 512)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size - keep);
}
