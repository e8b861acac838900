/* hvf.c: Apple's Hypervisor.framework: what a Mac offers, the VM, and its memory. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>
#include <vibevmm/memory.h>

#include "hvf.h"

/* ---- Errors -------------------------------------------------------------------------------- */

static const struct {
	hv_return_t ret;
	int errnum;
	const char *words;
} errors[] = {
	{ HV_BUSY, EBUSY, "it is in use: a process can have one VM" },
	{ HV_BAD_ARGUMENT, EINVAL, "bad argument" },
	{ HV_ILLEGAL_GUEST_STATE, EINVAL, "illegal state of the guest" },
	{ HV_NO_RESOURCES, ENOMEM, "no resources" },
	{ HV_NO_DEVICE, ENODEV, "no such device" },
	{ HV_DENIED, EPERM,
	  "the program has no entitlement com.apple.security.hypervisor: sign it by 'codesign -s - "
	  "--entitlements FILE', with a FILE that sets this to true" },
	{ HV_EXISTS, EEXIST, "it exists already" },
	{ HV_UNSUPPORTED, ENOTSUP, "this Mac does not support it" },
};

int hvf_refused(struct err *err, hv_return_t ret, const char *what, ...)
{
	int errnum = EIO;
	const char *words = "unknown error";
	char text[160];
	va_list ap;

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (errors[i].ret == ret) {
			errnum = errors[i].errnum;
			words = errors[i].words;
		}
	}
	va_start(ap, what);
	vsnprintf(text, sizeof(text), what, ap);
	va_end(ap);
	return err_set(err, errnum, STATUS_UNAVAILABLE,
		       "Hypervisor.framework %s: %s (hv_return_t %#x)", text, words, (unsigned)ret);
}

/* ---- What this host offers ----------------------------------------------------------------- */

int hvf_probe(struct hv_caps *caps, struct err *err)
{
	struct hv_caps found = { .caps = HV_CAP_READONLY_MEM | hvf_arm64_gic_caps() };
	int supported = 0;
	size_t len = sizeof(supported);
	hv_return_t ret;

	if (sysctlbyname("kern.hv_support", &supported, &len, NULL, 0) || !supported)
		return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
			       "macOS offers no Hypervisor.framework here ('sysctl "
			       "kern.hv_support' is not 1); in a VM it takes nested "
			       "virtualization");
	ret = hv_vm_get_max_vcpu_count(&found.max_vcpus);
	if (!ret)
		ret = hv_vm_config_get_max_ipa_size(&found.phys_bits);
	if (ret)
		return hvf_refused(err, ret, "does not tell what it has");
	*caps = found;
	return 0;
}

/* ---- VM ------------------------------------------------------------------------------------ */

/* Wider addresses take longer walks of page tables, so only who needs them gets them. */
static hv_return_t make_vm(unsigned phys_bits)
{
	hv_vm_config_t config = NULL;
	uint32_t usual;
	hv_return_t ret = hv_vm_config_get_default_ipa_size(&usual);

	if (!ret && phys_bits > usual) {
		config = hv_vm_config_create();
		ret = config ? hv_vm_config_set_ipa_size(config, phys_bits) : HV_NO_RESOURCES;
	}
	if (!ret)
		ret = hv_vm_create(config);
	if (config)
		os_release(config);
	return ret;
}

int hvf_vm_create(const struct hv_vm_config *config, struct hv_vm **vm, struct err *err)
{
	struct hv_vm *new;
	hv_return_t refusal;
	int ret = 0;

	if (config->irqchip == HV_IRQCHIP_NONE && config->vcpus > 1)
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "%u vCPUs need an interrupt controller to work together",
			       config->vcpus);
	new = calloc(1, sizeof(*new));
	if (!new)
		return err_errno(err, ENOMEM, STATUS_OSERR, "VM");
	new->config = *config;
	pthread_mutex_init(&new->memory_lock, NULL);
	new->vcpus = calloc(config->vcpus, sizeof(*new->vcpus));
	if (!new->vcpus) {
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "vCPUs");
		goto out;
	}
	new->epoch = mach_absolute_time();
	refusal = make_vm(config->phys_bits);
	if (refusal) {
		ret = hvf_refused(err, refusal, "cannot make a VM");
		goto out;
	}
	new->made = true;
	*vm = new;
	new = NULL;
out:
	if (new)
		hvf_vm_destroy(new);
	return ret;
}

void hvf_vm_destroy(struct hv_vm *vm)
{
	if (vm->made)
		hv_vm_destroy();
	pthread_mutex_destroy(&vm->memory_lock);
	free(vm->vcpus);
	free(vm->slots);
	free(vm);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static bool is_aligned(uint64_t value)
{
	return value % HVF_PAGE == 0;
}

/* A slot that is free, or NULL: no memory. */
static struct hvf_slot *free_slot(struct hv_vm *vm)
{
	struct hvf_slot *slots;

	for (size_t i = 0; i < vm->n_slots; i++) {
		if (!vm->slots[i].size)
			return &vm->slots[i];
	}
	slots = realloc(vm->slots, (vm->n_slots + 1) * sizeof(*slots));
	if (!slots)
		return NULL;
	vm->slots = slots;
	slots[vm->n_slots] = (struct hvf_slot){ 0 };
	return &slots[vm->n_slots++];
}

int hvf_mem_map(struct hv_vm *vm, uint64_t gpa, uint64_t size, void *host, unsigned flags,
		struct err *err)
{
	hv_memory_flags_t may = HV_MEMORY_READ | HV_MEMORY_EXEC;
	hv_return_t ret = HV_NO_RESOURCES;
	struct hvf_slot *slot;

	if (!is_aligned(gpa) || !is_aligned(size))
		return err_set(err, EINVAL, STATUS_UNAVAILABLE,
			       "guest memory at %#llx-%#llx does not begin and end at multiples of "
			       "16K, the size of a page on this Mac",
			       (unsigned long long)gpa, (unsigned long long)(gpa + size - 1));
	if (!(flags & MEMORY_READONLY))
		may |= HV_MEMORY_WRITE;
	pthread_mutex_lock(&vm->memory_lock);
	slot = free_slot(vm);
	if (slot)
		ret = hv_vm_map(host, gpa, size, may);
	if (!ret)
		*slot = (struct hvf_slot){ gpa, size, host };
	pthread_mutex_unlock(&vm->memory_lock);
	if (ret)
		return hvf_refused(err, ret, "refuses guest memory at %#llx-%#llx",
				   (unsigned long long)gpa, (unsigned long long)(gpa + size - 1));
	return 0;
}

int hvf_mem_unmap(struct hv_vm *vm, uint64_t gpa, uint64_t size)
{
	int ret = -ENOENT;

	pthread_mutex_lock(&vm->memory_lock);
	for (size_t i = 0; i < vm->n_slots && ret == -ENOENT; i++) {
		struct hvf_slot *slot = &vm->slots[i];

		if (slot->gpa != gpa || slot->size != size)
			continue;
		ret = hv_vm_unmap(gpa, size) ? -EIO : 0;
		if (!ret)
			slot->size = 0;
	}
	pthread_mutex_unlock(&vm->memory_lock);
	return ret;
}

bool hvf_fetch(struct hv_vm *vm, uint64_t gpa, uint32_t *instruction)
{
	bool found = false;

	pthread_mutex_lock(&vm->memory_lock);
	for (size_t i = 0; i < vm->n_slots && !found; i++) {
		const struct hvf_slot *slot = &vm->slots[i];

		found = gpa >= slot->gpa && slot->size >= 4 && gpa - slot->gpa <= slot->size - 4;
		if (found)
			*instruction = bytes_get32(slot->host + (gpa - slot->gpa));
	}
	pthread_mutex_unlock(&vm->memory_lock);
	return found;
}
