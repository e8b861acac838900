/* path.c: paths into a config, such as devices[2].path, devices.root.path and devices[+]. */
#include <stdlib.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "loader.h"

struct parser {
	struct config *config;
	const struct source *source; /* that begins with the text; NULL: all is at `mark` */
	struct mark mark;
	const char *text, *end;
};

/* The place of [from, to) of the text. */
static struct mark place(const struct parser *p, const char *from, const char *to)
{
	struct mark mark = { p->source, 1, 1, 0 };
	const char *q = p->text;
	uint32_t c;

	if (!p->source)
		return p->mark;
	for (size_t n; q < to && (n = utf8_decode(q, (size_t)(to - q), &c)); q += n) {
		if (q < from)
			mark.column++;
		else
			mark.length++;
	}
	return mark;
}

static size_t refuse(const struct parser *p, const char *from, const char *to, const char *why)
{
	diag_error(p->config->diags, place(p, from, to), "%s", why);
	diag_help(p->config->diags,
		  "a path is such as memory, boot.raw.entry, devices[2].path, devices.ID.path, "
		  "devices[+]");
	return 0;
}

/* No list is that long. An index of more digits is UINT32_MAX. */
#define INDEX_MAX 100000000

/* "[2]" or "[+]" at q; its length, or 0 after a diagnostic. */
static size_t bracket(const struct parser *p, const char *q, struct step *step)
{
	const char *close = memchr(q, ']', (size_t)(p->end - q));
	const char *digit = q + 1;

	if (!close)
		return refuse(p, q, q + 1, "this '[' has no ']'");
	if (close == q + 2 && q[1] == '+') {
		step->kind = STEP_APPEND;
		return 3;
	}
	for (step->index = 0; *digit >= '0' && *digit <= '9'; digit++)
		step->index = step->index < INDEX_MAX ? 10 * step->index + (uint32_t)(*digit - '0')
						      : UINT32_MAX;
	if (digit != close || digit == q + 1)
		return refuse(p, q, close + 1, "in brackets stands the number of an entry, or +");
	step->kind = STEP_INDEX;
	return (size_t)(close + 1 - q);
}

static size_t parse(const struct parser *p, struct step *steps)
{
	struct config *config = p->config;
	const char *text = p->text, *q = text;
	size_t n = 0;

	while (q < p->end || !n) {
		struct step *step = &steps[n];
		size_t size;
		uint32_t c;

		if (n == PATH_MAX_STEPS)
			return refuse(p, text, p->end, "this path has too many steps");
		*step = (struct step){ .kind = STEP_KEY };
		step->shown = arena_copy(&config->arena, text, (size_t)(q - text));
		if (n && *q == '[') {
			size = bracket(p, q, step);
			if (!size)
				return 0;
		} else {
			const char *name;

			if (n && *q == '.') {
				q++;
			} else if (n) {
				size = utf8_decode(q, (size_t)(p->end - q), &c);
				return refuse(p, q, q + size, "behind a ']' comes '.' or '['");
			}
			for (name = q; q < p->end && *q != '.' && *q != '['; q++)
				;
			if (q == name)
				return refuse(p, name, name + 1, "the name of a key is missing");
			step->name = arena_copy(&config->arena, name, (size_t)(q - name));
			if (!step->name)
				return 0;
			size = (size_t)(q - name);
			q = name;
		}
		step->mark = place(p, q, q + size);
		q += size;
		n++;
	}
	return config->arena.failed ? 0 : n;
}

size_t path_parse(struct config *config, const struct source *source, size_t len,
		  struct step *steps)
{
	const struct parser p = { config, source, MARK_NONE, source->text, source->text + len };

	return parse(&p, steps);
}

size_t path_parse_at(struct config *config, struct mark mark, const char *text, struct step *steps)
{
	const struct parser p = { config, NULL, mark, text, text + strlen(text) };

	return parse(&p, steps);
}

/* ---- What a path leads to -------------------------------------------------------------------- */

/* "[0] uart16550, root, ..." */
static const char *entries_text(struct config *config, const struct node *list)
{
	const uint32_t max = 12;
	const char *text = "";

	for (uint32_t i = 0; i < list->n_children && i < max && text; i++) {
		const struct node *entry = list->children[i];
		const char *id = compose_id(entry);
		const char *type = entry->kind == NODE_MAP && entry->n_children
					   ? entry->children[0]->key
				   : entry->kind == NODE_SCALAR ? entry->text
								: "";

		text = arena_printf(&config->arena, "%s%s[%u] %s%s%s", text, i ? ", " : "", i,
				    config_shown(config, type), id ? " " : "",
				    id ? config_shown(config, id) : "");
	}
	if (text && list->n_children > max)
		text = arena_printf(&config->arena, "%s, ... [%u]", text, list->n_children - 1);
	return text ? text : "";
}

static int64_t no_entry(struct config *config, const struct node *list, const struct step *step)
{
	const char **ids = arena_alloc(&config->arena, (list->n_children + 1) * sizeof(*ids));
	const char *near = NULL;
	size_t n = 0;

	if (!ids)
		return -1;
	for (uint32_t i = 0; step->name && i < list->n_children; i++) {
		const char *id = compose_id(list->children[i]);

		if (id)
			ids[n++] = id;
	}
	if (n)
		near = config_nearest(step->name, ids);
	if (step->name)
		diag_error(config->diags, step->mark, "nothing in '%s' has the id '%s'%s%s%s",
			   config_shown(config, step->shown), config_shown(config, step->name),
			   CONFIG_DID_YOU_MEAN(near));
	else if (step->index == UINT32_MAX)
		diag_error(config->diags, step->mark, "'%s' has no such entry",
			   config_shown(config, step->shown));
	else
		diag_error(config->diags, step->mark, "'%s' has no entry %u",
			   config_shown(config, step->shown), step->index);
	if (list->n_children)
		diag_help(config->diags, "it has: %s", entries_text(config, list));
	else
		diag_help(config->diags, "it is empty; `%s[+]=VALUE` appends an entry",
			  config_shown(config, step->shown));
	return -1;
}

int64_t path_entry(struct config *config, const struct node *list, const struct step *step)
{
	if (step->kind == STEP_INDEX && step->index < list->n_children)
		return step->index;
	for (uint32_t i = 0; step->kind == STEP_KEY && i < list->n_children; i++) {
		const char *id = compose_id(list->children[i]);

		if (id && !strcmp(id, step->name))
			return i;
	}
	return no_entry(config, list, step);
}

struct node *path_elided(const struct node *node, const struct choices *choices, const char *name,
			 bool last)
{
	struct node *only = choices && node->n_children == 1 ? node->children[0] : NULL;
	int index;

	if (!only || only->kind != NODE_MAP || !strcmp(only->key, name))
		return NULL;
	index = choice_find(choices, only->key);
	if (index >= 0 && registry_option(choices->types[index], name))
		return only;
	/* Another choice; or at the end of a path, where no choice has a value, a wrong option. */
	return last && choice_find(choices, name) < 0 ? only : NULL;
}
