/* cpuid.h: what the CPUID instruction tells a guest about its machine.
 *
 * Pure, for every x86 backend: takes a leaf as the host offers it and fits it to the VM. Any
 * thread.
 */
#ifndef VIBEVMM_HV_CPUID_H
#define VIBEVMM_HV_CPUID_H

#include <stdbool.h>
#include <stdint.h>

#include <vibevmm/backend.h>

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

struct cpuid_vm {
	struct hv_topology topology;
	bool amd;	   /* the vendor is AMD or one that follows it */
	bool apic;	   /* there are local APICs */
	bool tsc_deadline; /* and their timers know TSC deadlines */
	uint32_t tsc_khz;  /* 0: unknown */
	uint32_t apic_khz; /* of the local APICs' timers */
};

/* Whether leaf 0 names AMD or Hygon. */
bool cpuid_is_amd(const struct cpuid_regs *leaf0);

/* Leaves that describe the host's topology sub-leaf by sub-leaf: leave the host's out. A guest gets
 * sub-leaves 0 and 1 of CPUID_TOPOLOGY instead, from zeros and cpuid_fit. */
#define CPUID_TOPOLOGY 0xb
bool cpuid_is_host_topology(uint32_t leaf);

/* The first of the leaves that KVM makes up, and the one that tells clock rates; the latter comes
 * from zeros and cpuid_fit as well. */
#define CPUID_HYPERVISOR 0x40000000U
#define CPUID_CLOCKS	 0x40000010U

/* Fits one leaf for the vCPU of that index. */
void cpuid_fit(const struct cpuid_vm *vm, unsigned index, uint32_t leaf, uint32_t subleaf,
	       struct cpuid_regs *regs);

#endif
