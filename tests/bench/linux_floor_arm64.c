/* linux_floor_arm64.c: the least that boots Linux on KVM fast, to compare vibevmm with.
 *
 *     linux_floor_arm64 [-m MIB] [-cx] IMAGE INITRD CMDLINE
 *
 * IMAGE is a plain Image. One vCPU, a GICv3, a PL011 that goes to standard output, and a device
 * tree that says so; it ends when the guest powers off by PSCI. -c coalesces writes to the UART's
 * data register; -x tells on standard error how often the guest left to user space, by register.
 *
 * Boot protocol: Linux Documentation/arch/arm64/booting.rst. GIC: Documentation/virt/kvm/devices/
 * arm-vgic-v3.rst. Device tree: Devicetree Specification 0.4, sections 2.3 and 3, and the bindings
 * in Documentation/devicetree/bindings. UART: PrimeCell UART (PL011), Arm DDI 0183, chapter 3.
 * It checks nothing: for a bench, with kernels that are known to be good.
 */
#include <libfdt.h>
#include <stdarg.h>
#include <sys/random.h>

#include "floor.h"

#define GIC_DIST   0x08000000ULL
#define GIC_REDIST 0x080a0000ULL
#define UART	   0x09000000ULL
#define UART_SPI   1
#define RAM	   0x40000000ULL
#define TREE_SIZE  0x2000

/* Arm IHI 0069, 2.2: interrupts below 32 are a vCPU's own. Of the SPIs behind them KVM wants 32. */
#define FIRST_SPI 32
#define INTIDS	  64

static unsigned long exits, reads[0x400], writes[0x400], others;

/* ---- Device tree --------------------------------------------------------------------------- */

enum { PHANDLE_GIC = 1, PHANDLE_CLOCK };

/* interrupt-controller/arm,gic-v3.yaml, "#interrupt-cells". */
enum { SPI, PPI, LEVEL_HIGH = 4 };

static void *tree;

static void sure(int ret)
{
	if (ret < 0) {
		fprintf(stderr, "linux_floor_arm64: device tree: %s\n", fdt_strerror(ret));
		exit(70);
	}
}

static void begin(const char *name)
{
	sure(fdt_begin_node(tree, name));
}

static void end(void)
{
	sure(fdt_end_node(tree));
}

static void put_bytes(const char *name, const void *value, size_t len)
{
	sure(fdt_property(tree, name, value, (int)len));
}

/* Strings that follow one another are given with a NUL between. */
#define put_texts(name, texts) put_bytes(name, texts, sizeof(texts))

static void put_cells(const char *name, unsigned n, ...)
{
	fdt32_t cells[16];
	va_list ap;

	va_start(ap, n);
	for (unsigned i = 0; i < n; i++)
		cells[i] = cpu_to_fdt32(va_arg(ap, uint32_t));
	va_end(ap);
	put_bytes(name, cells, n * sizeof(*cells));
}

/* A guest with KASLR does more: so does every guest that vibevmm boots. */
static void put_seeds(void)
{
	uint8_t kaslr[8], rng[64];

	if (getrandom(rng, sizeof(rng), GRND_NONBLOCK) != (ssize_t)sizeof(rng) ||
	    getrandom(kaslr, sizeof(kaslr), GRND_NONBLOCK) != (ssize_t)sizeof(kaslr))
		return;
	put_bytes("kaslr-seed", kaslr, sizeof(kaslr));
	put_bytes("rng-seed", rng, sizeof(rng));
}

static void put_chosen(const char *cmdline, uint64_t initrd, uint64_t initrd_end)
{
	begin("chosen");
	put_bytes("bootargs", cmdline, strlen(cmdline) + 1);
	put_texts("stdout-path", "/serial@9000000");
	sure(fdt_property_u64(tree, "linux,initrd-start", initrd));
	sure(fdt_property_u64(tree, "linux,initrd-end", initrd_end));
	put_seeds();
	end();
}

static void put_processor(void)
{
	begin("cpus");
	put_cells("#address-cells", 1, 1);
	put_cells("#size-cells", 1, 0);
	begin("cpu@0");
	put_texts("device_type", "cpu");
	put_texts("compatible", "arm,armv8");
	put_cells("reg", 1, 0);
	put_texts("enable-method", "psci");
	end();
	end();

	begin("psci"); /* arm/psci.yaml */
	put_texts("compatible", "arm,psci-1.0\0arm,psci-0.2");
	put_texts("method", "hvc");
	end();

	begin("timer"); /* timer/arm,arch_timer.yaml; lines as Arm BSA (DEN0094) has them */
	put_texts("compatible", "arm,armv8-timer");
	put_cells("interrupts", 12, PPI, 13, LEVEL_HIGH, PPI, 14, LEVEL_HIGH, PPI, 11, LEVEL_HIGH,
		  PPI, 10, LEVEL_HIGH);
	put_bytes("always-on", NULL, 0);
	end();

	begin("interrupt-controller@8000000");
	put_texts("compatible", "arm,gic-v3");
	put_cells("#address-cells", 1, 0);
	put_cells("#interrupt-cells", 1, 3);
	put_bytes("interrupt-controller", NULL, 0);
	put_cells("reg", 8, 0, GIC_DIST, 0, 0x10000, 0, GIC_REDIST, 0, 0x20000);
	put_cells("phandle", 1, PHANDLE_GIC);
	end();
}

/* serial/pl011.yaml, arm/primecell.yaml, clock/fixed-clock.yaml */
static void put_uart(void)
{
	begin("clock");
	put_texts("compatible", "fixed-clock");
	put_cells("#clock-cells", 1, 0);
	put_cells("clock-frequency", 1, 24000000);
	put_cells("phandle", 1, PHANDLE_CLOCK);
	end();

	begin("serial@9000000");
	put_texts("compatible", "arm,pl011\0arm,primecell");
	put_cells("reg", 4, 0, UART, 0, 0x1000);
	put_cells("interrupts", 3, SPI, UART_SPI, LEVEL_HIGH);
	put_cells("clocks", 2, PHANDLE_CLOCK, PHANDLE_CLOCK);
	put_texts("clock-names", "uartclk\0apb_pclk");
	end();
}

static void write_tree(uint64_t gpa, uint64_t initrd, uint64_t initrd_end, const char *cmdline)
{
	tree = guest(gpa);
	sure(fdt_create(tree, TREE_SIZE));
	sure(fdt_finish_reservemap(tree));
	begin("");
	put_texts("compatible", "linux,dummy-virt");
	put_texts("model", "floor");
	put_cells("#address-cells", 1, 2);
	put_cells("#size-cells", 1, 2);
	put_cells("interrupt-parent", 1, PHANDLE_GIC);
	put_chosen(cmdline, initrd, initrd_end);
	begin("memory@40000000");
	put_texts("device_type", "memory");
	put_cells("reg", 4, 0, RAM, (uint32_t)(vm.size >> 32), (uint32_t)vm.size);
	end();
	put_processor();
	put_uart();
	end();
	sure(fdt_finish(tree));
}

/* ---- Image --------------------------------------------------------------------------------- */

/* booting.rst, 4: what of the header is of use. */
struct header {
	uint64_t code, text_offset, image_size;
};

/* Kernel, tree and initrd, one behind the other from the bottom of RAM up. Returns the kernel's
 * entry point. */
static uint64_t load_all(char **argv, uint64_t *gpa_of_tree)
{
	uint64_t size, entry, gpa, initrd;
	int file = open_image(argv[0], &size);
	struct header header = { 0 };

	check((int)pread(file, &header, sizeof(header), 0), argv[0]);
	entry = RAM + header.text_offset;
	load(file, 0, entry, size, argv[0]);
	close(file);
	gpa = (entry + header.image_size + 0xffff) & ~0xffffULL;
	initrd = gpa + 0x10000;
	file = open_image(argv[1], &size);
	load(file, 0, initrd, size, argv[1]);
	close(file);
	write_tree(gpa, initrd, initrd + size, argv[2]);
	*gpa_of_tree = gpa;
	return entry;
}

/* ---- UART ---------------------------------------------------------------------------------- */

enum {
	DR = 0x000,
	FR = 0x018,
	LCR_H = 0x02c,
	CR = 0x030,
	IMSC = 0x038,
	RIS = 0x03c,
	MIS = 0x040,
	ICR = 0x044,
	LAST = 0x048,
	ID = 0xfe0,
};

#define FR_IDLE 0x97 /* both FIFOs are empty, and a peer is ready */
#define INT_TX	0x20

static struct {
	uint32_t regs[LAST / 4 + 1];
	bool line; /* its level */
} uart = { .regs[CR / 4] = 0x300 };

static void update(void)
{
	bool level = uart.regs[RIS / 4] & uart.regs[IMSC / 4];
	struct kvm_irq_level line = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (FIRST_SPI + UART_SPI),
		.level = level,
	};

	if (level != uart.line)
		check(ioctl(vm.fd, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE");
	uart.line = level;
}

/* What is written leaves at once, which raises the interrupt again. */
static void uart_write(unsigned reg, uint32_t value)
{
	if (reg == DR) {
		transmit((char)value);
		uart.regs[RIS / 4] |= INT_TX;
	} else if (reg == ICR) {
		uart.regs[RIS / 4] &= ~value;
	} else if (reg <= LAST && reg != FR && reg != RIS && reg != MIS) {
		uart.regs[reg / 4] = value;
	}
	update();
}

static uint32_t uart_read(unsigned reg)
{
	/* A byte in each: peripheral ID 0x00341011, and PrimeCell's own. */
	static const uint8_t id[] = { 0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	if (reg == FR)
		return FR_IDLE;
	if (reg == MIS)
		return uart.regs[RIS / 4] & uart.regs[IMSC / 4];
	if (reg >= ID)
		return id[(reg - ID) / 4];
	return reg == DR || reg > LAST ? 0 : uart.regs[reg / 4];
}

/* ---- vCPU ---------------------------------------------------------------------------------- */

static void set_reg(uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | id,
		.addr = (uintptr_t)&value,
	};

	check(ioctl(vm.vcpu, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

static void mmio(void)
{
	struct kvm_run *run = vm.run;
	unsigned reg = run->mmio.phys_addr & 0xffc;
	uint32_t value = 0;

	if (run->mmio.phys_addr >> 12 != UART >> 12) {
		others++;
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	} else if (run->mmio.is_write) {
		writes[reg / 4]++;
		memcpy(&value, run->mmio.data, run->mmio.len < 4 ? run->mmio.len : 4);
		uart_write(reg, value);
	} else {
		reads[reg / 4]++;
		value = uart_read(reg);
		memcpy(run->mmio.data, &value, 4);
	}
}

/* Until the guest powers off. */
static void run_vcpu(void)
{
	uint8_t c;

	for (;; exits++) {
		if (!enter())
			continue;
		while (gathered(&c))
			uart_write(DR, c);
		if (vm.run->exit_reason == KVM_EXIT_SYSTEM_EVENT &&
		    vm.run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
			return;
		if (vm.run->exit_reason != KVM_EXIT_MMIO) {
			fprintf(stderr, "linux_floor_arm64: exit reason %u\n", vm.run->exit_reason);
			exit(81);
		}
		mmio();
	}
}

static void report(void)
{
	fprintf(stderr, "exits to user space: %lu, elsewhere %lu, register:reads/writes", exits,
		others);
	for (unsigned i = 0; i < 0x400; i++) {
		if (reads[i] || writes[i])
			fprintf(stderr, " %x:%lu/%lu", i * 4, reads[i], writes[i]);
	}
	fputc('\n', stderr);
}

/* ---- Machine ------------------------------------------------------------------------------- */

static void set(int device, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	check(ioctl(device, KVM_SET_DEVICE_ATTR, &request), "the GIC's KVM_SET_DEVICE_ATTR");
}

/* It wants to know all vCPUs before it starts. */
static void make_gic(void)
{
	struct kvm_create_device gic = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint64_t dist = GIC_DIST, redist = GIC_REDIST;
	uint32_t intids = INTIDS;

	check(ioctl(vm.fd, KVM_CREATE_DEVICE, &gic), "KVM_CREATE_DEVICE: a GICv3");
	set((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &intids);
	set((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	set((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist);
	set((int)gic.fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

int main(int argc, char **argv)
{
	struct kvm_vcpu_init init;
	bool gather = false, count = false;
	uint64_t entry, at;
	int opt;

	while ((opt = getopt(argc, argv, "m:cx")) != -1) {
		if (opt == 'm')
			vm.size = (uint64_t)atoi(optarg) << 20;
		else if (opt == 'c')
			gather = true;
		else if (opt == 'x')
			count = true;
		else
			goto usage;
	}
	if (optind + 3 != argc || vm.size < 128 << 20)
		goto usage;

	vm.base = RAM;
	make_vm();
	make_vcpu();
	check(ioctl(vm.fd, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
	init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	check(ioctl(vm.vcpu, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
	make_gic();
	if (gather)
		coalesce(UART + DR, 4, false);
	entry = load_all(argv + optind, &at);
	set_reg(KVM_REG_ARM_CORE_REG(regs.pc), entry);
	set_reg(KVM_REG_ARM_CORE_REG(regs.regs[0]), at);
	run_vcpu();
	flush();
	if (count)
		report();
	_exit(0);
usage:
	fputs("usage: linux_floor_arm64 [-m MIB] [-cx] IMAGE INITRD CMDLINE\n", stderr);
	return 64;
}
