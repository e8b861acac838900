/* run_artifacts.c: a folder for each case, with all that is known of its run. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/json.h>

#include "suite_private.h"

/* ---- The folder ---------------------------------------------------------------------------- */

/* A case's name as a path below the directory: "../a/b" is "_/a/b". False: too long. */
static bool folder_of(const char *dir, const char *name, char *path, size_t len)
{
	size_t used = (size_t)snprintf(path, len, "%s", dir);

	while (used < len && *name) {
		size_t part = strcspn(name, "/");
		bool up = part == 2 && !strncmp(name, "..", 2);
		bool nothing = !part || (part == 1 && *name == '.');

		if (!nothing)
			used += (size_t)snprintf(path + used, len - used, "/%.*s",
						 up ? 1 : (int)part, up ? "_" : name);
		name += part;
		name += *name == '/';
	}
	return used < len;
}

/* With all above it. What lies below the first `given` bytes comes from tests, which may be
 * somebody else's: there a link leads nowhere. */
static int make_folder(char *path, size_t given)
{
	for (char *slash = path + 1;; slash++) {
		bool last = !*slash;
		struct stat st;

		if (!last && *slash != '/')
			continue;
		*slash = 0;
		if (mkdir(path, 0777) && errno != EEXIST)
			return -errno;
		if ((size_t)(slash - path) > given && (lstat(path, &st) || !S_ISDIR(st.st_mode)))
			return -ENOTDIR;
		if (last)
			return 0;
		*slash = '/';
	}
}

/* A new file, in the place of an old one: through a link that stands there, a guest's console would
 * be written who knows where. */
static FILE *new_file(const char *path)
{
	FILE *out;
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
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

int suite_artifacts(const char *dir, const struct suite_case *c, const struct suite_result *result,
		    struct err *err)
{
	const struct kept kept = { c, result };
	char path[SUITE_NAME_MAX];
	size_t len;
	int ret;

	if (!folder_of(dir, result->name, path, sizeof(path) - 32))
		return err_set(err, ENAMETOOLONG, STATUS_OSERR,
			       "artifacts of '%s': its name is too long for a folder",
			       result->name);
	ret = make_folder(path, strlen(dir));
	if (ret)
		return err_errno(err, -ret, STATUS_OSERR, "cannot make the folder '%s'", path);
	len = strlen(path);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		FILE *out;

		snprintf(path + len, sizeof(path) - len, "/%s", files[i].name);
		out = new_file(path);
		if (!out)
			return err_errno(err, errno, STATUS_OSERR, "cannot write '%s'", path);
		files[i].put(&kept, out);
		ret = fflush(out) || ferror(out) ? -errno : 0;
		fclose(out);
		if (ret)
			return err_errno(err, -ret, STATUS_OSERR, "cannot write '%s'", path);
	}
	return 0;
}
