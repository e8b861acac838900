/* schema.c: `vibevmm schema`. */
#include <stdio.h>

#include "cli.h"

static int schema(const struct cli_command *command, const struct cli_args *args)
{
	(void)command;
	(void)args;
	config_schema(machine_registry(), stdout);
	return STATUS_OK;
}

const struct cli_command cli_schema = {
	.name = "schema",
	.args = "",
	.doc = "Print the JSON Schema of config files, for editors",
	.run = schema,
};
