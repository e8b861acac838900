/* log.c: the program's own messages. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

static const char *const names[] = { "none", "error", "warn", "info", "debug" };
static enum log_level current = LOG_WARN;

void log_set_level(enum log_level level)
{
	current = level;
}

enum log_level log_get_level(void)
{
	return current;
}

int log_parse_level(const char *text, enum log_level *level)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i]) || (text[0] == (char)('0' + i) && !text[1])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	size_t len;
	va_list ap;

	if (level > current)
		return;
	len = (size_t)snprintf(line, sizeof(line), "vibevmm: %s: ", names[level]);
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	len = strlen(line);
	line[len++] = '\n';
	for (size_t done = 0; done < len;) {
		struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
		ssize_t n;

		/* A reader who stalls must not hold up the program: the line is lost. */
		if (poll(&out, 1, 1000) == 0)
			break;
		n = write(STDERR_FILENO, line + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			break;
	}
}
