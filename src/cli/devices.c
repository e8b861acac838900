/* devices.c: `vibevmm devices`: what the rows say. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <vibevmm/registry.h>

#include "cli.h"

static void print_arches(unsigned arches)
{
	const char *comma = "";

	for (unsigned bit = 1; bit <= arches; bit <<= 1) {
		if (!(arches & bit))
			continue;
		printf("%s%s", comma, hv_arch_name((enum arch)bit));
		comma = ", ";
	}
}

/* "size, 4K..." and the like, into buf. */
static const char *kind_text(const struct option *option, char *buf, size_t len)
{
	static const char *const kinds[] = {
		[OPTION_BOOL] = "true|false",
		[OPTION_UINT] = "number",
		[OPTION_SIZE] = "size",
		[OPTION_ADDR] = "address",
		[OPTION_IRQ] = "line|none",
		[OPTION_DURATION] = "duration",
		[OPTION_STRING] = "string",
		[OPTION_PATH] = "path",
		[OPTION_ENUM] = "word",
		[OPTION_MAP] = "mapping",
		[OPTION_CHOICE] = "one-key mapping",
		[OPTION_CHOICES] = "list",
	};
	size_t used = 0;

	if (option->kind != OPTION_ENUM)
		return kinds[option->kind];
	for (const char *const *word = option->words; *word && used < len; word++)
		used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? "|" : "", *word);
	return buf;
}

static void print_options(const struct option *options)
{
	if (!options)
		return;
	printf("\nOptions:\n");
	for (const struct option *o = options; o->key; o++) {
		char words[128];

		printf("  %-10s %s", o->key, kind_text(o, words, sizeof(words)));
		if (o->required)
			printf(", required");
		if (o->def)
			printf(", default %s", o->def);
		if (o->kind == OPTION_UINT && o->max)
			printf(", %" PRIu64 " to %" PRIu64, o->min, o->max);
		if (o->arches) {
			printf(", on ");
			print_arches(o->arches);
		}
		printf("\n             %s\n", o->doc);
	}
}

static const char *const space_names[SPACE_COUNT] = {
	[SPACE_MEM] = "memory window",
	[SPACE_PIO] = "ports",
	[SPACE_IRQ] = "interrupt line",
	[SPACE_INPUT] = "the console's input",
};

static void print_claims(const struct claim *claims)
{
	if (!claims)
		return;
	printf("\nClaims:\n");
	for (const struct claim *c = claims; c->name; c++) {
		printf("  %-10s %s", c->name, space_names[c->space]);
		if (c->space == SPACE_MEM || c->space == SPACE_PIO)
			printf(", %" PRIu64 " byte%s", c->size, c->size == 1 ? "" : "s");
		if (c->fix)
			printf(", fixed by `%s`", c->fix);
		for (size_t i = 0; i < c->n_prefer; i++)
			printf(c->space == SPACE_IRQ ? "%s%" PRIu64 : "%s%#" PRIx64,
			       i ? ", " : "; prefers ", c->prefer[i]);
		if (c->only_if)
			printf("; only if `%s` is given", c->only_if);
		if (c->unless)
			printf("; unless `%s` is given", c->unless);
		if (c->arches) {
			printf("; on ");
			print_arches(c->arches);
		}
		printf("\n");
	}
}

static void print_caps(const char *title, unsigned caps)
{
	if (!caps)
		return;
	printf("\n%s:\n", title);
	for (unsigned bit = 1; bit <= caps && bit; bit <<= 1) {
		if (caps & bit)
			printf("  %s\n", hv_cap_name((enum hv_cap)bit));
	}
}

static void print_row(const struct device_row *row)
{
	printf("%s: %s.\n\nArchitectures: ", row->type.name, row->type.doc);
	print_arches(row->arches);
	if (row->max)
		printf("\nAt most: %u in one VM", row->max);
	printf("\n");
	print_options(row->type.options);
	print_claims(row->claims);
	print_caps("Needs from the backend", row->needs);
	print_caps("Uses if the backend has it", row->wants);
}

static int devices(const struct cli_command *command, const struct cli_args *args)
{
	const struct registry *registry = machine_registry();
	const char *names[64] = { NULL };
	const char *near;

	for (size_t i = 0; i < registry->n_devices; i++) {
		const struct device_row *row = registry->devices[i];

		if (!args->n_files)
			printf("%-16s %s\n", row->type.name, row->type.doc);
		else if (!strcmp(row->type.name, args->files[0]))
			return print_row(row), STATUS_OK;
		if (i < 63)
			names[i] = row->type.name;
	}
	if (!args->n_files) {
		printf("\n`vibevmm devices NAME` shows a device's options and what it claims.\n");
		return STATUS_OK;
	}
	near = config_nearest(args->files[0], names);
	return cli_usage(command, "there is no device '%s'%s%s%s", args->files[0],
			 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

const struct cli_command cli_devices = {
	.name = "devices",
	.args = "[NAME]",
	.doc = "List the device types, or explain one",
	.max_files = 1,
	.run = devices,
};
