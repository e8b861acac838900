/* psci.h: numbers of the Power State Coordination Interface (Arm DEN0022, 5 and 5.2.2), and of the
 * calling convention that it follows (Arm DEN0028, 2.5 and 2.6). */
#ifndef VIBEVMM_HV_PSCI_H
#define VIBEVMM_HV_PSCI_H

/* Functions that take addresses have a number for 32-bit callers, too: it lacks this bit. */
#define PSCI_64 0x40000000U

#define PSCI_VERSION	       0x84000000U
#define PSCI_CPU_SUSPEND       0xc4000001U
#define PSCI_CPU_OFF	       0x84000002U
#define PSCI_CPU_ON	       0xc4000003U
#define PSCI_AFFINITY_INFO     0xc4000004U
#define PSCI_MIGRATE_INFO_TYPE 0x84000006U
#define PSCI_SYSTEM_OFF	       0x84000008U
#define PSCI_SYSTEM_RESET      0x84000009U
#define PSCI_FEATURES	       0x8400000aU
#define PSCI_SYSTEM_RESET2     0xc4000012U

#define PSCI_1_1	      0x10001
#define PSCI_AFFINITY_ON      0
#define PSCI_AFFINITY_OFF     1
#define PSCI_MIGRATE_NOT_USED 2 /* there is no trusted OS to be moved */

#define PSCI_SUCCESS	      0
#define PSCI_NOT_SUPPORTED    (-1)
#define PSCI_INVALID_PARAMS   (-2)
#define PSCI_DENIED	      (-3)
#define PSCI_ALREADY_ON	      (-4)
#define PSCI_ON_PENDING	      (-5)
#define PSCI_INTERNAL_FAILURE (-6)
#define PSCI_INVALID_ADDRESS  (-9)

#define SMCCC_VERSION	    0x80000000U
#define SMCCC_ARCH_FEATURES 0x80000001U
#define SMCCC_1_1	    0x10001
#define SMCCC_NOT_SUPPORTED (-1)

#endif
