/* validate.c: `vibevmm validate`. */
#include <stdio.h>

#include <vibevmm/json.h>

#include "cli.h"

static const struct cli_flag flags[] = { CLI_FORMAT_FLAG, { 0 } };

/* The worse of two statuses: an invalid config over a missing file over none. */
static int worse(int a, int b)
{
	if (a == STATUS_CONFIG || b == STATUS_CONFIG)
		return STATUS_CONFIG;
	return a ? a : b;
}

/* As JSON: [{"file": ..., "status": ..., "diagnostics": [...]}, ...] */
static void print_json(const char *file, const struct cli_session *session, bool first)
{
	printf("%s{\"file\": ", first ? "[\n" : ",\n");
	json_quote(stdout, file);
	printf(", \"status\": %d, \"diagnostics\": ", diags_status(session->diags));
	diags_print(session->diags, stdout, DIAG_JSON, false);
	printf("}");
}

static int validate(const struct cli_command *command, const struct cli_args *args)
{
	int worst = STATUS_OK, i = 0;
	bool json = false;

	do {
		struct cli_session session;
		struct config *config;
		struct plan *plan;
		int status = cli_begin(command, args->values[0], &session);

		if (status)
			return status;
		status = cli_plan_file(command, args, i, &session, &config, &plan);
		if (status) {
			cli_end(&session);
			return status;
		}
		json = session.format == DIAG_JSON;
		if (json)
			print_json(args->files[i], &session, i == 0);
		else
			cli_report(&session);
		worst = worse(worst, diags_status(session.diags));
		plan_free(plan);
		config_free(config);
		cli_end(&session);
	} while (++i < args->n_files);
	if (json)
		printf("]\n");
	return worst;
}

const struct cli_command cli_validate = {
	.name = "validate",
	.args = "[FILE...]",
	.doc = "Check files and report all mistakes; needs no hypervisor",
	.flags = flags,
	.changes = true,
	.max_files = 100000,
	.run = validate,
};
