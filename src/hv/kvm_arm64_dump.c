/* kvm_arm64_dump.c: a vCPU's registers as text, for reports of crashes. */
#include <sys/ioctl.h>

#include "arm64_dump.h"
#include "arm64_sysreg.h"
#include "kvm_arm64.h"

#define CORE(name)                                                                                 \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))

static uint64_t x(const void *vcpu, unsigned n)
{
	uint64_t value = 0;

	(void)kvm_arm64_get(vcpu, CORE(regs.regs[0]) + 2ULL * n, &value);
	return value;
}

/* Some count among KVM's core registers. */
static uint64_t sysreg(const void *vcpu, unsigned number)
{
	uint64_t value = 0;

	switch (number) {
	case ARM64_SP_EL0:
		(void)kvm_arm64_get(vcpu, CORE(regs.sp), &value);
		break;
	case ARM64_SP_EL1:
		(void)kvm_arm64_get(vcpu, CORE(sp_el1), &value);
		break;
	case ARM64_ELR_EL1:
		(void)kvm_arm64_get(vcpu, CORE(elr_el1), &value);
		break;
	case ARM64_SPSR_EL1:
		(void)kvm_arm64_get(vcpu, CORE(spsr[KVM_SPSR_EL1]), &value);
		break;
	default:
		(void)kvm_arm64_get_sysreg(vcpu, number, &value);
	}
	return value;
}

/* With SVE they are part of longer registers, and KVM shows none. */
static void v(const void *arg, unsigned n, uint64_t value[2])
{
	const struct hv_vcpu *vcpu = arg;
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |
		      (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 4ULL * n),
		.addr = (uintptr_t)value,
	};

	(void)ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg);
}

void kvm_arm64_dump(struct hv_vcpu *vcpu, char *buf, size_t len)
{
	struct arm64_registers registers = { .vcpu = vcpu, .x = x, .sysreg = sysreg, .v = v };
	struct text text = { buf, len, 0 };

	if (!len)
		return;
	buf[0] = '\0';
	if (kvm_arm64_get(vcpu, CORE(regs.pc), &registers.pc) ||
	    kvm_arm64_get(vcpu, CORE(regs.pstate), &registers.pstate)) {
		text_put(&text, "vCPU %u: KVM hides the registers\n", vcpu->index);
		return;
	}
	arm64_dump_put(&text, &registers);
}
