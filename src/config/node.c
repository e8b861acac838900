/* node.c: the tree's nodes and paths. */
#include <stdlib.h>
#include <string.h>

#include "loader.h"

struct node *node_new(struct arena *arena, enum node_kind kind, struct mark mark)
{
	struct node *node = arena_alloc(arena, sizeof(*node));

	if (node) {
		node->kind = kind;
		node->mark = node->key_mark = mark;
		arena->nodes++;
	}
	return node;
}

bool node_add(struct arena *arena, struct node *parent, struct node *child)
{
	if (!child)
		return false;
	if (parent->n_children == parent->cap_children) {
		uint32_t cap = parent->cap_children ? 2 * parent->cap_children : 4;
		struct node **children = arena_alloc(arena, cap * sizeof(struct node *));

		if (!children)
			return false;
		if (parent->n_children)
			memcpy(children, parent->children,
			       parent->n_children * sizeof(struct node *));
		parent->children = children;
		parent->cap_children = cap;
	}
	parent->children[parent->n_children++] = child;
	return true;
}

struct node *node_add_new(struct arena *arena, struct node *parent, const char *key,
			  enum node_kind kind, struct mark mark)
{
	struct node *node = node_new(arena, kind, mark);

	if (!node)
		return NULL;
	node->key = (char *)key;
	return node_add(arena, parent, node) ? node : NULL;
}

void node_put(struct arena *arena, struct node *parent, const struct node *before,
	      struct node *child)
{
	uint32_t kept = 0;

	if (!before)
		node_add(arena, parent, child);
	for (uint32_t i = 0; before && i < parent->n_children; i++) {
		if (parent->children[i] != before)
			parent->children[kept++] = parent->children[i];
		else if (child)
			parent->children[kept++] = child;
	}
	if (before)
		parent->n_children = kept;
}

bool node_is_null(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->plain &&
	       (!node->len || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

const char *node_kind_name(const struct node *node)
{
	return node->kind == NODE_MAP	? "a mapping"
	       : node->kind == NODE_SEQ ? "a list"
					: "a single value";
}

static struct node *get(const struct node *node, const char *key, size_t len)
{
	if (!node || node->kind != NODE_MAP)
		return NULL;
	for (uint32_t i = 0; i < node->n_children; i++) {
		struct node *child = node->children[i];

		if (!strncmp(child->key, key, len) && !child->key[len])
			return child;
	}
	return NULL;
}

struct node *node_get(const struct node *node, const char *key)
{
	return get(node, key, strlen(key));
}

const struct node *node_given(const struct node *node, const char *key)
{
	const struct node *child = node_get(node, key);

	return child && !child->is_default ? child : NULL;
}

struct node *node_find(const struct node *root, const char *path)
{
	const struct node *node = root;

	while (node && *path) {
		if (*path == '[') {
			char *end;
			unsigned long i = strtoul(path + 1, &end, 10);

			if (end == path + 1 || *end != ']' || node->kind != NODE_SEQ ||
			    i >= node->n_children)
				return NULL;
			node = node->children[i];
			path = end + 1;
		} else {
			size_t len = strcspn(path, ".[");

			node = get(node, path, len);
			path += len;
		}
		path += *path == '.';
	}
	return (struct node *)node;
}
