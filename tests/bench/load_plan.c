/* load_plan.c: how long load and plan take for configs of 10, 1,000 and 10,000 devices.
 *
 * Prints a line for each: devices, best of some runs in ms, microseconds a device, peak RSS of the
 * process so far in KiB. The devices are of a type that only this program's registry has; each has
 * a window and an option.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <vibevmm/bytes.h>
#include <vibevmm/device.h>
#include <vibevmm/plan.h>

struct bench_config {
	char *id;
	uint32_t speed;
};

static const struct option bench_options[] = {
	DEVICE_ID(struct bench_config),
	OPTION(struct bench_config, speed, OPTION_UINT, .def = "9600", .doc = "A number"),
	{ 0 },
};

static const struct claim bench_claims[] = {
	{ .name = "registers", .space = SPACE_MEM, .size = 0x1000 },
	{ 0 },
};

static const struct device_row bench_row = {
	.type = {
		.name = "bench-device",
		.doc = "A device without a purpose",
		.options = bench_options,
		.size = sizeof(struct bench_config),
	},
	.arches = ARCH_ANY,
	.claims = bench_claims,
};

static void boot_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	plan_set_entry(plan, diags, ENTRY_LONG, 0x1000, boot->mark);
}

static const struct boot_row boot_nothing = {
	.type = { .name = "nothing", .doc = "No image at all", .size = 1 },
	.arches = ARCH_ANY,
	.plan = boot_plan,
};

static const struct device_row *const devices[] = { &bench_row };
static const struct boot_row *const boots[] = { &boot_nothing };
static const struct registry registry = {
	.devices = devices,
	.n_devices = ARRAY_SIZE(devices),
	.boots = boots,
	.n_boots = ARRAY_SIZE(boots),
};

static char *make_text(unsigned n, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		abort();
	fputs("arch: x86_64\nmemory: 128M\nboot:\n  nothing:\ndevices:\n", f);
	for (unsigned i = 0; i < n; i++) {
		if (i % 2)
			fprintf(f, "  - bench-device: {id: d%u, speed: %u}\n", i, i);
		else
			fputs("  - bench-device\n", f);
	}
	fclose(f);
	return text;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Loads and plans once; the time it took. */
static double load_and_plan(const char *text, size_t len, unsigned n)
{
	double begin = now_ms(), ms;
	struct diags *diags = diags_new();
	struct config *config = config_load_text("bench", text, len, &registry, NULL, diags);
	struct plan *plan = NULL;

	if (config)
		plan = plan_make(config_vm(config), &registry, arch_find(ARCH_X86_64), NULL, NULL,
				 diags);
	ms = now_ms() - begin;
	if (diags_errors(diags) || !plan || plan->n_devices != n) {
		diags_print(diags, stderr, DIAG_TEXT, false);
		fprintf(stderr, "load_plan: %u devices: no plan\n", n);
		exit(1);
	}
	plan_free(plan);
	config_free(config);
	diags_free(diags);
	return ms;
}

int main(void)
{
	static const unsigned counts[] = { 10, 1000, 10000 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned n = counts[i];
		double best = 1e9;
		struct rusage usage;
		size_t len;
		char *text = make_text(n, &len);

		for (int run = 0; run < 7; run++) {
			double ms = load_and_plan(text, len, n);

			if (ms < best)
				best = ms;
		}
		getrusage(RUSAGE_SELF, &usage);
		printf("%u %.3f %.3f %ld\n", n, best, best * 1e3 / n, usage.ru_maxrss);
		free(text);
	}
	return 0;
}
