/* fdt_pci.c: the PCI host bridge in the device tree.
 *
 * IEEE 1275's PCI Bus Binding 2.1, and Linux's pci/host-generic-pci.yaml and pci/pci-msi.txt. There
 * is one bus, number 0, and all its devices share one line.
 */
#include <assert.h>

#include <vibevmm/bytes.h>

#include "fdt_pci.h"

/* PCI Bus Binding, 2.2.1.1: addresses have three cells; what space they are in is in the first. */
#define SPACE_32 0x02000000U
#define SPACE_64 0x03000000U

#define PINS	  4U	 /* A to D are 1 to 4 */
#define FUNCTIONS 0x100U /* of a bus */

static size_t put_range(uint32_t *cells, uint32_t space, const struct plan_claim *window)
{
	const uint32_t high = (uint32_t)(window->start >> 32), low = (uint32_t)window->start;
	const uint32_t range[] = {
		space, high, low, high, low, (uint32_t)(window->size >> 32), (uint32_t)window->size,
	};

	for (size_t i = 0; i < ARRAY_SIZE(range); i++)
		cells[i] = range[i];
	return ARRAY_SIZE(range);
}

/* Where BARs may lie: at the same address on both sides. */
static void add_ranges(struct dt_writer *w, const struct plan_device *bridge)
{
	const struct plan_claim *window = plan_pool_claim(bridge, POOL_PCI_WINDOW);
	const struct plan_claim *window64 = plan_pool_claim(bridge, POOL_PCI_WINDOW64);
	uint32_t cells[DT_MAX_CELLS];
	size_t n = 0;

	if (window)
		n += put_range(cells, SPACE_32, window);
	if (window64)
		n += put_range(cells + n, SPACE_64, window64);
	dt_cells(w, "ranges", cells, n);
}

/* DTSpec 2.4.3: whichever device, each pin is the bridge's line. */
static void add_interrupts(struct dt_writer *w, const struct plan_device *bridge,
			   unsigned parent_address_cells)
{
	static const uint32_t mask[] = { 0, 0, 0, 7 };
	const struct plan_claim *line = plan_device_claim(bridge, SPACE_IRQ);
	uint32_t cells[DT_MAX_CELLS] = { 0 };
	size_t n = 0;

	if (!line)
		return;
	for (uint32_t pin = 1; pin <= PINS; pin++) {
		n += 3; /* whichever device */
		cells[n++] = pin;
		cells[n++] = PHANDLE_GIC;
		n += parent_address_cells;
		cells[n++] = IRQ_SPI;
		cells[n++] = (uint32_t)line->start;
		cells[n++] = IRQ_LEVEL_HIGH;
	}
	assert(n <= DT_MAX_CELLS);
	dt_cell(w, "#interrupt-cells", 1);
	dt_cells(w, "interrupt-map-mask", mask, ARRAY_SIZE(mask));
	dt_cells(w, "interrupt-map", cells, n);
}

/* Who takes messages. An ITS tells senders apart by their function. */
static void add_messages(struct dt_writer *w, const struct hv_gic_config *gic)
{
	static const uint32_t map[] = { 0, PHANDLE_ITS, 0, FUNCTIONS };

	if (gic->its)
		dt_cells(w, "msi-map", map, ARRAY_SIZE(map));
	else if (gic->frame)
		dt_cell(w, "msi-parent", PHANDLE_FRAME);
}

void fdt_pci_add(struct dt_writer *w, const struct plan *plan, const struct plan_device *bridge,
		 unsigned gic_address_cells)
{
	static const uint32_t buses[] = { 0, 0 };
	const struct plan_claim *config = plan_pool_claim(bridge, POOL_PCI_CONFIG);
	uint64_t reg[2];

	if (!config)
		return;
	reg[0] = config->start;
	reg[1] = config->size;
	dt_begin(w, "pcie@%llx", (unsigned long long)config->start);
	dt_text(w, "compatible", "pci-host-ecam-generic");
	dt_text(w, "device_type", "pci");
	dt_reg(w, reg, ARRAY_SIZE(reg));
	dt_cells(w, "bus-range", buses, ARRAY_SIZE(buses));
	dt_cell(w, "linux,pci-domain", 0);
	dt_sizes(w, 3, 2);
	dt_flag(w, "dma-coherent");
	add_ranges(w, bridge);
	add_interrupts(w, bridge, gic_address_cells);
	add_messages(w, &plan->gic);
	dt_end(w);
}
