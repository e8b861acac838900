/* case_names.c: the names of cases: "vcpus=2,kernel=vmlinuz". */
#include <stdlib.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "cases.h"

void *cases_memory(struct cases *c, size_t n, size_t size)
{
	return arena_alloc(&c->scratch, n * size + 1);
}

/* For people, reports and folders: short, and without what no terminal should be sent. */
static const char *tidy(struct cases *c, const char *text)
{
	const char *shown = config_shown(c->config, text);
	char *copy = arena_copy(&c->scratch, shown, strlen(shown));

	if (copy)
		utf8_tidy(copy);
	return copy ? copy : "";
}

/* Of the path boot.linux.kernel "kernel", of $NAME "NAME". */
static const char *last_key(struct cases *c, const char *path)
{
	const char *dot = strrchr(path, '.');
	size_t len;

	path = dot && dot[1] ? dot + 1 : path;
	path += *path == '$';
	len = strcspn(path, "[");
	path = len ? arena_copy(&c->scratch, path, len) : path;
	return path ? tidy(c, path) : "";
}

/* A path goes by its last component, a choice by its key. NULL: the value has no short name. */
static const char *short_label(struct cases *c, const struct node *value)
{
	const char *slash;

	if (value->kind == NODE_MAP && value->n_children == 1)
		return tidy(c, value->children[0]->key);
	if (value->kind != NODE_SCALAR)
		return NULL;
	slash = strpbrk(value->text, " \t\n") ? NULL : strrchr(value->text, '/');
	return tidy(c, slash && slash[1] ? slash + 1 : value->text);
}

/* Where that would not tell them apart, it's the text, or else the number in the list. */
static const char *long_label(struct cases *c, const struct node *value, uint32_t i)
{
	const char *label = arena_printf(&c->scratch, "%u", i + 1);

	if (value->kind == NODE_SCALAR && strlen(value->text) == strlen(tidy(c, value->text)))
		return tidy(c, value->text);
	return label ? label : "";
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool all_different(struct cases *c, const char *const *texts, uint32_t n)
{
	const char **sorted = cases_memory(c, n, sizeof(*sorted));

	for (uint32_t i = 0; sorted && i < n; i++)
		sorted[i] = texts[i];
	if (sorted)
		qsort(sorted, n, sizeof(*sorted), by_text);
	for (uint32_t i = 1; sorted && i < n; i++) {
		if (!strcmp(sorted[i - 1], sorted[i]))
			return false;
	}
	return true;
}

bool cases_label_values(struct cases *c, struct axis *axis)
{
	const struct node *node = axis->node;
	uint32_t n = node->n_children;
	bool different = true;

	axis->labels = cases_memory(c, n, sizeof(*axis->labels));
	for (uint32_t i = 0; axis->labels && i < n; i++) {
		axis->labels[i] = short_label(c, node->children[i]);
		different &= axis->labels[i] != NULL;
	}
	if (!axis->labels)
		return false;
	if (different && all_different(c, axis->labels, n))
		return true;
	for (uint32_t i = 0; i < n; i++)
		axis->labels[i] = long_label(c, node->children[i], i);
	return true;
}

void cases_label_axes(struct cases *c)
{
	const char **labels = cases_memory(c, c->n_axes, sizeof(*labels));
	bool different;

	for (uint32_t i = 0; labels && i < c->n_axes; i++)
		labels[i] = last_key(c, c->axes[i].node->key);
	different = labels && all_different(c, labels, c->n_axes);
	for (uint32_t i = 0; labels && i < c->n_axes; i++)
		c->axes[i].label = different ? labels[i] : tidy(c, c->axes[i].node->key);
}

const char *cases_join(struct cases *c, const char *const *keys, const char *const *labels,
		       uint32_t n)
{
	size_t len = 0;
	char *name, *at;

	for (uint32_t i = 0; i < n; i++)
		len += strlen(keys[i]) + strlen(labels[i]) + 2;
	at = name = cases_memory(c, len, 1);
	for (uint32_t i = 0; name && i < n; i++) {
		if (i)
			*at++ = ',';
		at = stpcpy(at, keys[i]);
		*at++ = '=';
		at = stpcpy(at, labels[i]);
	}
	return name ? name : "";
}

const char *cases_include_name(struct cases *c, const struct node *entry, uint32_t i)
{
	const char *keys[TREE_MAX_KEYS], *labels[TREE_MAX_KEYS];
	uint32_t n = 0;

	for (uint32_t k = 0; k < entry->n_children && k < TREE_MAX_KEYS; k++) {
		const struct node *value = entry->children[k];

		labels[n] = short_label(c, value);
		if (labels[n])
			keys[n++] = last_key(c, value->key);
	}
	if (!n) {
		labels[0] = long_label(c, entry->children[0], i);
		keys[n++] = last_key(c, entry->children[0]->key);
	}
	return cases_join(c, keys, labels, n);
}
