/* kvm.c: Linux KVM, as far as it is the same on every architecture: the host, VMs, their memory. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/memory.h>

#include "kvm.h"

const char *kvm_device = "/dev/kvm";

/* ---- What this host offers ----------------------------------------------------------------- */

/* The device is there and closed to us: says who may, and how to become one of them. */
static int not_permitted(int errnum, struct err *err)
{
	struct group group, *found = NULL;
	char buf[1024];
	struct stat st;

	if (stat(kvm_device, &st))
		return err_errno(err, errnum, STATUS_UNAVAILABLE, "cannot open %s", kvm_device);
	if ((st.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP) && st.st_gid != 0 &&
	    !getgrgid_r(st.st_gid, &group, buf, sizeof(buf), &found) && found)
		return err_set(err, errnum, STATUS_UNAVAILABLE,
			       "no permission to open %s, which is for group '%s': run "
			       "'sudo usermod -aG %s \"$USER\"' and log in again",
			       kvm_device, group.gr_name, group.gr_name);
	return err_set(err, errnum, STATUS_UNAVAILABLE,
		       "no permission to open %s (mode %04o): run "
		       "'sudo setfacl -m u:\"$USER\":rw %s', or run vibevmm as root",
		       kvm_device, st.st_mode & 07777U, kvm_device);
}

static int open_device(struct err *err)
{
	int kvm = open(kvm_device, O_RDWR | O_CLOEXEC), version;

	if (kvm < 0) {
		switch (errno) {
		case EACCES:
		case EPERM:
			return not_permitted(errno, err);
		case ENOENT:
			return err_set(err, errno, STATUS_UNAVAILABLE,
				       "%s does not exist: %s; in a container, pass the device in; "
				       "in a VM, enable nested virtualization",
				       kvm_device, kvm_arch_how_to_get);
		case ENODEV:
		case ENXIO:
			return err_set(err, errno, STATUS_UNAVAILABLE,
				       "%s has no driver behind it: %s", kvm_device,
				       kvm_arch_how_to_get);
		default:
			return err_errno(err, errno, STATUS_UNAVAILABLE, "cannot open %s",
					 kvm_device);
		}
	}
	version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		close(kvm);
		if (version < 0)
			return err_set(err, ENOTTY, STATUS_UNAVAILABLE, "%s is not KVM's device",
				       kvm_device);
		return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
			       "%s speaks KVM API version %d, and vibevmm %d: a newer kernel is "
			       "needed",
			       kvm_device, version, KVM_API_VERSION);
	}
	return kvm;
}

static const struct kvm_feature features[] = {
	{ KVM_CAP_USER_MEMORY, "guest memory from user space", true, 0 },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exits", true, 0 },
	{ KVM_CAP_READONLY_MEM, "read-only memory", false, HV_CAP_READONLY_MEM },
	{ KVM_CAP_IRQCHIP, "an interrupt controller", false,
	  HV_CAP_IRQCHIP_FULL | HV_CAP_IRQ_LINE },
	{ KVM_CAP_IRQFD, "irqfds", false, HV_CAP_IRQFD },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, "ioeventfds of any length", false, HV_CAP_IOEVENTFD },
	{ 0 },
};

/* Adds what the host has of them to caps. */
static int probe_features(int kvm, const struct kvm_feature *feature, unsigned *caps,
			  struct err *err)
{
	for (; feature->name; feature++) {
		if (ioctl(kvm, KVM_CHECK_EXTENSION, feature->extension) > 0)
			*caps |= feature->caps;
		else if (feature->required)
			return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
				       "KVM on this host lacks %s (capability %d): Linux 4.13 or "
				       "later is needed",
				       feature->name, feature->extension);
	}
	return 0;
}

int kvm_probe(struct hv_caps *caps, struct err *err)
{
	struct hv_caps found = { 0 };
	int ret, n, kvm = open_device(err);

	if (kvm < 0)
		return kvm;
	ret = probe_features(kvm, features, &found.caps, err);
	if (!ret)
		ret = probe_features(kvm, kvm_arch_features, &found.caps, err);
	if (ret)
		goto out;
	/* Documentation/virt/kvm/api.rst 4.7: what to assume where the question is unknown. */
	n = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	if (n <= 0)
		n = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
	found.max_vcpus = n > 0 ? (unsigned)n : 4;
	kvm_arch_probe(kvm, &found);
	*caps = found;
out:
	close(kvm);
	return ret;
}

/* ---- VM and memory ------------------------------------------------------------------------- */

int kvm_vm_create(const struct hv_vm_config *config, struct hv_vm **vm, struct err *err)
{
	struct hv_vm *new = NULL;
	int ret, size, kvm = open_device(err);

	if (kvm < 0)
		return kvm;
	new = calloc(1, sizeof(*new));
	if (!new) {
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "VM");
		goto out;
	}
	new->config = *config;
	new->fd = -1;
	pthread_mutex_init(&new->memory_lock, NULL);
	pthread_mutex_init(&new->ring.lock, NULL);
	pthread_mutex_init(&new->routes.lock, NULL);
	new->vcpus = calloc(config->vcpus, sizeof(*new->vcpus));
	if (!new->vcpus) {
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "vCPUs");
		goto out;
	}
	do
		new->fd = kvm_arch_vm_open(kvm, config);
	while (new->fd < 0 && errno == EINTR);
	if (new->fd < 0) {
		ret = errno == EBUSY
			      ? err_set(err, EBUSY, STATUS_UNAVAILABLE,
					"another hypervisor on this host holds the processor's "
					"virtualization: stop it first")
			      : err_errno(err, errno, STATUS_UNAVAILABLE, "KVM cannot make a VM");
		goto out;
	}
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		ret = err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
			      "KVM shares %d bytes a vCPU, where vibevmm needs %zu: a newer kernel "
			      "is needed",
			      size, sizeof(struct kvm_run));
		goto out;
	}
	new->run_size = (size_t)size;
	if (config->coalesced)
		kvm_ring_init(&new->ring, kvm);
	ret = kvm_arch_vm_init(new, kvm, err);
	if (ret)
		goto out;
	ret = kvm_routes_init(new);
	if (ret) {
		err_errno(err, -ret, STATUS_OSERR, "VM");
		goto out;
	}
	*vm = new;
	new = NULL;
out:
	if (new)
		kvm_vm_destroy(new);
	close(kvm);
	return ret;
}

void kvm_vm_destroy(struct hv_vm *vm)
{
	kvm_arch_vm_free(vm);
	kvm_routes_free(vm);
	pthread_mutex_destroy(&vm->routes.lock);
	pthread_mutex_destroy(&vm->ring.lock);
	pthread_mutex_destroy(&vm->memory_lock);
	if (vm->fd >= 0)
		close(vm->fd);
	free(vm->vcpus);
	free(vm->slots);
	free(vm);
}

static int set_slot(struct hv_vm *vm, uint32_t slot, uint64_t gpa, uint64_t size, void *host,
		    unsigned flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags & MEMORY_READONLY ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

/* The number of a slot that is free, or vm->n_slots with room for one more; UINT32_MAX: no memory.
 */
static uint32_t free_slot(struct hv_vm *vm)
{
	struct kvm_slot *slots;

	for (uint32_t i = 0; i < vm->n_slots; i++) {
		if (!vm->slots[i].size)
			return i;
	}
	slots = realloc(vm->slots, (vm->n_slots + 1) * sizeof(*slots));
	if (!slots)
		return UINT32_MAX;
	vm->slots = slots;
	return vm->n_slots;
}

int kvm_mem_map(struct hv_vm *vm, uint64_t gpa, uint64_t size, void *host, unsigned flags,
		struct err *err)
{
	uint32_t slot;
	int ret = -ENOMEM;

	pthread_mutex_lock(&vm->memory_lock);
	slot = free_slot(vm);
	if (slot != UINT32_MAX)
		ret = set_slot(vm, slot, gpa, size, host, flags);
	if (!ret) {
		vm->slots[slot] = (struct kvm_slot){ gpa, size, host };
		vm->n_slots += slot == vm->n_slots;
	}
	pthread_mutex_unlock(&vm->memory_lock);
	if (ret)
		return err_errno(err, -ret, STATUS_UNAVAILABLE,
				 "KVM refuses guest memory at %#llx-%#llx", (unsigned long long)gpa,
				 (unsigned long long)(gpa + size - 1));
	return 0;
}

/* Documentation/virt/kvm/api.rst 4.35: a slot is deleted by a size of 0. */
int kvm_mem_unmap(struct hv_vm *vm, uint64_t gpa, uint64_t size)
{
	int ret = -ENOENT;

	pthread_mutex_lock(&vm->memory_lock);
	for (uint32_t i = 0; i < vm->n_slots && ret == -ENOENT; i++) {
		if (vm->slots[i].gpa != gpa || vm->slots[i].size != size)
			continue;
		ret = set_slot(vm, i, gpa, 0, NULL, 0);
		if (!ret)
			vm->slots[i].size = 0;
	}
	pthread_mutex_unlock(&vm->memory_lock);
	return ret;
}

const uint8_t *kvm_memory_at(struct hv_vm *vm, uint64_t gpa, size_t *len)
{
	const uint8_t *found = NULL;

	pthread_mutex_lock(&vm->memory_lock);
	for (uint32_t i = 0; i < vm->n_slots && !found; i++) {
		const struct kvm_slot *slot = &vm->slots[i];
		uint64_t offset = gpa - slot->gpa;

		if (gpa < slot->gpa || offset >= slot->size)
			continue;
		if (*len > slot->size - offset)
			*len = slot->size - offset;
		found = slot->host + offset;
	}
	pthread_mutex_unlock(&vm->memory_lock);
	return found;
}

/* ---- Events -------------------------------------------------------------------------------- */

int kvm_ioeventfd(struct hv_vm *vm, enum hv_space space, uint64_t addr, unsigned len,
		  const uint64_t *match, int fd, bool on, struct err *err)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = match ? *match : 0,
		.addr = addr,
		.len = len,
		.fd = fd,
		.flags = (space == HV_PIO ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
			 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	if (ioctl(vm->fd, KVM_IOEVENTFD, &ioeventfd))
		return err_errno(err, errno, STATUS_OSERR, "KVM refuses an ioeventfd at %s%#llx",
				 space == HV_PIO ? "port " : "", (unsigned long long)addr);
	return 0;
}
