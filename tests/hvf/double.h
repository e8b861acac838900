/* double.h: Hypervisor.framework's API (src/hv/hvf_api.h) made from Linux KVM, on arm64, so that
 * the backend for macOS can run where there is no Mac.
 *
 * It keeps the rules of the real one where the backend could break them unnoticed: one VM a
 * process, pages of 16 KiB, a vCPU for its own thread alone, runs that stay cancelled, no vCPU
 * before the interrupt controller. A breach is an error.
 *
 * What KVM does otherwise is undone here:
 * - It completes an access to a device itself. So it is made to, with the next run ending at once;
 *   then the PC and the register that it filled are put back. Which register that was shows in
 *   what has changed; of a store any with that value will do.
 * - Calls of the guest (HVC, SMC) come out by a filter of Linux 6.4 or later. Its numbers for the
 *   architecture's own calls stay KVM's.
 * - A vCPU is made when its affinity is set, the GIC at the first run of any, when all are known.
 * - WFI sleeps in the kernel, and unknown system registers are KVM's affair: none comes out.
 */
#ifndef VIBEVMM_TESTS_HVF_DOUBLE_H
#define VIBEVMM_TESTS_HVF_DOUBLE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../../src/hv/arm64_sysreg.h"
#include "../../src/hv/hvf_api.h"

#define DOUBLE_VCPUS 64U
#define DOUBLE_SLOTS 64U

/* The most that KVM's GIC takes. */
#define DOUBLE_INTIDS 992U

struct vcpu {
	bool used;
	pthread_t owner;
	int fd; /* -1: not yet */
	struct kvm_run *run;
	atomic_bool cancelled;
	bool timer_masked;
	hv_vcpu_exit_t exit;
};

/* One VM a process. */
struct vm {
	pthread_mutex_t lock; /* guards what is made and unmade */
	bool there, gic;
	atomic_bool running;
	int kvm, fd, gic_fd;
	size_t run_size;
	struct {
		uint64_t ipa;
		size_t size;
	} slots[DOUBLE_SLOTS];
	struct vcpu vcpus[DOUBLE_VCPUS];
	bool lines[DOUBLE_INTIDS]; /* set before the GIC could take them */
};
extern struct vm double_vm;

/* All vCPUs are there: the GIC begins to work. */
hv_return_t double_start(void);

#endif
