/* devices.c: `vibevmm devices`: the device types, for people and for programs. */
#include <stdio.h>
#include <string.h>

#include <vibevmm/json.h>
#include <vibevmm/registry.h>

#include "cli.h"
#include "rows.h"

static const struct cli_flag flags[] = { CLI_FORMAT_FLAG, { 0 } };

/* ---- As data ----------------------------------------------------------------------------- */

static void json_arches(struct json *json, unsigned arches)
{
	json_open(json, "architectures", '[');
	for (unsigned bit = 1; bit <= arches; bit <<= 1) {
		if (arches & bit)
			json_string(json, NULL, hv_arch_name((enum arch)bit));
	}
	json_close(json, ']');
}

static void json_caps(struct json *json, const char *key, unsigned caps)
{
	json_open(json, key, '[');
	for (unsigned bit = 1; bit <= caps && bit; bit <<= 1) {
		if (caps & bit)
			json_string(json, NULL, hv_cap_name((enum hv_cap)bit));
	}
	json_close(json, ']');
}

static void json_options(struct json *json, const struct option *o, unsigned arches);

static void json_option(struct json *json, const struct option *o, unsigned arches)
{
	char values[CONFIG_VALUES_MAX];

	json_open(json, NULL, '{');
	json_string(json, "name", o->key);
	json_string(json, "doc", o->doc);
	json_string(json, "values", config_values_text(o, values, sizeof(values)));
	json_string(json, "default", o->def);
	json_bool(json, "required", o->required);
	json_arches(json, o->arches ? o->arches : arches);
	if (o->type)
		json_options(json, o->type->options, arches);
	json_close(json, '}');
}

static void json_options(struct json *json, const struct option *o, unsigned arches)
{
	json_open(json, "options", '[');
	for (; o && o->key; o++)
		json_option(json, o, arches);
	json_close(json, ']');
}

static void json_claim(struct json *json, const struct device_row *row, const struct claim *c)
{
	static const char *const spaces[SPACE_COUNT] = {
		[SPACE_MEM] = "memory",		 [SPACE_PIO] = "ports",
		[SPACE_IRQ] = "interrupt lines", [SPACE_PCI] = "PCI functions",
		[SPACE_BAR] = "PCI BARs",	 [SPACE_PORTS_BAR] = "PCI I/O BARs",
		[SPACE_INPUT] = "input",
	};
	char when[ROWS_WHEN_MAX];

	json_open(json, NULL, '{');
	json_string(json, "name", c->name);
	json_string(json, "space", spaces[c->space]);
	json_uint(json, "size", c->size);
	json_string(json, "sized_by", c->sized_by);
	json_string(json, "set_by", c->fix);
	json_string(json, "only_if", c->only_if);
	json_string(json, "unless", c->unless);
	json_string(json, "when", rows_when(&row->type, c, when, sizeof(when)));
	json_open(json, "prefers", '[');
	for (size_t i = 0; i < c->n_prefer; i++)
		json_uint(json, NULL, c->prefer[i]);
	json_close(json, ']');
	json_arches(json, c->arches ? c->arches : row->arches);
	json_close(json, '}');
}

static void json_row(struct json *json, const struct device_row *row)
{
	json_open(json, NULL, '{');
	json_string(json, "name", row->type.name);
	json_string(json, "doc", row->type.doc);
	json_arches(json, row->arches);
	json_uint(json, "max", row->max);
	json_caps(json, "needs", row->needs);
	json_caps(json, "uses", row->wants);
	json_options(json, row->type.options, row->arches);
	json_open(json, "claims", '[');
	for (const struct claim *c = row->claims; c && c->name; c++)
		json_claim(json, row, c);
	json_close(json, ']');
	json_close(json, '}');
}

/* Of one row, an object; of all, an array. */
static void print_json(const struct registry *registry, const struct device_row *one)
{
	struct json json = { .out = stdout };

	if (one) {
		json_row(&json, one);
	} else {
		json_open(&json, NULL, '[');
		for (size_t i = 0; i < registry->n_devices; i++)
			json_row(&json, registry->devices[i]);
		json_close(&json, ']');
	}
	putchar('\n');
}

/* ---- As text ----------------------------------------------------------------------------- */

static void print_list(const struct registry *registry)
{
	for (size_t i = 0; i < registry->n_devices; i++)
		printf("%-16s %s\n", registry->devices[i]->type.name,
		       registry->devices[i]->type.doc);
	printf("\n`vibevmm devices DEVICE` shows a device's options and what it claims.\n");
}

static int unknown(const struct cli_command *command, const struct registry *registry,
		   const char *name)
{
	const char *names[64] = { NULL }, *near;

	for (size_t i = 0; i < registry->n_devices && i < 63; i++)
		names[i] = registry->devices[i]->type.name;
	near = config_nearest(name, names);
	return cli_usage(command, "there is no device '%s'%s%s%s; `vibevmm devices` lists them",
			 name, CONFIG_DID_YOU_MEAN(near));
}

static int devices(const struct cli_command *command, const struct cli_args *args)
{
	const struct registry *registry = machine_registry();
	const char *name = args->n_files ? args->files[0] : NULL;
	const struct device_row *row = NULL;
	enum diag_format format;
	int status = cli_format(command, args->values[0], &format);

	if (status)
		return status;
	for (size_t i = 0; name && i < registry->n_devices; i++) {
		if (!strcmp(registry->devices[i]->type.name, name))
			row = registry->devices[i];
	}
	if (name && !row)
		return unknown(command, registry, name);
	if (format == DIAG_JSON)
		print_json(registry, row);
	else if (row)
		rows_print_type(stdout, registry, registry_option(config_vm_type(), "devices"),
				&row->type);
	else
		print_list(registry);
	return STATUS_OK;
}

const struct cli_command cli_devices = {
	.name = "devices",
	.args = "[DEVICE]",
	.doc = "List the device types, or explain one",
	.flags = flags,
	.max_files = 1,
	.run = devices,
};
