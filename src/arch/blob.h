/* blob.h: bytes that grow: what tables are made in.
 *
 * After running out of memory nothing is added any more, and `failed` says so: it is asked once, at
 * the end. Numbers are little-endian.
 */
#ifndef ARCH_BLOB_H
#define ARCH_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
	uint8_t *bytes; /* malloc'ed, the caller's */
	size_t len, cap;
	bool failed;
};

/* Adds the n (1..8) low bytes of a value; bytes; or zeroes. */
void blob_put(struct blob *blob, size_t n, uint64_t value);
void blob_add(struct blob *blob, const void *bytes, size_t n);
void blob_zero(struct blob *blob, size_t n);

/* Zeroes until the length is a multiple of align. */
void blob_align(struct blob *blob, size_t align);

/* Overwrites n (1..8) bytes at an offset. */
void blob_set(struct blob *blob, size_t at, size_t n, uint64_t value);

/* Makes room for n zeroes at an offset; what is behind it moves up. */
void blob_insert(struct blob *blob, size_t at, size_t n);

/* Sets the byte at `sum` so that the bytes of [at, at + n) add up to 0. */
void blob_checksum(struct blob *blob, size_t at, size_t n, size_t sum);

#endif
