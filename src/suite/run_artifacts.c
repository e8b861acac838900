/* run_artifacts.c: a folder for each case, with all that is known of its run. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/json.h>
#include <vibevmm/log.h>

#include "suite_private.h"

/* ---- The folder ---------------------------------------------------------------------------- */

/* The next part of a case's name as one of a path below the directory: "../a/./b" is "_", "a", "b".
 * False: there is none. */
static bool next_part(const char **name, char part[NAME_MAX + 2])
{
	while (**name) {
		const char *at = *name;
		size_t len = strcspn(at, "/");
		bool up = len == 2 && !strncmp(at, "..", 2);

		*name += len + (at[len] == '/');
		if (!len || (len == 1 && *at == '.'))
			continue;
		snprintf(part, NAME_MAX + 2, "%.*s", up ? 1 : (int)len, up ? "_" : at);
		return true;
	}
	return false;
}

/* With all above it. */
static int make_path(const char *dir)
{
	char *path = strdup(dir);
	int ret = path ? 0 : -ENOMEM;

	for (char *slash = path; !ret && slash; slash = strchr(slash + 1, '/')) {
		if (slash == path)
			continue;
		*slash = 0;
		if (mkdir(path, 0777) && errno != EEXIST)
			ret = -errno;
		*slash = '/';
	}
	free(path);
	if (!ret && mkdir(dir, 0777) && errno != EEXIST)
		ret = -errno;
	return ret;
}

/* A folder in another one; what lies there comes from tests, which may be somebody else's: a link
 * leads nowhere. -1 with errno. */
static int open_part(int folder, const char *part)
{
	return openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Makes the folder of that case, and opens it. -errno. */
static int make_folder(const char *dir, const char *name)
{
	char part[NAME_MAX + 2];
	int ret = make_path(dir), folder, next;

	if (ret)
		return ret;
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	while (next_part(&name, part)) {
		if (!mkdirat(folder, part, 0777) || errno == EEXIST)
			next = open_part(folder, part);
		else
			next = -1;
		ret = -errno;
		close(folder);
		if (next < 0)
			return ret;
		folder = next;
	}
	return folder;
}

/* A new file, in the place of an old one: through a link that stands there, a guest's console would
 * be written who knows where. */
static FILE *new_file(int folder, const char *name)
{
	FILE *out;
	int fd;

	unlinkat(folder, name, 0);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out && fd >= 0)
		close(fd);
	return out;
}

/* ---- Files --------------------------------------------------------------------------------- */

struct kept {
	const struct suite_case *c;
	const struct suite_result *result;
};

static void put_console(const struct kept *kept, FILE *out)
{
	fputs(kept->result->console, out);
}

static void put_messages(const struct kept *kept, FILE *out)
{
	fputs(kept->result->messages, out);
}

static void put_config(const struct kept *kept, FILE *out)
{
	config_print(kept->c->config, out);
}

static void put_plan(const struct kept *kept, FILE *out)
{
	plan_print(kept->c->plan, out, DIAG_TEXT);
}

static void put_map(const struct kept *kept, FILE *out)
{
	plan_print_svg(kept->c->plan, out);
}

static void put_stats(const struct kept *kept, FILE *out)
{
	const struct suite_result *r = kept->result;
	const struct expect_report *report = &r->report;
	struct json json = { .out = out };

	json_open(&json, NULL, '{');
	json_string(&json, "name", r->name);
	json_string(&json, "outcome", suite_outcome_name(r->outcome));
	json_string(&json, "reason", report->unmet ? report->reason : r->why);
	json_uint(&json, "attempts", r->attempts);
	json_uint(&json, "status", (uint64_t)report->status);
	json_uint(&json, "ns", r->end - r->begin);
	json_uint(&json, "memory", report->memory);
	json_open(&json, "timeline", '{');
	for (int i = 0; i < TIMELINE_POINTS; i++) {
		uint64_t at = report->timeline[i], begin = report->timeline[TIMELINE_EXEC];

		if (at)
			json_uint(&json, timeline_name((enum timeline_point)i),
				  at > begin ? at - begin : 0);
	}
	json_close(&json, '}');
	json_uint(&json, "exits_until_ready", report->exits_ready);
	json_uint(&json, "exits", report->exits);
	json_open(&json, "exits_by_reason", '{');
	for (uint32_t i = 0; i < report->n_kinds; i++)
		json_uint(&json, report->kinds[i].name, report->kinds[i].count);
	json_close(&json, '}');
	json_close(&json, '}');
	fputc('\n', out);
}

/* None is *.yaml: the next run would find it, and take it for a test. */
static const struct {
	const char *name;
	void (*put)(const struct kept *kept, FILE *out);
} files[] = {
	{ "console.log", put_console }, { "messages.log", put_messages },
	{ "config.txt", put_config },	{ "plan.txt", put_plan },
	{ "map.svg", put_map },		{ "stats.json", put_stats },
};

static int put_file(int folder, size_t i, const struct kept *kept)
{
	FILE *out = new_file(folder, files[i].name);
	int ret;

	if (!out)
		return -errno;
	files[i].put(kept, out);
	ret = fflush(out) || ferror(out) ? -errno : 0;
	fclose(out);
	return ret;
}

int suite_artifacts(const char *dir, const struct suite_case *c, const struct suite_result *result,
		    struct err *err)
{
	const struct kept kept = { c, result };
	int folder = make_folder(dir, result->name), ret = 0;

	if (folder < 0)
		return err_errno(err, -folder, STATUS_OSERR, "cannot make the folder '%s/%s'", dir,
				 result->name);
	for (size_t i = 0; i < ARRAY_SIZE(files) && !ret; i++) {
		ret = put_file(folder, i, &kept);
		if (ret)
			err_errno(err, -ret, STATUS_OSERR, "cannot write '%s/%s/%s'", dir,
				  result->name, files[i].name);
	}
	close(folder);
	return ret;
}

/* ---- Those of an earlier run --------------------------------------------------------------- */

/* Whether all of our files are in a folder, so that nobody else's is taken for one. */
static bool is_ours(int folder)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (fstatat(folder, files[i].name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode))
			return false;
	}
	return true;
}

/* Removes our files from the folder of that name below, and then those folders that are left empty.
 * 1: did so; 0: there are none; -errno. */
static int remove_old(int folder, const char *name)
{
	char part[NAME_MAX + 2];
	int below, ret;

	if (!next_part(&name, part)) {
		if (!is_ours(folder))
			return 0;
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			if (unlinkat(folder, files[i].name, 0))
				return -errno;
		}
		return 1;
	}
	below = open_part(folder, part);
	if (below < 0)
		return 0;
	ret = remove_old(below, name);
	close(below);
	if (ret > 0)
		unlinkat(folder, part, AT_REMOVEDIR);
	return ret;
}

void suite_artifacts_clear(const char *dir, const struct suite *suite)
{
	int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;

	if (folder < 0)
		return;
	for (size_t i = 0; i < suite->n && ret >= 0; i++) {
		ret = remove_old(folder, suite->cases[i].name);
		if (ret < 0)
			log_warn("cannot remove what an earlier run left in '%s/%s': %s", dir,
				 suite->cases[i].name, strerror(-ret));
	}
	close(folder);
}
