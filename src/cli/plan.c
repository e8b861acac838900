/* plan.c: `vibevmm plan`. */
#include <stdio.h>

#include "cli.h"

static const struct cli_flag flags[] = { CLI_FORMAT_FLAG, { 0 } };

static int print_plan(const struct cli_command *command, const struct cli_args *args)
{
	struct cli_session session;
	struct config *config;
	struct plan *plan;
	int status = cli_begin(command, args->values[0], &session);

	if (status)
		return status;
	machine_plan(args->files[0], &session.settings, session.diags, &config, &plan);
	status = cli_report(&session);
	if (!status)
		plan_print(plan, stdout, session.format);
	plan_free(plan);
	config_free(config);
	cli_end(&session);
	return status;
}

const struct cli_command cli_plan = {
	.name = "plan",
	.args = "FILE",
	.doc = "Print the map of memory, ports and interrupt lines",
	.flags = flags,
	.min_files = 1,
	.max_files = 1,
	.run = print_plan,
};
