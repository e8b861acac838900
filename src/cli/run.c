/* run.c: `vibevmm run`. */
#include <stdio.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "cli.h"

enum { FLAG_LOCKED, FLAG_LOG, FLAG_STATS, FLAG_TIMELINE, FLAG_TIMEOUT };

static const struct cli_flag flags[] = {
	[FLAG_LOCKED] = { "locked", NULL, "Refuse files that are not as `vibevmm lock` saw them" },
	[FLAG_LOG] = { "log", "LEVEL", "0-4, or none, error, warn (default), info, debug" },
	[FLAG_STATS] = { "stats", NULL, "Print exits, run time and accesses by device at the end" },
	[FLAG_TIMELINE] = { "timeline", NULL,
			    "Show at the end how long it took to the guest and through it" },
	[FLAG_TIMEOUT] = { "timeout", "TIME",
			   "End the VM with status 124 after 500ms, 20s, 5m, ..." },
	{ 0 },
};

static int parse_flags(const struct cli_command *command, const struct cli_args *args,
		       struct machine_options *options)
{
	const char *timeout = args->values[FLAG_TIMEOUT];
	enum log_level level;
	const char *why;

	*options = (struct machine_options){
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
	};
	if (timeout && config_number(OPTION_DURATION, timeout, &options->timeout, &why))
		return cli_usage(command, "--timeout '%s': %s", timeout, why);
	if (timeout && !options->timeout)
		return cli_usage(command, "--timeout must be more than 0");
	if (args->values[FLAG_LOG]) {
		if (log_parse_level(args->values[FLAG_LOG], &level))
			return cli_usage(
				command,
				"--log is 0-4, or none, error, warn, info or debug, not '%s'",
				args->values[FLAG_LOG]);
		log_set_level(level);
	}
	return 0;
}

static int build_and_run(const struct plan *plan, const struct machine_options *options,
			 const struct cli_args *args)
{
	struct machine *machine;
	struct err err = { 0 };
	int status;

	if (machine_build(plan, options, &machine, &err)) {
		log_error("%s", err.text);
		return err.status ? err.status : STATUS_OSERR;
	}
	status = machine_run(machine);
	if (args->values[FLAG_STATS])
		machine_print_stats(machine, stderr);
	if (args->values[FLAG_TIMELINE])
		cli_print_timeline(stderr);
	machine_free(machine);
	return status;
}

static int run(const struct cli_command *command, const struct cli_args *args)
{
	struct machine_options options;
	struct cli_session session;
	struct config *config;
	struct plan *plan;
	int status;

	status = cli_begin(command, NULL, &session);
	if (status)
		return status;
	status = parse_flags(command, args, &options);
	if (status) {
		cli_end(&session);
		return status;
	}
	status = cli_plan_file(command, args, 0, &session, &config, &plan);
	if (!status && args->values[FLAG_LOCKED] && !diags_errors(session.diags))
		status = cli_lock_check(command, &session, config);
	if (!status)
		status = cli_report(&session);
	if (!status)
		status = build_and_run(plan, &options, args);
	plan_free(plan);
	config_free(config);
	cli_end(&session);
	return status;
}

const struct cli_command cli_run = {
	.name = "run",
	.args = "[FILE]",
	.doc = "Run the VM of FILE (default: vm.yaml) and end with its status",
	.flags = flags,
	.changes = true,
	.here = true,
	.max_files = 1,
	.run = run,
};
