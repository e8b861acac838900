/* report.c: `vibevmm report merge`: the results of several runs of `vibevmm test` as one, in the
 * reports that it writes, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>
#include <vibevmm/suite.h>

#include "cli.h"

/* ---- Report files: for `test` as well -------------------------------------------------------- */

static void (*const writers[CLI_REPORTS])(const struct suite_run *run, FILE *out) = {
	[CLI_REPORT_JUNIT] = suite_report_junit,
	[CLI_REPORT_JSON] = suite_report_json,
	[CLI_REPORT_HTML] = suite_report_html,
};

int cli_reports_open(struct cli_reports *reports)
{
	unsigned printed = reports->tap;

	for (int i = 0; i < CLI_REPORTS; i++)
		printed += reports->paths[i] && !strcmp(reports->paths[i], "-");
	if (printed > 1) {
		log_error("only one report can go to standard output: give the others a file");
		return STATUS_USAGE;
	}
	for (int i = 0; i < CLI_REPORTS; i++) {
		const char *path = reports->paths[i];

		if (!path)
			continue;
		reports->files[i] = strcmp(path, "-") ? fopen(path, "we") : stdout;
		if (!reports->files[i]) {
			log_error("cannot write '%s': %s", path, strerror(errno));
			return STATUS_OSERR;
		}
	}
	return 0;
}

int cli_reports_write(const struct cli_reports *reports, const struct suite_run *run)
{
	int status = 0;

	for (int i = 0; i < CLI_REPORTS; i++) {
		FILE *out = reports->files[i];

		if (!out)
			continue;
		writers[i](run, out);
		if (fflush(out) || ferror(out)) {
			log_error("cannot write '%s': %s", reports->paths[i], strerror(errno));
			status = STATUS_OSERR;
		}
	}
	return status;
}

void cli_reports_close(struct cli_reports *reports)
{
	for (int i = 0; i < CLI_REPORTS; i++) {
		if (reports->files[i] && reports->files[i] != stdout)
			fclose(reports->files[i]);
		reports->files[i] = NULL;
	}
}

/* ---- The command ----------------------------------------------------------------------------- */

enum { FLAG_JUNIT, FLAG_JSON, FLAG_HTML, FLAG_TAP };

static const struct cli_flag flags[] = {
	[FLAG_JUNIT] = { "junit", "FILE", "Write JUnit XML (\"-\": to standard output)" },
	[FLAG_JSON] = { "json", "FILE", "Write JSON lines, as of one run" },
	[FLAG_HTML] = { "html", "FILE", "Write one HTML page with everything in it" },
	[FLAG_TAP] = { "tap", NULL, "Print TAP 14 on standard output" },
	{ 0 },
};

/* The order in which the files were named means nothing, and neither does that of the shards. */
static int compare(const void *a, const void *b)
{
	const struct suite_result *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	if (!order)
		order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->worker, y->worker);
}

static void summary(const struct suite_run *run)
{
	size_t n[SUITE_SKIPPED + 1] = { 0 };

	for (size_t i = 0; i < run->n; i++)
		n[run->results[i].outcome]++;
	fprintf(stderr, "%zu passed, %zu failed, %zu skipped", n[SUITE_PASSED] + n[SUITE_FLAKY],
		n[SUITE_FAILED], n[SUITE_SKIPPED]);
	if (n[SUITE_FLAKY])
		fprintf(stderr, ", %zu of the passed flaky", n[SUITE_FLAKY]);
	if (n[SUITE_NOT_RUN])
		fprintf(stderr, ", %zu not run", n[SUITE_NOT_RUN]);
	fputc('\n', stderr);
}

/* A machine that died left no file, and the pattern `shard-*.json` doesn't miss it. A shard without
 * cases is not known by one, but its file is there. */
static bool all_shards(const struct suite_run *run)
{
	enum { MAX = 10000 };
	bool *seen = calloc(MAX + 1, sizeof(*seen));
	unsigned n = 0, known = 0;

	for (size_t k = 0; seen && k < run->n; k++) {
		unsigned i, of;

		if (sscanf(run->results[k].worker, "%u/%u", &i, &of) != 2 || of > MAX || !i ||
		    i > of)
			continue;
		n = of > n ? of : n;
		known += !seen[i];
		seen[i] = true;
	}
	if (known < n && run->parts < n) {
		unsigned first = 1;

		while (seen[first])
			first++;
		log_error("not all shards are here: nothing is known of %u/%u", first, n);
	}
	free(seen);
	return known >= n || run->parts >= n;
}

static int read_all(const struct cli_args *args, struct suite_run *run)
{
	for (int i = 1; i < args->n_files; i++) {
		struct err err = { 0 };

		if (suite_report_read(args->files[i], run, &err)) {
			log_error("%s", err.text);
			return err.status;
		}
	}
	return 0;
}

static int report(const struct cli_command *command, const struct cli_args *args)
{
	const char *const *values = args->values;
	struct cli_reports reports = {
		.paths = { [CLI_REPORT_JUNIT] = values[FLAG_JUNIT],
			   [CLI_REPORT_JSON] = values[FLAG_JSON],
			   [CLI_REPORT_HTML] = values[FLAG_HTML] },
		.tap = values[FLAG_TAP],
	};
	struct suite_run run = { 0 };
	int status, written;

	if (strcmp(args->files[0], "merge") != 0)
		return cli_usage(command, "what to do is `merge`, not '%s'", args->files[0]);
	if (args->n_files < 2)
		return cli_usage(command, "name the files that `vibevmm test --json FILE` wrote");
	status = read_all(args, &run); /* all of them before a file is opened: it may be one */
	if (status)
		goto out;
	if (args->n_files > 2 && run.n)
		qsort(run.results, run.n, sizeof(*run.results), compare);
	status = cli_reports_open(&reports);
	if (status)
		goto out;
	if (values[FLAG_TAP])
		suite_report_tap(&run, stdout);
	written = cli_reports_write(&reports, &run);
	summary(&run);
	status = suite_status(&run);
	if (!all_shards(&run) && (!status || status == STATUS_SKIPPED))
		status = 1;
	status = status ? status : written;
out:
	cli_reports_close(&reports);
	suite_run_free(&run);
	return status;
}

const struct cli_command cli_report_command = {
	.name = "report",
	.args = "merge FILE...",
	.doc = "Join the results of several `test --json`, such as shards, into one report",
	.flags = flags,
	.min_files = 1,
	.max_files = 100000,
	.run = report,
};
