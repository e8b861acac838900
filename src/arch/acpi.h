/* acpi.h: ACPI's tables for a plan. */
#ifndef ARCH_ACPI_H
#define ARCH_ACPI_H

#include <vibevmm/plan.h>

#include "blob.h"

/* All tables as they are at guest address base, a multiple of 16 below 4 GiB: the RSDP first, then
 * the others, each at the next multiple of 16. Their length doesn't depend on base. */
void acpi_build(struct blob *blob, const struct plan *plan, uint64_t base);

/* The port of the FADT's reset register, and what resets; false if there is none. */
bool acpi_reset(const struct plan *plan, uint16_t *port, uint8_t *value);

/* Where the first table after the RSDP is. */
#define ACPI_FIRST_TABLE 48U
#define ACPI_ALIGN	 16U

#endif
