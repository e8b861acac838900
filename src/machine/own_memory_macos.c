/* own_memory_macos.c: how much memory the launcher itself has. */
#include <mach/mach_init.h>
#include <mach/task.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine_private.h"

/* Bytes of these that are in memory. */
static uint64_t resident(const struct memory_slot *slot)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (size_t)(slot->size / page);
	char *pages = malloc(n ? n : 1);
	uint64_t sum = 0;

	if (pages && !mincore(slot->host, n * page, pages)) {
		for (size_t i = 0; i < n; i++)
			sum += pages[i] & MINCORE_INCORE ? page : 0;
	}
	free(pages);
	return sum;
}

uint64_t machine_own_memory(const struct machine *m)
{
	mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
	const struct memory_slot *slots;
	mach_task_basic_info_data_t info = { 0 };
	uint64_t guests = 0;
	size_t n = m && m->memory ? memory_slots(m->memory, &slots) : 0;

	if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&info, &count))
		return 0;
	for (size_t i = 0; i < n; i++)
		guests += resident(&slots[i]);
	return info.resident_size > guests ? info.resident_size - guests : 0;
}
