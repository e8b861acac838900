/* peer.c: the other end of a VM's console, for tests/guest/run: a terminal, or a slow reader. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static void copy_out(const char *buf, ssize_t len)
{
	if (fwrite(buf, 1, (size_t)len, stdout) != (size_t)len || fflush(stdout))
		die("standard output");
}

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static pid_t start(char **command, int in, int out, const char *terminal)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	if (terminal) { /* of a session of its own, in the foreground */
		setsid();
		in = out = open(terminal, O_RDWR);
		if (in < 0 || ioctl(in, TIOCSCTTY, 0))
			die(terminal);
	}
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		die("dup2");
	execvp(command[0], command);
	die(command[0]);
	return -1;
}

/* Reads 512 bytes every 2 ms from a pipe of 4 KiB, and nothing before the pipe has been full. */
static int slow(char **command)
{
	const struct timespec pace = { .tv_nsec = 2000000 };
	int fds[2], waiting = 0, before;
	char buf[512];
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, 4096) < 0)
		die("pipe");
	pid = start(command, STDIN_FILENO, fds[1], NULL);
	close(fds[1]);
	do { /* full: the writer has filled some of it and gets no further */
		struct pollfd pfd = { .fd = fds[0] };

		before = waiting;
		for (int i = 0; i < 10; i++)
			nanosleep(&pace, NULL);
		ioctl(fds[0], FIONREAD, &waiting);
		if (poll(&pfd, 1, 0) > 0)
			break; /* the writer is gone */
	} while (!waiting || waiting != before);
	while ((n = read(fds[0], buf, sizeof(buf))) > 0) {
		copy_out(buf, n);
		nanosleep(&pace, NULL);
	}
	return status_of(pid);
}

static int same_mode(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && !memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc));
}

/* Gives the command a terminal, types `keys` once the screen shows `prompt` and is quiet, and at
 * the end adds a line on what became of the terminal's mode. */
static int terminal(const char *prompt, const char *keys, char **command)
{
	struct termios old, during = { 0 }, after = { 0 };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	char name[64], screen[4096] = "", buf[512];
	size_t len = 0;
	int typed = 0, status = -1;
	pid_t pid;

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    ptsname_r(master, name, sizeof(name)))
		die("pseudo-terminal");
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || tcgetattr(slave, &old))
		die(name);
	pid = start(command, -1, -1, name);

	/* Once the command has gone and our slave is closed, read() fails with EIO behind the last
	 * byte. Until then look for its end each time nothing comes for 50 ms. */
	for (;;) {
		struct pollfd pfd = { .fd = master, .events = POLLIN };
		siginfo_t info = { 0 };
		ssize_t n = 0;

		if (poll(&pfd, 1, 50) > 0) {
			n = read(master, buf, sizeof(buf));
			if (n <= 0)
				break;
			copy_out(buf, n);
		}
		for (ssize_t i = 0; i < n && len < sizeof(screen) - 1; i++)
			screen[len++] = buf[i];
		if (n == 0 && !typed && strstr(screen, prompt)) {
			tcgetattr(slave, &during);
			if (write(master, keys, strlen(keys)) < 0)
				die("typing");
			typed = 1;
		}
		if (n == 0 && slave >= 0 &&
		    !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) &&
		    info.si_pid == pid) {
			status = status_of(pid);
			if (tcgetattr(slave, &after))
				die("tcgetattr");
			close(slave);
			slave = -1;
		}
	}
	printf("[terminal %s, then %s]\n", during.c_lflag & ICANON ? "cooked" : "raw",
	       same_mode(&old, &after) ? "restored" : "not restored");
	return status;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "slow"))
		return slow(argv + 2);
	if (argc > 4 && !strcmp(argv[1], "terminal"))
		return terminal(argv[2], argv[3], argv + 4);
	fprintf(stderr, "usage: peer slow COMMAND... | peer terminal PROMPT KEYS COMMAND...\n");
	return 99;
}
