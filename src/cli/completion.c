/* completion.c: `vibevmm completion`: what Tab does in bash, zsh and fish, made from the tables.
 *
 * What an argument may be is told by how the tables call it: a|b are words, FILE is a file, and a
 * few names stand for lists.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/registry.h>

#include "cli.h"

enum what { NOTHING, WORDS, FILES, CONFIGS };

/* ---- What to offer ----------------------------------------------------------------------- */

static void device_words(FILE *out)
{
	const struct registry *registry = machine_registry();

	for (size_t i = 0; i < registry->n_devices; i++)
		fprintf(out, " %s", registry->devices[i]->type.name);
}

static void command_words(FILE *out)
{
	for (size_t i = 0; cli_commands[i]; i++)
		fprintf(out, " %s", cli_commands[i]->name);
}

static void target_words(FILE *out)
{
	const struct hv_backend *const *rows;
	size_t n;

	rows = hv_backends(&n);
	for (size_t i = 0; i < n; i++)
		fprintf(out, " %s-%s", rows[i]->name, hv_arch_name(rows[i]->arch));
	fputs(" all", out);
}

static void level_words(FILE *out)
{
	fputs(" none error warn info debug", out);
}

/* Paths of keys: those of the top level, and one deeper. */
static void key_words(FILE *out)
{
	const struct config_type *type;

	for (const struct option *o = config_vm_type()->options; o->key; o++) {
		bool choice = o->kind == OPTION_CHOICE || o->kind == OPTION_CHOICES;

		if (o == config_vm_type()->options || strcmp(o[-1].key, o->key) != 0)
			fprintf(out, " %s", o->key);
		for (size_t i = 0; choice && (type = config_choice_type(machine_registry(), o, i));
		     i++)
			fprintf(out, " %s.%s", o->key, type->name);
		for (const struct option *in = o->kind == OPTION_MAP ? o->type->options : NULL;
		     in && in->key; in++)
			fprintf(out, " %s.%s", o->key, in->key);
	}
}

static const struct {
	const char *name;
	void (*print)(FILE *out);
} lists[] = {
	{ "DEVICE", device_words }, { "COMMAND", command_words }, { "TARGET", target_words },
	{ "LEVEL", level_words },   { "KEY", key_words },
};

/* What an argument is that the tables call `name`, such as "[FILE...]"; a file is a config if it is
 * a command's own argument. *words is malloc'ed, words with blanks before them, or NULL. */
static enum what offer(const char *name, bool flag, char **words)
{
	size_t len, skip = strspn(name, "["), size;
	FILE *out;

	*words = NULL;
	name += skip;
	len = strcspn(name, "]. ");
	if (len == 4 && (!strncmp(name, "FILE", 4) || !strncmp(name, "PATH", 4)))
		return flag ? FILES : CONFIGS;
	if (strstr(name, " FILE")) /* behind a word */
		return FILES;
	out = open_memstream(words, &size);
	if (!out)
		return NOTHING;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (strlen(lists[i].name) == len && !strncmp(lists[i].name, name, len))
			lists[i].print(out);
	}
	if (memchr(name, '|', len)) {
		fputc(' ', out);
		for (size_t i = 0; i < len; i++)
			fputc(name[i] == '|' ? ' ' : name[i], out);
	}
	fclose(out);
	return *words && **words ? WORDS : NOTHING;
}

/* Text inside of single quotes; `escaped` characters get a backslash, a quote `quote` instead. */
static void put_quoted(const char *text, const char *escaped, const char *quote)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs(quote, stdout);
		else
			printf("%s%c", strchr(escaped, *text) ? "\\" : "", *text);
	}
}

/* ---- bash -------------------------------------------------------------------------------- */

static const char bash_begin[] =
	"# vibevmm completion for bash, made by `vibevmm completion bash`.\n"
	"_vibevmm_words() {\n"
	"	local word\n"
	"	while IFS= read -r word; do\n"
	"		COMPREPLY+=(\"$word\")\n"
	"	done < <(compgen -W \"$1\" -- \"$cur\")\n"
	"}\n"
	"\n"
	"_vibevmm_files() {\n"
	"	local name\n"
	"	compopt -o filenames 2>/dev/null\n"
	"	while IFS= read -r name; do\n"
	"		# shellcheck disable=SC2053 # a pattern\n"
	"		if [[ -d $name || $name == $1 ]]; then COMPREPLY+=(\"$name\"); fi\n"
	"	done < <(compgen -f -- \"$cur\")\n"
	"}\n"
	"\n"
	"_vibevmm() {\n"
	"	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"	local command=${COMP_WORDS[1]}\n"
	"	COMPREPLY=()\n"
	"	# --flag=value is three words.\n"
	"	if [[ $cur == = ]]; then cur=\n"
	"	elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
	"	# Flags without a command are those of run.\n"
	"	if [[ $command == -* ]]; then command=run\n"
	"	elif ((COMP_CWORD == 1)); then command=; fi\n"
	"	case \"$command $prev\" in\n";

static const char bash_end[] = "	esac\n"
			       "}\n"
			       "complete -F _vibevmm vibevmm\n";

/* The action for one argument. */
static void bash_action(const char *name, bool flag)
{
	char *words;

	switch (offer(name, flag, &words)) {
	case WORDS:
		printf("_vibevmm_words '%s'", words + 1);
		break;
	case FILES:
		fputs("_vibevmm_files '*'", stdout);
		break;
	case CONFIGS:
		fputs("_vibevmm_files '*.yaml'", stdout);
		break;
	case NOTHING:
		fputs(":", stdout);
		break;
	}
	free(words);
}

static void bash_flags(const struct cli_command *command)
{
	struct cli_flag flag;
	size_t i;

	printf("	'%s -'*) _vibevmm_words '", command->name);
	for (i = 0; (flag = cli_flag_at(command, i)).name; i++)
		printf("--%s ", flag.name);
	fputs("--help' ;;\n", stdout);
}

static void bash(void)
{
	struct cli_flag flag;

	fputs(bash_begin, stdout);
	for (size_t c = 0; cli_commands[c]; c++) {
		for (size_t i = 0; (flag = cli_flag_at(cli_commands[c], i)).name; i++) {
			if (!flag.arg)
				continue;
			printf("	'%s --%s') ", cli_commands[c]->name, flag.name);
			bash_action(flag.arg, true);
			fputs("; return ;;\n", stdout);
		}
	}
	fputs("	esac\n	case \"$command $cur\" in\n", stdout);
	fputs("	' '*) _vibevmm_words '", stdout);
	command_words(stdout);
	fputs("' ;;\n", stdout);
	for (size_t c = 0; cli_commands[c]; c++) {
		bash_flags(cli_commands[c]);
		printf("	'%s '*) ", cli_commands[c]->name);
		bash_action(cli_commands[c]->args, false);
		fputs(" ;;\n", stdout);
	}
	fputs(bash_end, stdout);
}

/* ---- zsh --------------------------------------------------------------------------------- */

static const char zsh_begin[] =
	"#compdef vibevmm\n"
	"# vibevmm completion for zsh, made by `vibevmm completion zsh`.\n"
	"_vibevmm() {\n"
	"	local -a commands\n"
	"	local command=${words[2]}\n"
	"	if [[ $command == -* ]]; then\n"
	"		command=run # flags without a command are those of run\n"
	"	elif (( CURRENT == 2 )); then\n"
	"		commands=(\n";

static const char zsh_end[] = "	esac\n"
			      "}\n"
			      "\n"
			      "if [[ ${funcstack[1]} == _vibevmm ]]; then _vibevmm \"$@\"; else "
			      "compdef _vibevmm vibevmm; fi\n";

/* ":NAME:ACTION" of _arguments. */
static void zsh_action(const char *name, bool flag)
{
	char *words;
	enum what what = offer(name, flag, &words);

	putchar(':');
	put_quoted(name, ":", "");
	switch (what) {
	case WORDS:
		printf(":(%s)", words + 1);
		break;
	case FILES:
		fputs(":_files", stdout);
		break;
	case CONFIGS:
		fputs(":_files -g \"*.yaml\"", stdout);
		break;
	case NOTHING:
		fputs(": ", stdout);
		break;
	}
	free(words);
}

static void zsh(void)
{
	struct cli_flag flag;

	fputs(zsh_begin, stdout);
	for (size_t c = 0; cli_commands[c]; c++) {
		printf("			'%s:", cli_commands[c]->name);
		put_quoted(cli_commands[c]->doc, "", "'\\''");
		fputs("'\n", stdout);
	}
	fputs("		)\n		_describe command commands\n		return\n"
	      "	else\n		shift words\n		(( CURRENT-- ))\n	fi\n"
	      "	case $command in\n",
	      stdout);
	for (size_t c = 0; cli_commands[c]; c++) {
		const struct cli_command *command = cli_commands[c];

		printf("	%s)\n		_arguments", command->name);
		for (size_t i = 0; (flag = cli_flag_at(command, i)).name; i++) {
			printf(" \\\n			'*--%s%s[", flag.name, flag.arg ? "=" : "");
			put_quoted(flag.doc, "[]:\\", "'\\''");
			putchar(']');
			if (flag.arg)
				zsh_action(flag.arg, true);
			putchar('\'');
		}
		if (*command->args) {
			fputs(" \\\n			'*", stdout);
			zsh_action(command->args, false);
			putchar('\'');
		}
		fputs(" ;;\n", stdout);
	}
	fputs(zsh_end, stdout);
}

/* ---- fish -------------------------------------------------------------------------------- */

/* "-x -a WORDS" and the like; for a flag's value or a command's arguments. */
static void fish_action(const char *name, bool flag)
{
	char *words;

	switch (offer(name, flag, &words)) {
	case WORDS:
		printf(" -x -a '%s'", words + 1);
		break;
	case FILES:
		fputs(" -r -F", stdout);
		break;
	case CONFIGS:
		fputs(" -k -a '(__fish_complete_suffix .yaml)'", stdout);
		break;
	case NOTHING:
		fputs(" -x", stdout);
		break;
	}
	free(words);
}

static void fish(void)
{
	struct cli_flag flag;

	fputs("# vibevmm completion for fish, made by `vibevmm completion fish`.\n"
	      "complete -c vibevmm -f\n",
	      stdout);
	for (size_t c = 0; cli_commands[c]; c++) {
		const struct cli_command *command = cli_commands[c];

		printf("complete -c vibevmm -n __fish_use_subcommand -a %s -d '", command->name);
		put_quoted(command->doc, "\\", "\\'");
		fputs("'\n", stdout);
		for (size_t i = 0; (flag = cli_flag_at(command, i)).name; i++) {
			/* Flags without a command are those of run. */
			printf("complete -c vibevmm -n '%s__fish_seen_subcommand_from %s' -l %s",
			       command == &cli_run ? "__fish_use_subcommand; or " : "",
			       command->name, flag.name);
			if (flag.arg)
				fish_action(flag.arg, true);
			fputs(" -d '", stdout);
			put_quoted(flag.doc, "\\", "\\'");
			fputs("'\n", stdout);
		}
		if (!*command->args)
			continue;
		printf("complete -c vibevmm -n '__fish_seen_subcommand_from %s'", command->name);
		fish_action(command->args, false);
		putchar('\n');
	}
}

/* ---- The command ------------------------------------------------------------------------- */

static int completion(const struct cli_command *command, const struct cli_args *args)
{
	const char *shell = args->files[0];

	if (!strcmp(shell, "bash"))
		bash();
	else if (!strcmp(shell, "zsh"))
		zsh();
	else if (!strcmp(shell, "fish"))
		fish();
	else
		return cli_usage(command, "there is no completion for '%s': bash, zsh or fish",
				 shell);
	return STATUS_OK;
}

const struct cli_command cli_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.doc = "Print completion for a shell: source <(vibevmm completion bash)",
	.min_files = 1,
	.max_files = 1,
	.run = completion,
};
