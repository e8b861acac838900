/* test_maps.c: an option that is a list of mappings: loaded, checked, visited, printed, changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/config.h>
#include <vibevmm/registry.h>

struct part {
	char *name;
	uint64_t size;
	struct config_maps holes;
};

struct hole {
	uint32_t at;
};

struct thing {
	struct config_maps parts;
	bool flag;
};

static const struct option hole_options[] = {
	OPTION(struct hole, at, OPTION_UINT, .required = true, .doc = "Where it is"),
	{ 0 },
};
static const struct config_type hole_type = { "hole", "A hole in it", hole_options,
					      sizeof(struct hole) };
static const struct option part_options[] = {
	OPTION(struct part, name, OPTION_STRING, .required = true, .doc = "Its name"),
	OPTION(struct part, size, OPTION_SIZE, .def = "4K", .doc = "Its size"),
	OPTION(struct part, holes, OPTION_MAPS, .type = &hole_type, .doc = "Its holes"),
	{ 0 },
};
static const struct config_type part_type = { "part", "A part of it", part_options,
					      sizeof(struct part) };
static const struct option thing_options[] = {
	OPTION(struct thing, parts, OPTION_MAPS, .type = &part_type, .doc = "Its parts"),
	OPTION(struct thing, flag, OPTION_BOOL, .doc = "Flag"),
	{ 0 },
};
static const struct device_row thing_row = {
	.type = { "thing", "A thing of parts", thing_options, sizeof(struct thing) },
	.arches = ARCH_ANY,
};
static const struct boot_row nothing_row = { .type = { "nothing", "Nothing", NULL, 1 },
					     .arches = ARCH_ANY };
static const struct device_row *const devices[] = { &thing_row };
static const struct boot_row *const boots[] = { &nothing_row };
static const struct registry registry = { devices, 1, boots, 1 };

struct loaded {
	struct config *config;
	const struct thing *thing; /* NULL: it is bad */
	char *said;
};

static struct config *load_text(const char *name, const char *text, char **said)
{
	struct diags *diags = diags_new();
	struct config *config;
	size_t len;
	FILE *out = open_memstream(said, &len);

	assert_true(out && diags);
	config = config_load_text(name, text, strlen(text), &registry, NULL, diags);
	diags_print(diags, out, DIAG_TEXT, false);
	diags_free(diags);
	fclose(out);
	assert_non_null(config);
	return config;
}

/* text: the options of the one device. */
static struct loaded load(const char *text)
{
	struct loaded l = { 0 };
	char all[1000];

	snprintf(all, sizeof(all), "memory: 1M\nboot: nothing\ndevices:\n- thing:\n%s", text);
	l.config = load_text("test.yaml", all, &l.said);
	if (config_vm(l.config) && config_vm(l.config)->n_devices)
		l.thing = config_vm(l.config)->devices[0].options;
	return l;
}

static void unload(struct loaded *l)
{
	config_free(l->config);
	free(l->said);
}

static void entries_come_in_order_with_their_defaults(void **state)
{
	struct loaded l = load("    parts:\n"
			       "    - {name: one, size: 8K}\n"
			       "    - name: two\n"
			       "      holes: [{at: 1}, {at: 2}]\n");
	const struct part *parts;
	const struct hole *holes;

	(void)state;
	assert_non_null(l.thing);
	assert_int_equal(l.thing->parts.n, 2);
	parts = l.thing->parts.list;
	assert_string_equal(parts[0].name, "one");
	assert_int_equal(parts[0].size, 8192);
	assert_int_equal(parts[0].holes.n, 0);
	assert_null(parts[0].holes.list);
	assert_string_equal(parts[1].name, "two");
	assert_int_equal(parts[1].size, 4096);
	assert_int_equal(parts[1].holes.n, 2);
	holes = parts[1].holes.list;
	assert_int_equal(holes[0].at, 1);
	assert_int_equal(holes[1].at, 2);
	unload(&l);
}

static void none_and_empty_lists_have_no_entries(void **state)
{
	static const char *const texts[] = { "    {}\n", "    parts: []\n", "    parts:\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct loaded l = load(texts[i]);

		assert_non_null(l.thing);
		assert_int_equal(l.thing->parts.n, 0);
		assert_null(l.thing->parts.list);
		unload(&l);
	}
}

static void wrong_entries_are_reported_where_they_stand(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{ "    parts:\n    - {size: 1K}\n", "test.yaml:6:7: error: part needs 'name'" },
		{ "    parts: [{name: a}, {name: b, sise: 1}]\n",
		  "unknown option 'sise' of part; did you mean 'size'?" },
		{ "    parts: [a.bin]\n",
		  "an entry of 'parts' of thing is a mapping of options, not a single value" },
		{ "    parts: [a.bin]\n", "help: part takes: name, size, holes" },
		{ "    parts: {name: a}\n", "help: write `- ` before 'name'" },
		{ "    parts: a.bin\n", "'parts' of thing takes a list" },
		{ "    parts: [{name: a, holes: [{at: x}]}]\n", "test.yaml:5:36: error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct loaded l = load(wrong[i].text);

		if (l.thing || !strstr(l.said, wrong[i].said))
			fail_msg("%zu: no '%s' in: %s", i, wrong[i].said, l.said);
		unload(&l);
	}
}

static int visit(void *arg, const struct config_choice *choice, const struct option *option,
		 const void *member, const struct node *node)
{
	char *seen = arg;

	if (!choice)
		return 0;
	assert_non_null(node->canon);
	snprintf(seen + strlen(seen), 200 - strlen(seen), "%s=%s ", option->key,
		 option->kind == OPTION_STRING ? *(char *const *)member : node->canon);
	return 0;
}

static void the_options_of_each_entry_are_visited(void **state)
{
	struct loaded l = load("    parts: [{name: a, size: 1K}, {name: b, holes: [{at: 7}]}]\n");
	char seen[200] = "";

	(void)state;
	assert_int_equal(config_each_option(config_vm(l.config), visit, seen), 0);
	assert_string_equal(seen, "name=a size=1024 name=b at=7 size=4096 ");
	unload(&l);
}

static char *printed(const struct config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	config_print(config, out);
	fclose(out);
	return text;
}

static void what_is_printed_loads_to_the_same(void **state)
{
	static const char want[] = "  - thing:\n"
				   "      parts:\n"
				   "        - name: a\n"
				   "          size: 4K\n"
				   "          holes:\n"
				   "            - at: 7\n"
				   "            - at: 8\n"
				   "        - name: b\n"
				   "          size: 1K\n"
				   "          holes: []\n";
	struct loaded l = load("    parts: [{name: a, holes: [{at: 7}, {at: 8}]}, "
			       "{name: b, size: 1K, holes: []}]\n");
	char *text = printed(l.config), *said, *text_again;
	struct config *again = load_text("again.yaml", text, &said);

	(void)state;
	if (!strstr(text, want))
		fail_msg("printed: %s", text);
	assert_string_equal(said, "");
	assert_int_equal(config_vm(again)->n_devices, 1);
	text_again = printed(again);
	assert_string_equal(text + strcspn(text, "\n"), text_again + strcspn(text_again, "\n"));
	free(text);
	free(text_again);
	free(said);
	config_free(again);
	unload(&l);
}

static void each_value_in_an_entry_is_explained_by_its_path(void **state)
{
	struct loaded l = load("    parts: [{name: a}, {name: b, holes: [{at: 7}]}]\n");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	assert_int_equal(config_explain(l.config, "devices[0].thing.parts[1]", out, DIAG_TEXT), 0);
	fclose(out);
	assert_non_null(strstr(text, "devices[0].thing.parts[1].name"));
	assert_non_null(strstr(text, "devices[0].thing.parts[1].holes[0].at"));
	assert_null(strstr(text, "parts[0]"));
	free(text);
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_in_order_with_their_defaults),
		cmocka_unit_test(none_and_empty_lists_have_no_entries),
		cmocka_unit_test(wrong_entries_are_reported_where_they_stand),
		cmocka_unit_test(the_options_of_each_entry_are_visited),
		cmocka_unit_test(what_is_printed_loads_to_the_same),
		cmocka_unit_test(each_value_in_an_entry_is_explained_by_its_path),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
