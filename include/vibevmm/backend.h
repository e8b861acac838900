/* backend.h: the hypervisors. One `struct hv_backend` row per hypervisor and architecture, listed
 * in src/hv/backends.def; everything above works through this table.
 *
 * Every build has every row, so that any host can plan for any other. Name, arch, doc and caps are
 * always there; the functions only where this build has the code: probe NULL means "not in this
 * build", and then so are all the others.
 *
 * Order of calls: probe (any time), vm_create, mem_map (once per slot), platform_create; then on
 * the thread that will run it, each vCPU: vcpu_create; once all are created, vcpu_set_entry for the
 * boot processor; vcpu_run in a loop. When all have left their loops and nobody kicks any more,
 * vcpu_destroy is called for each, by its own thread, or by any once that one has ended; at last
 * vm_destroy. RAM's mem_map goes before platform_create: the other order costs 5-7 ms on KVM.
 * Unless a function says so, it is called by one thread at a time.
 */
#ifndef VIBEVMM_BACKEND_H
#define VIBEVMM_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vibevmm/err.h>

/* Architectures, as bits so that rows can name several. */
enum arch {
	ARCH_X86_64 = 1 << 0,
	ARCH_ARM64 = 1 << 1,
	ARCH_ANY = ARCH_X86_64 | ARCH_ARM64,
};

/* What a backend can do. Device rows name these in `needs` and `wants`. */
enum hv_cap {
	HV_CAP_PIO = 1 << 0,	       /* x86 ports */
	HV_CAP_READONLY_MEM = 1 << 1,  /* ROM: a guest write exits as MMIO */
	HV_CAP_IRQ_LINE = 1 << 2,      /* interrupt lines, irq_set */
	HV_CAP_MSI = 1 << 3,	       /* msi_send */
	HV_CAP_IRQFD = 1 << 4,	       /* an eventfd raises an interrupt without us */
	HV_CAP_IOEVENTFD = 1 << 5,     /* a guest write signals an eventfd without an exit to us */
	HV_CAP_IRQCHIP_SPLIT = 1 << 6, /* local APICs in the kernel, IOAPIC here */
	HV_CAP_IRQCHIP_FULL = 1 << 7,  /* all of it there: IOAPIC and 8259 PICs, or GIC */
	HV_CAP_PIT = 1 << 8,	       /* an 8254 in the kernel */
	HV_CAP_COALESCE = 1 << 9,      /* guest writes that are gathered without an exit */
	HV_CAP_GICV2 = 1 << 10,	       /* arm64: which interrupt controllers there are ... */
	HV_CAP_GICV3 = 1 << 11,
	HV_CAP_ITS = 1 << 12, /* ... and the part of a GICv3 that takes messages */
	HV_CAP_PMU = 1 << 13, /* arm64: performance counters */
	HV_CAP_SVE = 1 << 14, /* arm64: scalable vectors */
};

struct hv_caps {
	unsigned caps; /* of enum hv_cap */
	bool macos;    /* the host lacks what Linux alone lends to devices; a row's, not probe's */
	unsigned max_vcpus;
	unsigned phys_bits; /* guest-physical address width */

	unsigned page; /* guest memory comes in multiples of so many bytes; 0: of 4 KiB */

	/* arm64: its GICv3 always has so many redistributors; 0: as many as there are vCPUs */
	unsigned gic_redists;
};

/* Names a single capability bit in words ("interrupt lines"). */
const char *hv_cap_name(enum hv_cap cap);

/* The words of configs for them, NULL-terminated: "none", those of the bits in their order, and
 * "linux": the hypervisor runs whole operating systems, not only what software can emulate. */
extern const char *const hv_cap_words[];
#define HV_CAP_WORD_LINUX 16

/* The machine's interrupt controller. */
enum hv_irqchip { HV_IRQCHIP_NONE, HV_IRQCHIP_SPLIT, HV_IRQCHIP_FULL };

/* On arm64, which one that is, and where its parts lie in guest-physical memory; 0: it has no such
 * part. A vCPU's redistributor is HV_GIC_REDIST_SIZE bytes, one after the other. */
enum hv_gic { HV_GIC_NONE, HV_GIC_V2, HV_GIC_V3 };

struct hv_gic_config {
	enum hv_gic version;
	uint64_t dist;	      /* distributor */
	uint64_t cpu;	      /* GICv2: CPU interface */
	uint64_t redist, its; /* GICv3 */

	/* GICv3: room for how many redistributors there is at redist (0: for one a vCPU), and where
	 * those of the other vCPUs are (0: there are no others). */
	unsigned redist_room;
	uint64_t redist_more;

	/* GICv2: where a device has a GICv2m frame, and the lines that are its own: a message to
	 * the frame's HV_GICV2M_SETSPI that names one of them is an edge on it. */
	uint64_t frame;
	unsigned frame_line, frame_lines;
};

/* Arm IHI 0069, 12.1 and 12.18: frames of 64 KiB, two for a redistributor and for an ITS; IHI 0048,
 * 4.1 and 4.4: a GICv2's distributor and CPU interface, whose targets are one bit each. */
#define HV_GICV3_DIST_SIZE 0x10000U
#define HV_GIC_REDIST_SIZE 0x20000U
#define HV_GIC_ITS_SIZE	   0x20000U
#define HV_GICV2_DIST_SIZE 0x1000U
#define HV_GICV2_CPU_SIZE  0x2000U
#define HV_GICV2_MAX_VCPUS 8U

/* Arm DEN0029 (SBSA), appendix E, "GICv2m": a write of 32 + n to this register is an edge on SPI n.
 */
#define HV_GICV2M_SETSPI 0x40U

/* The affinity of a vCPU of an arm64 machine, as MPIDR_EL1 and the device tree have it (Arm ARM,
 * D17.2.101: Aff0 in bits 7:0, Aff1, Aff2): 16 vCPUs share an Aff1, which is what one message of a
 * GICv3 can reach (IHI 0069, ICC_SGI1R_EL1). Pure. */
static inline uint32_t hv_arm64_affinity(unsigned index)
{
	return (index >> 12 & 0xff) << 16 | (index >> 4 & 0xff) << 8 | (index & 0xf);
}

/* The line (a PPI, so INTID 16 + n) by which a vCPU's performance counters interrupt it: the one
 * that Arm BSA (DEN0094), "PPI assignments", gives them. */
#define HV_ARM64_PMU_PPI 7U

enum hv_space { HV_MMIO, HV_PIO };

/* How vCPUs make up processors: vCPU i is thread i % threads of core i / threads % cores of socket
 * i / (threads * cores). All at least 1; the product is the number of vCPUs. */
struct hv_topology {
	unsigned sockets, cores, threads;
};

/* The APIC ID of a vCPU of an x86 machine: thread, core and socket, each in as many bits as it
 * takes (Intel SDM Vol. 3, "Hierarchical Mapping of Shared Resources"), so IDs have gaps where
 * cores or threads are no power of two. They grow with the index. Interrupts reach IDs up to
 * HV_X86_APIC_ID_MAX: messages name 8 bits, of which 0xff means everybody. Pure. */
#define HV_X86_APIC_ID_MAX 254U
unsigned hv_x86_apic_id(const struct hv_topology *topology, unsigned index);

struct hv_vm_config {
	unsigned vcpus; /* how many vcpu_create calls will come, indices 0.. */
	struct hv_topology topology;
	enum hv_irqchip irqchip;
	bool pit;

	/* arm64 */
	struct hv_gic_config gic;
	unsigned irq_lines; /* lines that are used are 0..irq_lines-1; 0: unknown, all there can be
			     */
	bool pmu, sve;
	unsigned phys_bits; /* how wide guest-physical addresses must be at least; 0: the usual */

	/* Gathered writes (see coalesce) come out here, in order and one at a time, on whatever
	 * thread is in vcpu_run or drain. */
	void (*coalesced)(void *arg, enum hv_space space, uint64_t addr, const uint8_t *data,
			  unsigned size);
	void *coalesced_arg;
};

/* Why vcpu_run came back. */
enum hv_exit_kind {
	HV_EXIT_AGAIN,	      /* handled by the backend; call again */
	HV_EXIT_PIO,	      /* .io */
	HV_EXIT_MMIO,	      /* .io */
	HV_EXIT_HALT,	      /* HLT without an interrupt controller; a WFI waits for a kick */
	HV_EXIT_KICKED,	      /* vcpu_kick or a signal */
	HV_EXIT_POWEROFF,     /* PSCI SYSTEM_OFF */
	HV_EXIT_RESET,	      /* PSCI SYSTEM_RESET */
	HV_EXIT_TRIPLE_FAULT, /* x86 shutdown */
	HV_EXIT_FAULT,	      /* the backend can't go on with this guest; .text says why */
	HV_EXIT_KINDS,
};

struct hv_exit {
	enum hv_exit_kind kind;
	struct {
		uint64_t addr;
		uint8_t *data;	/* count elements of size bytes: to read from, or to fill before the
				 * next  vcpu_run */
		uint32_t count; /* 1, or more for repeated string I/O on one port */
		uint8_t size;	/* bytes an element: 1..8 */
		bool write;
	} io;
	char text[200]; /* HV_EXIT_FAULT only */
};

/* x86 segment as the VMCS and struct kvm_segment hold it (Intel SDM Vol. 3, 3.4.5). */
struct hv_x86_segment {
	uint64_t base;
	uint32_t limit; /* in bytes, last valid offset */
	uint16_t selector;
	uint8_t type; /* 4 bits */
	uint8_t dpl;
	bool present, system, long_mode, db, granularity; /* system: S bit clear (TSS, LDT) */
};

struct hv_x86_entry {
	uint64_t rip, rsp, rflags, rsi, rbx, rax;
	uint64_t cr0, cr3, cr4, efer;
	struct hv_x86_segment cs, data, tr; /* data: DS, ES, FS, GS and SS */
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
};

struct hv_arm64_entry {
	uint64_t pc, x0; /* EL1h, MMU off, interrupts masked */
};

/* The boot processor's state at its first instruction. The others wait to be started: INIT-SIPI
 * on x86, PSCI CPU_ON on arm64. */
struct hv_entry {
	union {
		struct hv_x86_entry x86;
		struct hv_arm64_entry arm64;
	};
};

struct hv_vm;
struct hv_vcpu;

struct hv_backend {
	const char *name; /* "kvm" */
	enum arch arch;
	const char *doc;
	struct hv_caps
		caps; /* the most it can offer; what plans on other hosts are checked against */

	/* What this host offers. 0, or -errno with the reason and the next step in err
	 * (STATUS_UNAVAILABLE). Opens and closes what it needs; any thread. NULL: this build does
	 * not have the code. */
	int (*probe)(struct hv_caps *caps, struct err *err);

	int (*vm_create)(const struct hv_vm_config *config, struct hv_vm **vm, struct err *err);
	void (*vm_destroy)(struct hv_vm *vm);

	/* host stays valid until vm_destroy. flags: MEMORY_READONLY of memory.h, as bit 0. */
	int (*mem_map)(struct hv_vm *vm, uint64_t gpa, uint64_t size, void *host, unsigned flags,
		       struct err *err);

	/* Takes away what was mapped there, of that size. Both may also be called while vCPUs run,
	 * by any thread. 0 or -errno. */
	int (*mem_unmap)(struct hv_vm *vm, uint64_t gpa, uint64_t size);

	/* Interrupt controller, timers: what hv_vm_config asked for. */
	int (*platform_create)(struct hv_vm *vm, struct err *err);

	/* Any thread, after platform_create. line: the GSI on x86 (ISA IRQ n is GSI n), the SPI
	 * number on arm64. device: who sends the message, as the guest's tables number it (for PCI,
	 * bus << 8 | device << 3 | function); only an ITS asks. Never blocks for long. */
	void (*irq_set)(struct hv_vm *vm, unsigned line, bool level);
	int (*msi_send)(struct hv_vm *vm, uint64_t addr, uint32_t data, uint32_t device);

	/* Edge-triggered irqfd on a line, and ioeventfd on writes of len bytes (0: any) at addr,
	 * those of *match alone unless it is NULL; on false undoes that, with the same arguments.
	 * The caller owns fd. 0 or -errno. Any thread. */
	int (*irqfd)(struct hv_vm *vm, unsigned line, int fd, struct err *err);
	int (*ioeventfd)(struct hv_vm *vm, enum hv_space space, uint64_t addr, unsigned len,
			 const uint64_t *match, int fd, bool on, struct err *err);

	/* Each signal of fd sends a message, as msi_send does. A call with a bound fd changes its
	 * message; on false unbinds it, before fd is closed. The caller owns fd. 0 or -errno. Any
	 * thread. */
	int (*msi_irqfd)(struct hv_vm *vm, int fd, uint64_t addr, uint32_t data, uint32_t device,
			 bool on, struct err *err);

	/* Gathers writes of size bytes at addr instead of exiting for each, or stops doing so. What
	 * was gathered comes out before vcpu_run returns the next exit of any vCPU, or in drain.
	 * Switching may take a millisecond. NULL: no HV_CAP_COALESCE. 0 or -errno. Any thread. */
	int (*coalesce)(struct hv_vm *vm, enum hv_space space, uint64_t addr, unsigned size,
			bool on);
	void (*drain)(struct hv_vm *vm);

	/* Whether there is something to drain. Any thread, while vCPU 0 is there. */
	bool (*gathered)(struct hv_vm *vm);

	int (*vcpu_create)(struct hv_vm *vm, unsigned index, struct hv_vcpu **vcpu,
			   struct err *err);
	void (*vcpu_destroy)(struct hv_vcpu *vcpu);
	int (*vcpu_set_entry)(struct hv_vcpu *vcpu, const struct hv_entry *entry, struct err *err);

	/* Runs until something needs us. Retries EINTR and EAGAIN that no kick explains. Never
	 * fails otherwise than by HV_EXIT_FAULT. No allocation; no lock, unless writes were
	 * gathered. */
	void (*vcpu_run)(struct hv_vcpu *vcpu, struct hv_exit *exit);

	/* Makes the vCPU's present or next vcpu_run return HV_EXIT_KICKED, once. Any thread;
	 * async-signal-safe. Valid from vcpu_create's return until vcpu_destroy's call. */
	void (*vcpu_kick)(struct hv_vcpu *vcpu);

	/* For messages, on the vCPU's thread and between runs only: whether it still waits to be
	 * started by another one; the program counter; and the registers as lines of text
	 * (NUL-terminated, cut to len). */
	bool (*vcpu_waits)(struct hv_vcpu *vcpu);
	uint64_t (*vcpu_pc)(struct hv_vcpu *vcpu);
	void (*vcpu_dump)(struct hv_vcpu *vcpu, char *buf, size_t len);
};

/* All rows, whether this build has their code or not; *n is how many. */
const struct hv_backend *const *hv_backends(size_t *n);

/* The row by name and arch, or NULL. */
const struct hv_backend *hv_backend_find(const char *name, enum arch arch);

/* What `backend: auto` means for an arch: the first row whose code is in this build, or else the
 * first of all. Never NULL. */
const struct hv_backend *hv_backend_auto(enum arch arch);

const char *hv_arch_name(enum arch arch);

/* The architecture this program was built for. */
enum arch hv_host_arch(void);

#endif
