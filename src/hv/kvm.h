/* kvm.h: the seam between kvm.c, which is the same everywhere, and the one kvm_ARCH.c of a build.
 *
 * kvm_ARCH.c defines the row of backends.def. The row takes most of its functions from the first
 * list below, and adds its own for what differs: entry state, interrupt lines, dumps. kvm.c calls
 * back only through the second list.
 */
#ifndef VIBEVMM_HV_KVM_H
#define VIBEVMM_HV_KVM_H

#include <linux/kvm.h>
#include <pthread.h>

#include <vibevmm/backend.h>

#include "text.h"

struct kvm_slot {
	uint64_t gpa, size;
	uint8_t *host;
};

struct hv_vm {
	int fd;
	struct hv_vm_config config;
	size_t run_size; /* of a vCPU's shared struct kvm_run */
	struct kvm_slot *slots;
	uint32_t n_slots;
	/* All vCPUs, made with the VM: the first allocation of a vCPU's thread would give it a heap
	 * of its own, at 20 us each. */
	struct hv_vcpu *vcpus;
	struct kvm_arch_vm *arch; /* kvm_ARCH.c's own */
};

struct hv_vcpu {
	struct hv_vm *vm;
	struct kvm_run *run;
	pthread_t thread; /* that created it and runs it */
	unsigned index;
	int fd;
};

/* ---- kvm.c, for rows and kvm_ARCH.c ------------------------------------------------------- */

int kvm_probe(struct hv_caps *caps, struct err *err);
int kvm_vm_create(const struct hv_vm_config *config, struct hv_vm **vm, struct err *err);
void kvm_vm_destroy(struct hv_vm *vm);
int kvm_mem_map(struct hv_vm *vm, uint64_t gpa, uint64_t size, void *host, unsigned flags,
		struct err *err);
int kvm_irqfd(struct hv_vm *vm, unsigned line, int fd, struct err *err);
int kvm_ioeventfd(struct hv_vm *vm, enum hv_space space, uint64_t addr, unsigned len, int fd,
		  struct err *err);
int kvm_vcpu_create(struct hv_vm *vm, unsigned index, struct hv_vcpu **vcpu, struct err *err);
void kvm_vcpu_destroy(struct hv_vcpu *vcpu);
void kvm_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit);
void kvm_vcpu_kick(struct hv_vcpu *vcpu);

/* Makes the exit an HV_EXIT_FAULT; its words are put into what this returns. */
struct text kvm_fault(struct hv_exit *exit);

/* Host memory behind guest-physical gpa, with *len cut to what lies in one slot; NULL if none. */
const uint8_t *kvm_memory_at(const struct hv_vm *vm, uint64_t gpa, size_t *len);

/* "/dev/kvm"; tests point it elsewhere. */
extern const char *kvm_device;

/* ---- kvm_ARCH.c, for kvm.c ----------------------------------------------------------------- */

/* Everything that is asked of a host, in one table. */
struct kvm_feature {
	int extension;	  /* KVM_CAP_... */
	const char *name; /* its words; NULL ends the table */
	bool required;
	unsigned caps; /* enum hv_cap bits that it brings */
};
extern const struct kvm_feature kvm_arch_features[];

/* Fills caps->phys_bits; may lower caps->max_vcpus. */
void kvm_arch_probe(int kvm, struct hv_caps *caps);

/* Makes vm->arch, right after the VM. kvm_arch_vm_free also copes with vm->arch NULL. */
int kvm_arch_vm_init(struct hv_vm *vm, int kvm, struct err *err);
void kvm_arch_vm_free(struct hv_vm *vm);

/* Right after the vCPU was made. */
int kvm_arch_vcpu_init(struct hv_vcpu *vcpu, struct err *err);

/* First look at an exit. False if it isn't one of the architecture's own; otherwise *exit is set,
 * to HV_EXIT_AGAIN if it was dealt with on the spot. */
bool kvm_arch_exit(struct hv_vcpu *vcpu, struct hv_exit *exit);

/* ---- kvm_x86_64_dump.c: vcpu_dump of its row ------------------------------------------------ */

void kvm_x86_64_dump(struct hv_vcpu *vcpu, char *buf, size_t len);

#endif
