/* test_checks.c: what option rows can ask for, proved with device types of its own: MAC addresses,
 * interface names, regular expressions, disk images, lengths, former keys, rules across options. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>

/* ---- A registry of our own ------------------------------------------------------------------- */

struct nic {
	char *id, *mac, *tap;
};
static const struct option nic_options[] = {
	DEVICE_ID(struct nic),
	OPTION(struct nic, mac, OPTION_STRING, .text = TEXT_MAC, .doc = "Address"),
	OPTION(struct nic, tap, OPTION_STRING, .text = TEXT_IFNAME, .was = "ifname", .doc = "Tap"),
	{ 0 },
};
static const struct device_row nic = {
	.type = { "nic", "A network device", nic_options, sizeof(struct nic) },
	.arches = ARCH_ANY,
};

struct disk {
	char *id, *path;
	bool read_only, ephemeral;
	uint64_t sector;
};
static const struct option_disk disk_image = { .unwritten_if = { "read_only", "ephemeral" },
					       .sector = "sector" };
static const struct option disk_options[] = {
	DEVICE_ID(struct disk),
	OPTION(struct disk, path, OPTION_PATH, .required = true, .disk = &disk_image, .was = "file",
	       .doc = "Image"),
	OPTION(struct disk, read_only, OPTION_BOOL, .def = "false", .doc = "Not written"),
	OPTION(struct disk, ephemeral, OPTION_BOOL, .def = "false", .doc = "Written elsewhere"),
	OPTION(struct disk, sector, OPTION_SIZE, .def = "512", .min = 512, .doc = "Sector"),
	{ 0 },
};
static void disk_check(const void *options, const struct node *node, struct diags *diags)
{
	const struct disk *disk = options;

	if (!disk->read_only || !disk->ephemeral)
		return;
	diag_error(diags, node_get(node, "ephemeral")->mark,
		   "'ephemeral' and 'read_only' of disk contradict each other");
	diag_note(diags, node_get(node, "read_only")->mark, "read_only is given here");
}
static const struct device_row disk = {
	.type = { "disk", "A disk", disk_options, sizeof(struct disk) },
	.arches = ARCH_ANY,
	.check = disk_check,
};

struct watch {
	char *pattern, *line;
};
static const struct option watch_options[] = {
	OPTION(struct watch, pattern, OPTION_STRING, .text = TEXT_REGEX, .doc = "Pattern"),
	OPTION(struct watch, line, OPTION_STRING, .max = 2047, .doc = "A line with a limit"),
	{ 0 },
};
static const struct device_row watch = {
	.type = { "watch", "A watcher", watch_options, sizeof(struct watch) },
	.arches = ARCH_ANY,
};

static const struct device_row *const devices[] = { &nic, &disk, &watch };

static void blob_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	plan_set_entry(plan, diags, ENTRY_LONG, 0x1000, boot->mark);
}
static const struct boot_row blob = {
	.type = { "blob", "Nothing", NULL, 1 },
	.arches = ARCH_ANY,
	.plan = blob_plan,
};
static const struct boot_row *const boots[] = { &blob };
static const struct registry registry = { devices, ARRAY_SIZE(devices), boots, ARRAY_SIZE(boots) };

/* ---- Helpers --------------------------------------------------------------------------------- */

struct made {
	struct diags *diags;
	struct config *config;
	struct plan *plan;
	char *said;
};

static struct made make_text(const char *text)
{
	struct made m = { .diags = diags_new() };
	size_t len;
	FILE *out;

	m.config = config_load_text("vm.yaml", text, strlen(text), &registry, NULL, m.diags);
	assert_non_null(m.config);
	m.plan = plan_make(config_vm(m.config), &registry, arch_find(ARCH_X86_64), NULL, NULL,
			   m.diags);
	assert_non_null(m.plan);
	out = open_memstream(&m.said, &len);
	assert_non_null(out);
	diags_print(m.diags, out, DIAG_TEXT, false);
	fclose(out);
	return m;
}

/* list: what stands below `devices:`. */
static struct made make(const char *list)
{
	struct made m;
	char *text = NULL;

	assert_true(asprintf(&text, "arch: x86_64\nmemory: 1M\nboot: blob\ndevices:\n%s", list) >
		    0);
	m = make_text(text);
	free(text);
	return m;
}

static void drop(struct made *m)
{
	plan_free(m->plan);
	config_free(m->config);
	diags_free(m->diags);
	free(m->said);
}

static void make_good(const char *list)
{
	struct made m = make(list);

	if (m.said[0])
		fail_msg("said: %s", m.said);
	drop(&m);
}

/* Exactly one error, which says all of the texts. */
static void make_bad_texts(const char *list, const char *const *texts)
{
	struct made m = make(list);

	if (diags_errors(m.diags) != 1)
		fail_msg("%zu errors: %s", diags_errors(m.diags), m.said);
	for (; *texts; texts++) {
		if (!strstr(m.said, *texts))
			fail_msg("missing: %s\nin: %s", *texts, m.said);
	}
	drop(&m);
}
#define make_bad(list, ...) make_bad_texts(list, (const char *const[]){ __VA_ARGS__, NULL })

/* A directory with disk images; the tests run in it. */
static char directory[] = "/tmp/vibevmm-checks-XXXXXX";

static void put(const char *name, off_t size, mode_t mode)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory) || chdir(directory) || chmod(directory, 0755))
		return -1;
	put("a.img", 1 << 20, 0644);
	put("b.img", 1 << 20, 0644);
	put("odd.img", 1000, 0644);
	put("empty.img", 0, 0644);
	put("secret.img", 4096, 0);
	return link("a.img", "also-a.img") || symlink("a.img", "link-to-a.img") ||
	       mkdir("dir", 0755) || mkfifo("fifo", 0600);
}

static int tear_down(void **state)
{
	static const char *const names[] = { "a.img",	      "b.img",	    "odd.img",
					     "empty.img",     "secret.img", "also-a.img",
					     "link-to-a.img", "fifo" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(names[i]);
	rmdir("dir");
	return chdir("/") || rmdir(directory);
}

/* ---- Network devices ------------------------------------------------------------------------- */

static void mac_addresses_are_read_and_written_in_one_way(void **state)
{
	struct made m = make("  - nic: {mac: \"52:54:00:AB:cd:0F\"}\n");
	const struct nic *options = config_vm(m.config)->devices[0].options;
	uint8_t mac[6];
	const char *why;

	(void)state;
	assert_string_equal(m.said, "");
	assert_string_equal(options->mac, "52:54:00:ab:cd:0f");
	assert_int_equal(config_mac(options->mac, mac, &why), 0);
	assert_memory_equal(mac, "\x52\x54\0\xab\xcd\x0f", 6);
	drop(&m);
}

static void what_is_no_mac_address_is_refused(void **state)
{
	static const char *const bad[] = {
		"52:54:00:12:34",     "52:54:00:12:34:56:78", "52-54-00-12-34-56",
		"525400123456",	      "52:54:00:12:34:5g",    "52:54:0:12:34:56",
		"52:54:00:12:34:56:", " 52:54:00:12:34:56",
	};
	char list[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(list, sizeof(list), "  - nic: {mac: \"%s\"}\n", bad[i]);
		make_bad(list, "vm.yaml:5:16: error: '", "six pairs of hex digits");
	}
	make_bad("  - nic: {mac: \"00:00:00:00:00:00\"}\n", "the zero address");
}

static void multicast_addresses_are_refused_with_one_that_would_do(void **state)
{
	(void)state;
	make_bad("  - nic: {mac: \"53:54:00:12:34:56\"}\n", "that is a multicast address",
		 "help: 52:54:00:12:34:56 would do");
	make_bad("  - nic: {mac: \"ff:ff:ff:ff:ff:ff\"}\n", "that is a multicast address");
}

static void a_mac_address_used_twice_is_reported_with_both_places(void **state)
{
	(void)state;
	make_good("  - nic: {mac: \"52:54:00:00:00:01\"}\n"
		  "  - nic: {mac: \"52:54:00:00:00:02\"}\n");
	make_bad("  - nic: {mac: \"52:54:00:00:00:0a\"}\n"
		 "  - nic: {mac: \"52:54:00:00:00:02\"}\n"
		 "  - nic: {mac: \"52:54:00:00:00:0A\"}\n",
		 "vm.yaml:7:16: error: two devices have the MAC address 52:54:00:00:00:0a",
		 "vm.yaml:5:16: note: first used here, by nic");
}

static void interface_names_are_those_that_linux_takes(void **state)
{
	(void)state;
	make_good("  - nic: {tap: tap0}\n  - nic: {tap: abcdefghijklmno}\n");
	make_bad("  - nic: {tap: abcdefghijklmnop}\n",
		 "vm.yaml:5:16: error: 'tap' of nic is 16 bytes long; the host's interfaces have "
		 "names of at most 15");
	make_bad("  - nic: {tap: a/b}\n", "'a/b' for 'tap' of nic: an interface's name has no '/'");
	make_bad("  - nic: {tap: \"tap%d\"}\n", "no '/', ':' or '%'");
	make_bad("  - nic: {tap: \"a b\"}\n", "has no blanks");
	make_bad("  - nic: {tap: \"..\"}\n", "no interface may be called that");
	make_bad("  - nic: {tap: \"\"}\n", "is empty");
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static void regular_expressions_are_compiled_where_they_stand(void **state)
{
	(void)state;
	make_good("  - watch: {pattern: '^login: ?$'}\n"
		  "  - watch: {pattern: '(a|b){2,30}\\.[0-9]+'}\n");
	make_bad("  - watch: {pattern: '(login'}\n",
		 "vm.yaml:5:22: error: '(login' for 'pattern' of watch is no regular expression: ",
		 "POSIX extended");
	make_bad("  - watch: {pattern: '[a-'}\n", "is no regular expression");
}

/* Each is a few bytes that regcomp(3) would make gigabytes of. */
static void patterns_that_would_explode_are_refused_at_once(void **state)
{
	static const char *const bombs[] = {
		"((((a{200}){200}){200}){200})",
		"a{32767}",
		"(a{1,100}){100,}",
		"((((((((((((((((((((a)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+",
	};
	struct timespec begin, end;
	char list[200];

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (size_t i = 0; i < ARRAY_SIZE(bombs); i++) {
		snprintf(list, sizeof(list), "  - watch: {pattern: '%s'}\n", bombs[i]);
		make_bad(list, "its repetitions make more than 1000 copies");
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - begin.tv_sec <= 1);
}

static void a_text_over_its_limit_is_refused_with_the_limit(void **state)
{
	char *line = malloc(3000), *list = NULL;

	(void)state;
	assert_non_null(line);
	memset(line, 'x', 2048);
	line[2048] = 0;
	assert_true(asprintf(&list, "  - watch: {line: %s}\n", line) > 0);
	make_bad(list, "'line' of watch is 2048 bytes long; it takes at most 2047");
	free(list);
	line[2047] = 0;
	assert_true(asprintf(&list, "  - watch: {line: %s}\n", line) > 0);
	make_good(list);
	free(list);
	free(line);
}

/* ---- Former keys ----------------------------------------------------------------------------- */

static void a_former_key_still_works_with_a_warning(void **state)
{
	struct made m = make("  - disk:\n      file: a.img\n      read_only: yes\n");
	const struct disk *options = config_vm(m.config)->devices[0].options;

	(void)state;
	assert_int_equal(diags_errors(m.diags), 0);
	assert_non_null(
		strstr(m.said, "vm.yaml:6:7: warning: 'file' of disk is now called 'path'"));
	assert_non_null(strstr(m.said, "help: write `path:`"));
	assert_string_equal(options->path, "a.img");
	drop(&m);
}

static void a_former_key_beside_its_successor_is_an_error(void **state)
{
	(void)state;
	make_bad("  - nic: {tap: tap0, ifname: tap1}\n",
		 "vm.yaml:5:22: error: 'ifname' of nic is the former name of 'tap', which is given "
		 "as well",
		 "vm.yaml:5:11: note: 'tap' is given here", "help: keep 'tap'");
}

static void the_value_of_a_former_key_is_checked_as_ever(void **state)
{
	(void)state;
	make_bad("  - nic: {ifname: a/b}\n", "'a/b' for 'tap' of nic");
}

/* ---- Disks ----------------------------------------------------------------------------------- */

static void disks_that_are_there_are_fine(void **state)
{
	(void)state;
	make_good("  - disk: {path: a.img}\n  - disk: {path: b.img, sector: 4K}\n");
}

static void a_missing_disk_is_reported_as_a_missing_file(void **state)
{
	struct made m = make("  - disk: {path: none.img}\n");

	(void)state;
	assert_int_equal(diags_status(m.diags), STATUS_NOINPUT);
	assert_non_null(strstr(m.said, "vm.yaml:5:18: error: cannot read disk 'none.img': No such "
				       "file or directory"));
	drop(&m);
}

static void what_can_be_no_disk_is_refused(void **state)
{
	(void)state;
	make_bad("  - disk: {path: dir}\n", "disk 'dir' is a directory");
	make_bad("  - disk: {path: fifo}\n", "disk 'fifo' is neither file nor disk");
	make_bad("  - disk: {path: /dev/null}\n", "is neither file nor disk");
	make_bad("  - disk: {path: empty.img}\n", "disk 'empty.img' is empty", "truncate -s 1G");
}

static void a_disk_must_be_a_multiple_of_its_sectors(void **state)
{
	(void)state;
	make_bad("  - disk: {path: odd.img}\n",
		 "disk 'odd.img' has 1000 bytes; it must be a multiple of its sectors of 512",
		 "help: `truncate -s %512 odd.img` rounds it up");
	make_bad("  - disk: {path: a.img, sector: 3M}\n", "of its sectors of 3M",
		 "vm.yaml:5:33: note: the size of a sector is given here");
}

/* Root may read everything, so become somebody else. */
static void disks_must_be_readable_and_writable_as_they_are_used(void **state)
{
	uid_t uid = geteuid();

	(void)state;
	assert_int_equal(chmod("a.img", 0444), 0);
	assert_int_equal(chmod("b.img", 0444), 0);
	if (!uid)
		assert_int_equal(seteuid(65534), 0);
	make_bad("  - disk: {path: secret.img, read_only: true}\n",
		 "cannot read disk 'secret.img': Permission denied", "namei -l secret.img");
	make_bad("  - disk: {path: a.img}\n", "cannot write disk 'a.img', only read it");
	make_good("  - disk: {path: a.img, read_only: true}\n");
	make_good("  - disk: {path: a.img, ephemeral: true}\n");
	if (!uid)
		assert_int_equal(seteuid(uid), 0);
	assert_int_equal(chmod("a.img", 0644), 0);
	assert_int_equal(chmod("b.img", 0644), 0);
}

static void one_file_as_two_disks_is_refused_if_any_writes(void **state)
{
	static const char *const names[] = { "a.img", "./a.img", "also-a.img", "link-to-a.img" };
	char list[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(list, sizeof(list),
			 "  - disk: {path: a.img}\n  - disk: {path: b.img}\n"
			 "  - disk: {path: %s}\n",
			 names[i]);
		make_bad(list, "vm.yaml:7:18: error: '",
			 "is the disk of two devices, and each writes it",
			 "vm.yaml:5:18: note: first used here, by disk");
	}
	make_bad("  - disk: {path: a.img, read_only: true}\n  - disk: {path: a.img}\n",
		 "and this one writes it");
	make_bad("  - disk: {path: a.img}\n  - disk: {path: a.img, ephemeral: true}\n",
		 "and the other writes it");
	make_good("  - disk: {path: a.img, ephemeral: true}\n"
		  "  - disk: {path: a.img, read_only: true}\n");
}

/* The base's lines are further down than those of the file that extends it. */
static void the_first_of_two_is_the_first_of_the_config(void **state)
{
	FILE *base = fopen("base.yaml", "w");
	struct made m;

	(void)state;
	assert_non_null(base);
	fputs("# A\n# long\n# comment\narch: x86_64\nmemory: 1M\nboot: blob\ndevices:\n"
	      "  - disk: {path: a.img}\n  - nic: {mac: \"52:54:00:00:00:01\"}\n",
	      base);
	fclose(base);
	m = make_text("extends: base.yaml\ndevices+:\n"
		      "  - disk: {path: a.img}\n  - nic: {mac: \"52:54:00:00:00:01\"}\n");
	unlink("base.yaml");
	assert_int_equal(diags_errors(m.diags), 2);
	if (!strstr(m.said, "vm.yaml:3:18: error: 'a.img' is the disk of two devices") ||
	    !strstr(m.said, "base.yaml:8:18: note: first used here, by disk") ||
	    !strstr(m.said, "vm.yaml:4:16: error: two devices have the MAC address") ||
	    !strstr(m.said, "base.yaml:9:16: note: first used here, by nic"))
		fail_msg("%s", m.said);
	drop(&m);
}

static void options_that_contradict_each_other_are_reported_with_both_places(void **state)
{
	(void)state;
	make_bad("  - disk: {path: a.img, read_only: true, ephemeral: true}\n",
		 "vm.yaml:5:53: error: 'ephemeral' and 'read_only' of disk contradict each other",
		 "vm.yaml:5:36: note: read_only is given here");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(mac_addresses_are_read_and_written_in_one_way),
		cmocka_unit_test(what_is_no_mac_address_is_refused),
		cmocka_unit_test(multicast_addresses_are_refused_with_one_that_would_do),
		cmocka_unit_test(a_mac_address_used_twice_is_reported_with_both_places),
		cmocka_unit_test(interface_names_are_those_that_linux_takes),
		cmocka_unit_test(regular_expressions_are_compiled_where_they_stand),
		cmocka_unit_test(patterns_that_would_explode_are_refused_at_once),
		cmocka_unit_test(a_text_over_its_limit_is_refused_with_the_limit),
		cmocka_unit_test(a_former_key_still_works_with_a_warning),
		cmocka_unit_test(a_former_key_beside_its_successor_is_an_error),
		cmocka_unit_test(the_value_of_a_former_key_is_checked_as_ever),
		cmocka_unit_test(disks_that_are_there_are_fine),
		cmocka_unit_test(a_missing_disk_is_reported_as_a_missing_file),
		cmocka_unit_test(what_can_be_no_disk_is_refused),
		cmocka_unit_test(a_disk_must_be_a_multiple_of_its_sectors),
		cmocka_unit_test(disks_must_be_readable_and_writable_as_they_are_used),
		cmocka_unit_test(one_file_as_two_disks_is_refused_if_any_writes),
		cmocka_unit_test(the_first_of_two_is_the_first_of_the_config),
		cmocka_unit_test(options_that_contradict_each_other_are_reported_with_both_places),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("checks", tests, set_up, tear_down);
}
