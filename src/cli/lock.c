/* lock.c: `vibevmm lock`, and what `vibevmm run --locked` does with it. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <vibevmm/log.h>

#include "cli.h"

/* The lock belongs to the config that was loaded, wherever its name came from. */
static int lock_path(const struct cli_command *command, const struct cli_session *session,
		     char *buf, size_t len)
{
	if (!session->path)
		return cli_usage(command, "a lock file belongs to a config file: name one");
	if (!strcmp(session->path, "-"))
		return cli_usage(command, "a config from standard input has no lock file");
	if (machine_lock_path(session->path, buf, len))
		return cli_usage(command, "the name of the file is too long");
	return 0;
}

int cli_lock_check(const struct cli_command *command, struct cli_session *session,
		   const struct config *config)
{
	struct cli_progress progress;
	char lock[PATH_MAX];
	struct err err = { 0 };
	int status = lock_path(command, session, lock, sizeof(lock));

	if (status)
		return status;
	cli_progress_begin(&progress);
	machine_lock_check(config_vm(config), lock, cli_progress, &progress, session->diags, &err);
	cli_progress_end(&progress);
	if (err.text[0]) {
		log_error("%s", err.text);
		return err.status;
	}
	return STATUS_OK;
}

static int lock_config(const char *lock, struct cli_session *session, const struct config *config)
{
	struct cli_progress progress;
	struct err err = { 0 };
	int n, status;

	cli_progress_begin(&progress);
	n = machine_lock_write(config_vm(config), lock, cli_progress, &progress, session->diags,
			       &err);
	cli_progress_end(&progress);
	status = cli_report(session);
	if (err.text[0]) {
		log_error("%s", err.text);
		return err.status;
	}
	if (!status)
		printf("%s: %d file%s locked\n", lock, n, n == 1 ? "" : "s");
	return status;
}

static int lock(const struct cli_command *command, const struct cli_args *args)
{
	struct cli_session session;
	struct config *config;
	char path[PATH_MAX];
	struct plan *plan;
	int status = cli_begin(command, NULL, &session);

	if (status)
		return status;
	status = cli_plan_file(command, args, 0, &session, &config, &plan);
	if (!status)
		status = lock_path(command, &session, path, sizeof(path));
	if (!status && diags_errors(session.diags))
		status = cli_report(&session);
	else if (!status)
		status = lock_config(path, &session, config);
	plan_free(plan);
	config_free(config);
	cli_end(&session);
	return status;
}

const struct cli_command cli_lock = {
	.name = "lock",
	.args = "[FILE]",
	.doc = "Write down size and SHA-256 of all files that FILE names, into FILE's .lock",
	.changes = true,
	.max_files = 1,
	.run = lock,
};
