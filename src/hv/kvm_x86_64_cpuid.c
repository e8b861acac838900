/* kvm_x86_64_cpuid.c: what the vCPUs of KVM on x86_64 are born with: CPUID, and some MSRs. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include <vibevmm/bytes.h>

#include "kvm_x86_64.h"

/* KVM_CAP_X86_APIC_BUS_CYCLES_NS: the timers of KVM's local APICs count nanoseconds. */
#define APIC_KHZ 1000000

/* Leaves that the host doesn't have, or not for us: two of the topology, and the clocks. */
#define OWN_LEAVES 3

/* ---- CPUID --------------------------------------------------------------------------------- */

static size_t table_size(uint32_t entries)
{
	return sizeof(struct kvm_cpuid2) + entries * sizeof(struct kvm_cpuid_entry2);
}

static struct kvm_cpuid2 *table_alloc(uint32_t entries)
{
	struct kvm_cpuid2 *table = calloc(1, table_size(entries));

	if (table)
		table->nent = entries;
	return table;
}

static struct cpuid_regs regs_of(const struct kvm_cpuid_entry2 *e)
{
	return (struct cpuid_regs){ e->eax, e->ebx, e->ecx, e->edx };
}

/* Takes the table as far as it holds for all vCPUs. The host's topology goes, ours comes; its
 * numbers are filled in for each vCPU. */
static void prepare(struct kvm_x86_64_cpuid *cpuid)
{
	struct kvm_cpuid2 *table = cpuid->table;
	uint32_t n = 0, max_leaf = 0;

	for (uint32_t i = 0; i < table->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &table->entries[i];
		struct cpuid_regs regs = regs_of(e);

		if (cpuid_is_host_topology(e->function) || e->function == CPUID_CLOCKS)
			continue;
		if (e->function == 0) {
			max_leaf = e->eax;
			cpuid->vm.amd = cpuid_is_amd(&regs);
		}
		table->entries[n++] = *e;
	}
	for (uint32_t i = 0; i < 2 && max_leaf >= CPUID_TOPOLOGY; i++)
		table->entries[n++] = (struct kvm_cpuid_entry2){
			.function = CPUID_TOPOLOGY,
			.index = i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
	table->entries[n++] = (struct kvm_cpuid_entry2){ .function = CPUID_CLOCKS };
	table->nent = n;
}

int kvm_x86_64_cpuid_init(struct kvm_x86_64_cpuid *cpuid, const struct hv_vm_config *config,
			  int kvm, struct err *err)
{
	bool apic = config->irqchip != HV_IRQCHIP_NONE;
	int errnum = 0;

	cpuid->vm = (struct cpuid_vm){
		.topology = config->topology,
		.apic = apic,
		/* KVM_GET_SUPPORTED_CPUID leaves this out, since it depends on the APIC. */
		.tsc_deadline =
			apic && ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
		.apic_khz = apic ? APIC_KHZ : 0,
	};
	/* KVM says E2BIG as long as the table doesn't fit. */
	for (uint32_t entries = 128; entries <= 4096; entries *= 2) {
		free(cpuid->table);
		cpuid->table = table_alloc(entries + OWN_LEAVES);
		if (!cpuid->table)
			return err_errno(err, ENOMEM, STATUS_OSERR, "CPUID table");
		cpuid->table->nent = entries;
		errnum = ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid->table) ? errno : 0;
		if (errnum != E2BIG)
			break;
	}
	if (errnum)
		return err_errno(err, errnum, STATUS_UNAVAILABLE,
				 "KVM does not tell which CPUID it supports");
	prepare(cpuid);
	cpuid->vcpu_tables = calloc(config->vcpus, table_size(cpuid->table->nent));
	return cpuid->vcpu_tables ? 0 : err_errno(err, ENOMEM, STATUS_OSERR, "CPUID tables");
}

void kvm_x86_64_cpuid_free(struct kvm_x86_64_cpuid *cpuid)
{
	free(cpuid->vcpu_tables);
	free(cpuid->table);
}

/* ---- MSRs ---------------------------------------------------------------------------------- */

/* As a PC's firmware leaves them (Intel SDM Vol. 4, table 2-2). Where KVM refuses one, guests go
 * without: they are all about speed. */
static void set_msrs(const struct kvm_x86_64_cpuid *cpuid, int fd)
{
	static const struct kvm_msr_entry entries[] = {
		/* IA32_MTRR_DEF_TYPE: on, and all memory is write-back; the ranges for the first
		 * MiB stay off, as they are zeros, which means uncached. Linux without MTRRs takes
		 * the PAT for missing as well. */
		{ .index = 0x2ff, .data = 1 << 11 | 6 },
		/* Intel's IA32_MISC_ENABLE: fast strings; no branch trace store, no PEBS, as KVM
		 * has it. Without the first, Linux doubts `rep movs`. */
		{ .index = 0x1a0, .data = 1 << 12 | 1 << 11 | 1 },
	};
	union {
		struct kvm_msrs msrs;
		char room[sizeof(struct kvm_msrs) + sizeof(entries)];
	} u = { .msrs.nmsrs = cpuid->vm.amd ? 1 : ARRAY_SIZE(entries) };

	for (uint32_t i = 0; i < u.msrs.nmsrs; i++)
		u.msrs.entries[i] = entries[i];
	ioctl(fd, KVM_SET_MSRS, &u.msrs);
}

int kvm_x86_64_cpuid_set(const struct kvm_x86_64_cpuid *cpuid, struct hv_vcpu *vcpu,
			 struct err *err)
{
	struct kvm_cpuid2 *table;
	struct cpuid_vm vm = cpuid->vm;
	int khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);

	vm.tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	table = (struct kvm_cpuid2 *)(cpuid->vcpu_tables +
				      vcpu->index * table_size(cpuid->table->nent));
	table->nent = cpuid->table->nent;
	for (uint32_t i = 0; i < table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &table->entries[i];
		struct cpuid_regs regs;

		*e = cpuid->table->entries[i];
		regs = regs_of(e);
		cpuid_fit(&vm, vcpu->index, e->function, e->index, &regs);
		e->eax = regs.eax;
		e->ebx = regs.ebx;
		e->ecx = regs.ecx;
		e->edx = regs.edx;
	}
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, table))
		return err_errno(err, errno, STATUS_UNAVAILABLE, "KVM refuses the CPUID of vCPU %u",
				 vcpu->index);
	set_msrs(cpuid, vcpu->fd);
	return 0;
}
