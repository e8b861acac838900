/* compose.c: a config out of three files and some flags: extends, overrides, variables,
 * cases.
 *
 * Lines of %% divide the input: vm.yaml, base.yaml, site.yaml, then flags, one a line, as
 * `name value`. (No YAML is lost: a line that begins with % is refused anyway.)
 */
#include <dirent.h>
#include <fcntl.h>

#include "vm.h"

static const char *const names[] = { "vm.yaml", "base.yaml", "site.yaml" };
static char dir[] = "/dev/shm/fuzz.XXXXXX";

static void each_entry(const char *in, void (*fn)(const char *dir, const char *name))
{
	DIR *entries = opendir(in);

	must(entries);
	for (struct dirent *entry; (entry = readdir(entries));) {
		if (entry->d_name[0] != '.')
			fn(in, entry->d_name);
	}
	closedir(entries);
}

static void make_link(const char *in, const char *name)
{
	char target[4096];

	snprintf(target, sizeof(target), "%s/%s", in, name);
	must(!symlink(target, name));
}

static void unlink_entry(const char *in, const char *name)
{
	(void)in;
	unlink(name);
}

static void clean_up(void)
{
	each_entry(".", unlink_entry);
	rmdir(dir);
}

/* The images are where the configs are. */
static void set_up(void)
{
	const char *files = getenv("FUZZ_FILES");

	must(mkdtemp(dir) && !chdir(dir) && !atexit(clean_up));
	if (files)
		each_entry(files, make_link);
	setenv("FUZZ_VARIABLE", "512M", 1);
}

/* Cuts off the text before the next line of %%; NULL: there is none left. */
static char *section(char **rest, char *end)
{
	char *start = *rest;

	if (!start)
		return NULL;
	for (char *p = start; p + 3 <= end; p++) {
		if (!memcmp(p, "%%\n", 3) && (p == start || p[-1] == '\n')) {
			*p = 0;
			*rest = p + 3;
			return start;
		}
	}
	*rest = NULL;
	return start;
}

static size_t flags(char *text, struct config_change *changes, size_t max)
{
	size_t n = 0;

	for (char *line = text; line && *line && n < max;) {
		char *next = strchr(line, '\n'), *value;

		if (next)
			*next++ = 0;
		value = strchr(line, ' ');
		if (value)
			*value++ = 0;
		for (const struct config_flag *flag = config_flags(); flag->name; flag++) {
			if (!strcmp(flag->name, line)) {
				changes[n++] = (struct config_change){ flag, value ? value : "" };
				break;
			}
		}
		line = next;
	}
	return n;
}

static void load(const struct config_request *request)
{
	struct diags *diags = diags_new();

	must(diags);
	vm_check(config_load(request, machine_registry(), diags), diags);
}

/* The first case and the last: all that are named must be found again. */
static void load_cases(struct config_request *request)
{
	struct diags *diags = diags_new();
	struct config_cases cases;

	must(diags);
	request->tests = true;
	must(!config_cases(request, machine_registry(), diags, &cases) || !cases.n);
	if (cases.n) {
		request->case_name = cases.names[0];
		load(request);
		request->case_name = cases.names[cases.n - 1];
		load(request);
	}
	config_cases_free(&cases);
	diags_free(diags);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct config_change changes[16];
	struct config_request request = { .path = names[0], .changes = changes };
	char *text = malloc(size + 1), *rest = text, *end;
	static bool ready;

	if (!ready)
		set_up();
	ready = true;
	must(text);
	memcpy(text, data, size);
	text[size] = 0;
	end = text + size;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *part = section(&rest, end);
		ssize_t len = part ? (rest ? rest - 3 : end) - part : 0;
		int fd = open(names[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);

		must(fd >= 0 && write(fd, part ? part : "", (size_t)len) == len && !close(fd));
	}
	if (rest)
		request.n_changes = flags(rest, changes, ARRAY_SIZE(changes));
	load(&request);
	load_cases(&request);
	free(text);
}
