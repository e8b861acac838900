/* shell.h: texts for a user to paste into a shell, and finding programs as a shell does.
 */
#ifndef VIBEVMM_SHELL_H
#define VIBEVMM_SHELL_H

#include <stdbool.h>
#include <stddef.h>

#define SHELL_QUOTE_MAX 512

/* text as one word of a POSIX shell (IEEE Std 1003.1, 2.2.2): as it is if no character of it means
 * anything to a shell, else in single quotes. What doesn't fit buf is given as FILE: a path comes
 * out of a config, and half of a quoted text would be a command of the config's. */
const char *shell_quote(const char *text, char *buf, size_t len);

/* The path of a program that may be run, in one of those folders, which stand between colons; NULL:
 * those of $PATH. False: there is none, or its path doesn't fit. */
bool shell_find(const char *name, const char *folders, char *path, size_t len);

#endif
