/* kvm_ring.c: writes that KVM gathers instead of exiting for each.
 *
 * Linux Documentation/virt/kvm/api.rst, KVM_REGISTER_COALESCED_MMIO. A VM has one ring, in a page
 * that the shared memory of each vCPU shows. KVM moves `last`, and exits as ever when the ring is
 * full; we move `first`.
 *
 * The guest must not see that writes wait. So whoever comes out of KVM_RUN empties the ring before
 * anything else: what is in it is older than the exit. And an entry leaves the ring only when its
 * write is done: a vCPU that finds the ring empty may go on at once, one that doesn't waits for
 * the lock and so for the writes.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm.h"

void kvm_ring_init(struct kvm_ring *ring, int kvm)
{
	long page = sysconf(_SC_PAGESIZE);
	int pages = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	if (pages <= 0 || page <= 0)
		return;
	/* Where ports are unknown (before Linux 4.20), KVM takes one for an address in memory. */
	ring->pio = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) > 0;
	ring->offset = (size_t)pages * (size_t)page;
	ring->entries = (uint32_t)(((size_t)page - sizeof(*ring->shared)) /
				   sizeof(ring->shared->coalesced_mmio[0]));
}

void kvm_ring_attach(struct kvm_ring *ring, struct kvm_run *run)
{
	if (ring->offset)
		ring->shared = (struct kvm_coalesced_mmio_ring *)((char *)run + ring->offset);
}

void kvm_ring_detach(struct kvm_ring *ring)
{
	ring->shared = NULL;
}

int kvm_coalesce(struct hv_vm *vm, enum hv_space space, uint64_t addr, unsigned size, bool on)
{
	struct kvm_coalesced_mmio_zone zone = {
		.addr = addr,
		.size = size,
		.pio = space == HV_PIO,
	};

	if (!vm->ring.shared || (zone.pio && !vm->ring.pio))
		return -ENOTSUP;
	return ioctl(vm->fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
		     &zone)
		       ? -errno
		       : 0;
}

static void empty(struct hv_vm *vm, struct kvm_coalesced_mmio_ring *shared)
{
	/* What others add meanwhile is for them to wait for. */
	uint32_t last = __atomic_load_n(&shared->last, __ATOMIC_ACQUIRE) % vm->ring.entries;
	uint32_t i = shared->first % vm->ring.entries;

	while (i != last) {
		const struct kvm_coalesced_mmio *entry = &shared->coalesced_mmio[i];

		if (entry->len <= sizeof(entry->data))
			vm->config.coalesced(vm->config.coalesced_arg,
					     entry->pio ? HV_PIO : HV_MMIO, entry->phys_addr,
					     entry->data, entry->len);
		i = (i + 1) % vm->ring.entries;
		__atomic_store_n(&shared->first, i, __ATOMIC_RELEASE);
	}
}

bool kvm_gathered(struct hv_vm *vm)
{
	const struct kvm_coalesced_mmio_ring *shared = vm->ring.shared;

	return shared && __atomic_load_n(&shared->first, __ATOMIC_ACQUIRE) !=
				 __atomic_load_n(&shared->last, __ATOMIC_ACQUIRE);
}

void kvm_drain(struct hv_vm *vm)
{
	if (!kvm_gathered(vm))
		return;
	pthread_mutex_lock(&vm->ring.lock);
	empty(vm, vm->ring.shared);
	pthread_mutex_unlock(&vm->ring.lock);
}
