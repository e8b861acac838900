/* hvf.h: the parts of Hypervisor.framework's backend to one another. */
#ifndef VIBEVMM_HV_HVF_H
#define VIBEVMM_HV_HVF_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <vibevmm/backend.h>

#include "hvf_api.h"
#include "text.h"

struct hvf_slot {
	uint64_t gpa, size; /* size 0: free */
	uint8_t *host;
};

struct hv_vm {
	struct hv_vm_config config;
	bool made;		     /* the framework's VM is there */
	uint64_t epoch;		     /* the host's time at which the guest's counters are 0 */
	pthread_mutex_t memory_lock; /* guards: */
	struct hvf_slot *slots;
	size_t n_slots;
	struct hv_vcpu *vcpus;
	atomic_bool told_sysreg; /* of a system register that isn't there */
};

/* Which a vCPU is in, as PSCI has it. The boot processor begins as on. */
enum hvf_power {
	HVF_OFF,
	HVF_CLAIMED, /* another vCPU is writing down how this one is to start */
	HVF_STARTED, /* it has; the rest is for its own thread */
	HVF_ON,
};

struct hv_vcpu {
	struct hv_vm *vm;
	unsigned index;
	atomic_bool made; /* the framework's vCPU is there; others' calls look, too */
	hv_vcpu_t id;
	hv_vcpu_exit_t *exit;
	pthread_t thread;      /* that created it and runs it */
	sigset_t outside_wait; /* the thread's mask of signals, but for waits */

	atomic_bool kicked;
	_Atomic enum hvf_power power;
	uint64_t start_pc, start_x0; /* once HVF_STARTED */

	/* The access that the last exit was for. The PC is still at it: that helps messages. */
	struct {
		bool due;	 /* to be finished by the next run */
		bool load, wide; /* into all 64 bits of the register */
		uint8_t reg, size;
		uint64_t sign; /* the bit that is extended; 0: none */
	} access;
	uint8_t data[8];
};

/* ---- hvf.c ---------------------------------------------------------------------------------- */

int hvf_probe(struct hv_caps *caps, struct err *err);
int hvf_vm_create(const struct hv_vm_config *config, struct hv_vm **vm, struct err *err);
void hvf_vm_destroy(struct hv_vm *vm);
int hvf_mem_map(struct hv_vm *vm, uint64_t gpa, uint64_t size, void *host, unsigned flags,
		struct err *err);
int hvf_mem_unmap(struct hv_vm *vm, uint64_t gpa, uint64_t size);

/* Sets err by what a call of the framework returned; `what` says what can't be done. */
int hvf_refused(struct err *err, hv_return_t ret, const char *what, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads the 4 bytes at guest-physical gpa; false: they are not in memory. */
bool hvf_fetch(struct hv_vm *vm, uint64_t gpa, uint32_t *instruction);

/* ---- hvf_vcpu.c ----------------------------------------------------------------------------- */

int hvf_vcpu_create(struct hv_vm *vm, unsigned index, struct hv_vcpu **vcpu, struct err *err);
void hvf_vcpu_destroy(struct hv_vcpu *vcpu);
void hvf_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit);
void hvf_vcpu_kick(struct hv_vcpu *vcpu);
bool hvf_vcpu_waits(struct hv_vcpu *vcpu);

/* Sleeps until a kick, on the vCPU's thread. */
void hvf_vcpu_sleep(struct hv_vcpu *vcpu);

/* Starts a vCPU that is off, from the thread of another one; false: it isn't off. */
bool hvf_vcpu_start(struct hv_vcpu *vcpu, uint64_t pc, uint64_t x0);

/* Makes the exit an HV_EXIT_FAULT; its words are put into what this returns. */
struct text hvf_fault(struct hv_exit *exit);

/* ---- hvf_arm64.c: for the vCPU's thread alone ------------------------------------------------ */

uint64_t hvf_arm64_get(const struct hv_vcpu *vcpu, hv_reg_t reg);
void hvf_arm64_set(struct hv_vcpu *vcpu, hv_reg_t reg, uint64_t value);
uint64_t hvf_arm64_get_sysreg(const struct hv_vcpu *vcpu, unsigned number);
void hvf_arm64_set_sysreg(struct hv_vcpu *vcpu, unsigned number, uint64_t value);

/* General register n as the operand of an instruction: 31 is the zero register. */
uint64_t hvf_arm64_get_operand(const struct hv_vcpu *vcpu, unsigned n);
void hvf_arm64_set_operand(struct hv_vcpu *vcpu, unsigned n, uint64_t value);

/* Goes on behind the instruction. */
void hvf_arm64_skip(struct hv_vcpu *vcpu);

/* Right after the vCPU was made. */
int hvf_arm64_init(struct hv_vcpu *vcpu, struct err *err);

/* The state in which a processor starts: EL1, no MMU, nothing let through. */
int hvf_arm64_enter(struct hv_vcpu *vcpu, uint64_t pc, uint64_t x0, struct err *err);

/* Finishes the access of the last exit. */
void hvf_arm64_resume(struct hv_vcpu *vcpu);

/* Deals with an exception that left the guest: exit->kind is HV_EXIT_AGAIN, or what there is to do.
 */
void hvf_arm64_exception(struct hv_vcpu *vcpu, struct hv_exit *exit);

/* ---- hvf_arm64_sysreg.c --------------------------------------------------------------------- */

/* MSR or MRS of a system register that the framework does not know. */
void hvf_arm64_sysreg(struct hv_vcpu *vcpu, uint64_t esr);

/* ---- hvf_arm64_psci.c ----------------------------------------------------------------------- */

/* A call of the guest's, whose function is in x0 and whose result goes there. */
void hvf_arm64_call(struct hv_vcpu *vcpu, struct hv_exit *exit);

/* ---- hvf_arm64_gic.c ------------------------------------------------------------------------ */

/* The HV_CAP bits of interrupts that this host has. */
unsigned hvf_arm64_gic_caps(void);

int hvf_arm64_platform_create(struct hv_vm *vm, struct err *err);
void hvf_arm64_irq_set(struct hv_vm *vm, unsigned line, bool level);
int hvf_arm64_msi_send(struct hv_vm *vm, uint64_t addr, uint32_t data, uint32_t device);

/* ---- hvf_arm64_dump.c ----------------------------------------------------------------------- */

void hvf_arm64_dump(struct hv_vcpu *vcpu, char *buf, size_t len);

#endif
