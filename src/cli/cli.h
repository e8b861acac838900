/* cli.h: what the subcommands share. Commands and their flags are tables: help is made from them.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>

#include <vibevmm/diag.h>
#include <vibevmm/machine.h>

/* A flag: --name, or --name VALUE if it has an argument. */
struct cli_flag {
	const char *name;
	const char *arg; /* what its value is called in the help; NULL: it takes none */
	const char *doc;
};

#define CLI_MAX_FLAGS 16

/* A command line, taken apart. */
struct cli_args {
	const char *values[CLI_MAX_FLAGS]; /* by index in the command's flags; NULL: not given. A
					    * flag without an argument has "" */
	char **files;			   /* the other arguments, in order */
	int n_files;
};

struct cli_command {
	const char *name;
	const char *args; /* other arguments, as the usage line shows them */
	const char *doc;
	const struct cli_flag *flags; /* ends with name NULL; NULL: none */
	int min_files, max_files;
	int (*run)(const struct cli_command *command, const struct cli_args *args);
};

extern const struct cli_command cli_run, cli_validate, cli_plan, cli_config, cli_devices,
	cli_backends;

/* What commands on a config file share: diagnostics, and the host's settings. */
struct cli_session {
	struct diags *diags;
	struct config_settings settings;
	enum diag_format format;
};

/* format: the value of --format, NULL for text. 0, or an exit status after a message. */
int cli_begin(const struct cli_command *command, const char *format, struct cli_session *session);

/* Prints the diagnostics, as text to standard error or as JSON to standard output; their exit
 * status. */
int cli_report(const struct cli_session *session);

void cli_end(struct cli_session *session);

/* Prints "vibevmm NAME: text" and the way to the help; returns STATUS_USAGE. */
int cli_usage(const struct cli_command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether to colour what goes to this file descriptor: a terminal, and NO_COLOR not set. */
bool cli_colour(int fd);

#define CLI_FORMAT_FLAG                                                                            \
	{                                                                                          \
		"format", "text|json", "How to print (default: text)"                              \
	}

#endif
