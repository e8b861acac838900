/* config.c: `vibevmm config`. */
#include <stdio.h>

#include "cli.h"

static int print_config(const struct cli_command *command, const struct cli_args *args)
{
	struct cli_session session;
	struct config *config;
	struct plan *plan;
	int status = cli_begin(command, NULL, &session);

	if (status)
		return status;
	status = cli_plan_file(command, args, 0, &session, &config, &plan);
	if (!status)
		status = cli_report(&session);
	if (!status)
		config_print(config, stdout);
	plan_free(plan);
	config_free(config);
	cli_end(&session);
	return status;
}

const struct cli_command cli_config = {
	.name = "config",
	.args = "[FILE]",
	.doc = "Print the effective configuration, defaults and all",
	.changes = true,
	.max_files = 1,
	.run = print_config,
};
