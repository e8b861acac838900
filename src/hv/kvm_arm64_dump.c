/* kvm_arm64_dump.c: a vCPU's registers as text, for reports of crashes. */
#include <stdio.h>
#include <sys/ioctl.h>

#include <vibevmm/bytes.h>

#include "arm64_esr.h"
#include "arm64_sysreg.h"
#include "kvm_arm64.h"

#define CORE(name)                                                                                 \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))
#define SYSREG(n) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | (n))

static uint64_t get(const struct hv_vcpu *vcpu, uint64_t id)
{
	uint64_t value = 0;

	(void)kvm_arm64_get(vcpu, id, &value);
	return value;
}

static void put_general(struct text *t, const struct hv_vcpu *vcpu)
{
	for (unsigned i = 0; i < 31; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%u", i);
		text_put(t, "%-5s %016llx%s", name,
			 (unsigned long long)get(vcpu, CORE(regs.regs[0]) + 2ULL * i),
			 i % 3 == 2 || i == 30 ? "\n" : "  ");
	}
}

static void put_system(struct text *t, const struct hv_vcpu *vcpu)
{
	static const struct {
		const char *name;
		uint64_t id;
	} rows[] = {
		{ "sp_el0", CORE(regs.sp) },
		{ "sp_el1", CORE(sp_el1) },
		{ "vbar_el1", SYSREG(ARM64_VBAR_EL1) },
		{ "sctlr_el1", SYSREG(ARM64_SCTLR_EL1) },
		{ "tcr_el1", SYSREG(ARM64_TCR_EL1) },
		{ "mair_el1", SYSREG(ARM64_MAIR_EL1) },
		{ "ttbr0_el1", SYSREG(ARM64_TTBR0_EL1) },
		{ "ttbr1_el1", SYSREG(ARM64_TTBR1_EL1) },
		{ "cpacr_el1", SYSREG(ARM64_CPACR_EL1) },
		{ "elr_el1", CORE(elr_el1) },
		{ "far_el1", SYSREG(ARM64_FAR_EL1) },
		{ "mpidr_el1", SYSREG(ARM64_MPIDR_EL1) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		text_put(t, "%-9s %016llx%s", rows[i].name,
			 (unsigned long long)get(vcpu, rows[i].id), i % 3 == 2 ? "\n" : "  ");
}

/* The last exception that the guest took to EL1, if any. */
static void put_exception(struct text *t, const struct hv_vcpu *vcpu)
{
	uint64_t esr = get(vcpu, SYSREG(ARM64_ESR_EL1));
	uint64_t status = get(vcpu, CORE(spsr[KVM_SPSR_EL1]));

	text_put(t, "esr_el1   %016llx  ", (unsigned long long)esr);
	arm64_esr_put(t, esr);
	text_put(t, "\nspsr_el1  %016llx  ", (unsigned long long)status);
	arm64_pstate_put(t, status);
	text_put(t, "\n");
}

/* Those that aren't zero. With SVE they are part of longer registers, and KVM shows none. */
static void put_vectors(struct text *t, const struct hv_vcpu *vcpu)
{
	for (unsigned i = 0; i < 32; i++) {
		uint64_t half[2] = { 0 };
		struct kvm_one_reg reg = {
			.id = KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |
			      (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 4ULL * i),
			.addr = (uintptr_t)half,
		};

		if (!ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg) && (half[0] || half[1]))
			text_put(t, "v%-4u %016llx%016llx\n", i, (unsigned long long)half[1],
				 (unsigned long long)half[0]);
	}
}

void kvm_arm64_dump(struct hv_vcpu *vcpu, char *buf, size_t len)
{
	struct text t = { buf, len, 0 };
	uint64_t pc, pstate;

	if (!len)
		return;
	buf[0] = '\0';
	if (kvm_arm64_get(vcpu, CORE(regs.pc), &pc) ||
	    kvm_arm64_get(vcpu, CORE(regs.pstate), &pstate)) {
		text_put(&t, "vCPU %u: KVM hides the registers\n", vcpu->index);
		return;
	}
	text_put(&t, "pc    %016llx  pstate %llx  ", (unsigned long long)pc,
		 (unsigned long long)pstate);
	arm64_pstate_put(&t, pstate);
	text_put(&t, "\n");
	put_general(&t, vcpu);
	put_system(&t, vcpu);
	put_exception(&t, vcpu);
	put_vectors(&t, vcpu);
}
