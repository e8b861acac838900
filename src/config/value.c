/* value.c: checking one scalar by its row, and writing down its canonical text. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "loader.h"

static const char *const bool_words[] = { "true", "false", "yes", "no", "on", "off", NULL };

struct check {
	struct config *config;
	const struct config_type *type;
	const struct option *option;
	struct node *node;
};

static const char *label(const struct check *c)
{
	return option_label(c->config, c->type, c->option->key);
}

static const char *shown(const struct check *c)
{
	return config_shown(c->config, c->node->text);
}

/* The index of the node's text in words, or -1 after a diagnostic. */
static int check_word(const struct check *c, const char *const *words)
{
	struct diags *diags = c->config->diags;
	const char *near;

	for (int i = 0; words[i]; i++) {
		if (!strcmp(words[i], c->node->text))
			return i;
	}
	near = config_nearest(c->node->text, words);
	if (near)
		diag_error(diags, c->node->mark, "%s can't be '%s'; did you mean '%s'?", label(c),
			   shown(c), near);
	else
		diag_error(diags, c->node->mark, "%s can't be '%s'", label(c), shown(c));
	diag_help(diags, "it is one of: %s", config_word_list(c->config, words));
	return -1;
}

bool value_is_false(const char *text)
{
	for (unsigned i = 1; i < ARRAY_SIZE(bool_words) - 1; i += 2) {
		if (!strcmp(text, bool_words[i]))
			return true;
	}
	return false;
}

static bool check_bool(const struct check *c)
{
	int i = check_word(c, bool_words);

	if (i >= 0)
		c->node->canon = i % 2 ? "false" : "true";
	return i >= 0;
}

static bool check_enum(const struct check *c)
{
	int i = check_word(c, c->option->words);

	if (i >= 0)
		c->node->canon = arena_printf(&c->config->arena, "%d", i);
	return i >= 0;
}

static uint64_t largest(const struct option *option)
{
	uint64_t member = option->kind == OPTION_DURATION ? UINT64_MAX : bytes_ones(option->size);

	return option->max && option->max < member ? option->max : member;
}

static void report_range(const struct check *c)
{
	const struct option *o = c->option;
	bool hex = number_is_hex(c->node->text);
	char low[NUMBER_TEXT_MAX], high[NUMBER_TEXT_MAX];

	number_text(o->kind, o->min, hex, low, sizeof(low));
	number_text(o->kind, largest(o), hex, high, sizeof(high));
	if (o->min && o->max)
		diag_error(c->config->diags, c->node->mark, "%s is %s; it must be from %s to %s",
			   label(c), shown(c), low, high);
	else
		diag_error(c->config->diags, c->node->mark, "%s is %s; it must be at %s %s",
			   label(c), shown(c), o->min ? "least" : "most", o->min ? low : high);
	if (o->kind == OPTION_SIZE && !hex && o->min > 1 && strcmp(c->node->text, "0") != 0 &&
	    !c->node->text[strspn(c->node->text, "0123456789")])
		diag_help(c->config->diags,
			  "without a unit it counts bytes; %sM would be mebibytes", c->node->text);
}

static void report_alignment(const struct check *c, uint64_t value)
{
	const struct option *o = c->option;
	uint64_t below = value - value % o->align, above;
	bool hex = number_is_hex(c->node->text);
	char text[NUMBER_TEXT_MAX];

	diag_error(c->config->diags, c->node->mark, "%s is %s; it must be a multiple of %s",
		   label(c), shown(c),
		   o->kind == OPTION_UINT ? number_text(o->kind, o->align, hex, text, sizeof(text))
					  : config_size_text(o->align, text, sizeof(text)));
	if (below >= o->min)
		diag_help(c->config->diags, "the next one below is %s",
			  number_text(o->kind, below, hex, text, sizeof(text)));
	if (!bytes_add_wraps(below, o->align, &above) && above <= largest(o))
		diag_help(c->config->diags, "the next one above is %s",
			  number_text(o->kind, above, hex, text, sizeof(text)));
}

/* Decimal digits, without the price of printf: a large file has many numbers. */
static char *decimal(struct arena *arena, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return arena_copy(arena, digits + n, sizeof(digits) - n);
}

static bool check_number(const struct check *c)
{
	const struct option *o = c->option;
	const char *why = NULL;
	char hint[80];
	uint64_t value;

	if (config_number(o->kind, c->node->text, &value, &why)) {
		diag_error(c->config->diags, c->node->mark, "'%s' for %s: %s", shown(c), label(c),
			   why);
		if (number_hint(o->kind, c->node->text, hint, sizeof(hint)))
			diag_help(c->config->diags, "%s", hint);
		else if (!strcmp(c->node->text, "auto"))
			diag_help(c->config->diags, "leave it out, and one is chosen");
		return false;
	}
	if (o->kind == OPTION_IRQ && value == OPTION_IRQ_NONE) {
		/* Outside of every range, and allowed. */
	} else if (value < o->min || value > largest(o)) {
		report_range(c);
		return false;
	} else if (o->align && value % o->align) {
		report_alignment(c, value);
		return false;
	}
	c->node->canon = decimal(&c->config->arena, value);
	return true;
}

static bool check_length(const struct check *c)
{
	const struct option *o = c->option;
	size_t len = c->node->len;

	if (len >= o->min && (!o->max || len <= o->max))
		return true;
	if (!len)
		diag_error(c->config->diags, c->node->mark,
			   "%s is empty; write a text, or delete the line", label(c));
	else if (!o->min)
		diag_error(c->config->diags, c->node->mark,
			   "%s is %zu bytes long; it takes at most %" PRIu64, label(c), len,
			   o->max);
	else
		diag_error(c->config->diags, c->node->mark,
			   "%s is %zu bytes long; it takes from %" PRIu64 " to %" PRIu64, label(c),
			   len, o->min, o->max ? o->max : UINT32_MAX);
	return false;
}

/* Where a relative path leads: beside the file that names it, or into a directory of images. */
static const char *resolve(struct config *config, const struct node *node)
{
	const char *path = node->text;
	const char *joined =
		arena_printf(&config->arena, "%s%s", layer_of(node->mark)->directory, path);
	const char *images = config->settings ? config->settings->images : NULL;

	if (!joined || !images || !access(joined, F_OK))
		return joined;
	while (*images) {
		int len = (int)strcspn(images, ":");
		const char *candidate = arena_printf(&config->arena, "%.*s/%s", len, images, path);

		if (len && candidate && !access(candidate, F_OK))
			return candidate;
		images += len + (images[len] == ':');
	}
	return joined;
}

static bool check_path(const struct check *c)
{
	if (!c->node->len) {
		diag_error(c->config->diags, c->node->mark, "%s is empty; it names a file",
			   label(c));
		return false;
	}
	if (!strncmp(c->node->text, "~/", 2)) {
		diag_error(c->config->diags, c->node->mark,
			   "%s begins with '~', which only shells know", label(c));
		diag_help(c->config->diags, "write ${HOME}%s", c->node->text + 1);
		return false;
	}
	c->node->canon = c->node->text[0] == '/' ? c->node->text : resolve(c->config, c->node);
	return true;
}

static bool check_string(const struct check *c)
{
	const char *words[BACKEND_WORDS_MAX];

	if (!check_length(c))
		return false;
	/* Which backends there are is known to their table alone. */
	if (c->option->text == TEXT_BACKEND && !config_backend_known(c->node->text)) {
		config_backend_words(words, BACKEND_WORDS_MAX);
		check_word(c, words);
		return false;
	}
	if (c->option->text != TEXT_ANY)
		return form_check(c->config, c->type, c->option, c->node);
	c->node->canon = c->node->text;
	return true;
}

static bool check(const struct check *c)
{
	if (node_is_null(c->node)) {
		diag_error(c->config->diags, node_place(c->node), "%s has no value", label(c));
		diag_help(c->config->diags, "write %s%s, or delete the line",
			  option_expects(c->config, c->option),
			  c->option->kind == OPTION_STRING && c->node->len ? " in quotes" : "");
		return false;
	}
	switch (c->option->kind) {
	case OPTION_BOOL:
		return check_bool(c);
	case OPTION_ENUM:
		return check_enum(c);
	case OPTION_STRING:
		return check_string(c);
	case OPTION_PATH:
		return check_path(c);
	default:
		return check_number(c);
	}
}

bool value_check(struct config *config, const struct config_type *type, const struct option *option,
		 struct node *node)
{
	struct check c = { config, type, option, node };
	struct node *fallback;

	if (!node->bad && check(&c))
		return true;
	/* Whoever uses the value nevertheless gets the default. */
	node->bad = true;
	if (option->def && !node->is_default) {
		fallback = node_new(&config->arena, NODE_SCALAR, node->mark);
		if (!fallback)
			return false;
		fallback->text = (char *)option->def;
		fallback->len = strlen(option->def);
		fallback->is_default = true;
		if (value_check(config, type, option, fallback))
			node->canon = fallback->canon;
	}
	return false;
}
