/* collect.c: the cases of a suite: found, loaded and planned before any of them runs. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "suite_private.h"

/* What the configs borrow from, file by file. */
struct suite_files {
	struct suite_paths paths;
	struct config_cases *cases; /* by file */
};

static int no_memory(struct err *err)
{
	return err_errno(err, ENOMEM, STATUS_OSERR, "the list of cases");
}

/* "./configs/linux.yaml" and "vcpus=2" make "configs/linux[vcpus=2]". It goes to terminals and the
 * logs of CI systems, which take orders from control characters: lines of "::" on GitHub. The name
 * of a file can have any. */
static char *case_name(const char *file, const char *combination)
{
	size_t len;
	char *name;

	while (!strncmp(file, "./", 2))
		file += 2;
	len = strlen(file);
	if (len > 5 && !strcmp(file + len - 5, ".yaml"))
		len -= 5;
	if (asprintf(&name, "%.*s%s%s%s", (int)len, file, combination ? "[" : "",
		     combination ? combination : "", combination ? "]" : "") < 0)
		return NULL;
	utf8_tidy(name);
	return name;
}

static bool chosen(const char *name, const char *pattern)
{
	return !pattern || strstr(name, pattern) || !fnmatch(pattern, name, 0);
}

static struct suite_case *new_case(struct suite *suite)
{
	if (!(suite->n & (suite->n - 1))) { /* 0 or a power of two: it is full */
		size_t cap = suite->n ? 2 * suite->n : 1;
		struct suite_case *cases = realloc(suite->cases, cap * sizeof(*cases));

		if (!cases)
			return NULL;
		suite->cases = cases;
	}
	suite->cases[suite->n] = (struct suite_case){ 0 };
	return &suite->cases[suite->n++];
}

/* combination: NULL for a file without `cases`. */
static int add_case(struct suite *suite, const struct config_request *request,
		    const char *combination, const struct suite_choice *choice, struct diags *diags)
{
	struct config_request one = *request;
	char *name = case_name(request->path, combination);
	char why[512] = "its `skip_unless` was not met when it was looked at";
	struct suite_case *c;

	if (name && !chosen(name, choice->pattern)) {
		free(name);
		return 0;
	}
	c = name ? new_case(suite) : NULL;
	if (!c) {
		free(name);
		return -ENOMEM;
	}
	c->name = name;
	c->file = strdup(request->path);
	if (!c->file)
		return -ENOMEM;
	one.case_name = combination;
	machine_plan(&one, !choice->lab, diags, &c->config, &c->plan);
	if (!c->config)
		return 0;
	c->vcpus = config_vm(c->config)->vcpus;
	if (c->plan)
		c->memory = c->plan->ram_size;
	/* One without a plan is skipped; why, unless the host has changed since. */
	if (!c->plan) {
		machine_skip(config_vm(c->config), !choice->lab, why, sizeof(why));
		c->skip = strdup(why);
		if (!c->skip)
			return -ENOMEM;
	}
	return 0;
}

static int add_file(struct suite *suite, size_t file, const struct suite_choice *choice,
		    struct diags *diags)
{
	struct config_cases *cases = &suite->files->cases[file];
	struct config_request request = {
		.path = suite->files->paths.list[file],
		.changes = choice->changes,
		.n_changes = choice->n_changes,
		.settings = choice->settings,
		.tests = true,
	};
	int ret = 0;

	if (config_cases(&request, machine_registry(), diags, cases))
		return 0; /* diags has it */
	if (!cases->n)
		return add_case(suite, &request, NULL, choice, diags);
	for (size_t i = 0; i < cases->n && !ret; i++)
		ret = add_case(suite, &request, cases->names[i], choice, diags);
	return ret;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(**(char ***)a, **(char ***)b);
}

/* "vm" and "vm.yaml" are two files: the later one's case keeps the name of its file. */
static int make_unique(struct suite *suite)
{
	char ***names = calloc(suite->n + 1, sizeof(*names));
	int ret = 0;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < suite->n; i++)
		names[i] = &suite->cases[i].name;
	qsort(names, suite->n, sizeof(*names), by_name);
	for (size_t i = 1; i < suite->n && !ret; i++) {
		char *name;

		if (strcmp(*names[i - 1], *names[i]) != 0)
			continue;
		if (asprintf(&name, "%s.yaml", *names[i]) < 0) {
			ret = -ENOMEM;
			continue;
		}
		free(*names[i]);
		*names[i] = name;
	}
	free(names);
	return ret;
}

int suite_collect(struct suite *suite, const struct suite_choice *choice, struct diags *diags,
		  struct err *err)
{
	struct suite_files *files = calloc(1, sizeof(*files));
	int ret;

	if (!files)
		return no_memory(err);
	*suite = (struct suite){ .files = files };
	ret = suite_find(choice, &files->paths, err);
	if (ret)
		goto out;
	files->cases = calloc(files->paths.n + 1, sizeof(*files->cases));
	if (!files->cases)
		ret = no_memory(err);
	for (size_t i = 0; i < files->paths.n && !ret; i++)
		ret = add_file(suite, i, choice, diags);
	if (!ret)
		ret = make_unique(suite);
	if (ret == -ENOMEM)
		no_memory(err);
out:
	if (ret)
		suite_free(suite);
	else
		suite_durations_load(suite);
	return ret;
}

void suite_case_free(struct suite_case *c)
{
	plan_free(c->plan);
	config_free(c->config);
	free(c->skip);
	free(c->file);
	free(c->name);
}

void suite_free(struct suite *suite)
{
	for (size_t i = 0; i < suite->n; i++)
		suite_case_free(&suite->cases[i]);
	free(suite->cases);
	if (suite->files) {
		for (size_t i = 0; suite->files->cases && i < suite->files->paths.n; i++)
			config_cases_free(&suite->files->cases[i]);
		free(suite->files->cases);
		suite_paths_free(&suite->files->paths);
		free(suite->files);
	}
	*suite = (struct suite){ 0 };
}
