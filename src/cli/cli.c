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

static int parse_format(const struct cli_command *command, const char *text,
			enum diag_format *format)
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
	int status = parse_format(command, format, &session->format);

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
