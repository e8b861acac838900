/* progress.c: a bar on the terminal for what takes its time. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/timeline.h>

#include "cli.h"

#define PATIENCE_NS 300000000ULL /* that we do without one */
#define INTERVAL_NS 100000000ULL /* between two looks of it */
#define WIDTH	    79
#define BAR	    20

void cli_progress_begin(struct cli_progress *p)
{
	*p = (struct cli_progress){ .start = timeline_now(), .terminal = isatty(STDERR_FILENO) };
}

size_t cli_progress_text(const char *path, uint64_t done, uint64_t total, uint64_t ns, char *buf,
			 size_t len)
{
	double rate = ns ? (double)done * 1e9 / (double)ns : 0;
	double part = total ? (double)done / (double)total : 1;
	uint64_t left =
		rate > 0 && total > done ? (uint64_t)((double)(total - done) / rate + 1) : 0;
	char have[24], all[24], speed[24], bar[BAR + 1];
	const char *slash = strrchr(path, '/');
	int n;

	if (part > 1)
		part = 1; /* a file that grew */
	memset(bar, ' ', BAR);
	memset(bar, '#', (size_t)(part * BAR));
	bar[BAR] = 0;
	n = snprintf(buf, len, "[%s] %3d%%  %s of %s, %s/s, %llu:%02llu left  %s", bar,
		     (int)(part * 100), config_size_rough(done, have, sizeof(have)),
		     config_size_rough(total, all, sizeof(all)),
		     config_size_rough((uint64_t)rate, speed, sizeof(speed)),
		     (unsigned long long)left / 60, (unsigned long long)left % 60,
		     slash ? slash + 1 : path);
	return n < 0 ? 0 : (size_t)n < len ? (size_t)n : len - 1;
}

void cli_progress(void *arg, const char *path, uint64_t done, uint64_t total)
{
	struct cli_progress *p = arg;
	char line[WIDTH + 1];
	uint64_t now;

	if (!p->terminal)
		return;
	now = timeline_now();
	if (now - p->start < PATIENCE_NS || now - p->last < INTERVAL_NS)
		return;
	p->last = now;
	cli_progress_text(path, done, total, now - p->start, line, sizeof(line));
	/* Padded to the same width, so that nothing of the one before is left. */
	fprintf(stderr, "\r%-*s", WIDTH, line);
}

void cli_progress_end(const struct cli_progress *p)
{
	if (p->last)
		fprintf(stderr, "\r%-*s\r", WIDTH, "");
}
