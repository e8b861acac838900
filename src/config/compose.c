/* compose.c: laying one tree on another.
 *
 * Mappings merge deeply; everything else is replaced. A one-key choice (`boot`, an entry of
 * `devices`) merges with the same choice and is replaced by another. `key+` appends to a list,
 * where entries with an id that is there already merge with it; `key: null` takes the key away.
 * Nodes keep the marks of the text that they are written in.
 */
#include <stdlib.h>
#include <string.h>

#include "loader.h"

bool compose_removes(const struct node *node)
{
	return node->len && node_is_null(node);
}

/* `devices:` with nothing behind it. */
static bool is_blank(const struct node *node)
{
	return !node->len && node_is_null(node);
}

static struct choices *find_choices(struct config *config, const char *key, enum option_kind kind)
{
	const struct option *o = registry_option(config_vm_type(), key);

	for (; o && o->key && !strcmp(o->key, key); o++) {
		if (o->kind == kind)
			return &config->choices[vm_choice_table(o)];
	}
	return NULL;
}

struct choices *compose_choice(struct config *config, const char *key)
{
	return find_choices(config, key, OPTION_CHOICE);
}

struct choices *compose_entries(struct config *config, const char *key)
{
	return find_choices(config, key, OPTION_CHOICES);
}

/* The length of a key without its '+', or 0 if it has none. */
static size_t plus_at(const char *key)
{
	size_t len = strlen(key);

	return len > 1 && key[len - 1] == '+' ? len - 1 : 0;
}

/* ---- Lists --------------------------------------------------------------------------------- */

const char *compose_id(const struct node *entry)
{
	const struct node *id;

	if (entry->kind != NODE_MAP || entry->n_children != 1)
		return NULL;
	id = node_get(entry->children[0], "id");
	return id && id->kind == NODE_SCALAR && id->len ? id->text : NULL;
}

/* The entries of a list that have an id, sorted by it: what makes appending many of them cheap. */
struct entry {
	const char *id;
	uint32_t position;
	const struct node *laid; /* the entry of `over` that went on it; NULL: none yet */
};

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order ? order : (x->position > y->position) - (x->position < y->position);
}

static int is_id(const void *id, const void *entry)
{
	return strcmp(id, ((const struct entry *)entry)->id);
}

static struct entry *index_entries(struct config *config, const struct node *list, size_t *n)
{
	struct entry *entries =
		arena_alloc(&config->arena, (list->n_children + 1) * sizeof(*entries));

	*n = 0;
	for (uint32_t i = 0; entries && i < list->n_children; i++) {
		const char *id = compose_id(list->children[i]);

		if (id)
			entries[(*n)++] = (struct entry){ id, i, NULL };
	}
	if (*n)
		qsort(entries, *n, sizeof(*entries), by_id);
	return entries;
}

/* Two entries of `over` with the id of one below. (If there is none below, both are appended, and
 * the plan reports them.) */
static void report_id_twice(struct config *config, const struct node *first,
			    const struct node *again)
{
	const struct node *id = node_get(again->children[0], "id");

	diag_error(config->diags, id->mark, "id '%s' stands twice in one list",
		   config_shown(config, id->text));
	diag_note(config->diags, node_get(first->children[0], "id")->mark, "it stands here first");
	diag_help(config->diags, "make them one entry, or give them different ids");
}

/* Whether that is what `key+` takes. */
static bool check_list(struct config *config, const struct node *over, const char *key)
{
	if (over->kind == NODE_SEQ || is_blank(over))
		return true;
	diag_error(config->diags, node_place(over), "'%s+' appends a list, not %s",
		   config_shown(config, key), node_kind_name(over));
	diag_help(config->diags, "begin each entry with `- ` on a line of its own");
	return false;
}

struct node *compose_append(struct config *config, struct node *list, struct node *over,
			    const char *key, struct choices *choices)
{
	struct entry *entries;
	size_t n;

	if (!check_list(config, over, key))
		return NULL;
	if (is_blank(over))
		return list ? list : over;
	compose_settle(config, over);
	if (!list || is_blank(list))
		return over;
	if (list->kind != NODE_SEQ) {
		diag_error(config->diags, over->key_mark,
			   "'%s' is %s; only a list can be appended to", config_shown(config, key),
			   node_kind_name(list));
		diag_note(config->diags, list->mark, "it is set here");
		diag_help(config->diags, "write the whole list, as `%s:`",
			  config_shown(config, key));
		return NULL;
	}
	entries = index_entries(config, list, &n);
	for (uint32_t i = 0; entries && i < over->n_children; i++) {
		struct node *entry = over->children[i];
		const char *id = compose_id(entry);
		struct entry *same =
			id && n ? bsearch(id, entries, n, sizeof(*entries), is_id) : NULL;
		struct node **slot = same ? &list->children[same->position] : NULL;

		if (!slot) {
			node_add(&config->arena, list, entry);
		} else if (same->laid) {
			report_id_twice(config, same->laid, entry);
		} else {
			same->laid = entry;
			*slot = compose_value(config, *slot, entry, choices);
		}
	}
	return list;
}

/* ---- Mappings ------------------------------------------------------------------------------ */

static void take_away(struct config *config, struct node *map, const struct node *below,
		      const struct node *over)
{
	const char *words[TREE_MAX_KEYS + 1], *near;
	uint32_t n = 0;

	if (below) {
		node_put(&config->arena, map, below, NULL);
		return;
	}
	for (; n < map->n_children && n < TREE_MAX_KEYS; n++)
		words[n] = map->children[n]->key;
	words[n] = NULL;
	near = config_nearest(over->key, words);
	if (near)
		diag_error(config->diags, over->key_mark,
			   "null takes '%s' away, but nothing sets it; did you mean '%s'?",
			   config_shown(config, over->key), near);
	else
		diag_error(config->diags, over->key_mark,
			   "null takes '%s' away, but nothing sets it",
			   config_shown(config, over->key));
	diag_help(config->diags, "delete it");
}

/* Lays one mapping on another. At the top level, some values are choices. */
static void lay_map(struct config *config, struct node *base, struct node *over, bool top)
{
	for (uint32_t i = 0; i < over->n_children && !config->arena.failed; i++) {
		struct node *child = over->children[i], *below;
		size_t plus = plus_at(child->key);
		char *key = plus ? arena_copy(&config->arena, child->key, plus) : child->key;

		if (!key)
			return;
		below = node_get(base, key);
		if (plus && node_get(over, key)) {
			diag_error(config->diags, child->key_mark,
				   "'%s' and '%s' in one mapping; make them one list",
				   config_shown(config, child->key), config_shown(config, key));
			diag_note(config->diags, node_get(over, key)->key_mark,
				  "the other is here");
		} else if (plus) {
			child = compose_append(config, below, child, key,
					       top ? compose_entries(config, key) : NULL);
			if (child)
				child->key = key;
			if (child && child != below)
				node_put(&config->arena, base, below, child);
		} else if (compose_removes(child)) {
			take_away(config, base, below, child);
		} else if (below) {
			struct node *value = compose_value(
				config, below, child, top ? compose_choice(config, key) : NULL);

			if (value != below)
				node_put(&config->arena, base, below, value);
		} else {
			compose_settle(config, child);
			node_put(&config->arena, base, NULL, child);
		}
	}
	base->bad |= over->bad;
}

void compose(struct config *config, struct node *base, struct node *over)
{
	lay_map(config, base, over, true);
}

static bool is_choice(struct config *config, struct node *node)
{
	return (node->kind == NODE_MAP || (node->kind == NODE_SCALAR && !node_is_null(node))) &&
	       choice_expand_bare(config, node) && node->n_children == 1;
}

struct node *compose_value(struct config *config, struct node *base, struct node *over,
			   struct choices *choices)
{
	if (base->kind == NODE_MAP && is_blank(over))
		return base;
	if (choices && is_choice(config, base) && is_choice(config, over) &&
	    strcmp(base->children[0]->key, over->children[0]->key) != 0)
		goto replace;
	if (base->kind == NODE_MAP && over->kind == NODE_MAP) {
		lay_map(config, base, over, false);
		return base;
	}
replace:
	compose_settle(config, over);
	over->replaced = base;
	return over;
}

/* A mapping of its own is laid on nothing. The usual one has no '+' and stays as it is. */
void compose_settle(struct config *config, struct node *node)
{
	bool plus = false;

	for (uint32_t i = 0; i < node->n_children; i++) {
		struct node *child = node->children[i];

		if (child->kind != NODE_SCALAR)
			compose_settle(config, child);
		plus |= node->kind == NODE_MAP && plus_at(child->key);
	}
	for (uint32_t i = 0; plus && i < node->n_children; i++) {
		struct node *child = node->children[i];
		size_t at = plus_at(child->key);
		char *key = at ? arena_copy(&config->arena, child->key, at) : NULL;

		if (!key)
			continue;
		if (node_get(node, key)) {
			diag_error(config->diags, child->key_mark,
				   "'%s' and '%s' in one mapping; make them one list",
				   config_shown(config, child->key), config_shown(config, key));
			diag_note(config->diags, node_get(node, key)->key_mark,
				  "the other is here");
			node->bad = child->bad = true;
		} else if (!check_list(config, child, key)) {
			child->bad = true;
		}
		child->key = key;
	}
}
