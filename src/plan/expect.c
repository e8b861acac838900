/* expect.c: what `expect` says, beside itself and the consoles of the VM. */
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "planner.h"

/* ---- On which console ------------------------------------------------------------------------ */

static const char *serial_port(const struct planner *p)
{
	return p->plan->arch->arch == ARCH_X86_64 ? "uart16550" : "pl011";
}

enum { NAMES_MAX = 64 };

static void report_unknown(struct planner *p, const char *on, struct mark mark)
{
	struct plan_console consoles[NAMES_MAX];
	const char *words[NAMES_MAX + 1], *near;
	char list[512] = "";
	size_t n = 0, len = 0;

	while (n < NAMES_MAX && plan_console(p->plan, n + 1, &consoles[n])) {
		words[n] = consoles[n].name;
		if (len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
						n ? ", " : "", words[n]);
		n++;
	}
	words[n] = NULL;
	near = config_nearest(on, words);
	diag_error(p->diags, mark, "this VM has no console '%s'%s%s%s", on,
		   CONFIG_DID_YOU_MEAN(near));
	if (n)
		diag_help(p->diags, "there is: %s; without `on` it is the standard output", list);
	else
		diag_help(p->diags, "none of its devices is a console: add one, such as %s",
			  serial_port(p));
}

static bool find(const struct plan *plan, const char *on, struct plan_console *console)
{
	for (size_t i = on ? 1 : 0; plan_console(plan, i, console); i++) {
		if (!on || !strcmp(console->name, on))
			return true;
	}
	return false;
}

static void check_console(struct planner *p, const struct expect_step *step,
			  const struct node *node)
{
	const struct node *send = node_given(node, "send"), *on = node_given(node, "on");
	struct plan_console console;

	if (!find(p->plan, step->on, &console)) {
		report_unknown(p, step->on, on->mark);
		return;
	}
	if (!send || !console.deaf)
		return;
	if (!console.standard)
		diag_error(p->diags, send->key_mark,
			   "nothing can be typed on '%s': it leads to a file", console.name);
	else if (on)
		diag_error(p->diags, send->key_mark,
			   "'%s' would not read what is typed: standard input is not its own",
			   console.name);
	else
		diag_error(p->diags, send->key_mark,
			   "nobody would read what is typed: no device of this VM reads standard "
			   "input");
	if (on)
		diag_note(p->diags, on->mark, "the console is chosen here");
	if (!console.standard)
		diag_help(p->diags, "let it lead to a `socket` or a `pty`");
	else if (on)
		diag_help(p->diags, "one device reads it: the first that can, or that with "
				    "`input: true`");
	else
		diag_help(p->diags, "add a device that does, such as %s", serial_port(p));
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static const char *const kinds[] = { "contains", "matches", "absent", "send" };

/* The one kind of a step, or NULL after a diagnostic. */
static const struct node *kind_of(struct planner *p, const struct node *node)
{
	const struct node *kind = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct node *other = node_given(node, kinds[i]);

		if (kind && other) {
			diag_error(p->diags, other->key_mark, "'%s' and '%s' exclude each other",
				   kind->key, other->key);
			diag_note(p->diags, kind->key_mark, "'%s' is here", kind->key);
			diag_help(p->diags, "a step is one thing: make it two steps, in order%s",
				  !strcmp(other->key, "send") ? ", or write `after` for what "
								"is to come before it is sent"
							      : "");
			return NULL;
		}
		kind = kind ? kind : other;
	}
	if (!kind) {
		diag_error(p->diags, node->mark,
			   "this step has none of contains, matches, absent and send");
		diag_help(p->diags, "write what is waited for, as in `- contains: \"login:\"`");
	}
	return kind;
}

/* What is looked for in a line can't have what no line has. */
static void check_text(struct planner *p, const struct node *node)
{
	const char *name = NULL;

	for (const char *c = node ? node->canon : NULL; c && *c && !name; c++) {
		if (*c == '\n')
			name = "an end of line";
		else if ((unsigned char)*c < ' ' && *c != '\t')
			name = *c == '\r'   ? "a carriage return"
			       : *c == 0x1b ? "an escape sequence"
					    : "a control character";
	}
	if (!name)
		return;
	diag_error(p->diags, node->mark, "'%s' has %s, and so would never be found", node->key,
		   name);
	diag_help(p->diags, "lines are looked through one by one, without such characters: write "
			    "what is to be seen in one of them");
}

static void check_belongs(struct planner *p, const struct node *kind, const struct node *node,
			  const char *key, bool fits, const char *help)
{
	const struct node *option = node_given(node, key);

	if (!option || fits)
		return;
	diag_error(p->diags, option->key_mark, "'%s' doesn't go with '%s'%s", key, kind->key,
		   strcmp(key, "ready") || strcmp(kind->key, "send")
			   ? ""
			   : " that has no `after`: there is nothing to wait for");
	diag_help(p->diags, "%s", help);
}

/* One that is longer than the whole run's. */
static void check_within(struct planner *p, const struct node *node, uint64_t ns)
{
	const struct expect_config *config = &p->plan->config->expect;
	const struct node *all = node_get(node_get(p->plan->config->root, "expect"), "within");

	if (!node || node->bad || !all || all->bad || ns <= config->within)
		return;
	diag_error(p->diags, node->mark, "%s of %s is longer than the %s that the whole run has",
		   node->key, node->text, all->text);
	if (all->is_default)
		diag_help(p->diags, "that is the default: give `expect` a longer `within`");
	else
		diag_note(p->diags, all->mark, "that is given here");
}

static void check_step(struct planner *p, const struct expect_step *step, const struct node *node)
{
	const struct node *kind = kind_of(p, node);
	bool sends, waits;

	if (!kind)
		return;
	sends = !strcmp(kind->key, "send");
	waits = sends ? node_given(node, "after") != NULL : strcmp(kind->key, "absent") != 0;
	if (strcmp(kind->key, "matches") != 0 && !sends)
		check_text(p, kind);
	check_text(p, node_given(node, "after"));
	check_belongs(p, kind, node, "after", sends,
		      "only `send` has it; steps come after each other as they are written");
	check_belongs(p, kind, node, "ready", waits || !step->ready,
		      "the guest is ready when a text has come that is waited for");
	check_within(p, node_given(node, "within"), step->within);
	check_console(p, step, node);
}

static bool waits(const struct expect_step *step)
{
	return step->contains || step->matches || step->after;
}

void plan_expect(struct planner *p)
{
	const struct expect_config *config = &p->plan->config->expect;
	const struct node *expect = node_given(p->plan->config->root, "expect");
	const struct node *list = node_given(expect, "console"),
			  *boot = node_given(expect, "boot_within");
	const struct expect_step *steps = config->console.list;
	const struct node *ready = NULL;
	bool any = false;

	for (uint32_t i = 0; list && i < config->console.n && i < list->n_children; i++) {
		const struct node *node = list->children[i], *flag = node_given(node, "ready");

		any |= waits(&steps[i]);
		if (node->bad || node->kind != NODE_MAP)
			continue;
		check_step(p, &steps[i], node);
		if (!steps[i].ready || !waits(&steps[i]))
			continue;
		if (!ready) {
			ready = flag;
		} else {
			diag_error(p->diags, flag->key_mark,
				   "two steps say when the guest is ready");
			diag_note(p->diags, ready->key_mark, "the first is here");
			diag_help(p->diags, "remove one of the two");
		}
	}
	check_within(p, boot, config->boot_within);
	if (boot && !boot->bad && !any && !(list && list->bad)) {
		diag_error(p->diags, boot->key_mark, "no step tells when the guest is ready");
		diag_help(p->diags,
			  "add one that waits, as in `console: [{contains: \"login:\"}]`");
	}
}
