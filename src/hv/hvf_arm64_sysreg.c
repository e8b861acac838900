/* hvf_arm64_sysreg.c: system registers that the framework does not know.
 *
 * Kernels touch some as a matter of course: debug registers, performance counters, ID registers of
 * what came later. These read as zero and ignore writes, which is what they do where the feature
 * isn't there. Any other is undefined, and the guest is told so.
 */
#include <vibevmm/log.h>

#include "arm64_sysreg.h"
#include "hvf.h"

/* Arm ARM (DDI 0487), D17.2.37, "ISS encoding for an exception from MSR, MRS" */
#define ISS_READ     1U
#define ISS_REG(esr) ((unsigned)((esr) >> 5 & 31))

/* D17.2.37: EC 0 is an instruction that is undefined; IL: it has 32 bits. */
#define ESR_UNDEFINED (1U << 25)

struct name {
	unsigned op0, op1, crn, crm, op2;
};

static struct name name_of(uint64_t esr)
{
	return (struct name){ .op0 = esr >> 20 & 3,
			      .op2 = esr >> 17 & 7,
			      .op1 = esr >> 14 & 7,
			      .crn = esr >> 10 & 15,
			      .crm = esr >> 1 & 15 };
}

/* Arm ARM, C5.3 and D18.1: by the space that such registers have. */
static bool is_zero(const struct name *n)
{
	if (n->op0 == 2) /* debug */
		return n->op1 == 0;
	if (n->op0 != 3)
		return false;
	if (n->op1 == 0 && n->crn == 0) /* ID registers */
		return true;
	if (n->crn == 9) /* performance counters: of EL1, and of EL0 */
		return n->op1 == 0 ? n->crm == 14 : n->op1 == 3 && n->crm >= 12;
	return n->op1 == 3 && n->crn == 14 && n->crm >= 8;
}

/* D1.3.2, "Exception entry": the vector depends on where the guest was, and PSTATE keeps its flags.
 */
static void undefined(struct hv_vcpu *vcpu)
{
	const unsigned keep = ARM64_PSTATE_NZCV | ARM64_PSTATE_PAN | ARM64_PSTATE_DIT;
	uint64_t pc = hvf_arm64_get(vcpu, HV_REG_PC), pstate = hvf_arm64_get(vcpu, HV_REG_CPSR);
	uint64_t sctlr = hvf_arm64_get_sysreg(vcpu, ARM64_SCTLR_EL1);
	uint64_t vector = hvf_arm64_get_sysreg(vcpu, ARM64_VBAR_EL1);
	uint64_t new = (pstate & keep) | ARM64_PSTATE_EL1H | ARM64_PSTATE_DAIF;

	if (!(pstate & ARM64_PSTATE_EL)) /* from EL0 */
		vector += 0x400;
	else if (pstate & ARM64_PSTATE_SP)
		vector += 0x200;
	if (!(sctlr & ARM64_SCTLR_SPAN))
		new |= ARM64_PSTATE_PAN;
	if (sctlr & ARM64_SCTLR_DSSBS)
		new |= ARM64_PSTATE_SSBS;
	hvf_arm64_set_sysreg(vcpu, ARM64_ESR_EL1, ESR_UNDEFINED);
	hvf_arm64_set_sysreg(vcpu, ARM64_ELR_EL1, pc);
	hvf_arm64_set_sysreg(vcpu, ARM64_SPSR_EL1, pstate);
	hvf_arm64_set(vcpu, HV_REG_CPSR, new);
	hvf_arm64_set(vcpu, HV_REG_PC, vector);
}

void hvf_arm64_sysreg(struct hv_vcpu *vcpu, uint64_t esr)
{
	struct name n = name_of(esr);
	bool zero = is_zero(&n), read = esr & ISS_READ;

	if (!atomic_exchange(&vcpu->vm->told_sysreg, true))
		log_info("the guest %s system register S%u_%u_C%u_C%u_%u, which Macs don't have: "
			 "%s; others are not told",
			 read ? "reads" : "writes", n.op0, n.op1, n.crn, n.crm, n.op2,
			 zero ? "it is taken as zero" : "it gets an exception");
	if (!zero) {
		undefined(vcpu);
		return;
	}
	if (read)
		hvf_arm64_set_operand(vcpu, ISS_REG(esr), 0);
	hvf_arm64_skip(vcpu);
}
