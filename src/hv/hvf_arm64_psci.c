/* hvf_arm64_psci.c: calls of a guest to its firmware, which is us: PSCI (Arm DEN0022) 1.1 by the
 * SMC Calling Convention (Arm DEN0028) 1.1. */
#include "hvf.h"
#include "psci.h"

/* DEN0022, 5.1: Aff3 in bits 39:32, Aff2 to Aff0 in 23:0; the others are zero. */
#define AFFINITY_BITS 0xff00ffffffULL

static const uint32_t functions[] = {
	PSCI_VERSION,
	PSCI_CPU_SUSPEND,
	PSCI_CPU_SUSPEND & ~PSCI_64,
	PSCI_CPU_OFF,
	PSCI_CPU_ON,
	PSCI_CPU_ON & ~PSCI_64,
	PSCI_AFFINITY_INFO,
	PSCI_AFFINITY_INFO & ~PSCI_64,
	PSCI_MIGRATE_INFO_TYPE,
	PSCI_SYSTEM_OFF,
	PSCI_SYSTEM_RESET,
	PSCI_FEATURES,
	PSCI_SYSTEM_RESET2,
	PSCI_SYSTEM_RESET2 & ~PSCI_64,
	SMCCC_VERSION,
};

/* 5.16: what is there has flags, all of them zero here. */
static int64_t features(uint32_t function)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (functions[i] == function)
			return PSCI_SUCCESS;
	}
	return PSCI_NOT_SUPPORTED;
}

static struct hv_vcpu *find(struct hv_vm *vm, uint64_t affinity)
{
	if (affinity & ~AFFINITY_BITS)
		return NULL;
	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		if (vm->vcpus[i].made && hv_arm64_affinity(i) == affinity)
			return &vm->vcpus[i];
	}
	return NULL;
}

/* One that was started counts as on at once, before its thread takes notice. */
static int64_t cpu_on(struct hv_vm *vm, uint64_t affinity, uint64_t pc, uint64_t x0)
{
	struct hv_vcpu *target = find(vm, affinity);

	if (!target)
		return PSCI_INVALID_PARAMS;
	if (pc % 4)
		return PSCI_INVALID_ADDRESS;
	return hvf_vcpu_start(target, pc, x0) ? PSCI_SUCCESS : PSCI_ALREADY_ON;
}

/* 5.7: of groups of processors (a level above 0) nobody need know. */
static int64_t affinity_info(struct hv_vm *vm, uint64_t affinity, uint64_t level)
{
	struct hv_vcpu *target = level ? NULL : find(vm, affinity);

	if (!target)
		return PSCI_INVALID_PARAMS;
	return hvf_vcpu_waits(target) ? PSCI_AFFINITY_OFF : PSCI_AFFINITY_ON;
}

/* An argument of a call; those of 32-bit callers have but 32 bits (DEN0028, 3.1). */
static uint64_t argument(const struct hv_vcpu *vcpu, uint32_t function, unsigned n)
{
	uint64_t value = hvf_arm64_get(vcpu, HV_REG_X0 + n);

	return function & PSCI_64 ? value : value & UINT32_MAX;
}

void hvf_arm64_call(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	uint32_t function = (uint32_t)hvf_arm64_get(vcpu, HV_REG_X0);
	uint64_t first = argument(vcpu, function, 1), second = argument(vcpu, function, 2);
	int64_t result;

	switch (function) {
	case PSCI_VERSION:
		result = PSCI_1_1;
		break;
	case PSCI_CPU_SUSPEND: /* 5.4.5: it may wake up at any time, so it does at once */
	case PSCI_CPU_SUSPEND & ~PSCI_64:
		result = PSCI_SUCCESS;
		break;
	case PSCI_CPU_OFF:
		atomic_store(&vcpu->power, HVF_OFF);
		return;
	case PSCI_CPU_ON:
	case PSCI_CPU_ON & ~PSCI_64:
		result = cpu_on(vcpu->vm, first, second, argument(vcpu, function, 3));
		break;
	case PSCI_AFFINITY_INFO:
	case PSCI_AFFINITY_INFO & ~PSCI_64:
		result = affinity_info(vcpu->vm, first, second);
		break;
	case PSCI_MIGRATE_INFO_TYPE:
		result = PSCI_MIGRATE_NOT_USED;
		break;
	case PSCI_SYSTEM_OFF:
		exit->kind = HV_EXIT_POWEROFF;
		return;
	case PSCI_SYSTEM_RESET:
	case PSCI_SYSTEM_RESET2:
	case PSCI_SYSTEM_RESET2 & ~PSCI_64:
		exit->kind = HV_EXIT_RESET;
		return;
	case PSCI_FEATURES:
		result = features((uint32_t)first);
		break;
	case SMCCC_VERSION:
		result = SMCCC_1_1;
		break;
	case SMCCC_ARCH_FEATURES: /* DEN0028, 7.3: of the convention's own functions; 1.1 has it */
		result = first == SMCCC_VERSION || first == SMCCC_ARCH_FEATURES
				 ? PSCI_SUCCESS
				 : SMCCC_NOT_SUPPORTED;
		break;
	default:
		result = SMCCC_NOT_SUPPORTED;
	}
	hvf_arm64_set(vcpu, HV_REG_X0, (uint64_t)result);
}
