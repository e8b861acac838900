/* own_memory_linux.c: how much memory the launcher itself has. */
#include <inttypes.h>

#include "machine_private.h"

static bool is_guests(const struct machine *m, uint64_t start, uint64_t end)
{
	const struct memory_slot *slots;
	size_t n = m && m->memory ? memory_slots(m->memory, &slots) : 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t host = (uintptr_t)slots[i].host;

		if (start < host + slots[i].size && host < end)
			return true;
	}
	return false;
}

/* The kernel counts page by page here; its totals in /proc/self/status are estimates on machines of
 * many CPUs, and have the guest's memory in them. */
uint64_t machine_own_memory(const struct machine *m)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	uint64_t start, end, kib, sum = 0;
	bool guests = false;
	char line[256];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			guests = is_guests(m, start, end);
		else if (!guests && sscanf(line, "Rss: %" SCNu64, &kib) == 1)
			sum += kib * 1024;
	}
	fclose(file);
	return sum;
}
