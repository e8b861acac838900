/* override.c: --set PATH=VALUE, and flags that stand for one. */
#include <string.h>

#include <vibevmm/utf8.h>

#include "loader.h"

struct setter {
	struct config *config;
	const struct step *steps;
	size_t n;
	struct node *value;
	bool failed; /* after a diagnostic: nothing changes */
};

static struct node *set_at(struct setter *s, struct node *node, size_t at, struct choices *choices,
			   struct choices *entries);

static struct node *fail(struct setter *s, struct node *node)
{
	s->failed = true;
	return node;
}

/* The end of the path: what takes the node's place, or NULL. */
static struct node *set_here(struct setter *s, struct node *node, struct choices *choices)
{
	if (compose_removes(s->value))
		return NULL;
	if (node)
		return compose_value(s->config, node, s->value, choices);
	compose_settle(s->config, s->value);
	return s->value;
}

static void report_nothing(struct setter *s, const struct step *step)
{
	const char *path = config_shown(s->config, step->shown);

	if (step->kind == STEP_APPEND)
		diag_error(s->config->diags, step->mark,
			   "'%s[+]' appends an entry, and null is none", path);
	else
		diag_error(s->config->diags, step->mark,
			   "null takes '%s%s%s' away, but nothing sets it", path, *path ? "." : "",
			   config_shown(s->config, step->name));
}

/* ---- Lists --------------------------------------------------------------------------------- */

static struct node *set_in_list(struct setter *s, struct node *list, size_t at,
				struct choices *entries)
{
	const struct step *step = &s->steps[at];
	struct node *before = NULL, *after;
	int64_t i;

	if (list && list->kind != NODE_SEQ && !(node_is_null(list) && !list->len)) {
		diag_error(s->config->diags, step->mark, "'%s' is %s, not a list",
			   config_shown(s->config, step->shown), node_kind_name(list));
		diag_note(s->config->diags, list->mark, "it is set here");
		return fail(s, list);
	}
	if (!list || list->kind != NODE_SEQ) {
		list = node_new(&s->config->arena, NODE_SEQ, step->mark);
		if (!list)
			return fail(s, list);
	}
	if (step->kind != STEP_APPEND) {
		i = path_entry(s->config, list, step);
		if (i < 0)
			return fail(s, list);
		before = list->children[i];
	}
	after = set_at(s, before, at + 1, entries, NULL);
	if (s->failed)
		return list;
	if (!before && !after) {
		report_nothing(s, step);
		return fail(s, list);
	}
	node_put(&s->config->arena, list, before, after);
	return list;
}

/* ---- Mappings ------------------------------------------------------------------------------ */

static struct node *new_map(struct setter *s, const struct step *step)
{
	return node_new(&s->config->arena, NODE_MAP, step->mark);
}

/* `key+` at the end of the path. */
static struct node *append(struct setter *s, struct node *map, const struct step *step)
{
	size_t len = strlen(step->name) - 1;
	char *key = arena_copy(&s->config->arena, step->name, len);
	struct node *list = key ? node_get(map, key) : NULL, *value;

	if (!key)
		return fail(s, map);
	value = compose_append(s->config, list, s->value, key,
			       map == s->config->root ? compose_entries(s->config, key) : NULL);
	if (!value)
		return fail(s, map);
	if (value != list) {
		value->key = key;
		value->key_mark = step->mark;
		node_put(&s->config->arena, map, list, value);
	}
	return map;
}

static struct node *set_in_map(struct setter *s, struct node *map, size_t at,
			       struct choices *choices)
{
	bool top = map == s->config->root;
	const struct step *step = &s->steps[at];
	struct node *before, *after;

	before = node_get(map, step->name);
	if (!before && path_elided(map, choices, step->name, at + 1 == s->n)) {
		set_in_map(s, map->children[0], at, NULL);
		return map;
	}
	if (at + 1 == s->n && strlen(step->name) > 1 && step->name[strlen(step->name) - 1] == '+')
		return append(s, map, step);
	after = set_at(s, before, at + 1, top ? compose_choice(s->config, step->name) : NULL,
		       top ? compose_entries(s->config, step->name) : NULL);
	if (s->failed)
		return map;
	if (!before && !after) {
		report_nothing(s, step);
		return fail(s, map);
	}
	if (after && after != before) {
		after->key = (char *)step->name;
		after->key_mark = step->mark;
	}
	if (!before && choices && map->n_children) {
		/* Another choice takes the place of the one that is there. */
		struct node *other = new_map(s, step);

		if (!other)
			return fail(s, map);
		node_add(&s->config->arena, other, after);
		other->key = map->key;
		other->replaced = map;
		return other;
	}
	node_put(&s->config->arena, map, before, after);
	return map;
}

/* Sets what the rest of the path says below a node (NULL: there is none yet), and returns what
 * takes its place (NULL: it goes away). choices, entries: what it, or the entries of the list that
 * it is, choose from. */
static struct node *set_at(struct setter *s, struct node *node, size_t at, struct choices *choices,
			   struct choices *entries)
{
	const struct step *step = &s->steps[at];

	if (at == s->n)
		return set_here(s, node, choices);
	if (step->kind != STEP_KEY || (node && node->kind == NODE_SEQ))
		return set_in_list(s, node, at, entries);
	if (node && choices && !node_is_null(node) && !choice_expand_bare(s->config, node))
		return fail(s, node);
	if (!node || node_is_null(node)) {
		struct node *map = new_map(s, step);

		return map ? set_in_map(s, map, at, choices) : fail(s, node);
	}
	if (node->kind != NODE_MAP) {
		diag_error(s->config->diags, step->mark,
			   "'%s' is a single value: there is no '%s' in it",
			   config_shown(s->config, step->shown),
			   config_shown(s->config, step->name));
		diag_note(s->config->diags, node->mark, "it is set here");
		return fail(s, node);
	}
	return set_in_map(s, node, at, choices);
}

/* ---- The flags ----------------------------------------------------------------------------- */

static void apply(struct config *config, const struct step *steps, size_t n, struct node *value)
{
	struct setter s = { config, steps, n, value, false };

	if (!strcmp(steps[0].name, "extends")) {
		diag_error(config->diags, steps[0].mark, "only a file can extend another");
		diag_help(config->diags, "write `extends:` into it");
		return;
	}
	if (config->root->kind == NODE_MAP)
		set_at(&s, config->root, 0, NULL, NULL);
}

void override_set(struct config *config, struct layer *layer)
{
	const char *text = layer->source.text, *equals = strchr(text, '=');
	struct mark mark = { &layer->source, 1, 1, 1 };
	struct step steps[PATH_MAX_STEPS];
	struct node *value;
	size_t n;

	if (!equals || equals == text) {
		diag_error(config->diags, mark, "--set takes PATH=VALUE");
		diag_help(config->diags,
			  "such as --set memory=1G, --set devices.root.path=new.img");
		return;
	}
	n = path_parse(config, &layer->source, (size_t)(equals - text), steps);
	if (!n)
		return;
	value = tree_parse_rest(&config->arena, &layer->source, (size_t)(equals + 1 - text),
				config->diags);
	if (value)
		apply(config, steps, n, value);
}

void override_node(struct config *config, struct mark mark, const char *path, struct node *value)
{
	struct step steps[PATH_MAX_STEPS];
	size_t n = path_parse_at(config, mark, path, steps);

	if (n)
		apply(config, steps, n, value);
}

/* All of the flag's text. */
static struct mark whole(const struct source *source)
{
	struct mark mark = { source, 1, 1, 0 };
	uint32_t c;

	if (!source->len)
		return (struct mark){ .source = source };
	for (size_t i = 0, n; (n = utf8_decode(source->text + i, source->len - i, &c)); i += n)
		mark.length++;
	return mark;
}

void override_text(struct config *config, struct layer *layer, const char *path, const char *text)
{
	struct mark mark = whole(&layer->source);
	struct node *value = node_new(&config->arena, NODE_SCALAR, mark);

	if (!value)
		return;
	value->text = (char *)text;
	value->len = strlen(text);
	override_node(config, mark, path, value);
}
