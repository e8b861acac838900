/* test_terminal.c: raw mode and every way back, on a pseudo-terminal with job control.
 *
 * Each test is a small shell: a session of its own with a terminal, and in it one job that makes
 * the terminal raw. The shell looks at the terminal's mode as the job ends or stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/host.h>

/* In the shell and the job, which cmocka doesn't see. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                    \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

static int tty;
static int job_ready[2]; /* the job writes a byte when it waits for its end */

static bool is_raw(void)
{
	struct termios mode;

	CHECK(!tcgetattr(tty, &mode));
	return !(mode.c_lflag & (ICANON | ECHO | ISIG)) && !(mode.c_iflag & ICRNL);
}

static bool keeps_newlines(void)
{
	struct termios mode;

	CHECK(!tcgetattr(tty, &mode));
	return mode.c_oflag & OPOST;
}

static void wait_for_job(void)
{
	char byte;

	CHECK(read(job_ready[0], &byte, 1) == 1);
}

/* Starts a job in a group of its own; in the foreground if asked for. */
static pid_t start(void (*job)(void), bool foreground)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		setpgid(0, 0);
		if (foreground)
			CHECK(!tcsetpgrp(tty, getpgrp())); /* SIGTTOU is ignored, as yet */
		signal(SIGTTOU, SIG_DFL);
		alarm(30);
		job();
		exit(0);
	}
	return pid;
}

/* Runs a test's shell; it must come to its end. */
static void run_shell(void (*shell)(void))
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), status;
	pid_t pid;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct rlimit no_core = { 0, 0 };

		alarm(30);
		setrlimit(RLIMIT_CORE, &no_core);
		CHECK(setsid() >= 0);
		tty = open(ptsname(master), O_RDWR);
		CHECK(tty >= 0);
		CHECK(!ioctl(tty, TIOCSCTTY, 0));
		CHECK(!pipe(job_ready));
		signal(SIGTTOU, SIG_IGN);
		shell();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(master);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Jobs --------------------------------------------------------------------------------- */

static void go_raw(void)
{
	CHECK(!terminal_raw(tty));
	CHECK(is_raw());
	CHECK(keeps_newlines());
}

static void job_exit(void)
{
	go_raw();
	exit(7);
}

static void job_wait(void)
{
	go_raw();
	CHECK(write(job_ready[1], "", 1) == 1);
	for (;;)
		pause();
}

static void job_abort(void)
{
	go_raw();
	abort();
}

static void own_handler(int sig)
{
	_exit(sig == SIGTERM && is_raw() ? 42 : 1);
}

static void job_with_handler(void)
{
	signal(SIGTERM, own_handler);
	job_wait();
}

static void job_twice(void)
{
	go_raw();
	terminal_restore();
	CHECK(!is_raw());
	terminal_restore();
	go_raw();
	terminal_restore();
	CHECK(!is_raw());
}

static void job_background(void)
{
	CHECK(terminal_raw(tty) == -EAGAIN);
	CHECK(!is_raw());
}

/* ---- Shells ------------------------------------------------------------------------------- */

static void shell_exit(void)
{
	int status;
	pid_t pid = start(job_exit, true);

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CHECK(!is_raw());
}

static void shell_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	int status;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		pid_t pid = start(job_wait, true);

		wait_for_job();
		CHECK(is_raw());
		CHECK(!kill(pid, signals[i]));
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
		CHECK(!is_raw());
	}
}

static void shell_abort(void)
{
	int status;
	pid_t pid = start(job_abort, true);

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(!is_raw());
}

static void shell_handler(void)
{
	int status;
	pid_t pid = start(job_with_handler, true);

	wait_for_job();
	CHECK(!kill(pid, SIGTERM));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void shell_stop(void)
{
	int status;
	pid_t pid = start(job_wait, true);

	wait_for_job();
	for (int i = 0; i < 3; i++) {
		CHECK(!kill(pid, SIGTSTP));
		CHECK(waitpid(pid, &status, WUNTRACED) == pid);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
		CHECK(!is_raw());
		if (i == 1) { /* bg: it must leave the terminal alone */
			CHECK(!tcsetpgrp(tty, getpgrp()));
			CHECK(!kill(pid, SIGCONT));
			CHECK(waitpid(pid, &status, WCONTINUED) == pid);
			CHECK(!is_raw());
			CHECK(!tcsetpgrp(tty, pid));
			continue;
		}
		CHECK(!kill(pid, SIGCONT)); /* fg */
		while (!is_raw())
			;
	}
	CHECK(!kill(pid, SIGTERM));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK(!is_raw());
}

static void shell_plain(void (*job)(void), bool foreground)
{
	int status;
	pid_t pid = start(job, foreground);

	CHECK(waitpid(pid, &status, WUNTRACED) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(!is_raw());
}

static void shell_twice(void)
{
	shell_plain(job_twice, true);
}

static void job_resized(void)
{
	int fd = terminal_size_event();
	struct pollfd event = { .fd = fd, .events = POLLIN };
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	uint64_t times;

	CHECK(fd >= 0);
	CHECK(poll(&event, 1, 0) == 0);
	CHECK(!ioctl(tty, TIOCSWINSZ, &size));
	while (poll(&event, 1, 10000) != 1)
		CHECK(errno == EINTR); /* the signal itself */
	CHECK(read(fd, &times, sizeof(times)) == sizeof(times) && times == 1);
	size.ws_row = 50;
	CHECK(!ioctl(tty, TIOCSWINSZ, &size));
	while (poll(&event, 1, 10000) != 1)
		CHECK(errno == EINTR);
}

static void job_resized_itself(void)
{
	signal(SIGWINCH, own_handler);
	CHECK(terminal_size_event() < 0);
}

static void shell_resized(void)
{
	shell_plain(job_resized, true);
	shell_plain(job_resized_itself, true);
}

static void shell_background(void)
{
	shell_plain(job_background, false);
}

/* ---- Tests -------------------------------------------------------------------------------- */

static void exit_restores_the_terminal(void **state)
{
	(void)state;
	run_shell(shell_exit);
}

static void a_fatal_signal_restores_it_and_still_kills(void **state)
{
	(void)state;
	run_shell(shell_signals);
}

static void so_does_abort(void **state)
{
	(void)state;
	run_shell(shell_abort);
}

static void a_handler_of_the_program_stays(void **state)
{
	(void)state;
	run_shell(shell_handler);
}

static void stopping_restores_it_and_continuing_sets_it_again(void **state)
{
	(void)state;
	run_shell(shell_stop);
}

static void restore_works_once_and_raw_again_after_it(void **state)
{
	(void)state;
	run_shell(shell_twice);
}

static void a_background_job_leaves_it_alone(void **state)
{
	(void)state;
	run_shell(shell_background);
}

static void a_new_size_is_an_event(void **state)
{
	(void)state;
	run_shell(shell_resized);
}

static void what_is_no_terminal_is_refused(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(terminal_raw(fds[0]), -ENOTTY);
	assert_int_equal(terminal_raw(-1), -ENOTTY);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_restores_the_terminal),
		cmocka_unit_test(a_fatal_signal_restores_it_and_still_kills),
		cmocka_unit_test(so_does_abort),
		cmocka_unit_test(a_handler_of_the_program_stays),
		cmocka_unit_test(stopping_restores_it_and_continuing_sets_it_again),
		cmocka_unit_test(restore_works_once_and_raw_again_after_it),
		cmocka_unit_test(a_background_job_leaves_it_alone),
		cmocka_unit_test(a_new_size_is_an_event),
		cmocka_unit_test(what_is_no_terminal_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
