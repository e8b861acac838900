/* fdt_pci.h: the PCI host bridge in the device tree. */
#ifndef ARCH_FDT_PCI_H
#define ARCH_FDT_PCI_H

#include <vibevmm/plan.h>

#include "dt.h"

/* Its node; gic_address_cells: as the interrupt controller's "#address-cells" has it. */
void fdt_pci_add(struct dt_writer *w, const struct plan *plan, const struct plan_device *bridge,
		 unsigned gic_address_cells);

#endif
