/* collect_find.c: the files that the paths of a command line stand for. */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/machine.h>

#include "suite_private.h"

#define MAX_FILES 10000
#define MAX_DEPTH 32

struct find {
	const struct suite_choice *choice;
	struct suite_paths *paths;
	struct err *err;
};

static int no_memory(struct err *err)
{
	return err_errno(err, ENOMEM, STATUS_OSERR, "the list of cases");
}

static int push(struct suite_paths *paths, const char *path, struct err *err)
{
	char *copy;

	if (paths->n == MAX_FILES)
		return err_set(err, E2BIG, STATUS_USAGE, "more than %d files", MAX_FILES);
	if (paths->n == paths->cap) {
		size_t cap = paths->cap ? 2 * paths->cap : 16;
		char **list = realloc(paths->list, cap * sizeof(*list));

		if (!list)
			return no_memory(err);
		paths->list = list;
		paths->cap = cap;
	}
	copy = strdup(path);
	if (!copy)
		return no_memory(err);
	paths->list[paths->n++] = copy;
	return 0;
}

void suite_paths_free(struct suite_paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->list[i]);
	free(paths->list);
	*paths = (struct suite_paths){ 0 };
}

/* ---- Directories --------------------------------------------------------------------------- */

static bool ends_in_yaml(const char *name)
{
	size_t len = strlen(name);

	return (len > 5 && !strcmp(name + len - 5, ".yaml")) ||
	       (len > 4 && !strcmp(name + len - 4, ".yml"));
}

/* Whether a line begins with `expect:`. */
static bool has_expect_line(const char *path)
{
	static const char key[] = "expect:";
	FILE *f = fopen(path, "re");
	char line[256];
	bool found = false, begins = true;

	while (f && !found && fgets(line, sizeof(line), f)) {
		found = begins && !strncmp(line, key, strlen(key));
		begins = strchr(line, '\n');
	}
	if (f)
		fclose(f);
	return found;
}

/* Whether a file is a test: a config with `expect`, be it by one that it extends. What can't be
 * read as YAML is some other program's, unless it looks like one: that mistake is to be told. */
static bool is_test(const char *path, const struct suite_choice *choice)
{
	struct config_request request = { .path = path, .settings = choice->settings };
	struct diags *diags = diags_new();
	struct config_tree *tree = diags ? config_tree_load(path, "a config", diags) : NULL;
	const struct node *root = tree ? config_tree_root(tree) : NULL, *expect;
	struct config *config = NULL;
	bool test;

	if (!root || diags_errors(diags)) {
		test = has_expect_line(path);
	} else if (node_get(root, "extends") && !node_get(root, "expect")) {
		config = config_load(&request, machine_registry(), diags);
		expect = config ? node_get(config_vm(config)->root, "expect") : NULL;
		test = expect && !expect->is_default;
	} else {
		test = node_get(root, "expect");
	}
	config_free(config);
	config_tree_free(tree);
	diags_free(diags);
	return test;
}

static int shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Files before folders, each by name, so that the order is the same everywhere. */
static int find_in(struct find *find, const char *dir, unsigned depth)
{
	struct dirent **entries = NULL;
	char path[SUITE_NAME_MAX];
	int n, ret = 0;

	if (depth > MAX_DEPTH)
		return 0;
	n = scandir(dir, &entries, shown, by_name);
	if (n < 0)
		return err_errno(find->err, errno, STATUS_NOINPUT, "cannot read directory '%s'",
				 dir);
	for (int folders = 0; folders < 2; folders++) {
		for (int i = 0; i < n && !ret; i++) {
			const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";
			const char *name = entries[i]->d_name;
			bool plain = !strcmp(dir, ".");
			struct stat st;

			if ((size_t)snprintf(path, sizeof(path), "%s%s%s", plain ? "" : dir,
					     plain ? "" : slash, name) >= sizeof(path) ||
			    lstat(path, &st))
				continue;
			/* A link to a folder could lead round in a circle. */
			if (folders && S_ISDIR(st.st_mode))
				ret = find_in(find, path, depth + 1);
			else if (!folders && ends_in_yaml(name) && !stat(path, &st) &&
				 S_ISREG(st.st_mode) && is_test(path, find->choice))
				ret = push(find->paths, path, find->err);
		}
	}
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return ret;
}

/* ---- Paths --------------------------------------------------------------------------------- */

static int find_path(struct find *find, const char *path)
{
	struct stat st;

	/* One that isn't there is told like any missing file, when it is loaded. */
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return find_in(find, path, 0);
	return push(find->paths, path, find->err);
}

static int find_glob(struct find *find, const char *pattern)
{
	glob_t found = { 0 };
	int ret = glob(pattern, 0, NULL, &found);

	if (ret == GLOB_NOMATCH)
		return err_set(find->err, ENOENT, STATUS_USAGE, "no file matches '%s'", pattern);
	if (ret)
		return no_memory(find->err);
	for (size_t i = 0; i < found.gl_pathc && !ret; i++)
		ret = find_path(find, found.gl_pathv[i]);
	globfree(&found);
	return ret;
}

/* The same file by two ways: the first stays. */
static int drop_doubles(struct suite_paths *paths, struct err *err)
{
	struct {
		dev_t dev;
		ino_t ino;
	} *seen = calloc(paths->n + 1, sizeof(*seen));
	size_t n = 0;

	if (!seen)
		return no_memory(err);
	for (size_t i = 0; i < paths->n; i++) {
		struct stat st = { 0 };
		size_t k = n;

		if (!stat(paths->list[i], &st)) {
			for (k = 0; k < n; k++) {
				if (seen[k].dev == st.st_dev && seen[k].ino == st.st_ino)
					break;
			}
		}
		if (k < n) {
			free(paths->list[i]);
			continue;
		}
		seen[n].dev = st.st_dev;
		seen[n].ino = st.st_ino;
		paths->list[n++] = paths->list[i];
	}
	paths->n = n;
	free(seen);
	return 0;
}

int suite_find(const struct suite_choice *choice, struct suite_paths *paths, struct err *err)
{
	struct find find = { choice, paths, err };
	int ret = 0;

	*paths = (struct suite_paths){ 0 };
	if (!choice->n_paths)
		ret = find_path(&find, ".");
	for (size_t i = 0; i < choice->n_paths && !ret; i++) {
		const char *path = choice->paths[i];

		if (access(path, F_OK) && strpbrk(path, "*?["))
			ret = find_glob(&find, path);
		else
			ret = find_path(&find, path);
	}
	if (!ret)
		ret = drop_doubles(paths, err);
	if (ret)
		suite_paths_free(paths);
	return ret;
}
