/* cases.c: `cases`: the combinations of values that a file is tested with.
 *
 * The values of the case asked for go into the tree as those of --set do, but as the nodes that
 * they are in the file: so paths are relative to it, and mistakes are shown where they are written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

/* ---- The matrix ---------------------------------------------------------------------------- */

/* Whether it is that kind of value; if not, reports it. */
static bool takes(struct cases *c, const struct node *node, enum node_kind kind, const char *what,
		  const char *example)
{
	if (node->bad)
		return false;
	if (node->kind == kind && node->n_children)
		return true;
	diag_error(c->config->diags, node_place(node), "%s takes %s, not %s", what,
		   kind == NODE_MAP ? "a mapping" : "a list",
		   node->kind == kind ? "an empty one" : node_kind_name(node));
	diag_help(c->config->diags, "such as `%s`", example);
	return false;
}

static bool same(const struct node *a, const struct node *b)
{
	if (a->kind != b->kind || a->n_children != b->n_children)
		return false;
	if (a->kind == NODE_SCALAR)
		return !strcmp(a->text, b->text);
	for (uint32_t i = 0; i < a->n_children; i++) {
		const struct node *other =
			a->kind == NODE_MAP ? node_get(b, a->children[i]->key) : b->children[i];

		if (!other || !same(a->children[i], other))
			return false;
	}
	return true;
}

/* The index of the value in the list, or n_children. */
static uint32_t find_value(const struct node *list, uint32_t n, const struct node *value)
{
	for (uint32_t i = 0; i < n; i++) {
		if (same(list->children[i], value))
			return i;
	}
	return list->n_children;
}

static bool too_many(struct cases *c, const struct node *node, uint64_t n)
{
	if (n <= CASES_MAX)
		return false;
	diag_error(c->config->diags, node->key_mark,
		   "more than %d cases; a file may have that many", CASES_MAX);
	diag_help(c->config->diags, "split it into several files, which may extend one of them");
	return true;
}

static bool read_axis(struct cases *c, struct axis *axis, const struct node *node)
{
	const char *key = config_shown(c->config, node->key);
	const char *what = arena_printf(&c->config->arena, "'%s'", key);
	const char *example = arena_printf(&c->config->arena, "%s: [%s]", key,
					   node->kind == NODE_SCALAR && node->len
						   ? config_shown(c->config, node->text)
						   : "VALUE, ...");

	if (!what || !example || !takes(c, node, NODE_SEQ, what, example) ||
	    too_many(c, node, node->n_children))
		return false;
	for (uint32_t i = 0; i < node->n_children; i++) {
		const struct node *value = node->children[i];
		uint32_t first = find_value(node, i, value);

		if (value->bad)
			return false;
		if (first < i) {
			diag_error(c->config->diags, value->mark, "this value stands twice in '%s'",
				   key);
			diag_note(c->config->diags, node->children[first]->mark,
				  "it stands here first");
			return false;
		}
	}
	axis->node = node;
	return cases_label_values(c, axis);
}

static bool read_matrix(struct cases *c, const struct node *matrix)
{
	uint64_t product = 1;
	bool good = true;

	if (!takes(c, matrix, NODE_MAP, "'matrix'", "matrix: {vcpus: [1, 2]}"))
		return false;
	c->axes = cases_memory(c, matrix->n_children, sizeof(*c->axes));
	for (uint32_t i = 0; c->axes && i < matrix->n_children; i++) {
		if (!read_axis(c, &c->axes[i], matrix->children[i]))
			good = false;
		else if (product <= CASES_MAX)
			product *= matrix->children[i]->n_children;
	}
	if (!good || !c->axes || too_many(c, matrix, product))
		return false;
	c->n_axes = matrix->n_children;
	c->n = (uint32_t)product;
	cases_label_axes(c);
	return true;
}

/* Which value of an axis a combination has. */
static uint32_t digit(const struct cases *c, uint32_t number, uint32_t axis)
{
	for (uint32_t i = c->n_axes - 1; i > axis; i--)
		number /= c->axes[i].node->n_children;
	return number % c->axes[axis].node->n_children;
}

static const char *name_of(struct cases *c, uint32_t number)
{
	const char *keys[TREE_MAX_KEYS], *labels[TREE_MAX_KEYS];

	for (uint32_t i = c->n_axes; i-- > 0;) {
		uint32_t n = c->axes[i].node->n_children;

		keys[i] = c->axes[i].label;
		labels[i] = c->axes[i].labels[number % n];
		number /= n;
	}
	return cases_join(c, keys, labels, c->n_axes);
}

/* ---- exclude ------------------------------------------------------------------------------- */

/* The index of the axis that the key names, or n_axes after a diagnostic. */
static uint32_t find_axis(struct cases *c, const struct node *key)
{
	const char **words = cases_memory(c, c->n_axes + 1, sizeof(*words)), *near;
	uint32_t i;

	for (i = 0; words && i < c->n_axes; i++) {
		words[i] = c->axes[i].node->key;
		if (!strcmp(words[i], key->key))
			return i;
	}
	if (!words)
		return c->n_axes;
	words[i] = NULL;
	near = config_nearest(key->key, words);
	diag_error(c->config->diags, key->key_mark, "the matrix has no '%s'%s%s%s",
		   config_shown(c->config, key->key), CONFIG_DID_YOU_MEAN(near));
	diag_help(c->config->diags, "it has: %s", config_word_list(c->config, words));
	return c->n_axes;
}

/* Strikes the combinations that have all values of an entry: their name becomes NULL. */
static bool exclude_entry(struct cases *c, const struct node *entry)
{
	uint32_t wanted[TREE_MAX_KEYS];

	if (!takes(c, entry, NODE_MAP, "an entry of exclude", "exclude: [{vcpus: 2, memory: 4G}]"))
		return false;
	memset(wanted, 0xff, sizeof(wanted));
	for (uint32_t i = 0; i < entry->n_children; i++) {
		const struct node *key = entry->children[i], *values;
		uint32_t axis = find_axis(c, key);

		if (axis == c->n_axes)
			return false;
		values = c->axes[axis].node;
		wanted[axis] = find_value(values, values->n_children, key);
		if (wanted[axis] < values->n_children)
			continue;
		diag_error(c->config->diags, key->mark,
			   "no case has this '%s', so this excludes nothing",
			   config_shown(c->config, key->key));
		diag_note(c->config->diags, values->mark, "the values are these");
		return false;
	}
	for (uint32_t n = 0; n < c->n; n++) {
		bool all = true;

		for (uint32_t i = 0; all && i < c->n_axes; i++)
			all = wanted[i] == UINT32_MAX || wanted[i] == digit(c, n, i);
		if (all)
			c->list[n].name = NULL;
	}
	return true;
}

static bool exclude(struct cases *c, const struct node *node)
{
	bool good = true;
	uint32_t kept = 0;

	if (!takes(c, node, NODE_SEQ, "'exclude'", "exclude: [{vcpus: 2, memory: 4G}]") ||
	    too_many(c, node, node->n_children))
		return false;
	if (!c->n_axes) {
		diag_error(c->config->diags, node->key_mark,
			   "there is no matrix to exclude cases from");
		return false;
	}
	for (uint32_t i = 0; i < node->n_children; i++)
		good &= exclude_entry(c, node->children[i]);
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->list[i].name)
			c->list[kept++] = c->list[i];
	}
	c->n = kept;
	return good;
}

/* ---- include ------------------------------------------------------------------------------- */

static bool include(struct cases *c, const struct node *node)
{
	bool good = true;

	if (!takes(c, node, NODE_SEQ, "'include'", "include: [{vcpus: 4, memory: 1G}]") ||
	    too_many(c, node, (uint64_t)c->n + node->n_children))
		return false;
	for (uint32_t i = 0; i < node->n_children; i++) {
		const struct node *entry = node->children[i];

		if (takes(c, entry, NODE_MAP, "an entry of include",
			  "include: [{vcpus: 4, memory: 1G}]"))
			c->list[c->n++] =
				(struct combination){ .name = cases_include_name(c, entry, i),
						      .include = entry };
		else
			good = false;
	}
	return good;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct combination *x = *(const struct combination *const *)a;
	const struct combination *y = *(const struct combination *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : x < y ? -1 : 1;
}

/* Only an entry of `include` can have the name of another case. */
static bool check_names(struct cases *c)
{
	const struct combination **sorted = cases_memory(c, c->n, sizeof(struct combination *));

	for (uint32_t i = 0; sorted && i < c->n; i++)
		sorted[i] = &c->list[i];
	if (sorted)
		qsort(sorted, c->n, sizeof(struct combination *), by_name);
	for (uint32_t i = 1; sorted && i < c->n; i++) {
		const struct node *entry = sorted[i]->include;

		if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
			continue;
		diag_error(c->config->diags, entry ? entry->mark : c->axes[0].node->key_mark,
			   "two cases would have the name '%s'", sorted[i]->name);
		if (sorted[i - 1]->include)
			diag_note(c->config->diags, sorted[i - 1]->include->mark,
				  "the other one is this");
		diag_help(c->config->diags, "a name is made of the last part of each key and "
					    "value; one more key makes it another");
		return false;
	}
	return sorted != NULL;
}

static bool check_keys(struct cases *c, const struct node *node)
{
	static const char *const words[] = { "matrix", "exclude", "include", NULL };
	bool good = true;

	for (uint32_t i = 0; i < node->n_children; i++) {
		const char *key = node->children[i]->key, *near;

		if (!strcmp(key, words[0]) || !strcmp(key, words[1]) || !strcmp(key, words[2]))
			continue;
		near = config_nearest(key, words);
		diag_error(c->config->diags, node->children[i]->key_mark,
			   "unknown key '%s' in cases%s%s%s", config_shown(c->config, key),
			   CONFIG_DID_YOU_MEAN(near));
		diag_help(c->config->diags, near ? "the keys to combine go below `matrix`"
						 : "cases takes matrix, exclude and include; the "
						   "keys to combine go below `matrix`");
		good = false;
	}
	return good;
}

/* Reads the node into *c; false after a diagnostic. */
static bool read_cases(struct cases *c, const struct node *node)
{
	const struct node *matrix, *excluded, *included;

	if (!takes(c, node, NODE_MAP, "'cases'", "cases: {matrix: {vcpus: [1, 2]}}") ||
	    !check_keys(c, node))
		return false;
	matrix = node_get(node, "matrix");
	excluded = node_get(node, "exclude");
	included = node_get(node, "include");
	c->list = cases_memory(c, 2 * CASES_MAX, sizeof(*c->list));
	if (!c->list || (matrix && !read_matrix(c, matrix)))
		return false;
	for (uint32_t n = 0; n < c->n; n++)
		c->list[n] = (struct combination){ .name = name_of(c, n), .number = n };
	if ((excluded && !exclude(c, excluded)) || (included && !include(c, included)))
		return false;
	if (!c->n) {
		diag_error(c->config->diags, (excluded ? excluded : node)->key_mark,
			   "no case is left");
		return false;
	}
	return check_names(c);
}

/* By its name, or as `vibevmm test` prints it: FILE[NAME]. */
static bool is_called(const char *given, const char *name)
{
	size_t n = strlen(given), len = strlen(name);

	return !strcmp(given, name) ||
	       (n >= len + 2 && given[n - len - 2] == '[' && given[n - 1] == ']' &&
		!strncmp(given + n - len - 1, name, len));
}

/* The case of that name, or NULL after a diagnostic. */
static const struct combination *find_case(struct cases *c, const char *name, struct mark mark)
{
	const char **words = cases_memory(c, c->n + 1, sizeof(*words)), *near;

	for (uint32_t i = 0; words && i < c->n; i++) {
		words[i] = c->list[i].name;
		if (is_called(name, words[i]))
			return &c->list[i];
	}
	if (!words)
		return NULL;
	words[c->n] = NULL;
	near = config_nearest(name, words);
	diag_error(c->config->diags, mark, "there is no case '%s'%s%s%s",
		   config_shown(c->config, name), CONFIG_DID_YOU_MEAN(near));
	if (!near && c->n <= 8)
		diag_help(c->config->diags, "the cases are: %s",
			  config_word_list(c->config, words));
	else
		diag_help(c->config->diags, "`vibevmm test --list FILE` lists them");
	return NULL;
}

static void set_from(struct node *node)
{
	node->from = "cases";
	for (uint32_t i = 0; i < node->n_children; i++)
		set_from(node->children[i]);
}

static void set(struct cases *c, const struct node *key, struct node *value)
{
	const char *path = key->key;

	set_from(value);
	if (!strcmp(path, "cases")) {
		diag_error(c->config->diags, key->key_mark, "a case can't have cases");
		return;
	}
	if (*path == '$')
		variables_set(c->config, key->key_mark, path + 1, value);
	else
		override_node(c->config, key->key_mark, path, value);
}

/* Takes `cases` out of the tree and reads it. False: there is none, or it is wrong. */
static bool take_cases(struct cases *c, struct config *config)
{
	const struct node *node = node_get(config->root, "cases");

	if (!node)
		return false;
	node_put(&config->arena, config->root, node, NULL);
	config->cases = node;
	return read_cases(c, node);
}

static void cases_free(struct cases *c)
{
	c->config->arena.failed |= c->scratch.failed;
	arena_free(&c->scratch);
}

void cases_apply(struct config *config, const struct config_request *request)
{
	struct mark mark = { .source = &config->top->source };
	const char *name = request->case_name ? request->case_name : flags_case(config, &mark);
	bool none = !node_get(config->root, "cases");
	const struct combination *chosen;
	struct cases c = { .config = config };

	if (name && none)
		diag_error(config->diags, mark, "this config has no `cases` to take '%s' from",
			   config_shown(config, name));
	chosen = take_cases(&c, config) && name ? find_case(&c, name, mark) : NULL;
	for (uint32_t i = 0; chosen && chosen->include && i < chosen->include->n_children; i++)
		set(&c, chosen->include->children[i], chosen->include->children[i]);
	for (uint32_t i = 0; chosen && !chosen->include && i < c.n_axes; i++) {
		const struct node *axis = c.axes[i].node;

		set(&c, axis, axis->children[digit(&c, chosen->number, i)]);
	}
	cases_free(&c);
}

static bool copy_names(const struct cases *c, struct config_cases *cases)
{
	cases->names = calloc(c->n, sizeof(*cases->names));
	if (!cases->names)
		return false;
	while (cases->n < c->n) {
		char *name = strdup(c->list[cases->n].name);

		if (!name)
			return false;
		cases->names[cases->n++] = name;
	}
	return true;
}

int config_cases(const struct config_request *request, const struct registry *registry,
		 struct diags *diags, struct config_cases *cases)
{
	struct config *config = config_read(request, registry, diags);
	const struct combination *chosen;
	struct mark mark = MARK_NONE;
	const char *name;
	int ret = -EINVAL;
	struct cases c = { .config = config };

	*cases = (struct config_cases){ 0 };
	if (!config || !config->root || config->root->kind != NODE_MAP)
		goto out;
	flags_apply(config, request);
	name = request->case_name ? request->case_name : flags_case(config, &mark);
	if (!node_get(config->root, "cases")) {
		ret = 0; /* config_load has words for a --case that there is not */
		goto out;
	}
	if (!take_cases(&c, config))
		goto out;
	if (name) {
		chosen = find_case(&c, name, mark);
		if (!chosen)
			goto out;
		c.list[0] = *chosen;
		c.n = 1;
	}
	ret = 0;
	if (config->arena.failed || c.scratch.failed || !copy_names(&c, cases)) {
		diag_error(diags, MARK_NONE, "out of memory");
		config_cases_free(cases);
		ret = -ENOMEM;
	}
out:
	arena_free(&c.scratch);
	config_free(config);
	return ret;
}

void config_cases_free(struct config_cases *cases)
{
	for (size_t i = 0; i < cases->n; i++)
		free(cases->names[i]);
	free(cases->names);
	*cases = (struct config_cases){ 0 };
}
