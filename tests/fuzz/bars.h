/* bars.h: BARs of functions in fuzz targets: no access may lie outside of them. */
#ifndef FUZZ_BARS_H
#define FUZZ_BARS_H

#include <vibevmm/bytes.h>
#include <vibevmm/pci.h>

#include "fuzz.h"

static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	must(bytes_inside(offset, size, 0, f->bars[bar].size));
	return offset;
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	(void)value;
	must(bytes_inside(offset, size, 0, f->bars[bar].size));
}

#endif
