/* backends.c: the table of hypervisors, and names for what they are described with. */
#include <string.h>

#include <vibevmm/backend.h>
#include <vibevmm/bytes.h>

#include "rows.h"

#define BACKEND(x) extern const struct hv_backend hv_##x;
#define ABSENT(x)  static const struct hv_backend hv_##x = { HV_ROW_##x };
#include "backends.def"
#undef BACKEND
#undef ABSENT

#define BACKEND(x) &hv_##x,
#define ABSENT(x)  &hv_##x,
static const struct hv_backend *const rows[] = {
#include "backends.def"
};
#undef BACKEND
#undef ABSENT

const struct hv_backend *const *hv_backends(size_t *n)
{
	*n = ARRAY_SIZE(rows);
	return rows;
}

const struct hv_backend *hv_backend_find(const char *name, enum arch arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i]->arch == arch && !strcmp(rows[i]->name, name))
			return rows[i];
	}
	return NULL;
}

const struct hv_backend *hv_backend_auto(enum arch arch)
{
	const struct hv_backend *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i]->arch != arch)
			continue;
		if (rows[i]->probe)
			return rows[i];
		if (!first)
			first = rows[i];
	}
	return first;
}

const char *hv_arch_name(enum arch arch)
{
	switch (arch) {
	case ARCH_X86_64:
		return "x86_64";
	case ARCH_ARM64:
		return "arm64";
	case ARCH_ANY:
		break;
	}
	return "any";
}

enum arch hv_host_arch(void)
{
#if defined(__x86_64__)
	return ARCH_X86_64;
#elif defined(__aarch64__)
	return ARCH_ARM64;
#else
#error "vibevmm runs on x86_64 and arm64 hosts"
#endif
}

const char *const hv_cap_words[] = {
	"none",
	"ports",
	"rom",
	"irq-line",
	"msi",
	"irqfd",
	"ioeventfd",
	"irqchip-split",
	"irqchip-full",
	"pit",
	"coalesce",
	"gicv2",
	"gicv3",
	"its",
	"pmu",
	"sve",
	[HV_CAP_WORD_LINUX] = "linux",
	NULL,
};
_Static_assert(HV_CAP_SVE == 1 << (HV_CAP_WORD_LINUX - 2), "hv_cap_words has a word for each bit");

const char *hv_cap_name(enum hv_cap cap)
{
	switch (cap) {
	case HV_CAP_PIO:
		return "ports";
	case HV_CAP_READONLY_MEM:
		return "read-only memory";
	case HV_CAP_IRQ_LINE:
		return "interrupt lines";
	case HV_CAP_MSI:
		return "message-signalled interrupts";
	case HV_CAP_IRQFD:
		return "irqfd";
	case HV_CAP_IOEVENTFD:
		return "ioeventfd";
	case HV_CAP_IRQCHIP_SPLIT:
		return "split interrupt controller";
	case HV_CAP_IRQCHIP_FULL:
		return "full interrupt controller";
	case HV_CAP_PIT:
		return "8254 timer";
	case HV_CAP_COALESCE:
		return "gathered writes";
	case HV_CAP_GICV2:
		return "GICv2";
	case HV_CAP_GICV3:
		return "GICv3";
	case HV_CAP_ITS:
		return "ITS";
	case HV_CAP_PMU:
		return "performance counters";
	case HV_CAP_SVE:
		return "SVE";
	}
	return "unknown capability";
}
