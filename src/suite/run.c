/* run.c: runs the cases of a suite, as many at once as the budget allows. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/host.h>

#include "suite_private.h"

#define TICK_NS 1000000000ULL

/* A case on its way to its result. */
struct job {
	size_t index; /* of the case */
	bool done;
	bool running;
	struct suite_child child;
	unsigned passes, failures;
};

struct runner {
	const struct suite *suite;
	const struct suite_options *options;
	struct suite_run *run;
	struct suite_budget budget;
	struct job *jobs; /* in the order in which they are to begin */
	size_t n;	  /* of them; skipped cases have none */
	size_t first;	  /* all before this have begun */
	size_t left;	  /* that are not done */
	struct pollfd *polls;
	size_t *polled; /* the job of each but the first of polls */
	uint64_t origin, next_tick;
	int signals; /* suite_signals */
	bool stopped;
};

/* ---- Order --------------------------------------------------------------------------------- */

static const struct suite_case *case_of(const struct runner *r, const struct job *job)
{
	return &r->suite->cases[job->index];
}

struct rank {
	uint64_t known;
	size_t index;
};

static int longest_first(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->known != y->known)
		return x->known > y->known ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* What is not known may take long, and so begins first. */
static int make_order(struct runner *r)
{
	struct rank *ranks = calloc(r->suite->n + 1, sizeof(*ranks));
	size_t n = 0;

	if (!ranks)
		return -ENOMEM;
	for (size_t i = 0; i < r->suite->n; i++) {
		const struct suite_case *c = &r->suite->cases[i];

		if (!c->skip)
			ranks[n++] = (struct rank){ c->known ? c->known : UINT64_MAX, i };
	}
	qsort(ranks, n, sizeof(*ranks), longest_first);
	for (size_t i = 0; i < n; i++)
		r->jobs[i] = (struct job){ .index = ranks[i].index };
	r->n = r->left = n;
	free(ranks);
	return 0;
}

/* ---- Begin and end of a case ----------------------------------------------------------------- */

/* Starts what fits. Where the host has no room for one more process, the others are waited for. */
static int begin_some(struct runner *r, struct err *err)
{
	int ret;

	for (size_t i = r->first; i < r->n && !r->stopped; i++) {
		struct job *job = &r->jobs[i];
		const struct suite_case *c = case_of(r, job);

		if (job->done || job->running) {
			r->first += i == r->first;
			continue;
		}
		if (r->budget.running_vcpus >= r->budget.vcpus)
			break;
		if (!suite_budget_fits(&r->budget, c))
			continue;
		ret = suite_child_start(&job->child, c, r->options, err);
		if (ret)
			return r->budget.running ? 0 : ret;
		suite_budget_take(&r->budget, c);
		job->running = true;
		r->run->results[job->index].attempts++;
		if (r->options->begun)
			r->options->begun(r->options->arg, job->index);
	}
	return 0;
}

/* The order of begin is lost for a case that begins again; it is tried at once. */
static void begin_again(struct runner *r, struct job *job)
{
	size_t at = (size_t)(job - r->jobs);

	if (at < r->first)
		r->first = at;
}

static void draw_pictures(const struct suite_case *c, struct suite_result *result)
{
	char *config = NULL, *map = NULL;
	size_t size;
	FILE *out = open_memstream(&config, &size);

	if (out) {
		config_print(c->config, out);
		fclose(out);
	}
	out = open_memstream(&map, &size);
	if (out) {
		plan_print_svg(c->plan, out);
		fclose(out);
	}
	suite_replace(&result->config, config);
	suite_replace(&result->map, map);
}

static void finish(struct runner *r, struct job *job, enum suite_outcome outcome)
{
	struct suite_result *result = &r->run->results[job->index];

	result->outcome = outcome;
	job->done = true;
	r->left--;
	if (r->options->details)
		draw_pictures(case_of(r, job), result);
	if (!suite_settle(case_of(r, job), result, r->options))
		r->stopped = true;
}

/* An attempt has come to its end: the case is run again, or has its result. */
static void judge(struct runner *r, struct job *job)
{
	struct suite_result *result = &r->run->results[job->index];
	unsigned repeat = r->options->repeat ? r->options->repeat : 1;

	if (result->report.unmet || result->report.end == EXPECT_END_FAILED)
		job->failures++;
	else
		job->passes++;
	if (job->failures > r->options->retries)
		finish(r, job, SUITE_FAILED);
	else if (job->passes >= repeat)
		finish(r, job, job->failures ? SUITE_FLAKY : SUITE_PASSED);
	else
		begin_again(r, job);
}

static void reap(struct runner *r, struct job *job)
{
	struct suite_result *result = &r->run->results[job->index];
	bool pushed = job->child.pushed && !job->child.hung;

	suite_child_end(&job->child, result);
	/* It may have come to an end of its own in the same moment. */
	pushed &= result->report.end == EXPECT_END_NONE || result->report.end == EXPECT_END_SIGNAL;
	result->begin -= r->origin;
	result->end -= r->origin;
	job->running = false;
	suite_budget_give(&r->budget, case_of(r, job));
	if (pushed) {
		char *why;

		if (asprintf(&why, "ended by %s after %.1f s",
			     r->run->signal == SIGINT ? "Ctrl-C" : "a signal",
			     (double)(result->end - result->begin) / 1e9) >= 0)
			suite_replace(&result->why, why);
		finish(r, job, SUITE_NOT_RUN);
		return;
	}
	judge(r, job);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* The first signal ends all VMs, the next one at once. */
static void take_signal(struct runner *r)
{
	int signal = suite_signal_take(r->signals);

	if (!signal)
		return;
	for (size_t i = 0; i < r->n; i++) {
		struct job *job = &r->jobs[i];

		if (job->running && r->run->signal)
			suite_child_kill(&job->child);
		else if (job->running)
			suite_child_push(&job->child);
	}
	r->stopped = true;
	r->run->signal = signal;
}

/* Those that are beyond their time are pushed; when the next one will be, or the next tick. */
static uint64_t keep_time(struct runner *r)
{
	uint64_t now = loop_now(), next;
	bool tick = now >= r->next_tick;

	if (tick)
		r->next_tick = now + TICK_NS;
	next = r->next_tick;
	for (size_t i = 0; i < r->n; i++) {
		struct job *job = &r->jobs[i];

		if (!job->running)
			continue;
		if (tick)
			suite_child_trim(&job->child);
		if (job->child.deadline && now >= job->child.deadline) {
			job->child.hung |= !job->child.pushed;
			suite_child_push(&job->child);
		}
		if (job->child.deadline && job->child.deadline < next)
			next = job->child.deadline;
	}
	if (tick && r->options->tick)
		r->options->tick(r->options->arg);
	return next > now ? next - now : 0;
}

static int wait_for_some(struct runner *r, struct err *err)
{
	uint64_t wait = keep_time(r);
	size_t n = 1;

	r->polls[0] = (struct pollfd){ .fd = r->signals, .events = POLLIN };
	for (size_t i = 0; i < r->n; i++) {
		if (!r->jobs[i].running)
			continue;
		r->polls[n] = (struct pollfd){ .fd = r->jobs[i].child.ended, .events = POLLIN };
		r->polled[n++] = i;
	}
	if (poll(r->polls, (nfds_t)n, (int)(wait / 1000000) + 1) < 0 && errno != EINTR)
		return err_errno(err, errno, STATUS_OSERR, "cannot wait for the VMs");
	if (r->polls[0].revents)
		take_signal(r);
	for (size_t i = 1; i < n; i++) {
		if (r->polls[i].revents)
			reap(r, &r->jobs[r->polled[i]]);
	}
	return 0;
}

/* ---- The run --------------------------------------------------------------------------------- */

static int prepare(struct runner *r)
{
	size_t n = r->suite->n;

	r->jobs = calloc(n + 1, sizeof(*r->jobs));
	r->polls = calloc(n + 1, sizeof(*r->polls));
	r->polled = calloc(n + 1, sizeof(*r->polled));
	if (!r->jobs || !r->polls || !r->polled || suite_run_init(r->run, r->suite, r->options))
		return -ENOMEM;
	return make_order(r);
}

/* Why those that have no result have none. */
static const char *why_not(const struct runner *r, int ret, const struct err *err)
{
	if (r->run->signal)
		return "stopped before it began";
	return ret ? err->text : "a case failed before it began";
}

static int run_all(struct runner *r, struct err *err)
{
	int ret = 0;

	while (!ret && (r->budget.running || (r->left && !r->stopped))) {
		ret = begin_some(r, err);
		if (!ret && r->budget.running)
			ret = wait_for_some(r, err);
	}
	for (size_t i = 0; i < r->n; i++) {
		struct job *job = &r->jobs[i];

		if (job->running) { /* after an error */
			suite_child_kill(&job->child);
			reap(r, job);
		}
		if (job->done)
			continue;
		suite_replace(&r->run->results[job->index].why, strdup(why_not(r, ret, err)));
	}
	r->run->stopped = r->left > 0 || r->run->signal;
	return ret;
}

int suite_start(const struct suite *suite, const struct suite_options *options,
		struct suite_run *run, struct err *err)
{
	struct runner r = { .suite = suite, .options = options, .run = run, .signals = -1 };
	sigset_t old;
	int ret;

	*run = (struct suite_run){ .wall = loop_wall() };
	r.origin = r.next_tick = loop_now();
	suite_budget_init(&r.budget, options);
	r.signals = suite_signals(&old);
	if (r.signals < 0) {
		ret = err_errno(err, errno, STATUS_OSERR, "cannot watch for signals");
		goto out;
	}
	ret = prepare(&r);
	if (ret) {
		err_errno(err, -ret, STATUS_OSERR, "the suite");
		goto out;
	}
	suite_begin(run, suite, options);
	ret = run_all(&r, err);
	run->took = loop_now() - r.origin;
	suite_durations_save(suite, run);
out:
	if (r.signals >= 0)
		close(r.signals);
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(r.jobs);
	free(r.polls);
	free(r.polled);
	return ret;
}
