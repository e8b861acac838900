/* lab_run.c: the suite, or the part of it that is the lab's, run inside of the lab. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "suite_private.h"

struct told {
	const struct lab_job *job;
	const struct suite *suite;
	FILE *control;
	unsigned n_results;
};

/* Its index among the job's cases; -1: it is none of them. */
static long find_case(const struct lab_job *job, const char *name)
{
	for (size_t i = 0; i < job->cases.n; i++) {
		if (!strcmp(job->cases.list[i], name))
			return (long)i;
	}
	return -1;
}

static void tell(FILE *control, const char *word, const char *text)
{
	fprintf(control, "%s %s\n", word, text);
	fflush(control);
}

static void begun(void *arg, size_t index)
{
	struct told *told = arg;
	char text[24];

	snprintf(text, sizeof(text), "%ld", find_case(told->job, told->suite->cases[index].name));
	tell(told->control, "begin", text);
}

/* What the host doesn't hear of has not been run. */
static void ended(void *arg, const struct suite_result *result)
{
	struct told *told = arg;
	const struct suite_run one = { .results = (struct suite_result *)result, .n = 1 };
	char path[64], text[24];
	FILE *out;

	snprintf(path, sizeof(path), LAB_RESULTS "/%u", told->n_results);
	out = fopen(path, "we");
	if (out) {
		suite_report_json(&one, out);
		if (fclose(out))
			out = NULL;
	}
	if (!out) {
		perror(path);
		return;
	}
	snprintf(text, sizeof(text), "%u", told->n_results++);
	tell(told->control, "end", text);
}

/* The flags that change configs, out of the job. */
static struct config_change *make_changes(const struct lab_job *job, size_t *n)
{
	struct config_change *changes = calloc(job->changes.n + 1, sizeof(*changes));

	*n = 0;
	for (size_t i = 0; changes && i + 1 < job->changes.n; i += 2) {
		const struct config_flag *flag = config_flags();

		while (flag->name && strcmp(flag->name, job->changes.list[i]) != 0)
			flag++;
		if (flag->name)
			changes[(*n)++] = (struct config_change){ flag, job->changes.list[i + 1] };
	}
	return changes;
}

/* The files may have other cases as well. */
static void keep_cases(struct suite *suite, const struct lab_job *job)
{
	size_t n = 0;

	for (size_t i = 0; i < suite->n; i++) {
		if (find_case(job, suite->cases[i].name) < 0)
			suite_case_free(&suite->cases[i]);
		else
			suite->cases[n++] = suite->cases[i];
	}
	suite->n = n;
}

static int collect(struct suite *suite, const struct lab_job *job,
		   const struct suite_choice *choice, struct diags *diags, struct err *err)
{
	int ret = suite_collect(suite, choice, diags, err);

	if (ret)
		return ret;
	keep_cases(suite, job);
	if (!diags_status(diags) && suite->n == job->cases.n)
		return 0;
	diags_print(diags, stderr, DIAG_TEXT, false);
	suite_free(suite);
	return err_set(err, EINVAL, STATUS_OSERR,
		       "its cases are not the same in the lab as they are outside");
}

int lab_run(const struct lab_job *job, FILE *control)
{
	struct diags *diags = diags_new();
	struct config_settings settings = { 0 };
	struct suite_choice choice = { .paths = job->files.list, .n_paths = job->files.n };
	struct suite_options options = job->options;
	struct suite suite = { 0 };
	struct suite_run run = { 0 };
	struct told told = { job, &suite, control, 0 };
	struct config_change *changes = NULL;
	struct err err = { 0 };
	int ret;

	options.begun = begun;
	options.ended = ended;
	options.arg = &told;
	choice.settings = &settings;
	choice.changes = changes = make_changes(job, &choice.n_changes);
	if (!diags || !changes) {
		ret = err_errno(&err, ENOMEM, STATUS_OSERR, "the suite");
		goto out;
	}
	config_settings_load(&settings, diags);
	ret = collect(&suite, job, &choice, diags, &err);
	if (!ret)
		ret = suite_start(&suite, &options, &run, &err);
out:
	if (ret)
		tell(control, "failed", err.text);
	suite_run_free(&run);
	suite_free(&suite);
	config_settings_free(&settings);
	diags_free(diags);
	free(changes);
	return ret;
}
