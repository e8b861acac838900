/* backends.c: `vibevmm backends`: what this host can do, and why not. */
#include <stdio.h>

#include "cli.h"

static void print_caps(unsigned caps, const char *mark)
{
	for (unsigned bit = 1; bit <= caps && bit; bit <<= 1) {
		if (caps & bit)
			printf("  %-4s %s\n", mark, hv_cap_name((enum hv_cap)bit));
	}
}

/* STATUS_OK if at least one backend works here. */
static int backends(const struct cli_command *command, const struct cli_args *args)
{
	const struct hv_backend *const *rows;
	int status = STATUS_UNAVAILABLE;
	size_t n;

	(void)command;
	(void)args;
	rows = hv_backends(&n);
	for (size_t i = 0; i < n; i++) {
		const struct hv_backend *row = rows[i];
		struct err err = { 0 };
		struct hv_caps caps;

		printf("%s%s-%s: %s\n", i ? "\n" : "", row->name, hv_arch_name(row->arch),
		       row->doc);
		if (!row->probe) {
			printf("  not in this build; at best: up to %u vCPU%s, %u address bits\n",
			       row->caps.max_vcpus, row->caps.max_vcpus == 1 ? "" : "s",
			       row->caps.phys_bits);
			print_caps(row->caps.caps, "can");
			continue;
		}
		if (row->probe(&caps, &err)) {
			printf("  not usable here: %s\n", err.text);
			continue;
		}
		status = STATUS_OK;
		printf("  usable here: up to %u vCPUs, %u address bits\n", caps.max_vcpus,
		       caps.phys_bits);
		print_caps(caps.caps, "yes");
		print_caps(row->caps.caps & ~caps.caps, "no");
	}
	return status;
}

const struct cli_command cli_backends = {
	.name = "backends",
	.args = "",
	.doc = "Show the hypervisors: what this host can do, and why not",
	.run = backends,
};
