/* compose_helpers.h: configs of several files and flags, in a directory of our own. */
#ifndef COMPOSE_HELPERS_H
#define COMPOSE_HELPERS_H

#include <sys/stat.h>
#include <unistd.h>

#include "load_helpers.h"

static char dir[] = "/tmp/vibevmm-test.XXXXXX";

__attribute__((unused)) static int enter_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

__attribute__((unused)) static int leave_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return chdir("/") || system(command);
}

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Loads a file (NULL: none) with flags: "set", "vcpus=2", "console", "", ... up to NULL. */
static inline struct loaded load_flags(const char *path, const char *const *args)
{
	struct config_change changes[32];
	struct config_request request = { .path = path, .changes = changes };
	struct loaded l = { .diags = diags_new() };

	for (; args && *args; args += 2) {
		struct config_change *change = &changes[request.n_changes++];

		assert_true(request.n_changes <= ARRAY_SIZE(changes));
		change->flag = config_flags();
		while (strcmp(change->flag->name, args[0]) != 0) {
			change->flag++;
			assert_non_null(change->flag->name);
		}
		change->value = args[1];
	}
	l.config = config_load(&request, &test_registry, l.diags);
	l.vm = l.config ? config_vm(l.config) : NULL;
	l.errors = diags_errors(l.diags);
	l.said = said(l.diags, DIAG_TEXT, false);
	return l;
}

#define LOAD(path, ...) load_flags(path, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

/* What `vibevmm explain` prints. */
__attribute__((noinline, unused)) static char *explained(const struct loaded *l, const char *path,
							 enum diag_format format)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_non_null(l->config);
	config_explain(l->config, path, out, format);
	fclose(out);
	return text;
}

/* What `vibevmm config` prints. */
__attribute__((noinline, unused)) static char *printed(const struct loaded *l)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_non_null(l->config);
	config_print(l->config, out);
	fclose(out);
	return text;
}

static inline const struct gadget *gadget(const struct loaded *l, uint32_t i)
{
	assert_non_null(l->vm);
	assert_true(i < l->vm->n_devices);
	assert_string_equal(l->vm->devices[i].type->name, "gadget");
	return l->vm->devices[i].options;
}

static inline const char *device_type(const struct loaded *l, uint32_t i)
{
	assert_non_null(l->vm);
	return i < l->vm->n_devices ? l->vm->devices[i].type->name : "";
}

#endif
