/* double_vm.c: the double's VM, memory and GIC. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "double.h"

#define FIRST_SPI  32U
#define REDISTS	   256U
#define USUAL_BITS 36U

/* Linux Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_CTRL: newer than some headers. */
#define SMCCC_CTRL   0U
#define SMCCC_FILTER 0U
struct smccc_filter {
	uint32_t base, n;
	uint8_t action, pad[15];
};
#define SMCCC_FORWARD 2U

struct vm double_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct vm *const the = &double_vm;

struct hv_vm_config_s {
	uint32_t bits;
};

struct hv_gic_config_s {
	uint64_t dist, redist;
};

/* ---- macOS --------------------------------------------------------------------------------- */

void os_release(void *object)
{
	free(object);
}

uint64_t mach_absolute_time(void)
{
	uint64_t now;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now));
	return now;
}

int sysctlbyname(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
{
	int there = !access("/dev/kvm", R_OK | W_OK);

	(void)new_len;
	if (strcmp(name, "kern.hv_support") != 0 || *old_len < sizeof(there) || new) {
		errno = EINVAL;
		return -1;
	}
	memcpy(old, &there, sizeof(there));
	*old_len = sizeof(there);
	return 0;
}

/* ---- VM ------------------------------------------------------------------------------------ */

hv_vm_config_t hv_vm_config_create(void)
{
	hv_vm_config_t config = calloc(1, sizeof(*config));

	if (config)
		config->bits = USUAL_BITS;
	return config;
}

hv_return_t hv_vm_config_get_default_ipa_size(uint32_t *bits)
{
	*bits = USUAL_BITS;
	return HV_SUCCESS;
}

hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *bits)
{
	*bits = 40;
	return HV_SUCCESS;
}

hv_return_t hv_vm_config_set_ipa_size(hv_vm_config_t config, uint32_t bits)
{
	if (bits < 32 || bits > 40)
		return HV_BAD_ARGUMENT;
	config->bits = bits;
	return HV_SUCCESS;
}

hv_return_t hv_vm_get_max_vcpu_count(uint32_t *count)
{
	*count = DOUBLE_VCPUS;
	return HV_SUCCESS;
}

/* All calls but those that KVM keeps for itself. */
static int forward_calls(void)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0, 0x7fffffff },
		{ 0x80010000, 0xbfffffff },
		{ 0xc0010000, 0xffffffff },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct smccc_filter filter = { .base = ranges[i].first,
					       .n = ranges[i].last - ranges[i].first + 1,
					       .action = SMCCC_FORWARD };
		struct kvm_device_attr attr = { .group = SMCCC_CTRL,
						.attr = SMCCC_FILTER,
						.addr = (uintptr_t)&filter };

		if (ioctl(the->fd, KVM_SET_DEVICE_ATTR, &attr))
			return -1;
	}
	return 0;
}

static hv_return_t make_vm(uint32_t bits)
{
	struct kvm_enable_cap no_syndrome = { .cap = KVM_CAP_ARM_NISV_TO_USER };

	the->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (the->kvm < 0)
		return HV_DENIED;
	the->run_size = (size_t)ioctl(the->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	/* The lowest that KVM's GIC can do with is above the framework's usual. */
	the->fd = ioctl(the->kvm, KVM_CREATE_VM, bits > USUAL_BITS ? bits : 0);
	if (the->fd < 0) {
		close(the->kvm);
		return HV_ERROR;
	}
	if (forward_calls() || ioctl(the->fd, KVM_ENABLE_CAP, &no_syndrome)) {
		close(the->fd);
		close(the->kvm);
		return HV_UNSUPPORTED;
	}
	return HV_SUCCESS;
}

hv_return_t hv_vm_create(hv_vm_config_t config)
{
	hv_return_t ret = HV_BUSY;

	pthread_mutex_lock(&the->lock);
	if (!the->there)
		ret = make_vm(config ? config->bits : USUAL_BITS);
	if (!ret) {
		the->there = true;
		the->gic = false;
		the->running = false;
		memset(the->slots, 0, sizeof(the->slots));
		memset(the->lines, 0, sizeof(the->lines));
	}
	pthread_mutex_unlock(&the->lock);
	return ret;
}

hv_return_t hv_vm_destroy(void)
{
	hv_return_t ret = the->there ? HV_SUCCESS : HV_NO_DEVICE;

	pthread_mutex_lock(&the->lock);
	for (unsigned i = 0; i < DOUBLE_VCPUS; i++) {
		if (the->vcpus[i].used)
			ret = HV_BUSY;
	}
	if (!ret) {
		if (the->gic)
			close(the->gic_fd);
		close(the->fd);
		close(the->kvm);
		the->there = false;
	}
	pthread_mutex_unlock(&the->lock);
	return ret;
}

static hv_return_t set_slot(unsigned slot, void *host, uint64_t ipa, size_t size,
			    hv_memory_flags_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags & HV_MEMORY_WRITE ? 0 : KVM_MEM_READONLY,
		.guest_phys_addr = ipa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(the->fd, KVM_SET_USER_MEMORY_REGION, &region) ? HV_ERROR : HV_SUCCESS;
}

hv_return_t hv_vm_map(void *host, uint64_t ipa, size_t size, hv_memory_flags_t flags)
{
	hv_return_t ret = HV_NO_RESOURCES;

	if (!the->there || !size || ((uintptr_t)host | ipa | size) % HVF_PAGE)
		return HV_BAD_ARGUMENT;
	pthread_mutex_lock(&the->lock);
	for (unsigned i = 0; i < DOUBLE_SLOTS; i++) {
		if (the->slots[i].size)
			continue;
		ret = set_slot(i, host, ipa, size, flags);
		if (!ret) {
			the->slots[i].ipa = ipa;
			the->slots[i].size = size;
		}
		break;
	}
	pthread_mutex_unlock(&the->lock);
	return ret;
}

/* The real one takes parts of what was mapped, too. */
hv_return_t hv_vm_unmap(uint64_t ipa, size_t size)
{
	hv_return_t ret = HV_BAD_ARGUMENT;

	pthread_mutex_lock(&the->lock);
	for (unsigned i = 0; i < DOUBLE_SLOTS && ret; i++) {
		if (!size || the->slots[i].ipa != ipa || the->slots[i].size != size)
			continue;
		ret = set_slot(i, NULL, ipa, 0, HV_MEMORY_WRITE);
		the->slots[i].size = 0;
	}
	pthread_mutex_unlock(&the->lock);
	return ret;
}

/* ---- GIC ----------------------------------------------------------------------------------- */

hv_gic_config_t hv_gic_config_create(void)
{
	return calloc(1, sizeof(struct hv_gic_config_s));
}

hv_return_t hv_gic_config_set_distributor_base(hv_gic_config_t config, uint64_t ipa)
{
	config->dist = ipa;
	return ipa % 0x10000 ? HV_BAD_ARGUMENT : HV_SUCCESS;
}

hv_return_t hv_gic_config_set_redistributor_base(hv_gic_config_t config, uint64_t ipa)
{
	config->redist = ipa;
	return ipa % 0x10000 ? HV_BAD_ARGUMENT : HV_SUCCESS;
}

hv_return_t hv_gic_get_redistributor_region_size(size_t *size)
{
	*size = (size_t)REDISTS * 0x20000;
	return HV_SUCCESS;
}

hv_return_t hv_gic_get_spi_interrupt_range(uint32_t *first, uint32_t *count)
{
	*first = FIRST_SPI;
	*count = DOUBLE_INTIDS - FIRST_SPI;
	return HV_SUCCESS;
}

static int set_gic(uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr request = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	return ioctl(the->gic_fd, KVM_SET_DEVICE_ATTR, &request);
}

static hv_return_t make_gic(hv_gic_config_t config)
{
	struct kvm_create_device request = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint32_t intids = DOUBLE_INTIDS;

	for (unsigned i = 0; i < DOUBLE_VCPUS; i++) {
		if (the->vcpus[i].used)
			return HV_BUSY;
	}
	if (!the->there || the->gic)
		return HV_BUSY;
	if (ioctl(the->fd, KVM_CREATE_DEVICE, &request))
		return HV_UNSUPPORTED;
	the->gic_fd = (int)request.fd;
	the->gic = true;
	if (set_gic(KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &intids) ||
	    set_gic(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &config->dist) ||
	    set_gic(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &config->redist))
		return HV_BAD_ARGUMENT;
	return HV_SUCCESS;
}

hv_return_t hv_gic_create(hv_gic_config_t config)
{
	hv_return_t ret;

	pthread_mutex_lock(&the->lock);
	ret = make_gic(config);
	pthread_mutex_unlock(&the->lock);
	return ret;
}

static void set_line(uint32_t intid, bool level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | intid,
		.level = level,
	};

	ioctl(the->fd, KVM_IRQ_LINE, &irq);
}

hv_return_t hv_gic_set_spi(uint32_t intid, bool level)
{
	if (!the->gic || intid < FIRST_SPI || intid >= DOUBLE_INTIDS)
		return HV_BAD_ARGUMENT;
	pthread_mutex_lock(&the->lock);
	the->lines[intid] = level;
	if (the->running)
		set_line(intid, level);
	pthread_mutex_unlock(&the->lock);
	return HV_SUCCESS;
}

hv_return_t double_start(void)
{
	hv_return_t ret = HV_SUCCESS;

	pthread_mutex_lock(&the->lock);
	if (!the->running && the->gic &&
	    set_gic(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL))
		ret = HV_ERROR;
	for (uint32_t i = FIRST_SPI; !the->running && !ret && i < DOUBLE_INTIDS; i++) {
		if (the->lines[i])
			set_line(i, true);
	}
	the->running = !ret;
	pthread_mutex_unlock(&the->lock);
	return ret;
}
