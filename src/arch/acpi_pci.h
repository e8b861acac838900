/* acpi_pci.h: PCI in ACPI's tables. */
#ifndef ARCH_ACPI_PCI_H
#define ARCH_ACPI_PCI_H

#include <vibevmm/plan.h>

#include "blob.h"

/* What the DSDT says of the host bridge. */
void acpi_pci_objects(struct blob *blob, const struct plan *plan, const struct plan_device *bridge);

#endif
