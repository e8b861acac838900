/* disk_qemu_linux.c: a qemu-nbd of our own, which knows image formats that we don't.
 *
 * It inherits a listening socket, as sd_listen_fds(3) describes, to which we are connected already
 * and whose name is gone: so nobody else gets in, nothing has to be waited for, and nothing stays
 * behind. It ends when the last connection does, or at the latest with the thread that made it:
 * what the guest has not flushed may be lost then, as when QEMU itself is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/unixsock.h>

#include "disk_private.h"

#define LISTEN_FD  3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define FAILED_FD  4
#define PATIENCE   10000 /* ms, for its end */
#define ARGUMENTS  16
#define OPTION_MAX 64

struct disk_qemu {
	pid_t pid;
	int pidfd;
	int said; /* its standard error; -1: read already */
	char complaint[300];
};

/* ---- A command line -------------------------------------------------------------------------- */

/* The image as QEMU's option syntax has it, where a comma in a value is doubled. The format is
 * named, and so is what holds it: names that look like a protocol's are names of files. */
static char *image_option(const struct disk_config *config)
{
	struct stat st;
	bool device = !stat(config->path, &st) && S_ISBLK(st.st_mode);
	char *text = malloc(2 * strlen(config->path) + 2 * OPTION_MAX), *end;

	if (!text)
		return NULL;
	end = text + sprintf(text, "driver=qcow2,file.driver=%s,file.filename=",
			     device ? "host_device" : "file");
	for (const char *c = config->path; *c; c++) {
		if (*c == ',')
			*end++ = ',';
		*end++ = *c;
	}
	*end = 0;
	return text;
}

static void fill_arguments(const struct disk_config *config, unsigned n, char *shared, char *image,
			   const char **argv)
{
	static const char *const cache[] = {
		[DISK_WRITEBACK] = "--cache=writeback",
		[DISK_DIRECT] = "--cache=none",
		[DISK_UNSAFE] = "--cache=unsafe",
	};

	snprintf(shared, OPTION_MAX, "--shared=%u", n);
	*argv++ = "qemu-nbd";
	*argv++ = shared;
	*argv++ = cache[config->ephemeral ? DISK_UNSAFE : config->cache];
	*argv++ = "--discard=unmap";
	if (config->read_only)
		*argv++ = "--read-only";
	else if (config->ephemeral)
		*argv++ = "--snapshot";
	*argv++ = "--image-opts";
	*argv++ = image;
	*argv = NULL;
}

/* Our environment and what sd_listen_fds(3) wants; the child writes its number to *pid. */
static char **make_environment(char *pid)
{
	static char one[] = "LISTEN_FDS=1";
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 3, sizeof(*env));
	if (!env)
		return NULL;
	/* The first of two values wins. */
	env[0] = one;
	env[1] = pid;
	memcpy(env + 2, environ, n * sizeof(*env));
	return env;
}

/* ---- A child --------------------------------------------------------------------------------- */

struct child {
	int listening, said, failed;
	pid_t parent;
	char **env, *pid;
	const char *argv[ARGUMENTS];
};

/* Between fork and exec, other threads' locks may be held for ever: system calls alone. */
static _Noreturn void become_qemu(const struct child *c)
{
	char digits[24], *d = digits + sizeof(digits), *to = c->pid + strlen(c->pid);
	long pid = (long)getpid();
	sigset_t none;
	int errnum;

	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	/* No Ctrl-C of the user's: the guest is still writing then. */
	setsid();
	/* While qemu-nbd starts it loses a SIGTERM, and the end of a connection that it has not
	 * yet talked to doesn't end it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != c->parent)
		_exit(1);
	for (; pid; pid /= 10)
		*--d = (char)('0' + pid % 10);
	while (d < digits + sizeof(digits))
		*to++ = *d++;
	*to = 0;
	/* Each was made above where it goes to. */
	if (dup2(c->listening, LISTEN_FD) < 0 || dup3(c->failed, FAILED_FD, O_CLOEXEC) < 0 ||
	    dup2(c->said, STDOUT_FILENO) < 0 || dup2(c->said, STDERR_FILENO) < 0)
		_exit(1);
	close(STDIN_FILENO);
	open("/dev/null", O_RDONLY);
	close_range(FAILED_FD + 1, ~0U, 0);
	execvpe(c->argv[0], (char *const *)c->argv, c->env);
	errnum = errno;
	if (write(FAILED_FD, &errnum, sizeof(errnum)) < 0)
		_exit(1);
	_exit(127);
}

/* A pipe's ends, both above those that the child has. */
static int make_pipe(int *ends)
{
	int low[2], ret = 0;

	ends[0] = ends[1] = -1;
	if (pipe2(low, O_CLOEXEC))
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, FAILED_FD + 1);
		if (ends[i] < 0)
			ret = -errno;
	}
	close(low[0]);
	close(low[1]);
	for (unsigned i = 0; i < 2 && ret; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
	}
	return ret;
}

/* Starts it. 0, or -errno: of exec, too. */
static int spawn(struct child *c, struct disk_qemu *qemu)
{
	int said[2], failed[2], errnum = 0, ret;
	ssize_t n;

	ret = make_pipe(said);
	if (ret)
		return ret;
	ret = make_pipe(failed);
	if (ret) {
		close(said[0]);
		close(said[1]);
		return ret;
	}
	c->said = said[1];
	c->failed = failed[1];
	c->parent = getpid();
	qemu->pid = fork();
	if (!qemu->pid)
		become_qemu(c);
	ret = qemu->pid < 0 ? -errno : 0;
	close(said[1]);
	close(failed[1]);
	if (!ret) {
		/* Comes to its end when exec has closed the other one. */
		while ((n = read(failed[0], &errnum, sizeof(errnum))) < 0 && errno == EINTR)
			;
		ret = n > 0 ? -errnum : 0;
		if (ret)
			waitpid(qemu->pid, NULL, 0);
	}
	close(failed[0]);
	if (ret)
		close(said[0]);
	else
		qemu->said = said[0];
	return ret;
}

int disk_qemu_start(const struct disk_config *config, int *sockets, unsigned n,
		    struct disk_qemu **qemu, struct err *err)
{
	char shared[OPTION_MAX], pid[OPTION_MAX] = "LISTEN_PID=", *image = image_option(config);
	struct disk_qemu *q = calloc(1, sizeof(*q));
	struct child c = { .pid = pid, .env = make_environment(pid) };
	int ret = -ENOMEM, listening = -1, high;

	if (!q || !image || !c.env) {
		err_set(err, ENOMEM, STATUS_OSERR, "out of memory");
		goto out;
	}
	fill_arguments(config, n, shared, image, c.argv);
	ret = unixsock_private(&listening, sockets, n);
	if (ret) {
		err_errno(err, -ret, STATUS_OSERR, "can't make a socket for qemu-nbd");
		goto out;
	}
	high = fcntl(listening, F_DUPFD_CLOEXEC, FAILED_FD + 1);
	close(listening);
	c.listening = high;
	ret = high < 0 ? -errno : spawn(&c, q);
	if (high >= 0)
		close(high);
	if (ret) {
		if (ret == -ENOENT)
			err_set(err, ENOENT, STATUS_UNAVAILABLE,
				"qcow2 images take qemu-nbd, which is not here: install it "
				"(Debian: "
				"apt install qemu-utils), or convert the image to a raw one");
		else
			err_errno(err, -ret, STATUS_OSERR, "can't start qemu-nbd");
		for (unsigned i = 0; i < n; i++)
			close(sockets[i]);
		goto out;
	}
	q->pidfd = (int)syscall(SYS_pidfd_open, q->pid, 0);
	*qemu = q;
	q = NULL;
out:
	free(q);
	free(image);
	free(c.env);
	return ret;
}

/* ---- Its end --------------------------------------------------------------------------------- */

static bool ends(const struct disk_qemu *qemu)
{
	struct pollfd end = { .fd = qemu->pidfd, .events = POLLIN };

	return qemu->pidfd >= 0 && poll(&end, 1, PATIENCE) == 1;
}

static void await_end(struct disk_qemu *qemu)
{
	if (!qemu->pid)
		return;
	if (!ends(qemu)) {
		kill(qemu->pid, SIGTERM);
		if (!ends(qemu))
			kill(qemu->pid, SIGKILL);
	}
	while (waitpid(qemu->pid, NULL, 0) < 0 && errno == EINTR)
		;
	qemu->pid = 0;
}

const char *disk_qemu_complaint(struct disk_qemu *qemu)
{
	ssize_t n;

	await_end(qemu);
	n = read(qemu->said, qemu->complaint, sizeof(qemu->complaint) - 1);
	if (n > 0)
		qemu->complaint[n] = 0;
	qemu->complaint[strcspn(qemu->complaint, "\n")] = 0;
	return qemu->complaint;
}

void disk_qemu_end(struct disk_qemu *qemu)
{
	if (!qemu)
		return;
	await_end(qemu);
	if (qemu->pidfd >= 0)
		close(qemu->pidfd);
	close(qemu->said);
	free(qemu);
}
