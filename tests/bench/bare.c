/* bare.c: the least that runs a flat guest on KVM, to compare vibevmm with.
 *
 *     bare [-c VCPUS] [-m MIB] [-i none|split] FILE
 *
 * FILE is loaded at 0x1000 and entered there in long mode. Makes the calls that vibevmm makes for
 * the same machine: memory slots, interrupt controller, CPUID, page tables in guest memory, a
 * thread a vCPU. Port 0x3f8 goes to standard output, 0x3fd reads "transmitter empty", other
 * accesses do nothing; a write to port 0xf4 or a halt ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOAD	  0x1000
#define TABLES	  0x80000 /* PML4, PDPT, four PDs, GDT: 7 pages */
#define MAX_VCPUS 64
#define GIB	  (1ULL << 30)

static struct {
	uint64_t memory;
	unsigned vcpus;
	bool split;
	int fd;
	size_t run_size;
	struct kvm_cpuid2 *cpuid;
	pthread_barrier_t ready;
} vm = { .memory = 128 << 20, .vcpus = 1 };

static char line[4096];
static size_t line_len;

static void die(const char *what)
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

static void flush(void)
{
	if (line_len && write(STDOUT_FILENO, line, line_len) < 0)
		die("write");
	line_len = 0;
}

static uint8_t *map(uint64_t gpa, uint64_t size, unsigned slot)
{
	/* Host and guest addresses agree modulo 2 MiB, so that huge pages fit. */
	uint8_t *host = mmap(NULL, size + (2 << 20), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
	};

	if (host == MAP_FAILED)
		die("mmap");
	host += ((2 << 20) - (uintptr_t)host % (2 << 20) + gpa % (2 << 20)) % (2 << 20);
	madvise(host, size, MADV_HUGEPAGE);
	region.userspace_addr = (uintptr_t)host;
	check(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	return host;
}

static void load(uint8_t *ram, const char *path)
{
	int file = check(open(path, O_RDONLY | O_CLOEXEC), path);
	uint64_t *tables = (uint64_t *)(ram + TABLES);

	check((int)read(file, ram + LOAD, TABLES - LOAD), path);
	close(file);
	tables[0] = (TABLES + 0x1000) | 3;
	for (uint64_t gib = 0; gib < 4; gib++) {
		uint64_t *pd = tables + (2 + gib) * 512;

		tables[512 + gib] = (TABLES + (2 + gib) * 0x1000) | 3;
		for (uint64_t i = 0; i < 512; i++)
			pd[i] = gib * GIB + (i << 21) + 0x83;
	}
	tables[6 * 512 + 1] = 0x00af9b000000ffffULL;
	tables[6 * 512 + 2] = 0x00cf93000000ffffULL;
}

static void set_entry(int vcpu)
{
	struct kvm_regs regs = { .rip = LOAD, .rsp = TABLES, .rflags = 2 };
	struct kvm_sregs sregs;

	check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = (struct kvm_segment){
		.limit = ~0U, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	sregs.ds = (struct kvm_segment){
		.limit = ~0U, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.gdt = (struct kvm_dtable){ .base = TABLES + 0x6000, .limit = 23 };
	sregs.cr0 = 0x80000011;
	sregs.cr3 = TABLES;
	sregs.cr4 = 0x20;
	sregs.efer = 0x500;
	check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	if (vm.vcpus > 1) {
		struct kvm_lapic_state lapic;

		/* KVM draws its map of APIC IDs anew, with the vCPU that was made last. */
		check(ioctl(vcpu, KVM_GET_LAPIC, &lapic), "KVM_GET_LAPIC");
		check(ioctl(vcpu, KVM_SET_LAPIC, &lapic), "KVM_SET_LAPIC");
	}
}

/* False at the guest's end. */
static bool port(struct kvm_run *run)
{
	char *data = (char *)run + run->io.data_offset;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		memset(data, run->io.port == 0x3fd ? 0x60 : 0xff, run->io.size * run->io.count);
		return true;
	}
	if (run->io.port == 0xf4)
		return false;
	if (run->io.port == 0x3f8) {
		line[line_len++] = *data;
		if (*data == '\n' || line_len == sizeof(line))
			flush();
	}
	return true;
}

static void *run_vcpu(void *arg)
{
	unsigned index = (unsigned)(uintptr_t)arg;
	int vcpu = check(ioctl(vm.fd, KVM_CREATE_VCPU, index), "KVM_CREATE_VCPU");
	struct kvm_run *run = mmap(NULL, vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	if (run == MAP_FAILED)
		die("mmap");
	check(ioctl(vcpu, KVM_SET_CPUID2, vm.cpuid), "KVM_SET_CPUID2");
	if (index == 0)
		set_entry(vcpu);
	pthread_barrier_wait(&vm.ready);
	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN)
				die("KVM_RUN");
			continue;
		}
		if (run->exit_reason == KVM_EXIT_IO && port(run))
			continue;
		if (run->exit_reason == KVM_EXIT_MMIO)
			continue;
		if (run->exit_reason != KVM_EXIT_IO && run->exit_reason != KVM_EXIT_HLT) {
			fprintf(stderr, "bare: exit reason %u\n", run->exit_reason);
			exit(81);
		}
		flush();
		_exit(0);
	}
}

static void usage(void)
{
	fputs("usage: bare [-c VCPUS] [-m MIB] [-i none|split] FILE\n", stderr);
	exit(64);
}

int main(int argc, char **argv)
{
	uint64_t identity_map = 0xfffbc000;
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	uint64_t low;
	int opt, kvm;
	uint8_t *ram;

	while ((opt = getopt(argc, argv, "c:m:i:")) != -1) {
		switch (opt) {
		case 'c':
			vm.vcpus = (unsigned)atoi(optarg);
			break;
		case 'm':
			vm.memory = (uint64_t)atoi(optarg) << 20;
			break;
		case 'i':
			vm.split = !strcmp(optarg, "split");
			break;
		default:
			usage();
		}
	}
	if (optind + 1 != argc || vm.vcpus < 1 || vm.vcpus > MAX_VCPUS || !vm.memory)
		usage();

	kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm.fd = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	check(ioctl(vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map), "KVM_SET_IDENTITY_MAP_ADDR");
	check(ioctl(vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000UL), "KVM_SET_TSS_ADDR");
	vm.run_size = (size_t)check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "mmap size");
	vm.cpuid = calloc(1, sizeof(*vm.cpuid) + 256 * sizeof(struct kvm_cpuid_entry2));
	if (!vm.cpuid)
		die("calloc");
	vm.cpuid->nent = 256;
	check(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, vm.cpuid), "KVM_GET_SUPPORTED_CPUID");

	/* vibevmm's map: a hole at 640 KiB, and nothing between 3 and 4 GiB. */
	low = vm.memory < 3 * GIB ? vm.memory : 3 * GIB;
	ram = map(0, 640 << 10, 0);
	map(768 << 10, low - (768 << 10), 1);
	if (vm.memory > low)
		map(4 * GIB, vm.memory - low, 2);
	if (vm.split)
		check(ioctl(vm.fd, KVM_ENABLE_CAP, &split), "KVM_CAP_SPLIT_IRQCHIP");
	load(ram, argv[optind]);

	pthread_barrier_init(&vm.ready, NULL, vm.vcpus);
	for (unsigned i = 1; i < vm.vcpus; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, run_vcpu, (void *)(uintptr_t)i))
			die("pthread_create");
	}
	run_vcpu(NULL);
}
