/* doctor.c: `vibevmm doctor`: is this host ready, for VMs at all and for that one? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/finding.h>
#include <vibevmm/json.h>
#include <vibevmm/log.h>

#include "cli.h"

static const struct cli_flag flags[] = { CLI_FORMAT_FLAG, { 0 } };

static const char *const words[] = {
	[FINDING_OK] = "ok",
	[FINDING_ABSENT] = "no",
	[FINDING_WARNING] = "warning",
	[FINDING_MISSING] = "MISSING",
};

/* SGR parameters (ECMA-48, 8.3.117). */
static const char *const colours[] = {
	[FINDING_OK] = "32",
	[FINDING_ABSENT] = "2",
	[FINDING_WARNING] = "33",
	[FINDING_MISSING] = "1;31",
};

/* "ok       12  vcpus   2, and kvm runs up to 255"; the line's number only for a VM. */
static void print_finding(const struct finding *f, int subject_width, bool vm, bool colour)
{
	int indent = 2 + 7 + 2 + (vm ? 6 : 0) + subject_width + 2;
	char line[16] = "";

	printf("  %s%s%s%-7s%s  ", colour ? "\033[" : "", colour ? colours[f->state] : "",
	       colour ? "m" : "", words[f->state], colour ? "\033[m" : "");
	if (f->mark.line)
		snprintf(line, sizeof(line), "%u", f->mark.line);
	if (vm)
		printf("%4s  ", line);
	printf("%-*s  %s\n", subject_width, f->subject, f->text);
	if (f->command[0] && f->state != FINDING_OK)
		printf("%*srun: %s\n", indent, "", f->command);
}

/* Those of the host, from..n of them, or those of a file: a heading for each file. */
static void print_findings(const struct findings *findings, size_t from, size_t n, bool vm)
{
	bool colour = cli_colour(STDOUT_FILENO);
	const struct source *source = NULL;
	int width = 0;

	for (size_t i = from; i < n; i++) {
		int len = (int)strlen(findings->list[i].subject);

		width = len > width && len <= 32 ? len : width;
	}
	if (!vm)
		printf("This host\n");
	for (size_t i = from; i < n; i++) {
		const struct finding *f = &findings->list[i];

		if (vm && f->mark.source && f->mark.source != source) {
			source = f->mark.source;
			printf("\n%s, by line\n", source->name);
		}
		print_finding(f, width, vm, colour);
	}
}

static void print_json(const struct findings *findings)
{
	struct json json = { .out = stdout };

	json_open(&json, NULL, '[');
	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *f = &findings->list[i];

		json_open(&json, NULL, '{');
		json_string(&json, "state",
			    f->state == FINDING_MISSING ? "missing" : words[f->state]);
		json_string(&json, "subject", f->subject);
		json_string(&json, "text", f->text);
		json_string(&json, "command", f->command[0] ? f->command : NULL);
		json_string(&json, "file", f->mark.source ? f->mark.source->name : NULL);
		json_uint(&json, "line", f->mark.line);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	putchar('\n');
}

/* This build has the code of some hypervisor. */
static bool can_check(void)
{
	const struct hv_backend *const *rows;
	size_t n;

	rows = hv_backends(&n);
	for (size_t i = 0; i < n; i++) {
		if (rows[i]->probe)
			return true;
	}
	return false;
}

/* What is missing on the host at large is no fault of a VM's that can do without it: what counts
 * for a VM stands in its own findings. */
static int status_of(const struct findings *findings, size_t from)
{
	if (!can_check())
		return STATUS_SKIPPED;
	for (size_t i = from; i < findings->n; i++) {
		if (findings->list[i].state == FINDING_MISSING)
			return STATUS_UNAVAILABLE;
	}
	return STATUS_OK;
}

static int examine(const struct cli_command *command, const struct cli_args *args,
		   struct cli_session *session, struct findings *findings)
{
	bool vm = args->n_files > 0 || args->n_changes > 0;
	struct config *config = NULL;
	struct plan *plan = NULL;
	size_t host;
	int status = STATUS_OK, bad = STATUS_OK;

	machine_doctor_host(findings);
	host = findings->n;
	if (vm)
		status = cli_plan_file(command, args, 0, session, &config, &plan);
	if (status)
		goto out;
	if (plan)
		machine_doctor_vm(plan, findings);
	if (vm && session->format == DIAG_TEXT)
		bad = cli_report(session);
	else if (vm)
		bad = diags_status(session->diags);
	if (vm && session->format == DIAG_JSON && bad)
		diags_print(session->diags, stderr, DIAG_TEXT, cli_colour(STDERR_FILENO));
	if (findings->failed) {
		log_error("out of memory");
		status = STATUS_OSERR;
		goto out;
	}
	if (session->format == DIAG_JSON) {
		print_json(findings);
	} else {
		print_findings(findings, 0, host, false);
		if (vm)
			print_findings(findings, host, findings->n, true);
	}
	/* A missing file is what the doctor is for; any other mistake is the config's. */
	status = bad == STATUS_CONFIG || (bad && !plan) ? bad : status_of(findings, vm ? host : 0);
	if (bad && !status)
		status = bad;
out:
	plan_free(plan);
	config_free(config);
	return status;
}

static int doctor(const struct cli_command *command, const struct cli_args *args)
{
	struct findings findings = { 0 };
	struct cli_session session;
	int status = cli_begin(command, args->values[0], &session);

	if (status)
		return status;
	status = examine(command, args, &session, &findings);
	findings_free(&findings);
	cli_end(&session);
	return status;
}

const struct cli_command cli_doctor = {
	.name = "doctor",
	.args = "[FILE]",
	.doc = "Check that this host is ready: for VMs, or for FILE, line by line",
	.flags = flags,
	.changes = true,
	.here = true,
	.max_files = 1,
	.run = doctor,
};
