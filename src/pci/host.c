/* host.c: the PCI host bridge: how the guest reaches the bus.
 *
 * Configuration space is in memory, as PCIe 7.2.2 has it (ECAM), and on x86_64 behind two ports as
 * well (PCI 3.2.2.3.2). Windows pass accesses on to BARs. The bridge is also function 00:00.0,
 * which guests look for first.
 */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/bytes.h>

#include "bus.h"

/* A generic host bridge that QEMU's documents give away: drivers expect nothing of it. */
#define VENDOR_RED_HAT 0x1b36
#define DEVICE_HOST    0x0008
#define CLASS_HOST     0x060000

/* CONFIG_ADDRESS, and CONFIG_DATA behind it. */
enum { ADDRESS = 0, DATA = 4 };

#define ADDRESS_ENABLE	 (1U << 31)
#define ADDRESS_BUS(a)	 ((a) >> 16 & 0xff)
#define ADDRESS_DEVFN(a) ((a) >> 8 & 0xff)
#define ADDRESS_REG(a)	 ((a)&0xfc)

struct pci_host_config {
	char *id;
	uint64_t config;
	uint32_t irq;
};

struct pci_host {
	struct pci_function function;
	_Atomic uint32_t address; /* CONFIG_ADDRESS */
};

enum { CLAIM_CONFIG, CLAIM_WINDOW, CLAIM_WINDOW64, CLAIM_PORTS, CLAIM_IO, CLAIM_INTX };

/* ---- Configuration space ------------------------------------------------------------------- */

#define ECAM_SHIFT 12 /* PCIe 7.2.2: 4 KiB for each function */

/* How many of the bytes at offset the bus takes at once. */
static unsigned piece(uint64_t offset, unsigned left)
{
	return left >= 4 && !(offset & 3) ? 4 : left >= 2 && !(offset & 1) ? 2 : 1;
}

/* Any bytes of the bus's 256 spaces, each of 4 KiB. */
static uint64_t config_read(struct pci_bus *bus, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0, n; i < size; i += n) {
		uint64_t at = offset + i;

		n = piece(at, size - i);
		value |= (uint64_t)pci_config_read(bus, at >> ECAM_SHIFT & 0xff, at & 0xfff, n)
			 << 8 * i;
	}
	return value;
}

static void config_write(struct pci_bus *bus, uint64_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0, n; i < size; i += n) {
		uint64_t at = offset + i;

		n = piece(at, size - i);
		pci_config_write(bus, at >> ECAM_SHIFT & 0xff, at & 0xfff, n,
				 (uint32_t)(value >> 8 * i));
	}
}

/* Where CONFIG_DATA's bytes lead; false: to no function of this bus. */
static bool selected(const struct pci_host *host, uint64_t port, uint64_t *offset)
{
	uint32_t address = host->address;

	*offset = (uint64_t)ADDRESS_DEVFN(address) << ECAM_SHIFT | ADDRESS_REG(address) |
		  (port - DATA);
	return port >= DATA && address & ADDRESS_ENABLE && !ADDRESS_BUS(address);
}

static uint64_t ports_read(const struct pci_host *host, struct pci_bus *bus, uint64_t port,
			   unsigned size)
{
	uint64_t offset;

	if (port == ADDRESS && size == 4)
		return host->address;
	return selected(host, port, &offset) ? config_read(bus, offset, size) : bytes_ones(size);
}

static void ports_write(struct pci_host *host, struct pci_bus *bus, uint64_t port, unsigned size,
			uint64_t value)
{
	uint64_t offset;

	if (port == ADDRESS && size == 4)
		host->address = (uint32_t)value;
	else if (selected(host, port, &offset))
		config_write(bus, offset, size, value);
}

/* ---- The device ---------------------------------------------------------------------------- */

static uint64_t reg_read(struct device *dev, unsigned claim, uint64_t offset, unsigned size)
{
	const struct plan_claim *place;
	struct pci_bus *bus = dev->host->pci;
	uint64_t value;

	switch (claim) {
	case CLAIM_CONFIG:
		return config_read(bus, offset, size);
	case CLAIM_PORTS:
		return ports_read(dev->state, bus, offset, size);
	default:
		place = device_place(dev, claim);
		if (pci_bar_read(bus, place->claim->space, place->start + offset, size, &value))
			return value;
		return bytes_ones(size);
	}
}

static void reg_write(struct device *dev, unsigned claim, uint64_t offset, unsigned size,
		      uint64_t value)
{
	const struct plan_claim *place;
	struct pci_bus *bus = dev->host->pci;

	switch (claim) {
	case CLAIM_CONFIG:
		config_write(bus, offset, size, value);
		break;
	case CLAIM_PORTS:
		ports_write(dev->state, bus, offset, size, value);
		break;
	default:
		place = device_place(dev, claim);
		pci_bar_write(bus, place->claim->space, place->start + offset, size, value);
	}
}

static void reset(struct device *dev)
{
	struct pci_host *host = dev->state;

	host->address = 0;
}

static int create(struct device *dev, struct err *err)
{
	static const struct pci_ops ops = { 0 };
	static const struct pci_identity identity = {
		.vendor = VENDOR_RED_HAT,
		.device = DEVICE_HOST,
		.class_code = CLASS_HOST,
	};
	struct pci_host *host = calloc(1, sizeof(*host));
	int ret;

	if (!host)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", dev->plan->label);
	pci_function_init(&host->function, dev, &ops, &identity);
	host->function.config[PCI_INTERRUPT_PIN] = 0;
	ret = pci_attach(&host->function, err);
	if (ret) {
		free(host);
		return ret;
	}
	dev->state = host;
	pci_bus_bridge(dev->host->pci, dev);
	return 0;
}

static void destroy(struct device *dev)
{
	struct pci_host *host = dev->state;

	pci_bus_bridge(dev->host->pci, NULL);
	pci_detach(&host->function);
	free(host);
}

static const struct option options[] = {
	DEVICE_ID(struct pci_host_config),
	OPTION(struct pci_host_config, config, OPTION_ADDR, .planned = true, .align = 1 << 20,
	       .doc = "Address of the 1 MiB of configuration space (ECAM)"),
	OPTION(struct pci_host_config, irq, OPTION_IRQ, .planned = true,
	       .doc = "Line that devices without MSI-X share, or none"),
	{ 0 },
};

static const struct claim claims[] = {
	[CLAIM_CONFIG] = { .name = "config",
			   .space = SPACE_MEM,
			   .pool = POOL_PCI_CONFIG,
			   .size = 1 << 20,
			   .fix = "config",
			   .width = 4 },
	[CLAIM_WINDOW] = { .name = "window", .space = SPACE_MEM, .pool = POOL_PCI_WINDOW },
	[CLAIM_WINDOW64] = { .name = "window64", .space = SPACE_MEM, .pool = POOL_PCI_WINDOW64 },
	[CLAIM_PORTS] = { .name = "ports",
			  .space = SPACE_PIO,
			  .arches = ARCH_X86_64,
			  .size = 8,
			  .prefer = (const uint64_t[]){ 0xcf8 },
			  .n_prefer = 1,
			  .width = 4 },
	[CLAIM_IO] = { .name = "io",
		       .space = SPACE_PIO,
		       .arches = ARCH_X86_64,
		       .pool = POOL_PCI_PORTS,
		       .width = 4 },
	[CLAIM_INTX] = { .name = "intx",
			 .space = SPACE_IRQ,
			 .size = 1,
			 .fix = "irq",
			 .level = true },
	{ 0 },
};

static const struct device_description describe = {
	.role = ROLE_PCI,
	.hid = "PNP0A08",
	.compatible = { "pci-host-ecam-generic" },
	.node = "pcie",
};

const struct device_row device_pci_host = {
	.type = {
		.name = "pci-host",
		.doc = "PCI bus, for devices with `transport: pci`; added where one is listed",
		.options = options,
		.size = sizeof(struct pci_host_config),
	},
	.arches = ARCH_ANY,
	.max = 1,
	.claims = claims,
	.describe = &describe,
	.wants = HV_CAP_IRQ_LINE,
	.many_at_once = true,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.read = reg_read,
	.write = reg_write,
};
