/* memory.c: guest-physical memory as host mappings. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/memory.h>

#include "memory_private.h"

/* Huge pages on the hosts at hand; a guest address and its host address agree modulo this. */
#define HUGE_PAGE 0x200000ULL

struct memory {
	struct memory_slot *slots; /* sorted by gpa */
	size_t n;
	struct mapping {
		void *start;
		size_t size;
	} * mappings; /* one for each slot, in the order of memory_add */
};

struct memory *memory_new(void)
{
	return calloc(1, sizeof(struct memory));
}

void memory_free(struct memory *memory)
{
	if (!memory)
		return;
	for (size_t i = 0; i < memory->n; i++) {
		munmap(memory->mappings[i].start, memory->mappings[i].size);
		if (memory->slots[i].fd >= 0)
			close(memory->slots[i].fd);
	}
	free(memory->mappings);
	free(memory->slots);
	free(memory);
}

int memory_add(struct memory *memory, uint64_t gpa, uint64_t size, unsigned flags, struct err *err)
{
	uint64_t offset = gpa % HUGE_PAGE, total;
	struct memory_slot *slots;
	struct mapping *mappings;
	size_t i = memory->n;
	uint8_t *start;
	int fd = -1;

	slots = realloc(memory->slots, (i + 1) * sizeof(*slots));
	if (slots)
		memory->slots = slots;
	mappings = realloc(memory->mappings, (i + 1) * sizeof(*mappings));
	if (mappings)
		memory->mappings = mappings;
	if (!slots || !mappings)
		return err_errno(err, ENOMEM, STATUS_OSERR, "guest memory");
	if (bytes_add_wraps(size, 2 * HUGE_PAGE, &total))
		return err_set(err, ENOMEM, STATUS_UNAVAILABLE,
			       "guest memory of %#llx bytes is more than this host can address",
			       (unsigned long long)size);

	/* Reserve enough to choose the alignment; untouched pages cost nothing. */
	start = mmap(NULL, total, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return err_errno(err, errno, STATUS_UNAVAILABLE, "guest memory of %llu KiB",
				 (unsigned long long)(size >> 10));
	mappings[i] = (struct mapping){ start, total };
	start += (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE + offset;
	if (flags & MEMORY_SHARED) {
		fd = memory_share(start, size);
		if (fd < 0) {
			munmap(mappings[i].start, total);
			return err_errno(err, -fd, STATUS_UNAVAILABLE,
					 "shared guest memory of %llu KiB",
					 (unsigned long long)(size >> 10));
		}
	}
#ifdef MADV_HUGEPAGE
	if (size >= HUGE_PAGE)
		madvise(start, size, MADV_HUGEPAGE);
#endif
#ifdef MADV_DONTDUMP
	madvise(start, size, MADV_DONTDUMP);
#endif
	while (i > 0 && slots[i - 1].gpa > gpa) {
		slots[i] = slots[i - 1];
		i--;
	}
	assert(i == 0 || slots[i - 1].gpa + slots[i - 1].size <= gpa);
	assert(i == memory->n || gpa + size <= slots[i + 1].gpa);
	slots[i] = (struct memory_slot){ gpa, size, start, flags, fd };
	memory->n++;
	return 0;
}

size_t memory_slots(const struct memory *memory, const struct memory_slot **slots)
{
	*slots = memory->slots;
	return memory->n;
}

/* The slot that holds gpa, or NULL. There are a handful of slots. */
static const struct memory_slot *slot_at(const struct memory *memory, uint64_t gpa)
{
	for (size_t i = 0; i < memory->n; i++) {
		if (gpa >= memory->slots[i].gpa &&
		    gpa - memory->slots[i].gpa < memory->slots[i].size)
			return &memory->slots[i];
	}
	return NULL;
}

void *memory_ptr(const struct memory *memory, uint64_t gpa, uint64_t len, bool writable)
{
	const struct memory_slot *slot = slot_at(memory, gpa);

	if (!slot || !len || !bytes_inside(gpa, len, slot->gpa, slot->size))
		return NULL;
	if (writable && (slot->flags & MEMORY_READONLY))
		return NULL;
	return slot->host + (gpa - slot->gpa);
}

enum direction { OUT_OF_GUEST, INTO_GUEST, INTO_ROM };

/* Copies slot by slot; with buf NULL only checks. */
static int copy(const struct memory *memory, uint64_t gpa, void *buf, uint64_t len,
		enum direction direction)
{
	uint8_t *p = buf;

	while (len) {
		const struct memory_slot *slot = slot_at(memory, gpa);
		uint64_t n;
		uint8_t *host;

		if (!slot || (direction == INTO_GUEST && (slot->flags & MEMORY_READONLY)))
			return -EFAULT;
		host = slot->host + (gpa - slot->gpa);
		n = slot->size - (gpa - slot->gpa);
		if (n > len)
			n = len;
		if (p) {
			if (direction == OUT_OF_GUEST)
				memcpy(p, host, n);
			else
				memcpy(host, p, n);
			p += n;
		}
		len -= n;
		if (len && bytes_add_wraps(gpa, n, &gpa))
			return -EFAULT;
	}
	return 0;
}

static int checked_copy(const struct memory *memory, uint64_t gpa, void *buf, uint64_t len,
			enum direction direction)
{
	int ret = copy(memory, gpa, NULL, len, direction);

	return ret ? ret : copy(memory, gpa, buf, len, direction);
}

int memory_read(const struct memory *memory, uint64_t gpa, void *buf, uint64_t len)
{
	return checked_copy(memory, gpa, buf, len, OUT_OF_GUEST);
}

int memory_write(const struct memory *memory, uint64_t gpa, const void *buf, uint64_t len)
{
	return checked_copy(memory, gpa, (void *)buf, len, INTO_GUEST);
}

int memory_load(const struct memory *memory, uint64_t gpa, const void *buf, uint64_t len)
{
	return checked_copy(memory, gpa, (void *)buf, len, INTO_ROM);
}
