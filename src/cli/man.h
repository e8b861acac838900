/* man.h: between the prose of the manual pages and what is made from tables. Private to src/cli. */
#ifndef CLI_MAN_H
#define CLI_MAN_H

#include <stdio.h>

/* A page is a sequence of these: mdoc(7) text as it is, then a table. Either may be NULL. */
struct man_part {
	const char *text;
	void (*table)(FILE *out);
};

/* The day of the prose: what is made from tables has no date. */
#define MAN_DATE "November 22, 2026"

struct man_page {
	int section;
	const char *title;	      /* "VIBEVMM" */
	const struct man_part *parts; /* ends with two NULLs */
};

extern const struct man_page man_pages[2];

/* From the tables of the command line: commands with their flags; the flags that change a config.
 */
void man_commands(FILE *out);
void man_changes(FILE *out);

/* From the rows: the top level's keys; then a section for every key that holds more than one value,
 * with everything that may stand in it. */
void man_keys(FILE *out);
void man_types(FILE *out);

#endif
