/* layer.c: the texts that a config is made of: files and those that they extend, flags. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vibevmm/utf8.h>

#include "loader.h"

static struct node *read_file(struct config *config, struct layer *layer, const char *path,
			      unsigned depth);

struct layer *layer_new(struct config *config, const char *name, const struct config_flag *flag)
{
	struct layer *layer = arena_alloc(&config->arena, sizeof(*layer));

	if (!layer)
		return NULL;
	layer->source.name = arena_copy(&config->arena, name, strlen(name));
	layer->flag = flag;
	layer->directory = "";
	layer->next = config->layers;
	if (!layer->source.name)
		return NULL;
	return config->layers = layer;
}

void layers_free(struct layer *layers)
{
	for (; layers; layers = layers->next) {
		if (!layers->flag)
			free((char *)layers->source.text);
	}
}

/* ---- extends ----------------------------------------------------------------------------- */

/* Whether the file is among those that led to it; if so, reports the chain. */
static bool is_cycle(struct config *config, const struct layer *layer)
{
	const struct layer *up = layer;
	const char *chain = layer->source.name;

	if (!layer->device && !layer->inode)
		return false;
	while (up->extended.source) {
		up = layer_of(up->extended);
		chain = chain ? arena_printf(&config->arena, "%s -> %s", up->source.name, chain)
			      : NULL;
		if (up->device == layer->device && up->inode == layer->inode)
			break;
	}
	if (up == layer || up->device != layer->device || up->inode != layer->inode)
		return false;
	diag_error(config->diags, layer->extended, "this file extends itself: %s",
		   chain ? chain : up->source.name);
	diag_help(config->diags, "delete this `extends`");
	return true;
}

/* The tree of the file that a scalar names; NULL after a diagnostic. */
static struct node *extended(struct config *config, const struct layer *layer, struct node *name,
			     unsigned depth)
{
	struct diags *diags = config->diags;
	struct layer *below;
	const char *path;
	struct stat st;

	variables_expand(config, name);
	if (name->bad)
		return NULL;
	if (name->kind != NODE_SCALAR || node_is_null(name) || !name->len) {
		diag_error(diags, node_place(name), "'extends' names a file, or a list of files");
		return NULL;
	}
	if (depth == LAYER_MAX_DEPTH) {
		diag_error(diags, name->mark, "files may extend one another %d deep, not deeper",
			   LAYER_MAX_DEPTH);
		return NULL;
	}
	path = name->text[0] == '/'
		       ? name->text
		       : arena_printf(&config->arena, "%s%s", layer->directory, name->text);
	if (path && !strcmp(path, "-"))
		path = "./-"; /* this one is a file */
	below = path ? layer_new(config, path, NULL) : NULL;
	if (!below)
		return NULL;
	below->extended = name->mark;
	if (!stat(path, &st)) {
		below->device = st.st_dev;
		below->inode = st.st_ino;
	}
	if (is_cycle(config, below))
		return NULL;
	return read_file(config, below, path, depth + 1);
}

/* Lays the tree of a layer on the files that it extends. All of them are read, whatever happens to
 * one, so that their mistakes show in one run. */
static struct node *extend(struct config *config, const struct layer *layer, struct node *own,
			   unsigned depth)
{
	struct node *extends = node_get(own, "extends"), *appended = node_get(own, "extends+");
	struct node *base = NULL;
	bool list = extends && extends->kind == NODE_SEQ, failed = false;

	if (appended) {
		diag_error(config->diags, appended->key_mark, "`extends` takes no '+'");
		diag_help(config->diags, "list all files in one: `extends: [base.yaml, net.yaml]`");
		node_put(&config->arena, own, appended, NULL);
	}
	if (!extends) {
		compose_settle(config, own);
		return own;
	}
	node_put(&config->arena, own, extends, NULL);
	for (uint32_t i = 0; i < (list ? extends->n_children : 1); i++) {
		struct node *name = list ? extends->children[i] : extends;
		struct node *below = extended(config, layer, name, depth);

		if (!below)
			failed = true;
		else if (base)
			compose(config, base, below);
		else
			base = below;
	}
	if (failed)
		return NULL;
	if (!base) {
		compose_settle(config, own);
		return own;
	}
	compose(config, base, own);
	base->mark = own->mark;
	base->key_mark = own->key_mark;
	return base;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static struct node *parse(struct config *config, struct layer *layer, unsigned depth)
{
	struct node *root = tree_parse(&config->arena, &layer->source, config->diags);

	if (root && root->kind == NODE_MAP)
		return extend(config, layer, root, depth);
	if (root && depth) {
		diag_error(config->diags, root->mark, "a config is a mapping, not %s",
			   node_kind_name(root));
		diag_note(config->diags, layer->extended, "extended here");
		return NULL;
	}
	if (!root && depth)
		diag_note(config->diags, layer->extended, "extended here");
	return root; /* normalise.c has words for what is no mapping */
}

/* Sets the directory. */
static bool take_path(struct config *config, struct layer *layer, const char *path)
{
	bool named = layer->extended.source != NULL;
	const char *slash = strrchr(path, '/');

	if (utf8_check(path, strlen(path)) != strlen(path)) {
		diag_error(config->diags,
			   named ? layer->extended : (struct mark){ .source = &layer->source },
			   "the name of the file is not UTF-8");
		diag_help(config->diags, "rename it or its directory");
		return false;
	}
	if (slash)
		layer->directory = arena_copy(&config->arena, path, (size_t)(slash + 1 - path));
	return layer->directory != NULL;
}

static struct node *read_file(struct config *config, struct layer *layer, const char *path,
			      unsigned depth)
{
	struct mark whole = depth ? layer->extended : (struct mark){ .source = &layer->source };

	if (!take_path(config, layer, path) || config->n_files > LAYER_MAX_FILES)
		return NULL;
	if (config->n_files++ == LAYER_MAX_FILES) {
		diag_error(config->diags, whole, "more than %d files in one config",
			   LAYER_MAX_FILES);
		return NULL;
	}
	if (file_read(path, depth ? "an extended config" : "a config", FILE_MAX_SIZE, false,
		      &layer->source, config->diags)) {
		if (depth)
			diag_note(config->diags, layer->extended, "extended here");
		return NULL;
	}
	config->file_bytes += layer->source.len;
	if (config->file_bytes > LAYER_MAX_BYTES) {
		diag_error(config->diags, whole, "the files of this config are longer than %u MiB",
			   LAYER_MAX_BYTES >> 20);
		return NULL;
	}
	return parse(config, layer, depth);
}

struct node *layer_read(struct config *config, struct layer *layer, const char *path)
{
	struct stat st;

	if (strcmp(path, "-") != 0 && !stat(path, &st)) {
		layer->device = st.st_dev;
		layer->inode = st.st_ino;
	}
	return read_file(config, layer, path, 0);
}

struct node *layer_take(struct config *config, struct layer *layer, const char *path, char *text,
			size_t len)
{
	layer->source.text = text;
	layer->source.len = len;
	if (!take_path(config, layer, path) || file_check_text(&layer->source, config->diags))
		return NULL;
	return parse(config, layer, 0);
}
