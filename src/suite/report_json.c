/* report_json.c: JSON lines: a line for the run, and one for each case. docs/reports.md explains
 * the fields.
 */
#include <string.h>

#include <vibevmm/json.h>

#include "report.h"

void report_json_head(struct json *json, const struct suite_run *run)
{
	json_string(json, "vibevmm", VIBEVMM_VERSION);
	json_uint(json, "report", REPORT_VERSION);
	json_uint(json, "wall", run->wall);
	json_uint(json, "took", run->took);
	json_bool(json, "stopped", run->stopped);
	json_uint(json, "signal", run->signal > 0 ? (unsigned)run->signal : 0);
	json_uint(json, "cases", run->n);
}

static void unmet(struct json *json, const struct expect_report *report)
{
	json_open(json, "unmet", '{');
	json_string(json, "file", report->file);
	json_uint(json, "line", report->line);
	json_uint(json, "column", report->column);
	json_close(json, '}');
}

/* Times are told from the start of the process: its clock means nothing elsewhere. */
static void timeline(struct json *json, const struct expect_report *report)
{
	json_open(json, "timeline", '{');
	for (unsigned i = 0; i < TIMELINE_POINTS; i++) {
		if (report->timeline[i])
			json_uint(json, report_point_name((enum timeline_point)i),
				  report_since(report, report->timeline[i]));
	}
	json_close(json, '}');
	json_open(json, "moments", '[');
	for (uint32_t i = 0; i < report->n_moments && i < EXPECT_MOMENTS; i++) {
		const struct expect_moment *m = &report->moments[i];

		json_open(json, NULL, '{');
		json_uint(json, "at", report_since(report, m->at));
		json_string(json, "what", m->what);
		json_string(json, "console", m->console);
		json_uint(json, "offset", m->offset);
		json_uint(json, "length", m->length);
		json_uint(json, "step", m->step);
		json_uint(json, "line", m->line);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void exits(struct json *json, const struct expect_report *report)
{
	json_open(json, "exits", '{');
	json_uint(json, "ready", report->exits_ready);
	json_uint(json, "all", report->exits);
	json_open(json, "reasons", '[');
	for (uint32_t i = 0; i < report->n_kinds && i < EXPECT_KINDS; i++) {
		json_open(json, NULL, '{');
		json_string(json, "name", report->kinds[i].name);
		json_uint(json, "count", report->kinds[i].count);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}

void report_json_facts(struct json *json, const struct suite_result *r)
{
	const struct expect_report *report = &r->report;

	json_string(json, "name", r->name);
	json_string(json, "file", r->file);
	json_string(json, "worker", r->worker);
	json_string(json, "outcome", suite_outcome_name(r->outcome));
	json_uint(json, "attempts", r->attempts);
	json_uint(json, "begin", r->begin);
	json_uint(json, "end", r->end);
	json_string(json, "why", report_why(r));
	json_string(json, "ended", report_end_name(report->end));
	json_uint(json, "status", report->status > 0 ? (unsigned)report->status : 0);
	if (report->unmet)
		unmet(json, report);
	timeline(json, report);
	exits(json, report);
	json_uint(json, "memory", report->memory);
}

void report_json_texts(struct json *json, const struct suite_result *r)
{
	json_string(json, "detail", r->report.detail);
	json_uint(json, "console_cut", r->console_cut);
	json_string(json, "console", r->console);
	json_string(json, "messages", r->messages);
	json_string(json, "config", r->config);
	json_string(json, "map", r->map);
}

void suite_report_json(const struct suite_run *run, FILE *out)
{
	struct json json = { .out = out, .compact = true };

	json_open(&json, NULL, '{');
	report_json_head(&json, run);
	json_close(&json, '}');
	fputc('\n', out);
	for (size_t i = 0; i < run->n; i++) {
		json_open(&json, NULL, '{');
		report_json_facts(&json, &run->results[i]);
		report_json_texts(&json, &run->results[i]);
		json_close(&json, '}');
		fputc('\n', out);
	}
}
