/* memory.h: guest-physical memory as the host sees it.
 *
 * The one way from a guest address to a host pointer. The map is built before vCPUs start and is
 * constant from then on, so look-ups need no lock. Guest memory is shared with running vCPUs: read
 * a value once, check the copy, use the copy.
 */
#ifndef VIBEVMM_MEMORY_H
#define VIBEVMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vibevmm/err.h>

struct memory;

enum {
	MEMORY_READONLY = 1 << 0, /* the guest may not write (ROM) */
	MEMORY_SHARED = 1 << 1,	  /* a memfd, so that another process can map it, too */
};

/* One range of guest-physical addresses backed by host memory. */
struct memory_slot {
	uint64_t gpa;
	uint64_t size;
	uint8_t *host;
	unsigned flags;
	int fd; /* MEMORY_SHARED: the memfd, whose offset 0 is gpa; else -1 */
};

/* NULL when out of memory. memory_free unmaps everything; NULL is allowed. */
struct memory *memory_new(void);
void memory_free(struct memory *memory);

/* Adds zeroed memory at [gpa, gpa + size), both multiples of 4 KiB, which must not overlap what is
 * there (asserted: the planner has seen to it). Host pages come on first touch, are kept out of
 * core dumps, and lie at gpa modulo 2 MiB so that huge pages fit. */
int memory_add(struct memory *memory, uint64_t gpa, uint64_t size, unsigned flags, struct err *err);

size_t memory_slots(const struct memory *memory, const struct memory_slot **slots);

/* Host pointer to [gpa, gpa + len), or NULL unless one slot holds it all. len 0 gives NULL. For a
 * write, `writable` refuses MEMORY_READONLY slots. */
void *memory_ptr(const struct memory *memory, uint64_t gpa, uint64_t len, bool writable);

/* Gives whole pages of a slot back to the host; what they held is lost, and is zeros or whatever it
 * was when the guest looks again. 0 or -errno. */
int memory_discard(const struct memory_slot *slot, void *start, size_t len);

/* Copy in or out, across adjacent slots; -EFAULT and nothing copied if any byte is outside.
 * memory_load also writes read-only slots, as whoever fills a ROM must. */
int memory_read(const struct memory *memory, uint64_t gpa, void *buf, uint64_t len);
int memory_write(const struct memory *memory, uint64_t gpa, const void *buf, uint64_t len);
int memory_load(const struct memory *memory, uint64_t gpa, const void *buf, uint64_t len);

#endif
