/* double_vcpu.c: the double's vCPUs: registers, runs, exits. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "double.h"

/* Linux Documentation/virt/kvm/api.rst, KVM_EXIT_HYPERCALL */
#define CALL_IS_SMC 1U

#define CORE(name)                                                                                 \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))
#define SYSREG(n) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | (n))

static struct vm *const the = &double_vm;

/* The thread's own. */
static _Thread_local struct vcpu *own;

/* ---- vCPUs --------------------------------------------------------------------------------- */

#define CANCEL_SIGNAL SIGUSR2

static void on_cancel(int signum)
{
	(void)signum;
}

static void install(void)
{
	struct sigaction action = { .sa_handler = on_cancel, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(CANCEL_SIGNAL, &action, NULL);
}

/* The thread's own, or NULL: whoever calls has no right to. */
static struct vcpu *find(hv_vcpu_t id)
{
	return own && id == (hv_vcpu_t)(own - the->vcpus) + 1 ? own : NULL;
}

/* KVM makes the affinity from its number, and so the number is made from the affinity. */
static hv_return_t open_vcpu(struct vcpu *v, uint64_t affinity)
{
	unsigned long number = (affinity & 15) | (affinity >> 4 & 0xff0);
	struct kvm_vcpu_init init = { 0 };

	if (v->fd >= 0)
		return HV_BUSY;
	if (ioctl(the->fd, KVM_ARM_PREFERRED_TARGET, &init))
		return HV_ERROR;
	v->fd = ioctl(the->fd, KVM_CREATE_VCPU, number);
	if (v->fd < 0)
		return HV_ERROR;
	v->run = mmap(NULL, the->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED || ioctl(v->fd, KVM_ARM_VCPU_INIT, &init))
		return HV_ERROR;
	return HV_SUCCESS;
}

hv_return_t hv_vcpu_create(hv_vcpu_t *vcpu, hv_vcpu_exit_t **exit, hv_vcpu_config_t config)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	hv_return_t ret = HV_NO_RESOURCES;
	sigset_t cancel;

	(void)config;
	if (!the->there)
		return HV_NO_DEVICE;
	if (own)
		return HV_BUSY;
	pthread_once(&once, install);
	sigemptyset(&cancel);
	sigaddset(&cancel, CANCEL_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &cancel, NULL);
	pthread_mutex_lock(&the->lock);
	for (unsigned i = 0; i < DOUBLE_VCPUS && ret; i++) {
		struct vcpu *v = &the->vcpus[i];

		if (v->used)
			continue;
		*v = (struct vcpu){ .used = true, .owner = pthread_self(), .fd = -1 };
		own = v;
		*vcpu = i + 1;
		*exit = &v->exit;
		ret = HV_SUCCESS;
	}
	pthread_mutex_unlock(&the->lock);
	return ret;
}

hv_return_t hv_vcpu_destroy(hv_vcpu_t vcpu)
{
	struct vcpu *v = find(vcpu);

	if (!v)
		return HV_BAD_ARGUMENT;
	pthread_mutex_lock(&the->lock);
	if (v->fd >= 0) {
		munmap(v->run, the->run_size);
		close(v->fd);
	}
	v->used = false;
	own = NULL;
	pthread_mutex_unlock(&the->lock);
	return HV_SUCCESS;
}

/* A vCPU that isn't any more is no error: cancelling races with its end. */
hv_return_t hv_vcpus_exit(hv_vcpu_t *vcpus, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct vcpu *v = &the->vcpus[(vcpus[i] - 1) % DOUBLE_VCPUS];

		if (!v->used)
			return HV_BAD_ARGUMENT;
		atomic_store(&v->cancelled, true);
		if (v->fd >= 0)
			__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(v->owner, CANCEL_SIGNAL);
	}
	return HV_SUCCESS;
}

/* ---- Registers ----------------------------------------------------------------------------- */

static hv_return_t one_reg(struct vcpu *v, unsigned long request, uint64_t id, void *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return v && v->fd >= 0 && !ioctl(v->fd, request, &reg) ? HV_SUCCESS : HV_BAD_ARGUMENT;
}

static uint64_t reg_id(hv_reg_t reg)
{
	return reg == HV_REG_PC	    ? CORE(regs.pc)
	       : reg == HV_REG_CPSR ? CORE(regs.pstate)
	       : reg < HV_REG_PC    ? CORE(regs.regs[0]) + 2ULL * reg
				    : 0;
}

static uint64_t sysreg_id(hv_sys_reg_t reg)
{
	switch (reg) {
	case ARM64_SP_EL0:
		return CORE(regs.sp);
	case ARM64_SP_EL1:
		return CORE(sp_el1);
	case ARM64_ELR_EL1:
		return CORE(elr_el1);
	case ARM64_SPSR_EL1:
		return CORE(spsr[KVM_SPSR_EL1]);
	case ARM64_CNTV_CTL_EL0:
		return KVM_REG_ARM_TIMER_CTL;
	default:
		return SYSREG(reg);
	}
}

hv_return_t hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value)
{
	return one_reg(find(vcpu), KVM_GET_ONE_REG, reg_id(reg), value);
}

hv_return_t hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value)
{
	return one_reg(find(vcpu), KVM_SET_ONE_REG, reg_id(reg), &value);
}

hv_return_t hv_vcpu_get_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t *value)
{
	return one_reg(find(vcpu), KVM_GET_ONE_REG, sysreg_id(reg), value);
}

hv_return_t hv_vcpu_set_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t value)
{
	struct vcpu *v = find(vcpu);
	hv_return_t ret;

	if (reg != ARM64_MPIDR_EL1)
		return one_reg(v, KVM_SET_ONE_REG, sysreg_id(reg), &value);
	if (!v)
		return HV_BAD_ARGUMENT;
	pthread_mutex_lock(&the->lock);
	ret = open_vcpu(v, value & 0xffffff);
	pthread_mutex_unlock(&the->lock);
	return ret;
}

hv_return_t hv_vcpu_get_simd_fp_reg(hv_vcpu_t vcpu, uint32_t q, void *value)
{
	return one_reg(find(vcpu), KVM_GET_ONE_REG,
		       KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |
			       (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 4ULL * q),
		       value);
}

/* KVM's counters begin at 0 with the VM, as those of a VM whose offset is its start. */
hv_return_t hv_vcpu_set_vtimer_offset(hv_vcpu_t vcpu, uint64_t offset)
{
	return find(vcpu) && offset <= mach_absolute_time() ? HV_SUCCESS : HV_BAD_ARGUMENT;
}

/* ---- Run ----------------------------------------------------------------------------------- */

/* Arm ARM (DDI 0487), D17.2.38: EC, IL, and the ISS of a data abort. */
#define ESR(ec, iss) ((uint64_t)(ec) << 26 | 1U << 25 | (iss))
#define ISV	     (1U << 24)
#define SAS(size)    ((uint32_t)__builtin_ctz(size) << 22)
#define SSE	     (1U << 21)
#define SRT(reg)     ((uint32_t)(reg) << 16)
#define SF	     (1U << 15)
#define WNR	     (1U << 6)
#define DFSC	     0x07U /* translation fault, level 3 */

static hv_return_t leave(struct vcpu *v, hv_exit_reason_t reason, uint64_t esr, uint64_t ipa)
{
	v->exit = (hv_vcpu_exit_t){ reason, { esr, 0, ipa } };
	return HV_SUCCESS;
}

static uint64_t get(struct vcpu *v, uint64_t id)
{
	uint64_t value = 0;

	if (one_reg(v, KVM_GET_ONE_REG, id, &value))
		abort();
	return value;
}

static void set(struct vcpu *v, uint64_t id, uint64_t value)
{
	if (one_reg(v, KVM_SET_ONE_REG, id, &value))
		abort();
}

/* KVM completes the access that it came out with. */
static void complete(struct vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (!ioctl(v->fd, KVM_RUN, 0) || errno != EINTR)
		abort();
}

static hv_return_t store(struct vcpu *v)
{
	uint32_t size = v->run->mmio.len, reg = 0;
	uint64_t pc = get(v, CORE(regs.pc)), ipa = v->run->mmio.phys_addr, x;

	for (; reg < 31; reg++) {
		x = get(v, reg_id(reg));
		if (!memcmp(&x, v->run->mmio.data, size))
			break;
	}
	complete(v);
	set(v, CORE(regs.pc), pc);
	return leave(v, HV_EXIT_REASON_EXCEPTION,
		     ESR(0x24, ISV | SAS(size) | SRT(reg) | SF | WNR | DFSC), ipa);
}

/* A negative value of that size that no register ends with: 32 are enough to find one. */
static uint64_t fresh(const uint64_t regs[31], uint32_t size)
{
	uint64_t value = 0xa5a5a5a5a5a5a5a5 >> (64 - size * 8);

	for (unsigned i = 0; i < 31; i++) {
		if (!memcmp(&regs[i], &value, size)) {
			value++;
			i = UINT32_MAX; /* and from the first */
		}
	}
	return value;
}

static hv_return_t load(struct vcpu *v)
{
	uint32_t size = v->run->mmio.len, iss = 0;
	uint64_t pc = get(v, CORE(regs.pc)), ipa = v->run->mmio.phys_addr, old[31], x = 0, value;
	unsigned reg = 0;

	for (unsigned i = 0; i < 31; i++)
		old[i] = get(v, reg_id(i));
	value = fresh(old, size);
	memcpy(v->run->mmio.data, &value, size);
	complete(v);
	for (; reg < 31; reg++) {
		x = get(v, reg_id(reg));
		if (x != old[reg])
			break;
	}
	if (reg < 31) {
		if (size == 8 || x >> 63)
			iss = SF;
		if (size < 8 && x != value)
			iss |= SSE;
		set(v, reg_id(reg), old[reg]);
	}
	set(v, CORE(regs.pc), pc);
	return leave(v, HV_EXIT_REASON_EXCEPTION,
		     ESR(0x24, ISV | SAS(size) | SRT(reg) | iss | DFSC), ipa);
}

/* With HVC the PC is behind the instruction, with SMC it is not. */
static hv_return_t call(struct vcpu *v)
{
	bool smc = v->run->hypercall.longmode & CALL_IS_SMC;

	if (smc)
		set(v, CORE(regs.pc), get(v, CORE(regs.pc)) - 4);
	return leave(v, HV_EXIT_REASON_EXCEPTION, ESR(smc ? 0x17 : 0x16, 0), 0);
}

static hv_return_t no_syndrome(struct vcpu *v)
{
	return leave(v, HV_EXIT_REASON_EXCEPTION,
		     ESR(0x24, (uint32_t)v->run->arm_nisv.esr_iss & ~ISV),
		     v->run->arm_nisv.fault_ipa);
}

static bool timer_is_due(const struct vcpu *v)
{
	return !the->gic && !v->timer_masked &&
	       (v->run->s.regs.device_irq_level & KVM_ARM_DEV_EL1_VTIMER);
}

hv_return_t hv_vcpu_run(hv_vcpu_t vcpu)
{
	struct vcpu *v = find(vcpu);

	if (!v || v->fd < 0)
		return HV_BAD_ARGUMENT;
	if (!the->running && double_start())
		return HV_ERROR;
	for (;;) {
		/* In this order: whoever cancels sets them in the other one. */
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (atomic_exchange(&v->cancelled, false))
			return leave(v, HV_EXIT_REASON_CANCELED, 0, 0);
		if (timer_is_due(v)) {
			v->timer_masked = true;
			return leave(v, HV_EXIT_REASON_VTIMER_ACTIVATED, 0, 0);
		}
		if (ioctl(v->fd, KVM_RUN, 0)) {
			if (errno != EINTR && errno != EAGAIN)
				return HV_ERROR;
			continue;
		}
		switch (v->run->exit_reason) {
		case KVM_EXIT_INTR:
			break;
		case KVM_EXIT_MMIO:
			return v->run->mmio.is_write ? store(v) : load(v);
		case KVM_EXIT_HYPERCALL:
			return call(v);
		case KVM_EXIT_ARM_NISV:
			return no_syndrome(v);
		default:
			return leave(v, HV_EXIT_REASON_UNKNOWN, 0, 0);
		}
	}
}
