/* explain.c: `vibevmm explain`: where each value comes from. */
#include <stdio.h>

#include "cli.h"

static const struct cli_flag flags[] = { CLI_FORMAT_FLAG, { 0 } };

static int explain(const struct cli_command *command, const struct cli_args *args)
{
	const char *path = args->n_files > 1 ? args->files[1] : NULL;
	struct config_request request;
	struct config *config = NULL;
	struct cli_session session;
	bool known = true;
	int status = cli_begin(command, args->values[0], &session);

	if (status)
		return status;
	status = cli_request(command, args, 0, &session, &request);
	if (status)
		goto out;
	/* Not planned: what is in conflict can be explained as well. */
	config = config_load(&request, machine_registry(), session.diags);
	if (config && (!diags_status(session.diags) || session.format == DIAG_TEXT))
		known = !config_explain(config, path, stdout, session.format);
	status = cli_report(&session);
	if (!known)
		status = STATUS_USAGE;
out:
	config_free(config);
	cli_end(&session);
	return status;
}

const struct cli_command cli_explain = {
	.name = "explain",
	.args = "[FILE [PATH]]",
	.doc = "Print every effective value, or those of PATH, with its origin",
	.flags = flags,
	.changes = true,
	.max_files = 2,
	.run = explain,
};
