/* cli.c: the command line: tables in, a parsed command out. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "cli.h"

bool cli_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR"); /* https://no-color.org */
	const char *term = getenv("TERM");

	return isatty(fd) && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
}

int cli_usage(const struct cli_command *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vibevmm %s: ", command->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nSee `vibevmm help %s`.\n", command->name);
	return STATUS_USAGE;
}

int cli_format(const struct cli_command *command, const char *text, enum diag_format *format)
{
	if (!text || !strcmp(text, "text"))
		*format = DIAG_TEXT;
	else if (!strcmp(text, "json"))
		*format = DIAG_JSON;
	else
		return cli_usage(command, "--format is text or json, not '%s'", text);
	return 0;
}

int cli_begin(const struct cli_command *command, const char *format, struct cli_session *session)
{
	enum log_level level;
	int status = cli_format(command, format, &session->format);

	if (status)
		return status;
	session->diags = diags_new();
	if (!session->diags) {
		log_error("out of memory");
		return STATUS_OSERR;
	}
	config_settings_load(&session->settings, session->diags);
	if (diags_errors(session->diags)) {
		status = cli_report(session);
		cli_end(session);
		return status;
	}
	if (session->settings.log_level && !log_parse_level(session->settings.log_level, &level))
		log_set_level(level);
	return 0;
}

int cli_request(const struct cli_command *command, const struct cli_args *args, int i,
		const struct cli_session *session, struct config_request *request)
{
	static const char usual[] = "vm.yaml";
	bool boots = false;

	*request = (struct config_request){
		.path = i < args->n_files ? args->files[i] : NULL,
		.changes = args->changes,
		.n_changes = args->n_changes,
		.settings = &session->settings,
	};

	for (size_t k = 0; k < args->n_changes; k++)
		boots |= args->changes[k].flag->boots;
	if (!request->path && !boots) {
		request->path = !access(usual, F_OK) ? usual : NULL;
		if (!request->path && !args->n_changes)
			return cli_usage(command,
					 "name a config file (there is no %s here), or what to "
					 "boot: --kernel or --binary",
					 usual);
	}
	return 0;
}

int cli_plan_file(const struct cli_command *command, const struct cli_args *args, int i,
		  struct cli_session *session, struct config **config, struct plan **plan)
{
	struct config_request request;
	int status = cli_request(command, args, i, session, &request);

	*config = NULL;
	*plan = NULL;
	session->path = status ? NULL : request.path;
	if (!status)
		machine_plan(&request, command->here, session->diags, config, plan);
	return status;
}

struct cli_flag cli_flag_at(const struct cli_command *command, size_t i)
{
	const struct config_flag *more = config_flags();
	size_t n = 0;

	while (command->flags && command->flags[n].name) {
		if (n++ == i)
			return command->flags[i];
	}
	if (!command->changes)
		return (struct cli_flag){ 0 };
	for (i -= n; more->name && i; i--)
		more++;
	return (struct cli_flag){ more->name, more->arg, more->doc };
}

char cli_letter_at(const struct cli_command *command, size_t i)
{
	return command->letters && i < strlen(command->letters) ? command->letters[i] : 0;
}

int cli_report(const struct cli_session *session)
{
	int status = diags_status(session->diags);

	/* As data, errors are the answer; warnings beside a good answer stay words. */
	if (session->format == DIAG_JSON && status)
		diags_print(session->diags, stdout, DIAG_JSON, false);
	else
		diags_print(session->diags, stderr, DIAG_TEXT, cli_colour(STDERR_FILENO));
	return status;
}

void cli_end(struct cli_session *session)
{
	diags_free(session->diags);
	config_settings_free(&session->settings);
}
