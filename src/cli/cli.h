/* cli.h: what the subcommands share. Commands and their flags are tables: help is made from them.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdio.h>

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
	struct config_change *changes; /* the flags that change the config, in order */
	size_t n_changes;
};

struct cli_command {
	const char *name;
	const char *args; /* other arguments, as the usage line shows them. Their names, and those
			   * of the flags' values, also tell completion.c what to offer: FILE,
			   * DEVICE, KEY, COMMAND, LEVEL; or the words themselves, as in a|b */
	const char *doc;
	const struct cli_flag *flags; /* ends with name NULL; NULL: none */
	bool changes; /* it takes a config, and the flags of config_flags() as well */
	bool here;    /* it plans for this host: see machine_plan */
	int min_files, max_files;
	int (*run)(const struct cli_command *command, const struct cli_args *args);
};

extern const struct cli_command cli_run, cli_validate, cli_plan, cli_config, cli_explain,
	cli_devices, cli_keys, cli_schema, cli_backends, cli_doctor, cli_lock, cli_man,
	cli_completion, cli_version, cli_help;

/* All of them, in the order of the help, then NULL. */
extern const struct cli_command *const cli_commands[];

/* By name, or NULL. */
const struct cli_command *cli_find(const char *name);

/* The i-th flag of a command, those that change a config at the end; name NULL: no more. */
struct cli_flag cli_flag_at(const struct cli_command *command, size_t i);

/* Says that there is no such command; returns STATUS_USAGE. */
int cli_unknown_command(const char *name);

void cli_print_usage(FILE *out);

/* What commands on a config file share: diagnostics, and the host's settings. */
struct cli_session {
	struct diags *diags;
	struct config_settings settings;
	enum diag_format format;
	const char *path; /* of the config that cli_plan_file loaded; NULL: none, flags alone */
};

/* Reads the value of --format, NULL for text. 0, or STATUS_USAGE after a message. */
int cli_format(const struct cli_command *command, const char *text, enum diag_format *format);

/* format: the value of --format, NULL for text. 0, or an exit status after a message. */
int cli_begin(const struct cli_command *command, const char *format, struct cli_session *session);

/* What to load: the i-th of the command line's files, with its changes. Without a file that is
 * vm.yaml, or the changes alone if they say what to boot. 0, or STATUS_USAGE after a message if
 * there is nothing to load. */
int cli_request(const struct cli_command *command, const struct cli_args *args, int i,
		const struct cli_session *session, struct config_request *request);

/* Loads and plans it: 0, with what machine_plan gives; or STATUS_USAGE and NULLs. */
int cli_plan_file(const struct cli_command *command, const struct cli_args *args, int i,
		  struct cli_session *session, struct config **config, struct plan **plan);

/* What `--target` stands for: a command line with two more changes, which set arch and backend. */
struct cli_target {
	struct cli_args args;
	struct config_change *changes; /* free them after the config */
	char arch[32], backend[32];
};

/* The row of that name ("kvm-arm64"), or NULL; and what to say then, giving STATUS_USAGE. */
const struct hv_backend *cli_target(const char *name);
int cli_target_unknown(const struct cli_command *command, const char *name);

/* Fills *target from args and a row. 0, or STATUS_OSERR after a message. */
int cli_target_args(struct cli_target *target, const struct cli_args *args,
		    const struct hv_backend *row);

/* Plans the config for every target and prints what fails on which; the exit status. */
int cli_plan_all_targets(const struct cli_command *command, const struct cli_args *args);

/* Prints the diagnostics, as text to standard error or as JSON to standard output; their exit
 * status. */
int cli_report(const struct cli_session *session);

void cli_end(struct cli_session *session);

/* Prints "vibevmm NAME: text" and the way to the help; returns STATUS_USAGE. */
int cli_usage(const struct cli_command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether to colour what goes to this file descriptor: a terminal, and NO_COLOR not set. */
bool cli_colour(int fd);

/* ---- progress.c: a bar on standard error, if that is a terminal and it takes a while -------- */

struct cli_progress {
	uint64_t start, last; /* ns; last: when the bar was drawn, 0: not yet */
	bool terminal;
};

void cli_progress_begin(struct cli_progress *progress);
void cli_progress_end(const struct cli_progress *progress);

/* A machine_progress_fn; arg is the struct cli_progress. */
void cli_progress(void *arg, const char *path, uint64_t done, uint64_t total);

/* The line that it draws after that many nanoseconds; its length. */
size_t cli_progress_text(const char *path, uint64_t done, uint64_t total, uint64_t ns, char *buf,
			 size_t len);

/* ---- lock.c --------------------------------------------------------------------------------- */

/* For `run --locked`: reports to the session every file that isn't as it was locked. 0, or an exit
 * status after a message. */
int cli_lock_check(const struct cli_command *command, struct cli_session *session,
		   const struct config *config);

#define CLI_FORMAT_FLAG                                                                            \
	{                                                                                          \
		"format", "text|json", "How to print (default: text)"                              \
	}

#endif
