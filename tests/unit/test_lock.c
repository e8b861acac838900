/* test_lock.c: a lock file holds what the files were, and what differs is refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/machine.h>

#include "../../src/cli/cli.h"

/* FIPS 180-4's examples (NIST, "SHA-256 Example"), and 2 MiB of zeros by sha256sum(1). */
#define SHA_ABC	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA_ZEROS "5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee"

static char directory[] = "/tmp/vibevmm-lock-XXXXXX";

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory) || chdir(directory) || mkdir("sub", 0755))
		return -1;
	setenv("XDG_CONFIG_HOME", directory, 1); /* nobody's own settings */
	put("empty", "");
	put("zeros", "");
	return truncate("zeros", 2 << 20);
}

static int tear_down(void **state)
{
	static const char *const names[] = { "abc",	 "empty",	  "zeros",
					     "lock",	 "sub/abc",	  "top.yaml",
					     "top.lock", "sub/base.yaml", "a \"b\"\t\xc3\xa9" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(names[i]);
	return rmdir("sub") || chdir("/") || rmdir(directory);
}

static int each(void **state)
{
	(void)state;
	put("abc", "abc");
	unlink("lock");
	return 0;
}

#define CONFIG                                                                                     \
	"arch: x86_64\n"                                                                           \
	"memory:\n"                                                                                \
	"  - ram: {at: 0, size: 1M}\n"                                                             \
	"  - rom: {at: 0xffe00000, file: zeros}\n"                                                 \
	"boot: {raw: {file: abc}}\n"

struct done {
	struct diags *diags;
	struct err err;
	int ret;
	char *said;
};

typedef int (*lock_fn)(const struct vm_config *vm, const char *lock, machine_progress_fn progress,
		       void *arg, struct diags *diags, struct err *err);

static struct done apply(lock_fn fn, struct config *config, struct diags *diags, const char *lock,
			 machine_progress_fn progress, void *arg)
{
	struct done d = { .diags = diags };
	size_t len;
	FILE *out;

	assert_non_null(config);
	d.ret = fn(config_vm(config), lock, progress, arg, diags, &d.err);
	out = open_memstream(&d.said, &len);
	assert_non_null(out);
	diags_print(diags, out, DIAG_TEXT, false);
	fclose(out);
	config_free(config);
	return d;
}

static struct done apply_text(lock_fn fn, const char *text, const char *lock)
{
	struct diags *diags = diags_new();
	struct config *config =
		config_load_text("vm.yaml", text, strlen(text), machine_registry(), NULL, diags);

	return apply(fn, config, diags, lock, NULL, NULL);
}

static void drop(struct done *d)
{
	diags_free(d->diags);
	free(d->said);
}

static void assert_said(const struct done *d, const char *text)
{
	if (!strstr(d->said, text))
		fail_msg("missing: %s\nin: %s", text, d->said);
}

static void write_lock(const char *config, int files)
{
	struct done d = apply_text(machine_lock_write, config, "lock");

	if (d.ret != files)
		fail_msg("%d: %s%s", d.ret, d.said, d.err.text);
	drop(&d);
}

static char *read_file(const char *name)
{
	char *text = calloc(1, 4096);
	FILE *file = fopen(name, "re");

	assert_non_null(text);
	assert_non_null(file);
	assert_true(fread(text, 1, 4095, file) > 0);
	fclose(file);
	return text;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void the_lock_file_is_named_after_the_config(void **state)
{
	char buf[32];

	(void)state;
	assert_int_equal(machine_lock_path("configs/x.yaml", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "configs/x.lock");
	assert_int_equal(machine_lock_path("vm.yml", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "vm.lock");
	assert_int_equal(machine_lock_path("a.b/vm", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "a.b/vm.lock");
	assert_int_equal(machine_lock_path("configs/x.yaml", buf, 14), -ENAMETOOLONG);
}

static void digests_are_those_of_the_standard(void **state)
{
	char *text;

	(void)state;
	write_lock(CONFIG "  \n", 2);
	text = read_file("lock");
	assert_string_equal(text, "# Made by `vibevmm lock`; `vibevmm run --locked` refuses files "
				  "that differ.\n"
				  "version: 1\n"
				  "files:\n"
				  "  - path: \"zeros\"\n"
				  "    size: 2097152\n"
				  "    sha256: " SHA_ZEROS "\n"
				  "  - path: \"abc\"\n"
				  "    size: 3\n"
				  "    sha256: " SHA_ABC "\n");
	free(text);
	write_lock("arch: x86_64\nboot: {raw: {file: empty}}\n", 1);
	text = read_file("lock");
	assert_non_null(strstr(text, SHA_EMPTY));
	free(text);
}

static void a_file_named_twice_is_locked_once(void **state)
{
	(void)state;
	write_lock("arch: x86_64\nmemory:\n  - rom: {at: 0xfffff000, file: abc}\n"
		   "boot: {raw: {file: abc}}\n",
		   1);
}

static void a_file_that_is_missing_leaves_the_old_lock_alone(void **state)
{
	struct done d;
	char *text;

	(void)state;
	put("lock", "old\n");
	d = apply_text(machine_lock_write, "arch: x86_64\nboot: {raw: {file: none}}\n", "lock");
	assert_int_equal(d.ret, -EINVAL);
	assert_int_equal(diags_status(d.diags), STATUS_NOINPUT);
	assert_said(&d, "vm.yaml:2:20: error: cannot open 'none': No such file or directory");
	drop(&d);
	text = read_file("lock");
	assert_string_equal(text, "old\n");
	free(text);
}

static void a_directory_is_no_file_to_lock(void **state)
{
	struct done d =
		apply_text(machine_lock_write, "arch: x86_64\nboot: {raw: {file: sub}}\n", "lock");

	(void)state;
	assert_int_equal(d.ret, -EINVAL);
	assert_said(&d, "'sub' is neither a file nor a disk");
	drop(&d);
}

static void a_lock_that_cannot_be_written_is_an_error_with_its_reason(void **state)
{
	struct done d = apply_text(machine_lock_write, CONFIG, "none/lock");

	(void)state;
	assert_int_equal(d.ret, -ENOENT);
	assert_int_equal(d.err.status, STATUS_OSERR);
	assert_string_equal(d.err.text, "cannot write 'none/lock': No such file or directory");
	drop(&d);
}

static struct done lock_file(const char *path)
{
	const struct config_request request = { .path = path };
	struct diags *diags = diags_new();
	struct config *config = config_load(&request, machine_registry(), diags);

	return apply(machine_lock_write, config, diags, "lock", NULL, NULL);
}

/* `abc` means another file in a config of another directory. */
static void two_files_written_alike_must_be_alike(void **state)
{
	struct done d;

	(void)state;
	put("sub/base.yaml", "memory:\n  - rom: {at: 0xfffff000, file: abc}\n");
	put("top.yaml", "extends: sub/base.yaml\narch: x86_64\nboot: {raw: {file: abc}}\n");
	put("sub/abc", "abc");
	d = lock_file("top.yaml");
	assert_string_equal(d.said, "");
	assert_int_equal(d.ret, 1);
	drop(&d);
	put("sub/abc", "xyz");
	d = lock_file("top.yaml");
	assert_int_equal(d.ret, -EINVAL);
	assert_said(&d, "top.yaml:3:20: error: 'abc' is 'abc' here, and another file elsewhere");
	assert_said(&d, "sub/base.yaml:2:33: note: it is 'sub/abc' here");
	drop(&d);
}

/* ---- Checking -------------------------------------------------------------------------------- */

static void files_that_are_as_they_were_pass_in_silence(void **state)
{
	struct done d;

	(void)state;
	write_lock(CONFIG, 2);
	d = apply_text(machine_lock_check, CONFIG, "lock");
	assert_string_equal(d.said, "");
	assert_int_equal(d.ret, 0);
	drop(&d);
}

static void a_changed_file_is_refused_with_both_digests(void **state)
{
	struct done d;

	(void)state;
	put("abc", "abd");
	write_lock(CONFIG, 2);
	put("abc", "abc");
	d = apply_text(machine_lock_check, CONFIG, "lock");
	assert_int_equal(d.ret, -EINVAL);
	assert_int_equal(diags_errors(d.diags), 1);
	assert_int_equal(diags_status(d.diags), STATUS_CONFIG);
	assert_said(&d, "vm.yaml:5:20: error: 'abc' is not the file that was locked");
	assert_said(&d,
		    "lock:9:13: note: locked: sha256 "
		    "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9, 3 bytes");
	assert_said(&d, "help: now: sha256 " SHA_ABC ", 3 bytes");
	drop(&d);
}

static void a_file_that_was_not_locked_is_refused(void **state)
{
	struct done d;

	(void)state;
	write_lock("arch: x86_64\nboot: {raw: {file: zeros}}\n", 1);
	d = apply_text(machine_lock_check, CONFIG, "lock");
	assert_int_equal(diags_errors(d.diags), 1);
	assert_said(&d, "vm.yaml:5:20: error: 'abc' is not in the lock file 'lock'");
	drop(&d);
}

static void without_a_lock_file_nothing_passes(void **state)
{
	struct done d = apply_text(machine_lock_check, CONFIG, "lock");

	(void)state;
	assert_int_equal(d.ret, -EINVAL);
	assert_int_equal(diags_status(d.diags), STATUS_NOINPUT);
	assert_said(&d, "lock: error: there is no such file");
	assert_said(&d, "help: `vibevmm lock` writes a new one");
	drop(&d);
}

static void names_with_odd_characters_come_back_as_they_went(void **state)
{
	static const char config[] =
		"arch: x86_64\nboot: {raw: {file: \"a \\\"b\\\"\\t\xc3\xa9\"}}\n";
	struct done d;

	(void)state;
	put("a \"b\"\t\xc3\xa9", "abc");
	write_lock(config, 1);
	d = apply_text(machine_lock_check, config, "lock");
	assert_string_equal(d.said, "");
	assert_int_equal(d.ret, 0);
	drop(&d);
}

static void what_is_no_lock_file_is_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "", "" },
		{ "just text\n", "has no version" },
		{ "files: []\n", "has no version" },
		{ "version: [1]\nfiles: []\n", "has no version" },
		{ "version: 2\nfiles: []\n", "a lock file of version '2'" },
		{ "version: 1\n", "'files' of a lock file is a list" },
		{ "version: 1\nfiles: {a: b}\n",
		  "lock:2:8: error: 'files' of a lock file is a list" },
		{ "version: 1\nfiles: [abc]\n", "has 'path', 'size' and 'sha256'" },
		{ "version: 1\nfiles:\n  - {path: a, size: 3, sha256: ABC}\n",
		  "lock:3:32: error: a sha256 has 64 digits" },
		{ "version: 1\nfiles:\n"
		  "  - {path: a, size: 3, sha256: "
		  "00000000000000000000000000000000ffffffffffffffffffffffffffffffff}\n"
		  "  - {path: a, size: 3, sha256: "
		  "10000000000000000000000000000000ffffffffffffffffffffffffffffffff}\n",
		  "lock:4:12: error: 'a' stands twice" },
		{ "version: 1\nfiles:\n  - path: abc\n", "has 'path', 'size' and 'sha256'" },
		{ "version: 1\nfiles:\n  - {path: [abc], size: 3, sha256: x}\n",
		  "lock:3:5: error: an entry" },
		{ "version: 1\nversion: 1\nfiles: []\n", "error" },
		{ "version: 1\nfiles: &x [*x]\n", "error" },
		{ "version: 1\nfiles: [\n", "error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct done d;

		put("lock", bad[i][0]);
		d = apply_text(machine_lock_check, CONFIG, "lock");
		if (d.ret != -EINVAL || !diags_errors(d.diags))
			fail_msg("passed: %s", bad[i][0]);
		assert_said(&d, bad[i][1]);
		drop(&d);
	}
}

/* ---- The commands ---------------------------------------------------------------------------- */

/* Runs a command on top.yaml, with a flag unless NULL, and keeps its words from the TAP. */
static int command(const struct cli_command *command, const char *flag)
{
	char *files[] = { "top.yaml" };
	struct cli_args args = { .files = files, .n_files = 1 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out, err, status;

	for (size_t i = 0; flag && command->flags[i].name; i++) {
		if (!strcmp(command->flags[i].name, flag))
			args.values[i] = "";
	}
	fflush(stdout);
	out = dup(STDOUT_FILENO);
	err = dup(STDERR_FILENO);
	assert_true(null >= 0 && out >= 0 && err >= 0);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	status = command->run(command, &args);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(null);
	close(out);
	close(err);
	return status;
}

static void run_locked_ends_with_65_before_anything_runs(void **state)
{
	(void)state;
	put("top.yaml", "arch: x86_64\nboot: {raw: {file: abc}}\n");
	unlink("top.lock");
	assert_int_equal(command(&cli_run, "locked"), STATUS_NOINPUT);
	assert_int_equal(command(&cli_lock, NULL), STATUS_OK);
	put("abc", "abd");
	assert_int_equal(command(&cli_run, "locked"), STATUS_CONFIG);
}

static void lock_ends_with_what_is_wrong_with_the_config(void **state)
{
	(void)state;
	put("top.yaml", "arch: x86_64\nboot: {raw: {file: none}}\n");
	assert_int_equal(command(&cli_lock, NULL), STATUS_NOINPUT);
	put("top.yaml", "arch: x86_64\nboot: {raw: {fil: abc}}\n");
	assert_int_equal(command(&cli_lock, NULL), STATUS_CONFIG);
}

/* ---- Progress -------------------------------------------------------------------------------- */

struct seen {
	unsigned calls;
	uint64_t done, total;
};

static void note(void *arg, const char *path, uint64_t done, uint64_t total)
{
	struct seen *seen = arg;

	assert_non_null(path);
	assert_true(done > seen->done && done <= total);
	seen->calls++;
	seen->done = done;
	seen->total = total;
}

static void progress_counts_the_bytes_of_all_files(void **state)
{
	struct diags *diags = diags_new();
	struct config *config = config_load_text("vm.yaml", CONFIG, strlen(CONFIG),
						 machine_registry(), NULL, diags);
	struct seen seen = { 0 };
	struct done d = apply(machine_lock_write, config, diags, "lock", note, &seen);

	(void)state;
	assert_int_equal(d.ret, 2);
	assert_true(seen.calls >= 3);
	assert_int_equal(seen.total, (2 << 20) + 3);
	assert_int_equal(seen.done, seen.total);
	drop(&d);
}

static void the_bar_shows_bytes_rate_and_what_is_left(void **state)
{
	char line[80];

	(void)state;
	cli_progress_text("images/disk.img", 1 << 30, 4ULL << 30, 2000000000, line, sizeof(line));
	assert_string_equal(line,
			    "[#####               ]  25%  1G of 4G, 512M/s, 0:07 left  disk.img");
	/* A file that grew while it was read, and one of no size. */
	cli_progress_text("x", 3, 2, 1000000000, line, sizeof(line));
	assert_string_equal(line, "[####################] 100%  3 bytes of 2 bytes, 3 bytes/s, "
				  "0:00 left  x");
	assert_int_equal(cli_progress_text("x", 0, 0, 0, line, 10), 9);
	assert_string_equal(line, "[########");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lock_file_is_named_after_the_config),
		cmocka_unit_test_setup(digests_are_those_of_the_standard, each),
		cmocka_unit_test_setup(a_file_named_twice_is_locked_once, each),
		cmocka_unit_test_setup(a_file_that_is_missing_leaves_the_old_lock_alone, each),
		cmocka_unit_test_setup(a_directory_is_no_file_to_lock, each),
		cmocka_unit_test_setup(a_lock_that_cannot_be_written_is_an_error_with_its_reason,
				       each),
		cmocka_unit_test_setup(two_files_written_alike_must_be_alike, each),
		cmocka_unit_test_setup(files_that_are_as_they_were_pass_in_silence, each),
		cmocka_unit_test_setup(a_changed_file_is_refused_with_both_digests, each),
		cmocka_unit_test_setup(a_file_that_was_not_locked_is_refused, each),
		cmocka_unit_test_setup(without_a_lock_file_nothing_passes, each),
		cmocka_unit_test_setup(names_with_odd_characters_come_back_as_they_went, each),
		cmocka_unit_test_setup(what_is_no_lock_file_is_refused, each),
		cmocka_unit_test_setup(run_locked_ends_with_65_before_anything_runs, each),
		cmocka_unit_test_setup(lock_ends_with_what_is_wrong_with_the_config, each),
		cmocka_unit_test_setup(progress_counts_the_bytes_of_all_files, each),
		cmocka_unit_test(the_bar_shows_bytes_rate_and_what_is_left),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("lock", tests, set_up, tear_down);
}
