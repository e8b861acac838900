/* man.c: `vibevmm man`: the manual pages, in mdoc(7), as prose with tables made from the rows. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/registry.h>

#include "cli.h"
#include "man.h"
#include "rows.h"

/* ---- mdoc -------------------------------------------------------------------------------- */

/* Text such that roff changes nothing of it, with what stands in `backquotes` in bold. */
static void put(FILE *out, const char *text)
{
	bool bold = false;

	for (; *text; text++) {
		if (*text == '\\') {
			fputs("\\e", out);
		} else if (*text == '-') {
			fputs("\\-", out);
		} else if (*text == '\'') {
			fputs("\\(aq", out);
		} else if (*text == '`') {
			bold = !bold;
			fputs(bold ? "\\fB" : "\\fP", out);
		} else {
			fputc(*text, out);
		}
	}
}

/* Text to be filled, in lines of a length that mandoc's lint likes; `end` stands behind it. */
static void line(FILE *out, const char *text, const char *end)
{
	char part[80];

	while (*text) {
		size_t len = strlen(text);

		if (len > 66)
			for (len = 66; len > 1 && text[len] != ' '; len--)
				;
		snprintf(part, sizeof(part), "%.*s", (int)len, text);
		fputs(*part == '.' || *part == '\'' ? "\\&" : "", out);
		put(out, part);
		text += len + (text[len] == ' ');
		if (*text)
			fputs("\n", out);
		else
			fputs(len && text[-1] == '.' && *end == '.' ? end + 1 : end, out);
	}
	fputs("\n", out);
}

/* Runs a printer of rows.h and puts what it prints. It is text for a terminal, which is why it
 * can't go to the page as it is. */
static char *captured;
static size_t captured_len;

static FILE *capture(void)
{
	captured = NULL;
	return open_memstream(&captured, &captured_len);
}

static const char *release(FILE *stream)
{
	return !stream || fclose(stream) || !captured ? "" : captured;
}

static void put_values(FILE *out, const struct option *option)
{
	FILE *stream = capture();

	if (stream)
		rows_print_values(stream, option);
	line(out, release(stream), "");
	free(captured);
}

/* ---- The command line -------------------------------------------------------------------- */

/* The arguments of .It, where words such as "In" would be macros. */
static void put_flag(FILE *out, char letter, const char *name, const char *arg)
{
	fputs(".It ", out);
	if (letter)
		fprintf(out, "Fl \\&%c , ", letter);
	fputs("Fl \\&-", out);
	put(out, name);
	if (arg) {
		fputs(" Ar \\&", out);
		put(out, arg);
	}
	fputs("\n", out);
}

void man_commands(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct cli_command *command = cli_commands[i];
		const struct cli_flag *flag = command->flags;

		fputs(".It Cm ", out);
		put(out, command->name);
		if (command->flags)
			fputs(" Oo Ar flag No ... Oc", out);
		if (*command->args) {
			fputs(" Ar \\&", out);
			put(out, command->args);
		}
		fputs("\n", out);
		line(out, command->doc, ".");
		if (command->changes)
			fputs("It takes the flags of\n.Sx CHANGING THE CONFIG\nas well.\n", out);
		if (!flag || !flag->name)
			continue;
		fputs(".Bl -tag -width Ds\n", out);
		for (; flag->name; flag++) {
			put_flag(out, cli_letter_at(command, (size_t)(flag - command->flags)),
				 flag->name, flag->arg);
			line(out, flag->doc, ".");
		}
		fputs(".El\n", out);
	}
	fputs(".El\n", out);
}

void man_changes(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (const struct config_flag *flag = config_flags(); flag->name; flag++) {
		put_flag(out, 0, flag->name, flag->arg);
		line(out, flag->doc, ".");
	}
	fputs(".El\n", out);
}

/* ---- The config -------------------------------------------------------------------------- */

static void put_options(FILE *out, const struct config_type *type)
{
	bool top = type == config_vm_type(); /* its mappings have sections of their own */

	fputs(".Bl -tag -width Ds\n", out);
	for (const struct option *o = type->options; o && o->key; o++) {
		fputs(".It Cm ", out);
		put(out, o->key);
		fputs("\n", out);
		put_values(out, o);
		fputs(".br\n", out);
		line(out, o->doc, ".");
		if (!top && (o->kind == OPTION_MAP || o->kind == OPTION_MAPS))
			put_options(out, o->type);
	}
	fputs(".El\n", out);
}

void man_keys(FILE *out)
{
	put_options(out, config_vm_type());
}

static void put_claims(FILE *out, const struct device_row *row)
{
	fputs(".Pp\nIt claims:\n.Bl -bullet -compact\n", out);
	for (const struct claim *c = row->claims; c->name; c++) {
		FILE *stream = capture();

		if (stream) {
			fprintf(stream, "%s: ", c->name);
			rows_print_claim(stream, &row->type, c);
		}
		fputs(".It\n", out);
		line(out, release(stream), "");
		free(captured);
	}
	fputs(".El\n", out);
}

static void put_caps(FILE *out, const char *what, unsigned caps)
{
	FILE *stream;

	if (!caps)
		return;
	stream = capture();
	if (stream) {
		fprintf(stream, "%s: ", what);
		rows_print_caps(stream, caps);
	}
	line(out, release(stream), ".");
	free(captured);
}

static void put_example(FILE *out, const struct option *option, const struct config_type *type)
{
	FILE *stream = capture();

	if (stream)
		rows_print_example(stream, machine_registry(), option, type, 0);
	fputs(".Bd -literal -offset indent\n", out);
	put(out, release(stream));
	fputs(".Ed\n", out);
	free(captured);
}

static void put_type(FILE *out, const struct option *option, const struct config_type *type)
{
	const struct registry *registry = machine_registry();
	const struct device_row *device = rows_device(registry, type);
	const struct boot_row *boot = rows_boot(registry, type);
	unsigned arches = device ? device->arches : boot ? boot->arches : ARCH_ANY;
	char names[ROWS_ARCHES_MAX];

	fputs(".Ss ", out);
	line(out, type->name, "");
	line(out, type->doc, ".");
	if (arches != ARCH_ANY)
		fprintf(out, "Only on %s.\n", rows_arches(arches, names, sizeof(names)));
	if (device && device->max == 1)
		fputs("At most one in a VM.\n", out);
	else if (device && device->max)
		fprintf(out, "At most %u in a VM.\n", device->max);
	if (device) {
		put_caps(out, "Needs from the backend", device->needs);
		put_caps(out, "Uses if the backend has it", device->wants);
	}
	put_options(out, type);
	if (device && device->claims && device->claims->name)
		put_claims(out, device);
	put_example(out, option, type);
}

void man_types(FILE *out)
{
	for (const struct option *o = config_vm_type()->options; o->key; o++) {
		const struct config_type *type;
		bool choice = o->kind == OPTION_CHOICE || o->kind == OPTION_CHOICES;

		if (!choice && o->kind != OPTION_MAP)
			continue;
		fputs(".Sh ", out);
		for (const char *c = o->key; *c; c++)
			fputc(*c == '_' ? ' ' : toupper((unsigned char)*c), out);
		fputs("\n", out);
		line(out, o->doc, ".");
		if (o->kind == OPTION_MAP)
			put_options(out, o->type);
		for (size_t i = 0; choice && (type = config_choice_type(machine_registry(), o, i));
		     i++)
			put_type(out, o, type);
	}
}

/* ---- The command ------------------------------------------------------------------------- */

static int man(const struct cli_command *command, const struct cli_args *args)
{
	const char *section = args->files[0];

	for (size_t i = 0; i < sizeof(man_pages) / sizeof(man_pages[0]); i++) {
		const struct man_page *page = &man_pages[i];

		if (section[0] != '0' + page->section || section[1])
			continue;
		fputs(".\\\" Made by `vibevmm man`.\n", stdout);
		printf(".Dd %s\n.Dt %s %d\n.Os \"vibevmm %s\"\n", MAN_DATE, page->title,
		       page->section, VIBEVMM_VERSION);
		for (const struct man_part *part = page->parts; part->text || part->table; part++) {
			if (part->text)
				fputs(part->text, stdout);
			if (part->table)
				part->table(stdout);
		}
		return STATUS_OK;
	}
	return cli_usage(command, "there is no page '%s': 1 is vibevmm(1), 5 vibevmm.yaml(5)",
			 section);
}

const struct cli_command cli_man = {
	.name = "man",
	.args = "1|5",
	.doc = "Print a manual page: vibevmm(1) or vibevmm.yaml(5)",
	.min_files = 1,
	.max_files = 1,
	.run = man,
};
