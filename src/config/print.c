/* print.c: the effective configuration, as YAML that loads back to the same VM.
 *
 * Everything is there, defaults too, in the order of the rows. Paths are printed absolute, so that
 * the output works from any directory.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "loader.h"

struct printer {
	struct text text;
	char *directory; /* the current one; NULL if that has no name */
	const struct config *config;
};

static void indent(struct printer *p, unsigned depth)
{
	while (depth--)
		text_adds(&p->text, "  ");
}

/* Words and numbers that YAML readers take for something other than a text. */
static bool is_special(const char *s)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no",
					     "on",   "off",  "y",     "n" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcasecmp(s, words[i]))
			return true;
	}
	return false;
}

/* Without quotes if nobody can misread it. */
static void print_string(struct printer *p, const char *s)
{
	size_t len = strlen(s);
	bool plain = isalpha((unsigned char)*s) || *s == '/' || *s == '_';

	for (size_t i = 0; i < len && plain; i++)
		plain = isalnum((unsigned char)s[i]) || strchr("/_.=,+@-", s[i]) ||
			(s[i] == ' ' && i + 1 < len && s[i + 1] != ' ');
	if (plain && !is_special(s))
		text_add(&p->text, s, len);
	else
		text_add_quoted(&p->text, s, len);
}

static void print_path(struct printer *p, const char *path)
{
	struct text joined = { 0 };

	if (path[0] == '/' || !p->directory) {
		print_string(p, path);
		return;
	}
	text_adds(&joined, p->directory);
	text_adds(&joined, "/");
	text_add(&joined, path, strlen(path) + 1);
	if (joined.failed)
		p->text.failed = true;
	else
		print_string(p, joined.p);
	free(joined.p);
}

static void print_scalar(struct printer *p, const struct option *option, const struct node *node)
{
	/* Ports and the like are printed in hex where they were written so, sizes never. */
	bool hex = option->kind == OPTION_UINT && number_is_hex(node->text);
	const char *canon = node->canon;
	char number[NUMBER_TEXT_MAX];

	switch (option->kind) {
	case OPTION_STRING:
		print_string(p, canon);
		break;
	case OPTION_PATH:
		print_path(p, canon);
		break;
	case OPTION_BOOL:
		text_adds(&p->text, canon);
		break;
	case OPTION_ENUM:
		print_string(p, option->words[strtoul(canon, NULL, 10)]);
		break;
	default:
		text_adds(&p->text, number_text(option->kind, strtoull(canon, NULL, 10), hex,
						number, sizeof(number)));
	}
}

static void print_map(struct printer *p, const struct config_type *type, const struct node *map,
		      unsigned depth);

/* "uart16550:" and its options; the caller has written what stands before it on the line. */
static void print_choice(struct printer *p, enum choice_table table, const struct node *entry,
			 unsigned depth)
{
	const struct choices *choices = &p->config->choices[table];
	const struct node *options = entry->children[0];
	uint32_t i = 0;

	while (strcmp(choices->types[i]->name, options->key) != 0)
		i++;
	print_string(p, options->key);
	text_adds(&p->text, ":");
	print_map(p, choices->types[i], options, depth);
}

static void print_choices(struct printer *p, const struct option *option, unsigned depth)
{
	enum choice_table table = vm_choice_table(option);
	const struct choice_list *list = &p->config->lists[table];

	if (!list->n) {
		text_adds(&p->text, " []\n");
		return;
	}
	text_adds(&p->text, "\n");
	for (uint32_t i = 0; i < list->n; i++) {
		indent(p, depth + 1);
		if (option->kind == OPTION_CHOICES)
			text_adds(&p->text, "- ");
		print_choice(p, table, list->entries[i],
			     depth + (option->kind == OPTION_CHOICES ? 3 : 2));
	}
}

/* The rest of the key's line, and the options below it. */
static void print_map(struct printer *p, const struct config_type *type, const struct node *map,
		      unsigned depth)
{
	bool empty = true;

	for (const struct option *o = type->options; o && o->key; o++) {
		const struct node *child = node_get(map, o->key);
		bool scalar;

		if (!child || option_match(type, child) != o || !option_takes(o, child))
			continue;
		scalar = o->kind != OPTION_MAP && o->kind != OPTION_CHOICE &&
			 o->kind != OPTION_CHOICES;
		if (scalar && (!child->canon || (o->planned && child->is_default)))
			continue;
		if (empty && depth)
			text_adds(&p->text, "\n");
		empty = false;
		indent(p, depth);
		print_string(p, o->key);
		text_adds(&p->text, ":");
		if (o->kind == OPTION_MAP) {
			print_map(p, o->type, child, depth + 1);
		} else if (!scalar) {
			print_choices(p, o, depth);
		} else {
			text_adds(&p->text, " ");
			print_scalar(p, o, child);
			text_adds(&p->text, "\n");
		}
	}
	if (empty)
		text_adds(&p->text, " {}\n");
}

void config_print(const struct config *config, FILE *out)
{
	struct printer p = { .config = config, .directory = getcwd(NULL, 0) };

	print_map(&p, config_vm_type(), config->root, 0);
	if (p.text.failed)
		fputs("# out of memory\n", out);
	else
		fwrite(p.text.p, 1, p.text.len, out);
	free(p.text.p);
	free(p.directory);
}
