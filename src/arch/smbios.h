/* smbios.h: SMBIOS for a plan. */
#ifndef ARCH_SMBIOS_H
#define ARCH_SMBIOS_H

#include <vibevmm/config.h>

#include "blob.h"

/* The entry point, and the structures from SMBIOS_STRUCTURES on, as they are at guest address base,
 * a multiple of 16. Their length doesn't depend on base. */
void smbios_build(struct blob *blob, const struct smbios_config *config, uint64_t base);

#define SMBIOS_STRUCTURES 32U

#endif
