/* io_clock.c: runs a command, io_load or a VM launcher in whose guest it runs, and prints a line
 * for each kind of work: NAME, work, requests, bytes, nanoseconds, KVM exits, exits to user space.
 *
 *     io_clock NAME COMMAND ARG...
 *
 * The exits are those while the work was done; -1 where there are none to count. What else the
 * command says goes to standard error. Its status is the command's. For a machine with one CPU, no
 * other VM, and debugfs at /sys/kernel/debug.
 */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT 5 /* seconds, of which none needs four */

extern char **environ;

static pid_t pid;

static void on_alarm(int signal)
{
	(void)signal;
	kill(pid, SIGKILL);
}

/* Of all VMs that are alive. "fpu_reload" counts each return of KVM_RUN, on x86. */
static long counter(const char *name)
{
	char path[64];
	FILE *file;
	long value = -1;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", name);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

struct counts {
	long exits, user;
};

static struct counts look(void)
{
	return (struct counts){ counter("exits"), counter("fpu_reload") };
}

/* io_load.c tells what lines there are. A console puts carriage returns before line ends. */
static void follow(FILE *in, const char *name)
{
	struct counts before = { 0 }, after = { 0 };
	unsigned long requests, bytes, ns;
	char line[512], work[64] = "";
	int working = 0;

	while (fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (working && !line[0]) {
			after = look();
			working = 0;
		} else if (sscanf(line, "bench: begin %63s", work) == 1) {
			before = look();
			working = 1;
		} else if (sscanf(line, "bench: end %lu %lu %lu", &requests, &bytes, &ns) == 3) {
			printf("%s\t%s\t%lu\t%lu\t%lu\t%ld\t%ld\n", name, work, requests, bytes, ns,
			       after.exits - before.exits, after.user - before.user);
			fflush(stdout);
		} else if (line[0]) {
			fprintf(stderr, "%s: %s\n", name, line);
		}
	}
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	int fds[2], status;

	if (argc < 3) {
		fputs("usage: io_clock NAME COMMAND ARG...\n", stderr);
		return 64;
	}
	if (pipe(fds))
		return 71;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	posix_spawn_file_actions_addclose(&actions, fds[1]);
	if (posix_spawnp(&pid, argv[2], &actions, NULL, argv + 2, environ)) {
		fprintf(stderr, "io_clock: cannot start %s\n", argv[2]);
		return 71;
	}
	close(fds[1]);
	signal(SIGALRM, on_alarm);
	alarm(LIMIT);
	follow(fdopen(fds[0], "r"), argv[1]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
