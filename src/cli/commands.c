/* commands.c: the table of all commands, and the two that talk about it: help and version. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "cli.h"

static int version_run(const struct cli_command *command, const struct cli_args *args)
{
	(void)command;
	(void)args;
	printf("vibevmm %s (%s)\n", VIBEVMM_VERSION, hv_arch_name(hv_host_arch()));
	return STATUS_OK;
}

const struct cli_command cli_version = {
	.name = "version",
	.args = "",
	.doc = "Print the version",
	.run = version_run,
};

const struct cli_command *const cli_commands[] = {
	&cli_run,     &cli_test,    &cli_report_command, &cli_validate, &cli_plan,   &cli_config,
	&cli_explain, &cli_devices, &cli_keys,		 &cli_backends, &cli_doctor, &cli_lock,
	&cli_schema,  &cli_man,	    &cli_completion,	 &cli_version,	&cli_help,   NULL,
};

const struct cli_command *cli_find(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++) {
		if (!strcmp(cli_commands[i]->name, name))
			return cli_commands[i];
	}
	return NULL;
}

int cli_unknown_command(const char *name)
{
	const char *names[ARRAY_SIZE(cli_commands)] = { NULL };
	const char *near;

	for (size_t i = 0; cli_commands[i]; i++)
		names[i] = cli_commands[i]->name;
	near = config_nearest(name, names);
	fprintf(stderr, "vibevmm: unknown command '%s'", name);
	if (near)
		fprintf(stderr, "; did you mean '%s'?", near);
	else if (!access(name, F_OK))
		fprintf(stderr, "; to run that file, write `vibevmm run %s`", name);
	fprintf(stderr, "\nSee `vibevmm help`.\n");
	return STATUS_USAGE;
}

void cli_print_usage(FILE *out)
{
	fprintf(out, "Usage: vibevmm COMMAND [ARGUMENT...]\n\n"
		     "Runs a virtual machine that a YAML file describes.\n\nCommands:\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", cli_commands[i]->name, cli_commands[i]->args);
		fprintf(out, "  %-26s %s\n", left, cli_commands[i]->doc);
	}
	fprintf(out, "\n`vibevmm help COMMAND` lists a command's flags.\n");
}

static void print_flags(const struct cli_command *command)
{
	bool changes = false;

	for (size_t i = 0;; i++) {
		struct cli_flag flag = cli_flag_at(command, i);
		char left[40], letter[8] = "";

		if (!flag.name)
			break;
		if (command->changes && !changes && flag.name == config_flags()->name) {
			printf("\nFlags that change the config, in their order:\n");
			changes = true;
		} else if (!i) {
			printf("\nFlags:\n");
		}
		if (cli_letter_at(command, i))
			snprintf(letter, sizeof(letter), "-%c, ", cli_letter_at(command, i));
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag.name, flag.arg ? " " : "",
			 flag.arg ? flag.arg : "");
		printf("  %-22s %s\n", left, flag.doc);
	}
}

static int help_run(const struct cli_command *command, const struct cli_args *args)
{
	(void)command;
	if (!args->n_files) {
		cli_print_usage(stdout);
		return STATUS_OK;
	}
	command = cli_find(args->files[0]);
	if (!command)
		return cli_unknown_command(args->files[0]);
	printf("Usage: vibevmm %s%s%s%s\n\n%s.\n", command->name,
	       cli_flag_at(command, 0).name ? " [FLAG...]" : "", *command->args ? " " : "",
	       command->args, command->doc);
	print_flags(command);
	return STATUS_OK;
}

const struct cli_command cli_help = {
	.name = "help",
	.args = "[COMMAND]",
	.doc = "Explain a command",
	.max_files = 1,
	.run = help_run,
};
