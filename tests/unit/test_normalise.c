/* test_normalise.c: from the tree to typed structs: shapes, defaults, ranges, printing, speed. */
#include <time.h>
#include <unistd.h>

#include "load_helpers.h"

#include "../../src/config/loader.h"

static const struct gadget *gadget(const struct loaded *l, uint32_t i)
{
	assert_non_null(l->vm);
	assert_true(i < l->vm->n_devices);
	assert_int_equal(l->vm->devices[i].index, 0);
	return l->vm->devices[i].options;
}

static void fills_in_every_default(void **state)
{
	struct loaded l = load("devices: [gadget]\n");
	const struct gadget *g = gadget(&l, 0);

	(void)state;
	assert_silent(l);
	assert_string_equal(l.vm->name, "vm");
	assert_int_equal(l.vm->arch, ARCH_X86_64);
	assert_string_equal(l.vm->backend, "auto");
	assert_int_equal(l.vm->vcpus, 1);
	assert_int_equal(l.vm->memory_size, 512 << 20);
	assert_int_equal(l.vm->n_memory, 0);
	assert_int_equal(l.vm->platform.irqchip, IRQCHIP_AUTO);
	assert_false(l.vm->platform.pit);
	assert_int_equal(l.vm->on_reset, RESET_FAIL);
	assert_false(l.vm->memory_bad || l.vm->boot_bad);
	assert_null(g->id);
	assert_false(g->flag);
	assert_int_equal(g->count, 7);
	assert_int_equal(g->size, 65536);
	assert_int_equal(g->at, 0);
	assert_int_equal(g->irq, OPTION_IRQ_NONE);
	assert_int_equal(g->time, 20000000000);
	assert_int_equal(g->word, 1);
	assert_int_equal(g->inner.within, 1500000000);
	assert_true(g->inner.loud);
	assert_int_equal(g->elsewhere, 0); /* not on this arch */
	assert_true(node_find(l.vm->root, "devices[0].gadget.count")->is_default);
	assert_null(node_find(l.vm->root, "devices[0].gadget.elsewhere"));
	unload(&l);
}

static void loads_a_value_of_every_kind(void **state)
{
	struct loaded l =
		load("name: \"q\\\"\\\\ \\x85\\u2028\\ttab \xe6\x97\xa5\"\nvcpus: 4096\n"
		     "memory: 3GiB\non_reset: exit\n"
		     "platform: {irqchip: full, pit: on}\n"
		     "devices:\n"
		     "  - gadget: {id: 'null', flag: yes, tiny: 255, small: 0xffff, count: 2,\n"
		     "             wide: 18446744073709551615, size: 1M, at: 0xfee0_0000,\n"
		     "             irq: 15, time: 2m, path: /abs, word: two,\n"
		     "             inner: {within: 1ms, loud: off}}\n");
	const struct gadget *g = gadget(&l, 0);

	(void)state;
	assert_silent(l);
	assert_string_equal(l.vm->name, "q\"\\ \xc2\x85\xe2\x80\xa8\ttab \xe6\x97\xa5");
	assert_int_equal(l.vm->vcpus, 4096);
	assert_int_equal(l.vm->memory_size, 3ULL << 30);
	assert_int_equal(l.vm->on_reset, RESET_EXIT);
	assert_int_equal(l.vm->platform.irqchip, IRQCHIP_FULL);
	assert_true(l.vm->platform.pit);
	assert_string_equal(g->id, "null");
	assert_true(g->flag);
	assert_int_equal(g->tiny, 255);
	assert_int_equal(g->small, 0xffff);
	assert_int_equal(g->count, 2);
	assert_true(g->wide == UINT64_MAX);
	assert_int_equal(g->size, 1 << 20);
	assert_int_equal(g->at, 0xfee00000);
	assert_int_equal(g->irq, 15);
	assert_int_equal(g->time, 120000000000);
	assert_string_equal(g->path, "/abs");
	assert_int_equal(g->word, 2);
	assert_int_equal(g->inner.within, 1000000);
	assert_false(g->inner.loud);
	unload(&l);
}

static void reads_the_memory_map(void **state)
{
	struct loaded l = load("memory:\n"
			       "  - ram: {at: 0, size: 16M}\n"
			       "  - rom: {at: 0xffff0000, file: bios}\n"
			       "  - reserved: {at: 0xc0000000, size: 1G}\n"
			       "  - hole: {at: 9M, size: 4K}\n");
	const struct memory_rom *rom;

	(void)state;
	assert_silent(l);
	assert_int_equal(l.vm->memory_size, 0);
	assert_int_equal(l.vm->n_memory, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(l.vm->memory[i].index, i);
		assert_int_equal(l.vm->memory[i].position, i);
		assert_int_equal(l.vm->memory[i].mark.line, 4 + i);
	}
	assert_int_equal(((const struct memory_ram *)l.vm->memory[0].options)->size, 16 << 20);
	rom = l.vm->memory[1].options;
	assert_string_equal(rom->file, "bios");
	assert_int_equal(rom->size, 0);
	unload(&l);
}

static void leaves_bad_entries_out_and_goes_on(void **state)
{
	struct loaded l = load("vcpus: many\nmemory:\n  - ram: {at: 0, size: 5000}\n"
			       "  - ram: {at: 1M, size: 1M}\n"
			       "devices:\n  - gadget: {count: 99}\n  - plain\n  - nonsense\n"
			       "  - gadget: {id: good}\n");

	(void)state;
	assert_int_equal(l.errors, 4);
	assert_int_equal(l.vm->vcpus, 1); /* the default stands in */
	assert_true(l.vm->memory_bad);
	assert_int_equal(l.vm->n_memory, 1);
	assert_int_equal(l.vm->n_devices, 2);
	assert_int_equal(l.vm->devices[0].index, 2);
	assert_int_equal(l.vm->devices[0].position, 1);
	assert_int_equal(l.vm->devices[1].position, 3);
	assert_string_equal(gadget(&l, 1)->id, "good");
	assert_true(node_find(l.vm->root, "devices[0]")->bad);
	assert_false(node_find(l.vm->root, "devices[1]")->bad);
	unload(&l);
}

static void a_bad_boot_is_no_boot(void **state)
{
	static const char *const texts[] = {
		"name: x\n",
		"boot:\n",
		"bot: {image: {file: i}}\n",
		"boot: {image: {}}\n",
		"boot: {img: {file: i}}\n",
		"boot: [image]\n",
		"boot: *x\n",
		"boot: {image: {file: i}, other: {}}\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct loaded l = load_bytes("a", texts[i], strlen(texts[i]), NULL);

		assert_int_equal(l.errors, 1);
		assert_non_null(l.vm);
		assert_null(l.vm->boot);
		assert_true(l.vm->boot_bad);
		unload(&l);
	}
}

static void one_mistake_is_one_error(void **state)
{
	static const char *const texts[] = {
		"devices: [disk: {fiel: x}]\n", /* not also: disk needs 'file' */
		"memmory: 1G\n",
		"devices: [gadget: {inner: {within: 5}}]\n",
		"devices: {gadget: {}}\n",
		"devices: [gadget: [1]]\n",
		"devices: [gadget: {elsewhere: 1}]\n",
		"devices: [gadget: {tiny: 256}]\n",
		"devices: [gadget: {small: 65536}]\n",
		"devices: [gadget: {irq: 16}]\n",
		"devices: [gadget: {id: ninechars}]\n",
		"devices: [gadget: {id: ''}]\n",
		"devices: [gadget: {flag: 1}]\n",
		"devices: [gadget: {word: three}]\n",
		"devices: [gadget: {at: 1}]\n",
		"devices: [gadget: {size: 0}]\n",
		"devices: [gadget: {path: }]\n",
		"devices: [{}]\n",
		"devices: [{gadget: {}, plain: {}}]\n",
		"devices: [plain: {x: 1}]\n",
		"devices: [disk: name]\n",
		"platform: true\n",
		"arch: arm\n",
		"backend: nonsense\n",
		"name: [a]\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct loaded l;

		/* Its own arch line would be a second one. */
		if (!strncmp(texts[i], "arch", 4)) {
			l = load_bytes("vm.yaml", "arch: arm\nboot: {image: {file: i}}\n", 35,
				       NULL);
			assert_int_equal(l.vm->arch, ARCH_ARM64);
		} else {
			l = load(texts[i]);
		}
		if (l.errors != 1)
			fail_msg("%s said: %s", texts[i], l.said);
		assert_non_null(l.vm);
		unload(&l);
	}
}

static void bare_names_are_empty_mappings(void **state)
{
	struct loaded l = load("devices:\n  - gadget\n  - gadget:\n  - gadget: ~\n  - 'gadget'\n"
			       "  - gadget: {}\n  - gadget: null\nplatform:\n");

	(void)state;
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(gadget(&l, i)->count, 7);
	unload(&l);
	l = load("devices:\n");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 0);
	unload(&l);
}

static void options_of_the_other_arch_exist_there(void **state)
{
	static const char text[] = "arch: arm64\nboot: {image: {file: i}}\n"
				   "devices: [gadget, gadget: {elsewhere: 9}]\n";
	struct loaded l = load_bytes("vm.yaml", text, sizeof(text) - 1, NULL);

	(void)state;
	assert_silent(l);
	assert_int_equal(l.vm->arch, ARCH_ARM64);
	assert_int_equal(gadget(&l, 0)->elsewhere, 5);
	assert_int_equal(gadget(&l, 1)->elsewhere, 9);
	unload(&l);
	l = load("devices: [gadget: {elsewhere: 9}]\n");
	assert_said(l, "'elsewhere' of gadget does not exist on x86_64");
	unload(&l);
}

static void paths_are_relative_to_their_file(void **state)
{
	static const char text[] = "boot: {image: {file: ../i}}\ndevices: [disk: {file: /d}]\n";
	struct loaded l = load_bytes("some/dir/vm.yaml", text, sizeof(text) - 1, NULL);

	(void)state;
	assert_silent(l);
	assert_string_equal(((const struct disk *)l.vm->boot->options)->file, "some/dir/../i");
	assert_string_equal(((const struct disk *)l.vm->devices[0].options)->file, "/d");
	assert_string_equal(node_get(l.vm->boot->node, "file")->text, "../i");
	unload(&l);
}

static char *print(const struct config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	config_print(config, out);
	fclose(out);
	return text;
}

static void prints_what_loads_back_to_the_same(void **state)
{
	struct loaded l = load("name: \"- odd: #\\x85\\e\\t'\\\" \"\nmemory:\n"
			       "  - ram: {at: 0, size: 5M}\n  - rom: {at: 1G, file: \"a b\"}\n"
			       "devices:\n  - gadget: {id: yes, at: 0x1000, irq: 4, time: 127ms, "
			       "wide: 0x10}\n"
			       "  - plain\n  - disk: {file: 'x: y'}\nplatform: {pit: yes}\n");
	struct loaded again;
	char *first, *second, cwd[4096];

	(void)state;
	assert_silent(l);
	first = print(l.config);
	again = load_bytes("elsewhere/else.yaml", first, strlen(first), NULL);
	assert_silent(again);
	second = print(again.config);
	assert_string_equal(first, second);
	assert_string_equal(l.vm->name, again.vm->name);
	assert_string_equal(gadget(&again, 0)->id, "yes");
	assert_non_null(strstr(first, "id: \"yes\"\n"));
	assert_non_null(strstr(first, "at: 0x1000\n"));
	assert_non_null(strstr(first, "time: 127ms\n"));
	assert_non_null(strstr(first, "wide: 0x10\n"));
	assert_non_null(strstr(first, "irq: 4\n"));
	assert_non_null(strstr(first, "size: 64K\n"));
	assert_non_null(strstr(first, "  - plain: {}\n"));
	/* Paths stay what they were, wherever the text is put. */
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_memory_equal(((const struct disk *)again.vm->devices[2].options)->file, cwd,
			    strlen(cwd));
	free(first);
	free(second);
	unload(&l);
	unload(&again);
}

/* The checks leave libcyaml nothing to complain of; so spoil a canonical text behind their back. */
static void libcyamls_complaints_find_their_place(void **state)
{
	struct loaded l = load("vcpus: 2\ndevices:\n  - nonsense\n  - plain\n"
			       "  - gadget:\n      count: 3\n      inner: {within: 1s}\n");
	struct diags *diags = diags_new();
	struct config *config = l.config;
	char *text;

	(void)state;
	config->diags = diags;
	node_find(config->root, "devices[2].gadget.count")->canon = "99999999999";
	assert_true(typed_load(config) < 0);
	node_find(config->root, "devices[2].gadget.count")->canon = "3";
	node_find(config->root, "devices[2].gadget.inner.within")->canon = "-";
	assert_true(typed_load(config) < 0);
	node_find(config->root, "devices[2].gadget.inner.within")->canon = "1";
	node_find(config->root, "vcpus")->canon = "two";
	assert_true(typed_load(config) < 0);
	text = said(diags, DIAG_TEXT, false);
	assert_non_null(strstr(text, "vm.yaml:3:8: error: "));
	assert_non_null(strstr(text, "vm.yaml:8:14: error: "));
	assert_non_null(strstr(text, "vm.yaml:9:23: error: "));
	assert_non_null(strstr(text, "please report it"));
	free(text);
	diags_free(diags);
	unload(&l);
}

static void the_rows_of_the_top_level_are_complete(void **state)
{
	const struct config_type *type = config_vm_type();

	(void)state;
	for (const struct option *o = type->options; o->key; o++) {
		uint64_t value;
		const char *why;

		assert_non_null(o->doc);
		assert_true(o->offset + o->size <= type->size);
		if (o->def && (o->kind == OPTION_UINT || o->kind == OPTION_SIZE))
			assert_int_equal(config_number(o->kind, o->def, &value, &why), 0);
	}
	assert_int_equal(registry_option(type, "boot")->kind, OPTION_CHOICE);
	assert_null(registry_option(type, "boo"));
	assert_null(registry_option(&plain_row.type, "x"));
}

static double cpu_ms(uint32_t devices)
{
	char *text = malloc(devices * 128UL + 128), *p = text;
	struct timespec begin, end;
	struct diags *diags = diags_new();
	struct config *config;

	p += sprintf(p, "boot: {image: {file: i}}\ndevices:\n");
	for (uint32_t i = 0; i < devices; i++)
		p += sprintf(p, "  - gadget: # number %u\n      at: 0x%x\n      id: d%u\n", i,
			     i * 4096, i);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	config = config_load_text("t", text, (size_t)(p - text), &test_registry, NULL, diags);
	assert_non_null(config);
	assert_int_equal(config_vm(config)->n_devices, devices);
	config_free(config);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	diags_free(diags);
	free(text);
	return (double)(end.tv_sec - begin.tv_sec) * 1e3 +
	       (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
}

static void time_grows_with_size_and_not_faster(void **state)
{
	double small = cpu_ms(1000), large;

	(void)state;
	for (int i = 0; i < 4; i++) {
		double again = cpu_ms(1000);

		small = again < small ? again : small;
	}
	large = cpu_ms(10000);
	/* Quadratic would be 100. The factor leaves room for a busy machine. */
	if (large > 40 * small)
		fail_msg("1,000 devices: %.1f ms; 10,000: %.1f ms", small, large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_in_every_default),
		cmocka_unit_test(loads_a_value_of_every_kind),
		cmocka_unit_test(reads_the_memory_map),
		cmocka_unit_test(leaves_bad_entries_out_and_goes_on),
		cmocka_unit_test(a_bad_boot_is_no_boot),
		cmocka_unit_test(one_mistake_is_one_error),
		cmocka_unit_test(bare_names_are_empty_mappings),
		cmocka_unit_test(options_of_the_other_arch_exist_there),
		cmocka_unit_test(paths_are_relative_to_their_file),
		cmocka_unit_test(prints_what_loads_back_to_the_same),
		cmocka_unit_test(libcyamls_complaints_find_their_place),
		cmocka_unit_test(the_rows_of_the_top_level_are_complete),
		cmocka_unit_test(time_grows_with_size_and_not_faster),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
