/* each.c: visiting every option of a loaded configuration. */
#include <vibevmm/bytes.h>

#include "loader.h"

static bool has_value(const struct option *option, const struct node *node)
{
	return option->type ? node->kind != NODE_SCALAR : node->kind == NODE_SCALAR && node->canon;
}

static int each_of_map(const struct config_choice *choice, const struct config_type *type,
		       const void *options, const struct node *map, config_option_fn fn, void *arg);

static int each_of_maps(const struct config_choice *choice, const struct config_type *type,
			const struct config_maps *maps, const struct node *list,
			config_option_fn fn, void *arg)
{
	int ret = 0;

	for (uint32_t i = 0; i < maps->n && !ret; i++)
		ret = each_of_map(choice, type, (const char *)maps->list + i * type->size,
				  list->children[i], fn, arg);
	return ret;
}

static int each_of_map(const struct config_choice *choice, const struct config_type *type,
		       const void *options, const struct node *map, config_option_fn fn, void *arg)
{
	int ret = 0;

	for (uint32_t i = 0; map && i < map->n_children && !ret; i++) {
		const struct node *node = map->children[i];
		const struct option *o = option_match(type, node);
		const void *member;

		if (!o || node->bad || !option_takes(o, node) || !has_value(o, node))
			continue;
		member = (const char *)options + o->offset;
		ret = o->kind == OPTION_MAP ? each_of_map(choice, o->type, member, node, fn, arg)
		      : o->kind == OPTION_MAPS
			      ? each_of_maps(choice, o->type, member, node, fn, arg)
			      : fn(arg, choice, o, member, node);
	}
	return ret;
}

static int each_of_choices(const struct config_choice *choices, uint32_t n, config_option_fn fn,
			   void *arg)
{
	int ret = 0;

	for (uint32_t i = 0; i < n && !ret; i++)
		ret = each_of_map(&choices[i], choices[i].type, choices[i].options, choices[i].node,
				  fn, arg);
	return ret;
}

int config_each_option(const struct vm_config *vm, config_option_fn fn, void *arg)
{
	int ret = each_of_map(NULL, config_vm_type(), vm, vm->root, fn, arg);

	if (!ret)
		ret = each_of_choices(vm->memory, vm->n_memory, fn, arg);
	if (!ret && vm->boot)
		ret = each_of_choices(vm->boot, 1, fn, arg);
	return ret ? ret : each_of_choices(vm->devices, vm->n_devices, fn, arg);
}

bool config_disk_written(const struct config_choice *choice, const struct option_disk *disk)
{
	for (size_t i = 0; i < ARRAY_SIZE(disk->unwritten_if) && disk->unwritten_if[i]; i++) {
		const struct option *o = registry_option(choice->type, disk->unwritten_if[i]);

		if (*((const bool *)choice->options + o->offset))
			return false;
	}
	return true;
}
