/* test_override.c: --set and the flags that stand for it. */
#include "compose_helpers.h"

#define BOOT "arch: x86_64\nboot: {image: {file: i}}\n"

static const char three[] = BOOT "vcpus: 2\nmemory: 1M\n"
				 "devices:\n"
				 "  - plain\n"
				 "  - gadget: {id: a, count: 3}\n"
				 "  - disk: {file: d}\n";

static void set_reaches_keys_entries_and_options(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", three);
	l = LOAD("vm.yaml", "set", "vcpus=5", "set", "platform.pit=true", "set",
		 "devices[1].gadget.count=4", "set", "devices[1].tiny=1", "set",
		 "devices.a.small=2", "set", "devices.a.gadget.wide=3", "set", "devices[2].file=/e",
		 "set", "boot.image.file=/k");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 5);
	assert_true(l.vm->platform.pit);
	assert_int_equal(gadget(&l, 1)->count, 4);
	assert_int_equal(gadget(&l, 1)->tiny, 1);
	assert_int_equal(gadget(&l, 1)->small, 2);
	assert_int_equal(gadget(&l, 1)->wide, 3);
	assert_string_equal(((const struct disk *)l.vm->devices[2].options)->file, "/e");
	assert_string_equal(((const struct disk *)l.vm->boot->options)->file, "/k");
	unload(&l);
}

static void set_appends_replaces_and_takes_away(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", three);
	l = LOAD("vm.yaml", "set", "devices[+]=plain", "set", "devices[+].gadget.count=6", "set",
		 "devices+=[disk: {file: x}]", "set", "devices[0]=null", "set", "devices.a=null",
		 "set", "vcpus=null");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 1);
	assert_int_equal(l.vm->n_devices, 4);
	assert_string_equal(device_type(&l, 0), "disk");
	assert_string_equal(device_type(&l, 1), "plain");
	assert_int_equal(gadget(&l, 2)->count, 6);
	unload(&l);

	l = LOAD("vm.yaml", "set", "devices=[plain, gadget]", "set", "devices[0]={gadget: {id: z}}",
		 "set", "memory=[ram: {at: 0, size: 1M}]", "set", "memory[0].size=2M");
	assert_silent(l);
	assert_int_equal(l.vm->n_devices, 2);
	assert_string_equal(gadget(&l, 0)->id, "z");
	assert_int_equal(l.vm->n_memory, 1);
	unload(&l);

	/* A list, a choice and a mapping that are not there yet. */
	write_file("vm.yaml", "arch: x86_64\n");
	l = LOAD("vm.yaml", "set", "devices[+]=gadget", "set", "devices[0].inner.loud=no", "set",
		 "boot.image.file=i");
	assert_silent(l);
	assert_false(gadget(&l, 0)->inner.loud);
	unload(&l);
}

static void bare_types_take_options(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", BOOT "devices:\n  - gadget\n  - gadget:\n  - gadget\n");
	l = LOAD("vm.yaml", "set", "devices[0].gadget.count=4", "set", "devices[1].count=5", "set",
		 "devices[2]={gadget: {count: 6}}");
	assert_silent(l);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(gadget(&l, i)->count, 4 + i);
	unload(&l);
}

static void later_flags_win(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", three);
	l = LOAD("vm.yaml", "set", "vcpus=3", "cpus", "4", "mem", "2M", "set", "memory=3M");
	assert_silent(l);
	assert_int_equal(l.vm->vcpus, 4);
	assert_int_equal(l.vm->memory_size, 3 << 20);
	unload(&l);
	l = LOAD("vm.yaml", "set", "boot.other.x=1", "set", "boot.image.file=j");
	assert_silent(l);
	assert_string_equal(((const struct disk *)l.vm->boot->options)->file, "j");
	unload(&l);
}

static void values_are_yaml_and_flags_are_texts(void **state)
{
	struct loaded l;

	(void)state;
	write_file("vm.yaml", three);
	l = LOAD("vm.yaml", "set", "name=\"a\\tb\"", "set",
		 "devices.a={gadget: {inner: {loud: off}}}", "set", "boot={image: {file: 'x y'}}");
	assert_silent(l);
	assert_string_equal(l.vm->name, "a\tb");
	assert_false(gadget(&l, 1)->inner.loud);
	assert_int_equal(gadget(&l, 1)->count, 3);
	unload(&l);

	l = LOAD("vm.yaml", "mem", "{a: b}", "cpus", "null");
	assert_int_equal(l.errors, 2);
	assert_said(l, "--mem:1:1: error: '{a: b}' for 'memory'");
	assert_said(l, "--cpus:1:1: error: 'null' for 'vcpus'");
	unload(&l);
}

static void errors(const char *set, const char *expected)
{
	struct loaded l;

	write_file("vm.yaml", three);
	l = LOAD("vm.yaml", "set", set);
	if (l.errors != 1 || !strstr(l.said, expected))
		fail_msg("--set %s: missing: %s\nin: %s", set, expected, l.said);
	unload(&l);
}

static void errors_point_into_the_flag(void **state)
{
	(void)state;
	errors("devices[1].gadget.count=1", "--set:1:25: error: 'count' of gadget is 1");
	errors("devices[+]={gadget: {count: 1}}", "--set:1:29: error: 'count' of gadget is 1");
	errors("devices.a.coutn=3", "--set:1:11: error: unknown option 'coutn' of gadget; did you "
				    "mean 'count'?");
	errors("devices[3].x=1", "--set:1:8: error: 'devices' has no entry 3");
	errors("devices[3].x=1", "help: it has: [0] plain, [1] gadget a, [2] disk");
	errors("devices.b.x=1", "--set:1:9: error: nothing in 'devices' has the id 'b'");
	errors("memory[0]=x", "--set:1:7: error: 'memory' is a single value, not a list");
	errors("memory[0]=x", "vm.yaml:4:9: note: it is set here");
	errors("plat.form.x=1", "--set:1:1: error: unknown key 'plat'");
	errors("nme=\xc3\xa9", "--set:1:1: error: unknown key 'nme'; did you mean 'name'?");
	errors("\xc3\xa9=1", "--set:1:1: error: unknown key '\xc3\xa9'");
	errors("name={", "--set:1:7: error: ");
	errors("name=\xff", "--set:1:6: error: the byte 0xff is not UTF-8");
	errors("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1",
	       "--set:1:1: error: this path has too many steps");
	errors("devices[99999999999999999999]=x", "--set:1:8: error: 'devices' has no such entry");
	errors("devices[10000000]=x", "--set:1:8: error: 'devices' has no entry 10000000");
	errors("devices[4294967296]=x", "help: it has: [0] plain, [1] gadget a, [2] disk");
	errors("devices[1x]=x",
	       "--set:1:8: error: in brackets stands the number of an entry, or +");
	errors("devices[0]\xc3\xa9=x", "--set:1:11: error: behind a ']' comes '.' or '['\n"
				       "    1 | devices[0]\xc3\xa9=x\n"
				       "      |           ^\n");
}

static void a_config_of_flags_alone(void **state)
{
	struct loaded l;

	(void)state;
	l = LOAD(NULL, "set", "arch=x86_64", "set", "boot.image.file=i", "mem", "8M", "cpus", "3");
	assert_silent(l);
	assert_string_equal(l.vm->name, "vm");
	assert_int_equal(l.vm->memory_size, 8 << 20);
	assert_int_equal(l.vm->vcpus, 3);
	unload(&l);
	l = LOAD(NULL, "mem", "8M");
	assert_said(l, "command line: error: 'boot' is missing");
	unload(&l);
}

/* The test registry has none of these types, so the tree is looked at. */
static const struct node *at(const struct loaded *l, const char *path)
{
	const struct node *node = node_find(l->vm->root, path);

	if (!node)
		fail_msg("nothing at %s in: %s", path, l->said);
	return node;
}

static void says(const struct loaded *l, const char *path, const char *text)
{
	assert_string_equal(at(l, path)->text, text);
}

static void flags_of_vibe_vmm(void **state)
{
	struct loaded l;

	(void)state;
	l = LOAD(NULL, "set", "arch=x86_64", "kernel", "k", "initrd", "null", "cmdline",
		 "a=$b ${c} #d", "disk", "1.img", "disk", "2.img", "net", "tap=t0", "vfio",
		 "0000:01:00.1");
	says(&l, "boot.linux.kernel", "k");
	says(&l, "boot.linux.initrd", "null");
	says(&l, "boot.linux.cmdline", "a=$b ${c} #d");
	says(&l, "devices[0].virtio-blk.path", "1.img");
	says(&l, "devices[1].virtio-blk.path", "2.img");
	says(&l, "devices[2].virtio-net.tap", "t0");
	says(&l, "devices[3].vfio-pci.host", "0000:01:00.1");
	assert_said(l, "--disk:1:1: error: unknown device 'virtio-blk'");
	assert_said(l, "help: this build has no such device, which --disk needs");
	/* The two disks make the same mistake. */
	assert_int_equal(l.errors, 4);
	unload(&l);

	write_file("vm.yaml", "arch: x86_64\nboot: {linux: {kernel: k, cmdline: mine}}\n");
	l = LOAD("vm.yaml", "kernel", "other");
	says(&l, "boot.linux.kernel", "other");
	says(&l, "boot.linux.cmdline", "mine");
	unload(&l);
}

static void binaries_are_loaded_where_they_are_entered(void **state)
{
	struct loaded l;

	(void)state;
	l = LOAD(NULL, "set", "arch=x86_64", "binary", "b", "entry", "10000");
	says(&l, "boot.raw.file", "b");
	says(&l, "boot.raw.entry", "0x10000");
	says(&l, "boot.raw.load", "0x10000");
	unload(&l);
	write_file("vm.yaml", "arch: x86_64\nboot: {raw: {file: k, load: 0x8000}}\n");
	l = LOAD("vm.yaml", "entry", "0x8010");
	says(&l, "boot.raw.entry", "0x8010");
	says(&l, "boot.raw.load", "0x8000");
	unload(&l);
}

static void range(const struct loaded *l, unsigned i, const char *kind, const char *start,
		  const char *size)
{
	char path[48];

	snprintf(path, sizeof(path), "memory[%u].%s.at", i, kind);
	says(l, path, start);
	snprintf(path, sizeof(path), "memory[%u].%s.size", i, kind);
	says(l, path, size);
}

static void the_debug_console_brings_its_memory_map(void **state)
{
	struct loaded l;

	(void)state;
	l = LOAD(NULL, "set", "arch=x86_64", "binary", "b", "console", "");
	says(&l, "devices[0].debug-console.at", "0x9000000");
	assert_int_equal(at(&l, "memory")->n_children, 5);
	range(&l, 0, "ram", "0x0", "0x10000000");
	range(&l, 1, "hole", "0x9000000", "0x1000");
	range(&l, 2, "hole", "0xa000000", "0x3000");
	range(&l, 3, "hole", "0xb000000", "0x1000000");
	range(&l, 4, "ram", "0x100000000", "0x10000000");
	unload(&l);

	/* A hole that the RAM ends in is cut. */
	l = LOAD(NULL, "set", "arch=x86_64", "console", "", "mem", "180M");
	assert_int_equal(at(&l, "memory")->n_children, 4);
	range(&l, 0, "ram", "0x0", "0xb400000");
	range(&l, 3, "hole", "0xb000000", "0x400000");
	unload(&l);

	/* RAM that ends below it needs none, a map of the user's own is left alone. */
	l = LOAD(NULL, "set", "arch=x86_64", "console", "", "mem", "144M");
	says(&l, "memory", "144M");
	unload(&l);
	l = LOAD(NULL, "set", "arch=x86_64", "console", "", "set",
		 "memory=[ram: {at: 0, size: 1G}]");
	assert_int_equal(at(&l, "memory")->n_children, 1);
	unload(&l);
	l = LOAD(NULL, "set", "arch=x86_64", "console", "", "set", "devices[+]=debug-console");
	assert_int_equal(at(&l, "devices")->n_children, 1);
	unload(&l);
	l = LOAD(NULL, "set", "arch=x86_64", "console", "", "mem", "1X");
	assert_said(l, "--mem:1:1: error: '1X' for 'memory'");
	unload(&l);

	l = LOAD(NULL, "set", "arch=arm64", "console", "", "binary", "b", "entry", "1000");
	says(&l, "devices[0].debug-console.at", "0x90000000");
	assert_int_equal(at(&l, "memory")->n_children, 2);
	range(&l, 0, "ram", "0x0", "0x8000000");
	range(&l, 1, "ram", "0x100000000", "0x18000000");
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_reaches_keys_entries_and_options),
		cmocka_unit_test(set_appends_replaces_and_takes_away),
		cmocka_unit_test(bare_types_take_options),
		cmocka_unit_test(later_flags_win),
		cmocka_unit_test(values_are_yaml_and_flags_are_texts),
		cmocka_unit_test(errors_point_into_the_flag),
		cmocka_unit_test(a_config_of_flags_alone),
		cmocka_unit_test(flags_of_vibe_vmm),
		cmocka_unit_test(binaries_are_loaded_where_they_are_entered),
		cmocka_unit_test(the_debug_console_brings_its_memory_map),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
