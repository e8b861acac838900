/* cpuid.c: what the CPUID instruction tells a guest about its machine.
 *
 * Leaves and bits: Intel SDM Vol. 2A "CPUID", AMD APM Vol. 3 appendix E; those of KVM from Linux's
 * Documentation/virt/kvm/x86/cpuid.rst. Clock rates at 0x40000010 are a convention that VMware
 * began; the BSDs read them under any hypervisor, and so need not measure.
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

/* How many bits it takes to number n things. */
static unsigned width(unsigned n)
{
	unsigned bits = 0;

	while (n > 1U << bits)
		bits++;
	return bits;
}

/* How many low bits of an APIC ID number the threads of a core, and those of a package. */
static unsigned thread_bits(const struct hv_topology *topology)
{
	return width(topology->threads);
}

static unsigned package_bits(const struct hv_topology *topology)
{
	return thread_bits(topology) + width(topology->cores);
}

unsigned hv_x86_apic_id(const struct hv_topology *topology, unsigned index)
{
	unsigned core = index / topology->threads;

	return core / topology->cores << package_bits(topology) |
	       core % topology->cores << thread_bits(topology) | index % topology->threads;
}

static uint32_t field(uint32_t reg, unsigned low, unsigned bits, uint32_t value)
{
	uint32_t max = (1U << bits) - 1;

	return (reg & ~(max << low)) | (value < max ? value : max) << low;
}

/* Leaf 1 EBX[23:16]: for AMD the threads of a package, for Intel the APIC IDs set aside for them.
 */
static void fit_features(const struct cpuid_vm *vm, unsigned apic_id, struct cpuid_regs *regs)
{
	unsigned threads = vm->topology.cores * vm->topology.threads;

	regs->ebx = field(regs->ebx, 24, 8, apic_id);
	regs->ebx = field(regs->ebx, 16, 8, vm->amd ? threads : 1U << package_bits(&vm->topology));
	regs->edx = threads > 1 ? regs->edx | EDX_HTT : regs->edx & ~EDX_HTT;
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
 * is its package's. */
static void fit_cache(const struct cpuid_vm *vm, bool cores_in_package, struct cpuid_regs *regs)
{
	uint32_t type = regs->eax & 0x1f, level = regs->eax >> 5 & 7;
	unsigned bits = level >= 3 ? package_bits(&vm->topology) : thread_bits(&vm->topology);

	if (!type)
		return;
	regs->eax = field(regs->eax, 14, 12, (1U << bits) - 1);
	if (cores_in_package)
		regs->eax = field(regs->eax, 26, 6, (1U << width(vm->topology.cores)) - 1);
}

static void fit_topology(const struct hv_topology *topology, unsigned apic_id, uint32_t subleaf,
			 struct cpuid_regs *regs)
{
	*regs = (struct cpuid_regs){ .ecx = subleaf & 0xff, .edx = apic_id };
	if (subleaf == 0) {
		regs->eax = thread_bits(topology);
		regs->ebx = topology->threads;
		regs->ecx |= LEVEL_SMT << 8;
	} else if (subleaf == 1) {
		regs->eax = package_bits(topology);
		regs->ebx = topology->cores * topology->threads;
		regs->ecx |= LEVEL_CORE << 8;
	}
}

/* What only AMD has; elsewhere these bits are reserved. */
static void fit_amd(const struct cpuid_vm *vm, unsigned index, uint32_t leaf,
		    struct cpuid_regs *regs)
{
	const struct hv_topology *t = &vm->topology;
	unsigned threads = t->cores * t->threads;

	switch (leaf) {
	case 0x80000001:
		regs->ecx &= ~ECX_CMP_LEGACY;
		if (threads > 1)
			regs->ecx |= ECX_CMP_LEGACY;
		if (!vm->apic) {
			regs->ecx &= ~ECX_EXTAPIC;
			regs->edx &= ~EDX_APIC;
		}
		break;
	case 0x80000008:
		regs->ecx = field(regs->ecx, 0, 8, threads - 1);
		regs->ecx = field(regs->ecx, 12, 4, package_bits(t));
		break;
	case 0x8000001e: /* core in the package, threads of each; node, one a package */
		*regs = (struct cpuid_regs){ .eax = hv_x86_apic_id(t, index) };
		regs->ebx = field(regs->ebx, 0, 8, index / t->threads % t->cores);
		regs->ebx = field(regs->ebx, 8, 8, t->threads - 1);
		regs->ecx = field(regs->ecx, 0, 8, index / threads);
		break;
	}
}

void cpuid_fit(const struct cpuid_vm *vm, unsigned index, uint32_t leaf, uint32_t subleaf,
	       struct cpuid_regs *regs)
{
	unsigned apic_id = hv_x86_apic_id(&vm->topology, index);

	if (vm->amd)
		fit_amd(vm, index, leaf, regs);
	switch (leaf) {
	case 1:
		fit_features(vm, apic_id, regs);
		break;
	case 4:
		fit_cache(vm, true, regs);
		break;
	case CPUID_TOPOLOGY:
		fit_topology(&vm->topology, apic_id, subleaf, regs);
		break;
	case CPUID_HYPERVISOR:
		if (vm->tsc_khz && regs->eax < CPUID_CLOCKS)
			regs->eax = CPUID_CLOCKS;
		break;
	case CPUID_HYPERVISOR + 1:
		if (!vm->apic)
			regs->eax &= ~KVM_BY_APIC;
		break;
	case CPUID_CLOCKS:
		*regs = (struct cpuid_regs){ .eax = vm->tsc_khz, .ebx = vm->apic_khz };
		break;
	case 0x8000001d:
		fit_cache(vm, false, regs);
		break;
	}
}
