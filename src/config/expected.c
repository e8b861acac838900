/* expected.c: devices that the config doesn't list: what the guest of a boot format counts on, and
 * what those listed need beside them. */
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

static void add_device(struct config *config, const char *name, struct mark mark, const char *why)
{
	struct node *list = device_list(config, mark);
	struct node *entry = list ? node_add_new(&config->arena, list, NULL, NODE_MAP, mark) : NULL;
	struct node *options =
		entry ? node_add_new(&config->arena, entry, name, NODE_MAP, mark) : NULL;

	if (!options)
		return;
	entry->is_default = options->is_default = true;
	entry->from = options->from = why;
}

/* ---- What the guest counts on ------------------------------------------------------------- */

/* They are found through the tables that `platform: {acpi: false}` does without. */
static bool tables_refused(const struct config *config)
{
	const struct node *acpi = node_get(node_get(config->root, "platform"), "acpi");

	return acpi && acpi->kind == NODE_SCALAR && value_is_false(acpi->text);
}

static void add_for_guest(struct config *config, const struct registry *registry)
{
	const struct node *boot = node_get(config->root, "boot");
	const struct boot_row *row = boot_row(registry, boot);

	if (!row || tables_refused(config))
		return;
	for (const char *const *name = row->devices; name && *name; name++) {
		if (!config_has_device(config, *name) && exists_here(config, registry, *name))
			add_device(config, *name, boot->children[0]->key_mark,
				   arena_printf(&config->arena, "boot format %s counts on it",
						row->type.name));
	}
}

/* ---- PCI ---------------------------------------------------------------------------------- */

/* The row of an entry, with the options as they are written; NULL: there is no such type. */
static const struct device_row *device_row(const struct registry *registry,
					   const struct node *entry, const struct node **options)
{
	const char *name = entry->kind == NODE_SCALAR ? entry->text : NULL;

	*options = NULL;
	if (entry->kind == NODE_MAP && entry->n_children) {
		*options = entry->children[0];
		name = entry->children[0]->key;
	}
	for (size_t i = 0; name && i < registry->n_devices; i++) {
		if (!strcmp(registry->devices[i]->type.name, name))
			return registry->devices[i];
	}
	return NULL;
}

/* Whether it will, with options that are good. */
static bool claim_exists(const struct config *config, const struct device_row *row,
			 const struct node *options, const struct claim *claim)
{
	const struct option *option;
	const struct node *node;
	const char *value;

	if ((claim->arches && !(claim->arches & config->arch)) ||
	    (claim->only_if && !node_get(options, claim->only_if)) ||
	    (claim->unless && node_get(options, claim->unless)))
		return false;
	if (!claim->when)
		return true;
	option = registry_option(&row->type, claim->when);
	node = node_get(options, claim->when);
	value = node && node->kind == NODE_SCALAR && !node_is_null(node) ? node->text : option->def;
	return value && !strcmp(value, option->words[claim->is]);
}

static bool is_on_pci(const struct config *config, const struct device_row *row,
		      const struct node *options)
{
	for (const struct claim *claim = row->claims; claim && claim->name; claim++) {
		if (claim->space == SPACE_PCI && claim_exists(config, row, options, claim))
			return true;
	}
	return false;
}

static const struct device_row *role_row(const struct config *config,
					 const struct registry *registry, enum device_role role)
{
	for (size_t i = 0; i < registry->n_devices; i++) {
		const struct device_row *row = registry->devices[i];

		if (row->describe && row->describe->role == role && (row->arches & config->arch))
			return row;
	}
	return NULL;
}

/* A host bridge where a device is on its bus, and with it what takes messages from there: whether
 * that is needed the planner knows, who leaves it out otherwise. */
static void add_for_pci(struct config *config, const struct registry *registry)
{
	const struct device_row *bridge = role_row(config, registry, ROLE_PCI);
	const struct device_row *msi = role_row(config, registry, ROLE_MSI);
	const struct node *devices = node_get(config->root, "devices");
	uint32_t n = devices && devices->kind == NODE_SEQ ? devices->n_children : 0;

	for (uint32_t i = 0; bridge && i < n; i++) {
		const struct node *options, *entry = devices->children[i];
		const struct device_row *row = device_row(registry, entry, &options);
		struct mark mark;

		if (!row || (row != bridge && !is_on_pci(config, row, options)))
			continue;
		mark = options ? options->key_mark : entry->mark;
		if (!config_has_device(config, bridge->type.name))
			add_device(config, bridge->type.name, mark,
				   arena_printf(&config->arena, "%s is on the PCI bus",
						row->type.name));
		if (msi && !config_has_device(config, msi->type.name))
			add_device(config, msi->type.name, mark,
				   "devices on the PCI bus send messages");
		return;
	}
}

void config_add_expected(struct config *config, const struct registry *registry)
{
	add_for_guest(config, registry);
	add_for_pci(config, registry);
}
