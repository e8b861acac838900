/* test_tree.c: from YAML text to positioned nodes; what YAML can do and we don't take. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "load_helpers.h"

static struct config *load_file(const char *path, struct diags *diags)
{
	return config_load(&(struct config_request){ .path = path }, &test_registry, diags);
}

static struct loaded load_whole(const char *text)
{
	return load_bytes("vm.yaml", text, strlen(text), NULL);
}

static void expect_mark(struct mark mark, uint32_t line, uint32_t column, uint32_t length)
{
	assert_int_equal(mark.line, line);
	assert_int_equal(mark.column, column);
	assert_int_equal(mark.length, length);
	assert_string_equal(mark.source->name, "vm.yaml");
}

static void marks_every_key_and_value(void **state)
{
	struct loaded l = load("devices:\n"
			       "  - gadget:\n"
			       "      # a comment\n"
			       "      id: \xe6\x97\xa5\xe6\x9c\xac\n"
			       "  - plain\n"
			       "  - {disk: {file: \"a b\"}, }\n");
	const struct node *node;

	(void)state;
	assert_silent(l);
	node = node_find(l.vm->root, "devices[0].gadget.id");
	assert_non_null(node);
	expect_mark(node->key_mark, 6, 7, 2);
	expect_mark(node->mark, 6, 11, 2);
	node = node_find(l.vm->root, "devices[2].disk.file");
	assert_non_null(node);
	expect_mark(node->key_mark, 8, 13, 4);
	expect_mark(node->mark, 8, 19, 5);
	assert_string_equal(node->text, "a b");
	expect_mark(l.vm->devices[1].mark, 7, 5, 5);
	unload(&l);
}

static void finds_nodes_by_path(void **state)
{
	struct loaded l = load("devices: [plain, gadget: {count: 3}]\n");
	const struct node *root = l.vm->root;

	(void)state;
	assert_ptr_equal(node_find(root, ""), root);
	assert_string_equal(node_find(root, "devices[1].gadget.count")->text, "3");
	assert_ptr_equal(node_find(root, "arch"), node_get(root, "arch"));
	assert_null(node_find(root, "devices[2]"));
	assert_null(node_find(root, "devices[x]"));
	assert_null(node_find(root, "devices[1"));
	assert_null(node_find(root, "arch[0]"));
	assert_null(node_find(root, "dev"));
	assert_null(node_find(root, "devices.gadget"));
	assert_null(node_get(NULL, "x"));
	assert_null(node_get(node_get(root, "arch"), "x"));
	unload(&l);
}

static void says(const char *text, const char *expected)
{
	struct loaded l = load(text);

	if (!l.errors || !strstr(l.said, expected))
		fail_msg("missing: %s\nin: %s", expected, l.said);
	unload(&l);
}

static void refuses_what_yaml_can_do_beyond_plain_data(void **state)
{
	(void)state;
	says("name: &x y\n", "vm.yaml:3:7: error: anchors (&x)");
	says("name: *x\n", "vm.yaml:3:7: error: aliases (*x)");
	says("name: !!str x\n", "vm.yaml:3:7: error: tags (!!str)");
	says("devices: !mine []\n", "vm.yaml:3:10: error: tags (!mine)");
	says("<<: {}\n", "vm.yaml:3:1: error: merge keys");
	says("? [a]\n: b\n", "vm.yaml:3:3: error: a key is a single word");
	says("name: \"a\\0b\"\n", "vm.yaml:3:7: error: a NUL character");
	says("\"na\\0me\": b\n", "vm.yaml:3:1: error: a NUL character");
	says("---\nname: x\n", "vm.yaml:3:1: error: a second document");
	says("...\n%TAG ! tag:x:\n---\n", "vm.yaml:4:1: error: a line that begins with '%'");
	says("name: a\nname: b\nname: c\n", "vm.yaml:4:1: error: 'name' is given twice");
	says("name: a\nname: b\n", "vm.yaml:3:1: note: first here");
}

static void goes_on_after_what_it_understands(void **state)
{
	struct loaded l = load("name: *x\nvcpus: 0\nvcpus: 1\ndevices: [nonsense]\n---\na: b\n");

	(void)state;
	assert_int_equal(l.errors, 5);
	assert_non_null(l.vm);
	unload(&l);
}

static void points_at_syntax_errors(void **state)
{
	(void)state;
	says("devices:\n\t- plain\n", "vm.yaml:4:1: error: a tab can't indent");
	says("a: b: c\n", "vm.yaml:3:5: error: a second ':'");
	says("name: \"x\n", "vm.yaml:3:7: error: this quote is never closed");
	says("devices: [plain\n", "a ',' or the closing ']' is missing");
	says("name: `x`\n", "vm.yaml:3:7: error: a value can't begin with '`'");
	says("devices: - plain\n", "vm.yaml:3:10: error: a list can't begin here");
	says("name: \"\\q\"\n", "vm.yaml:3:8: error: no such escape");
	says("vcpus:2\nname: x\n", "vm.yaml:3:1: error: a ':' is missing");
	says("name: \x01\n", "vm.yaml:3:7: error: a control character");
}

static void bounds_depth_and_keys(void **state)
{
	char *text = malloc(200000), *p = text;
	struct loaded l;

	(void)state;
	memset(text, '[', 100000);
	text[100000] = 0;
	l = load_whole(text);
	assert_said(l, "nested more than 32 deep");
	unload(&l);
	for (int i = 0; i < 10000; i++)
		p += sprintf(p, "%s{a", i ? ": " : "");
	l = load_whole(text);
	assert_said(l, "nested more than 32 deep");
	unload(&l);
	p = text;
	for (int i = 0; i < 10000; i++)
		p += sprintf(p, "key%d: 1\n", i);
	l = load_whole(text);
	assert_said(l, "vm.yaml:257:1: error: more than 256 keys in one mapping");
	assert_null(l.config);
	unload(&l);
	free(text);
}

static void refuses_files_without_a_config(void **state)
{
	static const char *const texts[] = { "",      "\n\n", "# only words\n",
					     "---\n", "~\n",  "\xef\xbb\xbf" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct loaded l = load_whole(texts[i]);

		assert_said(l, "vm.yaml: error: the file is empty");
		assert_null(l.config);
		unload(&l);
	}
}

static void refuses_bytes_that_are_no_text(void **state)
{
	static const char utf16[] = "\xff\xfe"
				    "a\0:\0 \0b\0\n\0";
	struct loaded l = load_bytes("vm.yaml", "ab: c\0d\n", 8, NULL);

	(void)state;
	assert_said(l, "vm.yaml:1:6: error: a NUL byte");
	unload(&l);
	l = load_bytes("vm.yaml", "a: b\nc: \xc3\x28\n", 11, NULL);
	assert_said(l, "vm.yaml:2:4: error: the byte 0xc3 is not UTF-8");
	unload(&l);
	l = load_bytes("vm.yaml", utf16, sizeof(utf16) - 1, NULL);
	assert_said(l, "vm.yaml: error: this file is in UTF-16");
	unload(&l);
}

static void byte_order_mark_and_crlf_shift_no_column(void **state)
{
	struct loaded l = load_whole("\xef\xbb\xbf"
				     "arch: x86_64\r\nboot: {image: {file: i}}\r\nvcpu: 1\r\n");

	(void)state;
	assert_said(l, "vm.yaml:3:1: error: unknown key 'vcpu'");
	assert_said(l, "    3 | vcpu: 1\n      | ^~~~\n");
	unload(&l);
	l = load_whole("\xef\xbb\xbf"
		       "arhc: x86_64\nboot: {image: {file: i}}\n");
	assert_said(l, "vm.yaml:1:1: error: unknown key 'arhc'");
	unload(&l);
}

/* Loads any text; it may say what it likes, but must end, and mark places inside of the text. */
static void survive(const char *text, size_t len)
{
	struct loaded l = load_bytes("vm.yaml", text, len, NULL);

	assert_true(l.errors || l.config);
	unload(&l);
}

static void survives_every_truncation_and_flipped_byte(void **state)
{
	static const char good[] =
		"name: \"x\\u65e5\" # c\narch: 'x86_64'\nboot: {image: {file: |\n  i\n}}\nmemory:\n"
		"  - ram: {at: 0, size: 1M}\n  - hole: {at: 4K, size: 4K}\ndevices:\n- gadget:\n"
		"    id: \xe6\x97\xa5\n    count: 3\n- plain\n- disk: {file: a}\n...\n";
	static const char bytes[] = "\0\t\n\r:{}[]-?*&!%@\"'|>#,~0\x80\xff";
	char copy[sizeof(good)];

	(void)state;
	for (size_t i = 0; i < sizeof(good); i++)
		survive(good, i);
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (size_t k = 0; k < sizeof(bytes) - 1; k++) {
			memcpy(copy, good, sizeof(good));
			copy[i] = bytes[k];
			survive(copy, sizeof(good) - 1);
		}
	}
}

static void reads_files_and_refuses_what_is_none(void **state)
{
	char dir[] = "/tmp/test_tree.XXXXXX", path[64];
	struct diags *diags = diags_new();
	struct config *config;
	FILE *file;
	char *text;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/hello.yaml", dir);
	file = fopen(path, "w");
	fputs("boot: {image: {file: i}}\n", file);
	fclose(file);
	config = load_file(path, diags);
	assert_non_null(config);
	assert_int_equal(diags_errors(diags), 0);
	assert_string_equal(config_vm(config)->name, "hello");
	config_free(config);

	assert_null(load_file(dir, diags));
	assert_null(load_file("/tmp/there/is/none.yaml", diags));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(load_file(path, diags)); /* and doesn't wait */
	assert_null(load_file("/dev/zero", diags));
	assert_int_equal(diags_status(diags), 66);
	text = said(diags, DIAG_TEXT, false);
	assert_non_null(strstr(text, "this is a directory; a config is a regular file"));
	assert_non_null(strstr(text, "/tmp/there/is/none.yaml: error: there is no such file"));
	assert_non_null(strstr(text, "hello.yaml: error: this is a pipe"));
	assert_non_null(strstr(text, "/dev/zero: error: this is a device"));
	free(text);
	unlink(path);
	file = fopen(path, "w");
	for (int i = 0; i < 1 << 20; i++)
		fputc('#', file);
	fputc('\n', file);
	fclose(file);
	assert_null(load_file(path, diags));
	text = said(diags, DIAG_TEXT, false);
	assert_non_null(strstr(text, "longer than 1024 KiB"));
	assert_int_equal(diags_status(diags), 65);
	free(text);
	unlink(path);
	rmdir(dir);
	diags_free(diags);
}

static void reads_standard_input(void **state)
{
	static const char text[] = "boot: {image: {file: i}}\nnam: x\n";
	struct diags *diags = diags_new();
	int pipes[2], saved = dup(STDIN_FILENO);
	struct config *config;
	char *got;

	(void)state;
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	assert_int_equal(write(pipes[1], text, sizeof(text) - 1), sizeof(text) - 1);
	close(pipes[1]);
	dup2(pipes[0], STDIN_FILENO);
	close(pipes[0]);
	config = load_file("-", diags);
	dup2(saved, STDIN_FILENO);
	close(saved);
	assert_non_null(config);
	assert_string_equal(config_vm(config)->name, "vm");
	got = said(diags, DIAG_TEXT, false);
	assert_non_null(strstr(got, "<stdin>:2:1: error: unknown key 'nam'"));
	free(got);
	config_free(config);
	diags_free(diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_every_key_and_value),
		cmocka_unit_test(finds_nodes_by_path),
		cmocka_unit_test(refuses_what_yaml_can_do_beyond_plain_data),
		cmocka_unit_test(goes_on_after_what_it_understands),
		cmocka_unit_test(points_at_syntax_errors),
		cmocka_unit_test(bounds_depth_and_keys),
		cmocka_unit_test(refuses_files_without_a_config),
		cmocka_unit_test(refuses_bytes_that_are_no_text),
		cmocka_unit_test(byte_order_mark_and_crlf_shift_no_column),
		cmocka_unit_test(survives_every_truncation_and_flipped_byte),
		cmocka_unit_test(reads_files_and_refuses_what_is_none),
		cmocka_unit_test(reads_standard_input),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
