/* main.c: the program: subcommands, help, version. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "cli.h"

static int version_run(const struct cli_command *command, const struct cli_args *args)
{
	(void)command;
	(void)args;
	printf("vibevmm %s (%s)\n", VIBEVMM_VERSION, hv_arch_name(hv_host_arch()));
	return STATUS_OK;
}

static int help_run(const struct cli_command *command, const struct cli_args *args);

static const struct cli_command cli_version = {
	.name = "version",
	.args = "",
	.doc = "Print the version",
	.run = version_run,
};

static const struct cli_command cli_help = {
	.name = "help",
	.args = "[COMMAND]",
	.doc = "Explain a command",
	.max_files = 1,
	.run = help_run,
};

static const struct cli_command *const commands[] = {
	&cli_run,     &cli_validate, &cli_plan,	   &cli_config,
	&cli_devices, &cli_backends, &cli_version, &cli_help,
};

static const struct cli_command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[ARRAY_SIZE(commands) + 1] = { NULL };
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i]->name;
	near = config_nearest(name, names);
	fprintf(stderr, "vibevmm: unknown command '%s'", name);
	if (near)
		fprintf(stderr, "; did you mean '%s'?", near);
	fprintf(stderr, "\nSee `vibevmm help`.\n");
	return STATUS_USAGE;
}

static void print_usage(FILE *out)
{
	fprintf(out, "Usage: vibevmm COMMAND [ARGUMENT...]\n\n"
		     "Runs a virtual machine that a YAML file describes.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", commands[i]->name, commands[i]->args);
		fprintf(out, "  %-22s %s\n", left, commands[i]->doc);
	}
	fprintf(out, "\n`vibevmm help COMMAND` lists a command's flags.\n");
}

static void print_flags(const struct cli_command *command)
{
	if (!command->flags)
		return;
	printf("\nFlags:\n");
	for (const struct cli_flag *flag = command->flags; flag->name; flag++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", flag->name, flag->arg ? " " : "",
			 flag->arg ? flag->arg : "");
		printf("  %-22s %s\n", left, flag->doc);
	}
}

static int help_run(const struct cli_command *command, const struct cli_args *args)
{
	(void)command;
	if (!args->n_files) {
		print_usage(stdout);
		return STATUS_OK;
	}
	command = find(args->files[0]);
	if (!command)
		return unknown_command(args->files[0]);
	printf("Usage: vibevmm %s%s%s%s\n\n%s.\n", command->name,
	       command->flags ? " [FLAG...]" : "", *command->args ? " " : "", command->args,
	       command->doc);
	print_flags(command);
	return STATUS_OK;
}

static int unknown_flag(const struct cli_command *command, const char *name, size_t len)
{
	const char *names[CLI_MAX_FLAGS + 1] = { NULL };
	const char *near;
	char flag[64];

	for (size_t i = 0; command->flags && command->flags[i].name; i++)
		names[i] = command->flags[i].name;
	snprintf(flag, sizeof(flag), "%.*s", (int)len, name);
	near = config_nearest(flag, names);
	return cli_usage(command, "unknown flag '--%s'%s%s%s", flag,
			 near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

/* One flag at argv[*i]; moves *i to its value if that is an argument of its own. */
static int parse_flag(const struct cli_command *command, int argc, char **argv, int *i,
		      struct cli_args *args)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct cli_flag *flag = command->flags;
	const char *value = "";

	while (flag && flag->name && (strlen(flag->name) != len || strncmp(flag->name, name, len)))
		flag++;
	if (!flag || !flag->name)
		return unknown_flag(command, name, len);
	if (!flag->arg && equals)
		return cli_usage(command, "--%s takes no value", flag->name);
	if (flag->arg && equals)
		value = equals + 1;
	else if (flag->arg && *i + 1 < argc)
		value = argv[++*i];
	else if (flag->arg)
		return cli_usage(command, "--%s needs a value: --%s %s", flag->name, flag->name,
				 flag->arg);
	if (args->values[flag - command->flags])
		return cli_usage(command, "--%s is given twice", flag->name);
	args->values[flag - command->flags] = value;
	return 0;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
	char *help[] = { (char *)command->name };
	struct cli_args args = { .files = argv + 1 };
	bool only_files = false;

	for (int i = 1; i < argc; i++) {
		int status = 0;

		if (!only_files && !strcmp(argv[i], "--"))
			only_files = true;
		else if (!only_files && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")))
			return help_run(&cli_help,
					&(struct cli_args){ .files = help, .n_files = 1 });
		else if (!only_files && !strncmp(argv[i], "--", 2))
			status = parse_flag(command, argc, argv, &i, &args);
		else if (!only_files && argv[i][0] == '-' && argv[i][1])
			status = cli_usage(command, "unknown flag '%s'; flags have two dashes",
					   argv[i]);
		else
			args.files[args.n_files++] = argv[i];
		if (status)
			return status;
	}
	if (args.n_files > command->max_files)
		return cli_usage(command, "too many arguments: '%s'",
				 args.files[command->max_files]);
	if (args.n_files < command->min_files)
		return cli_usage(command, "an argument is missing: %s", command->args);
	return command->run(command, &args);
}

/* A standard stream that is closed stays closed to us, but nothing else may take its number: a
 * guest's output must not end up in a VM's file descriptor. The modes are the wrong way round on
 * purpose: reading and writing fail as if it were closed. */
static bool hold_standard_streams(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode) != fd)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct cli_command *command;
	int status;

	if (!hold_standard_streams())
		return STATUS_OSERR;

	if (argc < 2) {
		print_usage(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		command = &cli_help;
	else if (!strcmp(argv[1], "--version"))
		command = &cli_version;
	else
		command = find(argv[1]);
	status = command ? run_command(command, argc - 1, argv + 1) : unknown_command(argv[1]);
	if ((fflush(stdout) || ferror(stdout)) && !status) {
		log_error("cannot write to standard output: %s", strerror(errno));
		status = STATUS_OSERR;
	}
	return status;
}
