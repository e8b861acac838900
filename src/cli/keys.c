/* keys.c: `vibevmm keys`: explains a key of the config language, by its path. */
#include <stdio.h>
#include <string.h>

#include <vibevmm/registry.h>

#include "cli.h"
#include "rows.h"

/* Where a path has come to: a type (a mapping with options), or an option of it. */
struct place {
	const struct config_type *type;
	const struct option *option; /* the first row with that key; NULL: the type itself */
	const struct option *of;     /* of the top level: what the type is a choice of, or NULL */
};

static bool same_key(const struct option *o, const struct option *first)
{
	return o->key && !strcmp(o->key, first->key);
}

static bool is_choice(const struct option *option)
{
	return option->kind == OPTION_CHOICE || option->kind == OPTION_CHOICES;
}

/* From an option into what it holds: a mapping's options, or one type of a choice. */
static bool enter(const struct registry *registry, struct place *place, const char *name)
{
	const struct config_type *type;

	for (const struct option *o = place->option; same_key(o, place->option); o++) {
		if (o->type) {
			*place = (struct place){ .type = o->type };
			place->option = registry_option(place->type, name);
			return place->option != NULL;
		}
		for (size_t i = 0; is_choice(o) && (type = config_choice_type(registry, o, i));
		     i++) {
			if (strcmp(type->name, name) != 0)
				continue;
			*place = (struct place){ .type = type, .of = o };
			return true;
		}
	}
	return false;
}

/* One component of the path. */
static bool step(const struct registry *registry, struct place *place, const char *name)
{
	const struct option *option;

	if (place->option)
		return enter(registry, place, name);
	option = registry_option(place->type, name);
	place->option = option;
	return option != NULL;
}

/* The names that may follow here, for "did you mean". */
static void names_at(const struct registry *registry, const struct place *place, const char **names,
		     size_t max)
{
	const struct option *options = place->option ? NULL : place->type->options;
	const struct config_type *type;
	size_t n = 0;

	for (const struct option *o = place->option; o && same_key(o, place->option); o++) {
		if (o->type)
			options = o->type->options;
		for (size_t i = 0;
		     is_choice(o) && n < max - 1 && (type = config_choice_type(registry, o, i));
		     i++)
			names[n++] = type->name;
	}
	for (; options && options->key && n < max - 1; options++)
		names[n++] = options->key;
	names[n] = NULL;
}

/* Keys that have no rows: any list's with a '+' behind it, `extends` and `cases`. */
static const char extends_text[] =
	"extends: file, or a list of files\n"
	"      Layers below this file: mappings merge, lists are replaced, null takes a key away\n";
static const char cases_text[] =
	"cases: mapping of matrix, exclude, include\n"
	"      Combinations of values, each a case of `vibevmm test`; --case takes one elsewhere\n";
static const char cases_keys_text[] =
	"\n"
	"  matrix: mapping of KEY: [VALUE, ...]\n"
	"      Combines each value with those of all other keys. KEY is a path as --set has it,\n"
	"      such as vcpus or devices.root.transport, or $NAME: a variable\n"
	"  exclude: list of mappings of KEY: VALUE\n"
	"      Leaves out the combinations that have all values of an entry\n"
	"  include: list of mappings of KEY: VALUE\n"
	"      Each entry is one more case, with these values\n";
static const char append_text[] = "\nWith a '+' behind the key a layer appends to the list below "
				  "instead of replacing it; an\n"
				  "entry with the id of one that is there merges with it.\n";

static void print_option(const struct registry *registry, const struct place *place)
{
	const struct config_type *type;

	for (const struct option *o = place->option; same_key(o, place->option); o++) {
		printf("%s%s: ", o == place->option ? "" : "\n", o->key);
		rows_print_values(stdout, o);
		printf("\n    %s\n", o->doc);
		if (o->type) {
			printf("\nOptions:\n");
			rows_print_options(stdout, o->type, 2);
		}
		if (!is_choice(o))
			continue;
		printf("\nNames:\n");
		for (size_t i = 0; (type = config_choice_type(registry, o, i)); i++)
			printf("  %-16s %s\n", type->name, type->doc);
		printf("\n`vibevmm keys %s.NAME` explains one.\n", o->key);
	}
}

static void print_place(const struct registry *registry, const struct place *place)
{
	if (place->option)
		print_option(registry, place);
	else if (place->of)
		rows_print_type(stdout, registry, place->of, place->type);
	else {
		rows_print_options(stdout, place->type, 2);
		printf("  %s  %s", extends_text, cases_text);
		printf("\n`vibevmm keys KEY` explains one; go on with a dot, as in "
		       "boot.raw.load.\n");
	}
}

static bool is_list(const struct option *option)
{
	for (const struct option *o = option; o && same_key(o, option); o++) {
		if (o->kind == OPTION_CHOICES || o->kind == OPTION_MAPS)
			return true;
	}
	return false;
}

static bool ends_with_plus(const char *name)
{
	size_t len = strlen(name);

	return len > 1 && name[len - 1] == '+';
}

static int unknown(const struct cli_command *command, const struct registry *registry,
		   const struct place *place, const char *name, const char *behind)
{
	const char *here = place->option ? place->option->key : place->type->name;
	bool top = !place->option && place->type == config_vm_type();
	const char *names[80], *near;

	names_at(registry, place, names, sizeof(names) / sizeof(names[0]));
	near = config_nearest(name, names);
	if (!names[0])
		return cli_usage(command, "there is nothing below '%s'", here);
	return cli_usage(command, "there is no key '%s%s'%s%s%s%s%s", name, behind,
			 top ? "" : " in ", top ? "" : here, CONFIG_DID_YOU_MEAN(near));
}

static int keys(const struct cli_command *command, const struct cli_args *args)
{
	const struct registry *registry = machine_registry();
	struct place place = { .type = config_vm_type() };
	const char *path = args->n_files ? args->files[0] : "";
	bool append = false;

	if (!strcmp(path, "extends")) {
		fputs(extends_text, stdout);
		return STATUS_OK;
	}
	if (!strcmp(path, "cases")) {
		printf("%s%s", cases_text, cases_keys_text);
		return STATUS_OK;
	}
	while (*path) {
		size_t len = strcspn(path, ".");
		struct place before = place;
		char name[64];

		/* As messages name places: devices[2].uart16550.irq. */
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		name[strcspn(name, "[")] = 0;
		append = ends_with_plus(name);
		if (append)
			name[strlen(name) - 1] = 0;
		if (!step(registry, &place, name) || (append && !is_list(place.option)))
			return unknown(command, registry, &before, name, append ? "+" : "");
		path += len + (path[len] == '.');
	}
	print_place(registry, &place);
	if (append)
		fputs(append_text, stdout);
	return STATUS_OK;
}

const struct cli_command cli_keys = {
	.name = "keys",
	.args = "[KEY]",
	.doc = "List the keys of a config file, or explain one, such as boot.raw.load",
	.max_files = 1,
	.run = keys,
};
