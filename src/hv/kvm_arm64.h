/* kvm_arm64.h: the parts of KVM's row for arm64 to one another. */
#ifndef VIBEVMM_HV_KVM_ARM64_H
#define VIBEVMM_HV_KVM_ARM64_H

#include "kvm.h"

struct kvm_arch_vm {
	int *vcpu_fds;	      /* made with the platform; -1: handed over */
	uint32_t features[7]; /* of every vCPU, as struct kvm_vcpu_init has them */
};

/* ---- kvm_arm64.c ---------------------------------------------------------------------------- */

/* A register by KVM's id. 0 or -errno. */
int kvm_arm64_get(const struct hv_vcpu *vcpu, uint64_t id, uint64_t *value);

/* A system register by its number of arm64_sysreg.h. */
int kvm_arm64_get_sysreg(const struct hv_vcpu *vcpu, unsigned number, uint64_t *value);

/* ---- kvm_arm64_gic.c ------------------------------------------------------------------------ */

/* The HV_CAP bits of interrupt controllers that a VM of this host can have. */
unsigned kvm_arm64_gic_caps(int vm);

/* Makes the interrupt controller, when all vCPUs are there: KVM wants to know them. */
int kvm_arm64_gic_create(struct hv_vm *vm, struct err *err);

void kvm_arm64_irq_set(struct hv_vm *vm, unsigned line, bool level);
int kvm_arm64_msi_send(struct hv_vm *vm, uint64_t addr, uint32_t data, uint32_t device);

/* ---- kvm_arm64_dump.c ----------------------------------------------------------------------- */

void kvm_arm64_dump(struct hv_vcpu *vcpu, char *buf, size_t len);

#endif
