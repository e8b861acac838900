/* explain.c: the effective configuration, each value with its origin. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/json.h>
#include <vibevmm/utf8.h>

#include "loader.h"

struct row {
	const char *path, *value;
	const char *origin;
	struct mark mark; /* source NULL: a default */
};

struct explanation {
	struct config *config;
	char *directory;
	bool yaml;		   /* values as YAML, not as they are */
	const struct node *target; /* only what is below it */
	unsigned inside;	   /* how deep in it, or 0 */
	struct row *rows;
	size_t n, cap;
};

/* ---- Origins ------------------------------------------------------------------------------- */

static const char *place(struct config *config, struct mark mark)
{
	const struct layer *layer = layer_of(mark);
	const char *text;

	/* There may be many --set. What another flag says is the value. */
	if (layer->flag && layer->flag->arg && !layer->flag->path)
		text = arena_printf(&config->arena, "%s %s", layer->source.name,
				    config_shown(config, layer->source.text));
	else if (layer->flag || !mark.line)
		text = layer->source.name;
	else
		text = arena_printf(&config->arena, "%s:%u", layer->source.name, mark.line);
	return text ? text : "";
}

/* "4 at base.yaml:3"; a choice is shown by its name. */
static const char *replaced_text(struct explanation *e, const struct node *node)
{
	const char *what = node->kind == NODE_SCALAR ? node->text
			   : node->kind == NODE_MAP && node->n_children == 1
				   ? node->children[0]->key
				   : node_kind_name(node);

	return arena_printf(&e->config->arena, ", instead of %s at %s",
			    config_shown(e->config, what), place(e->config, node->mark));
}

static bool same_text(const struct node *a, const struct node *b)
{
	return a->kind == NODE_SCALAR && b->kind == NODE_SCALAR && !strcmp(a->text, b->text);
}

static const char *origin_text(struct explanation *e, const struct config_type *type,
			       const struct node *node, struct mark mark)
{
	struct arena *arena = &e->config->arena;
	const char *text;

	if (node->is_default && node->from)
		return node->from;
	if (node->is_default)
		return type == config_vm_type() ? "default"
						: arena_printf(arena, "default of %s", type->name);
	text = place(e->config, mark);
	if (node->from)
		text = arena_printf(arena, "%s at %s", node->from, text);
	for (const struct layer *l = layer_of(mark); text && l->extended.source;
	     l = layer_of(l->extended))
		text = arena_printf(arena, "%s, extended by %s", text,
				    place(e->config, l->extended));
	if (text && node->replaced && !same_text(node, node->replaced))
		text = arena_printf(arena, "%s%s", text, replaced_text(e, node->replaced));
	return text;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static void add_row(struct explanation *e, const char *path, const char *value, const char *origin,
		    struct mark mark)
{
	struct arena *arena = &e->config->arena;

	if (!e->inside || !path || !value || !origin)
		return;
	if (e->n == e->cap) {
		size_t cap = e->cap ? 2 * e->cap : 64;
		struct row *rows = arena_alloc(arena, cap * sizeof(*rows));

		if (!rows)
			return;
		if (e->n)
			memcpy(rows, e->rows, e->n * sizeof(*rows));
		e->rows = rows;
		e->cap = cap;
	}
	e->rows[e->n++] = (struct row){ path, value, origin, mark };
}

static void add_scalar(struct explanation *e, const struct config_type *type,
		       const struct option *option, const struct node *node, const char *path)
{
	struct mark mark = node->is_default ? MARK_NONE : node->mark;
	struct text text = { 0 };

	print_value(&text, e->directory, option, node, e->yaml);
	text_add(&text, "", 1);
	if (text.failed)
		e->config->arena.failed = true;
	else
		add_row(e, path, arena_copy(&e->config->arena, text.p, text.len),
			origin_text(e, type, node, node->mark), mark);
	free(text.p);
}

static void add_map(struct explanation *e, const struct config_type *type, const struct node *map,
		    const char *path);

static void add_choices(struct explanation *e, const struct option *option, const struct node *node,
			const char *path)
{
	enum choice_table table = vm_choice_table(option);
	const struct choice_list *list = &e->config->lists[table];
	const struct choices *choices = &e->config->choices[table];
	struct arena *arena = &e->config->arena;

	if (option->kind == OPTION_CHOICES && !node->n_children)
		add_row(e, path, "[]", origin_text(e, config_vm_type(), node, node->mark),
			node->mark);
	for (uint32_t i = 0; i < list->n && path; i++) {
		const struct node *entry = list->entries[i], *options = entry->children[0];
		const struct config_type *type = choices->types[choice_find(choices, options->key)];
		const char *at = option->kind == OPTION_CHOICES
					 ? arena_printf(arena, "%s[%u]", path, list->positions[i])
					 : path;

		/* An entry's own origin is where its type is named. */
		e->inside += entry == e->target;
		add_row(e, at, type->name, origin_text(e, type, entry, options->key_mark),
			options->key_mark);
		e->inside += options == e->target;
		if (at)
			add_map(e, type, options, arena_printf(arena, "%s.%s", at, type->name));
		e->inside -= entry == e->target;
		e->inside -= options == e->target;
	}
}

static void add_maps(struct explanation *e, const struct config_type *type,
		     const struct option *option, const struct node *node, const char *path)
{
	if (!node->n_children)
		add_row(e, path, "[]", origin_text(e, type, node, node->mark), node->mark);
	for (uint32_t i = 0; i < node->n_children && path; i++) {
		const struct node *entry = node->children[i];

		e->inside += entry == e->target;
		add_map(e, option->type, entry, arena_printf(&e->config->arena, "%s[%u]", path, i));
		e->inside -= entry == e->target;
	}
}

static void add_map(struct explanation *e, const struct config_type *type, const struct node *map,
		    const char *path)
{
	for (const struct option *o = type->options; o && o->key && path; o++) {
		const struct node *child = node_get(map, o->key);
		const char *at;

		if (!child || option_match(type, child) != o || !option_takes(o, child))
			continue;
		at = *path ? arena_printf(&e->config->arena, "%s.%s", path, o->key) : o->key;
		e->inside += child == e->target;
		if (o->kind == OPTION_MAP)
			add_map(e, o->type, child, at);
		else if (o->kind == OPTION_MAPS)
			add_maps(e, type, o, child, at);
		else if (o->kind == OPTION_CHOICE || o->kind == OPTION_CHOICES)
			add_choices(e, o, child, at);
		else if (child->canon && !child->bad)
			add_scalar(e, type, o, child, at);
		e->inside -= child == e->target;
	}
}

/* ---- What to explain ------------------------------------------------------------------------- */

static struct node *no_key(struct config *config, const struct node *map, const struct step *step)
{
	const char **words = arena_alloc(&config->arena, (map->n_children + 1) * sizeof(*words));
	const char *near;

	for (uint32_t i = 0; words && i < map->n_children; i++)
		words[i] = map->children[i]->key;
	if (!words)
		return NULL;
	near = config_nearest(step->name, words);
	diag_error(config->diags, step->mark, "nothing sets '%s'%s%s%s%s%s",
		   config_shown(config, step->name), *step->shown ? " in " : "",
		   config_shown(config, step->shown), CONFIG_DID_YOU_MEAN(near));
	if (map->n_children && !near)
		diag_help(config->diags, "there is: %s", config_word_list(config, words));
	return NULL;
}

/* The node that a path leads to, or NULL after a diagnostic. */
static struct node *find(struct config *config, const struct step *steps, size_t n)
{
	struct node *node = config->root;
	struct choices *choices = NULL, *entries = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct step *step = &steps[i];
		struct node *child = NULL, *inner;

		if (node->kind == NODE_SEQ) {
			int64_t entry = path_entry(config, node, step);

			if (entry < 0)
				return NULL;
			node = node->children[entry];
			choices = entries;
			continue;
		}
		if (step->kind == STEP_KEY) {
			inner = path_elided(node, choices, step->name, i + 1 == n);
			node = inner ? inner : node;
			child = node_get(node, step->name);
		}
		if (!child && step->kind == STEP_KEY && node->kind == NODE_MAP)
			return no_key(config, node, step);
		if (!child) {
			diag_error(config->diags, step->mark, "'%s' is %s: there is nothing in it",
				   config_shown(config, step->shown), node_kind_name(node));
			return NULL;
		}
		choices = i ? NULL : compose_choice(config, step->name);
		entries = i ? NULL : compose_entries(config, step->name);
		node = child;
	}
	return node;
}

/* ---- Printing ------------------------------------------------------------------------------ */

/* File names may hold what no terminal should be sent. */
static void print_shown(const char *text, FILE *out)
{
	size_t len = strlen(text), n;
	uint32_t c = 0;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_decode(text + i, len - i, &c);
		if (!n || utf8_is_control(c))
			fputc('?', out);
		else
			fwrite(text + i, 1, n, out);
		n = n ? n : 1;
	}
}

/* The columns of a terminal that a text takes. */
static int columns(const char *text)
{
	size_t len = strlen(text), n;
	unsigned sum = 0;
	uint32_t c = 0;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_decode(text + i, len - i, &c);
		sum += n ? utf8_width(c) : 1;
		n = n ? n : 1;
	}
	return (int)sum;
}

static void print_padded(const char *text, int least, FILE *out)
{
	int used = columns(text);

	fprintf(out, "%s%*s", text, used < least ? least - used : 0, "");
}

/* As wide as the widest text of a column, within reason. */
static int width(const struct explanation *e, size_t column, int most)
{
	int widest = 0;

	for (size_t i = 0; i < e->n; i++) {
		int wide = columns(column ? e->rows[i].value : e->rows[i].path);

		if (wide <= most && wide > widest)
			widest = wide;
	}
	return widest;
}

static void print_text(const struct explanation *e, FILE *out)
{
	int path = width(e, 0, 48), value = width(e, 1, 40);

	for (size_t i = 0; i < e->n; i++) {
		const struct row *row = &e->rows[i];

		print_padded(row->path, path, out);
		fputs(" = ", out);
		print_padded(row->value, value, out);
		fputs("  ", out);
		print_shown(row->origin, out);
		fputc('\n', out);
	}
}

static void print_json(const struct explanation *e, FILE *out)
{
	struct json json = { .out = out };

	json_open(&json, NULL, '[');
	for (size_t i = 0; i < e->n; i++) {
		const struct row *row = &e->rows[i];

		json_open(&json, NULL, '{');
		json_string(&json, "path", row->path);
		json_string(&json, "value", row->value);
		json_string(&json, "origin", row->origin);
		json_string(&json, "file", row->mark.source ? row->mark.source->name : NULL);
		json_uint(&json, "line", row->mark.line);
		json_uint(&json, "column", row->mark.column);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	fputc('\n', out);
}

int config_explain(struct config *config, const char *path, FILE *out, enum diag_format format)
{
	const struct source source = { "PATH", path ? path : "", path ? strlen(path) : 0 };
	struct explanation e = {
		.config = config,
		.target = config->root,
		.yaml = format == DIAG_TEXT,
	};
	struct step steps[PATH_MAX_STEPS];
	size_t n;

	if (path) {
		if (file_check_text(&source, config->diags))
			return -ENOENT;
		n = path_parse(config, &source, source.len, steps);
		e.target = n ? find(config, steps, n) : NULL;
		if (!e.target)
			return -ENOENT;
	}
	e.directory = getcwd(NULL, 0);
	e.inside = e.target == config->root;
	add_map(&e, config_vm_type(), config->root, "");
	if (format == DIAG_JSON)
		print_json(&e, out);
	else
		print_text(&e, out);
	free(e.directory);
	return 0;
}
