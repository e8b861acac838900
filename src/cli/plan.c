/* plan.c: `vibevmm plan`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/log.h>

#include "cli.h"

enum { FLAG_FORMAT, FLAG_SVG, FLAG_TARGET };

static const struct cli_flag flags[] = {
	[FLAG_FORMAT] = CLI_FORMAT_FLAG,
	[FLAG_SVG] = { "svg", "FILE", "Draw the map into FILE instead (\"-\": standard output)" },
	[FLAG_TARGET] = { "target", "TARGET",
			  "Plan for kvm-x86_64, kvm-arm64, hvf-x86_64, hvf-arm64, or all" },
	{ 0 },
};

static int print_svg(const struct plan *plan, const char *path)
{
	bool own = strcmp(path, "-") != 0;
	FILE *out = own ? fopen(path, "we") : stdout;
	int ret;

	if (!out) {
		log_error("cannot write '%s': %s", path, strerror(errno));
		return STATUS_OSERR;
	}
	errno = 0;
	ret = plan_print_svg(plan, out);
	if (own && (ferror(out) | fclose(out)) && !ret) /* main sees to standard output */
		ret = errno ? -errno : -EIO;
	if (ret)
		log_error("cannot write '%s': %s", path, strerror(-ret));
	return ret ? STATUS_OSERR : STATUS_OK;
}

static int print_plan(const struct cli_command *command, const struct cli_args *args)
{
	const char *svg = args->values[FLAG_SVG], *name = args->values[FLAG_TARGET];
	const struct hv_backend *row = name ? cli_target(name) : NULL;
	struct cli_target target = { .args = *args };
	struct cli_session session;
	struct config *config;
	struct plan *plan;
	int status = STATUS_OK;

	if (name && !strcmp(name, "all") && svg)
		return cli_usage(command, "--svg draws the map of one target, not of all");
	if (name && !strcmp(name, "all"))
		return cli_plan_all_targets(command, args);
	if (name && !row)
		return cli_target_unknown(command, name);
	if (row)
		status = cli_target_args(&target, args, row);
	if (status)
		return status;
	status = cli_begin(command, args->values[FLAG_FORMAT], &session);
	if (status)
		goto out;
	status = cli_plan_file(command, &target.args, 0, &session, &config, &plan);
	if (!status)
		status = cli_report(&session);
	if (!status && svg)
		status = print_svg(plan, svg);
	else if (!status)
		plan_print(plan, stdout, session.format);
	plan_free(plan);
	config_free(config);
	cli_end(&session);
out:
	free(target.changes);
	return status;
}

const struct cli_command cli_plan = {
	.name = "plan",
	.args = "[FILE]",
	.doc = "Print the map of memory, ports and interrupt lines",
	.flags = flags,
	.changes = true,
	.max_files = 1,
	.run = print_plan,
};
