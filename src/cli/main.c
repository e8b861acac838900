/* main.c: the program: from argv to a command of the table. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>
#include <vibevmm/suite.h>
#include <vibevmm/timeline.h>

#include "cli.h"

static int unknown_flag(const struct cli_command *command, const char *name, size_t len)
{
	const char *names[64] = { NULL };
	const char *near;
	char flag[64];

	for (size_t i = 0; i < ARRAY_SIZE(names) - 1; i++)
		names[i] = cli_flag_at(command, i).name;
	snprintf(flag, sizeof(flag), "%.*s", (int)len, name);
	near = config_nearest(flag, names);
	return cli_usage(command, "unknown flag '--%s'%s%s%s", flag,
			 near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

/* The index of the flag that a word names, as --name, --name=value, -n or -nvalue. *value: what
 * stands behind the name, or NULL. */
static size_t find_flag(const struct cli_command *command, const char *word, const char **value)
{
	bool is_long = word[1] == '-';
	const char *equals = is_long ? strchr(word, '=') : NULL;
	size_t len = equals ? (size_t)(equals - word - 2) : strlen(word + 2), at = 0;
	struct cli_flag flag;

	*value = equals ? equals + 1 : !is_long && word[2] ? word + 2 : NULL;
	for (; (flag = cli_flag_at(command, at)).name; at++) {
		if (is_long ? strlen(flag.name) == len && !strncmp(flag.name, word + 2, len)
			    : cli_letter_at(command, at) == word[1])
			break;
	}
	return at;
}

/* One flag at argv[*i]; moves *i to its value if that is an argument of its own. */
static int parse_flag(const struct cli_command *command, int argc, char **argv, int *i,
		      struct cli_args *args)
{
	const char *word = argv[*i], *value;
	size_t at = find_flag(command, word, &value), own = 0;
	struct cli_flag flag = cli_flag_at(command, at);

	if (!flag.name && word[1] == '-')
		return unknown_flag(command, word + 2, strcspn(word + 2, "="));
	if (!flag.name)
		return cli_usage(command, "unknown flag '%s'; flags have two dashes", word);
	if (!flag.arg && value)
		return cli_usage(command, "--%s takes no value", flag.name);
	if (flag.arg && !value && *i + 1 < argc)
		value = argv[++*i];
	if (flag.arg && !value)
		return cli_usage(command, "--%s needs a value: --%s %s", flag.name, flag.name,
				 flag.arg);
	if (!value)
		value = "";
	while (command->flags && command->flags[own].name)
		own++;
	if (at >= own) {
		args->changes[args->n_changes++] =
			(struct config_change){ &config_flags()[at - own], value };
		return 0;
	}
	if (args->values[at])
		return cli_usage(command, "--%s is given twice", flag.name);
	args->values[at] = value;
	return 0;
}

static int parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args)
{
	char *help[] = { (char *)command->name };
	bool only_files = false;

	for (int i = 1; i < argc; i++) {
		int status = 0;

		if (!only_files && !strcmp(argv[i], "--"))
			only_files = true;
		else if (!only_files && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")))
			return cli_help.run(&cli_help,
					    &(struct cli_args){ .files = help, .n_files = 1 });
		else if (!only_files && argv[i][0] == '-' && argv[i][1])
			status = parse_flag(command, argc, argv, &i, args);
		else
			args->files[args->n_files++] = argv[i];
		if (status)
			return status;
	}
	if (args->n_files > command->max_files)
		return cli_usage(command, "too many arguments: '%s'",
				 args->files[command->max_files]);
	if (args->n_files < command->min_files)
		return cli_usage(command, "an argument is missing: %s", command->args);
	return command->run(command, args);
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
	struct cli_args args = { .files = argv + 1 };
	int status;

	/* No more changes than arguments. */
	args.changes = calloc((size_t)argc, sizeof(*args.changes));
	if (!args.changes) {
		log_error("out of memory");
		return STATUS_OSERR;
	}
	status = parse(command, argc, argv, &args);
	free(args.changes);
	return status;
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
	int status, skip = 1;

	suite_lab_init(argc, argv);
	timeline_begin();
	if (!hold_standard_streams())
		return STATUS_OSERR;

	if (argc < 2) {
		cli_print_usage(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		command = &cli_help;
	else if (!strcmp(argv[1], "--version"))
		command = &cli_version;
	else if (!strncmp(argv[1], "--", 2))
		command = &cli_run, skip = 0; /* as Vibe-VMM has it: flags alone */
	else
		command = cli_find(argv[1]);
	status = command ? run_command(command, argc - skip, argv + skip)
			 : cli_unknown_command(argv[1]);
	if ((fflush(stdout) || ferror(stdout)) && !status) {
		log_error("cannot write to standard output: %s", strerror(errno));
		status = STATUS_OSERR;
	}
	return status;
}
