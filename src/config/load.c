/* load.c: the order of things: read, compose, normalise, load; and the config object. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"

static const char out_of_memory[] = "out of memory";

bool config_backend_known(const char *name)
{
	size_t n;
	const struct hv_backend *const *rows = hv_backends(&n);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(rows[i]->name, name))
			return true;
	}
	return !strcmp(name, "auto");
}

void config_backend_words(const char **words, size_t max)
{
	size_t n, used = 0;
	const struct hv_backend *const *rows = hv_backends(&n);

	words[used++] = "auto";
	for (size_t i = 0; i < n && used < max - 1; i++) {
		bool known = false; /* a row for each arch */

		for (size_t k = 0; k < used; k++)
			known |= !strcmp(words[k], rows[i]->name);
		if (!known)
			words[used++] = rows[i]->name;
	}
	words[used] = NULL;
}

const char *config_shown(struct config *config, const char *text)
{
	const size_t max = 48;
	size_t len = strlen(text);
	char *cut;

	if (len <= max)
		return text;
	len = max;
	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	cut = arena_printf(&config->arena, "%.*s...", (int)len, text);
	return cut ? cut : "...";
}

/* ---- Defaults that are no constants ------------------------------------------------------ */

static void set_default(struct config *config, const char *key, const char *text, const char *from)
{
	struct node *root = config->root, *node;

	if (!text || node_get(root, key))
		return;
	node = node_add_new(&config->arena, root, key, NODE_SCALAR, root->mark);
	if (!node)
		return;
	node->text = (char *)text;
	node->len = strlen(text);
	node->is_default = true;
	node->from = from;
}

/* "configs/hello.yaml": "hello" */
static const char *name_of_file(struct config *config, const char *path)
{
	const char *slash, *base, *dot;
	size_t len;

	if (!path || !strcmp(path, "-"))
		return "vm";
	slash = strrchr(path, '/');
	base = slash ? slash + 1 : path;
	len = strlen(base);
	dot = strrchr(base, '.');
	if (dot && dot > base && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml")))
		len = (size_t)(dot - base);
	for (len = len < 64 ? len : 64; len && ((unsigned char)base[len] & 0xc0) == 0x80; len--)
		;
	return len ? arena_copy(&config->arena, base, len) : "vm";
}

/* The arch decides which options exist, so it is needed before all others are looked at. A wrong
 * word, which is reported later, counts as the one that was probably meant. */
static enum arch find_arch(const struct node *root)
{
	const char *const *words = registry_option(config_vm_type(), "arch")->words;
	const struct node *node = node_get(root, "arch");
	const char *near = NULL;

	if (node && node->kind == NODE_SCALAR)
		near = config_nearest(node->text, words);
	for (unsigned i = 0; near && words[i]; i++) {
		if (!strcmp(words[i], near))
			return (enum arch)(1u << i);
	}
	return hv_host_arch();
}

/* ---- Loading ----------------------------------------------------------------------------- */

static bool make_choices(struct config *config, const struct registry *registry)
{
	struct choices *memory = &config->choices[TABLE_MEMORY];
	struct choices *boot = &config->choices[TABLE_BOOT];
	struct choices *devices = &config->choices[TABLE_DEVICES];
	struct arena *arena = &config->arena;
	const struct config_type *const *kinds;
	size_t n;

	kinds = config_memory_types(&n);
	*memory = (struct choices){ .noun = "memory kind", .n = (uint32_t)n };
	*boot = (struct choices){ .noun = "boot format", .n = (uint32_t)registry->n_boots };
	*devices = (struct choices){ .noun = "device", .n = (uint32_t)registry->n_devices };
	for (unsigned i = 0; i < TABLE_COUNT; i++) {
		struct choices *c = &config->choices[i];

		c->types = arena_alloc(arena, (c->n + 1) * sizeof(struct config_type *));
		if (!c->types)
			return false;
	}
	for (uint32_t i = 0; i < memory->n; i++)
		memory->types[i] = kinds[i];
	for (uint32_t i = 0; i < boot->n; i++)
		boot->types[i] = &registry->boots[i]->type;
	for (uint32_t i = 0; i < devices->n; i++)
		devices->types[i] = &registry->devices[i]->type;
	return true;
}

static bool is_bad(const struct node *root, const char *key)
{
	const struct node *node = node_get(root, key);

	return (node && node->bad) || option_misspelt(config_vm_type(), root, key);
}

/* What the layers come to, with everything filled in that a user left to others. */
static void complete(struct config *config, const struct config_request *request,
		     const struct registry *registry)
{
	const struct config_settings *settings = request->settings;

	flags_apply(config, request);
	cases_apply(config, request);
	variables_expand_all(config, config->root);
	variables_warn(config);
	config->arch = find_arch(config->root);
	flags_follow(config);
	config_add_expected(config, registry);
	if (settings && settings->backend)
		set_default(config, "backend", settings->backend,
			    arena_printf(&config->arena, "default of the host settings %s",
					 settings->file ? settings->file : ""));
	set_default(config, "arch", hv_arch_name(hv_host_arch()), "this host");
	set_default(config, "name", name_of_file(config, request->path),
		    request->path && strcmp(request->path, "-") ? "the file's name" : NULL);
}

/* From config->root to config->vm. 0 or -errno after a diagnostic. */
static int load(struct config *config, const struct config_request *request,
		const struct registry *registry)
{
	struct node *name;
	int ret = -EINVAL;

	if (!config->root)
		goto out;
	if (config->root->kind == NODE_MAP)
		complete(config, request, registry);
	config_normalise(config);
	if (config->arena.failed || config->root->kind != NODE_MAP)
		goto out;
	name = node_get(config->root, "name");
	if (name && !name->canon)
		name->canon = "vm";
	ret = typed_load(config);
	if (ret)
		return ret;
	config->vm->arch = config->arch;
	config->vm->memory_bad = is_bad(config->root, "memory");
	config->vm->boot_bad = !config->vm->boot;
	config->vm->root = config->root;
out:
	if (config->arena.failed) {
		diag_error(config->diags, (struct mark){ .source = &config->top->source },
			   out_of_memory);
		return -ENOMEM;
	}
	return ret;
}

static struct config *config_new(const char *name, const struct config_request *request,
				 const struct registry *registry, struct diags *diags)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config) {
		config->settings = request->settings;
		config->diags = diags;
		config->top = layer_new(config, name, NULL);
	}
	if (config && config->top && make_choices(config, registry))
		return config;
	diag_error(diags, MARK_NONE, out_of_memory);
	config_free(config);
	return NULL;
}

struct config *config_read(const struct config_request *request, const struct registry *registry,
			   struct diags *diags)
{
	const char *path = request->path;
	const char *name = !path ? "command line" : strcmp(path, "-") ? path : "<stdin>";
	struct config *config = config_new(name, request, registry, diags);

	if (!config)
		return NULL;
	config->tests = request->tests;
	flags_define(config, request);
	if (path)
		config->root = layer_read(config, config->top, path);
	else
		config->root = node_new(&config->arena, NODE_MAP,
					(struct mark){ .source = &config->top->source });
	return config;
}

struct config *config_load(const struct config_request *request, const struct registry *registry,
			   struct diags *diags)
{
	struct config *config = config_read(request, registry, diags);

	if (config && load(config, request, registry)) {
		config_free(config);
		return NULL;
	}
	return config;
}

struct config *config_load_text(const char *name, const char *text, size_t len,
				const struct registry *registry,
				const struct config_settings *settings, struct diags *diags)
{
	const struct config_request request = { .path = name, .settings = settings };
	struct config *config = config_new(name, &request, registry, diags);
	struct mark whole = MARK_NONE;
	char *copy;

	if (!config)
		return NULL;
	whole.source = &config->top->source;
	copy = malloc(len + 1);
	if (!copy || len > FILE_MAX_SIZE) {
		diag_error(diags, whole, "%s", copy ? "longer than 1 MiB" : out_of_memory);
		free(copy);
		goto fail;
	}
	memcpy(copy, text, len);
	copy[len] = 0;
	config->root = layer_take(config, config->top, name, copy, len);
	if (!load(config, &request, registry))
		return config;
fail:
	config_free(config);
	return NULL;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	layers_free(config->layers);
	arena_free(&config->arena);
	free(config);
}

const struct vm_config *config_vm(const struct config *config)
{
	return config->vm;
}
