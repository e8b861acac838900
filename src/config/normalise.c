/* normalise.c: checking the tree by the rows, and completing it.
 *
 * Afterwards every option that has a value or a default is a node with canonical text, every
 * choice is a mapping with one key whose value is a mapping, and what is wrong was reported and is
 * marked bad.
 */
#include <string.h>

#include <vibevmm/bytes.h>

#include "loader.h"

struct mark node_place(const struct node *node)
{
	bool nothing_to_see = node->kind == NODE_SCALAR && !node->len && node->plain;

	return nothing_to_see ? node->key_mark : node->mark;
}

static bool option_exists(const struct config *config, const struct option *option)
{
	return !option->arches || (option->arches & config->arch);
}

/* ---- Words for messages ------------------------------------------------------------------ */

const char *config_word_list(struct config *config, const char *const *words)
{
	const char *list = "";

	for (unsigned i = 0; words[i] && list; i++)
		list = arena_printf(&config->arena, "%s%s%s", list, i ? ", " : "", words[i]);
	return list ? list : "";
}

const char *option_label(struct config *config, const struct config_type *type, const char *key)
{
	const char *text = type == config_vm_type()
				   ? arena_printf(&config->arena, "'%s'", key)
				   : arena_printf(&config->arena, "'%s' of %s", key, type->name);

	return text ? text : key;
}

const char *option_expects(struct config *config, const struct option *option)
{
	const char *text;

	switch (option->kind) {
	case OPTION_BOOL:
		return "true or false";
	case OPTION_UINT:
		return "a number";
	case OPTION_SIZE:
		return "a size such as 512M";
	case OPTION_ADDR:
		return "an address such as 0x1000";
	case OPTION_IRQ:
		return "the number of an interrupt line, or none";
	case OPTION_DURATION:
		return "a time such as 20s";
	case OPTION_STRING:
		return "a text";
	case OPTION_PATH:
		return "the path of a file";
	case OPTION_ENUM:
		text = arena_printf(&config->arena, "one of %s",
				    config_word_list(config, option->words));
		return text ? text : "a word";
	case OPTION_MAP:
		return "a mapping of options";
	case OPTION_CHOICE:
		return "one name with its options";
	case OPTION_MAPS:
	case OPTION_CHOICES:
		return "a list, each entry behind '- '";
	}
	return "";
}

/* The keys of a type that exist on this arch, NULL-terminated. */
static const char *const *type_keys(struct config *config, const struct config_type *type)
{
	const struct option *o = type->options;
	const char **keys;
	size_t n = 0;

	while (o && o[n].key)
		n++;
	keys = arena_alloc(&config->arena, (n + 3) * sizeof(*keys));
	n = 0;
	if (keys && type == config_vm_type())
		keys[n++] = "extends"; /* no option: layer.c takes it */
	for (; keys && o && o->key; o++) {
		/* Alternatives come one behind the other. */
		if (option_exists(config, o) && (!n || strcmp(keys[n - 1], o->key)))
			keys[n++] = o->key;
	}
	if (keys && type == config_vm_type())
		keys[n++] = "cases"; /* cases.c takes it */
	return keys;
}

void option_help(struct config *config, const struct config_type *type)
{
	const char *const *keys = type_keys(config, type);

	if (keys && !keys[0])
		diag_help(config->diags, "%s takes no options", type->name);
	else if (keys && type != config_vm_type())
		diag_help(config->diags, "%s takes: %s", type->name,
			  config_word_list(config, keys));
	else if (keys)
		diag_help(config->diags, "the keys here are: %s", config_word_list(config, keys));
}

/* ---- Options ----------------------------------------------------------------------------- */

bool option_takes(const struct option *option, const struct node *value)
{
	switch (option->kind) {
	case OPTION_MAP:
		return value->kind == NODE_MAP || node_is_null(value);
	case OPTION_CHOICE:
		return value->kind != NODE_SEQ;
	case OPTION_MAPS:
	case OPTION_CHOICES:
		return value->kind == NODE_SEQ || node_is_null(value);
	default:
		return value->kind == NODE_SCALAR;
	}
}

const struct option *option_match(const struct config_type *type, const struct node *value)
{
	const struct option *first = registry_option(type, value->key);

	for (const struct option *o = first; o && o->key; o++) {
		if (option_takes(o, value) && !strcmp(o->key, value->key))
			return o;
	}
	return first;
}

/* A device, a boot format or a memory kind at the top level: where it belongs. */
static bool help_misplaced(struct config *config, struct node *child)
{
	static const struct {
		const char *key, *before, *behind;
	} places[TABLE_COUNT] = {
		[TABLE_MEMORY] = { "memory", "put `- ", ": {...}` into the list `memory:`" },
		[TABLE_BOOT] = { "boot", "write `boot: {", ": {...}}`" },
		[TABLE_DEVICES] = { "devices", "put `- ", ": {...}` into the list `devices:`" },
	};

	for (unsigned t = 0; t < TABLE_COUNT; t++) {
		const struct choices *choices = &config->choices[t];

		for (uint32_t i = 0; i < choices->n; i++) {
			const char *name = choices->types[i]->name;

			if (strcmp(name, child->key) != 0)
				continue;
			diag_help(config->diags, "this is a %s: %s%s%s", choices->noun,
				  places[t].before, name, places[t].behind);
			child->canon = places[t].key;
			return true;
		}
	}
	return false;
}

/* `port 1`, `port:1`: whether the key begins with an option. */
static bool help_blank(struct config *config, const struct config_type *type, const char *key)
{
	size_t len = strcspn(key, ": ");
	const char *first = key[len] ? arena_copy(&config->arena, key, len) : NULL;
	const char *rest = key + len + strspn(key + len, ": ");

	if (!first || !registry_option(type, first))
		return false;
	diag_help(config->diags, "between key and value stand a ':' and a blank: `%s: %s`", first,
		  *rest ? config_shown(config, rest) : "...");
	return true;
}

/* The likely meaning goes into child->canon: whoever looks for that option is not told as well that
 * it is missing. */
static void report_unknown_option(struct config *config, const struct config_type *type,
				  struct node *child)
{
	const char *const *keys = type_keys(config, type);
	const char *near = keys ? config_nearest(child->key, keys) : NULL;
	const char *key = config_shown(config, child->key);
	bool top = type == config_vm_type();

	if (near)
		diag_error(config->diags, child->key_mark,
			   "unknown %s '%s'%s%s; did you mean '%s'?", top ? "key" : "option", key,
			   top ? "" : " of ", top ? "" : type->name, near);
	else
		diag_error(config->diags, child->key_mark, "unknown %s '%s'%s%s",
			   top ? "key" : "option", key, top ? "" : " of ", top ? "" : type->name);
	child->canon = near;
	child->bad = true;
	if (!help_blank(config, type, child->key) && !near &&
	    !(top && help_misplaced(config, child)))
		option_help(config, type);
}

bool option_misspelt(const struct config_type *type, const struct node *node, const char *key)
{
	for (uint32_t i = 0; i < node->n_children; i++) {
		const struct node *child = node->children[i];

		if (child->bad && child->canon && !registry_option(type, child->key) &&
		    !strcmp(child->canon, key))
			return true;
	}
	return false;
}

static void report_shape(struct config *config, const struct config_type *type,
			 const struct option *option, const struct node *node)
{
	const char *expects = option_expects(config, option);
	bool list = false;

	for (const struct option *o = option; o->key && !strcmp(o->key, option->key); o++) {
		list |= o->kind == OPTION_CHOICES || o->kind == OPTION_MAPS;
		if (o != option)
			expects = arena_printf(&config->arena, "%s, or %s", expects,
					       option_expects(config, o));
		if (!expects)
			return;
	}
	diag_error(config->diags, node_place(node), "%s takes %s, not %s",
		   option_label(config, type, option->key), expects, node_kind_name(node));
	if (list && option->kind == OPTION_SIZE && node_get(node, "size"))
		diag_help(config->diags, "write the size alone, or `- ram:` with `at` and `size`");
	else if (list && node->kind == NODE_MAP && node->n_children)
		diag_help(config->diags, "write `- ` before '%s'",
			  config_shown(config, node->children[0]->key));
	else if (list)
		diag_help(config->diags, "begin each entry with `- ` on a line of its own");
	else if (option->kind == OPTION_CHOICE)
		diag_help(config->diags, "take the '- ' or the brackets away");
	else if (option->kind == OPTION_MAP)
		option_help(config, option->type);
	else if (option->kind == OPTION_STRING || option->kind == OPTION_PATH)
		diag_help(config->diags, "a text with braces or brackets in it needs quotes");
}

/* ---- Mappings ---------------------------------------------------------------------------- */

/* The entries of an OPTION_MAPS. */
static bool normalise_maps(struct config *config, const struct config_type *type,
			   const struct option *option, struct node *node)
{
	bool good = !node->bad;

	node->kind = NODE_SEQ; /* `modules:` with nothing below it */
	for (uint32_t i = 0; i < node->n_children; i++) {
		struct node *entry = node->children[i];

		if (entry->kind == NODE_MAP) {
			good &= normalise_map(config, entry, option->type);
			continue;
		}
		if (!entry->bad) {
			diag_error(config->diags, node_place(entry),
				   "an entry of %s is a mapping of options, not %s",
				   option_label(config, type, option->key), node_kind_name(entry));
			option_help(config, option->type);
		}
		good = false;
	}
	node->bad = !good;
	return good;
}

static bool normalise_value(struct config *config, const struct config_type *type,
			    const struct option *option, struct node *node)
{
	if (!option_takes(option, node)) {
		if (!node->bad)
			report_shape(config, type, option, node);
		node->bad = true;
		return false;
	}
	switch (option->kind) {
	case OPTION_MAP:
		if (node->kind == NODE_SCALAR) {
			node->kind = NODE_MAP;
			node->mark = node->key_mark;
		}
		return normalise_map(config, node, option->type);
	case OPTION_MAPS:
		return normalise_maps(config, type, option, node);
	case OPTION_CHOICE:
	case OPTION_CHOICES:
		if (node->bad || !choice_check(config, option, node))
			node->bad = true;
		return !node->bad;
	default:
		return value_check(config, type, option, node);
	}
}

/* `vibevmm test` leaves images as they are: those of the mapping that may be ephemeral are, unless
 * it says otherwise. */
static bool is_ephemeral(const struct config *config, const struct node *node,
			 const struct config_type *type, const struct option *option)
{
	if (!config->tests || strcmp(option->key, "ephemeral") != 0)
		return false;
	for (const struct option *o = type->options; o->key; o++) {
		const struct option_disk *disk = o->disk;

		for (size_t i = 0; disk && i < ARRAY_SIZE(disk->unwritten_if); i++) {
			if (disk->unwritten_if[i] && !strcmp(disk->unwritten_if[i], option->key))
				return node_get(node, o->key) != NULL;
		}
	}
	return false;
}

/* Adds the option's default, or reports that it is required. */
static bool add_missing(struct config *config, struct node *node, const struct config_type *type,
			const struct option *option)
{
	struct node *child;

	if (option->required) {
		struct mark mark = node->key_mark;

		if (type == config_vm_type())
			mark = (struct mark){ .source = node->mark.source };
		if (option_misspelt(type, node, option->key))
			return false;
		if (type == config_vm_type())
			diag_error(config->diags, mark, "'%s' is missing", option->key);
		else
			diag_error(config->diags, mark, "%s needs '%s'", type->name, option->key);
		if (option->kind == OPTION_CHOICE)
			choice_help(config, &config->choices[vm_choice_table(option)]);
		else
			diag_help(config->diags, "%s: %s", option->key, option->doc);
		return false;
	}
	if (!option->def && option->kind != OPTION_MAP)
		return true;
	child = node_new(&config->arena, option->def ? NODE_SCALAR : NODE_MAP, node->key_mark);
	if (!child)
		return false;
	child->key = (char *)option->key;
	child->is_default = true;
	if (is_ephemeral(config, node, type, option)) {
		child->text = (char *)"true";
		child->from = "default of `vibevmm test`";
	} else if (option->def) {
		child->text = (char *)option->def;
	}
	child->len = child->text ? strlen(child->text) : 0;
	return node_add(&config->arena, node, child) &&
	       normalise_value(config, type, option, child);
}

bool normalise_map(struct config *config, struct node *node, const struct config_type *type)
{
	bool good = !node->bad;
	uint32_t written = node->n_children;

	option_rename(config, type, node);
	for (uint32_t i = 0; i < written; i++) {
		struct node *child = node->children[i];
		const struct option *option = option_match(type, child);

		if (!option) {
			report_unknown_option(config, type, child);
			good = false;
		} else if (!option_exists(config, option)) {
			diag_error(config->diags, child->key_mark,
				   "%s does not exist on %s, this VM's arch",
				   option_label(config, type, option->key),
				   hv_arch_name(config->arch));
			good = false;
		} else if (!normalise_value(config, type, option, child)) {
			good = false;
		}
	}
	for (const struct option *o = type->options; o && o->key; o++) {
		if (option_exists(config, o) && registry_option(type, o->key) == o &&
		    !node_get(node, o->key) && !add_missing(config, node, type, o))
			good = false;
	}
	node->bad = !good;
	return good;
}

void config_normalise(struct config *config)
{
	if (config->root->kind != NODE_MAP) {
		diag_error(config->diags, config->root->mark, "a config is a mapping, not %s",
			   node_kind_name(config->root));
		diag_help(config->diags, "begin with `boot:` or another key in the first column");
		config->root->bad = true;
		return;
	}
	normalise_map(config, config->root, config_vm_type());
}
