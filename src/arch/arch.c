/* arch.c: the table of architectures. */
#include <stddef.h>

#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>

extern const struct arch_row arch_x86_64, arch_arm64;

const struct arch_row *arch_find(enum arch arch)
{
	static const struct arch_row *const rows[] = { &arch_x86_64, &arch_arm64 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i]->arch == arch)
			return rows[i];
	}
	return NULL;
}
