/* test_suite.c: the parts of the runner that need no VM: shards, budgets, remembered durations,
 * what is left of a console, the exit status, a host that has no process left.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "../../src/suite/suite_private.h"

#define MS 1000000ULL

/* ---- Suites ---------------------------------------------------------------------------------- */

/* n cases, "case-0" and so on, without configs. */
static struct suite make_suite(size_t n)
{
	struct suite suite = { .cases = calloc(n + 1, sizeof(*suite.cases)), .n = n };

	assert_non_null(suite.cases);
	for (size_t i = 0; i < n; i++) {
		assert_true(asprintf(&suite.cases[i].name, "case-%zu", i) > 0);
		suite.cases[i].file = strdup("some.yaml");
	}
	return suite;
}

/* A run of it in which the i-th case took ms[i]. */
static struct suite_run make_run(const struct suite *suite, const unsigned *ms)
{
	struct suite_run run = { .results = calloc(suite->n + 1, sizeof(*run.results)),
				 .n = suite->n };

	assert_non_null(run.results);
	for (size_t i = 0; i < suite->n; i++) {
		struct suite_result *r = &run.results[i];

		assert_int_equal(suite_result_init(r, suite->cases[i].name, "some.yaml", NULL), 0);
		r->outcome = SUITE_PASSED;
		r->begin = 7;
		r->end = r->begin + ms[i] * MS;
	}
	return run;
}

/* ---- Shards ---------------------------------------------------------------------------------- */

static void test_partition(void **state)
{
	static const size_t sizes[] = { 0, 1, 5, 100 };

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (unsigned n = 1; n <= 7; n++) {
			unsigned seen[100] = { 0 };

			for (unsigned i = 1; i <= n; i++) {
				struct suite suite = make_suite(sizes[s]);
				size_t last = 0;

				assert_int_equal(suite_shard(&suite, i, n, NULL), 0);
				assert_true(suite.n <= sizes[s] / n + 1);
				for (size_t k = 0; k < suite.n; k++) {
					size_t at = strtoul(suite.cases[k].name + 5, NULL, 10);

					seen[at]++;
					assert_true(!k || at > last); /* in their order */
					last = at;
				}
				suite_free(&suite);
			}
			for (size_t k = 0; k < sizes[s]; k++)
				assert_int_equal(seen[k], 1);
		}
	}
}

/* What this machine remembers must not matter: another one may remember something else. */
static void test_cache_does_not_matter(void **state)
{
	struct suite a = make_suite(20), b = make_suite(20);

	(void)state;
	for (size_t i = 0; i < b.n; i++)
		b.cases[i].known = (i * 7919 % 20 + 1) * MS;
	assert_int_equal(suite_shard(&a, 2, 3, NULL), 0);
	assert_int_equal(suite_shard(&b, 2, 3, NULL), 0);
	assert_int_equal(a.n, b.n);
	for (size_t i = 0; i < a.n; i++)
		assert_string_equal(a.cases[i].name, b.cases[i].name);
	suite_free(&a);
	suite_free(&b);
}

static void test_balance(void **state)
{
	static const unsigned ms[] = { 100, 1, 1, 50, 1, 1, 49, 1 };
	uint64_t load[2] = { 0 };

	(void)state;
	for (unsigned i = 1; i <= 2; i++) {
		struct suite suite = make_suite(ARRAY_SIZE(ms));
		struct suite_run run = make_run(&suite, ms);

		assert_int_equal(suite_shard(&suite, i, 2, &run), 0);
		for (size_t k = 0; k < suite.n; k++)
			load[i - 1] += ms[strtoul(suite.cases[k].name + 5, NULL, 10)];
		suite_free(&suite);
		suite_run_free(&run);
	}
	assert_int_equal(load[0] + load[1], 204);
	assert_true(load[0] >= 100 && load[0] <= 104);
}

/* A case that is new since that run gets the average. */
static void test_unknown_case(void **state)
{
	static const unsigned ms[] = { 90, 10, 20 };
	size_t n = 0;

	(void)state;
	for (unsigned i = 1; i <= 2; i++) {
		struct suite suite = make_suite(4);
		struct suite_run run;

		suite.n = 3;
		run = make_run(&suite, ms);
		suite.n = 4;
		assert_int_equal(suite_shard(&suite, i, 2, &run), 0);
		n += suite.n;
		assert_true(suite.n == 1 ? !strcmp(suite.cases[0].name, "case-0") : suite.n == 3);
		suite_free(&suite);
		suite_run_free(&run);
	}
	assert_int_equal(n, 4);
}

static const char *const variables[] = {
	"CI_NODE_INDEX",	 "CI_NODE_TOTAL",	   "CIRCLE_NODE_INDEX",
	"CIRCLE_NODE_TOTAL",	 "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT",
	"SLURM_ARRAY_TASK_ID",	 "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN",
	"SLURM_ARRAY_TASK_STEP", "JOB_COMPLETION_INDEX",   "JOB_COMPLETIONS",
};

static void test_environment(void **state)
{
	/* "NAME=VALUE ...", shard, of how many; 0: none */
	static const struct {
		const char *set;
		unsigned i, n;
	} rows[] = {
		{ "", 0, 0 },
		{ "CI_NODE_TOTAL=1", 0, 0 }, /* every job of GitLab has it */
		{ "CI_NODE_INDEX=1 CI_NODE_TOTAL=4", 1, 4 },
		{ "CI_NODE_INDEX=4 CI_NODE_TOTAL=4", 4, 4 },
		{ "CI_NODE_INDEX=0 CI_NODE_TOTAL=4", 0, 0 },
		{ "CI_NODE_INDEX=5 CI_NODE_TOTAL=4", 0, 0 },
		{ "CI_NODE_INDEX=two CI_NODE_TOTAL=4", 0, 0 },
		{ "CI_NODE_INDEX=-1 CI_NODE_TOTAL=4", 0, 0 },
		{ "CI_NODE_INDEX=99999999999999999999 CI_NODE_TOTAL=4", 0, 0 },
		{ "CIRCLE_NODE_INDEX=0 CIRCLE_NODE_TOTAL=3", 1, 3 },
		{ "BUILDKITE_PARALLEL_JOB=2 BUILDKITE_PARALLEL_JOB_COUNT=3", 3, 3 },
		{ "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_COUNT=3", 3, 3 },
		{ "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_STEP=2 "
		  "SLURM_ARRAY_TASK_COUNT=3",
		  2, 3 },
		{ "SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_STEP=2 "
		  "SLURM_ARRAY_TASK_COUNT=3",
		  0, 0 },
		{ "SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_STEP=0 SLURM_ARRAY_TASK_COUNT=9", 0, 0 },
		{ "JOB_COMPLETION_INDEX=0", 1, 0 },
		{ "JOB_COMPLETION_INDEX=1 JOB_COMPLETIONS=5", 2, 5 },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		char *set = strdup(rows[k].set), *rest = set, *word;
		unsigned i = 0, n = 0;
		bool said;

		for (size_t v = 0; v < ARRAY_SIZE(variables); v++)
			unsetenv(variables[v]);
		while ((word = strsep(&rest, " ")) && *word) {
			char *value = strchr(word, '=');

			*value = 0;
			setenv(word, value + 1, 1);
		}
		said = suite_shard_from_env(&i, &n);
		if (said != (rows[k].i > 0) || i != rows[k].i || n != rows[k].n)
			fail_msg("'%s' gives %d, %u of %u", rows[k].set, said, i, n);
		free(set);
	}
}

/* ---- Budgets --------------------------------------------------------------------------------- */

static void test_budget(void **state)
{
	const struct suite_options options = { .jobs = 3, .memory = 100 };
	const struct suite_case one = { .vcpus = 1, .memory = 60 },
				two = { .vcpus = 2, .memory = 40 },
				huge = { .vcpus = 64, .memory = UINT64_MAX };
	struct suite_budget budget;

	(void)state;
	suite_budget_init(&budget, &options);
	assert_true(suite_budget_fits(&budget, &huge)); /* alone */
	suite_budget_take(&budget, &huge);
	assert_false(suite_budget_fits(&budget, &one));
	suite_budget_give(&budget, &huge);
	suite_budget_take(&budget, &one);
	assert_false(suite_budget_fits(&budget, &one)); /* memory */
	assert_false(suite_budget_fits(&budget, &huge));
	assert_true(suite_budget_fits(&budget, &two));
	suite_budget_take(&budget, &two);
	assert_false(suite_budget_fits(&budget, &(struct suite_case){ .vcpus = 1 }));
	suite_budget_give(&budget, &one);
	suite_budget_give(&budget, &two);
	assert_int_equal(budget.running + budget.running_vcpus + budget.running_memory, 0);
}

static void test_budget_of_the_host(void **state)
{
	const struct suite_options options = { 0 };
	struct suite_budget budget;

	(void)state;
	suite_budget_init(&budget, &options);
	assert_true(budget.vcpus >= 1);
	assert_true(budget.memory >= 1 << 20);
}

/* ---- Durations ------------------------------------------------------------------------------- */

static char dir[64];

static void write_durations(const char *text, size_t len)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/vibevmm", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/vibevmm/durations", dir);
	file = fopen(path, "we");
	assert_non_null(file);
	chmod(path, 0600);
	fwrite(text, 1, len, file);
	fclose(file);
}

static size_t count_lines(void)
{
	char path[128];
	FILE *file;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/vibevmm/durations", dir);
	file = fopen(path, "re");
	assert_non_null(file);
	for (int c; (c = getc(file)) != EOF;)
		n += c == '\n';
	fclose(file);
	return n;
}

/* A suite of one file that exists, with combinations: its name is what the cache goes by. */
static struct suite real_suite(size_t n)
{
	struct suite suite = make_suite(n);

	for (size_t i = 0; i < n; i++) {
		free(suite.cases[i].file);
		free(suite.cases[i].name);
		suite.cases[i].file = strdup("/dev/null");
		assert_true(asprintf(&suite.cases[i].name, "null[n=%zu]", i) > 0);
	}
	return suite;
}

static void test_remember(void **state)
{
	static const unsigned ms[] = { 5, 0, 300 };
	struct suite suite = real_suite(3);
	struct suite_run run = make_run(&suite, ms);

	(void)state;
	run.results[1].outcome = SUITE_NOT_RUN;
	suite_durations_load(&suite);
	assert_int_equal(suite.cases[0].known, 0);
	suite_durations_save(&suite, &run);
	assert_int_equal(count_lines(), 3); /* with the header */
	suite_durations_load(&suite);
	assert_int_equal(suite.cases[0].known, 5 * MS);
	assert_int_equal(suite.cases[1].known, 0);
	assert_int_equal(suite.cases[2].known, 300 * MS);
	/* The next run replaces what it knows, and keeps the rest. */
	run.results[0].outcome = SUITE_SKIPPED;
	run.results[2].end += MS;
	suite_durations_save(&suite, &run);
	assert_int_equal(count_lines(), 3);
	suite_durations_load(&suite);
	assert_int_equal(suite.cases[0].known, 5 * MS);
	assert_int_equal(suite.cases[2].known, 301 * MS);
	suite_free(&suite);
	suite_run_free(&run);
}

static void test_broken(void **state)
{
	static const char *const texts[] = {
		"",
		"vibevmm durations 2\n5\t/dev/null[n=0]\n",
		"vibevmm durations 1\nfive\t/dev/null[n=0]\n",
		"vibevmm durations 1\n5 /dev/null[n=0]\n",
		"vibevmm durations 1\n5\t/dev/null[n=0]", /* cut off */
		"vibevmm durations 1\n5\t/dev/null[n=0]\n\n",
	};
	static const unsigned ms[] = { 8 };
	enum log_level level = log_get_level();

	(void)state;
	log_set_level(LOG_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct suite suite = real_suite(1);
		struct suite_run run = make_run(&suite, ms);

		write_durations(texts[i], strlen(texts[i]));
		suite_durations_load(&suite);
		assert_int_equal(suite.cases[0].known, 0);
		suite_durations_save(&suite, &run); /* and is well again */
		suite_durations_load(&suite);
		assert_int_equal(suite.cases[0].known, 8 * MS);
		suite_free(&suite);
		suite_run_free(&run);
	}
	log_set_level(level);
}

static void test_bounded(void **state)
{
	static const unsigned ms[] = { 8 };
	struct suite suite = real_suite(1);
	struct suite_run run = make_run(&suite, ms);
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	(void)state;
	assert_non_null(file);
	fputs("vibevmm durations 1\n", file);
	for (int i = 0; i < 10000; i++)
		fprintf(file, "%d\t/tmp/%d.yaml\n", i, i);
	fprintf(file, "99999999999999999999999\t/dev/null[n=0]\n");
	fclose(file);
	write_durations(text, size);
	free(text);
	suite_durations_load(&suite);
	assert_int_equal(suite.cases[0].known, 0);
	suite_durations_save(&suite, &run);
	assert_int_equal(count_lines(), 4001);
	suite_free(&suite);
	suite_run_free(&run);
}

/* ---- Results --------------------------------------------------------------------------------- */

static void test_text(void **state)
{
	int fd = memfd_create("text", MFD_CLOEXEC);
	uint64_t cut = 1;
	char *text;

	(void)state;
	assert_true(fd >= 0);
	text = suite_text_of(fd, &cut);
	assert_string_equal(text, "");
	assert_int_equal(cut, 0);
	free(text);
	assert_int_equal(pwrite(fd, "a\0b\nc", 5, 0), 5);
	text = suite_text_of(fd, &cut);
	assert_string_equal(text, "a?b\nc");
	free(text);
	/* The last of much. */
	assert_int_equal(pwrite(fd, "end", 3, 5 * SUITE_CONSOLE_MAX), 3);
	text = suite_text_of(fd, &cut);
	assert_int_equal(cut, 4 * SUITE_CONSOLE_MAX + 3);
	assert_int_equal(strlen(text), SUITE_CONSOLE_MAX);
	assert_string_equal(text + SUITE_CONSOLE_MAX - 4, "?end");
	free(text);
	close(fd);
}

/* A guest that never stops talking. */
static void test_trim(void **state)
{
	const struct suite_child child = { .out = memfd_create("out", MFD_CLOEXEC), .err = -1 };
	const size_t size = 48 << 20;
	uint64_t cut;
	struct stat st;
	char *text;

	(void)state;
	assert_int_equal(posix_fallocate(child.out, 0, (off_t)size), 0);
	assert_int_equal(pwrite(child.out, "end", 3, (off_t)size), 3);
	suite_child_trim(&child);
	assert_int_equal(fstat(child.out, &st), 0);
	assert_true(st.st_blocks * 512 <= 17 << 20);
	assert_int_equal(st.st_size, size + 3); /* offsets stay what they were */
	text = suite_text_of(child.out, &cut);
	assert_string_equal(text + SUITE_CONSOLE_MAX - 4, "?end");
	free(text);
	close(child.out);
}

static void test_status(void **state)
{
	static const unsigned ms[] = { 1, 1 };
	struct suite suite = make_suite(2);
	struct suite_run run = make_run(&suite, ms);
	struct suite_run none = { 0 };

	(void)state;
	assert_int_equal(suite_status(&none), 0); /* a shard that has nothing to do */
	assert_int_equal(suite_status(&run), 0);
	run.results[0].outcome = SUITE_SKIPPED;
	assert_int_equal(suite_status(&run), 0);
	run.results[1].outcome = SUITE_SKIPPED;
	assert_int_equal(suite_status(&run), 77);
	run.results[1].outcome = SUITE_FLAKY;
	assert_int_equal(suite_status(&run), 0);
	run.results[1].outcome = SUITE_FAILED;
	assert_int_equal(suite_status(&run), 1);
	run.stopped = true; /* --fail-fast */
	assert_int_equal(suite_status(&run), 1);
	run.results[1].outcome = SUITE_NOT_RUN; /* nothing failed but the host */
	assert_int_equal(suite_status(&run), 71);
	run.signal = 2;
	assert_int_equal(suite_status(&run), 130);
	suite_free(&suite);
	suite_run_free(&run);
}

/* ---- A host that can't go on ----------------------------------------------------------------- */

static int forks_left = -1; /* -1: no limit */

/* In the place of the library's. */
pid_t fork(void)
{
	pid_t (*real)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");

	if (!forks_left) {
		errno = EAGAIN;
		return -1;
	}
	forks_left -= forks_left > 0;
	return real();
}

static void write_case(char *path, size_t size, const char *name, const char *text)
{
	FILE *file;

	snprintf(path, size, "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* What has a result keeps it; whether the first one passes is not the question. */
static void test_no_process(void **state)
{
	static const char text[] = "memory: 1M\nboot: {raw: {file: a.yaml}}\n"
				   "expect: {within: 1s}\n";
	char a[128], b[128], *paths[] = { a, b };
	const struct config_settings settings = { 0 };
	const struct suite_choice choice = { .paths = paths, .n_paths = 2, .settings = &settings };
	const struct suite_options options = { .jobs = 1, .scale = 1 };
	struct diags *diags = diags_new();
	struct suite suite = { 0 };
	struct suite_run run;
	struct err err = { 0 };

	(void)state;
	write_case(a, sizeof(a), "a.yaml", text);
	write_case(b, sizeof(b), "b.yaml", text);
	assert_int_equal(suite_collect(&suite, &choice, diags, &err), 0);
	assert_int_equal(suite.n, 2);
	forks_left = 1;
	assert_int_equal(suite_start(&suite, &options, &run, &err), -EAGAIN);
	forks_left = -1;
	assert_int_equal(err.status, STATUS_OSERR);
	assert_non_null(strstr(err.text, "ulimit -u"));
	assert_int_equal(run.n, 2);
	assert_true(run.stopped);
	for (size_t i = 0, ran = 0; i < 2; i++) {
		bool began = run.results[i].attempts > 0;

		ran += began;
		assert_int_equal(run.results[i].outcome == SUITE_NOT_RUN, !began);
		assert_string_equal(run.results[i].why, began ? "" : err.text);
		assert_true(i == 0 || ran == 1);
	}
	suite_run_free(&run);
	suite_free(&suite);
	diags_free(diags);
	unlink(a);
	unlink(b);
}

/* ---------------------------------------------------------------------------------------------- */

static int own_cache(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_suite.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	return setenv("XDG_CACHE_HOME", dir, 1);
}

static int drop_cache(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/vibevmm/durations", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/vibevmm", dir);
	rmdir(path);
	return rmdir(dir); /* nothing else is left there */
}

#define WITH_CACHE(f) cmocka_unit_test_setup_teardown(f, own_cache, drop_cache)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partition),
		cmocka_unit_test(test_cache_does_not_matter),
		cmocka_unit_test(test_balance),
		cmocka_unit_test(test_unknown_case),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_budget_of_the_host),
		WITH_CACHE(test_remember),
		WITH_CACHE(test_broken),
		WITH_CACHE(test_bounded),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_status),
		WITH_CACHE(test_no_process),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("suite", tests, NULL, NULL);
}
