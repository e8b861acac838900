/* cpuid.c: what the CPUID instruction tells a guest about its machine.
 *
 * Leaves and bits: Intel SDM Vol. 2A "CPUID", AMD APM Vol. 3 appendix E; those of KVM from Linux's
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "cpuid.h"

#define BIT(n) (1U << (n))

/* Leaf 1. */
#define ECX_X2APIC	 BIT(21)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_HYPERVISOR	 BIT(31)
#define EDX_APIC	 BIT(9)
#define EDX_HTT		 BIT(28) /* EBX tells of several logical processors */

/* Leaf 0x80000001, AMD. */
#define ECX_CMP_LEGACY BIT(1) /* those are cores */
#define ECX_EXTAPIC    BIT(3)

/* Leaf 0xb: kinds of levels. */
enum { LEVEL_SMT = 1, LEVEL_CORE = 2 };

/* Leaf 0x40000001 EAX: what works through local APICs. Asynchronous page faults by interrupt,
 * yield, send IPI, TLB flush, unhalt, EOI. */
#define KVM_BY_APIC (BIT(14) | BIT(13) | BIT(11) | BIT(9) | BIT(7) | BIT(6))

bool cpuid_is_amd(const struct cpuid_regs *leaf0)
{
	return leaf0->ebx == 0x68747541 /* Auth(enticAMD) */ ||
	       leaf0->ebx == 0x6f677948 /* Hygo(nGenuine) */;
}

bool cpuid_is_host_topology(uint32_t leaf)
{
	return leaf == CPUID_TOPOLOGY || leaf == 0x1f || leaf == 0x80000026;
}

/* How many low bits of an APIC ID number the cores. */
static unsigned core_bits(unsigned vcpus)
{
	unsigned bits = 0;

	while (vcpus > 1U << bits)
		bits++;
	return bits;
}

static uint32_t field(uint32_t reg, unsigned low, unsigned bits, uint32_t value)
{
	uint32_t max = (1U << bits) - 1;

	return (reg & ~(max << low)) | (value < max ? value : max) << low;
}

static void fit_features(const struct cpuid_vm *vm, unsigned apic_id, struct cpuid_regs *regs)
{
	regs->ebx = field(regs->ebx, 24, 8, apic_id);
	regs->ebx = field(regs->ebx, 16, 8, vm->vcpus);
	regs->edx = vm->vcpus > 1 ? regs->edx | EDX_HTT : regs->edx & ~EDX_HTT;
	regs->ecx |= ECX_HYPERVISOR;
	regs->ecx &= ~ECX_TSC_DEADLINE;
	if (vm->tsc_deadline)
		regs->ecx |= ECX_TSC_DEADLINE;
	if (!vm->apic) {
		regs->ecx &= ~ECX_X2APIC;
		regs->edx &= ~EDX_APIC;
	}
}

/* Leaf 4 and AMD's 0x8000001d, alike: first and second level caches are a core's own, the third
 * is everybody's. */
static void fit_cache(const struct cpuid_vm *vm, bool cores_in_package, struct cpuid_regs *regs)
{
	uint32_t last = (1U << core_bits(vm->vcpus)) - 1;
	uint32_t type = regs->eax & 0x1f, level = regs->eax >> 5 & 7;

	if (!type)
		return;
	regs->eax = field(regs->eax, 14, 12, level >= 3 ? last : 0);
	if (cores_in_package)
		regs->eax = field(regs->eax, 26, 6, last);
}

static void fit_topology(const struct cpuid_vm *vm, unsigned apic_id, uint32_t subleaf,
			 struct cpuid_regs *regs)
{
	*regs = (struct cpuid_regs){ .ecx = subleaf & 0xff, .edx = apic_id };
	if (subleaf == 0) {
		regs->ebx = 1; /* one thread a core: no bits of the APIC ID */
		regs->ecx |= LEVEL_SMT << 8;
	} else if (subleaf == 1) {
		regs->eax = core_bits(vm->vcpus);
		regs->ebx = vm->vcpus;
		regs->ecx |= LEVEL_CORE << 8;
	}
}

void cpuid_fit(const struct cpuid_vm *vm, unsigned apic_id, uint32_t leaf, uint32_t subleaf,
	       struct cpuid_regs *regs)
{
	switch (leaf) {
	case 1:
		fit_features(vm, apic_id, regs);
		break;
	case 4:
		fit_cache(vm, true, regs);
		break;
	case CPUID_TOPOLOGY:
		fit_topology(vm, apic_id, subleaf, regs);
		break;
	case 0x40000001:
		if (!vm->apic)
			regs->eax &= ~KVM_BY_APIC;
		break;
	case 0x80000001:
		if (!vm->amd)
			break;
		regs->ecx &= ~ECX_CMP_LEGACY;
		if (vm->vcpus > 1)
			regs->ecx |= ECX_CMP_LEGACY;
		if (!vm->apic) {
			regs->ecx &= ~ECX_EXTAPIC;
			regs->edx &= ~EDX_APIC;
		}
		break;
	case 0x80000008:
		if (vm->amd) {
			regs->ecx = field(regs->ecx, 0, 8, vm->vcpus - 1);
			regs->ecx = field(regs->ecx, 12, 4, core_bits(vm->vcpus));
		}
		break;
	case 0x8000001d:
		fit_cache(vm, false, regs);
		break;
	case 0x8000001e:
		if (vm->amd) /* core number, one thread each; node 0 of 1 */
			*regs = (struct cpuid_regs){ .eax = apic_id, .ebx = apic_id & 0xff };
		break;
	}
}
