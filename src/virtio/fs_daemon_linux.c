/* fs_daemon_linux.c: virtiofsd, the program that serves a shared folder, as our child.
 *
 * There are two programs of that name: one in C, which came with QEMU until 7.2, and its successor
 * in Rust. Both listen at a socket that they inherit, and both must be root, be it of a user
 * namespace of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vibevmm/shell.h>
#include <vibevmm/unixsock.h>

#include "fs_daemon.h"

enum { END_MS = 2000 };

struct launch {
	const struct fs_daemon_config *config;
	char program[64];   /* its path */
	bool in_c;	    /* which of the two it is */
	int listener;	    /* the child's socket */
	int report;	    /* where the child says what it can't do */
	const char **words; /* its command line */
	char maps[2][32];   /* user and group namespace maps; empty: none */
};

/* ---- The command line ---------------------------------------------------------------------- */

/* As the C program's option parser, libfuse's, reads it: commas and backslashes are escaped. NULL:
 * out of memory. */
static char *escape(const char *text)
{
	char *escaped = malloc(2 * strlen(text) + 1), *to = escaped;

	for (; escaped && *text; text++) {
		if (*text == ',' || *text == '\\')
			*to++ = '\\';
		*to++ = *text;
	}
	if (escaped)
		*to = '\0';
	return escaped;
}

/* The child's command line: MADE words of our own making, NULL for lack of memory, and fixed ones.
 */
enum { MADE = 3, MAX_WORDS = 12 };

static bool make_words(const struct launch *launch, char *made[MADE], const char *words[MAX_WORDS])
{
	const struct fs_daemon_config *config = launch->config;
	const char *box = config->sandbox == FS_CHROOT ? "chroot" : "namespace";
	bool in_c = launch->in_c;
	char *folder = in_c ? escape(config->path) : strdup(config->path);
	unsigned n = 0;
	bool ok = folder;

	for (unsigned i = 0; i < MADE; i++)
		made[i] = NULL;
	ok = ok && asprintf(&made[0], "--fd=%d", launch->listener) >= 0 &&
	     asprintf(&made[1], in_c ? "source=%s" : "--shared-dir=%s", folder) >= 0 &&
	     asprintf(&made[2], in_c ? "sandbox=%s" : "--sandbox=%s", box) >= 0;
	free(folder);
	words[n++] = FS_DAEMON_PROGRAM;
	words[n++] = made[0];
	for (unsigned i = 1; i < MADE; i++) {
		if (in_c)
			words[n++] = "-o";
		words[n++] = made[i];
	}
	if (in_c)
		words[n++] = "-o";
	words[n++] = in_c ? "log_level=err" : "--log-level=error";
	if (*launch->maps[0]) /* its own limit is all that a user has */
		words[n++] = "--rlimit-nofile=0";
	words[n] = NULL;
	return ok;
}

/* ---- In the child: system calls alone ------------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Root of a namespace of its own, as this user outside. user_namespaces(7): a user may map himself,
 * if he gives up setgroups(2). */
static int become_root(const struct launch *launch)
{
	struct rlimit files;
	int ret;

	if (!*launch->maps[0])
		return 0;
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (unshare(CLONE_NEWUSER))
		return -errno;
	ret = write_file("/proc/self/setgroups", "deny");
	if (!ret)
		ret = write_file("/proc/self/uid_map", launch->maps[0]);
	return ret ? ret : write_file("/proc/self/gid_map", launch->maps[1]);
}

/* The folder, and what is mounted below it, can't be written any more, here. */
static int protect(const char *path)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(path, path, NULL, MS_BIND | MS_REC, NULL) ||
	    mount_setattr(AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)))
		return -errno;
	return 0;
}

/* What fails in the child, as it reports it. */
enum stage { STAGE_USER, STAGE_READ_ONLY, STAGE_EXEC };

struct report {
	enum stage stage;
	int error; /* -errno */
};

static void child(const struct launch *launch) __attribute__((noreturn));
static void child(const struct launch *launch)
{
	struct report report = { STAGE_USER, 0 };
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	/* What the user types at the terminal is for the VM; what it prints is no console's. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	fcntl(launch->listener, F_SETFD, 0);
	report.error = become_root(launch);
	if (!report.error && launch->config->read_only) {
		report.stage = STAGE_READ_ONLY;
		report.error = protect(launch->config->path);
	}
	if (!report.error) {
		execv(launch->program, (char **)launch->words);
		report.stage = STAGE_EXEC;
		report.error = -errno;
	}
	if (write(launch->report, &report, sizeof(report)) < 0)
		_exit(126);
	_exit(127);
}

/* ---- Start and end ------------------------------------------------------------------------- */

static int explain(const struct launch *launch, const struct report *report, struct err *err)
{
	switch (report->stage) {
	case STAGE_USER:
		return err_errno(err, -report->error, STATUS_UNAVAILABLE,
				 "sharing a folder takes root, or a user namespace, which this "
				 "user can't have here");
	case STAGE_READ_ONLY:
		return err_errno(err, -report->error, STATUS_UNAVAILABLE,
				 "can't make '%s' read-only for %s, which takes Linux 5.12 and a "
				 "mount namespace",
				 launch->config->path, launch->program);
	default:
		return err_errno(err, -report->error, STATUS_UNAVAILABLE, "can't start %s",
				 launch->program);
	}
}

static int spawn(const struct launch *launch, pid_t *pid, struct err *err)
{
	int ends[2], status;
	struct launch copy = *launch;
	struct report report;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC))
		return err_errno(err, errno, STATUS_OSERR, "can't make a pipe");
	copy.report = ends[1];
	*pid = fork();
	if (!*pid)
		child(&copy);
	close(ends[1]);
	if (*pid < 0) {
		close(ends[0]);
		return err_errno(err, errno, STATUS_OSERR, "can't start %s", launch->program);
	}
	/* It closes the pipe by becoming the program. */
	while ((n = read(ends[0], &report, sizeof(report))) < 0 && errno == EINTR)
		;
	close(ends[0]);
	if (n != sizeof(report))
		return 0;
	while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
		;
	return explain(launch, &report, err);
}

int fs_daemon_start(struct fs_daemon *daemon, const struct fs_daemon_config *config,
		    struct err *err)
{
	struct launch launch = { .config = config };
	const char *words[MAX_WORDS];
	char *made[MADE];
	int listener, connection, ret;
	pid_t pid = -1;

	if (!shell_find(FS_DAEMON_PROGRAM, FS_DAEMON_FOLDERS, launch.program,
			sizeof(launch.program)))
		return err_set(err, ENOENT, STATUS_UNAVAILABLE,
			       "sharing a folder needs the program virtiofsd, which is not "
			       "installed; on Debian, `sudo apt install virtiofsd`, or "
			       "qemu-system-common up to Debian 12");
	launch.in_c = !strcmp(launch.program, FS_DAEMON_IN_C "/" FS_DAEMON_PROGRAM);
	if (geteuid()) {
		snprintf(launch.maps[0], sizeof(launch.maps[0]), "0 %u 1", geteuid());
		snprintf(launch.maps[1], sizeof(launch.maps[1]), "0 %u 1", getegid());
	}
	ret = unixsock_private(&listener, &connection, 1);
	if (ret)
		return err_errno(err, -ret, STATUS_OSERR, "can't make a socket in TMPDIR, or /tmp");
	launch.listener = listener;
	launch.words = words;
	if (make_words(&launch, made, words))
		ret = spawn(&launch, &pid, err);
	else
		ret = err_set(err, ENOMEM, STATUS_OSERR, "out of memory");
	for (unsigned i = 0; i < MADE; i++)
		free(made[i]);
	close(listener);
	if (ret) {
		close(connection);
		return ret;
	}
	*daemon = (struct fs_daemon){ .pid = pid, .fd = connection };
	return 0;
}

int fs_daemon_end(struct fs_daemon *daemon, bool wait)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, daemon->pid, 0),
			      .events = POLLIN };
	struct pollfd hangup = { .fd = daemon->fd };
	int status = 0;

	/* In its sandbox it is a second process, of the same group; that hangs up when it has given
	 * back the guest's memory. */
	if (!wait || poll(&end, 1, END_MS) <= 0) {
		kill(-daemon->pid, SIGKILL);
		poll(&hangup, 1, END_MS);
		poll(&end, 1, END_MS);
	}
	close(daemon->fd);
	if (end.fd >= 0)
		close(end.fd);
	/* One that hangs in a file system that doesn't answer is not waited for. */
	waitpid(daemon->pid, &status, WNOHANG);
	*daemon = (struct fs_daemon){ .pid = -1, .fd = -1 };
	return status;
}
