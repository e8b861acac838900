/* timeit.c: times commands against one another, in interleaved rounds.
 *
 *     timeit ROUNDS NAME STATUS COMMAND ARG... [-- NAME STATUS COMMAND ARG...]...
 *
 * Runs them in turn, ROUNDS times after one round of warming up, with output to /dev/null, from
 * before exec until they are reaped. Prints a line for each: NAME, median in ms, least in ms,
 * median of its time over the first one's in the same round, peak RSS in KiB. A command that does
 * not end with STATUS has "failed" in place of the numbers, and is told on standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_ROUNDS 1000
#define MAX_JOBS   32

extern char **environ;

static struct job {
	const char *name;
	int status;
	char **argv;
	bool failed;
	long rss; /* KiB */
	double ms[MAX_ROUNDS], ratio[MAX_ROUNDS];
} jobs[MAX_JOBS];

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double run(struct job *job, posix_spawn_file_actions_t *quiet)
{
	double begin = now_ms();
	struct rusage usage;
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, job->argv[0], quiet, NULL, job->argv, environ)) {
		fprintf(stderr, "timeit: cannot run %s\n", job->argv[0]);
		job->failed = true;
		return 0;
	}
	while (wait4(pid, &status, 0, &usage) < 0) {
		if (errno != EINTR)
			abort();
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != job->status) {
		fprintf(stderr, "timeit: %s ended with wait status %#x, not exit status %d\n",
			job->name, (unsigned)status, job->status);
		job->failed = true;
	}
	if (usage.ru_maxrss > job->rss)
		job->rss = usage.ru_maxrss;
	return now_ms() - begin;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_size);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, n = 0;
	posix_spawn_file_actions_t quiet;

	for (int i = 2; i < argc; i++) {
		if (n == MAX_JOBS || i + 2 >= argc)
			goto usage;
		jobs[n].name = argv[i];
		jobs[n].status = atoi(argv[i + 1]);
		jobs[n].argv = &argv[i + 2];
		n++;
		for (i += 2; i < argc && strcmp(argv[i], "--") != 0;)
			i++;
		argv[i] = NULL;
	}
	if (!n || !rounds || rounds > MAX_ROUNDS)
		goto usage;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
	for (size_t j = 0; j < n; j++)
		run(&jobs[j], &quiet);
	for (size_t r = 0; r < rounds; r++) {
		for (size_t j = 0; j < n; j++) {
			if (!jobs[j].failed)
				jobs[j].ms[r] = run(&jobs[j], &quiet);
			jobs[j].ratio[r] = jobs[j].ms[r] / jobs[0].ms[r];
		}
	}
	for (size_t j = 0; j < n; j++) {
		if (jobs[j].failed) {
			printf("%s failed failed failed failed\n", jobs[j].name);
			continue;
		}
		printf("%s %.4f", jobs[j].name, median(jobs[j].ms, rounds));
		printf(" %.4f %.3f %ld\n", jobs[j].ms[0], median(jobs[j].ratio, rounds),
		       jobs[j].rss);
	}
	return 0;
usage:
	fputs("usage: timeit ROUNDS NAME STATUS COMMAND ARG... [-- NAME ...]\n", stderr);
	return 64;
}
