/* schema_value.c: what a single value may be, in words of JSON Schema. */
#include <stdio.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "schema.h"

#define DECIMAL	 "(0|[1-9][0-9]*(_[0-9]+)*)"
#define HEX	 "0x[0-9A-Fa-f]+(_[0-9A-Fa-f]+)*"
#define NUMBER	 "(" HEX "|" DECIMAL ")"
#define UUID	 "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
#define PCI	 "([0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[01][0-9A-Fa-f][.][0-7]"
#define MAC	 "[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}"
#define EXIT	 "[0-9]|[1-5][0-9]|6[0-3]|poweroff|reset|panic|crash"
#define VARIABLE SCHEMA_VARIABLE

void schema_types(struct json *json, const char *a, const char *b, const char *c)
{
	const char *names[] = { a, b, c, "null" };

	json_open(json, "type", '[');
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i])
			json_string(json, NULL, names[i]);
	}
	json_close(json, ']');
}

void schema_ref(struct json *json, const char *key, const char *name, const char *suffix)
{
	char text[128];

	json_open(json, key, '{');
	snprintf(text, sizeof(text), "#/$defs/%s%s", name, suffix);
	json_string(json, "$ref", text);
	json_close(json, '}');
}

/* The kinds of single values, but words. */
static const struct {
	const char *types[3], *pattern, *message;
} scalars[] = {
	[OPTION_BOOL] = { { "boolean", "string" },
			  "^(true|false|yes|no|on|off)$|" VARIABLE,
			  "Write true or false" },
	[OPTION_UINT] = { { "integer", "string" },
			  "^" NUMBER "$|" VARIABLE,
			  "Write a number: decimal digits, or hex ones behind 0x" },
	[OPTION_SIZE] = { { "integer", "string" },
			  "^" NUMBER "([KMGT](iB)?)?$|" VARIABLE,
			  "Write a size: digits and a unit, such as 64K or 512M" },
	[OPTION_ADDR] = { { "integer", "string" },
			  "^" NUMBER "([KMGT](iB)?)?$|" VARIABLE,
			  "Write an address such as 0x1000" },
	[OPTION_IRQ] = { { "integer", "string" },
			 "^(none|" NUMBER ")$|" VARIABLE,
			 "Write the number of an interrupt line, or none" },
	[OPTION_DURATION] = { { "string" },
			      "^" NUMBER "(ms|s|m)$|" VARIABLE,
			      "Write a time: digits and ms, s or m, such as 500ms or 20s" },
	[OPTION_STRING] = { { "string", "number", "boolean" }, NULL, NULL },
	[OPTION_PATH] = { { "string", "number", "boolean" }, "^.", "Write the path of a file" },
};

static void scalar(struct json *json, enum option_kind kind)
{
	schema_types(json, scalars[kind].types[0], scalars[kind].types[1], scalars[kind].types[2]);
	if (!scalars[kind].pattern)
		return;
	json_string(json, "pattern", scalars[kind].pattern);
	json_string(json, "patternErrorMessage", scalars[kind].message);
}

static void number_limits(struct json *json, const struct option *o)
{
	json_uint(json, "minimum", o->min);
	/* JSON's readers keep 53 bits. */
	if (o->max)
		json_uint(json, "maximum", o->max);
	else if (o->size < sizeof(uint64_t))
		json_uint(json, "maximum", bytes_ones(o->size));
	if (o->align > 1)
		json_uint(json, "multipleOf", o->align);
}

/* The schema counts characters, the row bytes. */
static void text_limits(struct json *json, const struct option *o)
{
	static const struct {
		enum option_text text;
		const char *pattern, *message;
	} forms[] = {
		{ TEXT_MAC, "^" MAC "$|" VARIABLE,
		  "Write a unicast hardware address such as 52:54:00:12:34:56" },
		{ TEXT_UUID, "^" UUID "$|" VARIABLE, "Write a UUID, as `uuidgen` makes one" },
		{ TEXT_EXIT, "^(" EXIT ")$|" VARIABLE,
		  "Write a status from 0 to 63, or poweroff, reset, panic or crash" },
		{ TEXT_PCI, "^" PCI "$|" VARIABLE,
		  "Write a PCI function as `lspci -D` does: 0000:01:00.0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (o->text != forms[i].text)
			continue;
		json_string(json, "pattern", forms[i].pattern);
		json_string(json, "patternErrorMessage", forms[i].message);
	}
	if (o->min)
		json_uint(json, "minLength", o->min);
	if (o->max)
		json_uint(json, "maxLength", o->max);
}

static void examples(struct json *json, const char *word)
{
	json_open(json, "examples", '[');
	json_string(json, NULL, word);
	json_close(json, ']');
}

static void words(struct json *json, const char *const *list)
{
	json_open(json, "anyOf", '[');
	json_open(json, NULL, '{');
	json_open(json, "enum", '[');
	for (size_t i = 0; list[i]; i++)
		json_string(json, NULL, list[i]);
	json_close(json, ']');
	json_close(json, '}');
	schema_ref(json, NULL, "variable", "");
	json_close(json, ']');
}

static void value_default(struct json *json, const struct option *o)
{
	uint64_t value;
	const char *why;

	if (!o->def)
		return;
	if (o->kind == OPTION_BOOL)
		json_bool(json, "default", !strcmp(o->def, "true"));
	else if (o->kind == OPTION_UINT && !number_is_hex(o->def) &&
		 !config_number(o->kind, o->def, &value, &why))
		json_uint(json, "default", value);
	else
		json_string(json, "default", o->def);
}

void schema_value(struct json *json, const struct option *o)
{
	const char *const *list = config_option_words(o);

	if (list) {
		words(json, list);
	} else {
		scalar(json, o->kind);
		if (o->kind == OPTION_STRING)
			text_limits(json, o);
		else if (o->kind == OPTION_UINT || o->kind == OPTION_SIZE || o->kind == OPTION_ADDR)
			number_limits(json, o);
		else if (o->kind == OPTION_IRQ)
			examples(json, "none");
	}
	value_default(json, o);
}
