/* kvm_x86_64.c: registers and the interrupt controllers of KVM on x86_64.
 *
 * With the split interrupt controller KVM has the local APICs and we have the I/O APIC, whose
 * window never shows outside of here. Its pins become messages (KVM_SIGNAL_MSI). KVM gets to know
 * a pin's message too (kvm_routes.c), but only where it must: for an irqfd, which delivers
 * it without us; and for a level-triggered pin, whose EOI KVM then reports. Telling it costs a
 * grace period, so pins that need neither are not told.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "ioapic.h"
#include "kvm_x86_64.h"
#include "rows.h"

/* Where Intel processors that cannot run real mode by themselves keep two helpers of KVM: a page
 * table of one page, then a task state segment of three. plan's layout sets the place apart. */
#define IDENTITY_MAP_ADDR 0xfef00000ULL
#define TSS_ADDR	  0xfef01000UL

struct kvm_arch_vm {
	struct kvm_x86_64_cpuid cpuid;
	struct ioapic ioapic; /* of the split interrupt controller, under vm->routes.lock */
};

/* ---- What this host offers ----------------------------------------------------------------- */

const struct kvm_feature kvm_arch_features[] = {
	{ KVM_CAP_EXT_CPUID, "CPUID for guests", true, 0 },
	{ KVM_CAP_SET_TSS_ADDR, "placing of its task state segment", true, 0 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "placing of its identity map", true, 0 },
	{ KVM_CAP_SPLIT_IRQCHIP, "a split interrupt controller", false,
	  HV_CAP_IRQCHIP_SPLIT | HV_CAP_IRQ_LINE },
	{ KVM_CAP_SIGNAL_MSI, "message-signalled interrupts", false, HV_CAP_MSI },
	{ KVM_CAP_PIT2, "an 8254 timer", false, HV_CAP_PIT },
	{ KVM_CAP_COALESCED_PIO, "gathered writes", false, HV_CAP_COALESCE },
	{ 0 },
};

const char kvm_arch_how_to_get[] =
	"load KVM with 'sudo modprobe kvm_intel' or 'sudo modprobe kvm_amd'";

void kvm_arch_probe(int kvm, struct hv_caps *caps)
{
	unsigned eax, ebx, ecx, edx;

	(void)kvm;
	caps->caps |= HV_CAP_PIO;
	if (caps->max_vcpus > HV_X86_64_MAX_VCPUS)
		caps->max_vcpus = HV_X86_64_MAX_VCPUS;
	/* The processor itself is asked: KVM's whole table takes 70 us. Memory encryption takes
	 * some of the bits away (AMD APM Vol. 3, E.4.17), whether or not it is switched on. */
	caps->phys_bits = 36;
	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		caps->phys_bits = eax & 0xff;
	if (__get_cpuid(0x8000001f, &eax, &ebx, &ecx, &edx) && (eax & 1))
		caps->phys_bits -= ebx >> 6 & 0x3f;
}

/* KVM knows a vCPU by its APIC ID. */
int kvm_arch_vcpu_open(struct hv_vm *vm, unsigned index)
{
	return ioctl(vm->fd, KVM_CREATE_VCPU, hv_x86_apic_id(&vm->config.topology, index));
}

int kvm_arch_vm_open(int kvm, const struct hv_vm_config *config)
{
	(void)config;
	return ioctl(kvm, KVM_CREATE_VM, 0);
}

int kvm_arch_vcpu_init(struct hv_vcpu *vcpu, struct err *err)
{
	return kvm_x86_64_cpuid_set(&vcpu->vm->arch->cpuid, vcpu, err);
}

/* ---- Interrupts ---------------------------------------------------------------------------- */

static int x86_msi_send(struct hv_vm *vm, uint64_t addr, uint32_t data, uint32_t device)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)addr,
		.address_hi = (uint32_t)(addr >> 32),
		.data = data,
	};

	(void)device;
	/* 0: the guest has masked it, which is its own affair */
	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0 ? -errno : 0;
}

static void ioapic_send(void *arg, const struct ioapic_message *message)
{
	x86_msi_send(arg, message->addr, message->data, 0);
}

/* A pin that KVM must know has another message. */
static void ioapic_reroute(void *arg)
{
	if (kvm_routes_set(arg))
		log_error("KVM refuses the routes of interrupt lines");
}

unsigned kvm_arch_pins(const struct hv_vm *vm)
{
	(void)vm;
	return IOAPIC_PINS;
}

/* A new table replaces the one that KVM makes for a full interrupt controller: line n is pin n of
 * the I/O APIC, and the first 16 are the 8259s', too. */
static uint32_t full_routes(struct kvm_irq_routing_entry *entries)
{
	uint32_t n = 0;

	for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
		entries[n++] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin },
		};
		if (pin >= 16)
			continue;
		entries[n++] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = pin < 8 ? KVM_IRQCHIP_PIC_MASTER
							  : KVM_IRQCHIP_PIC_SLAVE,
				       .pin = pin % 8 },
		};
	}
	return n;
}

uint32_t kvm_arch_pin_routes(const struct hv_vm *vm, struct kvm_irq_routing_entry *entries)
{
	const struct ioapic *ioapic = &vm->arch->ioapic;
	uint32_t n = 0;

	if (vm->config.irqchip == HV_IRQCHIP_FULL)
		return full_routes(entries);
	for (uint32_t pin = 0; pin < ioapic->pins; pin++) {
		const struct ioapic_message *message = &ioapic->routes[pin];

		if (!(ioapic->routed & 1U << pin))
			continue;
		entries[n++] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = (uint32_t)message->addr, .data = message->data },
		};
	}
	return n;
}

bool kvm_arch_message_route(const struct hv_vm *vm, const struct kvm_message *message,
			    struct kvm_irq_routing_entry *entry)
{
	(void)vm;
	*entry = (struct kvm_irq_routing_entry){
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)message->addr,
			   .address_hi = (uint32_t)(message->addr >> 32),
			   .data = message->data },
	};
	return true;
}

/* An access to the I/O APIC's window. */
static void ioapic_access(struct hv_vm *vm, struct kvm_run *run)
{
	struct ioapic *ioapic = &vm->arch->ioapic;
	uint64_t offset = run->mmio.phys_addr - IOAPIC_BASE;
	uint32_t len = run->mmio.len;

	pthread_mutex_lock(&vm->routes.lock);
	if (run->mmio.is_write)
		ioapic_write(ioapic, offset,
			     (uint32_t)bytes_get(run->mmio.data, len < 4 ? len : 4));
	else
		bytes_put(run->mmio.data, len, ioapic_read(ioapic, offset));
	pthread_mutex_unlock(&vm->routes.lock);
}

static void x86_irq_set(struct hv_vm *vm, unsigned line, bool level)
{
	struct kvm_irq_level irq = { .irq = line, .level = level };

	switch (vm->config.irqchip) {
	case HV_IRQCHIP_NONE:
		break;
	case HV_IRQCHIP_SPLIT:
		pthread_mutex_lock(&vm->routes.lock);
		ioapic_set(&vm->arch->ioapic, line, level);
		pthread_mutex_unlock(&vm->routes.lock);
		break;
	case HV_IRQCHIP_FULL:
		ioctl(vm->fd, KVM_IRQ_LINE, &irq);
		break;
	}
}

static int x86_irqfd(struct hv_vm *vm, unsigned line, int fd, struct err *err)
{
	int ret;

	if (line >= IOAPIC_PINS ||
	    (vm->config.irqchip == HV_IRQCHIP_SPLIT && line >= vm->arch->ioapic.pins))
		return err_set(err, EINVAL, STATUS_BUG, "there is no interrupt line %u", line);
	ret = kvm_irqfd(vm, line, fd, err);
	if (ret || vm->config.irqchip != HV_IRQCHIP_SPLIT)
		return ret;
	pthread_mutex_lock(&vm->routes.lock);
	ioapic_follow(&vm->arch->ioapic, line);
	pthread_mutex_unlock(&vm->routes.lock);
	return 0;
}

static int x86_platform_create(struct hv_vm *vm, struct err *err)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_PINS } };
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (vm->config.irqchip == HV_IRQCHIP_SPLIT && ioctl(vm->fd, KVM_ENABLE_CAP, &split))
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "KVM cannot make a split interrupt controller");
	if (vm->config.irqchip == HV_IRQCHIP_FULL && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0))
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "KVM cannot make an interrupt controller");
	if (vm->config.pit && ioctl(vm->fd, KVM_CREATE_PIT2, &pit))
		return err_errno(err, errno, STATUS_UNAVAILABLE, "KVM cannot make an 8254 timer");
	return 0;
}

/* ---- VM ------------------------------------------------------------------------------------ */

int kvm_arch_vm_init(struct hv_vm *vm, int kvm, struct err *err)
{
	uint64_t identity_map = IDENTITY_MAP_ADDR;
	unsigned last_id = hv_x86_apic_id(&vm->config.topology, vm->config.vcpus - 1);
	int ids = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);
	struct kvm_arch_vm *arch;

	if (ids > 0 && last_id >= (unsigned)ids)
		return err_set(err, EINVAL, STATUS_UNAVAILABLE,
			       "vCPU %u has APIC ID %u, and KVM on this host takes IDs below %d: "
			       "numbers of cores and threads that are powers of two leave no gaps",
			       vm->config.vcpus - 1, last_id, ids);
	if (vm->config.irqchip == HV_IRQCHIP_NONE && vm->config.vcpus > 1)
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "%u vCPUs need an interrupt controller to start one another",
			       vm->config.vcpus);
	if (vm->config.pit && vm->config.irqchip != HV_IRQCHIP_FULL)
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "KVM has the 8254 timer only with the full interrupt controller");
	arch = calloc(1, sizeof(*arch));
	if (!arch)
		return err_errno(err, ENOMEM, STATUS_OSERR, "VM");
	vm->arch = arch;
	arch->ioapic.send = ioapic_send;
	arch->ioapic.reroute = ioapic_reroute;
	arch->ioapic.arg = vm;
	/* A kernel looks at every pin, with some twenty exits. */
	arch->ioapic.pins = vm->config.irq_lines && vm->config.irq_lines < IOAPIC_PINS
				    ? vm->config.irq_lines
				    : IOAPIC_PINS;
	ioapic_reset(&arch->ioapic);

	/* Before any vCPU, and always: only KVM knows whether it needs them, and where it doesn't
	 * they take 1 us each. */
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDR))
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "KVM refuses its own memory at %#llx", IDENTITY_MAP_ADDR);
	return kvm_x86_64_cpuid_init(&arch->cpuid, &vm->config, kvm, err);
}

void kvm_arch_vm_free(struct hv_vm *vm)
{
	if (!vm->arch)
		return;
	kvm_x86_64_cpuid_free(&vm->arch->cpuid);
	free(vm->arch);
}

/* ---- vCPU state ---------------------------------------------------------------------------- */

static struct kvm_segment segment(const struct hv_x86_segment *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->type,
		.present = s->present,
		.dpl = s->dpl,
		.db = s->db,
		.s = !s->system,
		.l = s->long_mode,
		.g = s->granularity,
		.unusable = !s->present,
	};
}

/* KVM looks vCPUs up by APIC ID in a map that it draws when a local APIC changes, and a vCPU isn't
 * on it yet while it is being made: an INIT to the one that was made last would reach nobody. So
 * when all are there, write back the boot processor's APIC as it is. */
static int redraw_apic_map(struct hv_vcpu *vcpu)
{
	struct kvm_lapic_state lapic;

	if (vcpu->vm->config.vcpus == 1)
		return 0;
	return ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic) || ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic);
}

static int x86_vcpu_set_entry(struct hv_vcpu *vcpu, const struct hv_entry *entry, struct err *err)
{
	const struct hv_x86_entry *x = &entry->x86;
	struct kvm_regs regs = {
		.rip = x->rip,
		.rsp = x->rsp,
		.rflags = x->rflags | 2, /* bit 1 is always set (Intel SDM Vol. 1, 3.4.3) */
		.rsi = x->rsi,
		.rbx = x->rbx,
		.rax = x->rax,
	};
	struct kvm_sregs sregs;

	/* What the entry doesn't name, such as the APIC base, stays as after power-on. */
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return err_errno(err, errno, STATUS_OSERR, "KVM hides the registers of vCPU %u",
				 vcpu->index);
	if (vcpu->vm->config.irqchip == HV_IRQCHIP_NONE)
		sregs.apic_base = 0; /* KVM shows an APIC in CPUID as long as this enables it */
	sregs.cs = segment(&x->cs);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment(&x->data);
	sregs.tr = segment(&x->tr);
	sregs.gdt = (struct kvm_dtable){ .base = x->gdt_base, .limit = x->gdt_limit };
	sregs.idt = (struct kvm_dtable){ .base = x->idt_base, .limit = x->idt_limit };
	sregs.cr0 = x->cr0;
	sregs.cr3 = x->cr3;
	sregs.cr4 = x->cr4;
	sregs.efer = x->efer;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) || ioctl(vcpu->fd, KVM_SET_REGS, &regs) ||
	    redraw_apic_map(vcpu))
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "KVM refuses the entry state of vCPU %u", vcpu->index);
	return 0;
}

static uint64_t x86_vcpu_pc(struct hv_vcpu *vcpu)
{
	struct kvm_regs regs;

	return ioctl(vcpu->fd, KVM_GET_REGS, &regs) ? 0 : regs.rip;
}

/* ---- Exits --------------------------------------------------------------------------------- */

static void emulation_failure(const struct kvm_run *run, struct hv_exit *exit)
{
	struct text text = kvm_fault(exit);
	size_t n = run->emulation_failure.insn_size;

	text_put(&text, "KVM cannot emulate the guest's instruction");
	/* ndata counts the words that follow: flags, then size and bytes. */
	if (run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) &&
	    n <= sizeof(run->emulation_failure.insn_bytes))
		text_put_bytes(&text, run->emulation_failure.insn_bytes, n);
}

bool kvm_arch_exit(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	struct hv_vm *vm = vcpu->vm;
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit->kind = HV_EXIT_PIO;
		exit->io.addr = run->io.port;
		exit->io.data = (uint8_t *)run + run->io.data_offset;
		exit->io.count = run->io.count;
		exit->io.size = run->io.size;
		exit->io.write = run->io.direction == KVM_EXIT_IO_OUT;
		return true;
	case KVM_EXIT_MMIO:
		if (vm->config.irqchip != HV_IRQCHIP_SPLIT ||
		    run->mmio.phys_addr - IOAPIC_BASE >= IOAPIC_WINDOW)
			return false;
		ioapic_access(vm, run);
		exit->kind = HV_EXIT_AGAIN;
		return true;
	case KVM_EXIT_IOAPIC_EOI:
		pthread_mutex_lock(&vm->routes.lock);
		ioapic_eoi(&vm->arch->ioapic, run->eoi.vector);
		pthread_mutex_unlock(&vm->routes.lock);
		exit->kind = HV_EXIT_AGAIN;
		return true;
	case KVM_EXIT_HLT:
		exit->kind = HV_EXIT_HALT;
		return true;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
			return false;
		emulation_failure(run, exit);
		return true;
	default:
		return false;
	}
}

const struct hv_backend hv_kvm_x86_64 = {
	HV_ROW_kvm_x86_64,
	.probe = kvm_probe,
	.vm_create = kvm_vm_create,
	.vm_destroy = kvm_vm_destroy,
	.mem_map = kvm_mem_map,
	.mem_unmap = kvm_mem_unmap,
	.platform_create = x86_platform_create,
	.irq_set = x86_irq_set,
	.msi_send = x86_msi_send,
	.irqfd = x86_irqfd,
	.ioeventfd = kvm_ioeventfd,
	.msi_irqfd = kvm_msi_irqfd,
	.coalesce = kvm_coalesce,
	.gathered = kvm_gathered,
	.drain = kvm_drain,
	.vcpu_create = kvm_vcpu_create,
	.vcpu_destroy = kvm_vcpu_destroy,
	.vcpu_set_entry = x86_vcpu_set_entry,
	.vcpu_run = kvm_vcpu_run,
	.vcpu_kick = kvm_vcpu_kick,
	.vcpu_waits = kvm_vcpu_waits,
	.vcpu_pc = x86_vcpu_pc,
	.vcpu_dump = kvm_x86_64_dump,
};
