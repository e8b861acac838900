/* test_settings.c: vibevmm.ini, read from a directory of our own. */
#include <sys/stat.h>
#include <unistd.h>

#include "load_helpers.h"

static char dir[] = "/tmp/test_settings.XXXXXX";
static char subdir[64], path[96];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(subdir, sizeof(subdir), "%s/vibevmm", dir);
	snprintf(path, sizeof(path), "%s/vibevmm.ini", subdir);
	setenv("XDG_CONFIG_HOME", dir, 1);
	setenv("HOME", "/home/me", 1);
	return mkdir(subdir, 0700);
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	rmdir(subdir);
	return rmdir(dir);
}

struct got {
	struct config_settings settings;
	struct diags *diags;
	size_t errors;
	char *said;
};

static struct got read_ini(const char *text, size_t len)
{
	struct got got = { .diags = diags_new() };
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fwrite(text, 1, len, file);
	fclose(file);
	config_settings_load(&got.settings, got.diags);
	got.errors = diags_errors(got.diags);
	got.said = said(got.diags, DIAG_TEXT, false);
	return got;
}

static void done(struct got *got)
{
	config_settings_free(&got->settings);
	diags_free(got->diags);
	free(got->said);
}

static void reads_every_key(void **state)
{
	static const char text[] = "\xef\xbb\xbf# mine\n[defaults]\n"
				   "backend = auto ; the first\n"
				   "log_level: 3\r\n"
				   "images = ~/images:/srv/a b\n"
				   "  /more\n"
				   "images=/last";
	struct got got = read_ini(text, sizeof(text) - 1);

	(void)state;
	assert_silent(got);
	assert_string_equal(got.settings.backend, "auto");
	assert_string_equal(got.settings.log_level, "info");
	assert_string_equal(got.settings.images, "/home/me/images:/srv/a b:/more:/last");
	assert_string_equal(got.settings.file, path);
	done(&got);
}

static void says(const char *text, const char *expected)
{
	struct got got = read_ini(text, strlen(text));
	char *where = strstr(got.said, "vibevmm.ini");

	if (!got.errors || !where || strncmp(where, expected, strlen(expected)) != 0)
		fail_msg("missing: %s\nin: %s", expected, got.said);
	done(&got);
}

static void reports_mistakes_with_line_and_column(void **state)
{
	(void)state;
	says("[defaults]\nbakcend = kvm\n",
	     "vibevmm.ini:2:1: error: unknown key 'bakcend'; did you mean 'backend'?");
	says("[defaults]\ncolour = green\n", "vibevmm.ini:2:1: error: unknown key 'colour'");
	says("[default]\n\nbackend = kvm\n",
	     "vibevmm.ini:1:1: error: unknown section 'default'; did you mean 'defaults'?");
	says("backend = kvm\n",
	     "vibevmm.ini:1:1: error: 'backend' stands before the first section");
	says("[defaults]\nbackend = bakcend\n",
	     "vibevmm.ini:2:11: error: 'backend' can't be 'bakcend'");
	says("[defaults]\nlog_level = inof\n",
	     "vibevmm.ini:2:13: error: 'log_level' can't be 'inof'; did you mean 'info'?");
	says("[defaults]\nlog_level = 5\n", "vibevmm.ini:2:13: error: 'log_level' can't be '5'");
	says("[defaults]\nimages = /a:pictures\n",
	     "vibevmm.ini:2:13: error: 'pictures' is a relative directory");
	says("[defaults]\nimages = ~you/a\n", "vibevmm.ini:2:10: error: '~you/a' is a relative");
	says("[defaults]\nbackend =\n", "vibevmm.ini:2:1: error: 'backend' has no value");
	says("[defaults]\nbackend = auto\nbackend = auto\n",
	     "vibevmm.ini:3:11: error: 'backend' is given twice");
	says("[defaults]\njust words\n", "vibevmm.ini:2:1: error: this is no [section]");
	says("[defaults\n", "vibevmm.ini:1:1: error: this is no [section]");
}

static void counts_lines_behind_a_line_that_is_too_long(void **state)
{
	char text[1000];
	struct got got;
	int n = sprintf(text, "[defaults]\nimages = /");

	(void)state;
	memset(text + n, 'x', 500);
	sprintf(text + n + 500, "\ncolour = green\nbackend = auto\n");
	got = read_ini(text, strlen(text));
	assert_int_equal(got.errors, 2);
	assert_said(got, "vibevmm.ini:2:1: error: a line longer than 196 characters");
	assert_said(got, "vibevmm.ini:3:1: error: unknown key 'colour'");
	assert_string_equal(got.settings.backend, "auto");
	assert_null(got.settings.images);
	done(&got);
}

static void takes_lines_up_to_the_limit(void **state)
{
	char text[400], expected[400];
	struct got got;
	int n = sprintf(text, "[defaults]\nimages = /");

	(void)state;
	/* "images = /" has 10 characters: 196 in all. */
	memset(text + n, 'x', 186);
	strcpy(text + n + 186, "\nlog_level = warn\n");
	got = read_ini(text, strlen(text));
	assert_silent(got);
	memset(expected, 'x', 187);
	expected[0] = '/';
	expected[187] = 0;
	assert_string_equal(got.settings.images, expected);
	assert_string_equal(got.settings.log_level, "warn");
	done(&got);
	text[n + 186] = 'x';
	strcpy(text + n + 187, "\n");
	got = read_ini(text, strlen(text));
	assert_int_equal(got.errors, 1);
	done(&got);
}

static void refuses_what_is_no_text_file(void **state)
{
	struct got got = read_ini("[defaults]\nbackend = \0kvm\n", 27);

	(void)state;
	assert_said(got, "vibevmm.ini:2:11: error: a NUL byte");
	done(&got);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	got = (struct got){ .diags = diags_new() };
	config_settings_load(&got.settings, got.diags);
	got.said = said(got.diags, DIAG_TEXT, false);
	assert_said(got, "this is a directory");
	assert_int_equal(diags_errors(got.diags), 1);
	done(&got);
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	got = (struct got){ .diags = diags_new() };
	config_settings_load(&got.settings, got.diags);
	got.said = said(got.diags, DIAG_TEXT, false);
	assert_said(got, "this is a pipe");
	done(&got);
	unlink(path);
}

static void having_no_file_is_fine(void **state)
{
	struct config_settings settings;
	struct diags *diags = diags_new();

	(void)state;
	unlink(path);
	config_settings_load(&settings, diags);
	assert_true(!settings.file || strncmp(settings.file, dir, strlen(dir)) != 0);
	config_settings_free(&settings);
	diags_free(diags);
}

static void are_the_lowest_layer_of_a_config(void **state)
{
	static const char text[] = "boot: {image: {file: picture}}\n";
	char image[128], images[200];
	struct config_settings settings = { .backend = (char *)"auto", .images = images };
	struct loaded l;
	FILE *file;

	(void)state;
	snprintf(images, sizeof(images), "/nowhere:%s", dir);
	snprintf(image, sizeof(image), "%s/picture", dir);
	l = load_bytes("some/vm.yaml", text, strlen(text), &settings);
	assert_silent(l);
	/* Nowhere: beside the config. */
	assert_string_equal(((const struct disk *)l.vm->boot->options)->file, "some/picture");
	unload(&l);
	file = fopen(image, "w");
	assert_non_null(file);
	fclose(file);
	l = load_bytes("some/vm.yaml", text, strlen(text), &settings);
	unlink(image);
	assert_silent(l);
	assert_string_equal(((const struct disk *)l.vm->boot->options)->file, image);
	assert_string_equal(l.vm->boot->node->children[0]->text, "picture");
	assert_string_equal(l.vm->backend, "auto");
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_key),
		cmocka_unit_test(reports_mistakes_with_line_and_column),
		cmocka_unit_test(counts_lines_behind_a_line_that_is_too_long),
		cmocka_unit_test(takes_lines_up_to_the_limit),
		cmocka_unit_test(refuses_what_is_no_text_file),
		cmocka_unit_test(having_no_file_is_fine),
		cmocka_unit_test(are_the_lowest_layer_of_a_config),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
