/* kvm.c: Linux KVM, as far as it is the same on every architecture. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
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

/* ---- Kicks ----------------------------------------------------------------------------------
 *
 * A kick sets kvm_run.immediate_exit, then signals the vCPU's thread. Wherever the thread is, the
 * kick is seen: before KVM_RUN, the flag makes it return EINTR at once; inside, the signal does,
 * and the flag tells that it was a kick. vcpu_run takes the flag back with an exchange, so each
 * kick is reported once, and the signal of a kick already reported is just another EINTR.
 *
 * The signal's handler has nothing to do. It is installed with SA_RESTART: KVM_RUN returns EINTR
 * all the same, while a device's write() that the signal meets in user space is restarted and
 * loses no byte. It is an ordinary signal because those coalesce: a queued (real-time) one can be
 * refused when the queue is full, and the kick would be lost.
 */
#define KICK_SIGNAL SIGUSR1

static void kick_handler(int signum)
{
	(void)signum;
}

static void kick_install(void)
{
	struct sigaction action = { .sa_handler = kick_handler, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(KICK_SIGNAL, &action, NULL);
}

void kvm_vcpu_kick(struct hv_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

bool kvm_vcpu_waits(struct hv_vcpu *vcpu)
{
	struct kvm_mp_state state;

	/* What a vCPU waits in differs by architecture: INIT and SIPI, or PSCI. */
	return !ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) &&
	       (state.mp_state == KVM_MP_STATE_UNINITIALIZED ||
		state.mp_state == KVM_MP_STATE_INIT_RECEIVED ||
		state.mp_state == KVM_MP_STATE_STOPPED);
}

/* ---- vCPUs --------------------------------------------------------------------------------- */

int kvm_vcpu_create(struct hv_vm *vm, unsigned index, struct hv_vcpu **vcpu, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct hv_vcpu *new = &vm->vcpus[index];
	sigset_t kick;
	int ret;

	pthread_once(&once, kick_install);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);

	new->vm = vm;
	new->index = index;
	new->thread = pthread_self();
	new->fd = kvm_arch_vcpu_open(vm, index);
	if (new->fd < 0) {
		ret = err_errno(err, errno, STATUS_UNAVAILABLE, "KVM cannot make vCPU %u", index);
		goto out;
	}
	new->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, new->fd, 0);
	if (new->run == MAP_FAILED) {
		new->run = NULL;
		ret = err_errno(err, errno, STATUS_OSERR, "cannot map vCPU %u", index);
		goto out;
	}
	ret = kvm_arch_vcpu_init(new, err);
	if (ret)
		goto out;
	if (index == 0)
		kvm_ring_attach(&vm->ring, new->run);
	*vcpu = new;
	new = NULL;
out:
	if (new)
		kvm_vcpu_destroy(new);
	return ret;
}

void kvm_vcpu_destroy(struct hv_vcpu *vcpu)
{
	if (vcpu->index == 0)
		kvm_ring_detach(&vcpu->vm->ring);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	*vcpu = (struct hv_vcpu){ .fd = -1 };
}

/* ---- Run ----------------------------------------------------------------------------------- */

struct text kvm_fault(struct hv_exit *exit)
{
	exit->kind = HV_EXIT_FAULT;
	exit->text[0] = '\0';
	return (struct text){ exit->text, sizeof(exit->text), 0 };
}

static void system_event(const struct kvm_run *run, struct hv_exit *exit)
{
	struct text text;

	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		exit->kind = HV_EXIT_POWEROFF;
		break;
	case KVM_SYSTEM_EVENT_RESET:
		exit->kind = HV_EXIT_RESET;
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		text = kvm_fault(exit);
		text_put(&text, "the guest reports that it crashed");
		break;
	default:
		text = kvm_fault(exit);
		text_put(&text, "KVM reports system event %u of the guest", run->system_event.type);
	}
}

static void mmio(struct kvm_run *run, struct hv_exit *exit)
{
	exit->kind = HV_EXIT_MMIO;
	exit->io.addr = run->mmio.phys_addr;
	exit->io.data = run->mmio.data;
	exit->io.count = 1;
	exit->io.size = (uint8_t)run->mmio.len;
	exit->io.write = run->mmio.is_write;
}

/* The exits that no guest should see the end of. */
static void broken(const struct kvm_run *run, struct hv_exit *exit)
{
	static const char *const internal[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "it cannot emulate an instruction",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions came at once",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "delivering an event to the guest failed",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "the processor gave an unknown exit",
	};
	struct text text = kvm_fault(exit);
	uint32_t sub = run->internal.suberror;

	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		text_put(&text, "the processor refuses to enter the guest, hardware reason %#llx",
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_UNKNOWN:
		text_put(&text, "KVM does not know the processor's exit, hardware reason %#llx",
			 (unsigned long long)run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		text_put(&text, "KVM internal error %u (%s)", sub,
			 sub < ARRAY_SIZE(internal) && internal[sub] ? internal[sub]
								     : "of an unknown kind");
		for (uint32_t i = 0; i < run->internal.ndata && i < ARRAY_SIZE(run->internal.data);
		     i++)
			text_put(&text, "%s%#llx", i ? " " : ", data ",
				 (unsigned long long)run->internal.data[i]);
		break;
	default:
		text_put(&text, "KVM exit %u, which vibevmm does not handle", run->exit_reason);
	}
}

static void decode(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_MMIO:
		mmio(vcpu->run, exit);
		break;
	case KVM_EXIT_INTR:
		exit->kind = HV_EXIT_AGAIN;
		break;
	case KVM_EXIT_SHUTDOWN:
		exit->kind = HV_EXIT_TRIPLE_FAULT;
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		system_event(vcpu->run, exit);
		break;
	default:
		broken(vcpu->run, exit);
	}
}

static void run_failed(struct hv_vcpu *vcpu, int errnum, struct hv_exit *exit)
{
	struct kvm_run *run = vcpu->run;
	struct text text;
	char words[64];

	switch (errnum) {
	case EINTR:
		exit->kind = __atomic_exchange_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST)
				     ? HV_EXIT_KICKED
				     : HV_EXIT_AGAIN;
		break;
	case EAGAIN: /* another vCPU has just started this one */
		exit->kind = HV_EXIT_AGAIN;
		break;
	default:
		text = kvm_fault(exit);
		text_put(&text, "KVM cannot run vCPU %u: %s", vcpu->index,
			 strerror_r(errnum, words, sizeof(words)));
	}
}

void kvm_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	do {
		int errnum = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;

		kvm_drain(vcpu->vm);
		if (!errnum) {
			if (!kvm_arch_exit(vcpu, exit))
				decode(vcpu, exit);
			return;
		}
		run_failed(vcpu, errnum, exit);
	} while (exit->kind == HV_EXIT_AGAIN);
}
