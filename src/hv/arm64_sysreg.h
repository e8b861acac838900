/* arm64_sysreg.h: system registers of an arm64 processor, as numbers.
 *
 * Arm ARM (DDI 0487), C5.3 "A64 System registers": the operands of MSR and MRS, packed as in the
 * instruction itself. KVM's register ids end with the same 16 bits, and Hypervisor.framework's
 * hv_sys_reg_t has the same values.
 */
#ifndef VIBEVMM_HV_ARM64_SYSREG_H
#define VIBEVMM_HV_ARM64_SYSREG_H

#define ARM64_SYSREG(op0, op1, crn, crm, op2)                                                      \
	((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

#define ARM64_MPIDR_EL1	   ARM64_SYSREG(3, 0, 0, 0, 5)
#define ARM64_SCTLR_EL1	   ARM64_SYSREG(3, 0, 1, 0, 0)
#define ARM64_CPACR_EL1	   ARM64_SYSREG(3, 0, 1, 0, 2)
#define ARM64_TTBR0_EL1	   ARM64_SYSREG(3, 0, 2, 0, 0)
#define ARM64_TTBR1_EL1	   ARM64_SYSREG(3, 0, 2, 0, 1)
#define ARM64_TCR_EL1	   ARM64_SYSREG(3, 0, 2, 0, 2)
#define ARM64_SPSR_EL1	   ARM64_SYSREG(3, 0, 4, 0, 0)
#define ARM64_ELR_EL1	   ARM64_SYSREG(3, 0, 4, 0, 1)
#define ARM64_SP_EL0	   ARM64_SYSREG(3, 0, 4, 1, 0)
#define ARM64_SP_EL1	   ARM64_SYSREG(3, 4, 4, 1, 0)
#define ARM64_ESR_EL1	   ARM64_SYSREG(3, 0, 5, 2, 0)
#define ARM64_FAR_EL1	   ARM64_SYSREG(3, 0, 6, 0, 0)
#define ARM64_MAIR_EL1	   ARM64_SYSREG(3, 0, 10, 2, 0)
#define ARM64_VBAR_EL1	   ARM64_SYSREG(3, 0, 12, 0, 0)
#define ARM64_CNTV_CTL_EL0 ARM64_SYSREG(3, 3, 14, 3, 1)

/* D17.2.118, SCTLR_EL1: the stage 1 MMU is on; an exception leaves PSTATE.PAN alone; what it sets
 * PSTATE.SSBS to; and what a processor starts with: the bits that are one where they mean nothing.
 */
#define ARM64_SCTLR_M	  1U
#define ARM64_SCTLR_SPAN  (1U << 23)
#define ARM64_SCTLR_DSSBS (1ULL << 44)
#define ARM64_SCTLR_START 0x30d00800U

/* C5.2.19, SPSR_EL1: EL1 with its own stack pointer; and debug exceptions, SErrors, IRQs and FIQs
 * masked. */
#define ARM64_PSTATE_EL1H 0x5U
#define ARM64_PSTATE_DAIF 0x3c0U
#define ARM64_PSTATE_EL	  0xcU /* the exception level */
#define ARM64_PSTATE_SP	  0x1U /* its own stack pointer */
#define ARM64_PSTATE_SSBS (1U << 12)
#define ARM64_PSTATE_PAN  (1U << 22)
#define ARM64_PSTATE_DIT  (1U << 24)
#define ARM64_PSTATE_NZCV 0xf0000000U

#endif
