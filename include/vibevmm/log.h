/* log.h: messages about the program's own doing, on standard error.
 *
 * Not for config mistakes (diag.h) and not for guest output (host.h). Lines are
 * "vibevmm: level: text". Any thread; a line is written with one write(2), so lines don't mix.
 */
#ifndef VIBEVMM_LOG_H
#define VIBEVMM_LOG_H

enum log_level { LOG_NONE, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Default: LOG_WARN. Set once, before threads start. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Takes "0".."4" or "none", "error", "warn", "info", "debug". 0, or -EINVAL. */
int log_parse_level(const char *text, enum log_level *level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
