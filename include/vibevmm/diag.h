/* diag.h: diagnostics about the user's files, each with its place.
 *
 * A `struct diags` collects errors, warnings, notes and help texts of a whole run, so that all
 * mistakes are shown at once, in the order of the file. One thread at a time.
 */
#ifndef VIBEVMM_DIAG_H
#define VIBEVMM_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A text that marks point into: a file, or a command-line flag. Need not outlive the call that
 * takes the mark: diags copy what they show. */
struct source {
	const char *name; /* as the user wrote it; printed before the line number */
	const char *text; /* for excerpts; NULL: none */
	size_t len;
};

/* A place. line 0: the file as a whole; source NULL: no place at all. */
struct mark {
	const struct source *source;
	uint32_t line;	 /* from 1 */
	uint32_t column; /* from 1, in characters */
	uint32_t length; /* characters to underline; 0 or 1: a lone caret */
};

#define MARK_NONE ((struct mark){ 0 })

enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE, DIAG_HELP };
enum diag_format { DIAG_TEXT, DIAG_JSON };

/* How many errors are kept; the rest are counted (DESIGN section 4). */
#define DIAG_MAX_ERRORS 20

struct diags;

/* NULL when out of memory. diags_free(NULL) is allowed. */
struct diags *diags_new(void);
void diags_free(struct diags *diags);

/* Add one. Notes and help texts belong to the error or warning added before them, and are dropped
 * with it when that one was beyond DIAG_MAX_ERRORS or said the same at the same place. The text is
 * one line without a full stop. Running out of memory drops the text, never the count. */
void diag_error(struct diags *diags, struct mark mark, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void diag_warning(struct diags *diags, struct mark mark, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void diag_note(struct diags *diags, struct mark mark, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void diag_help(struct diags *diags, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As diag_error, for a file that can't be opened or read: counts towards STATUS_NOINPUT. */
void diag_missing_file(struct diags *diags, struct mark mark, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* While set, each error and warning has a note that says it was met `in` this; a copy is kept. NULL
 * ends it. */
void diags_context(struct diags *diags, const char *in);

size_t diags_errors(const struct diags *diags);

/* STATUS_OK without errors; STATUS_NOINPUT if all errors are missing files; else STATUS_CONFIG. */
int diags_status(const struct diags *diags);

/* An error or warning as it was added. The texts belong to the diags. */
struct diag_item {
	enum diag_level level;
	const char *file; /* NULL: no place */
	uint32_t line, column, length;
	const char *text;
};

/* Calls fn for each error and warning that is kept, in the order of diags_print. */
void diags_each(const struct diags *diags, void (*fn)(void *arg, const struct diag_item *item),
		void *arg);

/* Prints everything, sorted by source (in order of first appearance), line and column. Text as in
 * DESIGN section 5, coloured if `colour`; JSON as one array of objects {level, file, line, column,
 * length, message, notes: [...], help: [...]}. */
void diags_print(const struct diags *diags, FILE *out, enum diag_format format, bool colour);

#endif
