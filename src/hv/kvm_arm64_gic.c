/* kvm_arm64_gic.c: KVM's interrupt controllers for arm64: GICv2, GICv3 and its ITS.
 *
 * Linux Documentation/virt/kvm/devices/arm-vgic.rst, arm-vgic-v3.rst, arm-vgic-its.rst. A line is
 * an SPI, and GSI n leads to SPI n, in the routes that KVM begins with and in ours. A message goes
 * to the ITS; or, if it is for the frame of a GICv2m, it is an edge on a line.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "kvm_arm64.h"

#define FIRST_SPI 32U /* Arm IHI 0069, 2.2: interrupts below are a vCPU's own */

/* What KVM_DEV_ARM_VGIC_GRP_NR_IRQS takes: from, to and in steps of. Its document says up to 1024,
 * Linux takes less. */
#define INTIDS_MIN  64U
#define INTIDS_MAX  992U
#define INTIDS_STEP 32U

/* KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: how many redistributors, above their address of 64 KiB pages
 * and the region's number. */
#define REDISTS_SHIFT 52

static const struct {
	uint32_t type;
	enum hv_cap cap;
} devices[] = {
	{ KVM_DEV_TYPE_ARM_VGIC_V2, HV_CAP_GICV2 },
	{ KVM_DEV_TYPE_ARM_VGIC_V3, HV_CAP_GICV3 },
	{ KVM_DEV_TYPE_ARM_VGIC_ITS, HV_CAP_ITS },
};

unsigned kvm_arm64_gic_caps(int vm)
{
	unsigned caps = 0;

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		struct kvm_create_device test = { .type = devices[i].type,
						  .flags = KVM_CREATE_DEVICE_TEST };

		if (!ioctl(vm, KVM_CREATE_DEVICE, &test))
			caps |= devices[i].cap;
	}
	/* Messages go through the ITS, or with a GICv2 through a device's frame. */
	return caps & (HV_CAP_ITS | HV_CAP_GICV2) ? caps | HV_CAP_MSI : caps;
}

static int set(int device, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(device, KVM_SET_DEVICE_ATTR, &request) ? -errno : 0;
}

static int place(int device, const char *part, uint64_t type, uint64_t addr, struct err *err)
{
	int ret = set(device, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &addr);

	if (ret)
		return err_errno(err, -ret, STATUS_UNAVAILABLE,
				 "KVM refuses the interrupt controller's %s at %#llx", part,
				 (unsigned long long)addr);
	return 0;
}

/* One or two regions: KVM has a table of them, numbered, which holds how many fit into each. */
static int place_redistributors(int device, const struct hv_vm *vm, struct err *err)
{
	const struct hv_gic_config *gic = &vm->config.gic;
	uint64_t vcpus = vm->config.vcpus, room = gic->redist_room;
	int ret;

	if (!room || vcpus <= room)
		return place(device, "redistributors", KVM_VGIC_V3_ADDR_TYPE_REDIST, gic->redist,
			     err);
	ret = place(device, "redistributors", KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
		    room << REDISTS_SHIFT | gic->redist, err);
	if (!ret)
		ret = place(device, "other redistributors", KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
			    (vcpus - room) << REDISTS_SHIFT | gic->redist_more | 1, err);
	return ret;
}

static int init(int device, const char *name, struct err *err)
{
	int ret = set(device, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);

	if (ret)
		return err_errno(err, -ret, STATUS_UNAVAILABLE, "KVM cannot start the %s", name);
	return 0;
}

/* Says which one there is, where the one asked for isn't. */
static int refused(const struct hv_vm *vm, const char *name, int errnum, struct err *err)
{
	unsigned caps = kvm_arm64_gic_caps(vm->fd);

	if (errnum != ENODEV)
		return err_errno(err, errnum, STATUS_UNAVAILABLE, "KVM cannot make a %s", name);
	return err_set(err, ENODEV, STATUS_UNAVAILABLE, "KVM on this host has no %s; it has %s",
		       name,
		       caps & HV_CAP_GICV3   ? "a GICv3, which `gic: v3` or `auto` takes"
		       : caps & HV_CAP_GICV2 ? "a GICv2, which `gic: v2` or `auto` takes"
					     : "no interrupt controller at all");
}

/* The device's file descriptor, or -errno. KVM keeps the device until the VM goes. */
static int create(const struct hv_vm *vm, uint32_t type, const char *name, struct err *err)
{
	struct kvm_create_device request = { .type = type };

	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &request))
		return refused(vm, name, errno, err);
	return (int)request.fd;
}

static int create_gic(struct hv_vm *vm, struct err *err)
{
	const struct hv_gic_config *gic = &vm->config.gic;
	bool v3 = gic->version == HV_GIC_V3;
	const char *name = v3 ? "GICv3" : "GICv2";
	uint32_t intids =
		(FIRST_SPI + vm->config.irq_lines + INTIDS_STEP - 1) / INTIDS_STEP * INTIDS_STEP;
	int ret, device = create(vm, v3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2, name,
				 err);

	if (device < 0)
		return device;
	intids = intids < INTIDS_MIN ? INTIDS_MIN : intids > INTIDS_MAX ? INTIDS_MAX : intids;
	ret = set(device, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &intids);
	if (ret) {
		ret = err_errno(err, -ret, STATUS_UNAVAILABLE, "KVM refuses %u interrupts", intids);
		goto out;
	}
	ret = place(device, "distributor",
		    v3 ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST, gic->dist, err);
	if (!ret)
		ret = v3 ? place_redistributors(device, vm, err)
			 : place(device, "CPU interface", KVM_VGIC_V2_ADDR_TYPE_CPU, gic->cpu, err);
	if (!ret)
		ret = init(device, name, err);
out:
	close(device);
	return ret;
}

static int create_its(struct hv_vm *vm, struct err *err)
{
	int ret, device = create(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, "ITS", err);

	if (device < 0)
		return device;
	ret = place(device, "ITS", KVM_VGIC_ITS_ADDR_TYPE, vm->config.gic.its, err);
	if (!ret)
		ret = init(device, "ITS", err);
	close(device);
	return ret;
}

int kvm_arm64_gic_create(struct hv_vm *vm, struct err *err)
{
	int ret = create_gic(vm, err);

	return ret || !vm->config.gic.its ? ret : create_its(vm, err);
}

void kvm_arm64_irq_set(struct hv_vm *vm, unsigned line, bool level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (FIRST_SPI + line),
		.level = level,
	};

	if (vm->config.irqchip != HV_IRQCHIP_NONE)
		ioctl(vm->fd, KVM_IRQ_LINE, &irq);
}

/* ---- Messages ------------------------------------------------------------------------------ */

unsigned kvm_arch_pins(const struct hv_vm *vm)
{
	return vm->config.irq_lines ? vm->config.irq_lines : INTIDS_MAX - FIRST_SPI;
}

static struct kvm_irq_routing_entry line_route(uint32_t line)
{
	return (struct kvm_irq_routing_entry){
		.gsi = line,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .pin = line },
	};
}

uint32_t kvm_arch_pin_routes(const struct hv_vm *vm, struct kvm_irq_routing_entry *entries)
{
	uint32_t n = kvm_arch_pins(vm);

	for (uint32_t line = 0; line < n; line++)
		entries[line] = line_route(line);
	return n;
}

static bool is_for_frame(const struct hv_vm *vm, uint64_t addr)
{
	const struct hv_gic_config *gic = &vm->config.gic;

	return gic->frame && addr == gic->frame + HV_GICV2M_SETSPI;
}

/* The line that a message to the frame names; false: none of the frame's own. */
static bool line_of(const struct hv_vm *vm, uint32_t data, uint32_t *line)
{
	const struct hv_gic_config *gic = &vm->config.gic;

	*line = data - FIRST_SPI;
	return data >= FIRST_SPI && *line - gic->frame_line < gic->frame_lines;
}

bool kvm_arch_message_route(const struct hv_vm *vm, const struct kvm_message *message,
			    struct kvm_irq_routing_entry *entry)
{
	uint32_t line;

	if (is_for_frame(vm, message->addr)) {
		if (!line_of(vm, message->data, &line))
			return false;
		*entry = line_route(line);
		return true;
	}
	*entry = (struct kvm_irq_routing_entry){
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = KVM_MSI_VALID_DEVID,
		.u.msi = { .address_lo = (uint32_t)message->addr,
			   .address_hi = (uint32_t)(message->addr >> 32),
			   .data = message->data,
			   .devid = message->device },
	};
	return true;
}

int kvm_arm64_msi_send(struct hv_vm *vm, uint64_t addr, uint32_t data, uint32_t device)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)addr,
		.address_hi = (uint32_t)(addr >> 32),
		.data = data,
		.flags = KVM_MSI_VALID_DEVID,
		.devid = device,
	};
	uint32_t line;

	if (is_for_frame(vm, addr)) {
		if (line_of(vm, data, &line)) {
			kvm_arm64_irq_set(vm, line, true);
			kvm_arm64_irq_set(vm, line, false);
		}
		return 0;
	}
	/* 0: the guest has not mapped it, which is its own affair */
	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0 ? -errno : 0;
}
