/* timeline.c: `run --timeline`. */
#include <inttypes.h>

#include <vibevmm/timeline.h>

#include "cli.h"

/* Fits 80 columns, with the name and the times before it. */
enum { BAR = 38 };

/* The bar's column for a time; all of it is `total`. */
static int column(uint64_t ns, uint64_t total)
{
	return total ? (int)((double)ns / (double)total * (BAR - 1)) : 0;
}

static void print_bar(uint64_t from, uint64_t to, uint64_t total, FILE *out)
{
	int first = column(from, total), last = column(to, total);

	fprintf(out, "%*s", first, "");
	for (int i = first; i <= last; i++)
		fputc(i == last ? '|' : '=', out);
	fputc('\n', out);
}

void cli_print_timeline(FILE *out)
{
	uint64_t start = timeline_at[TIMELINE_EXEC], last = start;
	uint64_t total = timeline_at[TIMELINE_EXIT] - start;

	fprintf(out, "%-20s %9s %9s\n", "timeline", "at ms", "took ms");
	for (int i = TIMELINE_EXEC + 1; i < TIMELINE_POINTS; i++) {
		uint64_t at = timeline_at[i];

		if (!at)
			continue; /* it did not come to that */
		fprintf(out, "%-20s %9.3f %9.3f ", timeline_name((enum timeline_point)i),
			(double)(at - start) / 1e6, (double)(at - last) / 1e6);
		print_bar(last - start, at - start, total, out);
		last = at;
	}
}
