/* lab_clock.c: times a VM launcher to the first line of its guest's user space.
 *
 *     lab_clock NAME COMMAND ARG...
 *
 * Runs COMMAND with its output in a pipe until the line "bench: init" comes. Then stops the clock
 * and the command, and prints a line: NAME, seconds since before exec, KVM exits, exits to user
 * space, guest page faults, own memory in KiB; then lets it end. A command that ends too early, or
 * badly, or takes over 10 seconds, has "failed" in place of the numbers. Meant for a machine with
 * one CPU, no other VM, and debugfs at /sys/kernel/debug.
 *
 * Exits to user space are, on x86, "fpu_reload", which KVM counts each time that KVM_RUN returns;
 * and on arm64, "mmio_exit_user" and "signal_exits". Guest page faults are counted on x86 alone:
 * elsewhere -1. Own memory is what is resident, less mappings that are kept out of core dumps
 * (VmFlags dd) or as large as the guest's RAM.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MARKER "bench: init"
#define RAM_KB (256L << 10)
#define LIMIT  10 /* seconds */

extern char **environ;

static pid_t pid;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_alarm(int signal)
{
	(void)signal;
	kill(pid, SIGKILL);
}

/* Of all VMs that are alive. */
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

static long exits_to_user(void)
{
	long count = counter("fpu_reload");

	return count >= 0 ? count : counter("mmio_exit_user") + counter("signal_exits");
}

static long own_memory(void)
{
	char line[512];
	long sum = 0, size = 0, rss = 0, value;
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/smaps", (int)pid);
	file = fopen(line, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Size: %ld", &value) == 1)
			size = value;
		else if (sscanf(line, "Rss: %ld", &value) == 1)
			rss = value;
		else if (!strncmp(line, "VmFlags:", 8) && !strstr(line, " dd") && size < RAM_KB)
			sum += rss;
	}
	fclose(file);
	return sum;
}

/* Reads until the marker has come; or to the end, if marker is NULL. Shows what it reads. */
static bool read_until(int fd, const char *marker)
{
	static char line[8192];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, line + len, sizeof(line) - 1 - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		len += (size_t)n;
		line[len] = '\0';
		if (marker && strstr(line, marker))
			return true;
		if (len > sizeof(line) / 2) { /* a marker may be cut: keep the end */
			memmove(line, line + len - 64, 64);
			len = 64;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t to_pipe;
	int pipes[2], status;
	double begin, end;
	bool seen;
	long counts[4] = { 0 };

	if (argc < 3) {
		fputs("usage: lab_clock NAME COMMAND ARG...\n", stderr);
		return 64;
	}
	posix_spawn_file_actions_init(&to_pipe);
	if (pipe2(pipes, O_CLOEXEC)) {
		perror("pipe");
		return 71;
	}
	posix_spawn_file_actions_adddup2(&to_pipe, pipes[1], STDOUT_FILENO);
	signal(SIGALRM, on_alarm);
	begin = now();
	if (posix_spawnp(&pid, argv[2], &to_pipe, NULL, argv + 2, environ)) {
		fprintf(stderr, "lab_clock: cannot run %s\n", argv[2]);
		return 71;
	}
	alarm(LIMIT);
	close(pipes[1]);
	seen = read_until(pipes[0], MARKER);
	end = now();
	if (seen) {
		kill(pid, SIGSTOP);
		counts[0] = counter("exits");
		counts[1] = exits_to_user();
		counts[2] = counter("pf_taken");
		counts[3] = own_memory();
		kill(pid, SIGCONT);
		read_until(pipes[0], NULL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	if (!seen || status) {
		printf("%s failed %#x\n", argv[1], (unsigned)status);
		return 1;
	}
	printf("%s %.4f %ld %ld %ld %ld\n", argv[1], end - begin, counts[0], counts[1], counts[2],
	       counts[3]);
	return 0;
}
