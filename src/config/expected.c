/* expected.c: devices that the guest of a boot format counts on, where the config lists none. */
#include <string.h>

#include "loader.h"

bool config_has_device(const struct config *config, const char *type)
{
	const struct node *devices = node_get(config->root, "devices");

	for (uint32_t i = 0; devices && i < devices->n_children; i++) {
		const struct node *entry = devices->children[i];

		if (entry->kind == NODE_SCALAR ? !strcmp(entry->text, type)
					       : node_get(entry, type) != NULL)
			return true;
	}
	return false;
}

static const struct boot_row *boot_row(const struct registry *registry, const struct node *boot)
{
	const char *name = NULL;

	if (boot && boot->kind == NODE_MAP && boot->n_children == 1)
		name = boot->children[0]->key;
	for (size_t i = 0; name && i < registry->n_boots; i++) {
		if (!strcmp(registry->boots[i]->type.name, name))
			return registry->boots[i];
	}
	return NULL;
}

static bool exists_here(const struct config *config, const struct registry *registry,
			const char *name)
{
	for (size_t i = 0; i < registry->n_devices; i++) {
		if (!strcmp(registry->devices[i]->type.name, name))
			return (registry->devices[i]->arches & config->arch) != 0;
	}
	return false;
}

/* The list to append to, which may have to be made; NULL if `devices` is something else, which will
 * be reported. */
static struct node *device_list(struct config *config, struct mark mark)
{
	struct node *list = node_get(config->root, "devices");

	if (list && list->kind == NODE_SEQ)
		return list;
	if (list && !node_is_null(list))
		return NULL;
	if (!list) {
		list = node_add_new(&config->arena, config->root, "devices", NODE_SEQ, mark);
		if (list)
			list->is_default = true;
		return list;
	}
	list->kind = NODE_SEQ;
	return list;
}

/* They are found through the tables that `platform: {acpi: false}` does without. */
static bool tables_refused(const struct config *config)
{
	const struct node *acpi = node_get(node_get(config->root, "platform"), "acpi");

	return acpi && acpi->kind == NODE_SCALAR && value_is_false(acpi->text);
}

void config_add_expected(struct config *config, const struct registry *registry)
{
	const struct node *boot = node_get(config->root, "boot");
	const struct boot_row *row = boot_row(registry, boot);
	struct mark mark;

	if (!row || tables_refused(config))
		return;
	mark = boot->children[0]->key_mark;
	for (const char *const *name = row->devices; name && *name; name++) {
		struct node *list, *entry, *options;

		if (config_has_device(config, *name) || !exists_here(config, registry, *name))
			continue;
		list = device_list(config, mark);
		entry = list ? node_add_new(&config->arena, list, NULL, NODE_MAP, mark) : NULL;
		options = entry ? node_add_new(&config->arena, entry, *name, NODE_MAP, mark) : NULL;
		if (!options)
			return;
		entry->is_default = options->is_default = true;
		entry->from = options->from =
			arena_printf(&config->arena, "boot format %s counts on it", row->type.name);
	}
}
