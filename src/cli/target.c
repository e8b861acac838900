/* target.c: `vibevmm plan --target`: how a config fares with hypervisors elsewhere.
 *
 * A target is a row of the backends, by name and arch: "kvm-arm64". Planning for one is planning
 * with `arch` and `backend` set to its own, as --set would do it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/json.h>
#include <vibevmm/log.h>

#include "cli.h"

#define MAX_TARGETS 8
#define MAX_NAME    24

/* An error, and the targets that it is one for. */
struct finding {
	char *file; /* "": no place */
	uint32_t line, column, length;
	char *text;
	unsigned targets; /* bits */
};

struct report {
	struct finding *findings; /* by file, line and column */
	size_t n, cap;
	char **files; /* by first appearance */
	size_t errors[MAX_TARGETS];
	int status[MAX_TARGETS];
	unsigned target; /* that is being planned for */
	bool failed;	 /* out of memory */
};

static const char *target_name(const struct hv_backend *row, char buf[MAX_NAME])
{
	snprintf(buf, MAX_NAME, "%s-%s", row->name, hv_arch_name(row->arch));
	return buf;
}

const struct hv_backend *cli_target(const char *name)
{
	const struct hv_backend *const *rows;
	char buf[MAX_NAME];
	size_t n;

	rows = hv_backends(&n);
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(name, target_name(rows[i], buf)))
			return rows[i];
	}
	return NULL;
}

int cli_target_unknown(const struct cli_command *command, const char *name)
{
	char buf[MAX_TARGETS][MAX_NAME], list[(MAX_TARGETS + 1) * (MAX_NAME + 2)] = "all";
	size_t used = strlen(list);
	const char *names[MAX_TARGETS + 2] = { "all" }, *near;
	const struct hv_backend *const *rows;
	size_t n;

	rows = hv_backends(&n);
	for (size_t i = 0; i < n && i < MAX_TARGETS; i++) {
		names[i + 1] = target_name(rows[i], buf[i]);
		used += (size_t)snprintf(list + used, sizeof(list) - used, ", %s", buf[i]);
	}
	near = config_nearest(name, names);
	if (near)
		return cli_usage(command, "there is no target '%s'; did you mean '%s'?", name,
				 near);
	return cli_usage(command, "there is no target '%s'; it is one of: %s", name, list);
}

int cli_target_args(struct cli_target *target, const struct cli_args *args,
		    const struct hv_backend *row)
{
	const struct config_flag *set = config_flags();
	size_t n = args->n_changes;

	while (strcmp(set->name, "set") != 0)
		set++;
	target->changes = calloc(n + 2, sizeof(*target->changes));
	if (!target->changes) {
		log_error("out of memory");
		return STATUS_OSERR;
	}
	if (n)
		memcpy(target->changes, args->changes, n * sizeof(*target->changes));
	snprintf(target->arch, sizeof(target->arch), "arch=%s", hv_arch_name(row->arch));
	snprintf(target->backend, sizeof(target->backend), "backend=%s", row->name);
	target->changes[n] = (struct config_change){ set, target->arch };
	target->changes[n + 1] = (struct config_change){ set, target->backend };
	target->args = *args;
	target->args.changes = target->changes;
	target->args.n_changes = n + 2;
	return STATUS_OK;
}

/* ---- All of them --------------------------------------------------------------------------- */

/* The index of the file's name, which becomes known. A name that was seen earlier sorts first. */
static size_t file_rank(struct report *report, const char *file)
{
	size_t n = 0;
	char **files;

	for (; report->files && report->files[n]; n++) {
		if (!strcmp(report->files[n], file))
			return n;
	}
	files = realloc(report->files, (n + 2) * sizeof(*files));
	if (!files) {
		report->failed = true;
		return n;
	}
	report->files = files;
	files[n + 1] = NULL;
	files[n] = strdup(file);
	report->failed |= !files[n];
	return n;
}

static int compare(struct report *report, const struct finding *a, const struct diag_item *b)
{
	size_t x = file_rank(report, a->file), y = file_rank(report, b->file ? b->file : "");

	if (x != y)
		return x < y ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return (a->column > b->column) - (a->column < b->column);
}

/* Files an error under its place and text, for the present target. */
static void add_finding(void *arg, const struct diag_item *item)
{
	struct report *report = arg;
	struct finding *new;
	size_t at;

	if (item->level != DIAG_ERROR || report->failed)
		return;
	for (at = 0; at < report->n && compare(report, &report->findings[at], item) <= 0; at++) {
		struct finding *old = &report->findings[at];

		if (!compare(report, old, item) && !strcmp(old->text, item->text)) {
			old->targets |= 1U << report->target;
			return;
		}
	}
	if (report->n == report->cap) {
		size_t cap = report->cap ? 2 * report->cap : 16;

		new = realloc(report->findings, cap * sizeof(*new));
		if (!new) {
			report->failed = true;
			return;
		}
		report->findings = new;
		report->cap = cap;
	}
	new = &report->findings[at];
	memmove(new + 1, new, (report->n - at) * sizeof(*new));
	*new = (struct finding){ strdup(item->file ? item->file : ""),
				 item->line,
				 item->column,
				 item->length,
				 strdup(item->text),
				 1U << report->target };
	report->n++;
	report->failed |= !new->file || !new->text;
}

static void report_free(struct report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		free(report->findings[i].file);
		free(report->findings[i].text);
	}
	for (size_t i = 0; report->files && report->files[i]; i++)
		free(report->files[i]);
	free(report->findings);
	free(report->files);
}

static const char *result_text(const struct report *report, size_t target, char *buf, size_t len)
{
	size_t n = report->errors[target];

	if (!n)
		return "ok";
	snprintf(buf, len, "%zu error%s", n, n == 1 ? "" : "s");
	return buf;
}

/* "vm.yaml:8:5", "vm.yaml", or "" */
static void place_text(const struct finding *f, char *buf, size_t len)
{
	if (f->line)
		snprintf(buf, len, "%s:%u:%u", f->file, f->line, f->column);
	else
		snprintf(buf, len, "%s", f->file);
}

/* One line: what stands on the left, then a cell for each target, without blanks at the end. */
static void print_line(const char *left, int width, const char *const *cells, size_t n)
{
	printf("%-*s", width, left);
	for (size_t k = 0; k < n; k++)
		printf(k + 1 < n ? "  %-10s" : "  %s", cells[k]);
	printf("\n");
}

static void print_table(const struct report *report, const struct hv_backend *const *rows, size_t n)
{
	char names[MAX_TARGETS][MAX_NAME], results[MAX_TARGETS][32], place[512];
	const char *cells[MAX_TARGETS];
	int width = (int)strlen("result");

	for (size_t i = 0; i < report->n; i++) {
		place_text(&report->findings[i], place, sizeof(place));
		if ((int)strlen(place) > width)
			width = (int)strlen(place);
	}
	for (size_t k = 0; k < n; k++)
		cells[k] = target_name(rows[k], names[k]);
	print_line("", width, cells, n);
	for (size_t i = 0; i < report->n; i++) {
		const struct finding *f = &report->findings[i];

		place_text(f, place, sizeof(place));
		for (size_t k = 0; k < n; k++)
			cells[k] = f->targets & 1U << k ? "error" : "-";
		print_line(place, width, cells, n);
		printf("    %s\n", f->text);
	}
	for (size_t k = 0; k < n; k++)
		cells[k] = result_text(report, k, results[k], sizeof(results[k]));
	print_line("result", width, cells, n);
	if (report->n)
		printf("\n`--target` with one of these names also says how to mend it.\n");
}

static void print_json(const struct report *report, const struct hv_backend *const *rows, size_t n)
{
	struct json json = { .out = stdout };
	char name[MAX_NAME];

	json_open(&json, NULL, '{');
	json_open(&json, "targets", '[');
	for (size_t k = 0; k < n; k++) {
		json_open(&json, NULL, '{');
		json_string(&json, "target", target_name(rows[k], name));
		json_string(&json, "arch", hv_arch_name(rows[k]->arch));
		json_string(&json, "backend", rows[k]->name);
		json_bool(&json, "in_this_build", rows[k]->probe != NULL);
		json_uint(&json, "errors", report->errors[k]);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_open(&json, "errors", '[');
	for (size_t i = 0; i < report->n; i++) {
		const struct finding *f = &report->findings[i];

		json_open(&json, NULL, '{');
		json_string(&json, "file", *f->file ? f->file : NULL);
		json_uint(&json, "line", f->line);
		json_uint(&json, "column", f->column);
		json_uint(&json, "length", f->length);
		json_string(&json, "message", f->text);
		json_open(&json, "targets", '[');
		for (size_t k = 0; k < n; k++) {
			if (f->targets & 1U << k)
				json_string(&json, NULL, target_name(rows[k], name));
		}
		json_close(&json, ']');
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
	printf("\n");
}

/* Plans for one target and files what is wrong. */
static int try_target(const struct cli_command *command, const struct cli_args *args,
		      const struct hv_backend *row, struct report *report, enum diag_format *format)
{
	struct cli_session session;
	struct cli_target target;
	struct config *config;
	struct plan *plan;
	int status = cli_begin(command, args->values[0], &session);

	if (status)
		return status;
	*format = session.format;
	status = cli_target_args(&target, args, row);
	if (!status) {
		status = cli_plan_file(command, &target.args, 0, &session, &config, &plan);
		diags_each(session.diags, add_finding, report);
		report->errors[report->target] = diags_errors(session.diags);
		report->status[report->target] = diags_status(session.diags);
		plan_free(plan);
		config_free(config);
		free(target.changes);
	}
	cli_end(&session);
	return status;
}

int cli_plan_all_targets(const struct cli_command *command, const struct cli_args *args)
{
	const struct hv_backend *const *rows;
	enum diag_format format = DIAG_TEXT;
	struct report report = { 0 };
	int status = STATUS_OK;
	size_t n;

	if (args->n_files && !strcmp(args->files[0], "-"))
		return cli_usage(command, "--target all reads the config once for each target, "
					  "which standard input doesn't allow: name a file");
	rows = hv_backends(&n);
	assert(n <= MAX_TARGETS);
	for (size_t k = 0; k < n && !status; k++) {
		report.target = (unsigned)k;
		status = try_target(command, args, rows[k], &report, &format);
	}
	if (!status && report.failed) {
		log_error("out of memory");
		status = STATUS_OSERR;
	}
	if (!status) {
		if (format == DIAG_JSON)
			print_json(&report, rows, n);
		else
			print_table(&report, rows, n);
		/* As for `validate` with several files. */
		for (size_t k = 0; k < n; k++) {
			if (report.status[k] == STATUS_CONFIG || !status)
				status = report.status[k];
		}
	}
	report_free(&report);
	return status;
}
