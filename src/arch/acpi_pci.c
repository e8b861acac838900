/* acpi_pci.c: the PCI host bridge in the DSDT. "PCI FW" is the PCI Firmware Specification 3.2. */
#include <vibevmm/bytes.h>

#include "acpi_pci.h"
#include "aml.h"

#define SLOTS 32U
#define PINS  4U /* A to D are 0 to 3: ACPI 6.4, 6.2.13 */

/* The slots in which there is a function, but the bridge's own. */
static uint32_t used_slots(const struct plan *plan, const struct plan_device *bridge)
{
	uint32_t slots = 0;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->space == SPACE_PCI && &plan->devices[r->device] != bridge)
			slots |= 1U << (r->start / 8 % SLOTS);
	}
	return slots;
}

/* ACPI 6.4, 6.2.13: whichever device and pin, it is the bridge's line, at the controller itself. */
static void routing(struct blob *blob, const struct plan *plan, const struct plan_device *bridge)
{
	const struct plan_claim *line = plan_device_claim(bridge, SPACE_IRQ);
	uint32_t slots = used_slots(plan, bridge);
	size_t table;

	if (!line)
		return;
	aml_name(blob, "_PRT");
	table = aml_package(blob, PINS * (unsigned)__builtin_popcount(slots));
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		for (unsigned pin = 0; pin < PINS && (slots & 1U << slot); pin++) {
			size_t entry = aml_package(blob, 4);

			aml_integer(blob, slot << 16 | 0xffff); /* each of its functions */
			aml_integer(blob, pin);
			aml_integer(blob, 0); /* no link device */
			aml_integer(blob, line->start);
			aml_close(blob, entry);
		}
	}
	aml_close(blob, table);
}

/* PCI FW 4.1.1 f.: what it hands on to the bus, and the ports that it keeps. */
static void bridge_resources(struct blob *blob, const struct plan_device *bridge)
{
	const enum claim_pool windows[] = { POOL_PCI_PORTS, POOL_PCI_WINDOW, POOL_PCI_WINDOW64 };
	const struct plan_claim *ports = plan_device_claim(bridge, SPACE_PIO);
	size_t at;

	aml_name(blob, "_CRS");
	at = aml_resources(blob);
	aml_bus(blob, 0);
	if (ports)
		aml_ports(blob, ports->start, ports->size);
	for (unsigned i = 0; i < ARRAY_SIZE(windows); i++) {
		const struct plan_claim *window = plan_pool_claim(bridge, windows[i]);

		if (!window)
			continue;
		if (window->claim->space == SPACE_PIO)
			aml_port_window(blob, window->start, window->size);
		else
			aml_window(blob, window->start, window->size);
	}
	aml_close_resources(blob, at);
}

/* PCI FW 4.1.2: what the MCFG tells of is reserved by a motherboard resource. */
static void reserve_config(struct blob *blob, const struct plan_claim *config)
{
	size_t object, at;

	object = aml_device(blob, "ECAM");
	aml_name(blob, "_HID");
	aml_hid(blob, "PNP0C02");
	aml_name(blob, "_CRS");
	at = aml_resources(blob);
	aml_memory(blob, config->start, config->size);
	aml_close_resources(blob, at);
	aml_close(blob, object);
}

void acpi_pci_objects(struct blob *blob, const struct plan *plan, const struct plan_device *bridge)
{
	const struct plan_claim *config = plan_pool_claim(bridge, POOL_PCI_CONFIG);
	size_t object;

	object = aml_device(blob, "PCI0");
	aml_name(blob, "_HID");
	aml_hid(blob, "PNP0A08"); /* PCI FW 4.1.1: PCI Express, ... */
	aml_name(blob, "_CID");
	aml_hid(blob, "PNP0A03"); /* ... and for those that don't know it */
	aml_name(blob, "_SEG");
	aml_integer(blob, 0);
	aml_name(blob, "_BBN");
	aml_integer(blob, 0);
	bridge_resources(blob, bridge);
	routing(blob, plan, bridge);
	aml_close(blob, object);
	if (config)
		reserve_config(blob, config);
}
