/* rig_arm64.h: how a guest of rig.h is assembled and entered on arm64: at EL1, the MMU off. */
#ifndef VIBEVMM_TESTS_RIG_ARM64_H
#define VIBEVMM_TESTS_RIG_ARM64_H

#define RIG_VECTORS 0x2000U /* for VBAR_EL1 */
#define RIG_AP_CODE 0x8000U
#define RIG_PORT    0x30000U /* nothing is there: what the guest has to say goes to these bytes */

#define RIG_GICD 0x08000000U
#define RIG_GICC 0x08010000U
#define RIG_ITS	 0x08080000U
#define RIG_GICR 0x080a0000U

#define RIG_GICR_ROOM 256U

/* Arm ARM, D1.3.2 "Exception entry": vectors for exceptions from EL1 with SP_EL1. */
#define RIG_VECTOR_SYNC 0x200U
#define RIG_VECTOR_IRQ	0x280U

/* Assembles a guest: GUEST(name, "mov ...; wfi") makes guest_name and guest_name_end. They are
 * hidden: reached through the GOT, local labels of one section would be one. */
#define GUEST(name, text)                                                                          \
	extern const uint8_t guest_##name[] __attribute__((visibility("hidden")));                 \
	extern const uint8_t guest_##name##_end[] __attribute__((visibility("hidden")));           \
	__asm__(".pushsection .rodata\n.balign 64\nguest_" #name ":\n" text                        \
		"\n.ltorg\nguest_" #name "_end:\n.balign 4\n.popsection\n")

#define rig_enter(rig, name)                                                                       \
	rig_enter_code(rig, guest_##name, (size_t)(guest_##name##_end - guest_##name))
#define rig_put(rig, addr, name)                                                                   \
	memcpy((rig)->ram + (addr), guest_##name, (size_t)(guest_##name##_end - guest_##name))

static inline struct hv_gic_config rig_gic(enum hv_gic version)
{
	bool v3 = version == HV_GIC_V3;

	return (struct hv_gic_config){ .version = version,
				       .dist = RIG_GICD,
				       .cpu = v3 ? 0 : RIG_GICC,
				       .redist = v3 ? RIG_GICR : 0,
				       .redist_room = v3 ? RIG_GICR_ROOM : 0 };
}

static inline void rig_open_gic(struct rig *rig, const struct hv_backend *hv, unsigned vcpus,
				enum hv_gic version)
{
	rig_open_config(rig, hv,
			&(struct hv_vm_config){ .vcpus = vcpus,
						.topology = { 1, vcpus, 1 },
						.irqchip = HV_IRQCHIP_FULL,
						.gic = rig_gic(version),
						.irq_lines = 8 });
}

/* Without an interrupt controller, or with whichever the host has. */
static inline void rig_open(struct rig *rig, const struct hv_backend *hv, unsigned vcpus,
			    enum hv_irqchip irqchip)
{
	struct hv_caps caps;
	struct err err;

	if (irqchip == HV_IRQCHIP_NONE) {
		rig_open_config(
			rig, hv,
			&(struct hv_vm_config){ .vcpus = vcpus, .topology = { 1, vcpus, 1 } });
		return;
	}
	assert_int_equal(hv->probe(&caps, &err), 0);
	rig_open_gic(rig, hv, vcpus, caps.caps & HV_CAP_GICV3 ? HV_GIC_V3 : HV_GIC_V2);
}

static inline void rig_enter_code(struct rig *rig, const uint8_t *code, size_t len)
{
	struct hv_entry entry = { .arm64 = { .pc = RIG_CODE, .x0 = 0x1111222233334444 } };
	struct err err;

	memcpy(rig->ram + RIG_CODE, code, len);
	if (rig->hv->vcpu_set_entry(rig->vcpu, &entry, &err))
		fail_msg("%s", err.text);
}

#endif
