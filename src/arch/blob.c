/* blob.c: bytes that grow. */
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "blob.h"

#define FIRST_CAP 1024U

/* Room for n more bytes. */
static bool reserve(struct blob *blob, size_t n)
{
	size_t cap = blob->cap ? blob->cap : FIRST_CAP;
	uint8_t *bytes;

	if (blob->failed)
		return false;
	if (n <= blob->cap - blob->len)
		return true;
	while (cap - blob->len < n)
		cap *= 2;
	bytes = realloc(blob->bytes, cap);
	if (!bytes) {
		blob->failed = true;
		return false;
	}
	blob->bytes = bytes;
	blob->cap = cap;
	return true;
}

void blob_insert(struct blob *blob, size_t at, size_t n)
{
	if (!reserve(blob, n))
		return;
	memmove(blob->bytes + at + n, blob->bytes + at, blob->len - at);
	memset(blob->bytes + at, 0, n);
	blob->len += n;
}

void blob_zero(struct blob *blob, size_t n)
{
	blob_insert(blob, blob->len, n);
}

void blob_align(struct blob *blob, size_t align)
{
	blob_zero(blob, (align - blob->len % align) % align);
}

void blob_add(struct blob *blob, const void *bytes, size_t n)
{
	if (!reserve(blob, n))
		return;
	memcpy(blob->bytes + blob->len, bytes, n);
	blob->len += n;
}

void blob_put(struct blob *blob, size_t n, uint64_t value)
{
	uint8_t bytes[8];

	bytes_put(bytes, n, value);
	blob_add(blob, bytes, n);
}

void blob_set(struct blob *blob, size_t at, size_t n, uint64_t value)
{
	if (!blob->failed)
		bytes_put(blob->bytes + at, n, value);
}

void blob_checksum(struct blob *blob, size_t at, size_t n, size_t sum)
{
	unsigned total = 0;

	if (blob->failed)
		return;
	blob->bytes[sum] = 0;
	for (size_t i = 0; i < n; i++)
		total += blob->bytes[at + i];
	blob->bytes[sum] = (uint8_t)-total;
}
