/* identify.h: what a file really is, by its first bytes. For messages: "this is no ELF file but a
 * gzip file". Any thread.
 */
#ifndef BOOT_IDENTIFY_H
#define BOOT_IDENTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vibevmm/image.h>
#include <vibevmm/plan.h>

/* How much of a file identify looks at: up to ISO 9660's magic. */
#define IDENTIFY_HEAD 0x8006

struct identity {
	const char *name;   /* "a gzip file"; NULL: unknown */
	const char *help;   /* what to do with it, or NULL */
	const char *format; /* the boot format that takes it, or NULL */
	bool flat;	    /* a processor may well start at its first byte */
	enum arch arch;	    /* whose processor; 0: any, or unknown */
};

/* head: the first len bytes of the file, IDENTIFY_HEAD of them or all there are. */
struct identity identify(const void *head, size_t len);

/* What the file is. */
struct identity identify_image(const struct image *image);

/* A help text for the last diagnostic: what to do with such a file. False: no idea. */
bool identify_help(const struct plan *plan, const struct identity *identity, struct diags *diags);

#endif
