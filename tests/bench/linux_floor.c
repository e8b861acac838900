/* linux_floor.c: the least that boots Linux on KVM fast, to compare vibevmm with.
 *
 *     linux_floor [-m MIB] [-i full|split] [-cx] KERNEL INITRD CMDLINE
 *
 * KERNEL is a bzImage or a vmlinux; either is entered in 64-bit mode. One vCPU, a 16550 at 0x3f8
 * that goes to standard output, an IOAPIC, an empty PCI bus, and ACPI tables that say so; it ends
 * when the guest powers off. -i split has the IOAPIC in this program; -c coalesces writes to the
 * UART's data port; -x tells on standard error how often the guest left to user space, by port.
 *
 * Boot protocol: Linux Documentation/arch/x86/boot.rst and zero-page.rst. Tables: ACPI 6.4, section
 * 5.2; AML: section 20.2. UART: PC16550D data sheet. IOAPIC: Intel 82093AA data sheet, section 3.
 * It checks nothing: for a bench, with kernels that are known to be good.
 */
#include <asm/bootparam.h>
#include <elf.h>

#include "floor.h"

/* Guest memory: all of it below 3 GiB, so that one slot will do. */
#define ZERO_PAGE   0x7000
#define TABLES	    0x9000 /* PML4, PDPT, PD: the first GiB by itself */
#define CMDLINE	    0x20000
#define ACPI	    0xe0000
#define ACPI_SIZE   0x1000
#define PREFERRED   0x1000000
#define IOAPIC	    0xfec00000
#define UART	    0x3f8
#define UART_IRQ    4
#define SLEEP_PORT  0x600 /* sleep control register; the status register is the next port */
#define PINS	    24
#define MAX_ENTRIES 256

static bool split;
static unsigned long exits, pio_exits[0x10000], mmio_exits;

/* ---- Image --------------------------------------------------------------------------------- */

/* Loads the kernel; returns its entry point. */
static uint64_t load_kernel(const char *path, struct boot_params *zero)
{
	uint64_t size, entry, setup;
	int file = open_image(path, &size);
	union {
		uint8_t bytes[4096];
		Elf64_Ehdr elf;
	} head;

	check((int)pread(file, &head, sizeof(head), 0), path);
	if (!memcmp(head.bytes, ELFMAG, SELFMAG)) {
		const Elf64_Phdr *ph = (const void *)(head.bytes + head.elf.e_phoff);

		for (unsigned i = 0; i < head.elf.e_phnum; i++) {
			if (ph[i].p_type == PT_LOAD)
				load(file, ph[i].p_offset, ph[i].p_paddr, ph[i].p_filesz, path);
		}
		entry = head.elf.e_entry;
		zero->hdr.boot_flag = 0xaa55;
		zero->hdr.header = 0x53726448;
	} else {
		memcpy(&zero->hdr, head.bytes + offsetof(struct boot_params, hdr),
		       sizeof(zero->hdr));
		setup = ((uint64_t)(zero->hdr.setup_sects ? zero->hdr.setup_sects : 4) + 1) * 512;
		load(file, setup, PREFERRED, size - setup, path);
		entry = PREFERRED + 0x200;
		zero->hdr.code32_start = PREFERRED;
	}
	close(file);
	return entry;
}

static void load_initrd(const char *path, struct boot_params *zero)
{
	uint64_t size, start;
	int file = open_image(path, &size);

	start = (vm.size - size) & ~0xfffULL;
	load(file, 0, start, size, path);
	zero->hdr.ramdisk_image = (uint32_t)start;
	zero->hdr.ramdisk_size = (uint32_t)size;
	close(file);
}

/* ---- Tables -------------------------------------------------------------------------------- */

static void put(uint8_t *at, uint64_t value, unsigned len)
{
	memcpy(at, &value, len);
}

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

/* ACPI 5.2.6: heads the table at gpa; returns where the next one may begin. */
static uint64_t table(uint64_t gpa, const char *signature, uint8_t revision, uint32_t len)
{
	uint8_t *t = vm.ram + gpa;

	memcpy(t, signature, 4);
	put(t + 4, len, 4);
	t[8] = revision;
	memcpy(t + 10, "FLOOR FLOOR   ", 14);
	put(t + 24, 1, 4);
	memcpy(t + 28, "FLOO", 4);
	put(t + 32, 1, 4);
	t[9] = checksum(t, len);
	return (gpa + len + 15) & ~15ULL;
}

static const uint8_t aml[] = {
	/* Name (\_S5, Package () {5}): what to write to the sleep control register */
	0x08, '\\', '_', 'S', '5', '_', 0x12, 0x04, 0x01, 0x0a, 0x05,
	/* Device (\_SB.COM1) */
	0x5b, 0x82, 0x2b, '\\', 0x2e, '_', 'S', 'B', '_', 'C', 'O', 'M', '1',
	/* Name (_HID, EisaId ("PNP0501")) */
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01,
	/* Name (_CRS, ResourceTemplate () { IO (Decode16, 0x3f8, 0x3f8, 1, 8) IRQNoFlags () {4} })
	 */
	0x08, '_', 'C', 'R', 'S', 0x11, 0x10, 0x0a, 0x0d,			/* 13 bytes */
	0x47, 0x01, UART & 0xff, UART >> 8, UART & 0xff, UART >> 8, 0x01, 0x08, /* 6.4.2.5 */
	0x22, 1 << UART_IRQ, 0x00,						/* 6.4.2.1 */
	0x79, 0x00,								/* 6.4.2.9 */
};

static void generic_address(uint8_t *at, uint16_t port)
{
	at[0] = 1; /* system I/O */
	at[1] = 8;
	at[3] = 1; /* byte access */
	put(at + 4, port, 8);
}

static void write_acpi(void)
{
	uint64_t dsdt = ACPI + 0x40, fadt, madt, xsdt;
	uint8_t *t, *rsdp = vm.ram + ACPI;

	memcpy(vm.ram + dsdt + 36, aml, sizeof(aml));
	fadt = table(dsdt, "DSDT", 2, 36 + sizeof(aml));

	t = vm.ram + fadt; /* 5.2.9 */
	put(t + 40, dsdt, 4);
	put(t + 109, 1 << 2 | 1 << 5, 2);		/* no VGA, no CMOS RTC; and no i8042 */
	put(t + 112, 1 | 1 << 4 | 1 << 5 | 1 << 20, 4); /* WBINVD, no buttons; hardware-reduced */
	t[131] = 4;
	put(t + 140, dsdt, 8);
	generic_address(t + 244, SLEEP_PORT);
	generic_address(t + 256, SLEEP_PORT + 1);
	madt = table(fadt, "FACP", 6, 276);

	t = vm.ram + madt; /* 5.2.12 */
	put(t + 36, 0xfee00000, 4);
	t[44 + 0] = 0; /* local APIC of ID 0, enabled */
	t[44 + 1] = 8;
	put(t + 44 + 4, 1, 4);
	t[52 + 0] = 1; /* IOAPIC of ID 0, from interrupt 0 */
	t[52 + 1] = 12;
	put(t + 52 + 4, IOAPIC, 4);
	xsdt = table(madt, "APIC", 5, 64);

	put(vm.ram + xsdt + 36, fadt, 8);
	put(vm.ram + xsdt + 44, madt, 8);
	table(xsdt, "XSDT", 1, 52);

	memcpy(rsdp, "RSD PTR ", 8); /* 5.2.5.3 */
	memcpy(rsdp + 9, "FLOOR ", 6);
	rsdp[15] = 2;
	put(rsdp + 20, 36, 4);
	put(rsdp + 24, xsdt, 8);
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, 36);
}

static void write_zero_page(struct boot_params *zero, const char *cmdline)
{
	const struct boot_e820_entry map[] = {
		{ 0, 0xa0000, 1 },
		{ ACPI, ACPI_SIZE, 3 },
		{ 1 << 20, vm.size - (1 << 20), 1 },
	};

	zero->hdr.type_of_loader = 0xff;
	zero->hdr.loadflags |= 1;
	zero->hdr.cmd_line_ptr = CMDLINE;
	zero->acpi_rsdp_addr = ACPI;
	memcpy(zero->e820_table, map, sizeof(map));
	zero->e820_entries = 3;
	memcpy(vm.ram + CMDLINE, cmdline, strlen(cmdline) + 1);
}

/* ---- Interrupts ---------------------------------------------------------------------------- */

static struct {
	uint8_t index;
	uint64_t pins[PINS];
} ioapic;

/* Edge-triggered, as ISA interrupts are: an interrupt at the change to 1, and no more state. */
static void set_irq(bool level)
{
	struct kvm_irq_level line = { .irq = UART_IRQ, .level = level };
	uint64_t pin = ioapic.pins[UART_IRQ];
	struct kvm_msi msi = {
		.address_lo =
			0xfee00000 | (uint32_t)(pin >> 56) << 12 | (uint32_t)(pin >> 11 & 1) << 2,
		.data = (uint32_t)(pin & 0x7ff),
	};

	if (!split)
		check(ioctl(vm.fd, KVM_IRQ_LINE, &line), "KVM_IRQ_LINE");
	else if (level && !(pin >> 16 & 1))
		check(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), "KVM_SIGNAL_MSI");
}

static void ioapic_access(uint64_t offset, bool write, uint32_t *data)
{
	unsigned pin = (ioapic.index - 0x10U) / 2, shift = (ioapic.index & 1U) * 32;

	if (offset == 0) {
		if (write)
			ioapic.index = (uint8_t)*data;
		else
			*data = ioapic.index;
	} else if (ioapic.index < 0x10 || pin >= PINS) {
		if (!write)
			*data = ioapic.index == 1 ? (PINS - 1) << 16 | 0x11 : 0;
	} else if (write) {
		ioapic.pins[pin] &= ~(0xffffffffULL << shift);
		ioapic.pins[pin] |= (uint64_t)*data << shift;
	} else {
		*data = (uint32_t)(ioapic.pins[pin] >> shift);
	}
}

/* ---- UART ---------------------------------------------------------------------------------- */

static struct {
	uint8_t regs[8], latch[2];
	bool empty, line; /* an interrupt for "transmitter empty" is due; the line's level */
} uart;

static void uart_line(bool level)
{
	if (level != uart.line)
		set_irq(level);
	uart.line = level;
}

static void uart_write(unsigned reg, uint8_t value)
{
	if (reg < 2 && uart.regs[3] & 0x80) {
		uart.latch[reg] = value;
		return;
	}
	if (reg == 0) { /* sent at once: the interrupt goes away, and comes again */
		transmit((char)value);
		uart_line(false);
	}
	if (reg == 0 || (reg == 1 && value & ~uart.regs[1] & 2))
		uart.empty = true;
	uart.regs[reg] = value;
	uart_line(uart.empty && uart.regs[1] & 2);
}

static uint8_t uart_read(unsigned reg)
{
	uint8_t mcr = uart.regs[4], fifo = uart.regs[2] & 1 ? 0xc0 : 0;

	if (reg < 2 && uart.regs[3] & 0x80)
		return uart.latch[reg];
	switch (reg) {
	case 0:
		return 0;
	case 2:
		if (!uart.line)
			return fifo | 1;
		uart.empty = false;
		uart_line(false);
		return fifo | 2;
	case 5:
		return 0x60;
	case 6: /* a peer that is ready; or, looped back, the outputs */
		if (!(mcr & 0x10))
			return 0xb0;
		return (uint8_t)((mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 0x0c) << 4);
	default:
		return uart.regs[reg];
	}
}

/* ---- vCPU ---------------------------------------------------------------------------------- */

static void set_cpuid(void)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));

	if (!cpuid)
		die("calloc");
	cpuid->nent = MAX_ENTRIES;
	check(ioctl(vm.kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	for (unsigned i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1) {
			e->ecx |= 1U << 24 | 1U << 31; /* TSC deadline timer; a hypervisor */
			e->ebx = (e->ebx & 0xff00) | 1U << 16;
		}
		if (e->function == 0xb || e->function == 0x1f)
			e->eax = e->ebx = e->ecx = e->edx = 0;
	}
	check(ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
}

static void set_entry(uint64_t entry)
{
	uint64_t *tables = (uint64_t *)(vm.ram + TABLES);
	struct kvm_regs regs = { .rip = entry, .rsi = ZERO_PAGE, .rflags = 2 };
	struct kvm_sregs sregs;

	tables[0] = (TABLES + 0x1000) | 3;
	tables[512] = (TABLES + 0x2000) | 3;
	for (uint64_t i = 0; i < 512; i++)
		tables[1024 + i] = i * HUGE_PAGE + 0x83;
	check(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = (struct kvm_segment){
		.limit = ~0U, .selector = 16, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	sregs.ds = (struct kvm_segment){
		.limit = ~0U, .selector = 24, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	sregs.es = sregs.ss = sregs.ds;
	sregs.cr0 = 0x80000011;
	sregs.cr3 = TABLES;
	sregs.cr4 = 0x20;
	sregs.efer = 0x500;
	check(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(ioctl(vm.vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

/* A PCI bus with a host bridge and nothing else, so that Linux does not complain on the console:
 * 136 exits. PCI Local Bus 3.0, 3.2.2.3.2 and 6.1. */
static void pci_access(uint16_t address, bool write, uint8_t *data, unsigned len)
{
	static const uint8_t bridge[64] = { 0x86, 0x80, 0x37, 0x12, [0x0b] = 6 };
	static uint32_t latch;
	unsigned offset = (latch & 0xfc) + (address & 3);

	if (address == 0xcf8 && len == 4 && write)
		memcpy(&latch, data, 4);
	else if (address == 0xcf8 && len == 4)
		memcpy(data, &latch, 4);
	else if (address >= 0xcfc && !write && latch >> 8 == 0x800000 && offset + len <= 64)
		memcpy(data, bridge + offset, len);
}

/* False when the guest powered off. */
static bool port(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned reg = run->io.port - UART;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;

	pio_exits[run->io.port]++;
	if (write && run->io.port == SLEEP_PORT)
		return false;
	if (!write)
		memset(data, 0xff, (size_t)run->io.size * run->io.count);
	if (reg < 8 && write)
		uart_write(reg, *data);
	else if (reg < 8)
		*data = uart_read(reg);
	else if (run->io.port >> 3 == 0xcf8 >> 3)
		pci_access(run->io.port, write, data, run->io.size);
	return true;
}

static void run_vcpu(void)
{
	struct kvm_run *run = vm.run;
	uint8_t c;

	for (;; exits++) {
		if (!enter())
			continue;
		while (gathered(&c))
			uart_write(0, c);
		if (run->exit_reason == KVM_EXIT_IO) {
			if (port(run))
				continue;
			return;
		}
		if (run->exit_reason != KVM_EXIT_MMIO) {
			fprintf(stderr, "linux_floor: exit reason %u\n", run->exit_reason);
			exit(81);
		}
		mmio_exits++;
		if (run->mmio.phys_addr >> 12 == IOAPIC >> 12)
			ioapic_access(run->mmio.phys_addr & 0xff, run->mmio.is_write,
				      (uint32_t *)(void *)run->mmio.data);
		else if (!run->mmio.is_write)
			memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	}
}

static void report(void)
{
	fprintf(stderr, "exits to user space: %lu, mmio %lu, port:count", exits, mmio_exits);
	for (unsigned i = 0; i < 0x10000; i++) {
		if (pio_exits[i])
			fprintf(stderr, " %x:%lu", i, pio_exits[i]);
	}
	fputc('\n', stderr);
}

/* ---- Machine ------------------------------------------------------------------------------- */

static void make_irqchip(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { PINS } };

	if (split)
		check(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), "KVM_CAP_SPLIT_IRQCHIP");
	else
		check(ioctl(vm.fd, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	for (unsigned i = 0; i < PINS; i++)
		ioapic.pins[i] = 1 << 16; /* masked */
}

int main(int argc, char **argv)
{
	uint64_t entry, identity_map = 0xfffbc000;
	struct boot_params *zero;
	bool gather = false, count = false;
	int opt;

	while ((opt = getopt(argc, argv, "m:i:cx")) != -1) {
		if (opt == 'm')
			vm.size = (uint64_t)atoi(optarg) << 20;
		else if (opt == 'i')
			split = !strcmp(optarg, "split");
		else if (opt == 'c')
			gather = true;
		else if (opt == 'x')
			count = true;
		else
			goto usage;
	}
	if (optind + 3 != argc || vm.size < 64 << 20 || vm.size > 3ULL << 30)
		goto usage;

	make_vm();
	check(ioctl(vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000UL), "KVM_SET_TSS_ADDR");
	check(ioctl(vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map), "KVM_SET_IDENTITY_MAP_ADDR");
	make_irqchip();
	make_vcpu();
	if (gather)
		coalesce(UART, 1, true);
	set_cpuid();
	zero = (void *)(vm.ram + ZERO_PAGE);
	entry = load_kernel(argv[optind], zero);
	load_initrd(argv[optind + 1], zero);
	write_zero_page(zero, argv[optind + 2]);
	write_acpi();
	set_entry(entry);
	run_vcpu();
	flush();
	if (count)
		report();
	_exit(0);
usage:
	fputs("usage: linux_floor [-m MIB] [-i full|split] [-cx] KERNEL INITRD CMDLINE\n", stderr);
	return 64;
}
