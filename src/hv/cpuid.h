/* cpuid.h: what the CPUID instruction tells a guest about its machine.
 *
 * Pure, for every x86 backend: takes a leaf as the host offers it and fits it to the VM. Any
 * thread.
 */
#ifndef VIBEVMM_HV_CPUID_H
#define VIBEVMM_HV_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

struct cpuid_vm {
	unsigned vcpus;	   /* each a core of its own in one package; APIC IDs 0.. in a row */
	bool amd;	   /* the vendor is AMD or one that follows it */
	bool apic;	   /* there are local APICs */
	bool tsc_deadline; /* and their timers know TSC deadlines */
};

/* Whether leaf 0 names AMD or Hygon. */
bool cpuid_is_amd(const struct cpuid_regs *leaf0);

/* Leaves that describe the host's topology sub-leaf by sub-leaf: leave the host's out. A guest gets
 * sub-leaves 0 and 1 of CPUID_TOPOLOGY instead, from zeros and cpuid_fit. */
#define CPUID_TOPOLOGY 0xb
bool cpuid_is_host_topology(uint32_t leaf);

/* Fits one leaf for the vCPU with that APIC ID. */
void cpuid_fit(const struct cpuid_vm *vm, unsigned apic_id, uint32_t leaf, uint32_t subleaf,
	       struct cpuid_regs *regs);

#endif
