/* floor.h: what the floors of all architectures share: files in guest memory, the console's output,
 * writes that KVM gathers. For programs of one file that end at whatever goes wrong. */
#ifndef FLOOR_H
#define FLOOR_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_PAGE (2UL << 20)

/* One slot of memory, one vCPU. */
static struct {
	int kvm, fd, vcpu;
	uint8_t *ram;
	uint64_t base, size;
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring; /* NULL: nothing is gathered */
	uint32_t ring_slots;
} vm = { .size = 256 << 20 };

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(71);
}

static int check(int ret, const char *what)
{
	if (ret < 0)
		die(what);
	return ret;
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void *guest(uint64_t gpa)
{
	return vm.ram + (gpa - vm.base);
}

static int open_image(const char *path, uint64_t *size)
{
	int file = check(open(path, O_RDONLY | O_CLOEXEC), path);
	struct stat st;

	check(fstat(file, &st), path);
	*size = (uint64_t)st.st_size;
	return file;
}

static void load(int file, uint64_t offset, uint64_t gpa, uint64_t len, const char *path)
{
	if (gpa < vm.base || gpa - vm.base > vm.size || len > vm.size - (gpa - vm.base) ||
	    pread(file, guest(gpa), len, (off_t)offset) != (ssize_t)len) {
		fprintf(stderr, "linux_floor: %s: does not fit, or is short\n", path);
		exit(65);
	}
}

/* ---- Console ------------------------------------------------------------------------------- */

static char out[4096];
static size_t out_len;

static void flush(void)
{
	if (out_len && write(STDOUT_FILENO, out, out_len) < 0)
		die("write");
	out_len = 0;
}

static void transmit(char c)
{
	out[out_len++] = c;
	if (c == '\n' || out_len == sizeof(out))
		flush();
}

/* ---- VM ------------------------------------------------------------------------------------ */

/* With its memory. */
static void make_vm(void)
{
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = vm.base,
		.memory_size = vm.size,
	};
	uint8_t *map = mmap(NULL, vm.size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		die("mmap");
	vm.ram = map + (-(uintptr_t)map & (HUGE_PAGE - 1));
	madvise(vm.ram, vm.size, MADV_HUGEPAGE);
	slot.userspace_addr = (uintptr_t)vm.ram;
	vm.kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm.fd = check(ioctl(vm.kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	check(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
}

static void make_vcpu(void)
{
	int size = check(ioctl(vm.kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");

	vm.vcpu = check(ioctl(vm.fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	vm.run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vm.vcpu, 0);
	if (vm.run == MAP_FAILED)
		die("mmap");
}

/* The ring is in a page behind struct kvm_run: Linux Documentation/virt/kvm/api.rst,
 * KVM_REGISTER_COALESCED_MMIO. Needs the vCPU. */
static void coalesce(uint64_t at, uint32_t size, bool pio)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = at, .size = size, .pio = pio };
	int page = check(ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO), "coalesced");

	check(ioctl(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone), "KVM_REGISTER_COALESCED_MMIO");
	vm.ring = (void *)((char *)vm.run + page * getpagesize());
	vm.ring_slots = (uint32_t)(((size_t)getpagesize() - sizeof(*vm.ring)) /
				   sizeof(vm.ring->coalesced_mmio[0]));
}

/* What was gathered, one value at a time. */
static bool gathered(uint8_t *value)
{
	if (!vm.ring || vm.ring->first == vm.ring->last)
		return false;
	*value = vm.ring->coalesced_mmio[vm.ring->first].data[0];
	vm.ring->first = (vm.ring->first + 1) % vm.ring_slots;
	return true;
}

/* False if a signal was all that came. */
static bool enter(void)
{
	if (!ioctl(vm.vcpu, KVM_RUN, 0))
		return true;
	if (errno != EINTR && errno != EAGAIN)
		die("KVM_RUN");
	return false;
}

#endif
