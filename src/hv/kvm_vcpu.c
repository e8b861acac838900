/* kvm_vcpu.c: KVM's vCPUs, as far as they are the same on every architecture: made, run, kicked. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "kvm.h"

/* ---- Kicks ----------------------------------------------------------------------------------
 *
 * A kick sets kvm_run.immediate_exit, then signals the vCPU's thread. Wherever the thread is, the
 * kick is seen: before KVM_RUN, the flag makes it return EINTR at once; inside, the signal does,
 * and the flag tells that it was a kick. vcpu_run takes the flag back with an exchange, so each
 * kick is reported once, and the signal of a kick already reported is just another EINTR.
 *
 * The signal's handler has nothing to do. It is installed with SA_RESTART: KVM_RUN returns EINTR
 * all the same, while a device's write() that the signal meets in user space is restarted and
 * loses no byte. It is an ordinary signal because those coalesce: a queued (real-time) one can be
 * refused when the queue is full, and the kick would be lost.
 */
#define KICK_SIGNAL SIGUSR1

static void kick_handler(int signum)
{
	(void)signum;
}

static void kick_install(void)
{
	struct sigaction action = { .sa_handler = kick_handler, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(KICK_SIGNAL, &action, NULL);
}

void kvm_vcpu_kick(struct hv_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

bool kvm_vcpu_waits(struct hv_vcpu *vcpu)
{
	struct kvm_mp_state state;

	/* What a vCPU waits in differs by architecture: INIT and SIPI, or PSCI. */
	return !ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) &&
	       (state.mp_state == KVM_MP_STATE_UNINITIALIZED ||
		state.mp_state == KVM_MP_STATE_INIT_RECEIVED ||
		state.mp_state == KVM_MP_STATE_STOPPED);
}

/* ---- vCPUs --------------------------------------------------------------------------------- */

int kvm_vcpu_create(struct hv_vm *vm, unsigned index, struct hv_vcpu **vcpu, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct hv_vcpu *new = &vm->vcpus[index];
	sigset_t kick;
	int ret;

	pthread_once(&once, kick_install);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);

	new->vm = vm;
	new->index = index;
	new->thread = pthread_self();
	new->fd = kvm_arch_vcpu_open(vm, index);
	if (new->fd < 0) {
		ret = err_errno(err, errno, STATUS_UNAVAILABLE, "KVM cannot make vCPU %u", index);
		goto out;
	}
	new->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, new->fd, 0);
	if (new->run == MAP_FAILED) {
		new->run = NULL;
		ret = err_errno(err, errno, STATUS_OSERR, "cannot map vCPU %u", index);
		goto out;
	}
	ret = kvm_arch_vcpu_init(new, err);
	if (ret)
		goto out;
	if (index == 0)
		kvm_ring_attach(&vm->ring, new->run);
	*vcpu = new;
	new = NULL;
out:
	if (new)
		kvm_vcpu_destroy(new);
	return ret;
}

void kvm_vcpu_destroy(struct hv_vcpu *vcpu)
{
	if (vcpu->index == 0)
		kvm_ring_detach(&vcpu->vm->ring);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	*vcpu = (struct hv_vcpu){ .fd = -1 };
}

/* ---- Run ----------------------------------------------------------------------------------- */

struct text kvm_fault(struct hv_exit *exit)
{
	exit->kind = HV_EXIT_FAULT;
	exit->text[0] = '\0';
	return (struct text){ exit->text, sizeof(exit->text), 0 };
}

static void system_event(const struct kvm_run *run, struct hv_exit *exit)
{
	struct text text;

	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		exit->kind = HV_EXIT_POWEROFF;
		break;
	case KVM_SYSTEM_EVENT_RESET:
		exit->kind = HV_EXIT_RESET;
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		text = kvm_fault(exit);
		text_put(&text, "the guest reports that it crashed");
		break;
	default:
		text = kvm_fault(exit);
		text_put(&text, "KVM reports system event %u of the guest", run->system_event.type);
	}
}

static void mmio(struct kvm_run *run, struct hv_exit *exit)
{
	exit->kind = HV_EXIT_MMIO;
	exit->io.addr = run->mmio.phys_addr;
	exit->io.data = run->mmio.data;
	exit->io.count = 1;
	exit->io.size = (uint8_t)run->mmio.len;
	exit->io.write = run->mmio.is_write;
}

/* The exits that no guest should see the end of. */
static void broken(const struct kvm_run *run, struct hv_exit *exit)
{
	static const char *const internal[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "it cannot emulate an instruction",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions came at once",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "delivering an event to the guest failed",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "the processor gave an unknown exit",
	};
	struct text text = kvm_fault(exit);
	uint32_t sub = run->internal.suberror;

	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		text_put(&text, "the processor refuses to enter the guest, hardware reason %#llx",
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_UNKNOWN:
		text_put(&text, "KVM does not know the processor's exit, hardware reason %#llx",
			 (unsigned long long)run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		text_put(&text, "KVM internal error %u (%s)", sub,
			 sub < ARRAY_SIZE(internal) && internal[sub] ? internal[sub]
								     : "of an unknown kind");
		for (uint32_t i = 0; i < run->internal.ndata && i < ARRAY_SIZE(run->internal.data);
		     i++)
			text_put(&text, "%s%#llx", i ? " " : ", data ",
				 (unsigned long long)run->internal.data[i]);
		break;
	default:
		text_put(&text, "KVM exit %u, which vibevmm does not handle", run->exit_reason);
	}
}

static void decode(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_MMIO:
		mmio(vcpu->run, exit);
		break;
	case KVM_EXIT_INTR:
		exit->kind = HV_EXIT_AGAIN;
		break;
	case KVM_EXIT_SHUTDOWN:
		exit->kind = HV_EXIT_TRIPLE_FAULT;
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		system_event(vcpu->run, exit);
		break;
	default:
		broken(vcpu->run, exit);
	}
}

static void run_failed(struct hv_vcpu *vcpu, int errnum, struct hv_exit *exit)
{
	struct kvm_run *run = vcpu->run;
	struct text text;
	char words[64];

	switch (errnum) {
	case EINTR:
		exit->kind = __atomic_exchange_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST)
				     ? HV_EXIT_KICKED
				     : HV_EXIT_AGAIN;
		break;
	case EAGAIN: /* another vCPU has just started this one */
		exit->kind = HV_EXIT_AGAIN;
		break;
	default:
		text = kvm_fault(exit);
		text_put(&text, "KVM cannot run vCPU %u: %s", vcpu->index,
			 strerror_r(errnum, words, sizeof(words)));
	}
}

void kvm_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	do {
		int errnum = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;

		kvm_drain(vcpu->vm);
		if (!errnum) {
			if (!kvm_arch_exit(vcpu, exit))
				decode(vcpu, exit);
			return;
		}
		run_failed(vcpu, errnum, exit);
	} while (exit->kind == HV_EXIT_AGAIN);
}
