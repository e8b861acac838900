/* bus.h: which device answers at an address.
 *
 * Filled before the vCPUs start, constant afterwards; look-ups need no lock. Access takes the
 * device's lock, unless its row lets in many at once, and splits what is wider than the device
 * takes.
 */
#ifndef VIBEVMM_BUS_H
#define VIBEVMM_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vibevmm/device.h>

struct bus_window {
	uint64_t start, last;
	struct device *dev;
	unsigned claim;
	unsigned width;
};

struct bus {
	struct bus_window *windows; /* sorted by start, disjoint */
	size_t n, cap;
};

void bus_init(struct bus *bus);
void bus_free(struct bus *bus);

/* Adds the claim's window. -ENOMEM, or -EEXIST if it overlaps one (the planner has seen to it). */
int bus_add(struct bus *bus, struct device *dev, const struct plan_claim *claim);

/* The last window that a vCPU hit: one per vCPU and bus. Zero-initialise. */
struct bus_hint {
	const struct bus_window *last;
};

/* One access of size 1..8 bytes. Reads fill data, little-endian; bytes that nobody claims read as
 * 0xff and written ones are dropped. Returns false if no byte was claimed. */
bool bus_read(const struct bus *bus, struct bus_hint *hint, uint64_t addr, uint8_t *data,
	      unsigned size);
bool bus_write(const struct bus *bus, struct bus_hint *hint, uint64_t addr, const uint8_t *data,
	       unsigned size);

#endif
