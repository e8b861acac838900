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

#define CLI_MAX_FLAGS 32

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
			   * of the flags' values, also tell completion.c what to offer: FILE or
			   * PATH, DEVICE, KEY, COMMAND, LEVEL; or the words themselves: a|b */
	const char *doc;
	const struct cli_flag *flags; /* ends with name NULL; NULL: none */
	const char *letters; /* short forms of its first flags: "kj" for -k and -j; NULL: none */
	bool changes;	     /* it takes a config, and the flags of config_flags() as well */
	bool here;	     /* it plans for this host: see machine_plan */
	int min_files, max_files;
	int (*run)(const struct cli_command *command, const struct cli_args *args);
};

extern const struct cli_command cli_run, cli_validate, cli_plan, cli_config, cli_explain,
	cli_devices, cli_keys, cli_schema, cli_backends, cli_doctor, cli_lock, cli_man, cli_test,
	cli_completion, cli_version, cli_help, cli_report_command;

/* All of them, in the order of the help, then NULL. */
extern const struct cli_command *const cli_commands[];

/* By name, or NULL. */
const struct cli_command *cli_find(const char *name);

/* The i-th flag of a command, those that change a config at the end; name NULL: no more. */
struct cli_flag cli_flag_at(const struct cli_command *command, size_t i);

/* The short form of the i-th flag, 0: none. */
char cli_letter_at(const struct cli_command *command, size_t i);

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

/* ---- test_progress.c: what `vibevmm test` says while it runs -------------------------------- */

struct suite;
struct suite_result;
struct suite_run;

struct cli_test_progress {
	const struct suite *suite;
	bool quiet; /* no lines, for standard output is a report's */
	bool live;  /* there is a terminal, whose last line shows how far it is */
	bool colour;
	bool drawn;	      /* that line is there */
	bool gap;	      /* the last line printed is blank */
	uint64_t begin, last; /* ns; last: when the line was drawn */
	char **running; /* names of cases that run now, borrowed, by index of the case, or NULL */
	size_t done, failed;
	uint64_t known_done; /* ns that those done were known to take */
};

/* 0 or -ENOMEM. */
int cli_test_progress_begin(struct cli_test_progress *p, const struct suite *suite, bool quiet);

/* The three calls of struct suite_options. */
void cli_test_begun(void *arg, size_t index);
void cli_test_ended(void *arg, const struct suite_result *result);
void cli_test_tick(void *arg);

/* The closing line. Frees. */
void cli_test_progress_end(struct cli_test_progress *p, const struct suite_run *run);

/* ---- report.c: the files that `test` and `report` write -------------------------------------- */

enum { CLI_REPORT_JUNIT, CLI_REPORT_JSON, CLI_REPORT_HTML, CLI_REPORTS };

struct cli_reports {
	const char *paths[CLI_REPORTS]; /* NULL: not wanted; "-": standard output */
	FILE *files[CLI_REPORTS];
	bool tap; /* standard output is TAP's */
};

/* 0, or STATUS_OSERR or STATUS_USAGE after a message. Close them also after that. */
int cli_reports_open(struct cli_reports *reports);
int cli_reports_write(const struct cli_reports *reports, const struct suite_run *run);
void cli_reports_close(struct cli_reports *reports);

/* ---- lock.c --------------------------------------------------------------------------------- */

/* For `run --locked`: reports to the session every file that isn't as it was locked. 0, or an exit
 * status after a message. */
int cli_lock_check(const struct cli_command *command, struct cli_session *session,
		   const struct config *config);

/* ---- timeline.c: the process's timeline, as bars in 80 columns ------------------------------- */

void cli_print_timeline(FILE *out);

#define CLI_FORMAT_FLAG                                                                            \
	{                                                                                          \
		"format", "text|json", "How to print (default: text)"                              \
	}

#endif
