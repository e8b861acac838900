/* kvm.h: the seam between kvm.c, kvm_vcpu.c and their kin, which are the same everywhere, and the
 * one kvm_ARCH.c of a build.
 *
 * kvm_ARCH.c defines the row of backends.def. The row takes most of its functions from the first
 * two lists below, and adds its own for what differs: entry state, interrupt lines, dumps. kvm.c
 * and kvm_vcpu.c call back only through the third list.
 */
#ifndef VIBEVMM_HV_KVM_H
#define VIBEVMM_HV_KVM_H

#include <linux/kvm.h>
#include <pthread.h>

#include <vibevmm/backend.h>

#include "text.h"

struct kvm_slot {
	uint64_t gpa, size; /* size 0: free */
	uint8_t *host;
};

struct hv_vm {
	int fd;
	struct hv_vm_config config;
	size_t run_size;	     /* of a vCPU's shared struct kvm_run */
	pthread_mutex_t memory_lock; /* guards: */
	struct kvm_slot *slots;	     /* by KVM's numbers */
	uint32_t n_slots;
	/* All vCPUs, made with the VM: the first allocation of a vCPU's thread would give it a heap
	 * of its own, at 20 us each. */
	struct hv_vcpu *vcpus;
	struct kvm_ring {
		size_t offset; /* in a vCPU's shared memory; 0: this host has none */
		bool pio;      /* it takes ports, too */
		uint32_t entries;
		struct kvm_coalesced_mmio_ring *shared; /* in the first vCPU's; NULL: none */
		pthread_mutex_t lock;			/* of who empties it */
	} ring;
	struct kvm_routes {
		pthread_mutex_t lock; /* also of what the pins' routes are made from */
		struct kvm_message {
			int fd; /* that sends it; -1: none, the GSI is free */
			uint64_t addr;
			uint32_t data, device;
		} * bound; /* GSI kvm_arch_pins() + index */
		uint32_t n;
		struct kvm_irq_routing *table; /* with room for all */
	} routes;
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
int kvm_mem_unmap(struct hv_vm *vm, uint64_t gpa, uint64_t size);
int kvm_ioeventfd(struct hv_vm *vm, enum hv_space space, uint64_t addr, unsigned len,
		  const uint64_t *match, int fd, bool on, struct err *err);

/* Host memory behind guest-physical gpa, with *len cut to what lies in one slot; NULL if none. */
const uint8_t *kvm_memory_at(struct hv_vm *vm, uint64_t gpa, size_t *len);

/* "/dev/kvm"; tests point it elsewhere. */
extern const char *kvm_device;

/* ---- kvm_vcpu.c, for rows and kvm_ARCH.c ---------------------------------------------------- */

int kvm_vcpu_create(struct hv_vm *vm, unsigned index, struct hv_vcpu **vcpu, struct err *err);
void kvm_vcpu_destroy(struct hv_vcpu *vcpu);
void kvm_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit);
void kvm_vcpu_kick(struct hv_vcpu *vcpu);
bool kvm_vcpu_waits(struct hv_vcpu *vcpu);

/* Makes the exit an HV_EXIT_FAULT; its words are put into what this returns. */
struct text kvm_fault(struct hv_exit *exit);

/* ---- kvm_ARCH.c, for kvm.c and kvm_vcpu.c -------------------------------------------------- */

/* What is asked of a host, by kvm.c for every architecture and by kvm_ARCH.c besides. */
struct kvm_feature {
	int extension;	  /* KVM_CAP_... */
	const char *name; /* its words; NULL ends the table */
	bool required;
	unsigned caps; /* enum hv_cap bits that it brings */
};
extern const struct kvm_feature kvm_arch_features[];

/* What to do where there is no KVM, for messages. */
extern const char kvm_arch_how_to_get[];

/* Fills caps->phys_bits, adds what is no capability of KVM's; may lower caps->max_vcpus. */
void kvm_arch_probe(int kvm, struct hv_caps *caps);

/* Makes the VM: its file descriptor, or -1 with errno. kvm: the open device. */
int kvm_arch_vm_open(int kvm, const struct hv_vm_config *config);

/* Makes vm->arch, right after the VM. kvm_arch_vm_free also copes with vm->arch NULL. */
int kvm_arch_vm_init(struct hv_vm *vm, int kvm, struct err *err);
void kvm_arch_vm_free(struct hv_vm *vm);

/* Makes the vCPU of that index, on its thread: its file descriptor, or -1 with errno. */
int kvm_arch_vcpu_open(struct hv_vm *vm, unsigned index);

/* Right after the vCPU was made. */
int kvm_arch_vcpu_init(struct hv_vcpu *vcpu, struct err *err);

/* GSIs below are pins of the interrupt controller, as far as the VM uses them. */
unsigned kvm_arch_pins(const struct hv_vm *vm);

/* The routes of those pins that need one, at most two each, into entries; how many. And that of a
 * message, but for its GSI; false: it leads nowhere. vm->routes.lock is held. */
uint32_t kvm_arch_pin_routes(const struct hv_vm *vm, struct kvm_irq_routing_entry *entries);
bool kvm_arch_message_route(const struct hv_vm *vm, const struct kvm_message *message,
			    struct kvm_irq_routing_entry *entry);

/* First look at an exit. False if it isn't one of the architecture's own; otherwise *exit is set,
 * to HV_EXIT_AGAIN if it was dealt with on the spot. */
bool kvm_arch_exit(struct hv_vcpu *vcpu, struct hv_exit *exit);

/* ---- kvm_routes.c, for rows, kvm.c and kvm_ARCH.c ------------------------------------- */

int kvm_irqfd(struct hv_vm *vm, unsigned line, int fd, struct err *err);
int kvm_msi_irqfd(struct hv_vm *vm, int fd, uint64_t addr, uint32_t data, uint32_t device, bool on,
		  struct err *err);

/* Tells KVM all routes: those of pins have changed. vm->routes.lock is held. 0 or -errno. */
int kvm_routes_set(struct hv_vm *vm);

/* When vm->arch is there; free copes with a VM that never came that far. 0 or -ENOMEM. */
int kvm_routes_init(struct hv_vm *vm);
void kvm_routes_free(struct hv_vm *vm);

/* ---- kvm_ring.c, for rows and kvm.c --------------------------------------------------------- */

int kvm_coalesce(struct hv_vm *vm, enum hv_space space, uint64_t addr, unsigned size, bool on);
bool kvm_gathered(struct hv_vm *vm);
void kvm_drain(struct hv_vm *vm);

/* Finds out where the ring will be; kvm: the open device. Nothing to undo. */
void kvm_ring_init(struct kvm_ring *ring, int kvm);

/* The first vCPU's shared memory is there, or about to go. */
void kvm_ring_attach(struct kvm_ring *ring, struct kvm_run *run);
void kvm_ring_detach(struct kvm_ring *ring);

#endif
