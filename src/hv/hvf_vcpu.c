/* hvf_vcpu.c: vCPUs of Hypervisor.framework: threads, kicks, sleep, the loop of exits.
 *
 * The framework ties a vCPU to the thread that made it, to its end. Ours may be destroyed by
 * another thread, once its own has ended: so the framework's goes when its thread does, by a
 * destructor of thread-specific data.
 */
#include <errno.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "hvf.h"

/* ---- Kicks and sleep ------------------------------------------------------------------------
 *
 * A kick sets a flag, cancels the framework's present or next run, and sends a signal. A vCPU's
 * thread has that signal blocked but in sigsuspend, where it sleeps: so the signal of a kick that
 * came just before is still there, and none disturbs a device's system calls.
 */
#define WAKE_SIGNAL SIGUSR1

static void wake_handler(int signum)
{
	(void)signum;
}

static void wake_install(void)
{
	struct sigaction action = { .sa_handler = wake_handler };

	sigemptyset(&action.sa_mask);
	sigaction(WAKE_SIGNAL, &action, NULL);
}

static void wake_block(struct hv_vcpu *vcpu)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t wake;

	pthread_once(&once, wake_install);
	sigemptyset(&wake);
	sigaddset(&wake, WAKE_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &wake, &vcpu->outside_wait);
	sigdelset(&vcpu->outside_wait, WAKE_SIGNAL);
}

void hvf_vcpu_kick(struct hv_vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, true);
	hv_vcpus_exit(&vcpu->id, 1);
	pthread_kill(vcpu->thread, WAKE_SIGNAL);
}

void hvf_vcpu_sleep(struct hv_vcpu *vcpu)
{
	while (!atomic_load(&vcpu->kicked))
		sigsuspend(&vcpu->outside_wait);
}

/* ---- On and off ---------------------------------------------------------------------------- */

bool hvf_vcpu_waits(struct hv_vcpu *vcpu)
{
	return atomic_load(&vcpu->power) == HVF_OFF;
}

bool hvf_vcpu_start(struct hv_vcpu *vcpu, uint64_t pc, uint64_t x0)
{
	enum hvf_power off = HVF_OFF;

	if (!atomic_compare_exchange_strong(&vcpu->power, &off, HVF_CLAIMED))
		return false;
	vcpu->start_pc = pc;
	vcpu->start_x0 = x0;
	atomic_store(&vcpu->power, HVF_STARTED);
	pthread_kill(vcpu->thread, WAKE_SIGNAL);
	return true;
}

/* Waits while it is off; false: a kick came first. */
static bool wait_until_on(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	enum hvf_power power;
	struct text text;
	struct err err;

	while ((power = atomic_load(&vcpu->power)) < HVF_STARTED) {
		if (atomic_load(&vcpu->kicked))
			return false;
		sigsuspend(&vcpu->outside_wait);
	}
	if (power == HVF_STARTED) {
		atomic_store(&vcpu->power, HVF_ON);
		if (hvf_arm64_enter(vcpu, vcpu->start_pc, vcpu->start_x0, &err)) {
			text = hvf_fault(exit);
			text_put(&text, "%s", err.text);
			return false;
		}
	}
	return true;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static pthread_key_t own; /* the vCPU of a thread that has one */
static int no_key;	  /* why there is none */

static void end(void *arg)
{
	struct hv_vcpu *vcpu = arg;

	hv_vcpu_destroy(vcpu->id);
	vcpu->made = false;
}

static void make_key(void)
{
	no_key = pthread_key_create(&own, end);
}

int hvf_vcpu_create(struct hv_vm *vm, unsigned index, struct hv_vcpu **vcpu, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct hv_vcpu *new = &vm->vcpus[index];
	hv_return_t refusal;
	int ret;

	pthread_once(&once, make_key);
	new->vm = vm;
	new->index = index;
	new->thread = pthread_self();
	atomic_store(&new->power, index ? HVF_OFF : HVF_ON);
	refusal = hv_vcpu_create(&new->id, &new->exit, NULL);
	if (refusal)
		return hvf_refused(err, refusal, "cannot make vCPU %u", index);
	new->made = true;
	ret = no_key ? no_key : pthread_setspecific(own, new);
	if (ret) {
		end(new);
		return err_errno(err, ret, STATUS_OSERR, "vCPU %u", index);
	}
	wake_block(new);
	ret = hvf_arm64_init(new, err);
	if (ret) {
		hvf_vcpu_destroy(new);
		return ret;
	}
	*vcpu = new;
	return 0;
}

void hvf_vcpu_destroy(struct hv_vcpu *vcpu)
{
	sigset_t wake;

	if (vcpu->made && pthread_equal(vcpu->thread, pthread_self())) {
		pthread_setspecific(own, NULL);
		end(vcpu);
		sigemptyset(&wake);
		sigaddset(&wake, WAKE_SIGNAL);
		pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	}
	memset(vcpu, 0, sizeof(*vcpu));
}

/* ---- Run ----------------------------------------------------------------------------------- */

struct text hvf_fault(struct hv_exit *exit)
{
	exit->kind = HV_EXIT_FAULT;
	exit->text[0] = '\0';
	return (struct text){ exit->text, sizeof(exit->text), 0 };
}

static void run(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	hv_return_t ret = hv_vcpu_run(vcpu->id);
	struct text text;

	if (ret) {
		text = hvf_fault(exit);
		text_put(&text, "Hypervisor.framework cannot run vCPU %u: hv_return_t %#x",
			 vcpu->index, (unsigned)ret);
		return;
	}
	switch (vcpu->exit->reason) {
	case HV_EXIT_REASON_CANCELED:
		break;
	case HV_EXIT_REASON_EXCEPTION:
		hvf_arm64_exception(vcpu, exit);
		break;
	/* There is no interrupt controller that the timer could reach, and it has masked itself. */
	case HV_EXIT_REASON_VTIMER_ACTIVATED:
		break;
	default:
		text = hvf_fault(exit);
		text_put(&text, "Hypervisor.framework's exit %u, which vibevmm does not handle",
			 vcpu->exit->reason);
	}
}

void hvf_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	hvf_arm64_resume(vcpu);
	do {
		exit->kind = HV_EXIT_AGAIN;
		if (atomic_exchange(&vcpu->kicked, false))
			exit->kind = HV_EXIT_KICKED;
		else if (atomic_load(&vcpu->power) == HVF_ON || wait_until_on(vcpu, exit))
			run(vcpu, exit);
	} while (exit->kind == HV_EXIT_AGAIN);
}
