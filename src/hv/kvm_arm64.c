/* kvm_arm64.c: vCPUs of KVM on arm64: features, entry state, PSCI, exits.
 *
 * PSCI (Arm DEN0022) is KVM's own affair: it starts and stops vCPUs, and tells us when the guest
 * powers off or resets. WFI is, too: it sleeps in the kernel until an interrupt comes, and without
 * an interrupt controller until the VM is stopped, since KVM has no exit for it. A guest without
 * interrupts ends by PSCI SYSTEM_OFF.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "arm64_esr.h"
#include "arm64_sysreg.h"
#include "kvm_arm64.h"
#include "rows.h"

/* What a VM of type 0 has (Linux Documentation/virt/kvm/api.rst, KVM_CREATE_VM). More bits take
 * longer page table walks, so nobody gets them who doesn't need them. */
#define USUAL_PHYS_BITS 40U

#define CORE(name)                                                                                 \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))

/* ---- What this host offers ----------------------------------------------------------------- */

const struct kvm_feature kvm_arch_features[] = {
	{ KVM_CAP_ONE_REG, "access to registers", true, 0 },
	{ KVM_CAP_ARM_PSCI_0_2, "PSCI", true, 0 },
	{ KVM_CAP_COALESCED_MMIO, "gathered writes", false, HV_CAP_COALESCE },
	{ KVM_CAP_ARM_PMU_V3, "performance counters", false, HV_CAP_PMU },
	{ KVM_CAP_ARM_SVE, "SVE", false, HV_CAP_SVE },
	{ 0 },
};

const char kvm_arch_how_to_get[] =
	"the kernel must be built with KVM and started at EL2 ('dmesg | grep -i kvm' tells)";

static unsigned phys_bits_max(int kvm)
{
	int bits = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 ? (unsigned)bits : USUAL_PHYS_BITS;
}

/* Only a VM tells which interrupt controllers there are, and making one takes as long as all the
 * rest of a start. So the VM that was made to ask becomes the next one to run: it is as good as
 * new. It has the usual address width, or the host's if that is less. A forked process has to make
 * its own: KVM ties a VM to the memory of the process that made it. */
static atomic_int spare = -1;
static _Atomic pid_t spare_maker;

static int take_spare(void)
{
	int vm = atomic_exchange(&spare, -1);

	if (vm < 0 || spare_maker == getpid())
		return vm;
	close(vm);
	return -1;
}

static int open_vm(int kvm, unsigned bits)
{
	unsigned max = phys_bits_max(kvm);

	if (bits < USUAL_PHYS_BITS)
		bits = max < USUAL_PHYS_BITS ? max : USUAL_PHYS_BITS;
	return ioctl(kvm, KVM_CREATE_VM, bits == USUAL_PHYS_BITS ? 0UL : (unsigned long)bits);
}

int kvm_arch_vm_open(int kvm, const struct hv_vm_config *config)
{
	int vm = config->phys_bits <= USUAL_PHYS_BITS ? take_spare() : -1;

	return vm >= 0 ? vm : open_vm(kvm, config->phys_bits);
}

void kvm_arch_probe(int kvm, struct hv_caps *caps)
{
	int vm = take_spare(), other;

	caps->phys_bits = phys_bits_max(kvm);
	if (vm < 0)
		vm = open_vm(kvm, 0);
	if (vm < 0) /* vm_create will say why */
		return;
	caps->caps |= kvm_arm64_gic_caps(vm);
	spare_maker = getpid();
	other = atomic_exchange(&spare, vm);
	if (other >= 0)
		close(other);
}

/* ---- VM ------------------------------------------------------------------------------------ */

static bool has(const struct hv_vm *vm, int extension)
{
	return ioctl(vm->fd, KVM_CHECK_EXTENSION, extension) > 0;
}

static void add_feature(struct kvm_arch_vm *arch, unsigned feature)
{
	arch->features[feature / 32] |= 1U << feature % 32;
}

int kvm_arch_vm_init(struct hv_vm *vm, int kvm, struct err *err)
{
	struct kvm_enable_cap no_syndrome = { .cap = KVM_CAP_ARM_NISV_TO_USER };
	struct kvm_arch_vm *arch = calloc(1, sizeof(*arch));

	(void)kvm;
	if (!arch)
		return err_errno(err, ENOMEM, STATUS_OSERR, "VM");
	vm->arch = arch;
	arch->vcpu_fds = malloc(vm->config.vcpus * sizeof(*arch->vcpu_fds));
	if (!arch->vcpu_fds)
		return err_errno(err, ENOMEM, STATUS_OSERR, "vCPUs");
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		arch->vcpu_fds[i] = -1;
	if (vm->config.irqchip == HV_IRQCHIP_NONE && vm->config.vcpus > 1)
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "%u vCPUs need an interrupt controller to work together",
			       vm->config.vcpus);

	add_feature(arch, KVM_ARM_VCPU_PSCI_0_2);
	if (vm->config.pmu)
		add_feature(arch, KVM_ARM_VCPU_PMU_V3);
	if (vm->config.sve)
		add_feature(arch, KVM_ARM_VCPU_SVE);
	/* KVM takes both or none. */
	if (has(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) && has(vm, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
		add_feature(arch, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		add_feature(arch, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	/* Without it, KVM_RUN fails at an access that it can't tell, and nobody knows where. */
	if (has(vm, KVM_CAP_ARM_NISV_TO_USER))
		ioctl(vm->fd, KVM_ENABLE_CAP, &no_syndrome);
	return 0;
}

void kvm_arch_vm_free(struct hv_vm *vm)
{
	struct kvm_arch_vm *arch = vm->arch;

	if (!arch)
		return;
	for (unsigned i = 0; arch->vcpu_fds && i < vm->config.vcpus; i++) {
		if (arch->vcpu_fds[i] >= 0)
			close(arch->vcpu_fds[i]);
	}
	free(arch->vcpu_fds);
	free(arch);
}

/* An interrupt controller takes interrupts and irqfds only once it knows all vCPUs. So they are
 * made here, before it, and each thread takes over its own. */
static int arm64_platform_create(struct hv_vm *vm, struct err *err)
{
	struct kvm_arch_vm *arch = vm->arch;

	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		arch->vcpu_fds[i] = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)i);
		if (arch->vcpu_fds[i] < 0)
			return err_errno(err, errno, STATUS_UNAVAILABLE, "KVM cannot make vCPU %u",
					 i);
	}
	return vm->config.irqchip == HV_IRQCHIP_NONE ? 0 : kvm_arm64_gic_create(vm, err);
}

/* ---- vCPUs --------------------------------------------------------------------------------- */

int kvm_arch_vcpu_open(struct hv_vm *vm, unsigned index)
{
	int fd = vm->arch->vcpu_fds[index];

	vm->arch->vcpu_fds[index] = -1;
	return fd;
}

/* The counters' interrupt comes before their start, and both after the interrupt controller's. */
static int start_pmu(const struct hv_vcpu *vcpu)
{
	int intid = 16 + (int)HV_ARM64_PMU_PPI;
	struct kvm_device_attr irq = {
		.group = KVM_ARM_VCPU_PMU_V3_CTRL,
		.attr = KVM_ARM_VCPU_PMU_V3_IRQ,
		.addr = (uintptr_t)&intid,
	};
	struct kvm_device_attr start = {
		.group = KVM_ARM_VCPU_PMU_V3_CTRL,
		.attr = KVM_ARM_VCPU_PMU_V3_INIT,
	};

	return ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &irq) ||
	       ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &start);
}

int kvm_arch_vcpu_init(struct hv_vcpu *vcpu, struct err *err)
{
	const struct kvm_arch_vm *arch = vcpu->vm->arch;
	const struct hv_vm_config *config = &vcpu->vm->config;
	struct kvm_vcpu_init init;
	int sve = KVM_ARM_VCPU_SVE;

	if (ioctl(vcpu->vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "KVM does not know this host's processor");
	memcpy(init.features, arch->features, sizeof(init.features));
	if (vcpu->index)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "KVM refuses the features of vCPU %u", vcpu->index);
	if (config->sve && ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &sve))
		return err_errno(err, errno, STATUS_UNAVAILABLE, "KVM refuses SVE for vCPU %u",
				 vcpu->index);
	if (config->pmu && start_pmu(vcpu))
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "KVM refuses performance counters for vCPU %u", vcpu->index);
	return 0;
}

int kvm_arm64_get(const struct hv_vcpu *vcpu, uint64_t id, uint64_t *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg) ? -errno : 0;
}

int kvm_arm64_get_sysreg(const struct hv_vcpu *vcpu, unsigned number, uint64_t *value)
{
	return kvm_arm64_get(vcpu, KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | number,
			     value);
}

static int arm64_vcpu_set_entry(struct hv_vcpu *vcpu, const struct hv_entry *entry, struct err *err)
{
	const struct {
		uint64_t id, value;
	} regs[] = {
		{ CORE(regs.pc), entry->arm64.pc },
		{ CORE(regs.regs[0]), entry->arm64.x0 },
		{ CORE(regs.pstate), ARM64_PSTATE_EL1H | ARM64_PSTATE_DAIF },
	};

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		struct kvm_one_reg reg = { .id = regs[i].id, .addr = (uintptr_t)&regs[i].value };

		if (ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg))
			return err_errno(err, errno, STATUS_UNAVAILABLE,
					 "KVM refuses the entry state of vCPU %u", vcpu->index);
	}
	return 0;
}

static uint64_t arm64_vcpu_pc(struct hv_vcpu *vcpu)
{
	uint64_t pc = 0;

	(void)kvm_arm64_get(vcpu, CORE(regs.pc), &pc);
	return pc;
}

/* ---- Exits --------------------------------------------------------------------------------- */

/* Reads the instruction that the vCPU is at; only without an MMU are its address and the guest-
 * physical one the same. */
static bool fetch(const struct hv_vcpu *vcpu, uint64_t pc, uint32_t *instruction)
{
	const uint8_t *code;
	uint64_t sctlr;
	size_t len = 4;

	if (kvm_arm64_get_sysreg(vcpu, ARM64_SCTLR_EL1, &sctlr) || (sctlr & ARM64_SCTLR_M))
		return false;
	code = kvm_memory_at(vcpu->vm, pc, &len);
	if (!code || len < 4)
		return false;
	*instruction = bytes_get32(code);
	return true;
}

/* A data abort outside of memory that tells neither register nor size. */
static void no_syndrome(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	const struct kvm_run *run = vcpu->run;
	uint64_t pc = arm64_vcpu_pc(vcpu);
	struct text text = kvm_fault(exit);
	uint32_t instruction = 0;

	(void)fetch(vcpu, pc, &instruction);
	arm64_esr_put_no_syndrome(&text, run->arm_nisv.fault_ipa, pc, instruction,
				  run->arm_nisv.esr_iss);
}

bool kvm_arch_exit(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	if (vcpu->run->exit_reason != KVM_EXIT_ARM_NISV)
		return false;
	no_syndrome(vcpu, exit);
	return true;
}

const struct hv_backend hv_kvm_arm64 = {
	HV_ROW_kvm_arm64,
	.probe = kvm_probe,
	.vm_create = kvm_vm_create,
	.vm_destroy = kvm_vm_destroy,
	.mem_map = kvm_mem_map,
	.mem_unmap = kvm_mem_unmap,
	.platform_create = arm64_platform_create,
	.irq_set = kvm_arm64_irq_set,
	.msi_send = kvm_arm64_msi_send,
	.irqfd = kvm_irqfd,
	.ioeventfd = kvm_ioeventfd,
	.msi_irqfd = kvm_msi_irqfd,
	.coalesce = kvm_coalesce,
	.gathered = kvm_gathered,
	.drain = kvm_drain,
	.vcpu_create = kvm_vcpu_create,
	.vcpu_destroy = kvm_vcpu_destroy,
	.vcpu_set_entry = arm64_vcpu_set_entry,
	.vcpu_run = kvm_vcpu_run,
	.vcpu_kick = kvm_vcpu_kick,
	.vcpu_waits = kvm_vcpu_waits,
	.vcpu_pc = arm64_vcpu_pc,
	.vcpu_dump = kvm_arm64_dump,
};
