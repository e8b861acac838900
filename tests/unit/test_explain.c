/* test_explain.c: the origin of each value. */
#include "compose_helpers.h"

#define BOOT "arch: x86_64\nboot: {image: {file: /i}}\n"

/* Looks for a line, whatever the width of the columns. */
static void contains(const char *text, const char *line)
{
	char *squeezed = malloc(strlen(text) + 1), *out = squeezed;

	assert_non_null(squeezed);
	for (const char *p = text; *p; p++) {
		if (*p != ' ' || (p > text && p[-1] != ' '))
			*out++ = *p;
	}
	*out = 0;
	if (!strstr(squeezed, line))
		fail_msg("missing: %s\nin: %s", line, squeezed);
	free(squeezed);
}

static struct loaded load_layers(void)
{
	write_file("low.yaml", BOOT "memory: 1M\nvcpus: 2\n");
	write_file("mid.yaml", "extends: low.yaml\n"
			       "devices:\n"
			       "  - gadget: {id: a, count: 3, tiny: \"${TINY}\"}\n"
			       "  - plain\n");
	write_file("vm.yaml", "# three layers\nextends: [mid.yaml]\nvcpus: 3\n"
			      "devices+: [gadget: {id: a, count: 4, small: \"${S:-5}\"}]\n");
	setenv("EXPLAINED", "/e", 1);
	return LOAD("vm.yaml", "define", "TINY=7", "set", "devices.a.wide=9", "set",
		    "devices.a.path=${EXPLAINED}", "cpus", "4", "mem", "1M");
}

static void every_origin_is_told(void **state)
{
	struct loaded l = load_layers();
	char *text;

	(void)state;
	assert_silent(l);
	text = explained(&l, NULL, DIAG_TEXT);
	contains(text, "name = vm the file's name\n");
	contains(text, "arch = x86_64 low.yaml:1, extended by "
		       "mid.yaml:1, extended by vm.yaml:2\n");
	contains(text, "backend = auto default\n");
	contains(text, "vcpus = 4 --cpus, instead of 3 at "
		       "vm.yaml:3\n");
	contains(text, "memory = 1M --mem\n");
	contains(text, "boot = image low.yaml:2,");
	contains(text, "boot.image.file = /i low.yaml:2,");
	contains(text, "devices[0] = gadget mid.yaml:3, extended by "
		       "vm.yaml:2\n");
	contains(text, "devices[0].gadget.id = a vm.yaml:4\n");
	contains(text, "devices[0].gadget.count = 4 vm.yaml:4, instead of 3 at "
		       "mid.yaml:3\n");
	contains(text, "devices[0].gadget.tiny = 7 ${TINY} from --define at "
		       "mid.yaml:3, extended by vm.yaml:2\n");
	contains(text, "devices[0].gadget.small = 5 ${S} by its default at "
		       "vm.yaml:4\n");
	contains(text, "devices[0].gadget.wide = 9 --set devices.a.wide=9\n");
	contains(text, "devices[0].gadget.path = /e ${EXPLAINED} from the "
		       "environment at --set devices.a.path=${EXPLAINED}\n");
	contains(text, "devices[0].gadget.time = 20s default of gadget\n");
	contains(text, "devices[0].gadget.inner.within = 1500ms default of inner\n");
	contains(text, "devices[1] = plain mid.yaml:4,");
	contains(text, "platform.pit = false default of platform\n");
	free(text);
	unload(&l);
}

static void settings_are_an_origin(void **state)
{
	struct config_settings settings = { .backend = (char *)"kvm", .file = (char *)"my.ini" };
	struct loaded l = load_bytes("x.yaml", BOOT, strlen(BOOT), &settings);
	char *text;

	(void)state;
	assert_silent(l);
	text = explained(&l, "backend", DIAG_TEXT);
	assert_string_equal(text, "backend = kvm  default of the host settings my.ini\n");
	free(text);
	unload(&l);
}

static void lines_are(const struct loaded *l, const char *path, unsigned lines, const char *first)
{
	char *text = explained(l, path, DIAG_TEXT);
	unsigned n = 0;

	for (const char *p = text; *p; p++)
		n += *p == '\n';
	if (n != lines || strncmp(text, first, strlen(first)) != 0)
		fail_msg("%s: %u lines, not %u of '%s':\n%s", path, n, lines, first, text);
	free(text);
}

static void a_path_limits_it(void **state)
{
	struct loaded l = load_layers();

	(void)state;
	lines_are(&l, "vcpus", 1, "vcpus = 4");
	lines_are(&l, "boot", 2, "boot            = image");
	lines_are(&l, "boot.file", 1, "boot.image.file = /i");
	lines_are(&l, "devices[1]", 1, "devices[1] = plain");
	lines_are(&l, "devices.a.count", 1, "devices[0].gadget.count = 4");
	lines_are(&l, "devices[0].gadget.count", 1, "devices[0].gadget.count = 4");
	lines_are(&l, "devices.a.inner", 2, "devices[0].gadget.inner.within");
	lines_are(&l, "platform", 3, "platform.irqchip = auto");
	unload(&l);
}

static void says(const char *path, const char *expected)
{
	struct loaded l = load_layers();
	char *text;

	assert_silent(l);
	text = explained(&l, path, DIAG_TEXT);
	assert_string_equal(text, "");
	free(text);
	text = said(l.diags, DIAG_TEXT, false);
	contains(text, expected);
	free(text);
	unload(&l);
}

static void unknown_paths_are_errors(void **state)
{
	(void)state;
	says("vcpu", "PATH:1:1: error: nothing sets 'vcpu'; did you mean 'vcpus'?");
	says("devices.b", "PATH:1:9: error: nothing in 'devices' has the id 'b'");
	says("devices[2]", "PATH:1:8: error: 'devices' has no entry 2");
	says("devices.a.cuont", "PATH:1:11: error: nothing sets 'cuont' in devices.a; did you mean "
				"'count'?");
	says("vcpus.x", "PATH:1:7: error: 'vcpus' is a single value: there is nothing in it");
	says("devices..", "PATH:1:9: error: the name of a key is missing");
	says("", "error: the name of a key is missing");
	says("\xff", "error: the byte 0xff is not UTF-8");
}

static void json_has_the_same(void **state)
{
	struct loaded l = load_layers();
	char *text;

	(void)state;
	text = explained(&l, "devices.a.count", DIAG_JSON);
	assert_string_equal(text, "[\n  {\n"
				  "    \"path\": \"devices[0].gadget.count\",\n"
				  "    \"value\": \"4\",\n"
				  "    \"origin\": \"vm.yaml:4, instead of 3 at mid.yaml:3\",\n"
				  "    \"file\": \"vm.yaml\",\n"
				  "    \"line\": 4,\n"
				  "    \"column\": 35\n"
				  "  }\n]\n");
	free(text);
	unload(&l);
}

static void each_set_is_told_apart(void **state)
{
	struct loaded l;
	char *text;

	(void)state;
	write_file("vm.yaml", BOOT);
	l = LOAD("vm.yaml", "set", "vcpus=2", "set", "memory=1M", "set", "vcpus=3");
	text = explained(&l, NULL, DIAG_TEXT);
	contains(text, "memory = 1M --set memory=1M\n");
	contains(text, "vcpus = 3 --set vcpus=3, instead of 2 at --set vcpus=2\n");
	free(text);
	text = explained(&l, "memory", DIAG_JSON);
	contains(text, "\"origin\": \"--set memory=1M\",\n \"file\": \"--set\",\n \"line\": 1,\n "
		       "\"column\": 8\n");
	free(text);
	unload(&l);
}

static void columns_are_those_of_a_terminal(void **state)
{
	struct loaded l;
	char *text;

	(void)state;
	write_file("vm.yaml",
		   BOOT "devices:\n"
			"  - gadget: {id: \xc3\xa9\xc3\xa9, path: /\xe6\x97\xa5\xe6\x9c\xac}\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	text = explained(&l, "devices[0]", DIAG_TEXT);
	/* The column is as wide as the path in its quotes, which has two wide characters. */
	if (!strstr(text, "= \"\xc3\xa9\xc3\xa9\"     vm.yaml:4") ||
	    !strstr(text, "= \"/\xe6\x97\xa5\xe6\x9c\xac\"  vm.yaml:4") ||
	    !strstr(text, "= 1500ms   default of inner"))
		fail_msg("%s", text);
	free(text);
	unload(&l);
}

static void no_terminal_is_sent_what_a_file_name_holds(void **state)
{
	struct loaded l;
	char *text;

	(void)state;
	write_file("\33[31m.yaml", BOOT);
	l = LOAD("\33[31m.yaml");
	text = explained(&l, "arch", DIAG_TEXT);
	assert_string_equal(text, "arch = x86_64  ?[31m.yaml:1\n");
	free(text);
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_origin_is_told),
		cmocka_unit_test(settings_are_an_origin),
		cmocka_unit_test(a_path_limits_it),
		cmocka_unit_test(unknown_paths_are_errors),
		cmocka_unit_test(json_has_the_same),
		cmocka_unit_test(each_set_is_told_apart),
		cmocka_unit_test(columns_are_those_of_a_terminal),
		cmocka_unit_test(no_terminal_is_sent_what_a_file_name_holds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
