/* test_cases.c: `cases`: their names, their values in the tree, and what is wrong with them. */
#include "compose_helpers.h"

#include <vibevmm/machine.h>

#define BOOT "arch: x86_64\nboot: {image: {file: i}}\n"

/* The names, with a blank between them; "" after an error. */
static char *names_with(const struct config_request *request, char **complaint)
{
	struct diags *diags = diags_new();
	struct config_cases cases;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int ret = config_cases(request, &test_registry, diags, &cases);

	assert_non_null(out);
	for (size_t i = 0; i < cases.n; i++)
		fprintf(out, "%s%s", i ? " " : "", cases.names[i]);
	fclose(out);
	assert_int_equal(ret != 0, diags_errors(diags) != 0);
	assert_true(!ret || !cases.n);
	*complaint = said(diags, DIAG_TEXT, false);
	config_cases_free(&cases);
	diags_free(diags);
	return text;
}

static void check_names(const char *text, const char *wanted)
{
	const struct config_request request = { .path = "vm.yaml" };
	char *complaint, *names;

	write_file("vm.yaml", text);
	names = names_with(&request, &complaint);
	assert_string_equal(complaint, "");
	assert_string_equal(names, wanted);
	free(names);
	free(complaint);
}

static void check_refused(const char *text, const char *complains)
{
	const struct config_request request = { .path = "vm.yaml" };
	char *complaint, *names;

	write_file("vm.yaml", text);
	names = names_with(&request, &complaint);
	if (!strstr(complaint, complains))
		fail_msg("missing: %s\nin: %s", complains, complaint);
	free(names);
	free(complaint);
}

/* Loads one case of vm.yaml. */
static struct loaded load_case(const char *name)
{
	const struct config_request request = { .path = "vm.yaml", .case_name = name };
	struct loaded l = { .diags = diags_new() };

	l.config = config_load(&request, &test_registry, l.diags);
	l.vm = l.config ? config_vm(l.config) : NULL;
	l.errors = diags_errors(l.diags);
	l.said = said(l.diags, DIAG_TEXT, false);
	return l;
}

static void the_last_axis_goes_fastest(void **state)
{
	(void)state;
	check_names(BOOT, "");
	check_names(BOOT "cases: {matrix: {vcpus: [1, 2], memory: [1M, 2M, 3M]}}",
		    "vcpus=1,memory=1M vcpus=1,memory=2M vcpus=1,memory=3M "
		    "vcpus=2,memory=1M vcpus=2,memory=2M vcpus=2,memory=3M");
	check_names(BOOT "cases: {matrix: {$TRANSPORT: [pci]}}", "TRANSPORT=pci");
}

static void names_are_short_where_they_can_be(void **state)
{
	(void)state;
	check_names(BOOT "cases: {matrix: {boot.image.file: [a/vmlinuz, b/bzImage]}}",
		    "file=vmlinuz file=bzImage");
	check_names(BOOT "cases: {matrix: {boot.image.file: [a/vmlinuz, b/vmlinuz]}}",
		    "file=a/vmlinuz file=b/vmlinuz");
	check_names(BOOT "cases: {matrix: {boot.image.file: [a], devices.d.file: [b]}}",
		    "boot.image.file=a,devices.d.file=b");
	check_names(BOOT "cases: {matrix: {boot: [{image: {file: a}}, {elf: {}}]}}",
		    "boot=image boot=elf");
	check_names(BOOT "cases: {matrix: {boot: [{image: {file: a}}, {image: {file: b}}]}}",
		    "boot=1 boot=2");
	check_names(BOOT "cases: {matrix: {memory: [[ram: {at: 0, size: 1M}], 2M]}}",
		    "memory=1 memory=2M");
	check_names(BOOT "cases: {include: [{'devices[+]': plain, name: 'a\\nb'}]}",
		    "devices=plain,name=a\\nb");
	check_names(BOOT "cases: {include: [{name: \"\\e[2J\"}]}", "name=?[2J");
}

static void exclude_strikes_what_has_all_its_values(void **state)
{
	(void)state;
	check_names(BOOT "cases:\n"
			 "  matrix: {vcpus: [1, 2], memory: [1M, 2M], name: [a, b]}\n"
			 "  exclude: [{vcpus: 2, memory: 2M}, {name: b}]\n"
			 "  include: [{vcpus: 9, name: c}]\n",
		    "vcpus=1,memory=1M,name=a vcpus=1,memory=2M,name=a vcpus=2,memory=1M,name=a "
		    "vcpus=9,name=c");
	check_names(BOOT "cases:\n"
			 "  matrix: {boot: [{image: {file: a}}, {image: {file: b}}]}\n"
			 "  exclude: [{boot: {image: {file: a}}}]\n",
		    "boot=2");
	check_refused(BOOT "cases: {matrix: {vcpus: [1, 2]}, exclude: [{vcpus: 1}, {vcpus: 02}]}",
		      "no case has this 'vcpus'");
	check_refused(BOOT "cases: {include: [{vcpus: 1}], exclude: [{vcpus: 1}]}",
		      "no matrix to exclude");
}

static void a_thousand_are_the_most(void **state)
{
	char text[8192] = BOOT "cases:\n  matrix:\n    vcpus: [1, 2]\n    memory: [0";
	const struct config_request request = { .path = "vm.yaml" };
	char *complaint, *names, *end = text + strlen(text);
	size_t n = 0;

	(void)state;
	for (unsigned i = 1; i < 500; i++)
		end += sprintf(end, ", %u", i);
	strcpy(end, "]\n");
	write_file("vm.yaml", text);
	names = names_with(&request, &complaint);
	assert_string_equal(complaint, "");
	for (const char *p = names; *p; p++)
		n += *p == ' ';
	assert_int_equal(n + 1, 1000);
	free(names);
	free(complaint);
	strcpy(end, "]\n  include: [{vcpus: 3}]\n");
	check_refused(text, "more than 1000 cases");
	strcpy(end, ", 501]\n");
	check_refused(text, "more than 1000 cases");
}

static void a_case_sets_paths_and_variables(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", BOOT "vcpus: 8\n"
				   "devices: [gadget: {id: g, word: '${WORD}'}, disk: {file: d}]\n"
				   "cases:\n"
				   "  matrix:\n"
				   "    vcpus: [1, 2]\n"
				   "    $WORD: [one, two]\n"
				   "    devices.g.count: [null, 5]\n"
				   "    devices[1]: [{disk: {file: e}}, plain]\n");
	l = load_case("vcpus=2,WORD=two,count=5,devices=plain");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 2);
	assert_int_equal(gadget(&l, 0)->word, 2);
	assert_int_equal(gadget(&l, 0)->count, 5);
	assert_string_equal(device_type(&l, 1), "plain");
	unload(&l);

	l = load_case("vcpus=1,WORD=one,count=5,devices=disk");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 1);
	assert_int_equal(gadget(&l, 0)->word, 1);
	assert_string_equal(((const struct disk *)l.vm->devices[1].options)->file, "e");
	unload(&l);
}

static void paths_are_relative_to_the_file(void **state)
{
	const struct config_request request = { .path = "sub/vm.yaml", .case_name = "file=a" };
	struct diags *diags = diags_new();
	struct config *config;

	(void)state;
	mkdir("sub", 0700);
	write_file("sub/vm.yaml", BOOT "cases: {matrix: {boot.image.file: [x/a, /b]}}\n");
	config = config_load(&request, &test_registry, diags);
	assert_non_null(config);
	assert_string_equal(((const struct disk *)config_vm(config)->boot->options)->file,
			    "sub/x/a");
	config_free(config);
	diags_free(diags);
}

static void without_a_case_the_file_is_as_if_it_had_none(void **state)
{
	struct loaded l;
	char *text;

	(void)state;
	write_file("vm.yaml", BOOT "cases: {matrix: {vcpus: [2, 3]}}\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 1);
	text = printed(&l);
	assert_null(strstr(text, "cases"));
	free(text);
	unload(&l);
	l = LOAD("vm.yaml", "case", "vcpus=3");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 3);
	unload(&l);
}

static void layers_and_flags_change_the_matrix(void **state)
{
	struct config_request request = { .path = "vm.yaml" };
	struct config_change change = { config_flags(), "cases.matrix.vcpus=[5]" };
	char *complaint, *names;

	(void)state;
	write_file("base.yaml", BOOT "cases: {matrix: {vcpus: [1], memory: [1M]}}\n");
	check_names("extends: base.yaml\ncases: {matrix: {vcpus+: [2], memory: null}}\n",
		    "vcpus=1 vcpus=2");
	check_names("extends: base.yaml\ncases: null\n", "");
	write_file("vm.yaml", "extends: base.yaml\n");
	assert_string_equal(change.flag->name, "set");
	request.changes = &change;
	request.n_changes = 1;
	names = names_with(&request, &complaint);
	assert_string_equal(complaint, "");
	assert_string_equal(names, "vcpus=5,memory=1M");
	free(names);
	free(complaint);
}

static void explain_names_the_line(void **state)
{
	struct loaded l;
	char *text;

	(void)state;
	write_file("vm.yaml", BOOT "name: ${X}\nvcpus: 4\ncases:\n  matrix:\n"
				   "    vcpus: [2, 3]\n    $X: [a]\n");
	l = load_case("vcpus=3,X=a");
	assert_silent(l);
	text = explained(&l, "vcpus", DIAG_TEXT);
	assert_string_equal(text, "vcpus = 3  cases at vm.yaml:7, instead of 4 at vm.yaml:4\n");
	free(text);
	text = explained(&l, "name", DIAG_TEXT);
	assert_string_equal(text, "name = a  ${X} from the case at vm.yaml:3\n");
	free(text);
	unload(&l);
}

static void a_mistake_is_shown_where_the_value_stands(void **state)
{
	struct config_request request = { .path = "vm.yaml", .case_name = "vcpus=two" };
	struct diags *diags = diags_new();
	struct config *config;
	struct plan *plan;
	char *text;

	(void)state;
	write_file("vm.yaml", "arch: x86_64\nboot: {raw: {file: vm.yaml, mode: real}}\n"
			      "cases: {matrix: {vcpus: [1, two]}}\n");
	machine_plan(&request, false, diags, &config, &plan);
	text = said(diags, DIAG_TEXT, false);
	if (!strstr(text, "vm.yaml:3:29: error: 'two' for 'vcpus'") ||
	    !strstr(text, "note: met in the case 'vcpus=two'"))
		fail_msg("said: %s", text);
	free(text);
	plan_free(plan);
	config_free(config);
	diags_free(diags);
}

static void disks_of_tests_are_ephemeral_unless_the_file_says_otherwise(void **state)
{
	static const struct {
		const char *options;
		bool tests, ephemeral;
	} rows[] = {
		{ "path: d", false, false },
		{ "path: d", true, true },
		{ "path: d, ephemeral: false", true, false },
		{ "path: d, ephemeral: true", false, true },
		{ "nbd: 'nbd://localhost'", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config_request request = { .path = "vm.yaml", .tests = rows[i].tests };
		struct loaded l = { .diags = diags_new() };
		const struct node *node;
		char text[256], *why;

		snprintf(text, sizeof(text),
			 "arch: x86_64\nboot: {raw: {file: a}}\ndevices: [virtio-blk: {%s}]\n",
			 rows[i].options);
		write_file("vm.yaml", text);
		l.config = config_load(&request, machine_registry(), l.diags);
		l.errors = diags_errors(l.diags);
		l.said = said(l.diags, DIAG_TEXT, false);
		assert_silent(l);
		l.vm = config_vm(l.config);
		node = node_find(l.vm->root, "devices[0].virtio-blk.ephemeral");
		assert_string_equal(node->canon, rows[i].ephemeral ? "true" : "false");
		why = explained(&l, "devices[0].ephemeral", DIAG_TEXT);
		assert_int_equal(strstr(why, "default of `vibevmm test`") != NULL,
				 rows[i].tests && rows[i].ephemeral);
		free(why);
		unload(&l);
	}
}

/* The reason why vm.yaml is skipped, or "". */
static const char *skipped(const char *condition, char *why, size_t len)
{
	struct config_request request = { .path = "vm.yaml", .tests = true };
	struct diags *diags = diags_new();
	struct config *config;
	struct plan *plan;
	char text[256];

	snprintf(text, sizeof(text), "boot: {raw: {file: nowhere}}\nskip_unless: {%s}\n",
		 condition);
	write_file("vm.yaml", text);
	machine_plan(&request, true, diags, &config, &plan);
	assert_non_null(config);
	*why = 0;
	if (machine_skip(config_vm(config), true, why, len))
		assert_null(plan);
	else
		assert_non_null(plan);
	/* Files are looked for only if it is to run. */
	assert_int_equal(diags_errors(diags), *why ? 0 : 1);
	plan_free(plan);
	config_free(config);
	diags_free(diags);
	return why;
}

static void what_is_skipped_says_why_and_needs_no_files(void **state)
{
	const char *arch = hv_host_arch() == ARCH_X86_64 ? "arm64" : "x86_64";
	char why[256], text[64];

	(void)state;
	unsetenv("VIBEVMM_TEST_X");
	assert_string_equal(skipped("", why, sizeof(why)), "");
	assert_string_equal(skipped("file: vm.yaml", why, sizeof(why)), "");
	assert_string_equal(skipped("file: vmlinuz", why, sizeof(why)),
			    "file 'vmlinuz' is missing");
	assert_string_equal(skipped("env: VIBEVMM_TEST_X", why, sizeof(why)),
			    "VIBEVMM_TEST_X is not set");
	setenv("VIBEVMM_TEST_X", "", 1);
	assert_string_equal(skipped("env: VIBEVMM_TEST_X", why, sizeof(why)),
			    "VIBEVMM_TEST_X is not set");
	setenv("VIBEVMM_TEST_X", "1", 1);
	assert_string_equal(skipped("env: VIBEVMM_TEST_X", why, sizeof(why)), "");
	assert_string_equal(skipped("backend: hvf", why, sizeof(why)),
			    hv_host_arch() == ARCH_X86_64
				    ? "this build can't run x86_64 guests with hvf"
				    : "this build can't run arm64 guests with hvf");
	snprintf(text, sizeof(text), "backend: kvm}\narch: %s\nplatform: {", arch);
	skipped(text, why, sizeof(why));
	assert_non_null(strstr(why, "can't run"));
	skipped("capability: pit, env: VIBEVMM_TEST_X, file: vmlinuz", why, sizeof(why));
	assert_string_equal(why, "file 'vmlinuz' is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_axis_goes_fastest),
		cmocka_unit_test(names_are_short_where_they_can_be),
		cmocka_unit_test(exclude_strikes_what_has_all_its_values),
		cmocka_unit_test(a_thousand_are_the_most),
		cmocka_unit_test(a_case_sets_paths_and_variables),
		cmocka_unit_test(paths_are_relative_to_the_file),
		cmocka_unit_test(without_a_case_the_file_is_as_if_it_had_none),
		cmocka_unit_test(layers_and_flags_change_the_matrix),
		cmocka_unit_test(explain_names_the_line),
		cmocka_unit_test(a_mistake_is_shown_where_the_value_stands),
		cmocka_unit_test(disks_of_tests_are_ephemeral_unless_the_file_says_otherwise),
		cmocka_unit_test(what_is_skipped_says_why_and_needs_no_files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
