/* test_compose.c: configs of several files. */
#include "compose_helpers.h"

#define BOOT "arch: x86_64\nboot: {image: {file: i}}\n"

static void maps_merge_deeply_and_values_replace(void **state)
{
	struct loaded l;

	(void)state;
	write_file("base.yaml", BOOT "vcpus: 2\nmemory: 1M\nplatform: {irqchip: none, pit: on}\n");
	write_file("vm.yaml", "extends: base.yaml\nvcpus: 3\nplatform: {irqchip: full}\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 3);
	assert_int_equal(l.vm->memory_size, 1 << 20);
	assert_int_equal(l.vm->platform.irqchip, IRQCHIP_FULL);
	assert_true(l.vm->platform.pit);
	assert_string_equal(l.vm->name, "vm");
	unload(&l);
}

static void lists_replace_and_plus_appends(void **state)
{
	struct loaded l;

	(void)state;
	write_file("base.yaml", BOOT "devices: [plain, disk: {file: d}]\n");
	write_file("vm.yaml", "extends: base.yaml\ndevices: [gadget]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 1);
	assert_string_equal(device_type(&l, 0), "gadget");
	unload(&l);

	write_file("vm.yaml", "extends: base.yaml\ndevices+: [gadget, plain]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 4);
	assert_string_equal(device_type(&l, 1), "disk");
	assert_string_equal(device_type(&l, 2), "gadget");
	unload(&l);

	write_file("vm.yaml", "extends: base.yaml\ndevices:\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 0);
	unload(&l);

	/* Nothing to append to, in this file or below. */
	write_file("vm.yaml", BOOT "devices+: [plain]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 1);
	unload(&l);
}

static void entries_with_the_same_id_merge(void **state)
{
	struct loaded l;

	(void)state;
	write_file("base.yaml", BOOT "devices:\n"
				     "  - gadget: {id: a, count: 3, tiny: 1}\n"
				     "  - plain\n"
				     "  - gadget: {id: b, count: 4}\n");
	write_file("vm.yaml", "extends: base.yaml\ndevices+:\n"
			      "  - gadget: {id: b, count: 5}\n"
			      "  - gadget: {id: a, tiny: null, small: 9}\n"
			      "  - gadget: {id: c}\n"
			      "  - gadget\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 5);
	assert_int_equal(gadget(&l, 0)->count, 3);
	assert_int_equal(gadget(&l, 0)->tiny, 0);
	assert_int_equal(gadget(&l, 0)->small, 9);
	assert_int_equal(gadget(&l, 2)->count, 5);
	assert_string_equal(gadget(&l, 3)->id, "c");
	unload(&l);

	/* Another type of that id takes the entry's place. */
	write_file("base.yaml", BOOT "devices: [gadget: {id: a, count: 3}, plain]\n");
	write_file("vm.yaml", "extends: base.yaml\ndevices+: [plain: {id: a}]\n");
	l = LOAD("vm.yaml");
	assert_int_equal(l.errors, 1);
	assert_said(l, "vm.yaml:2:20: error: unknown option 'id' of plain");
	assert_string_equal(device_type(&l, 0), "plain");
	unload(&l);
}

static void an_id_stands_once_in_what_is_appended(void **state)
{
	struct loaded l;

	(void)state;
	write_file("base.yaml", BOOT "devices: [gadget: {id: a}]\n");
	write_file("vm.yaml", "extends: base.yaml\ndevices+:\n"
			      "  - gadget: {id: a, count: 4}\n"
			      "  - gadget: {id: b}\n"
			      "  - gadget: {count: 5, id: a}\n");
	l = LOAD("vm.yaml");
	assert_int_equal(l.errors, 1);
	assert_said(l, "vm.yaml:5:28: error: id 'a' stands twice in one list");
	assert_said(l, "vm.yaml:3:18: note: it stands here first");
	assert_int_equal(l.vm->n_devices, 2);
	assert_int_equal(gadget(&l, 0)->count, 4);
	unload(&l);

	/* Each layer, and each --set, may do so again. */
	write_file("mid.yaml", "extends: base.yaml\ndevices+: [gadget: {id: a, count: 4}]\n");
	write_file("vm.yaml", "extends: mid.yaml\ndevices+: [gadget: {id: a, count: 5}]\n");
	l = LOAD("vm.yaml", "set", "devices+=[gadget: {id: a, count: 6}]");
	assert_silent(l);
	assert_int_equal(gadget(&l, 0)->count, 6);
	unload(&l);
}

static void another_choice_replaces_and_the_same_one_merges(void **state)
{
	struct loaded l;

	(void)state;
	write_file("base.yaml", "arch: x86_64\nboot:\n  other: {file: x, more: y}\n");
	write_file("vm.yaml", "extends: base.yaml\nboot: {image: {file: i}}\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_string_equal(l.vm->boot->type->name, "image");
	unload(&l);

	write_file("base.yaml", "arch: x86_64\nboot: image\n");
	write_file("vm.yaml", "extends: base.yaml\nboot: {image: {file: i}}\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	unload(&l);
}

static void null_takes_away_and_nothing_is_the_empty_value(void **state)
{
	struct loaded l;

	(void)state;
	write_file("base.yaml", BOOT "vcpus: 2\nmemory: 1M\nplatform: {pit: on}\n");
	write_file("vm.yaml", "extends: base.yaml\nvcpus: null\nmemory: ~\nplatform:\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 1);
	assert_int_equal(l.vm->memory_size, 512 << 20);
	assert_true(l.vm->platform.pit);
	unload(&l);

	write_file("vm.yaml", "extends: base.yaml\nplatform: null\nnaem: null\nvcpus:\n");
	l = LOAD("vm.yaml");
	assert_int_equal(l.errors, 2);
	assert_said(l, "vm.yaml:3:1: error: null takes 'naem' away, but nothing sets it");
	assert_said(l, "vm.yaml:4:1: error: 'vcpus' has no value");
	assert_false(l.vm->platform.pit);
	unload(&l);
}

static void a_size_and_a_map_of_memory_replace_each_other(void **state)
{
	struct loaded l;

	(void)state;
	write_file("size.yaml", BOOT "memory: 1M\n");
	write_file("map.yaml", BOOT "memory: [ram: {at: 0, size: 2M}]\n");
	write_file("vm.yaml", "extends: [size.yaml, map.yaml]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_memory, 1);
	assert_int_equal(l.vm->memory_size, 0);
	unload(&l);
	write_file("vm.yaml", "extends: [map.yaml, size.yaml]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_memory, 0);
	assert_int_equal(l.vm->memory_size, 1 << 20);
	unload(&l);
}

/* Each file's own mistakes are at its own places, each path starts at its own directory. */
static void marks_and_paths_stay_with_their_file(void **state)
{
	struct loaded l;

	(void)state;
	mkdir("sub", 0700);
	mkdir("sub/deeper", 0700);
	write_file("sub/deeper/base.yaml",
		   "arch: x86_64\nboot: {image: {file: below}}\nvcpus: none\n"
		   "devices: [disk: {file: ../one}, disk: {file: /two}]\n");
	write_file("sub/middle.yaml", "extends: deeper/base.yaml\nmemory: lots\n"
				      "devices+: [disk: {file: three}]\n");
	write_file("vm.yaml", "extends: sub/middle.yaml\nplatform: {pit: perhaps}\n"
			      "devices+: [disk: {file: four}]\n");
	l = LOAD("vm.yaml", "set", "devices[+].disk.file=five");
	assert_int_equal(l.errors, 3);
	assert_said(l, "sub/deeper/base.yaml:3:8: error: 'none' for 'vcpus'");
	assert_said(l, "sub/middle.yaml:2:9: error: 'lots' for 'memory'");
	assert_said(l, "vm.yaml:2:17: error: 'pit' of platform can't be 'perhaps'");
	assert_string_equal(((const struct disk *)l.vm->boot->options)->file, "sub/deeper/below");
	static const char *const paths[] = { "sub/deeper/../one", "/two", "sub/three", "four",
					     "five" };
	assert_int_equal(l.vm->n_devices, ARRAY_SIZE(paths));
	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++)
		assert_string_equal(((const struct disk *)l.vm->devices[i].options)->file,
				    paths[i]);
	unload(&l);
}

static void extends_takes_a_list_later_ones_win_and_diamonds_are_fine(void **state)
{
	struct loaded l;

	(void)state;
	write_file("root.yaml", BOOT "vcpus: 1\nmemory: 1M\n");
	write_file("left.yaml", "extends: root.yaml\nvcpus: 2\nmemory: 2M\n");
	write_file("right.yaml", "extends: ./root.yaml\nmemory: 3M\n");
	write_file("vm.yaml", "extends: [left.yaml, right.yaml]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	/* right.yaml brings what it extends. */
	assert_int_equal(l.vm->vcpus, 1);
	assert_int_equal(l.vm->memory_size, 3 << 20);
	unload(&l);
}

static void refused(const char *name, const char *text, const char *expected)
{
	struct loaded l;

	write_file("vm.yaml", text);
	l = LOAD("vm.yaml");
	if (l.config || !strstr(l.said, expected))
		fail_msg("%s: missing: %s\nin: %s", name, expected, l.said);
	unload(&l);
}

static void every_file_that_is_none_is_refused(void **state)
{
	char text[128];

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(symlink("loop", "loop"), 0);
	refused("a pipe", "extends: fifo\n",
		"fifo: error: this is a pipe; an extended config is a regular file\n"
		"vm.yaml:1:10: note: extended here\n");
	refused("a device", "extends: /dev/zero\n",
		"/dev/zero: error: this is a device; an extended config is a regular file\n"
		"vm.yaml:1:10: note: extended here\n");
	refused("a loop of links", "extends: loop\n",
		"loop: error: can't open it: Too many levels of symbolic links\n"
		"vm.yaml:1:10: note: extended here\n");
	refused("- is no standard input here", "extends: \"-\"\n",
		"./-: error: there is no such file\n");
	if (geteuid()) {
		write_file("secret.yaml", BOOT);
		chmod("secret.yaml", 0);
		refused("unreadable", "extends: secret.yaml\n",
			"secret.yaml: error: can't open it: Permission denied\n"
			"vm.yaml:1:10: note: extended here\n");
	}
	write_file("latin1.yaml", "name: caf\xe9\n");
	refused("not UTF-8", "extends: latin1.yaml\n",
		"latin1.yaml:1:10: error: the byte 0xe9 is not UTF-8\n");
	assert_int_equal(symlink("vm.yaml", "alias.yaml"), 0);
	refused("itself by another name", "extends: alias.yaml\n",
		"vm.yaml:1:10: error: this file extends itself: vm.yaml -> alias.yaml\n");
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%d.yaml", i);
		write_file(text, i % 2 ? "extends: [0.yaml, 2.yaml]\n" : "vcpus: 2\n");
	}
	write_file("wide.yaml", "extends: [1.yaml, 3.yaml, 5.yaml, 7.yaml, 9.yaml]\n");
	refused("too many files",
		"extends: [wide.yaml, wide.yaml, wide.yaml, wide.yaml, wide.yaml]\n",
		"error: more than 64 files in one config\n");
}

static void the_files_have_a_size_together(void **state)
{
	char *text = malloc((1 << 20) + 1);
	struct loaded l;

	(void)state;
	assert_non_null(text);
	memset(text, '#', 1 << 20);
	memcpy(text, BOOT, strlen(BOOT));
	text[1 << 20] = 0;
	write_file("long.yaml", text);
	write_file("vm.yaml", "extends: [long.yaml]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	unload(&l);
	refused("two of them", "extends: [long.yaml, long.yaml]\n",
		"vm.yaml:1:22: error: the files of this config are longer than 2 MiB\n");
	free(text);
}

static void printing_resolves_all_layers(void **state)
{
	struct loaded l;
	char *first, *second;

	(void)state;
	write_file("base.yaml", BOOT "name: \"cost: $$5, ${NOBODY_SETS_THIS:-$$x}\"\n"
				     "devices: [gadget: {id: a}]\n");
	write_file("vm.yaml", "extends: base.yaml\ndevices+: [gadget: {id: a, count: 9}]\n");
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_string_equal(l.vm->name, "cost: $5, $x");
	first = printed(&l);
	assert_null(strstr(first, "extends"));
	assert_non_null(strstr(first, "\"cost: $$5, $$x\""));
	unload(&l);
	write_file("printed.yaml", first);
	l = LOAD("printed.yaml");
	assert_silent(l);
	assert_string_equal(l.vm->name, "cost: $5, $x");
	second = printed(&l);
	assert_string_equal(first, second);
	unload(&l);
	free(first);
	free(second);
}

static void ten_thousand_entries_merge_in_no_time(void **state)
{
	FILE *base = fopen("base.yaml", "w"), *over = fopen("vm.yaml", "w");
	struct loaded l;

	(void)state;
	assert_non_null(base);
	assert_non_null(over);
	fputs(BOOT "devices:\n", base);
	fputs("extends: base.yaml\ndevices+:\n", over);
	for (int i = 0; i < 10000; i++) {
		fprintf(base, "  - gadget: {id: d%d}\n", i);
		fprintf(over, "  - gadget: {id: d%d, count: 8}\n", 9999 - i);
	}
	fclose(base);
	fclose(over);
	l = LOAD("vm.yaml");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 10000);
	assert_string_equal(gadget(&l, 5)->id, "d5");
	assert_int_equal(gadget(&l, 5)->count, 8);
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_merge_deeply_and_values_replace),
		cmocka_unit_test(lists_replace_and_plus_appends),
		cmocka_unit_test(entries_with_the_same_id_merge),
		cmocka_unit_test(an_id_stands_once_in_what_is_appended),
		cmocka_unit_test(another_choice_replaces_and_the_same_one_merges),
		cmocka_unit_test(null_takes_away_and_nothing_is_the_empty_value),
		cmocka_unit_test(a_size_and_a_map_of_memory_replace_each_other),
		cmocka_unit_test(marks_and_paths_stay_with_their_file),
		cmocka_unit_test(extends_takes_a_list_later_ones_win_and_diamonds_are_fine),
		cmocka_unit_test(every_file_that_is_none_is_refused),
		cmocka_unit_test(the_files_have_a_size_together),
		cmocka_unit_test(printing_resolves_all_layers),
		cmocka_unit_test(ten_thousand_entries_merge_in_no_time),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
