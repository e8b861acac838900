/* validate.c: `vibevmm validate`. */
#include <stdio.h>

#include "cli.h"

static const struct cli_flag flags[] = { CLI_FORMAT_FLAG, { 0 } };

/* The worse of two statuses: an invalid config over a missing file over none. */
static int worse(int a, int b)
{
	if (a == STATUS_CONFIG || b == STATUS_CONFIG)
		return STATUS_CONFIG;
	return a ? a : b;
}

static int validate(const struct cli_command *command, const struct cli_args *args)
{
	int worst = STATUS_OK;

	for (int i = 0; i < args->n_files; i++) {
		struct cli_session session;
		struct config *config;
		struct plan *plan;
		int status = cli_begin(command, args->values[0], &session);

		if (status)
			return status;
		machine_plan(args->files[i], &session.settings, session.diags, &config, &plan);
		worst = worse(worst, cli_report(&session));
		if (session.format == DIAG_JSON && !diags_status(session.diags))
			diags_print(session.diags, stdout, DIAG_JSON, false);
		plan_free(plan);
		config_free(config);
		cli_end(&session);
	}
	return worst;
}

const struct cli_command cli_validate = {
	.name = "validate",
	.args = "FILE...",
	.doc = "Check files and report all mistakes; needs no hypervisor",
	.flags = flags,
	.min_files = 1,
	.max_files = 100000,
	.run = validate,
};
