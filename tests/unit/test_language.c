/* test_language.c: the rows in words, the JSON writer, and that the schema has every row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/json.h>
#include <vibevmm/machine.h>

/* ---- JSON -------------------------------------------------------------------------------- */

static void json_is_indented_and_escaped(void **state)
{
	static const char expected[] = "{\n"
				       "  \"a\": \"\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\",\n"
				       "  \"b\": [\n"
				       "    18446744073709551615,\n"
				       "    true,\n"
				       "    null\n"
				       "  ],\n"
				       "  \"c\": {}\n"
				       "}";
	char *text = NULL;
	size_t len = 0;
	struct json json = { .out = open_memstream(&text, &len) };

	(void)state;
	json_open(&json, NULL, '{');
	json_string(&json, "a", "\"\\\n\x01\x7f\xc3\xa9");
	json_open(&json, "b", '[');
	json_uint(&json, NULL, UINT64_MAX);
	json_bool(&json, NULL, true);
	json_string(&json, NULL, NULL);
	json_close(&json, ']');
	json_open(&json, "c", '{');
	json_close(&json, '}');
	json_close(&json, '}');
	fclose(json.out);
	assert_string_equal(text, expected);
	free(text);
}

/* ---- Words ------------------------------------------------------------------------------- */

static void values_are_told_as_one_writes_them(void **state)
{
	static const char *const words[] = { "real", "protected", "long", NULL };
	static const struct {
		struct option option;
		const char *text;
	} cases[] = {
		{ { .key = "x", .kind = OPTION_BOOL }, "true or false" },
		{ { .key = "x", .kind = OPTION_UINT, .min = 1, .max = 8 }, "number from 1 to 8" },
		{ { .key = "x", .kind = OPTION_UINT, .max = 255, .def = "0x10" },
		  "number up to 0xff" },
		{ { .key = "data_port", .kind = OPTION_UINT, .max = 0xfff8 },
		  "number up to 0xfff8" },
		{ { .key = "x", .kind = OPTION_SIZE, .min = 4096, .align = 4096 },
		  "size, at least 4K, a multiple of 4K" },
		{ { .key = "x", .kind = OPTION_ADDR, .max = 0xffff }, "address up to 0xffff" },
		{ { .key = "x", .kind = OPTION_DURATION, .max = 60000000000 },
		  "time such as 20s up to 60s" },
		{ { .key = "x", .kind = OPTION_STRING, .min = 1, .max = 64 },
		  "text of 1 to 64 bytes" },
		{ { .key = "x", .kind = OPTION_ENUM, .words = words }, "real, protected or long" },
	};
	char buf[CONFIG_VALUES_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(config_values_text(&cases[i].option, buf, sizeof(buf)),
				    cases[i].text);
}

static void words_that_do_not_fit_are_cut(void **state)
{
	static const char *const words[] = { "first", "second", NULL };
	static const struct option option = { .key = "x", .kind = OPTION_ENUM, .words = words };
	char buf[10];

	(void)state;
	memset(buf, 'x', sizeof(buf));
	assert_string_equal(config_values_text(&option, buf, sizeof(buf)), "first or ");
	assert_string_equal(config_values_text(&option, buf, 1), "");
}

static void the_backends_are_words(void **state)
{
	const struct option *backend = registry_option(config_vm_type(), "backend");
	const struct option *name = registry_option(config_vm_type(), "name");
	const char *const *words = config_option_words(backend);

	(void)state;
	assert_non_null(words);
	assert_string_equal(words[0], "auto");
	assert_string_equal(words[1], "kvm");
	assert_null(config_option_words(name));
}

/* ---- The schema -------------------------------------------------------------------------- */

static char *schema_text(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	config_schema(machine_registry(), out);
	fclose(out);
	return text;
}

static void schema_is_the_same_each_time(void **state)
{
	char *a = schema_text(), *b = schema_text();

	(void)state;
	assert_string_equal(a, b);
	free(a);
	free(b);
}

static void check_options(const char *schema, const struct config_type *type, bool top)
{
	for (const struct option *o = type->options; o && o->key; o++) {
		char title[128];

		snprintf(title, sizeof(title), "\"title\": \"%s%s%s\"", top ? "" : type->name,
			 top ? "" : ".", o->key);
		if (!strstr(schema, title))
			fail_msg("no %s in the schema", title);
		if (o->type)
			check_options(schema, o->type, false);
	}
}

static void schema_has_every_option_of_every_row(void **state)
{
	char *schema = schema_text();
	const struct config_type *type;
	unsigned n = 0;

	(void)state;
	check_options(schema, config_vm_type(), true);
	for (const struct option *o = config_vm_type()->options; o->key; o++) {
		if (o->kind != OPTION_CHOICE && o->kind != OPTION_CHOICES)
			continue;
		for (size_t i = 0; (type = config_choice_type(machine_registry(), o, i)); i++, n++)
			check_options(schema, type, false);
	}
	assert_true(n > 10);
	free(schema);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_indented_and_escaped),
		cmocka_unit_test(values_are_told_as_one_writes_them),
		cmocka_unit_test(words_that_do_not_fit_are_cut),
		cmocka_unit_test(the_backends_are_words),
		cmocka_unit_test(schema_is_the_same_each_time),
		cmocka_unit_test(schema_has_every_option_of_every_row),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
