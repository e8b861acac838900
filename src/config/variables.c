/* variables.c: ${NAME}, ${NAME:-DEFAULT} and $$ in values.
 *
 * Filled in after composition, so that a value which another layer hides needs no variable. The
 * outcome is a text and nothing else: it is not read as YAML again.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "loader.h"

struct variable {
	const char *name;
	size_t len;
	const char *value, *whence;
	struct mark mark; /* of its name */
	bool used;
	struct variable *next;
};

/* How long the name at p is; 0: there is none. */
static size_t name_length(const char *p)
{
	size_t len = 0;

	if (isalpha((unsigned char)*p) || *p == '_')
		while (isalnum((unsigned char)p[len]) || p[len] == '_')
			len++;
	return len;
}

static void add(struct config *config, const struct variable *variable)
{
	struct variable *copy = arena_alloc(&config->arena, sizeof(*copy));

	if (!copy)
		return;
	*copy = *variable;
	copy->next = config->variables;
	config->variables = copy;
}

void variables_define(struct config *config, struct layer *layer)
{
	const char *text = layer->source.text;
	struct mark mark = { &layer->source, 1, 1, 1 };
	size_t len = name_length(text);

	if (!len || text[len] != '=') {
		mark.column += (uint32_t)len;
		diag_error(config->diags, mark, "--define takes NAME=VALUE");
		diag_help(config->diags,
			  "a name is made of letters, digits and _, and begins with no digit");
		return;
	}
	mark.length = (uint32_t)len;
	add(config, &(struct variable){ .name = text,
					.len = len,
					.value = text + len + 1,
					.whence = "from --define",
					.mark = mark });
}

void variables_set(struct config *config, struct mark mark, const char *name, struct node *value)
{
	size_t len = name_length(name);

	variables_expand(config, value);
	if (!len || name[len]) {
		diag_error(config->diags, mark, "'%s' is no name of a variable",
			   config_shown(config, name));
		diag_help(config->diags,
			  "a name is made of letters, digits and _, and begins with no digit");
	} else if (value->kind != NODE_SCALAR) {
		diag_error(config->diags, value->mark, "a variable takes a text, not %s",
			   node_kind_name(value));
		diag_help(config->diags, "name a key in the place of $%s, such as devices.root",
			  name);
	} else if (!value->bad) {
		add(config, &(struct variable){ .name = name,
						.len = len,
						.value = value->text,
						.whence = "from the case",
						.mark = mark });
	}
}

void variables_warn(struct config *config)
{
	for (const struct variable *v = config->variables; v; v = v->next) {
		if (!v->used)
			diag_warning(config->diags, v->mark, "nothing here uses ${%.*s}",
				     (int)v->len, v->name);
	}
}

/* ---- Places -------------------------------------------------------------------------------- */

/* Where the n-th '$' (from 0) of a scalar's text stands. Escapes and folded lines hide where in the
 * scalar it is, but nothing hides a '$'. (An escape that spells it, "\x24", does.) */
static struct mark dollar_mark(const struct config *config, const struct node *node, uint32_t nth,
			       size_t len)
{
	const struct source *source = node->mark.source;
	struct mark mark = { source, 1, 1, 1 };
	size_t n;
	uint32_t c = 0;

	/* Nobody sees more errors, and finding the place takes time. */
	if (!source->text || diags_errors(config->diags) >= DIAG_MAX_ERRORS)
		return node->mark;
	for (size_t i = 0; i < source->len; i += n) {
		bool inside = mark.line > node->mark.line ||
			      (mark.line == node->mark.line && mark.column >= node->mark.column);

		n = utf8_decode(source->text + i, source->len - i, &c);
		if (!n)
			break;
		if (inside && c == '$' && !nth--) {
			mark.length = (uint32_t)len;
			return mark;
		}
		if (c == '\r' && i + 1 < source->len && source->text[i + 1] == '\n')
			continue;
		/* The breaks of YAML 1.1, section 5.4. */
		if (c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029) {
			mark.line++;
			mark.column = 1;
		} else if (c != 0xfeff || i) {
			mark.column++;
		}
	}
	return node->mark;
}

/* ---- Expansion ----------------------------------------------------------------------------- */

#define MAX_ORIGINS 4

struct expansion {
	struct config *config;
	struct node *node;
	struct text text;
	const char *from;   /* which variables, for explain */
	unsigned variables; /* how many that names */
	uint32_t dollars;   /* seen so far */
};

static void note_origin(struct expansion *e, const char *name, size_t len, const char *whence)
{
	if (e->variables++ < MAX_ORIGINS)
		e->from = arena_printf(&e->config->arena, "%s%s${%.*s} %s", e->from ? e->from : "",
				       e->from ? ", " : "", (int)len, name, whence);
	else if (e->variables == MAX_ORIGINS + 2)
		e->from = arena_printf(&e->config->arena, "%s, ...", e->from ? e->from : "");
}

/* The last --define of a name holds; the others are no mistake that needs a warning. */
static const struct variable *find_defined(struct expansion *e, const char *name, size_t len)
{
	const struct variable *found = NULL;

	for (struct variable *v = e->config->variables; v; v = v->next) {
		if (v->len != len || memcmp(v->name, name, len) != 0)
			continue;
		v->used = true;
		found = found ? found : v;
	}
	return found;
}

static const char *find_in_environment(struct expansion *e, const char *name, size_t len)
{
	char *copy = arena_copy(&e->config->arena, name, len);

	return copy ? getenv(copy) : NULL;
}

/* What stands behind :-, where $$ is a dollar sign as well. */
static const char *default_value(struct expansion *e, const char *p, const char *end)
{
	char *copy = arena_copy(&e->config->arena, p, (size_t)(end - p)), *out = copy;

	for (const char *in = copy; in && *in; in++) {
		*out++ = *in;
		in += in[0] == '$' && in[1] == '$';
	}
	if (copy)
		*out = 0;
	return copy;
}

static void report_unset(struct expansion *e, const char *name, size_t len, struct mark mark)
{
	const char *words[64], *near, *key;
	struct config *config = e->config;
	const struct node *axis;
	const char *wanted = arena_copy(&config->arena, name, len);
	size_t n = 0;

	for (const struct variable *v = config->variables; v && n < 63; v = v->next)
		words[n++] = arena_copy(&config->arena, v->name, v->len);
	words[n] = NULL;
	if (!wanted || config->arena.failed)
		return;
	near = config_nearest(wanted, words);
	key = arena_printf(&config->arena, "$%s", wanted);
	axis = key ? node_get(node_get(config->cases, "matrix"), key) : NULL;
	wanted = config_shown(config, wanted);
	diag_error(config->diags, mark, "the variable '%s' is not set%s%s%s", wanted,
		   CONFIG_DID_YOU_MEAN(near));
	if (axis) {
		diag_note(config->diags, axis->key_mark, "it is set in each of these cases");
		diag_help(config->diags, "choose one by --case, or write ${%s:-DEFAULT}", wanted);
		return;
	}
	diag_help(config->diags,
		  "set it by --define %s=VALUE or in the environment, or write ${%s:-DEFAULT}",
		  wanted, wanted);
}

/* The place of the variable at hand. Looked up for messages only: it takes a walk through the file.
 */
static struct mark variable_mark(const struct expansion *e, size_t shown)
{
	return dollar_mark(e->config, e->node, e->dollars, shown);
}

/* A text in the place of a variable; false after a diagnostic. */
static bool insert(struct expansion *e, const char *name, size_t len, const char *value,
		   size_t shown)
{
	size_t size = strlen(value);

	if (utf8_check(value, size) != size) {
		diag_error(e->config->diags, variable_mark(e, shown),
			   "the value of '%.*s' is not UTF-8", len > 48 ? 48 : (int)len, name);
		return false;
	}
	e->config->expanded_bytes += size;
	if (e->config->expanded_bytes > FILE_MAX_SIZE) {
		diag_error(e->config->diags, variable_mark(e, shown),
			   "the values of the variables are longer than 1 MiB together");
		return false;
	}
	text_add(&e->text, value, size);
	return true;
}

/* `${` at p. How many bytes it takes, or 0 after a diagnostic. */
static size_t expand_one(struct expansion *e, const char *p)
{
	struct diags *diags = e->config->diags;
	const char *name = p + 2, *close = strchr(p, '}'), *value, *more, *behind, *whence;
	const struct variable *defined;
	size_t len = name_length(name);
	size_t shown = close ? (size_t)(close + 1 - p) : 2 + len;

	more = close ? strstr(name, "${") : NULL;
	if (!close || (more && more < close)) {
		diag_error(diags, variable_mark(e, shown), "%s",
			   close ? "a ${ inside of another" : "this ${ is never closed");
		diag_help(diags, "write ${NAME} or ${NAME:-DEFAULT}; $$ is a dollar sign");
		return 0;
	}
	behind = name + len;
	if (!len || (behind != close && strncmp(behind, ":-", 2) != 0)) {
		diag_error(diags, variable_mark(e, shown), "%s",
			   len ? "behind a variable's name comes } or :-"
			       : "the name of a variable begins with a letter or _");
		diag_help(diags, "write ${NAME} or ${NAME:-DEFAULT}; $$ is a dollar sign");
		return 0;
	}
	defined = find_defined(e, name, len);
	value = defined ? defined->value : find_in_environment(e, name, len);
	whence = defined ? defined->whence : "from the environment";
	/* As in a shell, what is empty takes the default too. */
	if (behind != close && (!value || !*value)) {
		value = default_value(e, behind + 2, close);
		whence = "by its default";
	}
	note_origin(e, name, len, whence);
	if (!value) {
		if (!e->config->arena.failed)
			report_unset(e, name, len, variable_mark(e, shown));
		return 0;
	}
	if (!insert(e, name, len, value, shown))
		return 0;
	for (const char *q = p; q < close; q++)
		e->dollars += *q == '$';
	return shown;
}

/* A '$' at p. How many bytes are done, or 0 after a diagnostic. */
static size_t expand_dollar(struct expansion *e, const char *p)
{
	size_t len = name_length(p + 1);

	if (p[1] == '{')
		return expand_one(e, p);
	if (len) {
		int shown = len > 48 ? 48 : (int)len;

		diag_error(e->config->diags, dollar_mark(e->config, e->node, e->dollars, len + 1),
			   "a variable needs braces: ${%.*s}", shown, p + 1);
		diag_help(e->config->diags, "or write $$%.*s, if the dollar sign is meant", shown,
			  p + 1);
		return 0;
	}
	text_adds(&e->text, "$");
	e->dollars += p[1] == '$' ? 2 : 1;
	return p[1] == '$' ? 2 : 1;
}

void variables_expand(struct config *config, struct node *node)
{
	struct expansion e = { .config = config, .node = node };
	const char *p = node->text, *end = p ? p + node->len : NULL, *dollar;

	if (node->kind != NODE_SCALAR || node->bad || !p || !memchr(p, '$', node->len))
		return;
	while ((dollar = memchr(p, '$', (size_t)(end - p)))) {
		size_t done;

		text_add(&e.text, p, (size_t)(dollar - p));
		done = expand_dollar(&e, dollar);
		if (!done) {
			node->bad = true;
			goto out;
		}
		p = dollar + done;
	}
	text_add(&e.text, p, (size_t)(end - p));
	if (e.text.failed) {
		config->arena.failed = true;
		goto out;
	}
	node->text = arena_copy(&config->arena, e.text.p ? e.text.p : "", e.text.len);
	node->len = e.text.len;
	node->plain = false;
	node->from = e.from;
	if (!node->text) {
		node->text = (char *)"";
		node->len = 0;
	}
out:
	free(e.text.p);
}

void variables_expand_all(struct config *config, struct node *node)
{
	const struct config_flag *flag = layer_of(node->mark)->flag;

	/* --cmdline and the like are taken as they are; --set is YAML. */
	if (node->kind == NODE_SCALAR && !(flag && flag->path))
		variables_expand(config, node);
	for (uint32_t i = 0; i < node->n_children; i++)
		variables_expand_all(config, node->children[i]);
}
