/* unpack_private.h: what unpack.c, unpack_stream.c and unpack_cache.c share.
 */
#ifndef BOOT_UNPACK_PRIVATE_H
#define BOOT_UNPACK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unpack.h"

/* ---- unpack_stream.c: from compressed bytes to a file -------------------------------------- */

/* The method's name ("xz") if head, the first len bytes, is one that can be unpacked; or NULL. */
const char *unpack_method(const uint8_t *head, size_t len);

/* Enough bytes for unpack_method. */
#define UNPACK_HEAD 8

/* What is to be unpacked, and to how much at most. */
struct unpack_part {
	const struct image *image;
	uint64_t offset, len, max;
};

/* Writes what the part unpacks to at the start of the empty file fd; *size is how much. Errors as
 * unpack's; *full is set if it was fd that failed. */
int unpack_stream(const struct unpack_part *part, int fd, uint64_t *size, bool *full,
		  struct err *err);

/* ---- unpack_cache.c: files in a directory -------------------------------------------------- */

#define UNPACK_NAME_MAX 160

/* The entry's name for a part of an open file; false: its identity can't be trusted. */
bool unpack_cache_key(int fd, uint64_t offset, uint64_t len, char name[UNPACK_NAME_MAX]);

/* The entry, open for reading, and its size without what the cache added; -1: there is none. */
int unpack_cache_get(int dir, const char *name, uint64_t *size);

/* A new empty file with a name of its own, open for reading and writing; or -errno. */
int unpack_cache_create(int dir, char name[UNPACK_NAME_MAX]);

/* Makes that file, of `size` bytes, the entry `name`, and drops old ones; or removes it. */
void unpack_cache_keep(int dir, const char *created, int fd, uint64_t size, const char *name);

#endif
