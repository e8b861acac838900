/* tree.c: any bytes as YAML: the tree that comes out is whole, or there is an error. */
#include "fuzz.h"
#include "wellformed.h"

#include "../../src/config/loader.h"

static void check_mark(const struct mark *mark, const struct source *source)
{
	must(mark->source == source && mark->line && mark->column);
	must(mark->line <= source->len + 1 && mark->column <= source->len + 1);
}

static void check(const struct node *node, const struct source *source, unsigned depth)
{
	must(depth <= TREE_MAX_DEPTH);
	check_mark(&node->mark, source);
	check_mark(&node->key_mark, source);
	if (node->kind == NODE_SCALAR) {
		must(node->text && !node->text[node->len] && !node->n_children);
		must(node->bad || strlen(node->text) == node->len);
		must(node->len <= source->len);
	}
	must(node->n_children <= (node->kind == NODE_MAP ? TREE_MAX_KEYS : TREE_MAX_ENTRIES));
	for (uint32_t i = 0; i < node->n_children; i++) {
		const struct node *child = node->children[i];

		must(!child->key == (node->kind == NODE_SEQ));
		must(!child->key || node_get(node, child->key) == child);
		check(child, source, depth + 1);
	}
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct source source = { .name = "vm.yaml", .len = size };
	struct arena arena = { 0 };
	struct diags *diags = diags_new();
	char *text = malloc(size + 1), *said = NULL;
	struct node *root = NULL;
	size_t len;
	FILE *out = open_memstream(&said, &len);

	must(diags && text && out);
	memcpy(text, data, size);
	text[size] = 0;
	source.text = text;
	if (!file_check_text(&source, diags)) {
		root = tree_parse(&arena, &source, diags);
		must(root || diags_errors(diags));
		if (root)
			check(root, &source, 0);
	}
	diags_print(diags, out, DIAG_JSON, false);
	fclose(out);
	must_be_json(said);
	free(said);
	diags_free(diags);
	arena_free(&arena);
	free(text);
}
