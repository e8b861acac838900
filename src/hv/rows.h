/* rows.h: what is known of each hypervisor without its code: the only place for these data.
 *
 * HV_ROW_x begins the row `hv_x` of backends.def. Where a build has the code, that file adds its
 * functions to it; elsewhere the row stands as it is, so that every host can plan for every other.
 * The caps are the most that a hypervisor offers on its best host; probe tells what one host has.
 */
#ifndef VIBEVMM_HV_ROWS_H
#define VIBEVMM_HV_ROWS_H

#include <vibevmm/backend.h>

/* As many as there are APIC IDs. */
#define HV_X86_64_MAX_VCPUS (HV_X86_APIC_ID_MAX + 1)

#define HV_ROW_kvm_x86_64                                                                          \
	.name = "kvm", .arch = ARCH_X86_64, .doc = "Linux KVM",                                    \
	.caps = {                                                                                  \
		.caps = HV_CAP_PIO | HV_CAP_READONLY_MEM | HV_CAP_IRQ_LINE | HV_CAP_MSI |          \
			HV_CAP_IRQFD | HV_CAP_IOEVENTFD | HV_CAP_IRQCHIP_SPLIT |                   \
			HV_CAP_IRQCHIP_FULL | HV_CAP_PIT | HV_CAP_COALESCE,                        \
		.max_vcpus = HV_X86_64_MAX_VCPUS,                                                  \
		.phys_bits = 52,                                                                   \
	}

/* Linux Documentation/virt/kvm: a GICv2 or v3 in the kernel, whose lines are the SPIs; messages by
 * its ITS; KVM_MAX_VCPUS of 512 with a GICv3. Arm ARM (DDI 0487), D8.1: 52 bits with LPA or LPA2;
 * most hosts have 40 to 48. */
#define HV_ROW_kvm_arm64                                                                           \
	.name = "kvm", .arch = ARCH_ARM64, .doc = "Linux KVM",                                     \
	.caps = {                                                                                  \
		.caps = HV_CAP_READONLY_MEM | HV_CAP_IRQ_LINE | HV_CAP_MSI | HV_CAP_IRQFD |        \
			HV_CAP_IOEVENTFD | HV_CAP_IRQCHIP_FULL | HV_CAP_COALESCE | HV_CAP_GICV2 |  \
			HV_CAP_GICV3 | HV_CAP_ITS | HV_CAP_PMU | HV_CAP_SVE,                       \
		.max_vcpus = 512,                                                                  \
		.phys_bits = 52,                                                                   \
	}

/* What vibevmm means to run there, not all that the framework may offer: guests of one vCPU that
 * take no interrupts. Guest-physical addresses go through
 * four levels of EPT (Intel SDM Vol. 3, "The Extended Page Table Mechanism"): 48 bits. */
#define HV_ROW_hvf_x86_64                                                                          \
	.name = "hvf", .arch = ARCH_X86_64, .doc = "macOS Hypervisor.framework on Intel",          \
	.caps = {                                                                                  \
		.caps = HV_CAP_PIO | HV_CAP_READONLY_MEM,                                          \
		.macos = true,                                                                     \
		.max_vcpus = 1,                                                                    \
		.phys_bits = 48,                                                                   \
	}

/* With the framework's GIC of macOS 15 (hv_gic): SPIs, whose edges are messages, too. 64 vCPUs is
 * what hv_vm_get_max_vcpu_count gives, 40 bits the widest of hv_vm_config_get_max_ipa_size, and 32
 * MiB of redistributors what hv_gic_get_redistributor_region_size does. */
#define HV_ROW_hvf_arm64                                                                           \
	.name = "hvf", .arch = ARCH_ARM64, .doc = "macOS Hypervisor.framework on Apple silicon",   \
	.caps = {                                                                                  \
		.caps = HV_CAP_READONLY_MEM | HV_CAP_IRQ_LINE | HV_CAP_MSI | HV_CAP_IRQCHIP_FULL | \
			HV_CAP_GICV3,                                                              \
		.macos = true,                                                                     \
		.max_vcpus = 64,                                                                   \
		.phys_bits = 40,                                                                   \
		.page = 0x4000,                                                                    \
		.gic_redists = 256,                                                                \
	}

#endif
