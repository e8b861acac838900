/* config.c: a function's configuration space.
 *
 * The registers are bytes with a mask of those bits that can be written. So a guest that sizes a
 * BAR, writing ones and reading back which of them stay (PCI 6.2.5.1), needs no code.
 */
#include <assert.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "bus.h"

#define BAR_WIDE	 (2U << 1) /* PCI 6.2.5.1: bits 2:1 and 3 of a memory BAR */
#define BAR_PREFETCHABLE (1U << 3)
#define BAR_FLAGS	 0xfU
#define BAR_PORTS	 1U /* bit 0 of an I/O BAR; bit 1 is reserved */
#define BAR_PORTS_FLAGS	 0x3U
#define PORTS_MAX	 256U

static unsigned bar_register(unsigned bar)
{
	return PCI_BAR0 + 4 * bar;
}

void pci_function_init(struct pci_function *f, struct device *dev, const struct pci_ops *ops,
		       const struct pci_identity *identity)
{
	*f = (struct pci_function){ .dev = dev,
				    .ops = ops,
				    .next_capability = PCI_HEADER_END,
				    .lock = PTHREAD_MUTEX_INITIALIZER };
	bytes_put16(f->config + PCI_VENDOR_ID, identity->vendor);
	bytes_put16(f->config + PCI_DEVICE_ID, identity->device);
	f->config[PCI_REVISION] = identity->revision;
	bytes_put(f->config + PCI_CLASS, 3, identity->class_code);
	bytes_put16(f->config + PCI_SUBSYSTEM_VENDOR, identity->subsystem_vendor);
	bytes_put16(f->config + PCI_SUBSYSTEM, identity->subsystem);
	f->config[PCI_INTERRUPT_PIN] = 1;
	bytes_put16(f->writable + PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	f->writable[PCI_CACHE_LINE] = 0xff;
	f->writable[PCI_INTERRUPT_LINE] = 0xff;
}

static void add_bar(struct pci_function *f, unsigned i, const struct pci_bar *bar, uint32_t flags,
		    uint8_t decoding)
{
	unsigned at = bar_register(i), len = bar->wide ? 8 : 4;

	assert(i + bar->wide < PCI_BARS && bytes_is_power_of_2(bar->size));
	assert(!(bar->addr & (bar->size - 1)));
	assert(bar->wide || bar->addr + (bar->size - 1) <= UINT32_MAX);
	f->bars[i] = *bar;
	bytes_put(f->config + at, len, bar->addr | flags);
	bytes_put(f->writable + at, len, ~(bar->size - 1));
	f->config[PCI_COMMAND] |= decoding;
	f->writable[PCI_COMMAND] |= decoding;
}

void pci_bar_add(struct pci_function *f, unsigned bar, uint64_t addr, uint64_t size, bool wide,
		 bool prefetchable)
{
	const struct pci_bar added = { .space = SPACE_MEM,
				       .size = size,
				       .addr = addr,
				       .wide = wide,
				       .prefetchable = prefetchable };

	assert(size > BAR_FLAGS);
	add_bar(f, bar, &added, (wide ? BAR_WIDE : 0) | (prefetchable ? BAR_PREFETCHABLE : 0),
		PCI_COMMAND_MEMORY);
}

void pci_bar_add_ports(struct pci_function *f, unsigned bar, uint64_t port, uint64_t size)
{
	const struct pci_bar added = { .space = SPACE_PIO, .size = size, .addr = port };

	assert(size > BAR_PORTS_FLAGS && size <= PORTS_MAX);
	add_bar(f, bar, &added, BAR_PORTS, PCI_COMMAND_PORTS);
}

uint8_t pci_capability_add(struct pci_function *f, uint8_t id, uint8_t len)
{
	uint8_t at = f->next_capability;

	assert(len >= 2 && at && at + len <= PCI_CONFIG_SIZE);
	f->config[at] = id;
	f->config[f->last_capability ? f->last_capability + 1 : PCI_CAPABILITIES] = at;
	f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	f->last_capability = at;
	f->next_capability = (uint8_t)(at + (len + 3U) / 4 * 4); /* 0: there is no more room */
	return at;
}

uint32_t pci_config_read(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size)
{
	struct pci_function *f = bus->functions[devfn];
	uint32_t value;

	if (!f)
		return (uint32_t)bytes_ones(size);
	if (offset >= PCI_CONFIG_SIZE)
		return 0;
	device_lock(f->dev);
	if (f->ops->config_read)
		f->ops->config_read(f, offset, size);
	pthread_mutex_lock(&f->lock);
	value = (uint32_t)bytes_get(f->config + offset, size);
	pthread_mutex_unlock(&f->lock);
	device_unlock(f->dev);
	return value;
}

/* A write, and what interrupts make of it. True if MSI-X was affected. With the function's lock. */
static bool store(struct pci_function *f, unsigned offset, unsigned size, uint32_t value)
{
	bool wire = pci_wire(f);
	uint16_t control = pci_msix_control(f);

	for (unsigned i = 0; i < size; i++, value >>= 8) {
		uint8_t mask = f->writable[offset + i];

		f->config[offset + i] = (uint8_t)((f->config[offset + i] & ~mask) | (value & mask));
	}
	pci_wire_changed(f, wire);
	if (pci_msix_control(f) == control)
		return false;
	pci_msix_allowed(f);
	return true;
}

/* With the function's lock. */
static void move_bars(struct pci_function *f)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &f->bars[i];
		uint64_t flags = bar->space == SPACE_PIO ? BAR_PORTS_FLAGS : BAR_FLAGS;

		if (bar->size)
			bar->addr =
				bytes_get(f->config + bar_register(i), bar->wide ? 8 : 4) & ~flags;
	}
}

void pci_config_write(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size,
		      uint32_t value)
{
	struct pci_function *f = bus->functions[devfn];
	bool messages;

	if (!f || offset >= PCI_CONFIG_SIZE)
		return;
	device_lock(f->dev);
	pthread_mutex_lock(&f->lock);
	messages = store(f, offset, size, value);
	move_bars(f);
	pthread_mutex_unlock(&f->lock);
	for (unsigned i = 0; messages && f->ops->msix_changed && i < f->n_vectors; i++)
		f->ops->msix_changed(f, i);
	if (f->ops->config_written)
		f->ops->config_written(f, offset, size);
	device_unlock(f->dev);
	if (offset == PCI_COMMAND || (offset >= PCI_BAR0 && offset < bar_register(PCI_BARS)))
		pci_bus_remap(bus, f);
}
