/* kvm_x86_64.h: the parts of KVM's row for x86_64 to one another. */
#ifndef VIBEVMM_HV_KVM_X86_64_H
#define VIBEVMM_HV_KVM_X86_64_H

#include "cpuid.h"
#include "kvm.h"

/* ---- kvm_x86_64_dump.c: vcpu_dump of its row ------------------------------------------------ */

void kvm_x86_64_dump(struct hv_vcpu *vcpu, char *buf, size_t len);

/* ---- kvm_x86_64_cpuid.c, for kvm_x86_64.c ---------------------------------------------------- */

/* What the vCPUs of a VM are born with: CPUID, and some MSRs. */
struct kvm_x86_64_cpuid {
	struct cpuid_vm vm;
	struct kvm_cpuid2 *table; /* as the host offers it, with room for leaves of our own */
	char *vcpu_tables;	  /* room for each vCPU's: no allocation on its thread */
};

/* kvm: the open device. Free it in any case. */
int kvm_x86_64_cpuid_init(struct kvm_x86_64_cpuid *cpuid, const struct hv_vm_config *config,
			  int kvm, struct err *err);
void kvm_x86_64_cpuid_free(struct kvm_x86_64_cpuid *cpuid);
int kvm_x86_64_cpuid_set(const struct kvm_x86_64_cpuid *cpuid, struct hv_vcpu *vcpu,
			 struct err *err);

#endif
