/* err.h: how functions fail.
 *
 * A function that can fail returns an int: 0, or a negative errno value. Where the caller needs
 * words, it passes a `struct err`, which the callee fills on failure and leaves alone on success.
 * Outputs are untouched on failure. Nothing here allocates; every function may be called from any
 * thread on its own `struct err`.
 */
#ifndef VIBEVMM_ERR_H
#define VIBEVMM_ERR_H

/* The program's exit statuses, DESIGN section 6: sysexits(3) for our own failures, 80 and up for
 * what became of the guest. 0-63 belong to the guest. */
enum status {
	STATUS_OK = 0,
	STATUS_GUEST_MAX = 63,
	STATUS_USAGE = 64,	 /* EX_USAGE: the command line is wrong */
	STATUS_CONFIG = 65,	 /* EX_DATAERR: the config is invalid */
	STATUS_NOINPUT = 66,	 /* EX_NOINPUT: a file that the config names is missing */
	STATUS_UNAVAILABLE = 69, /* EX_UNAVAILABLE: this host can't run it */
	STATUS_BUG = 70,	 /* EX_SOFTWARE: our own fault */
	STATUS_OSERR = 71,	 /* EX_OSERR: the operating system refused something */
	STATUS_SKIPPED = 77,	 /* automake's "skipped" */
	STATUS_GUEST_PANIC = 80,
	STATUS_GUEST_CRASH = 81, /* triple fault, unhandled exit */
	STATUS_GUEST_RESET = 82, /* a reset where the config calls that a failure */
	STATUS_UNMET = 90,	 /* an expectation was not met */
	STATUS_TIMEOUT = 124,	 /* as timeout(1) */
	STATUS_SIGNAL = 128,	 /* plus the signal's number */
};

struct err {
	int status;	/* enum status that the program should end with; 0: the caller decides */
	char text[512]; /* one line, no newline, no trailing full stop; always NUL-terminated */
};

/* Fills err (unless NULL) with a formatted text and the status; returns -errnum, so that
 * `return err_set(err, EINVAL, STATUS_OSERR, "...")` reads as one step. errnum is positive. */
int err_set(struct err *err, int errnum, enum status status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As err_set, and appends ": " and strerror(errnum) in words. */
int err_errno(struct err *err, int errnum, enum status status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
