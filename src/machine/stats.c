/* stats.c: `--stats`. */
#include <inttypes.h>

#include "machine_private.h"

/* By enum hv_exit_kind. */
static const char *const kinds[HV_EXIT_KINDS] = {
	[HV_EXIT_AGAIN] = "interrupt controller",
	[HV_EXIT_PIO] = "port I/O",
	[HV_EXIT_MMIO] = "MMIO",
	[HV_EXIT_HALT] = "halt",
	[HV_EXIT_KICKED] = "kicked",
	[HV_EXIT_POWEROFF] = "power off",
	[HV_EXIT_RESET] = "reset",
	[HV_EXIT_TRIPLE_FAULT] = "triple fault",
	[HV_EXIT_FAULT] = "fault",
};

static uint64_t exits_of(const struct machine *m, int kind)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < m->n_vcpus; i++)
		sum += atomic_load_explicit(&m->vcpus[i].exits[kind], memory_order_relaxed);
	return sum;
}

uint64_t machine_exits(const struct machine *m)
{
	uint64_t sum = 0;

	for (int kind = 0; kind < HV_EXIT_KINDS; kind++)
		sum += exits_of(m, kind);
	return sum;
}

void machine_each_exit(const struct machine *m,
		       void (*fn)(void *arg, const char *name, uint64_t count), void *arg)
{
	for (int kind = 0; kind < HV_EXIT_KINDS; kind++) {
		uint64_t sum = exits_of(m, kind);

		if (sum)
			fn(arg, kinds[kind], sum);
	}
}

static void print_exit(void *arg, const char *name, uint64_t count)
{
	fprintf(arg, "  %-22s %12" PRIu64 "\n", name, count);
}

void machine_print_stats(const struct machine *m, FILE *out)
{

	fprintf(out, "run time  %.3f ms\n", (double)(m->end - m->start) / 1e6);
	if (m->restarts)
		fprintf(out, "restarts  %u\n", m->restarts);
	fprintf(out, "\n%-24s %12s\n", "exits by reason", "count");
	machine_each_exit(m, print_exit, out);
	print_exit(out, "all", machine_exits(m));
	fprintf(out, "\n%-24s %12s %12s\n", "accesses by device", "reads", "writes");
	for (size_t i = 0; i < m->plan->n_devices; i++) {
		struct accesses all = m->past[i];

		if (i < m->n_devices) {
			all.reads += m->devices[i].reads;
			all.writes += m->devices[i].writes;
		}
		fprintf(out, "  %-22s %12" PRIu64 " %12" PRIu64 "\n", m->plan->devices[i].label,
			all.reads, all.writes);
	}
	fprintf(out, "\n%-24s %12" PRIu64 "\n", "accesses to no device", m->stray.accesses);
}
