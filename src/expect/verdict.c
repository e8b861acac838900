/* verdict.c: what fails, and how that is said. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect_private.h"

/* ---- Failing --------------------------------------------------------------------------------- */

void verdict_fail(struct expect *e, const struct node *node, size_t console, const char *what,
		  const struct range *found, const char *fmt, ...)
{
	struct expect_report *r = e->report;
	const struct mark *mark = NULL;
	va_list ap;

	if (e->state == EXPECT_UNMET)
		return;
	e->state = EXPECT_UNMET;
	r->unmet = true;
	if (node)
		mark = node->is_default ? &node->key_mark : &node->mark;
	if (mark && mark->source) {
		snprintf(r->file, sizeof(r->file), "%s", mark->source->name);
		r->line = mark->line;
		r->column = mark->column;
	}
	va_start(ap, fmt);
	vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
	detail_lines(&e->consoles[console].text, expect_console(e, console), what, found, r->detail,
		     sizeof(r->detail));
}

static const struct node *option_node(const struct expect *e, const char *key)
{
	const struct node *node = node_given(e->setup.node, key);

	return node ? node : e->setup.node;
}

/* "'login:' did not come on hvc0": what a step that isn't met waited for. */
static const char *missing(const struct expect *e, const struct step *step, char *buf, size_t size)
{
	const char *on = expect_console(e, (size_t)step->console);
	char quoted[160];

	if (!step->text || step->came)
		snprintf(buf, size, "the guest did not read %s%s%s",
			 detail_quote(step->config->send, quoted, sizeof(quoted)),
			 *on ? " on " : "", on);
	else
		snprintf(buf, size, "%s%s %s%s%s",
			 step->kind == STEP_MATCHES ? "no line matched " : "",
			 detail_quote(step->text, quoted, sizeof(quoted)),
			 step->kind == STEP_MATCHES ? "" : "did not come", *on ? " on " : "", on);
	for (char *end = buf + strlen(buf); end > buf && end[-1] == ' ';)
		*--end = 0;
	return buf;
}

/* What of a step is to be pointed at. */
static const struct node *place_of(const struct expect *e, const struct step *step)
{
	bool after = step->kind == STEP_SEND && step->text && !step->came;

	return expect_step_node(e, step, after ? "after" : expect_key(step));
}

/* node NULL: at the step itself. */
static void fail_step(struct expect *e, const struct step *step, const struct node *node,
		      const char *within)
{
	char what[256];

	verdict_fail(e, node ? node : place_of(e, step), (size_t)step->console, step->text, NULL,
		     "%s within %s", missing(e, step, what, sizeof(what)), within);
}

uint64_t verdict_scaled(const struct expect *e, uint64_t ns)
{
	double t = (double)ns * e->setup.scale;

	return t < 1e18 ? (uint64_t)t : (uint64_t)1e18;
}

/* ---- Time limits ----------------------------------------------------------------------------- */

static void check_step_limit(struct expect *e, const struct step *step, uint64_t now)
{
	char time[32];

	if (step && step->limit && now >= step->since + step->limit)
		fail_step(e, step, NULL, detail_time(step->limit, time, sizeof(time)));
}

static void check_run_limit(struct expect *e, uint64_t limit)
{
	const struct node *within = node_get(e->setup.node, "within"), *node;
	bool is_default = !within || within->is_default;
	const struct step *unmet = expect_first_unmet(e);
	char time[32], text[96];

	snprintf(text, sizeof(text), "the %s of the whole run%s",
		 detail_time(limit, time, sizeof(time)),
		 is_default ? ", the default of `within`" : "");
	node = option_node(e, "exit");
	if (node == e->setup.node)
		node = option_node(e, "within");
	if (unmet)
		fail_step(e, unmet, NULL, text);
	else
		verdict_fail(e, node, e->last, NULL, NULL, "the VM did not end within %s", text);
}

void verdict_limits(struct expect *e, uint64_t now)
{
	const struct expect_config *config = e->setup.config;
	const struct step *unmet = expect_first_unmet(e);
	uint64_t boot = verdict_scaled(e, config->boot_within),
		 all = verdict_scaled(e, config->within);
	char time[32];

	check_step_limit(e, e->typing, now);
	for (size_t i = 0; i < e->setup.n_consoles; i++)
		check_step_limit(e, e->consoles[i].wait, now);
	if (boot && !e->ready && now >= e->setup.start + boot)
		fail_step(e, unmet ? unmet : e->ready_step, option_node(e, "boot_within"),
			  detail_time(boot, time, sizeof(time)));
	if (all && now >= e->setup.start + all)
		check_run_limit(e, all);
}

/* ---- The end --------------------------------------------------------------------------------- */

static const char *end_words(enum expect_end end, int status, const char *why, char *buf,
			     size_t size)
{
	static const char *const words[] = {
		[EXPECT_END_NONE] = "the VM's process was killed",
		[EXPECT_END_POWEROFF] = "the guest powered off",
		[EXPECT_END_RESET] = "the guest reset itself",
		[EXPECT_END_PANIC] = "the guest panicked",
		[EXPECT_END_CRASH] = "the guest crashed",
		[EXPECT_END_MET] = "the VM was ended",
		[EXPECT_END_UNMET] = "the VM was ended",
		[EXPECT_END_TIMEOUT] = "the time limit was reached",
		[EXPECT_END_SIGNAL] = "ended by a signal",
		[EXPECT_END_FAILED] = "the VM could not go on",
	};

	if (end == EXPECT_END_EXIT)
		snprintf(buf, size, "the guest ended with status %d", status);
	else
		snprintf(buf, size, "%.300s", *why && end != EXPECT_END_RESET ? why : words[end]);
	return buf;
}

static bool is_exit(const char *exit, enum expect_end end, int status)
{
	static const struct {
		const char *word;
		enum expect_end end;
	} words[] = {
		{ "poweroff", EXPECT_END_POWEROFF },
		{ "reset", EXPECT_END_RESET },
		{ "panic", EXPECT_END_PANIC },
		{ "crash", EXPECT_END_CRASH },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(exit, words[i].word))
			return end == words[i].end;
	}
	return (end == EXPECT_END_POWEROFF || end == EXPECT_END_EXIT || end == EXPECT_END_RESET) &&
	       status == atoi(exit);
}

static void check_exit(struct expect *e, enum expect_end end, int status, const char *how)
{
	const char *exit = e->setup.config->exit ? e->setup.config->exit : "0";
	const struct node *node = option_node(e, "exit");
	bool number = exit[0] >= '0' && exit[0] <= '9';
	const char *noun = number ? "exit status" : "a";

	if (is_exit(exit, end, status))
		return;
	if (number && end == EXPECT_END_EXIT)
		verdict_fail(e, node, e->last, NULL, NULL, "exit status %d, where %s is expected",
			     status, exit);
	else
		verdict_fail(e, node, e->last, NULL, NULL, "%s, where %s %s is expected", how, noun,
			     exit);
}

static void check_budgets(struct expect *e)
{
	const struct expect_config *config = e->setup.config;
	const struct expect_report *r = e->report;
	uint64_t exits = e->ready ? r->exits_ready : r->exits;
	char size[24], most[24];

	if (config->exits_under && exits >= config->exits_under)
		verdict_fail(e, option_node(e, "exits_under"), e->last, NULL, NULL,
			     "%llu exits from guest to host%s, where fewer than %llu are expected",
			     (unsigned long long)exits, e->ready_step ? " until it was ready" : "",
			     (unsigned long long)config->exits_under);
	if (config->memory_under && r->memory >= config->memory_under)
		verdict_fail(e, option_node(e, "memory_under"), e->last, NULL, NULL,
			     "vibevmm itself took %s of memory, where less than %s is expected",
			     config_size_rough(r->memory, size, sizeof(size)),
			     config_size_text(config->memory_under, most, sizeof(most)));
}

void verdict_end(struct expect *e, enum expect_end end, int status, const char *why, uint64_t now)
{
	const struct step *unmet;
	char how[320], what[256], time[32];

	if (e->state == EXPECT_UNMET)
		return;
	unmet = expect_first_unmet(e);
	end_words(end, status, why, how, sizeof(how));
	if (end == EXPECT_END_FAILED || end == EXPECT_END_SIGNAL)
		verdict_fail(e, NULL, e->last, NULL, NULL, "%s", how);
	else if (unmet)
		verdict_fail(e, place_of(e, unmet), (size_t)unmet->console, unmet->text, NULL,
			     "%s: %s after %s", missing(e, unmet, what, sizeof(what)), how,
			     detail_time(now - e->setup.start, time, sizeof(time)));
	else if (e->state == EXPECT_WAITS)
		check_exit(e, end, status, how);
	if (e->state != EXPECT_UNMET)
		check_budgets(e);
}
