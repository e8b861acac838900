/* settings.c: the user's own defaults, from vibevmm.ini.
 *
 *     [defaults]
 *     backend = kvm
 *     log_level = info
 *     images = ~/images
 *     images = /srv/images
 *
 * inih splits the lines; its handler gets no line numbers and it cuts long lines silently, so
 * lines are dealt out and counted here.
 */
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <vibevmm/log.h>
#include <vibevmm/utf8.h>

#include "loader.h"

#define LINE_MAX_CHARS 196 /* inih 55 takes 200 bytes with line end and NUL */
#define SIZE_MAX_KIB   64

enum key { KEY_BACKEND, KEY_LOG_LEVEL, KEY_IMAGES, KEY_COUNT };

static const char *const keys[] = {
	[KEY_BACKEND] = "backend",
	[KEY_LOG_LEVEL] = "log_level",
	[KEY_IMAGES] = "images",
	NULL,
};
static const char *const sections[] = { "defaults", NULL };
static const char *const levels[] = { "none", "error", "warn", "info", "debug", NULL };

struct reader {
	struct config_settings *settings;
	struct diags *diags;
	struct source source;
	const char *next;	     /* what is still to be dealt out */
	const char *line, *end;	     /* the line dealt out last */
	uint32_t number;	     /* its number */
	struct mark section;	     /* the last [section] line */
	struct mark seen[KEY_COUNT]; /* where a key was given */
	bool failed;		     /* out of memory */
};

/* The place of a part of the present line. */
static struct mark place(const struct reader *r, const char *part, size_t len)
{
	struct mark mark = { &r->source, r->number, 1, (uint32_t)len };
	uint32_t c;
	size_t n;

	for (const char *p = r->line; p < part && (n = utf8_decode(p, (size_t)(part - p), &c));
	     p += n)
		mark.column++;
	return mark;
}

/* The value, or else the line. inih's value is a copy of a part of the line. */
static struct mark value_place(const struct reader *r, const char *value)
{
	size_t len = strlen(value);
	const char *p = len ? memmem(r->line, (size_t)(r->end - r->line), value, len) : NULL;
	const char *separator = memchr(r->line, '=', (size_t)(r->end - r->line)), *later = NULL;

	/* `backend = backend`: the one behind the '='. */
	if (p && separator && p < separator)
		later = memmem(separator, (size_t)(r->end - separator), value, len);
	p = later ? later : p ? p : r->line + strspn(r->line, " \t");
	return place(r, p, len);
}

/* inih's way to get a line, after fgets: buf has room for size bytes. */
static char *deal_line(char *buf, int size, void *arg)
{
	struct reader *r = arg;
	const char *stop = r->source.text + r->source.len, *eol, *text;
	size_t len;

	if (r->next == stop || size < 3)
		return NULL;
	eol = memchr(r->next, '\n', (size_t)(stop - r->next));
	r->line = r->next;
	r->end = eol ? eol : stop;
	r->next = eol ? eol + 1 : stop;
	r->number++;
	text = r->line;
	while (text < r->end && (*text == ' ' || *text == '\t'))
		text++;
	len = (size_t)(r->end - r->line);
	if (len > LINE_MAX_CHARS || len + 2 > (size_t)size) {
		diag_error(r->diags, place(r, r->line, 1), "a line longer than %d characters",
			   LINE_MAX_CHARS);
		diag_help(r->diags, "give `images` on several lines");
		len = 0;
	} else if (*text == '[') {
		r->section = place(r, text, (size_t)(r->end - text));
	}
	memcpy(buf, r->line, len);
	memcpy(buf + len, "\n", 2);
	return buf;
}

/* The value becomes *slot, unless it is not one of the words. */
static void set_word(struct reader *r, enum key key, const char *value, const char *const *words,
		     char **slot)
{
	struct mark mark = value_place(r, value);
	const char *near = config_nearest(value, words);

	for (; *words; words++) {
		if (strcmp(*words, value) != 0)
			continue;
		free(*slot);
		*slot = strdup(value);
		r->failed |= !*slot;
		return;
	}
	if (near)
		diag_error(r->diags, mark, "'%s' can't be '%.64s'; did you mean '%s'?", keys[key],
			   value, near);
	else
		diag_error(r->diags, mark, "'%s' can't be '%.64s'", keys[key], value);
	diag_help(r->diags, "%s",
		  key == KEY_LOG_LEVEL
			  ? "it is none, error, warn, info or debug, or 0 to 4"
			  : "`vibevmm backends` lists those of this build, or write auto");
}

/* Adds the directories of one `images` line, separated by colons. */
static void add_images(struct reader *r, const char *value)
{
	const char *home = getenv("HOME");

	while (*value) {
		size_t len = strcspn(value, ":");
		char *images = r->settings->images, *joined = NULL;
		bool tilde = len >= 2 && !strncmp(value, "~/", 2);
		int n;

		if (tilde && (!home || home[0] != '/')) {
			diag_error(r->diags, value_place(r, value),
				   "'~' stands for $HOME, which is not set");
		} else if (len && !tilde && value[0] != '/') {
			diag_error(r->diags, value_place(r, value),
				   "'%.*s' is a relative directory; which one it is would depend "
				   "on where vibevmm runs",
				   len > 64 ? 64 : (int)len, value);
			diag_help(r->diags, "begin it with / or ~/");
		} else if (len) {
			n = asprintf(&joined, "%s%s%s%.*s", images ? images : "", images ? ":" : "",
				     tilde ? home : "", (int)(tilde ? len - 1 : len),
				     tilde ? value + 1 : value);
			if (n < 0) {
				r->failed = true;
				return;
			}
			free(images);
			r->settings->images = joined;
		}
		value += len + (value[len] == ':');
	}
}

static void set_key(struct reader *r, enum key key, const char *value)
{
	const char *words[BACKEND_WORDS_MAX];
	enum log_level level;

	if (!*value) {
		diag_error(r->diags, value_place(r, value), "'%s' has no value", keys[key]);
		diag_help(r->diags, "write one behind the '=', or delete the line");
		return;
	}
	if (key != KEY_IMAGES && r->seen[key].line) {
		diag_error(r->diags, value_place(r, value), "'%s' is given twice", keys[key]);
		diag_note(r->diags, r->seen[key], "first here");
		return;
	}
	r->seen[key] = value_place(r, value);
	switch (key) {
	case KEY_BACKEND:
		config_backend_words(words, BACKEND_WORDS_MAX);
		set_word(r, key, value, words, &r->settings->backend);
		break;
	case KEY_LOG_LEVEL:
		if (!log_parse_level(value, &level))
			value = levels[level];
		set_word(r, key, value, levels, &r->settings->log_level);
		break;
	default:
		add_images(r, value);
	}
}

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *r = arg;
	struct mark mark = value_place(r, name);
	const char *near;

	if (strcmp(section, sections[0]) != 0) {
		near = config_nearest(section, sections);
		if (!*section)
			diag_error(r->diags, mark, "'%.64s' stands before the first section", name);
		else
			diag_error(r->diags, r->section, "unknown section '%.64s'%s", section,
				   near ? "; did you mean 'defaults'?" : "");
		if (!near)
			diag_help(r->diags, "write [defaults] on a line before it");
		return 1;
	}
	for (unsigned key = 0; key < KEY_COUNT; key++) {
		if (!strcmp(keys[key], name)) {
			set_key(r, key, value);
			return 1;
		}
	}
	near = config_nearest(name, keys);
	if (near)
		diag_error(r->diags, mark, "unknown key '%.64s'; did you mean '%s'?", name, near);
	else
		diag_error(r->diags, mark, "unknown key '%.64s'", name);
	if (!near)
		diag_help(r->diags, "the keys of [defaults] are: backend, log_level, images");
	return 1;
}

/* Reads one file. -ENOENT if there is none, without a diagnostic. */
static int read_settings(struct config_settings *settings, char *path, struct diags *diags)
{
	struct reader r = { .settings = settings, .diags = diags, .source.name = path };
	struct mark bad = { .source = &r.source, .column = 1 };
	int ret = file_read(path, "a settings file", SIZE_MAX_KIB * 1024, true, &r.source, diags);

	if (ret == -ENOENT)
		return ret;
	settings->file = path;
	if (ret)
		return ret;
	r.next = r.source.text;
	ret = ini_parse_stream(deal_line, &r, on_pair, &r);
	if (ret > 0) {
		bad.line = (uint32_t)ret;
		diag_error(diags, bad, "this is no [section], no key = value, and no comment");
		diag_help(diags, "comments begin with # or ;");
	}
	if (ret < 0 || r.failed)
		diag_error(diags, bad, "out of memory");
	free((char *)r.source.text);
	return 0;
}

/* The directory of the user's settings, as the XDG Base Directory Specification has it. */
static char *user_file(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int n = -1;

	if (xdg && xdg[0] == '/')
		n = asprintf(&path, "%s/vibevmm/vibevmm.ini", xdg);
	else if (home && home[0] == '/')
		n = asprintf(&path, "%s/.config/vibevmm/vibevmm.ini", home);
	return n < 0 ? NULL : path;
}

void config_settings_load(struct config_settings *settings, struct diags *diags)
{
	char *path = user_file();

	*settings = (struct config_settings){ 0 };
	if (path && read_settings(settings, path, diags) != -ENOENT)
		return;
	free(path);
	path = strdup("/etc/vibevmm/vibevmm.ini");
	if (path && read_settings(settings, path, diags) == -ENOENT)
		free(path);
}

void config_settings_free(struct config_settings *settings)
{
	free(settings->backend);
	free(settings->log_level);
	free(settings->images);
	free(settings->file);
	*settings = (struct config_settings){ 0 };
}
