/* lab_init_linux.c: the lab's first process: makes the host's files its root, runs the job, ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "lab.h"

/* Said on the machine's console, which is shown if the lab gets nowhere. */
static void complain(const char *what)
{
	fprintf(stderr, "lab: %s: %s\n", what, strerror(errno));
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		complain(path);
	if (fd >= 0)
		close(fd);
}

/* In the order of their names; one that isn't for this kernel or this processor is no harm. */
static void load_modules(void)
{
	for (unsigned i = 0;; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/modules/%03u", i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
			complain(path);
		close(fd);
	}
}

/* ---- The root ------------------------------------------------------------------------------- */

#define P9 "trans=virtio,version=9p2000.L,msize=512000,"

/* In this order. What is written below / stays in memory: the overlay's upper part. */
static const struct mount {
	const char *to, *type, *from, *options; /* type NULL: a directory alone */
	unsigned long flags;
} mounts[] = {
	{ "/host", "9p", "root", P9 "cache=loose", MS_RDONLY },
	{ "/changes", "tmpfs", "changes", "mode=755", 0 },
	{ "/changes/files", NULL, NULL, NULL, 0 },
	{ "/changes/work", NULL, NULL, NULL, 0 },
	{ "/root", "overlay", "root",
	  "lowerdir=/host,upperdir=/changes/files,workdir=/changes/work", 0 },
	{ "/root/dev", "devtmpfs", "dev", "", 0 },
	{ "/root/dev/pts", "devpts", "devpts", "ptmxmode=666", 0 },
	{ "/root/dev/shm", "tmpfs", "shm", "", 0 },
	{ "/root/proc", "proc", "proc", "", 0 },
	{ "/root/sys", "sysfs", "sys", "", 0 },
	{ "/root" LAB_RESULTS, "9p", "results", P9 "cache=none", 0 },
};

static int make_root(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		const struct mount *m = &mounts[i];

		mkdir(m->to, 0755);
		if (m->type && mount(m->from, m->to, m->type, m->flags, m->options)) {
			complain(m->to);
			return -1;
		}
	}
	/* A chroot alone could make no user namespaces, which virtiofsd and passt do. */
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/")) {
		complain("/root");
		return -1;
	}
	return 0;
}

/* As a machine is when its own init has run. */
static void settle(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		complain("lo");
	if (fd >= 0)
		close(fd);
	/* A VM may have more memory than the lab, as long as it doesn't touch it. */
	write_text("/proc/sys/vm/overcommit_memory", "1");
}

/* ---- The job -------------------------------------------------------------------------------- */

static int read_job(struct lab_job *job)
{
	FILE *in = fopen("/job", "re");
	struct stat st;
	char *text;
	int ret = -1;

	if (!in || fstat(fileno(in), &st))
		return -1;
	text = malloc((size_t)st.st_size + 1);
	if (text && fread(text, 1, (size_t)st.st_size, in) == (size_t)st.st_size)
		ret = lab_job_read(job, text, (size_t)st.st_size);
	free(text);
	fclose(in);
	return ret;
}

/* As the user would run it, at the same place and with the same environment. */
static _Noreturn void run_job(const struct lab_job *job, FILE *control)
{
	setsid();
	clearenv();
	for (size_t i = 0; i < job->env.n; i++)
		putenv(job->env.list[i]);
	/* What is written there is large, and goes straight to memory. */
	setenv("TMPDIR", "/dev/shm", 1);
	if (chdir(job->cwd)) {
		complain(job->cwd);
		_exit(1);
	}
	_exit(lab_run(job, control) ? 1 : 0);
}

/* Its end, and that of every process that has lost its parent. */
static bool wait_for(pid_t job)
{
	int status = 0;
	pid_t pid;

	do
		pid = waitpid(-1, &status, 0);
	while (pid != job && (pid > 0 || errno == EINTR));
	return pid == job && WIFEXITED(status) && !WEXITSTATUS(status);
}

static void live(void)
{
	struct lab_job job = { 0 };
	FILE *control;
	pid_t pid;

	if (read_job(&job)) {
		complain("/job");
		return;
	}
	load_modules();
	if (make_root())
		return;
	settle();
	control = fopen(job.control, "we");
	if (!control) {
		complain(job.control);
		return;
	}
	pid = fork();
	if (!pid)
		run_job(&job, control);
	if (pid < 0)
		complain("fork");
	else if (wait_for(pid))
		fputs("done\n", control);
	/* Waits until the line has taken it. */
	fclose(control);
}

void suite_lab_init(int argc, char **argv)
{
	/* The kernel puts the words that it doesn't know itself before it. */
	if (argc < 2 || strcmp(argv[argc - 1], LAB_INIT_WORD) != 0 || getpid() != 1)
		return;
	live();
	/* QEMU ends at a reset. */
	reboot(RB_AUTOBOOT);
	_exit(1);
}
