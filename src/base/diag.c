/* diag.c: collecting diagnostics, and printing them with the line they are about. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/diag.h>
#include <vibevmm/err.h>
#include <vibevmm/json.h>
#include <vibevmm/utf8.h>

/* Longer lines are cut to this many characters around the caret. */
#define EXCERPT_MAX 96

/* An error or a warning, or in `children` a note or a help text. Everything that is shown is
 * copied when it is added, so that printing needs neither the sources nor the config. */
struct item {
	enum diag_level level;
	bool missing_file;
	uint32_t source; /* index in names */
	uint32_t line, column, length;
	char *text;	 /* sanitised; NULL: out of memory */
	char *excerpt;	 /* the line in the source, or NULL */
	char *underline; /* what stands below it */
	struct item **children;
	size_t n_children;
};

struct diags {
	struct item *items[2 * DIAG_MAX_ERRORS]; /* sorted */
	size_t n;
	struct item *last; /* what notes and help texts belong to; NULL: they are dropped */
	size_t errors, missing, warnings;
	char **names; /* of the sources, by first appearance; NULL: no source */
	uint32_t n_names;
	char *context; /* NULL: none */
};

struct diags *diags_new(void)
{
	return calloc(1, sizeof(struct diags));
}

static void item_free(struct item *item)
{
	if (!item)
		return;
	for (size_t i = 0; i < item->n_children; i++)
		item_free(item->children[i]);
	free(item->children);
	free(item->text);
	free(item->excerpt);
	free(item->underline);
	free(item);
}

void diags_free(struct diags *diags)
{
	if (!diags)
		return;
	for (size_t i = 0; i < diags->n; i++)
		item_free(diags->items[i]);
	for (uint32_t i = 0; i < diags->n_names; i++)
		free(diags->names[i]);
	free(diags->names);
	free(diags->context);
	free(diags);
}

/* ---- Text -------------------------------------------------------------------------------- */

/* A copy that is safe to send to a terminal, on one line and in UTF-8: other bytes become \xNN, and
 * so do control characters, or \uNNNN. NULL when out of memory. */
static char *sanitise(const char *text)
{
	size_t len = strlen(text), n;
	char *copy = malloc(4 * len + 1), *out = copy;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i += n) {
		uint32_t c = 0;

		n = utf8_decode(text + i, len - i, &c);
		if (n && !utf8_is_control(c)) {
			memcpy(out, text + i, n);
			out += n;
			continue;
		}
		if (c >= 0x100) {
			out += snprintf(out, 7, "\\u%04x", c); /* for three bytes */
			continue;
		}
		n = 1;
		out += snprintf(out, 5, "\\x%02x", (uint8_t)text[i]);
	}
	*out = 0;
	return copy;
}

/* The length in bytes of the line break at p, or 0. These are the breaks that YAML 1.1 counts
 * (section 5.4): LF, CR, CR LF, and the rarities NEL, LS, PS. */
static size_t line_break(const char *p, const char *end)
{
	uint32_t c = 0;
	size_t n;

	if (*p == '\r')
		return p + 1 < end && p[1] == '\n' ? 2 : 1;
	if (*p == '\n')
		return 1;
	if (*p != '\xc2' && *p != '\xe2')
		return 0; /* lines may be long: a quick look at the byte that a break starts with */
	n = utf8_decode(p, (size_t)(end - p), &c);
	return c == 0x85 || c == 0x2028 || c == 0x2029 ? n : 0;
}

/* The next character of a line; bytes that are not UTF-8 count as one each. */
static size_t next_char(const char *p, const char *end, uint32_t *c)
{
	size_t n;

	if (*p >= ' ' && *p <= '~') { /* most are; lines may be long */
		*c = (uint8_t)*p;
		return 1;
	}
	n = utf8_decode(p, (size_t)(end - p), c);
	if (!n || (utf8_is_control(*c) && *c != '\t')) {
		*c = '?';
		return n ? n : 1;
	}
	return n;
}

/* Finds the mark's line. False if it isn't there, or is blank. */
static bool find_line(const struct mark *mark, const char **start, const char **end)
{
	const char *p, *stop;
	uint32_t line = 1;
	size_t n;

	if (!mark->source || !mark->source->text || !mark->line)
		return false;
	p = mark->source->text;
	stop = p + mark->source->len;
	if (stop - p >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		p += 3; /* the byte order mark takes no column */
	while (p < stop && line < mark->line) {
		n = line_break(p, stop);
		line += n > 0;
		p += n ? n : 1;
	}
	*start = p;
	while (p < stop && !line_break(p, stop))
		p++;
	*end = p;
	while (p > *start && (p[-1] == ' ' || p[-1] == '\t'))
		p--;
	return p > *start;
}

static void add_excerpt(struct item *item, const struct mark *mark)
{
	const char *p, *end;
	uint32_t column = 0, from = 0, c, caret = mark->column ? mark->column - 1 : 0;
	size_t line_size, underline_size, n, chars = 0;
	FILE *line = NULL, *underline = NULL;

	if (!find_line(mark, &p, &end))
		return;
	for (const char *q = p; q < end && chars <= EXCERPT_MAX; q += next_char(q, end, &c))
		chars++;
	if (chars > EXCERPT_MAX && caret > EXCERPT_MAX / 2)
		from = caret - EXCERPT_MAX / 2;
	line = open_memstream(&item->excerpt, &line_size);
	underline = open_memstream(&item->underline, &underline_size);
	if (!line || !underline)
		goto out;
	if (from) {
		fputs("...", line);
		fputs("   ", underline);
	}
	for (; p < end && column < from + EXCERPT_MAX; p += n, column++) {
		char fill = column < caret ? ' ' : column == caret ? '^' : '~';

		n = next_char(p, end, &c);
		if (column < from)
			continue;
		if (c == '?')
			fputc('?', line);
		else
			fwrite(p, 1, n, line);
		if (column > caret && column - caret >= mark->length)
			continue;
		/* A tab below a tab keeps both lines in step, whatever its width. */
		if (c == '\t' && fill == ' ')
			fputc('\t', underline);
		else
			for (unsigned w = utf8_width(c), i = 0; i < w; i++)
				fputc(i && fill == '^' ? '~' : fill, underline);
	}
	if (p < end)
		fputs("...", line);
	if (column <= caret)
		fputc('^', underline); /* behind the end of the line */
out:
	if (line)
		fclose(line);
	if (underline)
		fclose(underline);
}

/* ---- Adding ------------------------------------------------------------------------------ */

/* The index of the source's name. */
static uint32_t intern(struct diags *diags, const struct source *source)
{
	char *name = source ? sanitise(source->name) : NULL;
	char **names;

	for (uint32_t i = 0; i < diags->n_names; i++) {
		const char *known = diags->names[i];

		if (known == name || (known && name && !strcmp(known, name))) {
			free(name);
			return i;
		}
	}
	names = realloc(diags->names, (diags->n_names + 1) * sizeof(*names));
	if (!names) {
		free(name);
		return UINT32_MAX;
	}
	diags->names = names;
	names[diags->n_names] = name;
	return diags->n_names++;
}

static struct item *item_new(struct diags *diags, enum diag_level level, struct mark mark,
			     const char *fmt, va_list ap)
{
	struct item *item = calloc(1, sizeof(*item));
	char *text = NULL;

	if (!item)
		return NULL;
	item->level = level;
	if (level != DIAG_HELP)
		item->source = intern(diags, mark.source);
	item->line = mark.line;
	item->column = mark.column;
	item->length = mark.length ? mark.length : 1;
	if (vasprintf(&text, fmt, ap) >= 0) {
		item->text = sanitise(text);
		free(text);
	}
	add_excerpt(item, &mark);
	return item;
}

static int compare(const struct item *a, const struct item *b)
{
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->column < b->column ? -1 : a->column > b->column;
}

static const char *words(const struct item *item)
{
	return item->text ? item->text : "(out of memory for the text)";
}

/* Files an item in its place in the order. False if it is there already. */
static bool file_item(struct diags *diags, struct item *item)
{
	size_t at = diags->n;

	for (size_t i = 0; i < diags->n; i++) {
		const struct item *other = diags->items[i];

		if (!compare(item, other) && item->level == other->level &&
		    !strcmp(words(item), words(other)))
			return false;
	}
	while (at > 0 && compare(diags->items[at - 1], item) > 0) {
		diags->items[at] = diags->items[at - 1];
		at--;
	}
	diags->items[at] = item;
	diags->n++;
	return true;
}

static void add(struct diags *diags, enum diag_level level, bool missing, struct mark mark,
		const char *fmt, va_list ap)
{
	size_t *count = level == DIAG_ERROR ? &diags->errors : &diags->warnings;
	struct item *item = NULL;

	diags->last = NULL;
	if (*count < DIAG_MAX_ERRORS) {
		item = item_new(diags, level, mark, fmt, ap);
		if (item && !file_item(diags, item)) {
			item_free(item);
			return;
		}
		diags->last = item;
	}
	(*count)++;
	diags->missing += missing;
	if (diags->context)
		diag_note(diags, MARK_NONE, "met in %s", diags->context);
}

static void add_child(struct diags *diags, enum diag_level level, struct mark mark, const char *fmt,
		      va_list ap)
{
	struct item *parent = diags->last, *item, **children;

	if (!parent)
		return;
	children = realloc(parent->children, (parent->n_children + 1) * sizeof(struct item *));
	if (!children)
		return;
	parent->children = children;
	item = item_new(diags, level, mark, fmt, ap);
	if (item)
		children[parent->n_children++] = item;
}

void diag_error(struct diags *diags, struct mark mark, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(diags, DIAG_ERROR, false, mark, fmt, ap);
	va_end(ap);
}

void diag_missing_file(struct diags *diags, struct mark mark, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(diags, DIAG_ERROR, true, mark, fmt, ap);
	va_end(ap);
}

void diag_warning(struct diags *diags, struct mark mark, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(diags, DIAG_WARNING, false, mark, fmt, ap);
	va_end(ap);
}

void diag_note(struct diags *diags, struct mark mark, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_child(diags, DIAG_NOTE, mark, fmt, ap);
	va_end(ap);
}

void diag_help(struct diags *diags, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_child(diags, DIAG_HELP, MARK_NONE, fmt, ap);
	va_end(ap);
}

void diags_context(struct diags *diags, const char *in)
{
	free(diags->context);
	diags->context = in ? strdup(in) : NULL;
}

size_t diags_errors(const struct diags *diags)
{
	return diags->errors;
}

int diags_status(const struct diags *diags)
{
	if (!diags->errors)
		return STATUS_OK;
	return diags->missing == diags->errors ? STATUS_NOINPUT : STATUS_CONFIG;
}

/* ---- Printing ---------------------------------------------------------------------------- */

static const struct {
	const char *word, *colour;
} levels[] = {
	[DIAG_ERROR] = { "error", "\33[1;31m" },
	[DIAG_WARNING] = { "warning", "\33[1;35m" },
	[DIAG_NOTE] = { "note", "\33[1;36m" },
	[DIAG_HELP] = { "help", "\33[1;32m" },
};

static const char *name_of(const struct diags *diags, const struct item *item)
{
	return item->source < diags->n_names ? diags->names[item->source] : NULL;
}

void diags_each(const struct diags *diags, void (*fn)(void *arg, const struct diag_item *item),
		void *arg)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct item *item = diags->items[i];

		fn(arg, &(struct diag_item){ item->level, name_of(diags, item), item->line,
					     item->column, item->length, words(item) });
	}
}

static void print_text(const struct diags *diags, const struct item *item, FILE *out, bool colour)
{
	const char *on = colour ? levels[item->level].colour : "";
	const char *bold = colour ? "\33[1m" : "", *off = colour ? "\33[0m" : "";
	const char *name = name_of(diags, item);

	if (item->level == DIAG_HELP) {
		fprintf(out, "  %shelp:%s %s\n", on, off, words(item));
		return;
	}
	if (name) {
		fprintf(out, "%s%s:", bold, name);
		if (item->line)
			fprintf(out, "%u:%u:", item->line, item->column);
		fprintf(out, "%s ", off);
	}
	fprintf(out, "%s%s:%s %s\n", on, levels[item->level].word, off, words(item));
	if (item->excerpt && item->underline) {
		fprintf(out, "%5u | %s\n", item->line, item->excerpt);
		fprintf(out, "      | %s%s%s\n", on, item->underline, off);
	}
	for (size_t i = 0; i < item->n_children; i++)
		print_text(diags, item->children[i], out, colour);
}

static void json_place(const struct diags *diags, const struct item *item, FILE *out)
{
	const char *name = name_of(diags, item);

	fputs("\"file\": ", out);
	if (name)
		json_quote(out, name);
	else
		fputs("null", out);
	fprintf(out, ", \"line\": %u, \"column\": %u, \"length\": %u, \"message\": ", item->line,
		item->column, item->length);
	json_quote(out, words(item));
}

static void print_json(const struct diags *diags, const struct item *item, FILE *out)
{
	const char *comma = "";

	fprintf(out, "{\"level\": \"%s\", ", levels[item->level].word);
	json_place(diags, item, out);
	fputs(", \"notes\": [", out);
	for (size_t i = 0; i < item->n_children; i++) {
		if (item->children[i]->level != DIAG_NOTE)
			continue;
		fprintf(out, "%s{", comma);
		json_place(diags, item->children[i], out);
		fputc('}', out);
		comma = ", ";
	}
	fputs("], \"help\": [", out);
	comma = "";
	for (size_t i = 0; i < item->n_children; i++) {
		if (item->children[i]->level != DIAG_HELP)
			continue;
		fputs(comma, out);
		json_quote(out, words(item->children[i]));
		comma = ", ";
	}
	fputs("]}", out);
}

void diags_print(const struct diags *diags, FILE *out, enum diag_format format, bool colour)
{
	size_t kept = diags->errors < DIAG_MAX_ERRORS ? diags->errors : DIAG_MAX_ERRORS;
	size_t more = diags->errors - kept;

	if (format == DIAG_TEXT) {
		for (size_t i = 0; i < diags->n; i++)
			print_text(diags, diags->items[i], out, colour);
		if (more)
			fprintf(out, "error: %zu more error%s not shown; mend these first\n", more,
				more == 1 ? " is" : "s are");
		return;
	}
	fputc('[', out);
	for (size_t i = 0; i < diags->n; i++) {
		fputs(i ? ",\n " : "", out);
		print_json(diags, diags->items[i], out);
	}
	if (more)
		fprintf(out,
			",\n {\"level\": \"error\", \"file\": null, \"line\": 0, \"column\": 0, "
			"\"length\": 0, \"message\": \"%zu more errors are not shown\", "
			"\"notes\": [], \"help\": []}",
			more);
	fputs("]\n", out);
}
