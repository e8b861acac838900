/* test_variables.c: ${NAME}, ${NAME:-DEFAULT}, $$. */
#include <time.h>

#include "compose_helpers.h"

#define BOOT "arch: x86_64\nboot: {image: {file: i}}\n"

static struct loaded load_name(const char *value)
{
	char text[256];

	snprintf(text, sizeof(text), BOOT "name: %s\n", value);
	write_file("vm.yaml", text);
	return LOAD("vm.yaml", "define", "DEFINED=d", "define", "BOTH=defined", "define",
		    "EMPTY=", "define", "TWICE=1", "define", "TWICE=2", "define",
		    "WORDS=a: [b, c] # d");
}

static void name_is(const char *value, const char *expected)
{
	struct loaded l = load_name(value);

	if (l.errors || !l.vm || strcmp(l.vm->name, expected) != 0)
		fail_msg("%s: '%s', not '%s': %s", value, l.vm ? l.vm->name : "", expected, l.said);
	unload(&l);
}

static void values_take_variables(void **state)
{
	(void)state;
	setenv("ENV", "e", 1);
	setenv("BOTH", "environment", 1);
	name_is("${DEFINED}", "d");
	name_is("${ENV}", "e");
	name_is("${BOTH}", "defined");
	name_is("${TWICE}", "2");
	name_is("x${DEFINED}${ENV}y", "xdey");
	name_is("\"${DEFINED}\"", "d");
	name_is("'${DEFINED}'", "d");
	name_is("${UNSET_HERE:-other}", "other");
	name_is("${EMPTY:-other}", "other");
	name_is("x${EMPTY}", "x");
	name_is("x${UNSET_HERE:-}", "x");
	name_is("${DEFINED:-other}", "d");
	name_is("${UNSET_HERE:-a:-b$$c}", "a:-b$c");
	name_is("$$", "$");
	name_is("$${DEFINED}", "${DEFINED}");
	name_is("$$$${x", "$${x");
	name_is("cost 5$", "cost 5$");
	name_is("a$ b", "a$ b");
	name_is("${WORDS}", "a: [b, c] # d");
	name_is("|-\n  two\n  ${ENV}", "two\ne");
}

static void keys_and_hidden_values_take_none(void **state)
{
	struct loaded l;

	(void)state;
	write_file("base.yaml", BOOT "name: ${UNSET_HERE}\nvcpus: ${UNSET_TOO\n");
	write_file("vm.yaml", "extends: base.yaml\nname: x\nvcpus: null\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	unload(&l);
	write_file("vm.yaml", BOOT "${KEY}: x\n");
	l = LOAD("vm.yaml", "define", "KEY=name");
	assert_said(l, "vm.yaml:3:1: error: unknown key '${KEY}'");
	unload(&l);
}

static void the_outcome_is_checked_like_any_text(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml",
		   BOOT "vcpus: ${N}\nmemory: ${M}M\n"
			"devices: [gadget: {flag: \"${FLAG}\", path: \"${P}\"}, \"${T}\"]\n");
	l = LOAD("vm.yaml", "define", "N=0x3", "define", "M=2", "define", "FLAG=yes", "define",
		 "P=sub/x", "define", "T=plain");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 3);
	assert_int_equal(l.vm->memory_size, 2 << 20);
	assert_true(gadget(&l, 0)->flag);
	assert_string_equal(gadget(&l, 0)->path, "sub/x");
	assert_string_equal(device_type(&l, 1), "plain");
	unload(&l);

	l = LOAD("vm.yaml", "define", "N=03", "define", "M=2 ", "define", "FLAG=null", "define",
		 "P=", "define", "T={plain: }");
	assert_int_equal(l.errors, 5);
	assert_said(l, "vm.yaml:3:8: error: '03' for 'vcpus'");
	assert_said(l, "vm.yaml:4:9: error: '2 M' for 'memory'");
	assert_said(l, "vm.yaml:5:26: error: 'flag' of gadget can't be 'null'");
	assert_said(l, "vm.yaml:5:43: error: 'path' of gadget is empty");
	assert_said(l, "vm.yaml:5:52: error: unknown device '{plain: }'");
	unload(&l);
}

static void a_name_defined_twice_is_used_as_a_whole(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", BOOT "vcpus: ${N}\n");
	l = LOAD("vm.yaml", "define", "N=1", "define", "N=2");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 2);
	unload(&l);
	l = LOAD("vm.yaml", "define", "N=1", "define", "NN=2");
	assert_said(l, "--define:1:1: warning: nothing here uses ${NN}");
	assert_null(strstr(l.said, "${N}"));
	unload(&l);
}

static void extends_takes_variables(void **state)
{
	struct loaded l;

	(void)state;
	write_file("one.yaml", BOOT "vcpus: 7\n");
	write_file("vm.yaml", "extends: [\"${BASE}.yaml\"]\n");
	l = LOAD("vm.yaml", "define", "BASE=one");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 7);
	unload(&l);
}

static void fails(const char *value, const char *expected)
{
	struct loaded l = load_name(value);

	if (l.errors != 1 || !strstr(l.said, expected))
		fail_msg("%s: missing: %s\nin: %s", value, expected, l.said);
	unload(&l);
}

static void mistakes_have_their_place(void **state)
{
	(void)state;
	fails("${UNSET_HERE}", "vm.yaml:3:7: error: the variable 'UNSET_HERE' is not set\n"
			       "    3 | name: ${UNSET_HERE}\n"
			       "      |       ^~~~~~~~~~~~~\n");
	fails("${DEFIEND}", "the variable 'DEFIEND' is not set; did you mean 'DEFINED'?");
	fails("a $$ ${ENV} ${UNSET_HERE}", "vm.yaml:3:19: error: ");
	fails("\"\\u00e9\\n\\t ${UNSET_HERE}\"", "vm.yaml:3:19: error: ");
	fails("\xc3\xa9 ${UNSET_HERE}", "vm.yaml:3:9: error: ");
	fails("'it''s ${UNSET_HERE}'", "vm.yaml:3:14: error: ");
	fails("|\n  one\n  two ${UNSET_HERE}", "vm.yaml:5:7: error: ");
	fails("x ${UNSET_HERE:-$$} ${UNSET_HERE}", "vm.yaml:3:27: error: ");
	fails("${DEFINED", "vm.yaml:3:7: error: this ${ is never closed");
	fails("${}", "error: the name of a variable begins with a letter or _");
	fails("${1}", "error: the name of a variable begins with a letter or _");
	fails("${A-B}", "error: behind a variable's name comes } or :-");
	fails("${A:=B}", "error: behind a variable's name comes } or :-");
	fails("${A:-${B}}", "error: a ${ inside of another");
	fails("$HOME", "error: a variable needs braces: ${HOME}");
	setenv("ENV", "\xff", 1);
	fails("${ENV}", "error: the value of 'ENV' is not UTF-8");
	setenv("ENV", "e", 1);
}

static void define_is_checked(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", BOOT);
	l = LOAD("vm.yaml", "define", "X", "define", "1=2", "define", "AB B=2", "define",
		 "UNUSED=1", "define", "U8=\xff");
	assert_int_equal(l.errors, 4);
	assert_said(l, "--define:1:2: error: --define takes NAME=VALUE");
	assert_said(l, "--define:1:1: warning: nothing here uses ${UNUSED}");
	assert_said(l, "--define:1:4: error: the byte 0xff is not UTF-8");
	unload(&l);
}

static void variables_have_a_size_together(void **state)
{
	char *value = malloc(100001), *text = malloc(1 << 20);
	struct loaded l;
	size_t len;

	(void)state;
	assert_non_null(value);
	assert_non_null(text);
	memset(value, 'x', 100000);
	value[100000] = 0;
	setenv("LONG", value, 1);
	len = (size_t)sprintf(text, BOOT "name: ");
	for (int i = 0; i < 100000; i++)
		len += (size_t)sprintf(text + len, "${LONG}");
	write_file("vm.yaml", text);
	l = LOAD("vm.yaml");
	assert_int_equal(l.errors, 1);
	assert_said(l, "vm.yaml:3:77: error: the values of the variables are longer than 1 MiB");
	unload(&l);
	unsetenv("LONG");

	/* Many of them, and many mistakes, take no time. */
	len = (size_t)sprintf(text, BOOT "devices:\n");
	for (int i = 0; i < 16000; i++)
		len += (size_t)sprintf(text + len, "  - ${UNSET_HERE}\n");
	write_file("vm.yaml", text);
	l = LOAD("vm.yaml");
	assert_int_equal(l.errors, 16000);
	unload(&l);
	free(value);
	free(text);
}

/* Each once cost a walk through the file to its place: 9,000 of them took two seconds. */
static void time_grows_no_faster_than_the_number_of_variables(void **state)
{
	static char text[128 + 9000 * 8] = BOOT "name: \"";
	size_t n = strlen(text);
	struct loaded l;
	clock_t begin;

	(void)state;
	for (int i = 0; i < 9000; i++, n += 7)
		memcpy(text + n, "${E:-x}", 7);
	memcpy(text + n, "\"\n", 3);
	write_file("vm.yaml", text);
	begin = clock();
	l = LOAD("vm.yaml", "define", "UNUSED=1");
	assert_true(clock() - begin < CLOCKS_PER_SEC / 2);
	assert_non_null(strstr(l.said, "name")); /* 9,000 bytes are too long for one */
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_take_variables),
		cmocka_unit_test(keys_and_hidden_values_take_none),
		cmocka_unit_test(the_outcome_is_checked_like_any_text),
		cmocka_unit_test(a_name_defined_twice_is_used_as_a_whole),
		cmocka_unit_test(extends_takes_variables),
		cmocka_unit_test(mistakes_have_their_place),
		cmocka_unit_test(define_is_checked),
		cmocka_unit_test(variables_have_a_size_together),
		cmocka_unit_test(time_grows_no_faster_than_the_number_of_variables),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
