/* memory_private.h: what guest memory takes of the host's kernel. */
#ifndef BASE_MEMORY_PRIVATE_H
#define BASE_MEMORY_PRIVATE_H

#include <stdint.h>

/* A file of that size in place of the pages at start. It can't shrink, so that whoever else has it
 * can't make us touch pages that are gone. Its descriptor, or -errno. */
int memory_share(uint8_t *start, uint64_t size);

#endif
