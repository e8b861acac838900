/* expect.c: the steps in their order, and what they wait for.
 *
 * Each console has at most one step that waits for its text: the first that isn't met and has no
 * `send` before it that isn't. So the order holds on each console, and across them from one `send`
 * to the next.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect_private.h"

/* An unfinished line is worth a look after so long. */
#define QUIET 50000000ULL

static const char *const kind_keys[] = { "contains", "matches", "absent", "send" };

const char *expect_key(const struct step *step)
{
	return kind_keys[step->kind];
}

const struct node *expect_step_node(const struct expect *e, const struct step *step,
				    const char *key)
{
	size_t i = (size_t)(step - e->steps);

	return e->list && i < e->list->n_children ? node_get(e->list->children[i], key) : NULL;
}

/* Steps of this kind make the VM end once they are met. */
static bool is_wait(const struct step *step)
{
	return step->kind == STEP_ABSENT ? step->limit > 0 : step->text != NULL;
}

/* All there is to wait for, but for the end of the VM. */
static bool all_come(const struct expect *e, uint64_t now)
{
	bool come = e->first == e->n;

	for (size_t i = 0; i < e->n && come; i++)
		come = e->steps[i].kind != STEP_ABSENT || !e->steps[i].limit ||
		       now >= e->setup.start + e->steps[i].limit;
	return come;
}

static void sooner(uint64_t *limit, uint64_t at)
{
	if (!*limit || at < *limit)
		*limit = at;
}

static void find_limit(struct expect *e, uint64_t now)
{
	const struct expect_config *config = e->setup.config;
	uint64_t start = e->setup.start;

	e->limit = 0;
	if (config->within)
		sooner(&e->limit, start + verdict_scaled(e, config->within));
	if (config->boot_within && !e->ready)
		sooner(&e->limit, start + verdict_scaled(e, config->boot_within));
	if (e->typing && e->typing->limit)
		sooner(&e->limit, e->typing->since + e->typing->limit);
	for (size_t i = 0; i < e->setup.n_consoles; i++) {
		const struct step *step = e->consoles[i].wait;

		if (step && step->limit)
			sooner(&e->limit, step->since + step->limit);
	}
	for (size_t i = 0; i < e->n; i++) {
		const struct step *step = &e->steps[i];

		if (step->kind == STEP_ABSENT && step->limit && now < start + step->limit)
			sooner(&e->limit, start + step->limit);
	}
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Gives every console its step. */
static void give_turns(struct expect *e, uint64_t now)
{
	bool earlier = false;

	while (e->first < e->n &&
	       (e->steps[e->first].met || e->steps[e->first].kind == STEP_ABSENT))
		e->first++;
	for (size_t i = e->first; i < e->n; i++) {
		struct step *step = &e->steps[i];
		struct console *c;

		if (step->met || step->kind == STEP_ABSENT)
			continue;
		c = &e->consoles[step->console];
		if (step->kind == STEP_SEND && earlier)
			break;
		if (step->text && !step->came && !c->wait) {
			c->wait = step;
			c->looked = false;
			step->since = now;
		} else if (!step->text && e->typing != step) {
			e->typing = step;
			step->since = now;
		}
		if (step->kind == STEP_SEND)
			break;
		earlier = true;
	}
}

static void note_moment(struct expect *e, const struct step *step, const struct range *found,
			uint64_t now)
{
	const struct transcript *text = &e->consoles[step->console].text;
	const struct node *node = expect_step_node(e, step, expect_key(step));
	const struct expect_step *config = step->config;
	struct expect_report *r = e->report;
	struct expect_moment *m;
	char quoted[80];

	if (r->n_moments == EXPECT_MOMENTS)
		return;
	m = &r->moments[r->n_moments];
	*m = (struct expect_moment){ .at = now,
				     .step = (uint32_t)(step - e->steps),
				     .line = node ? node->mark.line : 0,
				     .offset = transcript_end(text) + text->skipped };
	if (found) {
		m->offset = transcript_heard_at(text, found->start);
		if (found->end > found->start)
			m->length = (uint32_t)(transcript_heard_at(text, found->end - 1) + 1 -
					       m->offset);
	}
	snprintf(m->console, sizeof(m->console), "%s", expect_console(e, (size_t)step->console));
	snprintf(m->what, sizeof(m->what), "%s %s",
		 found && step->kind == STEP_SEND ? "after" : expect_key(step),
		 detail_quote(step->kind == STEP_SEND && !found ? config->send : step->text, quoted,
			      sizeof(quoted)));
	r->n_moments++; /* last: whoever shares this memory sees it whole */
}

static void meet(struct expect *e, struct step *step, uint64_t now)
{
	step->met = true;
	if (step == e->ready_step)
		e->ready = true;
	give_turns(e, now);
}

static void came(struct expect *e, struct console *c, const struct range *found, uint64_t now)
{
	struct step *step = c->wait;

	c->wait = NULL;
	c->from = found->end;
	step->came = true;
	note_moment(e, step, found, now);
	if (step->kind == STEP_SEND) {
		e->typing = step;
		if (step == e->ready_step)
			e->ready = true;
	} else {
		meet(e, step, now);
	}
}

/* Whether the text that this console's step waits for is there. */
static bool look(struct console *c, bool unfinished, struct range *found)
{
	const struct step *step = c->wait;
	uint64_t end;

	if (!step)
		return false;
	if (step->kind == STEP_MATCHES) {
		if (transcript_match(&c->text, c->from, &step->regex, false, found))
			return true;
		end = transcript_line(&c->text);
		c->from = c->from > end ? c->from : end;
		return unfinished && transcript_match(&c->text, c->from, &step->regex, true, found);
	}
	if (transcript_find(&c->text, c->from, step->text, step->len, found))
		return true;
	end = transcript_end(&c->text); /* a part of it may be there */
	end -= end < step->len ? end : step->len - 1;
	c->from = c->from > end ? c->from : end;
	return false;
}

/* A step that is met may be followed by one whose text is there already, on any console. */
static void look_everywhere(struct expect *e, bool unfinished, uint64_t now)
{
	bool again = true;

	while (again && e->state == EXPECT_WAITS) {
		again = false;
		for (size_t i = 0; i < e->setup.n_consoles; i++) {
			struct range found;

			if (look(&e->consoles[i], unfinished, &found)) {
				came(e, &e->consoles[i], &found, now);
				again = true;
			}
		}
	}
}

static void check_forbidden(struct expect *e, size_t console, uint64_t now)
{
	struct console *c = &e->consoles[console];
	char quoted[160], time[32];
	struct range found;

	for (size_t i = 0; i < e->n; i++) {
		const struct step *step = &e->steps[i];
		uint64_t from = c->checked - (c->checked < step->len ? c->checked : step->len - 1);

		if (step->kind != STEP_ABSENT ||
		    (step->console != EVERYWHERE && (size_t)step->console != console) ||
		    (step->limit && now >= e->setup.start + step->limit) ||
		    !transcript_find(&c->text, from, step->text, step->len, &found))
			continue;
		verdict_fail(e, expect_step_node(e, step, "absent"), console, NULL, &found,
			     "forbidden %s came%s%s after %s",
			     detail_quote(step->text, quoted, sizeof(quoted)),
			     console ? " on " : "", expect_console(e, console),
			     detail_time(now - e->setup.start, time, sizeof(time)));
	}
	c->checked = transcript_end(&c->text);
}

/* Its unfinished line is worth a look when nothing more comes. */
static bool wants_quiet(const struct console *c)
{
	return c->wait && c->wait->kind == STEP_MATCHES && !c->looked &&
	       transcript_end(&c->text) > transcript_line(&c->text);
}

/* Something came, or time went on. */
static void conclude(struct expect *e, uint64_t now)
{
	for (size_t i = 0; i < e->setup.n_consoles; i++) {
		const struct console *c = &e->consoles[i];

		if (wants_quiet(c))
			sooner(&e->quiet, c->spoke + QUIET);
	}
	if (e->state == EXPECT_WAITS && !e->setup.config->exit && e->waits && all_come(e, now))
		e->state = EXPECT_MET;
	find_limit(e, now);
}

/* ---- What happens ---------------------------------------------------------------------------- */

void expect_heard(struct expect *e, size_t console, const void *buf, size_t len, uint64_t now)
{
	struct console *c = &e->consoles[console];
	const uint8_t *p = buf;
	bool changed = false;

	assert(console < e->setup.n_consoles);
	e->last = console;
	c->spoke = now;
	c->looked = false;
	while (len && e->state == EXPECT_WAITS) {
		size_t n = len < TRANSCRIPT_SLICE ? len : TRANSCRIPT_SLICE;
		struct range found;

		if (transcript_add(&c->text, p, n)) {
			verdict_fail(e, NULL, console, NULL, NULL, "out of memory");
			return;
		}
		check_forbidden(e, console, now);
		if (e->state == EXPECT_WAITS && look(c, false, &found)) {
			came(e, c, &found, now);
			look_everywhere(e, false, now);
			changed = true;
		}
		p += n;
		len -= n;
	}
	if (!e->quiet && wants_quiet(c))
		e->quiet = now + QUIET;
	if (changed)
		conclude(e, now);
}

/* Looks at unfinished lines that have stayed as they are for a while. */
static void look_at_quiet(struct expect *e, uint64_t now)
{
	e->quiet = 0;
	for (size_t i = 0; i < e->setup.n_consoles && e->state == EXPECT_WAITS; i++) {
		struct console *c = &e->consoles[i];
		struct range found;

		if (!wants_quiet(c) || now < c->spoke + QUIET)
			continue;
		c->looked = true;
		if (look(c, true, &found)) {
			came(e, c, &found, now);
			look_everywhere(e, false, now);
		}
	}
}

void expect_tick(struct expect *e, uint64_t now)
{
	if (e->state != EXPECT_WAITS)
		return;
	if (e->quiet && now >= e->quiet)
		look_at_quiet(e, now);
	conclude(e, now);
	if (e->state == EXPECT_WAITS)
		verdict_limits(e, now);
}

enum expect_state expect_state(const struct expect *e)
{
	return e->state;
}

uint64_t expect_deadline(const struct expect *e)
{
	uint64_t at = e->limit;

	if (e->state != EXPECT_WAITS)
		return 0;
	if (e->quiet)
		sooner(&at, e->quiet);
	return at;
}

bool expect_ready(const struct expect *e)
{
	return e->ready;
}

bool expect_send(const struct expect *e, size_t *console, const char **text, size_t *len)
{
	const struct step *step = e->typing;

	if (!step || e->state != EXPECT_WAITS)
		return false;
	*console = (size_t)step->console;
	*text = step->config->send + step->sent;
	*len = strlen(*text);
	return true;
}

/* From here on, on other consoles, only what comes after it counts. */
void expect_sent(struct expect *e, size_t len, uint64_t now)
{
	struct step *step = e->typing;

	step->sent += len;
	if (step->config->send[step->sent])
		return;
	e->typing = NULL;
	for (size_t i = 0; i < e->setup.n_consoles; i++) {
		if ((int)i != step->console)
			e->consoles[i].from = transcript_end(&e->consoles[i].text);
	}
	note_moment(e, step, NULL, now);
	meet(e, step, now);
	look_everywhere(e, false, now);
	conclude(e, now);
}

void expect_ended(struct expect *e, enum expect_end end, int status, const char *why, uint64_t now)
{
	if (e->state == EXPECT_WAITS)
		look_everywhere(e, true, now);
	conclude(e, now);
	e->report->end = end;
	e->report->status = status;
	verdict_end(e, end, status, why, now);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int console_of(const struct expect *e, const struct expect_step *config)
{
	if (!config->on)
		return config->absent ? EVERYWHERE : 0;
	for (size_t i = 0; i < e->setup.n_consoles; i++) {
		if (!strcmp(e->setup.consoles[i], config->on))
			return (int)i;
	}
	return -ENOENT;
}

static int init_step(struct expect *e, struct step *step, const struct expect_step *config,
		     struct err *err)
{
	char why[128];
	int ret;

	step->config = config;
	step->console = console_of(e, config);
	if (step->console == -ENOENT)
		return err_set(err, ENOENT, STATUS_CONFIG, "there is no console '%s'", config->on);
	step->kind = config->contains  ? STEP_CONTAINS
		     : config->matches ? STEP_MATCHES
		     : config->absent  ? STEP_ABSENT
				       : STEP_SEND;
	step->text = config->contains  ? config->contains
		     : config->matches ? config->matches
		     : config->absent  ? config->absent
				       : config->after;
	step->len = step->text ? strlen(step->text) : 0;
	step->limit = verdict_scaled(e, config->within);
	if (step->kind == STEP_MATCHES) {
		ret = regcomp(&step->regex, step->text, REG_EXTENDED | REG_NEWLINE);
		if (ret) {
			regerror(ret, &step->regex, why, sizeof(why));
			step->kind = STEP_CONTAINS; /* nothing to free */
			return err_set(err, EINVAL, STATUS_CONFIG, "'%s': %s", step->text, why);
		}
	}
	e->waits |= is_wait(step);
	if (step->kind != STEP_ABSENT && step->text &&
	    (!e->ready_step || (config->ready && !e->ready_step->config->ready)))
		e->ready_step = step;
	return 0;
}

int expect_new(struct expect **expect, const struct expect_setup *setup, struct err *err)
{
	const struct expect_step *list = setup->config->console.list;
	struct expect *e = calloc(1, sizeof(*e));
	size_t n = setup->config->console.n;
	int ret = 0;

	if (!e)
		return err_errno(err, ENOMEM, STATUS_OSERR, "expect");
	e->setup = *setup;
	e->report = setup->report;
	*e->report = (struct expect_report){ 0 };
	e->list = node_get(setup->node, "console");
	e->steps = calloc(n ? n : 1, sizeof(*e->steps));
	e->consoles = calloc(setup->n_consoles, sizeof(*e->consoles));
	if (!e->steps || !e->consoles) {
		expect_free(e);
		return err_errno(err, ENOMEM, STATUS_OSERR, "expect");
	}
	for (; e->n < n && !ret; e->n++)
		ret = init_step(e, &e->steps[e->n], &list[e->n], err);
	if (ret) {
		expect_free(e);
		return ret;
	}
	give_turns(e, setup->start);
	find_limit(e, setup->start);
	*expect = e;
	return 0;
}

void expect_free(struct expect *e)
{
	if (!e)
		return;
	for (size_t i = 0; e->steps && i < e->n; i++) {
		if (e->steps[i].kind == STEP_MATCHES)
			regfree(&e->steps[i].regex);
	}
	for (size_t i = 0; e->consoles && i < e->setup.n_consoles; i++)
		transcript_free(&e->consoles[i].text);
	free(e->consoles);
	free(e->steps);
	free(e);
}
