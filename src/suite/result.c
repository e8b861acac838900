/* result.c: what came of the cases. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "suite_private.h"

const char *suite_outcome_name(enum suite_outcome outcome)
{
	static const char *const names[] = {
		[SUITE_NOT_RUN] = "not run", [SUITE_PASSED] = "passed",	  [SUITE_FLAKY] = "flaky",
		[SUITE_FAILED] = "failed",   [SUITE_SKIPPED] = "skipped",
	};

	return names[outcome];
}

int suite_status(const struct suite_run *run)
{
	size_t skipped = 0, failed = 0;

	for (size_t i = 0; i < run->n; i++) {
		failed += run->results[i].outcome == SUITE_FAILED;
		skipped += run->results[i].outcome == SUITE_SKIPPED;
	}
	if (run->signal)
		return STATUS_SIGNAL + run->signal;
	if (failed)
		return 1;
	if (run->stopped)
		return STATUS_OSERR;
	return skipped && skipped == run->n ? STATUS_SKIPPED : STATUS_OK;
}

int suite_result_init(struct suite_result *r, const char *name, const char *file,
		      const char *worker)
{
	*r = (struct suite_result){
		.name = strdup(name),
		.file = strdup(file),
		.why = strdup(""),
		.console = strdup(""),
		.messages = strdup(""),
		.config = strdup(""),
		.map = strdup(""),
		.worker = strdup(worker ? worker : ""),
	};
	if (r->name && r->file && r->why && r->console && r->messages && r->config && r->map &&
	    r->worker)
		return 0;
	suite_result_free(r);
	return -ENOMEM;
}

void suite_result_free(struct suite_result *r)
{
	free(r->name);
	free(r->file);
	free(r->why);
	free(r->console);
	free(r->messages);
	free(r->config);
	free(r->map);
	free(r->worker);
	*r = (struct suite_result){ 0 };
}

void suite_run_free(struct suite_run *run)
{
	for (size_t i = 0; i < run->n; i++)
		suite_result_free(&run->results[i]);
	free(run->results);
	*run = (struct suite_run){ 0 };
}

int suite_run_init(struct suite_run *run, const struct suite *suite,
		   const struct suite_options *options)
{
	run->results = calloc(suite->n + 1, sizeof(*run->results));
	if (!run->results)
		return -ENOMEM;
	for (; run->n < suite->n; run->n++) {
		const struct suite_case *c = &suite->cases[run->n];

		if (suite_result_init(&run->results[run->n], c->name, c->file, options->worker))
			return -ENOMEM;
	}
	return 0;
}

void suite_begin(const struct suite_run *run, const struct suite *suite,
		 const struct suite_options *options)
{
	if (options->artifacts)
		suite_artifacts_clear(options->artifacts, suite);
	for (size_t i = 0; i < run->n; i++) {
		if (!suite->cases[i].skip)
			continue;
		run->results[i].outcome = SUITE_SKIPPED;
		suite_replace(&run->results[i].why, strdup(suite->cases[i].skip));
		if (options->ended)
			options->ended(options->arg, &run->results[i]);
	}
}

bool suite_settle(const struct suite_case *c, const struct suite_result *result,
		  const struct suite_options *options)
{
	bool failed = result->outcome == SUITE_FAILED;
	struct err err;

	if (options->artifacts && (failed || (options->keep_all && result->attempts)) &&
	    suite_artifacts(options->artifacts, c, result, &err))
		log_error("%s", err.text);
	if (options->ended)
		options->ended(options->arg, result);
	return !(failed && options->fail_fast);
}

void suite_replace(char **text, char *by)
{
	if (!by)
		return;
	free(*text);
	*text = by;
}

/* Its places stay what they are: a match is known by its offset. */
static void show_zeros(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!text[i])
			text[i] = '?';
	}
}

char *suite_text_of(int fd, uint64_t *cut)
{
	struct stat st;
	off_t from = 0;
	size_t len, done = 0;
	char *text;

	*cut = 0;
	if (fstat(fd, &st))
		return NULL;
	if (st.st_size > SUITE_CONSOLE_MAX)
		from = st.st_size - SUITE_CONSOLE_MAX;
	*cut = (uint64_t)from;
	len = (size_t)(st.st_size - from);
	text = malloc(len + 1);
	while (text && done < len) {
		ssize_t n = pread(fd, text + done, len - done, from + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (!text)
		return NULL;
	show_zeros(text, done);
	text[done] = 0;
	return text;
}
