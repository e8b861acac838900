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
static void add_string(struct text *text, const char *s, size_t len)
{
	bool plain = isalpha((unsigned char)*s) || *s == '/' || *s == '_';

	for (size_t i = 0; i < len && plain; i++)
		plain = isalnum((unsigned char)s[i]) || strchr("/_.=,+@-", s[i]) ||
			(s[i] == ' ' && i + 1 < len && s[i + 1] != ' ');
	if (plain && !is_special(s))
		text_add(text, s, len);
	else
		text_add_quoted(text, s, len);
}

void print_value(struct text *text, const char *directory, const struct option *option,
		 const struct node *node, bool yaml)
{
	/* Ports and the like are printed in hex where they were written so, sizes never. */
	bool hex = option->kind == OPTION_UINT && number_is_hex(node->text), quoted = yaml;
	const char *canon = node->canon;
	char number[NUMBER_TEXT_MAX];
	struct text value = { 0 };

	switch (option->kind) {
	case OPTION_PATH:
		if (canon[0] != '/' && directory) {
			text_adds(&value, directory);
			text_adds(&value, "/");
		}
		break;
	case OPTION_STRING:
		break;
	case OPTION_ENUM:
		canon = option->words[strtoul(canon, NULL, 10)];
		break;
	case OPTION_BOOL:
		quoted = false;
		break;
	default:
		quoted = false;
		canon = number_text(option->kind, strtoull(canon, NULL, 10), hex, number,
				    sizeof(number));
	}
	text_add(&value, canon, strlen(canon) + 1);
	if (value.failed)
		text->failed = true;
	else if (quoted)
		add_string(text, value.p, value.len - 1);
	else
		text_add(text, value.p, value.len - 1);
	free(value.p);
}

/* The same with each '$' doubled: what is printed is read again. */
static void print_scalar(struct printer *p, const struct option *option, const struct node *node)
{
	struct text text = { 0 };

	print_value(&text, p->directory, option, node, true);
	p->text.failed |= text.failed;
	for (size_t i = 0; i < text.len && !text.failed; i++)
		text_add(&p->text, text.p[i] == '$' ? "$$" : &text.p[i], text.p[i] == '$' ? 2 : 1);
	free(text.p);
}

static void print_map(struct printer *p, const struct config_type *type, const struct node *map,
		      unsigned depth, bool entry);

/* "uart16550:" and its options; the caller has written what stands before it on the line. */
static void print_choice(struct printer *p, enum choice_table table, const struct node *entry,
			 unsigned depth)
{
	const struct choices *choices = &p->config->choices[table];
	const struct node *options = entry->children[0];
	uint32_t i = 0;

	while (strcmp(choices->types[i]->name, options->key) != 0)
		i++;
	add_string(&p->text, options->key, strlen(options->key));
	text_adds(&p->text, ":");
	print_map(p, choices->types[i], options, depth, false);
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

static void print_maps(struct printer *p, const struct config_type *type, const struct node *list,
		       unsigned depth)
{
	text_adds(&p->text, list->n_children ? "\n" : " []\n");
	for (uint32_t i = 0; i < list->n_children; i++) {
		indent(p, depth + 1);
		text_adds(&p->text, "-");
		print_map(p, type, list->children[i], depth + 2, true);
	}
}

/* The rest of the key's line, and the options below it; those of a list's entry begin behind its
 * '-'. */
static void print_map(struct printer *p, const struct config_type *type, const struct node *map,
		      unsigned depth, bool entry)
{
	bool empty = true;

	for (const struct option *o = type->options; o && o->key; o++) {
		const struct node *child = node_get(map, o->key);
		bool scalar;

		if (!child || option_match(type, child) != o || !option_takes(o, child))
			continue;
		scalar = o->kind != OPTION_MAP && o->kind != OPTION_MAPS &&
			 o->kind != OPTION_CHOICE && o->kind != OPTION_CHOICES;
		if ((scalar && !child->canon) || (o->planned && child->is_default))
			continue;
		if (empty && depth)
			text_adds(&p->text, entry ? " " : "\n");
		if (!empty || !entry)
			indent(p, depth);
		empty = false;
		add_string(&p->text, o->key, strlen(o->key));
		text_adds(&p->text, ":");
		if (o->kind == OPTION_MAP) {
			print_map(p, o->type, child, depth + 1, false);
		} else if (o->kind == OPTION_MAPS) {
			print_maps(p, o->type, child, depth);
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

	print_map(&p, config_vm_type(), config->root, 0, false);
	if (p.text.failed)
		fputs("# out of memory\n", out);
	else
		fwrite(p.text.p, 1, p.text.len, out);
	free(p.text.p);
	free(p.directory);
}
