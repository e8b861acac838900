/* err.c: filling a struct err. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <vibevmm/err.h>

static void fill(struct err *err, enum status status, const char *fmt, va_list ap)
{
	err->status = (int)status;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
}

int err_set(struct err *err, int errnum, enum status status, const char *fmt, ...)
{
	if (err) {
		va_list ap;

		va_start(ap, fmt);
		fill(err, status, fmt, ap);
		va_end(ap);
	}
	return -errnum;
}

int err_errno(struct err *err, int errnum, enum status status, const char *fmt, ...)
{
	if (err) {
		char words[128];
		size_t len;
		va_list ap;

		va_start(ap, fmt);
		fill(err, status, fmt, ap);
		va_end(ap);
		len = strlen(err->text);
		snprintf(err->text + len, sizeof(err->text) - len, ": %s",
			 strerror_r(errnum, words, sizeof(words)));
	}
	return -errnum;
}
