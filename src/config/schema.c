/* schema.c: the config language as JSON Schema, draft 2020-12, made from the rows.
 *
 * A schema sees one file, and what is missing in it may stand in one that it extends. So there are
 * definitions called PARTIAL beside the others, in which nothing is required: they hold for what is
 * merged with another layer, a boot format and the entries of `devices+`.
 *
 * Every value may be a text with ${VAR} in it, or null, which removes the key of a layer below.
 * Keywords of one JSON type say nothing about values of another one, so `minimum` and `pattern`
 * live side by side: plain YAML 4096 and 0x1000 are integers to them, 4K and 1_000 strings.
 *
 * patternErrorMessage and deprecationMessage are no JSON Schema, whose readers skip what they don't
 * know; editors show them. The kinds of values are written out in every place, since editors see
 * less of what stands beside a $ref.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

#define PARTIAL ".partial"

struct schema {
	struct json json;
	const struct registry *registry;
};

/* ---- Options ----------------------------------------------------------------------------- */

static void arches_text(unsigned arches, char *buf, size_t len)
{
	buf[0] = 0;
	if (arches && arches != ARCH_ANY)
		snprintf(buf, len, " Only on %s.", hv_arch_name((enum arch)arches));
}

static void describe_option(struct json *json, const struct option *o)
{
	char values[CONFIG_VALUES_MAX], arch[32], text[1024];

	config_values_text(o, values, sizeof(values));
	arches_text(o->arches, arch, sizeof(arch));
	snprintf(text, sizeof(text), "%s.\n\nValue: %s%s%s.%s", o->doc, values,
		 o->def ? "; default " : "", o->def ? o->def : "", arch);
	json_string(json, "description", text);
}

static void properties(struct schema *s, const struct config_type *type);

static void list(struct json *json, const char *key, const char *suffix)
{
	schema_types(json, "array", NULL, NULL);
	schema_ref(json, "items", key, suffix);
}

static void required(struct json *json, const struct config_type *type);

/* Lists replace those of the layers below, so that an entry is whole in any layer. */
static void list_of_maps(struct schema *s, const struct config_type *type)
{
	schema_types(&s->json, "array", NULL, NULL);
	json_open(&s->json, "items", '{');
	json_string(&s->json, "type", "object");
	required(&s->json, type);
	properties(s, type);
	json_close(&s->json, '}');
}

/* The keywords for one row's value. */
static void option_body(struct schema *s, const struct option *o)
{
	struct json *json = &s->json;

	describe_option(json, o);
	if (o->kind == OPTION_MAP) {
		schema_types(json, "object", NULL, NULL);
		properties(s, o->type);
	} else if (o->kind == OPTION_MAPS) {
		list_of_maps(s, o->type);
	} else if (o->kind == OPTION_CHOICES) {
		list(json, o->key, "");
	} else if (o->kind == OPTION_CHOICE) {
		/* layers() says what it must be. */
	} else {
		schema_value(json, o);
	}
}

/* The property of the rows with o's key, alternatives that stand one behind the other. */
static void option_property(struct schema *s, const struct config_type *type,
			    const struct option *o)
{
	struct json *json = &s->json;
	bool alternatives = o[1].key && !strcmp(o[1].key, o->key);
	char title[80];

	json_open(json, o->key, '{');
	snprintf(title, sizeof(title), "%s%s%s", type == config_vm_type() ? "" : type->name,
		 type == config_vm_type() ? "" : ".", o->key);
	json_string(json, "title", title);
	if (!alternatives) {
		option_body(s, o);
	} else {
		json_open(json, "anyOf", '[');
		for (const char *key = o->key; o->key && !strcmp(o->key, key); o++) {
			json_open(json, NULL, '{');
			option_body(s, o);
			json_close(json, '}');
		}
		json_close(json, ']');
	}
	json_close(json, '}');
}

/* `devices+:` adds to the list of the layers below, and completes their entries. */
static void append_property(struct schema *s, const struct option *o)
{
	struct json *json = &s->json;
	char key[40], text[80];

	snprintf(key, sizeof(key), "%s+", o->key);
	snprintf(text, sizeof(text), "Appends to the `%s` of what this file extends.", o->key);
	json_open(json, key, '{');
	json_string(json, "title", key);
	json_string(json, "description", text);
	if (o->kind == OPTION_MAPS)
		list_of_maps(s, o->type);
	else
		list(json, o->key, PARTIAL);
	json_close(json, '}');
}

static void former_property(struct json *json, const struct option *o)
{
	char text[80];

	snprintf(text, sizeof(text), "This is now called %s", o->key);
	json_open(json, o->was, '{');
	json_bool(json, "deprecated", true);
	json_string(json, "deprecationMessage", text);
	json_close(json, '}');
}

static void properties(struct schema *s, const struct config_type *type)
{
	struct json *json = &s->json;

	json_bool(json, "additionalProperties", false);
	json_open(json, "properties", '{');
	if (type == config_vm_type()) {
		json_open(json, "extends", '{');
		json_string(json, "title", "extends");
		json_string(
			json, "description",
			"The file or files that this one is a layer on, relative to it. Mappings "
			"merge, lists replace, `KEY+` appends to a list, null removes.");
		json_open(json, "type", '[');
		json_string(json, NULL, "string");
		json_string(json, NULL, "array");
		json_close(json, ']');
		json_uint(json, "minLength", 1);
		json_open(json, "items", '{');
		json_string(json, "type", "string");
		json_uint(json, "minLength", 1);
		json_close(json, '}');
		json_close(json, '}');
		schema_cases(json);
	}
	for (const struct option *o = type->options; o && o->key; o++) {
		if (o == type->options || strcmp(o[-1].key, o->key) != 0)
			option_property(s, type, o);
		if (o->kind == OPTION_CHOICES || o->kind == OPTION_MAPS)
			append_property(s, o);
		if (o->was)
			former_property(json, o);
	}
	json_close(json, '}');
}

/* ---- Choices ----------------------------------------------------------------------------- */

static bool needs_options(const struct config_type *type)
{
	for (const struct option *o = type->options; o && o->key; o++) {
		if (o->required)
			return true;
	}
	return false;
}

static void required(struct json *json, const struct config_type *type)
{
	json_open(json, "required", '[');
	for (const struct option *o = type->options; o && o->key; o++) {
		if (o->required)
			json_string(json, NULL, o->key);
	}
	json_close(json, ']');
}

static unsigned type_arches(const struct schema *s, const struct config_type *type)
{
	for (size_t i = 0; i < s->registry->n_devices; i++) {
		if (&s->registry->devices[i]->type == type)
			return s->registry->devices[i]->arches;
	}
	for (size_t i = 0; i < s->registry->n_boots; i++) {
		if (&s->registry->boots[i]->type == type)
			return s->registry->boots[i]->arches;
	}
	return 0;
}

static void type_description(const struct schema *s, const struct config_type *type, char *buf,
			     size_t len)
{
	char arch[32];

	arches_text(type_arches(s, type), arch, sizeof(arch));
	snprintf(buf, len, "%s.%s", type->doc, arch);
}

static void define_type(struct schema *s, const struct option *option,
			const struct config_type *type, const char *suffix)
{
	struct json *json = &s->json;
	char name[80], text[512];

	snprintf(name, sizeof(name), "%s.%s%s", option->key, type->name, suffix);
	type_description(s, type, text, sizeof(text));
	json_open(json, name, '{');
	json_string(json, "title", type->name);
	json_string(json, "description", text);
	if (*suffix || !needs_options(type)) {
		schema_types(json, "object", NULL, NULL);
	} else {
		json_string(json, "type", "object");
		required(json, type);
	}
	properties(s, type);
	json_close(json, '}');
}

/* `- rtc`, for types that can do without options. */
static void bare_names(struct schema *s, const struct option *option)
{
	const struct config_type *type;
	struct text pattern = { 0 };

	text_adds(&pattern, "^(");
	for (size_t i = 0; (type = config_choice_type(s->registry, option, i)); i++) {
		if (needs_options(type))
			continue;
		text_adds(&pattern, pattern.len > 2 ? "|" : "");
		text_adds(&pattern, type->name);
	}
	text_add(&pattern, ")$|" SCHEMA_VARIABLE, sizeof(")$|" SCHEMA_VARIABLE));
	if (!pattern.failed) {
		json_string(&s->json, "pattern", pattern.p);
		json_string(&s->json, "patternErrorMessage",
			    "There is no such name, or it can't do without options");
	}
	free(pattern.p);
}

/* What an entry may be: a mapping whose key is the type, or the type alone. A layer may have two
 * keys in one that isn't in a list, to take one format away with null and choose another. */
static void define_choice(struct schema *s, const struct option *option, const char *suffix)
{
	struct json *json = &s->json;
	const struct config_type *type;
	bool bare = false;
	char name[80];

	snprintf(name, sizeof(name), "%s%s", option->key, suffix);
	json_open(json, name, '{');
	for (size_t i = 0; (type = config_choice_type(s->registry, option, i)); i++)
		bare |= !needs_options(type);
	json_open(json, "type", '[');
	json_string(json, NULL, "object");
	if (bare)
		json_string(json, NULL, "string");
	json_close(json, ']');
	if (bare)
		bare_names(s, option);
	json_uint(json, "minProperties", 1);
	if (option->kind == OPTION_CHOICES)
		json_uint(json, "maxProperties", 1);
	json_bool(json, "additionalProperties", false);
	json_open(json, "properties", '{');
	for (size_t i = 0; (type = config_choice_type(s->registry, option, i)); i++) {
		snprintf(name, sizeof(name), "%s.%s", option->key, type->name);
		schema_ref(json, type->name, name, needs_options(type) ? suffix : "");
	}
	json_close(json, '}');
	json_close(json, '}');
}

static bool is_choice(const struct option *option)
{
	return option->kind == OPTION_CHOICE || option->kind == OPTION_CHOICES;
}

static void definitions(struct schema *s)
{
	const struct config_type *type;

	json_open(&s->json, "$defs", '{');
	json_open(&s->json, "variable", '{');
	schema_types(&s->json, "string", NULL, NULL);
	json_string(&s->json, "pattern", SCHEMA_VARIABLE);
	json_close(&s->json, '}');
	for (const struct option *o = config_vm_type()->options; o->key; o++) {
		if (!is_choice(o))
			continue;
		define_choice(s, o, "");
		define_choice(s, o, PARTIAL);
		for (size_t i = 0; (type = config_choice_type(s->registry, o, i)); i++) {
			define_type(s, o, type, "");
			if (needs_options(type))
				define_type(s, o, type, PARTIAL);
		}
	}
	json_close(&s->json, '}');
}

/* What a file must have depends on whether it extends another. maxProperties stands apart: beside
 * the properties it would keep editors from completing them. */
static void layers(struct schema *s)
{
	struct json *json = &s->json;

	json_open(json, "if", '{');
	json_open(json, "required", '[');
	json_string(json, NULL, "extends");
	json_close(json, ']');
	json_close(json, '}');
	json_open(json, "then", '{');
	json_open(json, "properties", '{');
	for (const struct option *o = config_vm_type()->options; o->key; o++) {
		if (o->kind == OPTION_CHOICE)
			schema_ref(json, o->key, o->key, PARTIAL);
	}
	json_close(json, '}');
	json_close(json, '}');
	json_open(json, "else", '{');
	required(json, config_vm_type());
	json_open(json, "properties", '{');
	for (const struct option *o = config_vm_type()->options; o->key; o++) {
		if (o->kind != OPTION_CHOICE)
			continue;
		json_open(json, o->key, '{');
		json_open(json, "allOf", '[');
		schema_ref(json, NULL, o->key, "");
		json_open(json, NULL, '{');
		json_uint(json, "maxProperties", 1);
		json_close(json, '}');
		json_close(json, ']');
		json_close(json, '}');
	}
	json_close(json, '}');
	json_close(json, '}');
}

void config_schema(const struct registry *registry, FILE *out)
{
	struct schema s = { .json = { .out = out }, .registry = registry };

	json_open(&s.json, NULL, '{');
	json_string(&s.json, "$schema", "https://json-schema.org/draft/2020-12/schema");
	json_string(&s.json, "title", "vibevmm");
	json_string(&s.json, "description",
		    "A virtual machine, as vibevmm runs it. Made by `vibevmm schema`.");
	json_string(&s.json, "type", "object");
	properties(&s, config_vm_type());
	layers(&s);
	definitions(&s);
	json_close(&s.json, '}');
	fputc('\n', out);
}
