/* hvf_arm64.c: Hypervisor.framework on Apple silicon: registers, entry state, exceptions.
 *
 * What the framework can't do for a guest leaves it as an exception to EL2, with that one's
 * syndrome (Arm ARM, DDI 0487, D17.2.38 "ESR_EL2"). Unless it says otherwise, the PC is still at
 * the instruction.
 */
#include <sched.h>

#include <vibevmm/bytes.h>

#include "arm64_esr.h"
#include "arm64_sysreg.h"
#include "hvf.h"
#include "rows.h"

/* EC, bits 31:26 */
enum {
	EC_WFX = 0x01,
	EC_HVC64 = 0x16,
	EC_SMC64 = 0x17,
	EC_MSR = 0x18,
	EC_DATA_LOWER = 0x24,
};

/* D17.2.38, "ISS encoding for an exception from a Data Abort" */
#define ISS_VALID  (1U << 24) /* ISV */
#define ISS_SIZE   22	      /* SAS, two bits: log2 of the size */
#define ISS_SIGN   (1U << 21) /* SSE */
#define ISS_REG	   16	      /* SRT, five bits */
#define ISS_WIDE   (1U << 15) /* SF: the register has 64 bits */
#define ISS_CACHE  (1U << 8)  /* CM: cache maintenance */
#define ISS_TABLES (1U << 7)  /* S1PTW: on a walk of the guest's own tables */
#define ISS_WRITE  (1U << 6)  /* WnR */

/* "ISS encoding for an exception from a WF* instruction": TI, 0 for WFI */
#define ISS_WFX 3U

/* D17.2.101, MPIDR_EL1: bit 31 is one. */
#define MPIDR_ONE (1U << 31)

/* ---- Registers ----------------------------------------------------------------------------- */

/* On the vCPU's thread these don't fail. */
uint64_t hvf_arm64_get(const struct hv_vcpu *vcpu, hv_reg_t reg)
{
	uint64_t value = 0;

	(void)hv_vcpu_get_reg(vcpu->id, reg, &value);
	return value;
}

void hvf_arm64_set(struct hv_vcpu *vcpu, hv_reg_t reg, uint64_t value)
{
	(void)hv_vcpu_set_reg(vcpu->id, reg, value);
}

uint64_t hvf_arm64_get_sysreg(const struct hv_vcpu *vcpu, unsigned number)
{
	uint64_t value = 0;

	(void)hv_vcpu_get_sys_reg(vcpu->id, (hv_sys_reg_t)number, &value);
	return value;
}

void hvf_arm64_set_sysreg(struct hv_vcpu *vcpu, unsigned number, uint64_t value)
{
	(void)hv_vcpu_set_sys_reg(vcpu->id, (hv_sys_reg_t)number, value);
}

uint64_t hvf_arm64_get_operand(const struct hv_vcpu *vcpu, unsigned n)
{
	return n < 31 ? hvf_arm64_get(vcpu, HV_REG_X0 + n) : 0;
}

void hvf_arm64_set_operand(struct hv_vcpu *vcpu, unsigned n, uint64_t value)
{
	if (n < 31)
		hvf_arm64_set(vcpu, HV_REG_X0 + n, value);
}

void hvf_arm64_skip(struct hv_vcpu *vcpu)
{
	hvf_arm64_set(vcpu, HV_REG_PC, hvf_arm64_get(vcpu, HV_REG_PC) + 4);
}

/* ---- Entry --------------------------------------------------------------------------------- */

/* The interrupt controller knows a vCPU by its affinity, so that comes first. */
int hvf_arm64_init(struct hv_vcpu *vcpu, struct err *err)
{
	hv_return_t ret = hv_vcpu_set_sys_reg(vcpu->id, ARM64_MPIDR_EL1,
					      MPIDR_ONE | hv_arm64_affinity(vcpu->index));

	if (!ret)
		ret = hv_vcpu_set_vtimer_offset(vcpu->id, vcpu->vm->epoch);
	return ret ? hvf_refused(err, ret, "refuses to set up vCPU %u", vcpu->index) : 0;
}

/* Linux wants zeros in X1 to X3: Documentation/arch/arm64/booting.rst. */
int hvf_arm64_enter(struct hv_vcpu *vcpu, uint64_t pc, uint64_t x0, struct err *err)
{
	const struct {
		unsigned number;
		uint64_t value;
	} sysregs[] = {
		{ ARM64_SCTLR_EL1, ARM64_SCTLR_START },
		{ ARM64_CNTV_CTL_EL0, 0 },
	};
	const struct {
		hv_reg_t reg;
		uint64_t value;
	} regs[] = {
		{ HV_REG_PC, pc },    { HV_REG_X0, x0 },
		{ HV_REG_X0 + 1, 0 }, { HV_REG_X0 + 2, 0 },
		{ HV_REG_X0 + 3, 0 }, { HV_REG_CPSR, ARM64_PSTATE_EL1H | ARM64_PSTATE_DAIF },
	};
	hv_return_t ret = HV_SUCCESS;

	for (size_t i = 0; i < ARRAY_SIZE(sysregs) && !ret; i++)
		ret = hv_vcpu_set_sys_reg(vcpu->id, (hv_sys_reg_t)sysregs[i].number,
					  sysregs[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(regs) && !ret; i++)
		ret = hv_vcpu_set_reg(vcpu->id, regs[i].reg, regs[i].value);
	return ret ? hvf_refused(err, ret, "refuses the entry state of vCPU %u", vcpu->index) : 0;
}

static int set_entry(struct hv_vcpu *vcpu, const struct hv_entry *entry, struct err *err)
{
	return hvf_arm64_enter(vcpu, entry->arm64.pc, entry->arm64.x0, err);
}

static uint64_t vcpu_pc(struct hv_vcpu *vcpu)
{
	return hvf_arm64_get(vcpu, HV_REG_PC);
}

/* ---- Accesses to devices ------------------------------------------------------------------- */

/* What a load leaves in its register: sign-extended or not, to 32 or to 64 bits. */
static uint64_t loaded(const struct hv_vcpu *vcpu)
{
	uint64_t sign = vcpu->access.sign;
	uint64_t value = (bytes_get(vcpu->data, vcpu->access.size) ^ sign) - sign;

	return vcpu->access.wide ? value : value & UINT32_MAX;
}

void hvf_arm64_resume(struct hv_vcpu *vcpu)
{
	if (!vcpu->access.due)
		return;
	vcpu->access.due = false;
	if (vcpu->access.load)
		hvf_arm64_set_operand(vcpu, vcpu->access.reg, loaded(vcpu));
	hvf_arm64_skip(vcpu);
}

/* Only without an MMU are the instruction's address and the guest-physical one the same. */
static void no_syndrome(struct hv_vcpu *vcpu, uint64_t esr, struct hv_exit *exit)
{
	uint64_t pc = hvf_arm64_get(vcpu, HV_REG_PC);
	struct text text = hvf_fault(exit);
	uint32_t instruction = 0;

	if (!(hvf_arm64_get_sysreg(vcpu, ARM64_SCTLR_EL1) & ARM64_SCTLR_M))
		(void)hvf_fetch(vcpu->vm, pc, &instruction);
	arm64_esr_put_no_syndrome(&text, vcpu->exit->exception.physical_address, pc, instruction,
				  esr & 0x1ffffff);
}

static void left_for_good(struct hv_vcpu *vcpu, uint64_t esr, struct hv_exit *exit)
{
	struct text text = hvf_fault(exit);

	text_put(&text, "the guest is stuck at pc %#llx, address %#llx: ",
		 (unsigned long long)hvf_arm64_get(vcpu, HV_REG_PC),
		 (unsigned long long)vcpu->exit->exception.physical_address);
	arm64_esr_put(&text, esr);
}

static void data_abort(struct hv_vcpu *vcpu, uint64_t esr, struct hv_exit *exit)
{
	unsigned size = 1U << (esr >> ISS_SIZE & 3);

	if (esr & ISS_TABLES) {
		left_for_good(vcpu, esr, exit);
		return;
	}
	if (esr & ISS_CACHE) { /* there is nothing to maintain */
		hvf_arm64_skip(vcpu);
		return;
	}
	if (!(esr & ISS_VALID)) {
		no_syndrome(vcpu, esr, exit);
		return;
	}
	vcpu->access.due = true;
	vcpu->access.load = !(esr & ISS_WRITE);
	vcpu->access.sign = esr & ISS_SIGN ? 1ULL << (size * 8 - 1) : 0;
	vcpu->access.wide = esr & ISS_WIDE;
	vcpu->access.reg = esr >> ISS_REG & 31;
	vcpu->access.size = (uint8_t)size;
	bytes_put(vcpu->data, sizeof(vcpu->data),
		  vcpu->access.load ? 0 : hvf_arm64_get_operand(vcpu, vcpu->access.reg));
	exit->kind = HV_EXIT_MMIO;
	exit->io.addr = vcpu->exit->exception.physical_address;
	exit->io.data = vcpu->data;
	exit->io.count = 1;
	exit->io.size = (uint8_t)size;
	exit->io.write = !vcpu->access.load;
}

/* ---- Other exceptions ---------------------------------------------------------------------- */

/* With an interrupt controller the framework itself sleeps until an interrupt, and only it would
 * know of one: should it ask us all the same, the wait is over at once, as it may be. Without one
 * nothing ends a WFI. */
static void wait_for(struct hv_vcpu *vcpu, uint64_t esr)
{
	hvf_arm64_skip(vcpu);
	if (!(esr & ISS_WFX) && vcpu->vm->config.irqchip == HV_IRQCHIP_NONE)
		hvf_vcpu_sleep(vcpu);
	else
		sched_yield();
}

void hvf_arm64_exception(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	uint64_t esr = vcpu->exit->exception.syndrome;

	switch (esr >> 26 & 0x3f) {
	case EC_DATA_LOWER:
		data_abort(vcpu, esr, exit);
		break;
	case EC_HVC64: /* the PC is behind it */
		hvf_arm64_call(vcpu, exit);
		break;
	case EC_SMC64:
		hvf_arm64_skip(vcpu);
		hvf_arm64_call(vcpu, exit);
		break;
	case EC_MSR:
		hvf_arm64_sysreg(vcpu, esr);
		break;
	case EC_WFX:
		wait_for(vcpu, esr);
		break;
	default:
		left_for_good(vcpu, esr, exit);
	}
}

const struct hv_backend hv_hvf_arm64 = {
	HV_ROW_hvf_arm64,
	.probe = hvf_probe,
	.vm_create = hvf_vm_create,
	.vm_destroy = hvf_vm_destroy,
	.mem_map = hvf_mem_map,
	.mem_unmap = hvf_mem_unmap,
	.platform_create = hvf_arm64_platform_create,
	.irq_set = hvf_arm64_irq_set,
	.msi_send = hvf_arm64_msi_send,
	.vcpu_create = hvf_vcpu_create,
	.vcpu_destroy = hvf_vcpu_destroy,
	.vcpu_set_entry = set_entry,
	.vcpu_run = hvf_vcpu_run,
	.vcpu_kick = hvf_vcpu_kick,
	.vcpu_waits = hvf_vcpu_waits,
	.vcpu_pc = vcpu_pc,
	.vcpu_dump = hvf_arm64_dump,
};
