/* document.c: YAML files other than configs, read into a tree, and texts written for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"

struct config_tree {
	struct arena arena;
	struct source source;
	struct node *root;
};

struct config_tree *config_tree_load(const char *path, const char *what, struct diags *diags)
{
	struct config_tree *tree = calloc(1, sizeof(*tree));

	if (tree)
		tree->source.name = arena_copy(&tree->arena, path, strlen(path));
	if (!tree || !tree->source.name) {
		diag_error(diags, MARK_NONE, "out of memory");
	} else if (!file_read(path, what, FILE_MAX_SIZE, false, &tree->source, diags)) {
		tree->root = tree_parse(&tree->arena, &tree->source, diags);
		if (tree->root && !tree->arena.failed)
			return tree;
		if (tree->arena.failed)
			diag_error(diags, (struct mark){ .source = &tree->source },
				   "out of memory");
	}
	config_tree_free(tree);
	return NULL;
}

const struct node *config_tree_root(const struct config_tree *tree)
{
	return tree->root;
}

void config_tree_free(struct config_tree *tree)
{
	if (!tree)
		return;
	free((char *)tree->source.text);
	arena_free(&tree->arena);
	free(tree);
}

int config_print_text(const char *text, FILE *out)
{
	struct text quoted = { 0 };

	text_add_quoted(&quoted, text, strlen(text));
	if (!quoted.failed)
		fwrite(quoted.p, 1, quoted.len, out);
	free(quoted.p);
	return quoted.failed ? -ENOMEM : 0;
}
