/* test_doctor.c: what a VM needs of its host is found, line by line, and `run` refuses it. */
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

#include "../../src/cli/cli.h"
#include "../../src/machine/machine_private.h"

/* The tests run in a directory with an image. */
static char directory[] = "/tmp/vibevmm-doctor-XXXXXX";

static void put(const char *name, size_t size, mode_t mode)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory) || chdir(directory) || chmod(directory, 0755))
		return -1;
	setenv("XDG_CONFIG_HOME", directory, 1); /* nobody's own settings */
	put("guest.bin", 16, 0644);
	put("secret.bin", 16, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink("guest.bin") || unlink("secret.bin") || chdir("/") || rmdir(directory);
}

struct made {
	struct diags *diags;
	struct config *config;
	struct plan *plan;
	struct findings findings;
};

/* Planned without a backend: its limits are not what is tested. */
static struct made make(const char *text)
{
	const struct registry *registry = machine_registry();
	struct made m = { .diags = diags_new() };

	m.config = config_load_text("vm.yaml", text, strlen(text), registry, NULL, m.diags);
	assert_non_null(m.config);
	m.plan = plan_make(config_vm(m.config), registry, arch_find(ARCH_X86_64), NULL, NULL,
			   m.diags);
	assert_non_null(m.plan);
	return m;
}

static void drop(struct made *m)
{
	findings_free(&m->findings);
	plan_free(m->plan);
	config_free(m->config);
	diags_free(m->diags);
}

static const struct finding *find(const struct made *m, const char *subject)
{
	for (size_t i = 0; i < m->findings.n; i++) {
		if (!strcmp(m->findings.list[i].subject, subject))
			return &m->findings.list[i];
	}
	fail_msg("nothing was found about '%s'", subject);
	return NULL;
}

static void expect(const struct made *m, const char *subject, enum finding_state state,
		   unsigned line, const char *text)
{
	const struct finding *f = find(m, subject);

	if (f->state != state || f->mark.line != line || !strstr(f->text, text))
		fail_msg("%s: state %d, line %u: %s", subject, f->state, f->mark.line, f->text);
}

/* ---- The backend's capabilities -------------------------------------------------------------- */

static const struct hv_backend toy = { .name = "toy", .arch = ARCH_X86_64 };
static const char smp[] = "arch: x86_64\n"
			  "vcpus: 4\n"
			  "memory:\n"
			  "  - ram: {at: 0, size: 1M}\n"
			  "  - ram: {at: 0x1000000000, size: 1M}\n"
			  "  - rom: {at: 0xfffff000, file: guest.bin}\n"
			  "boot: {raw: {file: guest.bin}}\n"
			  "platform: {pit: true}\n"
			  "devices: [uart16550]\n";

static void what_the_backend_has_is_ok_at_its_line(void **state)
{
	static const struct hv_caps all = { .caps = ~0U, .max_vcpus = 8, .phys_bits = 48 };
	struct made m = make(smp);

	(void)state;
	doctor_caps(m.plan, &toy, &all, &m.findings);
	assert_null(findings_missing(&m.findings));
	expect(&m, "vcpus", FINDING_OK, 2, "4, and toy runs up to 8");
	expect(&m, "rom", FINDING_OK, 6, "read-only memory: toy has it");
	expect(&m, "pit", FINDING_OK, 8, "8254");
	drop(&m);
}

static void what_the_backend_lacks_is_missing_at_its_line(void **state)
{
	static const struct hv_caps little = { .caps = HV_CAP_PIO,
					       .max_vcpus = 2,
					       .phys_bits = 36 };
	struct made m = make(smp);

	(void)state;
	doctor_caps(m.plan, &toy, &little, &m.findings);
	expect(&m, "vcpus", FINDING_MISSING, 2,
	       "4 vCPUs are more than the 2 that toy offers on this host");
	expect(&m, "rom", FINDING_MISSING, 6, "toy on this host has no read-only memory");
	expect(&m, "ram", FINDING_MISSING, 5,
	       "ram at 0x1000000000 is beyond the 36 address bits of this host");
	expect(&m, "pit", FINDING_MISSING, 8, "toy on this host has no");
	expect(&m, "irqchip", FINDING_MISSING, 0, "toy on this host has no");
	assert_ptr_equal(findings_missing(&m.findings), find(&m, "vcpus"));
	drop(&m);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void ram_that_the_host_has_is_fine(void **state)
{
	struct made m = make("arch: x86_64\nmemory: 1M\nboot: {raw: {file: guest.bin}}\n");

	(void)state;
	assert_true(host_memory(UINT64_MAX) > 1 << 20);
	doctor_memory(m.plan, &m.findings);
	expect(&m, "memory", FINDING_OK, 2, "of guest RAM; this host has");
	drop(&m);
}

static void more_ram_than_the_host_can_ever_have_is_missing(void **state)
{
	/* Where the kernel was told to give out any amount, it is said, and allowed. */
	enum finding_state expected = host_overcommits() ? FINDING_WARNING : FINDING_MISSING;
	struct made m = make("arch: x86_64\n\nmemory: 200T\nboot: {raw: {file: guest.bin}}\n");

	(void)state;
	doctor_memory(m.plan, &m.findings);
	expect(&m, "memory", expected, 3, "200T of guest RAM are more than the ");
	assert_non_null(strstr(find(&m, "memory")->command, "vm.overcommit_memory=1"));
	drop(&m);
}

static void run_refuses_what_is_missing_with_69(void **state)
{
	const struct machine_options options = { .in = -1, .out = -1 };
	const struct hv_backend *backend = hv_backend_auto(ARCH_X86_64);
	struct machine *machine = NULL;
	struct err err = { 0 };
	struct hv_caps caps;
	struct made m;

	(void)state;
	if (!backend->probe || backend->probe(&caps, &err) || host_overcommits())
		skip();
	m = make("arch: x86_64\nmemory: 200T\nboot: {raw: {file: guest.bin}}\n");
	assert_true(machine_build(m.plan, &options, &machine, &err) < 0);
	assert_null(machine);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	drop(&m);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static const char three_files[] = "arch: x86_64\n"
				  "boot:\n"
				  "  raw: {file: none.bin}\n"
				  "memory:\n"
				  "  - ram: {at: 0, size: 1M}\n"
				  "  - rom: {at: 0xffffe000, file: guest.bin}\n"
				  "  - rom: {at: 0xfffff000, file: secret.bin}\n";

static const struct finding *about(const struct made *m, unsigned line, const char *text)
{
	for (size_t i = 0; i < m->findings.n; i++) {
		if (m->findings.list[i].mark.line == line && strstr(m->findings.list[i].text, text))
			return &m->findings.list[i];
	}
	fail_msg("nothing about '%s' at line %u", text, line);
	return NULL;
}

static void each_file_is_looked_at_where_it_is_named(void **state)
{
	struct made m = make(three_files);
	uid_t uid = geteuid();

	(void)state;
	if (!uid)
		assert_int_equal(seteuid(65534), 0);
	machine_doctor_vm(m.plan, &m.findings);
	if (!uid)
		assert_int_equal(seteuid(uid), 0);
	assert_int_equal(about(&m, 3, "'none.bin': No such file")->state, FINDING_MISSING);
	assert_int_equal(about(&m, 6, "'guest.bin', 16 bytes, readable")->state, FINDING_OK);
	assert_int_equal(about(&m, 7, "no permission to read 'secret.bin'")->state,
			 FINDING_MISSING);
	assert_non_null(strstr(about(&m, 7, "secret.bin")->command, "setfacl"));
	for (size_t i = 1; i < m.findings.n; i++)
		assert_true(m.findings.list[i - 1].mark.line <= m.findings.list[i].mark.line);
	drop(&m);
}

static void a_shared_folder_must_be_one(void **state)
{
	struct made m = make("arch: x86_64\n"
			     "boot: {raw: {file: guest.bin}}\n"
			     "devices:\n"
			     "  - virtio-fs: {path: ., tag: a}\n"
			     "  - virtio-fs: {path: guest.bin, tag: b}\n");

	(void)state;
	machine_doctor_vm(m.plan, &m.findings);
	assert_int_equal(about(&m, 4, "', a folder")->state, FINDING_OK);
	assert_int_equal(about(&m, 5, "'guest.bin' is no folder")->state, FINDING_MISSING);
	drop(&m);
}

/* Those that its options ask for, and no others. */
static void a_vm_lacks_the_programs_that_its_devices_start(void **state)
{
	struct made m = make("boot: {raw: {file: guest.bin}}\n"
			     "devices:\n"
			     "- virtio-blk: {path: guest.bin}\n"
			     "- virtio-net: {tap: tap0}\n"
			     "- virtio-net: {user: true}\n"
			     "- virtio-blk: {path: disk.img, format: qcow2}\n");
	char *path = strdup(getenv("PATH"));

	(void)state;
	assert_non_null(path);
	put("passt", 0, 0755);
	setenv("PATH", "/none:.", 1);
	machine_doctor_vm(m.plan, &m.findings);
	setenv("PATH", path, 1);
	unlink("passt");
	free(path);
	expect(&m, "passt", FINDING_OK, 5, "is installed");
	expect(&m, "qemu-nbd", FINDING_MISSING, 6, "qemu-utils");
	for (size_t i = 0; i < m.findings.n; i++)
		assert_string_not_equal(m.findings.list[i].subject, "virtiofsd");
	drop(&m);
}

static void a_guest_for_another_arch_finds_no_code_here(void **state)
{
	struct made m = make("backend: hvf\narch: x86_64\nboot: {raw: {file: guest.bin}}\n");

	(void)state;
	if (hv_backend_find("hvf", ARCH_X86_64)->probe)
		skip();
	machine_doctor_vm(m.plan, &m.findings);
	expect(&m, "backend", FINDING_MISSING, 1, "this build has no code for hvf-x86_64");
	drop(&m);
}

/* ---- The host -------------------------------------------------------------------------------- */

static void the_host_is_examined_from_memory_to_programs(void **state)
{
	static const char *const subjects[] = { "memory",	"huge pages", "locked memory",
						"/dev/net/tun", "qemu-nbd",   "passt",
						"virtiofsd" };
	struct made m = { 0 };

	(void)state;
	machine_doctor_host(&m.findings);
	assert_false(m.findings.failed);
	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++)
		assert_true(find(&m, subjects[i])->text[0]);
	for (size_t i = 0; i < m.findings.n; i++)
		assert_null(m.findings.list[i].mark.source);
	findings_free(&m.findings);
}

static void a_program_is_found_in_the_path(void **state)
{
	char *path = strdup(getenv("PATH"));
	struct made m = { 0 };

	(void)state;
	assert_non_null(path);
	put("passt", 0, 0755);
	setenv("PATH", "/none::.", 1);
	machine_doctor_host(&m.findings);
	setenv("PATH", path, 1);
	unlink("passt");
	free(path);
	assert_int_equal(find(&m, "passt")->state, FINDING_OK);
	assert_int_equal(find(&m, "qemu-nbd")->state, FINDING_ABSENT);
	assert_non_null(strstr(find(&m, "qemu-nbd")->text, "qemu-utils"));
	findings_free(&m.findings);
}

static void every_backend_of_this_build_is_probed(void **state)
{
	const struct hv_backend *const *rows;
	struct made m = { 0 };
	struct err err = { 0 };
	struct hv_caps caps;
	char name[48];
	size_t n;

	(void)state;
	machine_doctor_host(&m.findings);
	rows = hv_backends(&n);
	for (size_t i = 0; i < n; i++) {
		if (!rows[i]->probe)
			continue;
		snprintf(name, sizeof(name), "%s-%s", rows[i]->name, hv_arch_name(rows[i]->arch));
		assert_int_equal(find(&m, name)->state,
				 rows[i]->probe(&caps, &err) ? FINDING_MISSING : FINDING_OK);
	}
	findings_free(&m.findings);
}

/* ---- The command ----------------------------------------------------------------------------- */

/* `vibevmm doctor vm.yaml`; its status, and in *text what it prints. */
static int doctor(const char *config, const char *format, char **text)
{
	char *files[] = { "vm.yaml" };
	struct cli_args args = { .files = files, .n_files = 1, .values = { format } };
	FILE *file = fopen("vm.yaml", "we"), *shown = tmpfile();
	int out, err, status;
	long len;

	assert_true(file && shown);
	fputs(config, file);
	assert_int_equal(fclose(file), 0);
	fflush(stdout);
	out = dup(STDOUT_FILENO);
	err = dup(STDERR_FILENO);
	assert_true(out >= 0 && err >= 0);
	dup2(fileno(shown), STDOUT_FILENO);
	dup2(fileno(shown), STDERR_FILENO);
	status = cli_doctor.run(&cli_doctor, &args);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	fseek(shown, 0, SEEK_END);
	len = ftell(shown);
	*text = calloc(1, (size_t)len + 1);
	assert_non_null(*text);
	rewind(shown);
	assert_int_equal(fread(*text, 1, (size_t)len, shown), len);
	fclose(shown);
	unlink("vm.yaml");
	return status;
}

static void the_doctor_ends_with_69_and_marks_what_is_missing(void **state)
{
	char *text;

	(void)state;
	if (!hv_backend_auto(hv_host_arch())->probe)
		skip();
	assert_int_equal(doctor("boot:\n  elf: {file: none}\n", NULL, &text), STATUS_UNAVAILABLE);
	assert_non_null(strstr(text, "\nvm.yaml, by line\n"));
	assert_non_null(strstr(text, "\n  MISSING     2  elf.file  'none': No such file"));
	free(text);
	assert_int_equal(doctor("boot:\n  elf: {file: none}\n", "json", &text), STATUS_UNAVAILABLE);
	assert_non_null(strstr(text, "\"state\": \"missing\",\n    \"subject\": \"elf.file\""));
	free(text);
}

static void a_config_that_is_wrong_in_itself_ends_the_doctor_with_65(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(doctor("boot:\n  raw: {fil: guest.bin}\n", NULL, &text), STATUS_CONFIG);
	assert_non_null(strstr(text, "did you mean 'file'?"));
	free(text);
}

static void a_vm_that_can_run_here_ends_the_doctor_with_0(void **state)
{
	const struct hv_backend *backend = hv_backend_auto(ARCH_X86_64);
	struct err err = { 0 };
	struct hv_caps caps;
	char *text;

	(void)state;
	if (!backend->probe || backend->probe(&caps, &err))
		skip();
	assert_int_equal(
		doctor("arch: x86_64\nmemory: 1M\nboot: {raw: {file: guest.bin}}\n", NULL, &text),
		STATUS_OK);
	assert_null(strstr(text, "MISSING"));
	free(text);
}

/* ---- Sizes in words -------------------------------------------------------------------------- */

static void rough_sizes_have_few_digits(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} sizes[] = {
		{ 0, "0 bytes" },     { 1, "1 byte" },		{ 1023, "1023 bytes" },
		{ 1024, "1K" },	      { 1536, "1.5K" },		{ 25278976 * 1024ULL, "24.1G" },
		{ 1ULL << 30, "1G" }, { 150ULL << 20, "150M" }, { UINT64_MAX, "16777216T" },
	};
	char buf[24];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_string_equal(config_size_rough(sizes[i].size, buf, sizeof(buf)),
				    sizes[i].text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_backend_has_is_ok_at_its_line),
		cmocka_unit_test(what_the_backend_lacks_is_missing_at_its_line),
		cmocka_unit_test(ram_that_the_host_has_is_fine),
		cmocka_unit_test(more_ram_than_the_host_can_ever_have_is_missing),
		cmocka_unit_test(run_refuses_what_is_missing_with_69),
		cmocka_unit_test(each_file_is_looked_at_where_it_is_named),
		cmocka_unit_test(a_shared_folder_must_be_one),
		cmocka_unit_test(a_vm_lacks_the_programs_that_its_devices_start),
		cmocka_unit_test(a_guest_for_another_arch_finds_no_code_here),
		cmocka_unit_test(the_host_is_examined_from_memory_to_programs),
		cmocka_unit_test(a_program_is_found_in_the_path),
		cmocka_unit_test(every_backend_of_this_build_is_probed),
		cmocka_unit_test(the_doctor_ends_with_69_and_marks_what_is_missing),
		cmocka_unit_test(a_config_that_is_wrong_in_itself_ends_the_doctor_with_65),
		cmocka_unit_test(a_vm_that_can_run_here_ends_the_doctor_with_0),
		cmocka_unit_test(rough_sizes_have_few_digits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("doctor", tests, set_up, tear_down);
}
