/* test.c: `vibevmm test`: finds the cases, runs them, reports. */
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>
#include <vibevmm/suite.h>

#include "cli.h"

enum {
	FLAG_MATCH,
	FLAG_JOBS,
	FLAG_LIST,
	FLAG_MEMORY,
	FLAG_RETRIES,
	FLAG_REPEAT,
	FLAG_FAIL_FAST,
	FLAG_SCALE,
	FLAG_TAP,
	FLAG_JUNIT,
	FLAG_JSON,
	FLAG_HTML,
	FLAG_ARTIFACTS,
	FLAG_KEEP_ALL,
	FLAG_SHARD,
	FLAG_DURATIONS,
	FLAG_LAB,
	FLAG_LAB_KERNEL,
};

static const struct cli_flag flags[] = {
	[FLAG_MATCH] = { "match", "PATTERN",
			 "Only cases whose name has this in it, or matches it as a glob" },
	[FLAG_JOBS] = { "jobs", "N", "vCPUs that run at once (default: the host's)" },
	[FLAG_LIST] = { "list", NULL,
			"Print the cases' names, and why some are skipped on standard error" },
	[FLAG_MEMORY] = { "memory-budget", "SIZE",
			  "Guest RAM that runs at once (default: what is free)" },
	[FLAG_RETRIES] = { "retries", "N",
			   "Try a case that fails again; passed then, it is flaky" },
	[FLAG_REPEAT] = { "repeat", "N", "Run each case so often; it passes if all do" },
	[FLAG_FAIL_FAST] = { "fail-fast", NULL, "Begin no more cases once one has failed" },
	[FLAG_SCALE] = { "timeout-scale", "F", "Multiply all time limits, as by 2 or 0.5" },
	[FLAG_TAP] = { "tap", NULL, "Print TAP 14 on standard output, and no lines" },
	[FLAG_JUNIT] = { "junit", "FILE", "Write JUnit XML" },
	[FLAG_JSON] = { "json", "FILE", "Write JSON lines, for `vibevmm report`" },
	[FLAG_HTML] = { "html", "FILE", "Write one HTML page with everything in it" },
	[FLAG_ARTIFACTS] = { "artifacts", "DIR",
			     "Keep logs, plan and map of failed cases there, in place of older "
			     "ones" },
	[FLAG_KEEP_ALL] = { "keep-all", NULL, "Keep those of the passed ones as well" },
	[FLAG_SHARD] = { "shard", "I/N",
			 "Run part I of N; auto: as the CI system says, or /N for its I" },
	[FLAG_DURATIONS] = { "durations", "FILE",
			     "Balance shards by this earlier --json: the same file for all" },
	[FLAG_LAB] = { "lab", NULL,
		       "Run them under QEMU's emulation, no hypervisor needed; limits times 20" },
	[FLAG_LAB_KERNEL] = { "lab-kernel", "FILE",
			      "Linux for the lab, with its modules beside it (default: the "
			      "host's)" },
	{ 0 },
};

struct test {
	const struct cli_command *command;
	const struct cli_args *args;
	struct cli_session session;
	struct suite_choice choice;
	struct suite suite;
	struct suite_options options;
	unsigned shard, shards; /* shards 0: all of it */
	char worker[32];
	struct cli_reports reports;
};

/* ---- Flags --------------------------------------------------------------------------------- */

static int parse_count(const struct test *t, unsigned flag, unsigned min, unsigned *value)
{
	const char *text = t->args->values[flag], *why = NULL;
	uint64_t v;

	if (!text)
		return 0;
	if (config_number(OPTION_UINT, text, &v, &why) || v < min || v > 1000000)
		return cli_usage(t->command, "--%s is a number from %u to 1000000, not '%s'",
				 flags[flag].name, min, text);
	*value = (unsigned)v;
	return 0;
}

static int parse_scale(struct test *t)
{
	const char *text = t->args->values[FLAG_SCALE];
	char *end;

	t->options.scale = 1;
	if (!text)
		return 0;
	t->options.scale = strtod(text, &end);
	if (end == text || *end || !isfinite(t->options.scale) || t->options.scale < 0.001 ||
	    t->options.scale > 10000)
		return cli_usage(t->command,
				 "--timeout-scale is a factor such as 2 or 0.5, not '%s'", text);
	return 0;
}

/* "I/N"; "/N", I being the CI system's; "auto", which takes both from there. */
static int parse_shard(struct test *t)
{
	const char *text = t->args->values[FLAG_SHARD];
	unsigned i = 0, n = 0, said;
	int used = 0;

	if (!text)
		return 0;
	if (!strcmp(text, "auto") || text[0] == '/') {
		if (!suite_shard_from_env(&i, &said))
			return cli_usage(t->command,
					 "--shard %s: no variable of the environment says which "
					 "shard this is; known are those of GitLab, CircleCI, "
					 "Buildkite, Slurm arrays and Kubernetes indexed Jobs",
					 text);
		n = said;
		if (text[0] == '/' && (sscanf(text, "/%u%n", &n, &used) != 1 || text[used]))
			n = 0;
		if (!n && text[0] != '/')
			return cli_usage(
				t->command,
				"--shard auto: the environment says that this is shard %u, "
				"but not of how many: give that as --shard /N",
				i);
	} else if (sscanf(text, "%u/%u%n", &i, &n, &used) != 2 || text[used]) {
		n = 0;
	}
	if (!n || !i || i > n || n > 10000)
		return cli_usage(t->command,
				 "--shard is I/N, with I from 1 to N, as in 2/5; '/N' or "
				 "'auto'; not '%s'",
				 text);
	t->shard = i;
	t->shards = n;
	snprintf(t->worker, sizeof(t->worker), "%u/%u", i, n);
	t->options.worker = t->worker;
	return 0;
}

static int parse_flags(struct test *t)
{
	const char *const *values = t->args->values;
	const char *why;
	int status;

	t->reports.paths[CLI_REPORT_JUNIT] = values[FLAG_JUNIT];
	t->reports.paths[CLI_REPORT_JSON] = values[FLAG_JSON];
	t->reports.paths[CLI_REPORT_HTML] = values[FLAG_HTML];
	t->reports.tap = values[FLAG_TAP];
	t->options = (struct suite_options){
		.fail_fast = values[FLAG_FAIL_FAST],
		.artifacts = values[FLAG_ARTIFACTS],
		.keep_all = values[FLAG_KEEP_ALL],
		.details = values[FLAG_JSON] || values[FLAG_HTML] || values[FLAG_JUNIT] ||
			   values[FLAG_ARTIFACTS],
	};
	status = parse_count(t, FLAG_JOBS, 1, &t->options.jobs);
	if (!status)
		status = parse_count(t, FLAG_RETRIES, 0, &t->options.retries);
	if (!status)
		status = parse_count(t, FLAG_REPEAT, 1, &t->options.repeat);
	if (!status)
		status = parse_scale(t);
	if (!status)
		status = parse_shard(t);
	if (status)
		return status;
	if (values[FLAG_MEMORY] &&
	    config_number(OPTION_SIZE, values[FLAG_MEMORY], &t->options.memory, &why))
		return cli_usage(t->command, "--memory-budget '%s': %s", values[FLAG_MEMORY], why);
	for (int i = 0; i < CLI_REPORTS; i++) {
		const char *path = t->reports.paths[i];

		if (path && (!fnmatch("*.yaml", path, 0) || !fnmatch("*.yml", path, 0)))
			return cli_usage(t->command,
					 "a report would overwrite '%s', which is a config by its "
					 "name: the flag takes the FILE to write",
					 path);
	}
	if (values[FLAG_MEMORY] && !t->options.memory)
		return cli_usage(t->command, "--memory-budget must be more than 0");
	if (values[FLAG_KEEP_ALL] && !values[FLAG_ARTIFACTS])
		return cli_usage(t->command, "--keep-all is for --artifacts DIR, which is missing");
	if (values[FLAG_LAB_KERNEL] && !values[FLAG_LAB])
		return cli_usage(t->command, "--lab-kernel is for --lab, which is missing");
	if (values[FLAG_DURATIONS] && !t->shards)
		return cli_usage(t->command, "--durations is for --shard, which is missing");
	return 0;
}

/* ---- Cases --------------------------------------------------------------------------------- */

static int failed(const struct err *err)
{
	log_error("%s", err->text);
	return err->status ? err->status : STATUS_OSERR;
}

static int no_case(const struct test *t)
{
	const char *pattern = t->args->values[FLAG_MATCH];

	if (pattern)
		return cli_usage(t->command, "no case's name has '%s' in it; --list shows them all",
				 pattern);
	return cli_usage(t->command, "no case found: a directory's cases are its *.yaml and *.yml "
				     "files that have `expect`");
}

static int take_shard(struct test *t)
{
	const char *path = t->args->values[FLAG_DURATIONS];
	struct suite_run known = { 0 };
	struct err err = { 0 };
	int ret = 0;

	if (!t->shards)
		return 0;
	if (path)
		ret = suite_report_read(path, &known, &err);
	if (!ret && suite_shard(&t->suite, t->shard, t->shards, path ? &known : NULL))
		ret = err_errno(&err, ENOMEM, STATUS_OSERR, "shards");
	suite_run_free(&known);
	return ret ? failed(&err) : 0;
}

static int collect(struct test *t)
{
	struct err err = { 0 };
	int status;

	t->choice = (struct suite_choice){
		.paths = t->args->files,
		.n_paths = (size_t)t->args->n_files,
		.pattern = t->args->values[FLAG_MATCH],
		.settings = &t->session.settings,
		.changes = t->args->changes,
		.n_changes = t->args->n_changes,
		.lab = t->args->values[FLAG_LAB],
	};
	if (suite_collect(&t->suite, &t->choice, t->session.diags, &err))
		return failed(&err);
	status = cli_report(&t->session);
	if (status)
		return status;
	if (!t->suite.n)
		return no_case(t);
	return take_shard(t);
}

/* Names alone on standard output: scripts read them. */
static int list(const struct test *t)
{
	for (size_t i = 0; i < t->suite.n; i++) {
		const struct suite_case *c = &t->suite.cases[i];

		puts(c->name);
		if (c->skip)
			fprintf(stderr, "%s: skipped: %s\n", c->name, c->skip);
	}
	return STATUS_OK;
}

/* Nothing can be learned from many VMs that all fail for want of a hypervisor: this says so once,
 * if there is none for any of them. */
static int check_host(const struct test *t)
{
	struct hv_caps caps;
	struct err err = { 0 };
	bool wanted = false;

	for (size_t i = 0; i < t->suite.n; i++) {
		const struct suite_case *c = &t->suite.cases[i];
		const struct hv_backend *backend = machine_backend(config_vm(c->config));

		if (c->skip)
			continue;
		wanted = true;
		if (backend && backend->probe && !backend->probe(&caps, err.status ? NULL : &err))
			return 0;
	}
	if (!wanted)
		return 0;
	log_error("no case can run on this host%s%s; `vibevmm test --lab` needs no hypervisor",
		  *err.text ? ": " : "", err.text);
	return STATUS_UNAVAILABLE;
}

/* ---- Reports ------------------------------------------------------------------------------- */

/* Whether standard output is a report's. */
static bool quiet(const struct test *t)
{
	bool taken = t->args->values[FLAG_TAP];

	for (int i = 0; i < CLI_REPORTS; i++)
		taken |= t->reports.files[i] == stdout;
	return taken;
}

static int write_reports(struct test *t, const struct suite_run *run)
{
	const char *actions = getenv("GITHUB_ACTIONS");
	int status = cli_reports_write(&t->reports, run);

	if (t->args->values[FLAG_TAP])
		suite_report_tap(run, stdout);
	if (actions && !strcmp(actions, "true"))
		suite_report_github(run, quiet(t) ? stderr : stdout);
	return status;
}

/* ---- The command --------------------------------------------------------------------------- */

static int start(const struct test *t, struct suite_run *run, struct err *err)
{
	const struct suite_lab_options lab = { .kernel = t->args->values[FLAG_LAB_KERNEL] };

	if (t->args->values[FLAG_LAB])
		return suite_lab(&t->suite, &t->choice, &t->options, &lab, run, err);
	return suite_start(&t->suite, &t->options, run, err);
}

static int run_suite(struct test *t)
{
	struct cli_test_progress progress;
	struct suite_run run = { 0 };
	struct err err = { 0 };
	int ret, status, written;

	if (cli_test_progress_begin(&progress, &t->suite, quiet(t))) {
		log_error("out of memory");
		return STATUS_OSERR;
	}
	t->options.begun = cli_test_begun;
	t->options.ended = cli_test_ended;
	t->options.tick = cli_test_tick;
	t->options.arg = &progress;
	ret = start(t, &run, &err);
	cli_test_progress_end(&progress, run.n ? &run : NULL);
	status = ret ? failed(&err) : suite_status(&run);
	written = run.n ? write_reports(t, &run) : 0;
	suite_run_free(&run);
	return status ? status : written;
}

static int test(const struct cli_command *command, const struct cli_args *args)
{
	struct test t = { .command = command, .args = args };
	int status = cli_begin(command, NULL, &t.session);

	if (status)
		return status;
	status = parse_flags(&t);
	if (!status)
		status = collect(&t);
	if (!status && args->values[FLAG_LIST]) {
		status = list(&t);
		goto out;
	}
	if (!status && !args->values[FLAG_LAB])
		status = check_host(&t);
	if (!status)
		status = cli_reports_open(&t.reports); /* what can't be written is known at once */
	if (!status)
		status = run_suite(&t);
	cli_reports_close(&t.reports);
out:
	suite_free(&t.suite);
	cli_end(&t.session);
	return status;
}

const struct cli_command cli_test = {
	.name = "test",
	.args = "[PATH...]",
	.doc = "Run the VMs of files and directories as tests, by their `expect`",
	.flags = flags,
	.letters = "kj",
	.changes = true,
	.here = true,
	.max_files = 100000,
	.run = test,
};
