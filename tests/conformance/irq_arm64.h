/* irq_arm64.h: guests that say which interrupts they take, for tests of interrupt controllers. */
#ifndef VIBEVMM_TESTS_IRQ_ARM64_H
#define VIBEVMM_TESTS_IRQ_ARM64_H

#include "conformance/rig.h"

#define LINE  3U
#define INTID (32U + LINE)

/* Arm IHI 0069, 12.9: GICD_CTLR at 0, GICD_IGROUPR at 0x80, GICD_ISENABLER at 0x100, each register
 * of 32 interrupts; 12.11: of a redistributor's second frame the same, for SGIs and PPIs. The guest
 * lets line 3 through, and its timer's interrupt, says so, and sleeps. */
#define VECTORS "mov x0, #0x2000; msr VBAR_EL1, x0; mov x9, #0x30000; mov x10, #0x08000000;"
#define SLEEP	"isb; str xzr, [x9]; msr DAIFClr, #2; 1: wfi; b 1b;"

/* Line 3 goes to the vCPU of affinity 0 (GICD_IROUTER, 0x6000 and 8 bytes each: 0 after reset). */
#define CPU_V3                                                                                     \
	"mov x1, #1; msr S3_0_C12_C12_5, x1; isb; mov x1, #0xff; msr S3_0_C4_C6_0, x1;"            \
	"mov x1, #1; msr S3_0_C12_C12_7, x1;"
GUEST(v3, VECTORS "mov w1, #0x12; str w1, [x10]; mov w1, #8; str w1, [x10, #0x84];"
		  "str w1, [x10, #0x104];" CPU_V3 SLEEP);
/* The handler reads ICC_IAR1_EL1, says it, and writes ICC_EOIR1_EL1. */
GUEST(v3_handler, "mrs x1, S3_0_C12_C12_0; str x1, [x9]; msr S3_0_C12_C12_1, x1; eret;");

/* GICD_ITARGETSR at 0x800, a byte each; GICC_CTLR, PMR, IAR, EOIR at 0, 4, 0xc, 0x10 (IHI 0048,
 * 4.3 and 4.4). */
GUEST(v2, VECTORS "add x11, x10, #0x10000; mov w1, #1; strb w1, [x10, #0x823]; mov w1, #8;"
		  "str w1, [x10, #0x104]; mov w1, #1; str w1, [x10]; mov w1, #0xff;"
		  "str w1, [x11, #4]; mov w1, #1; str w1, [x11];" SLEEP);
GUEST(v2_handler, "ldr w1, [x11, #0xc]; str x1, [x9]; str w1, [x11, #0x10]; eret;");

static inline void expect_says(struct rig *rig, uint64_t value)
{
	rig_expect_io(rig, HV_EXIT_MMIO, true, RIG_PORT, 8, value);
}

#endif
