/* run_child.c: a process for each VM: forked, watched, ended.
 *
 * It is forked without exec from the runner, which has a single thread, and has all in memory that
 * it needs. It is in a group of its own, so that Ctrl-C reaches the runner alone, and dies with the
 * runner, be that killed. What it says goes to files in memory, which nobody has to clean up.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vibevmm/host.h>
#include <vibevmm/timeline.h>

#include "suite_private.h"

#define KEEP	(16 << 20)    /* of its output, while it runs */
#define PUSH_NS 250000000ULL  /* from the first SIGTERM to the second, ... */
#define KILL_NS 2000000000ULL /* ... and from that to SIGKILL */
#define HANG_NS 5000000000ULL /* beyond the case's own time limit, at scale 1 */

static void be_child(const struct suite_child *child, const struct suite_case *c,
		     const struct suite_options *options, pid_t runner) __attribute__((noreturn));
static void be_child(const struct suite_child *child, const struct suite_case *c,
		     const struct suite_options *options, pid_t runner)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;
	int status;

	timeline_begin();
	if (!suite_die_with(runner))
		_exit(STATUS_OSERR);
	setpgid(0, 0);
	signal(SIGTERM, SIG_DFL); /* the runner's way to end it */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(null, STDIN_FILENO) < 0 || dup2(child->out, STDOUT_FILENO) < 0 ||
	    dup2(child->err, STDERR_FILENO) < 0)
		_exit(STATUS_OSERR);
	/* All else that is open stays so: the plan has unpacked kernels among it. */
	status = suite_boot(c, options, child->report);
	fflush(NULL);
	_exit(status);
}

static void release(struct suite_child *child)
{
	if (child->report)
		munmap(child->report, sizeof(*child->report));
	if (child->out >= 0)
		close(child->out);
	if (child->err >= 0)
		close(child->err);
	if (child->ended >= 0)
		close(child->ended);
	*child = (struct suite_child){ .pid = -1, .ended = -1, .out = -1, .err = -1 };
}

/* Its own limit, which it is to keep, and when that has clearly failed. */
static void set_limits(struct suite_child *child, const struct suite_case *c, double scale)
{
	double limit = (double)config_vm(c->config)->expect.within * scale;

	if (limit > 1e18)
		return; /* more than 30 years is none */
	child->limit = child->begin + (uint64_t)limit;
	child->deadline = child->limit + (uint64_t)((double)HANG_NS * scale);
}

/* The limits that a user can lift. */
static const char *what_helps(int errnum)
{
	if (errnum == EAGAIN)
		return "; `ulimit -u` shows how many processes this user may have, pids.max of the "
		       "cgroup how many may run in it";
	if (errnum == EMFILE)
		return "; `ulimit -n` shows how many files a process may have open";
	return "";
}

int suite_child_start(struct suite_child *child, const struct suite_case *c,
		      const struct suite_options *options, struct err *err)
{
	struct suite_child new = { .pid = -1, .ended = -1 };
	pid_t runner = getpid();
	int ret = 0;

	new.out = suite_memory_file("console");
	new.err = suite_memory_file("messages");
	new.report = mmap(NULL, sizeof(*new.report), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (new.report == MAP_FAILED)
		new.report = NULL;
	if (new.out < 0 || new.err < 0 || !new.report)
		goto fail;
	fflush(NULL); /* what waits in a buffer is not the child's to print */
	new.begin = loop_now();
	set_limits(&new, c, options->scale);
	new.pid = fork();
	if (!new.pid)
		be_child(&new, c, options, runner);
	if (new.pid < 0)
		goto fail;
	setpgid(new.pid, new.pid); /* whoever of the two comes first */
	new.ended = suite_end_of(new.pid);
	if (new.ended < 0)
		goto fail;
	*child = new;
	return 0;
fail:
	ret = err_set(err, errno, STATUS_OSERR, "cannot start a process for '%s': %s%s", c->name,
		      strerror(errno), what_helps(errno));
	if (new.pid > 0) {
		kill(new.pid, SIGKILL);
		waitpid(new.pid, NULL, 0);
	}
	release(&new);
	return ret;
}

void suite_child_kill(struct suite_child *child)
{
	kill(-child->pid, SIGKILL);
	child->pushed = 3;
	child->deadline = 0;
}

/* A VM with a power button takes the first signal for a wish, the second as an order. */
void suite_child_push(struct suite_child *child)
{
	if (child->pushed >= 2) {
		suite_child_kill(child);
		return;
	}
	kill(child->pid, SIGTERM);
	child->deadline = loop_now() + (child->pushed ? KILL_NS : PUSH_NS);
	child->pushed++;
}

/* A guest that never stops talking must not fill the host's memory: of its output, only the last is
 * ever looked at. */
void suite_child_trim(const struct suite_child *child)
{
	suite_memory_trim(child->out, KEEP);
	suite_memory_trim(child->err, KEEP);
}

/* A process that came to a violent end may have left it half written. */
static void copy_report(struct expect_report *to, const struct expect_report *from)
{
	*to = *from;
	to->file[sizeof(to->file) - 1] = 0;
	to->reason[sizeof(to->reason) - 1] = 0;
	to->detail[sizeof(to->detail) - 1] = 0;
	if (to->n_moments > EXPECT_MOMENTS)
		to->n_moments = EXPECT_MOMENTS;
	for (uint32_t i = 0; i < to->n_moments; i++) {
		to->moments[i].console[sizeof(to->moments[i].console) - 1] = 0;
		to->moments[i].what[sizeof(to->moments[i].what) - 1] = 0;
	}
	if (to->n_kinds > EXPECT_KINDS)
		to->n_kinds = EXPECT_KINDS;
	for (uint32_t i = 0; i < to->n_kinds; i++)
		to->kinds[i].name[sizeof(to->kinds[i].name) - 1] = 0;
}

/* What the process itself could not say. */
static void judge_end(const struct suite_child *child, const siginfo_t *info,
		      struct expect_report *report)
{
	bool violent = info->si_code != CLD_EXITED;
	size_t len = sizeof(report->reason);

	if (!child->hung && !violent && report->end != EXPECT_END_NONE)
		return;
	report->unmet = true;
	report->line = report->column = 0;
	report->file[0] = 0;
	if (child->hung)
		snprintf(report->reason, len, "the VM went on for %.0f s beyond its time limit%s",
			 (double)(loop_now() - child->limit) / 1e9,
			 violent ? ", and its process had to be killed" : "");
	else if (violent)
		snprintf(report->reason, len, "the VM's process was killed by signal %d (%s)",
			 info->si_status, strsignal(info->si_status));
	else
		snprintf(report->reason, len,
			 "the VM's process ended with status %d and did not say why",
			 info->si_status);
}

void suite_child_end(struct suite_child *child, struct suite_result *result)
{
	siginfo_t info = { 0 };
	uint64_t cut;

	kill(-child->pid, SIGKILL); /* what it may have left behind; the number is its own yet */
	while (waitid(P_PID, (id_t)child->pid, &info, WEXITED) && errno == EINTR)
		;
	result->end = loop_now();
	result->begin = child->begin;
	copy_report(&result->report, child->report);
	judge_end(child, &info, &result->report);
	suite_replace(&result->console, suite_text_of(child->out, &result->console_cut));
	suite_replace(&result->messages, suite_text_of(child->err, &cut));
	release(child);
}
