/* plan.c: `vibevmm plan`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vibevmm/log.h>

#include "cli.h"

enum { FLAG_FORMAT, FLAG_SVG, FLAG_TABLES, FLAG_DTB, FLAG_TARGET };

static const struct cli_flag flags[] = {
	[FLAG_FORMAT] = CLI_FORMAT_FLAG,
	[FLAG_SVG] = { "svg", "FILE", "Draw the map into FILE instead (\"-\": standard output)" },
	[FLAG_TABLES] = { "tables", "DIR",
			  "Write the machine's tables (ACPI, SMBIOS) into DIR instead, for iasl -d "
			  "and dmidecode --from-dump" },
	[FLAG_DTB] = { "dtb", "FILE",
		       "Write the device tree of an arm64 VM into FILE instead, for dtc" },
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

static int write_file(const char *path, const void *bytes, size_t len)
{
	FILE *out;
	int ret = 0;

	errno = 0;
	out = fopen(path, "we");
	if (!out || fwrite(bytes, 1, len, out) != len)
		ret = errno ? -errno : -EIO;
	if (out && fclose(out) && !ret)
		ret = errno ? -errno : -EIO;
	if (ret)
		log_error("cannot write '%s': %s", path, strerror(-ret));
	return ret;
}

static int write_table(void *arg, const char *name, const void *bytes, size_t len)
{
	char *path = NULL;
	int ret;

	if (asprintf(&path, "%s/%s", (const char *)arg, name) < 0)
		return -ENOMEM;
	ret = write_file(path, bytes, len);
	if (!ret)
		printf("%s\n", path);
	free(path);
	return ret;
}

static int write_tables(const struct plan *plan, const char *dir)
{
	int ret;

	if (!plan->arch->each_table || !plan->tables.private) {
		log_error("this VM has no tables: boot formats have them whose guests look for "
			  "them, unless `platform: {acpi: false}`");
		return STATUS_CONFIG;
	}
	if (mkdir(dir, 0777) && errno != EEXIST) {
		log_error("cannot make directory '%s': %s", dir, strerror(errno));
		return STATUS_OSERR;
	}
	ret = plan->arch->each_table(plan, write_table, (void *)dir);
	if (ret == -ENOMEM)
		log_error("out of memory");
	return ret ? STATUS_OSERR : STATUS_OK;
}

/* The machine's table that is a device tree. */
static int write_dtb_table(void *arg, const char *name, const void *bytes, size_t len)
{
	int ret;

	if (!strstr(name, ".dtb"))
		return 0;
	ret = write_file(arg, bytes, len);
	return ret ? ret : 1;
}

static int write_dtb(const struct plan *plan, const char *path)
{
	int ret = 0;

	if (plan->arch->each_table)
		ret = plan->arch->each_table(plan, write_dtb_table, (void *)path);
	if (!ret) {
		log_error("this VM has no device tree: on arm64, `linux` has one, and `raw` and "
			  "`elf` with `dtb_at`");
		return STATUS_CONFIG;
	}
	return ret < 0 ? STATUS_OSERR : STATUS_OK;
}

static int print_plan(const struct cli_command *command, const struct cli_args *args)
{
	const char *svg = args->values[FLAG_SVG], *tables = args->values[FLAG_TABLES];
	const char *dtb = args->values[FLAG_DTB];
	const char *name = args->values[FLAG_TARGET];
	const struct hv_backend *row = name ? cli_target(name) : NULL;
	struct cli_target target = { .args = *args };
	struct cli_session session;
	struct config *config;
	struct plan *plan;
	int status = STATUS_OK;

	if (name && !strcmp(name, "all") && svg)
		return cli_usage(command, "--svg draws the map of one target, not of all");
	if ((svg != NULL) + (tables != NULL) + (dtb != NULL) > 1)
		return cli_usage(command, "--svg, --tables and --dtb are ways to show a plan; "
					  "give one");
	if (name && !strcmp(name, "all") && (tables || dtb))
		return cli_usage(command, "--tables and --dtb write those of one target, not of "
					  "all");
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
	else if (!status && tables)
		status = write_tables(plan, tables);
	else if (!status && dtb)
		status = write_dtb(plan, dtb);
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
