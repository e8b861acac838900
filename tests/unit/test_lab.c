/* test_lab.c: what the lab of `vibevmm test --lab` is given: archive, modules in order, job. */
#include <errno.h>
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

#include "../../src/suite/lab.h"

/* ---- The archive --------------------------------------------------------------------------- */

struct entry {
	const char *name, *data;
	unsigned mode, size;
};

static unsigned field(const char *head, unsigned i)
{
	char digits[9] = "";

	memcpy(digits, head + 6 + 8 * i, 8);
	return (unsigned)strtoul(digits, NULL, 16);
}

/* The entry at *at, by Linux's buffer-format.rst; *at is then behind it. */
static struct entry next_entry(const char *text, size_t len, size_t *at)
{
	struct entry e;
	unsigned name_len;

	assert_true(*at % 4 == 0 && len - *at >= 110);
	assert_memory_equal(text + *at, "070701", 6);
	e.mode = field(text + *at, 1);
	e.size = field(text + *at, 6);
	name_len = field(text + *at, 11);
	e.name = text + *at + 110;
	assert_int_equal(strlen(e.name) + 1, name_len);
	e.data = text + ((*at + 110 + name_len + 3) & ~(size_t)3);
	*at = (size_t)(e.data - text) + ((e.size + 3) & ~3u);
	assert_true(*at <= len);
	return e;
}

static void an_archive_has_its_files_and_the_directories_above(void **state)
{
	static const struct entry expected[] = {
		{ "init", "#!", S_IFREG | 0755, 2 },
		{ "lib", "", S_IFDIR | 0755, 0 },
		{ "lib/x86", "", S_IFDIR | 0755, 0 },
		{ "lib/x86/libc.so", "12345", S_IFREG | 0644, 5 },
		{ "empty", "", S_IFREG | 0600, 0 },
		{ "TRAILER!!!", "", 0, 0 },
	};
	char *text = NULL;
	size_t len = 0, at = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(lab_cpio_add(out, "init", S_IFREG | 0755, "#!", 2), 0);
	assert_int_equal(lab_cpio_add(out, "lib/x86/libc.so", S_IFREG | 0644, "12345", 5), 0);
	assert_int_equal(lab_cpio_add(out, "empty", S_IFREG | 0600, "", 0), 0);
	lab_cpio_end(out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		struct entry e = next_entry(text, len, &at);

		assert_string_equal(e.name, expected[i].name);
		assert_int_equal(e.mode, expected[i].mode);
		assert_int_equal(e.size, expected[i].size);
		assert_memory_equal(e.data, expected[i].data, e.size);
	}
	assert_int_equal(at, len);
	free(text);
}

static void a_file_too_large_for_the_format_is_refused(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(lab_cpio_add(out, "a", S_IFREG, "", UINT32_MAX + 1ULL), -EFBIG);
	fclose(out);
	assert_int_equal(len, 0);
	free(text);
}

static void cpio_reads_the_archive(void **state)
{
	char path[] = "/tmp/test_lab.XXXXXX", command[64], line[64], said[256] = "";
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "w"), *in;

	(void)state;
	if (system("command -v cpio >/dev/null")) {
		unlink(path);
		fclose(out);
		skip();
	}
	lab_cpio_add(out, "a/b", S_IFREG | 0644, "xyz", 3);
	lab_cpio_add(out, "c", S_IFREG | 0644, "", 0);
	lab_cpio_end(out);
	fclose(out);
	snprintf(command, sizeof(command), "cpio -it --quiet <%s 2>&1", path);
	in = popen(command, "r");
	while (fgets(line, sizeof(line), in))
		strncat(said, line, sizeof(said) - strlen(said) - 1);
	assert_int_equal(pclose(in), 0);
	unlink(path);
	assert_string_equal(said, "a\na/b\nc\n");
}

/* ---- Modules ------------------------------------------------------------------------------- */

static const char dep[] = "kernel/arch/x86/kvm/kvm.ko: kernel/virt/lib/irqbypass.ko\n"
			  "kernel/arch/x86/kvm/kvm-amd.ko.xz: kernel/ccp.ko.xz "
			  "kernel/arch/x86/kvm/kvm.ko kernel/virt/lib/irqbypass.ko\n"
			  "kernel/ccp.ko.xz:\n"
			  "kernel/virt/lib/irqbypass.ko:\n"
			  "kernel/net/9pnet.ko:\n"
			  "kernel/fs/9p.ko: kernel/net/9pnet.ko\n"
			  "kernel/x9p.ko:";
static const char builtin[] = "kernel/drivers/virtio/virtio_pci.ko\nkernel/fs/overlay.ko\n";

/* The files in one line, and their memory given back. */
static void check_files(char **files, size_t n, const char *expected)
{
	char text[512] = "";

	for (size_t i = 0; i < n; i++) {
		strncat(text, files[i], sizeof(text) - strlen(text) - 1);
		strncat(text, " ", sizeof(text) - strlen(text) - 1);
		free(files[i]);
	}
	free(files);
	assert_string_equal(text, expected);
}

static void modules_come_behind_those_that_they_need_and_once(void **state)
{
	const char *missing = NULL;
	char **files = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(lab_modules_order(dep, builtin, "kvm_amd 9p kvm", &files, &n, &missing),
			 0);
	check_files(files, n,
		    "kernel/virt/lib/irqbypass.ko kernel/arch/x86/kvm/kvm.ko kernel/ccp.ko.xz "
		    "kernel/arch/x86/kvm/kvm-amd.ko.xz kernel/net/9pnet.ko kernel/fs/9p.ko ");
}

static void what_is_in_the_kernel_is_not_missing(void **state)
{
	const char *missing = NULL;
	char **files = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(
		lab_modules_order(dep, builtin, "virtio-pci overlay", &files, &n, &missing), 0);
	assert_int_equal(n, 0);
	assert_null(missing);
}

static void a_module_that_is_nowhere_is_named(void **state)
{
	const char *missing = NULL;
	char **files = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(
		lab_modules_order(dep, builtin, "9pnet virtio overlay", &files, &n, &missing),
		-ENOENT);
	assert_memory_equal(missing, "virtio ", 7);
	check_files(files, n, "kernel/net/9pnet.ko ");
}

static void a_module_that_may_be_missing_is_left_out(void **state)
{
	char **files = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(lab_modules_order(dep, builtin, "tun x9p p", &files, &n, NULL), 0);
	check_files(files, n, "kernel/x9p.ko ");
}

/* ---- The job ------------------------------------------------------------------------------- */

static char *write_job(const struct lab_job *job, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	assert_int_equal(lab_job_write(job, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void a_job_comes_back_as_it_was(void **state)
{
	struct lab_job job = { .cwd = strdup("/home/a b"), .control = strdup("/dev/ttyS1") }, read;
	size_t len;
	char *text;

	(void)state;
	lab_strings_add(&job.env, "A=b=c\nd");
	lab_strings_add(&job.env, "EMPTY=");
	lab_strings_add(&job.files, "configs/x.yaml");
	lab_strings_add(&job.cases, "configs/x[vcpus=2,kernel=a]");
	lab_strings_add(&job.changes, "set");
	lab_strings_add(&job.changes, "vcpus=2");
	job.options = (struct suite_options){
		.jobs = 3,
		.memory = 5ULL << 40,
		.retries = 2,
		.repeat = 7,
		.fail_fast = true,
		.scale = 0.1,
		.worker = strdup("1/2 lab"),
	};
	text = write_job(&job, &len);
	assert_int_equal(lab_job_read(&read, text, len), 0);
	assert_string_equal(read.cwd, job.cwd);
	assert_string_equal(read.control, job.control);
	assert_int_equal(read.env.n, 2);
	assert_string_equal(read.env.list[0], "A=b=c\nd");
	assert_string_equal(read.env.list[1], "EMPTY=");
	assert_int_equal(read.files.n, 1);
	assert_string_equal(read.files.list[0], "configs/x.yaml");
	assert_int_equal(read.cases.n, 1);
	assert_string_equal(read.cases.list[0], "configs/x[vcpus=2,kernel=a]");
	assert_int_equal(read.changes.n, 2);
	assert_string_equal(read.changes.list[1], "vcpus=2");
	assert_int_equal(read.options.jobs, 3);
	assert_true(read.options.memory == 5ULL << 40);
	assert_int_equal(read.options.retries, 2);
	assert_int_equal(read.options.repeat, 7);
	assert_true(read.options.fail_fast && !read.options.details);
	assert_true(read.options.scale == 0.1);
	assert_string_equal(read.options.worker, "1/2 lab");
	lab_job_free(&read);
	lab_job_free(&job);
	free(text);
}

static void what_is_no_job_is_refused(void **state)
{
#define JOB(text)                                                                                  \
	{                                                                                          \
		text, sizeof(text)                                                                 \
	}
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
		{ "", 0 },
		{ "cwd=/\0control=x", 15 },	     /* no NUL at its end */
		JOB("cwd=/"),			     /* no control */
		JOB("control=x"),		     /* no cwd */
		JOB("cwd=/\0control=x\0what=1"),     /* no such key */
		JOB("cwd=/\0control=x\0jobs=1x"),    /* no number */
		JOB("cwd=/\0control=x\0jobs"),	     /* no value */
		JOB("cwd=/\0control=x\0change=set"), /* half a change */
	};
	struct lab_job job = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(lab_job_read(&job, bad[i].text, bad[i].len), -EINVAL);
		assert_null(job.cwd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_archive_has_its_files_and_the_directories_above),
		cmocka_unit_test(a_file_too_large_for_the_format_is_refused),
		cmocka_unit_test(cpio_reads_the_archive),
		cmocka_unit_test(modules_come_behind_those_that_they_need_and_once),
		cmocka_unit_test(what_is_in_the_kernel_is_not_missing),
		cmocka_unit_test(a_module_that_is_nowhere_is_named),
		cmocka_unit_test(a_module_that_may_be_missing_is_left_out),
		cmocka_unit_test(a_job_comes_back_as_it_was),
		cmocka_unit_test(what_is_no_job_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
