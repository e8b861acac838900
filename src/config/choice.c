/* choice.c: checking choices: mappings with one key out of a table of types. */
#include <string.h>

#include "loader.h"

/* NULL-terminated. */
static const char *const *choice_names(struct config *config, const struct choices *choices)
{
	const char **names = arena_alloc(&config->arena, (choices->n + 1) * sizeof(*names));

	for (uint32_t i = 0; names && i < choices->n; i++)
		names[i] = choices->types[i]->name;
	return names;
}

void choice_help(struct config *config, struct choices *choices)
{
	const char *const *names = choices->listed ? NULL : choice_names(config, choices);

	choices->listed = true;
	if (names && choices->n <= 24)
		diag_help(config->diags, "the %ss are: %s", choices->noun,
			  config_word_list(config, names));
	else if (names)
		diag_help(config->diags, "`vibevmm devices` lists them");
}

int choice_find(const struct choices *choices, const char *name)
{
	for (uint32_t i = 0; i < choices->n; i++) {
		if (!strcmp(choices->types[i]->name, name))
			return (int)i;
	}
	return -1;
}

static void report_unknown_choice(struct config *config, struct choices *choices, const char *name,
				  struct mark mark)
{
	const char *const *names = choice_names(config, choices);
	const char *near = names ? config_nearest(name, names) : NULL;
	const struct config_flag *flag = layer_of(mark)->flag;

	name = config_shown(config, name);
	if (flag && flag->path) {
		/* Not the user's word: --disk asks for it. */
		diag_error(config->diags, mark, "unknown %s '%s'", choices->noun, name);
		diag_help(config->diags, "this build has no such %s, which --%s needs",
			  choices->noun, flag->name);
	} else if (near) {
		diag_error(config->diags, mark, "unknown %s '%s'; did you mean '%s'?",
			   choices->noun, name, near);
	} else {
		diag_error(config->diags, mark, "unknown %s '%s'", choices->noun, name);
		choice_help(config, choices);
	}
}

/* An entry with several keys: the type as a value, options beside the type instead of below it, or
 * several types in one entry. */
static void report_several_keys(struct config *config, const struct choices *choices,
				const struct node *node)
{
	const struct node *kind = node_get(node, "type"), *first = node->children[0],
			  *second = node->children[1];
	int known = choice_find(choices, first->key);

	if (kind && kind->kind == NODE_SCALAR && choice_find(choices, kind->text) >= 0) {
		diag_error(config->diags, kind->key_mark,
			   "'type' is no key here: the name of the %s itself is the key",
			   choices->noun);
		diag_help(config->diags, "write `%s:` and its options indented below it",
			  kind->text);
		return;
	}
	diag_error(config->diags, second->key_mark,
		   "'%s' and '%s' in one entry; an entry is one %s, with its options inside",
		   config_shown(config, first->key), config_shown(config, second->key),
		   choices->noun);
	if (known >= 0 && choice_find(choices, second->key) >= 0)
		diag_help(config->diags, "keep one of them, or make it an entry of its own");
	else if (known >= 0 && registry_option(choices->types[known], second->key))
		diag_help(config->diags, "indent '%s' more than '%s' to make it an option of it",
			  second->key, first->key);
}

bool choice_expand_bare(struct config *config, struct node *node)
{
	struct node *options;

	if (node->kind == NODE_SCALAR) {
		options = node_new(&config->arena, NODE_MAP, node->mark);
		if (!options)
			return false;
		options->key = node->text;
		node->kind = NODE_MAP;
		return node_add(&config->arena, node, options);
	}
	if (node->n_children == 1 && node_is_null(node->children[0])) {
		options = node->children[0];
		options->kind = NODE_MAP;
		options->mark = options->key_mark;
	}
	return true;
}

/* The type of `type: uart16550`, alone in its entry. */
static bool report_type_as_value(struct config *config, const struct choices *choices,
				 const struct node *child)
{
	if (strcmp(child->key, "type") != 0 || child->kind != NODE_SCALAR ||
	    choice_find(choices, child->text) < 0)
		return false;
	diag_error(config->diags, child->key_mark,
		   "'type' is no key here: the name of the %s itself is the key", choices->noun);
	diag_help(config->diags, "write `%s` alone, or `%s: {...}` with options", child->text,
		  child->text);
	return true;
}

/* `raw: guest.bin` may mean `raw: {file: guest.bin}`. */
static void help_scalar(struct config *config, const struct config_type *type,
			const struct node *node)
{
	const struct option *only = NULL;
	unsigned required = 0;

	for (const struct option *o = type->options; o && o->key; o++) {
		if (o->required && !required++)
			only = o;
	}
	if (required == 1 && node->kind == NODE_SCALAR)
		diag_help(config->diags, "write `%s: {%s: %s}`", type->name, only->key,
			  config_shown(config, node->text));
	else
		option_help(config, type);
}

/* Checks one choice, a mapping with one key out of the table; true if it is good. */
static bool normalise_choice(struct config *config, struct choices *choices, struct node *node)
{
	struct node *child;
	int index;

	if (node->bad)
		return false;
	node->bad = true;
	if (node->kind == NODE_SEQ || node_is_null(node)) {
		diag_error(config->diags, node_place(node), "%s where the name of a %s is due",
			   node->kind == NODE_SEQ ? "a list" : "nothing", choices->noun);
		choice_help(config, choices);
		return false;
	}
	if (!choice_expand_bare(config, node))
		return false;
	if (!node->n_children) {
		diag_error(config->diags, node->mark, "{} names no %s", choices->noun);
		choice_help(config, choices);
		return false;
	}
	if (node->n_children > 1) {
		report_several_keys(config, choices, node);
		return false;
	}
	child = node->children[0];
	if (report_type_as_value(config, choices, child))
		return false;
	index = choice_find(choices, child->key);
	if (index < 0) {
		report_unknown_choice(config, choices, child->key, child->key_mark);
		return false;
	}
	if (child->bad)
		return false;
	if (child->kind != NODE_MAP) {
		diag_error(config->diags, child->mark, "%s takes a mapping of options, not %s",
			   child->key, node_kind_name(child));
		help_scalar(config, choices->types[index], child);
		return false;
	}
	node->bad = !normalise_map(config, child, choices->types[index]);
	return !node->bad;
}

/* Fills config->lists. */
bool choice_check(struct config *config, const struct option *option, struct node *node)
{
	enum choice_table table = vm_choice_table(option);
	struct choice_list *list = &config->lists[table];
	uint32_t n = option->kind == OPTION_CHOICE ? 1 : node->n_children;
	bool good = true;

	if (option->kind == OPTION_CHOICES && node->kind == NODE_SCALAR) {
		node->kind = NODE_SEQ; /* `devices:` with nothing below it */
		return true;
	}
	list->entries = arena_alloc(&config->arena, n * sizeof(struct node *));
	list->positions = arena_alloc(&config->arena, n * sizeof(uint32_t));
	if (!list->entries || !list->positions)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct node *entry = option->kind == OPTION_CHOICE ? node : node->children[i];

		if (normalise_choice(config, &config->choices[table], entry)) {
			list->entries[list->n] = entry;
			list->positions[list->n++] = i;
		} else {
			good = false;
		}
	}
	return good;
}
