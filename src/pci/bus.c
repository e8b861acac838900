/* bus.c: who is on the bus, where BARs are heard, and the line that all INTx share. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "bus.h"

struct pci_bus *pci_bus_new(void)
{
	struct pci_bus *bus = malloc(sizeof(*bus));

	if (bus)
		*bus = (struct pci_bus){ .map_lock = PTHREAD_RWLOCK_INITIALIZER,
					 .lock = PTHREAD_MUTEX_INITIALIZER };
	return bus;
}

void pci_bus_free(struct pci_bus *bus)
{
	if (!bus)
		return;
	pthread_mutex_destroy(&bus->lock);
	pthread_rwlock_destroy(&bus->map_lock);
	free(bus->map);
	free(bus);
}

/* ---- INTx -------------------------------------------------------------------------------- */

bool pci_wire(const struct pci_function *f)
{
	uint16_t command = bytes_get16(f->config + PCI_COMMAND);

	return f->intx && !(command & PCI_COMMAND_NO_INTX) && !pci_msix_is_on(f);
}

void pci_wire_changed(struct pci_function *f, bool before)
{
	struct pci_bus *bus = f->bus;
	bool now = pci_wire(f), level;

	if (now == before)
		return;
	pthread_mutex_lock(&bus->lock);
	level = bus->wires;
	bus->wires += now ? 1 : -1U;
	if (bus->bridge && level != (bus->wires != 0))
		device_irq_set(bus->bridge, bus->intx, !level);
	pthread_mutex_unlock(&bus->lock);
}

void pci_intx_set(struct pci_function *f, bool level)
{
	bool before;

	pthread_mutex_lock(&f->lock);
	before = pci_wire(f);
	f->intx = level;
	f->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
	f->config[PCI_STATUS] |= level ? PCI_STATUS_INTX : 0;
	pci_wire_changed(f, before);
	pthread_mutex_unlock(&f->lock);
}

/* ---- BARs -------------------------------------------------------------------------------- */

static bool is_before(const struct pci_mapping *m, enum plan_space space, uint64_t addr)
{
	return m->space != space ? m->space < space : m->start + (m->size - 1) < addr;
}

/* Index of the first mapping of a sorted list that isn't before addr; n if there is none. */
static size_t search(const struct pci_mapping *map, size_t n, enum plan_space space, uint64_t addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_before(&map[middle], space, addr))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool in_window(const struct pci_bus *bus, const struct pci_bar *bar)
{
	for (unsigned i = 0; i < bus->n_windows; i++) {
		if (bus->windows[i].space == bar->space &&
		    bytes_inside(bar->addr, bar->size, bus->windows[i].start, bus->windows[i].size))
			return true;
	}
	return false;
}

/* The function answers in that space at all. */
static bool decodes(const struct pci_function *f, enum plan_space space)
{
	return f->config[PCI_COMMAND] &
	       (space == SPACE_PIO ? PCI_COMMAND_PORTS : PCI_COMMAND_MEMORY);
}

/* Adds a BAR to the map, if it is decoded and what came before leaves it room. Where it is heard.
 */
static uint64_t map_bar(struct pci_bus *bus, struct pci_function *f, unsigned i)
{
	const struct pci_bar *bar = &f->bars[i];
	struct pci_mapping *map = bus->map;
	size_t at, n = bus->n_map;

	if (!bar->size || !decodes(f, bar->space) || !in_window(bus, bar))
		return 0;
	at = search(map, n, bar->space, bar->addr);
	if (at < n && map[at].space == bar->space && map[at].start <= bar->addr + (bar->size - 1))
		return 0;
	memmove(&map[at + 1], &map[at], (n - at) * sizeof(*map));
	map[at] = (struct pci_mapping){ bar->space, bar->addr, bar->size, f, i };
	bus->n_map++;
	return bar->addr;
}

/* True: some BAR is heard elsewhere than before. */
static bool map_function(struct pci_bus *bus, struct pci_function *f)
{
	bool moved = false;

	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint64_t before = f->bars[i].heard;

		f->bars[i].heard = map_bar(bus, f, i);
		moved |= f->bars[i].heard != before;
	}
	pthread_mutex_unlock(&f->lock);
	return moved;
}

/* Tells the device which BARs went, or, when all of those have, which came. */
static void tell(struct pci_function *f, bool came)
{
	void (*fn)(struct pci_function *, unsigned, uint64_t) =
		came ? f->ops->bar_mapped : f->ops->bar_unmapped;

	device_lock(f->dev);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &f->bars[i];
		uint64_t before = bar->mapped, now;

		pthread_rwlock_rdlock(&f->bus->map_lock);
		now = bar->heard;
		pthread_rwlock_unlock(&f->bus->map_lock);
		if (now == before || (came ? before : !before))
			continue;
		bar->mapped = came ? now : 0;
		if (fn)
			fn(f, i, came ? now : before);
	}
	device_unlock(f->dev);
}

/* Makes the map anew, from the lowest function on: where BARs overlap, the first one is heard.
 * Then tells those concerned; at first who went, so that their places are free. */
void pci_bus_remap(struct pci_bus *bus, const struct pci_function *f)
{
	bool moved[PCI_FUNCTIONS] = { false };

	pthread_rwlock_wrlock(&bus->map_lock);
	bus->n_map = 0;
	for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
		moved[i] = bus->functions[i] && map_function(bus, bus->functions[i]);
	pthread_rwlock_unlock(&bus->map_lock);
	if (f) /* another thread may have mapped it as it is now, and not told it yet */
		moved[f->devfn] = true;
	for (unsigned i = 0; i < 2 * PCI_FUNCTIONS; i++) {
		if (moved[i % PCI_FUNCTIONS])
			tell(bus->functions[i % PCI_FUNCTIONS], i >= PCI_FUNCTIONS);
	}
}

/* The mapping that has all these bytes; false: none has. */
static bool find(struct pci_bus *bus, enum plan_space space, uint64_t addr, unsigned size,
		 struct pci_mapping *out)
{
	bool found = false;
	size_t at;

	pthread_rwlock_rdlock(&bus->map_lock);
	at = search(bus->map, bus->n_map, space, addr);
	if (at < bus->n_map) {
		*out = bus->map[at];
		found = out->space == space && bytes_inside(addr, size, out->start, out->size);
	}
	pthread_rwlock_unlock(&bus->map_lock);
	return found;
}

bool pci_bar_read(struct pci_bus *bus, enum plan_space space, uint64_t addr, unsigned size,
		  uint64_t *value)
{
	struct pci_mapping m;

	if (!find(bus, space, addr, size, &m))
		return false;
	device_lock(m.f->dev);
	m.f->dev->reads++;
	if (!pci_msix_read(m.f, m.bar, addr - m.start, size, value))
		*value = m.f->ops->bar_read(m.f, m.bar, addr - m.start, size);
	device_unlock(m.f->dev);
	return true;
}

bool pci_bar_write(struct pci_bus *bus, enum plan_space space, uint64_t addr, unsigned size,
		   uint64_t value)
{
	struct pci_mapping m;

	if (!find(bus, space, addr, size, &m))
		return false;
	device_lock(m.f->dev);
	m.f->dev->writes++;
	if (!pci_msix_write(m.f, m.bar, addr - m.start, size, value))
		m.f->ops->bar_write(m.f, m.bar, addr - m.start, size, value);
	device_unlock(m.f->dev);
	return true;
}

/* ---- Who is there ------------------------------------------------------------------------ */

/* Firmware's work: the line that INTx is connected to, for guests without tables (PCI 6.2.4). */
static void set_line(const struct pci_bus *bus, struct pci_function *f)
{
	const struct plan_claim *line =
		bus->bridge ? plan_device_claim(bus->bridge->plan, SPACE_IRQ) : NULL;

	f->config[PCI_INTERRUPT_LINE] = line && line->start < 0xff ? (uint8_t)line->start : 0xff;
}

void pci_bus_bridge(struct pci_bus *bus, struct device *dev)
{
	pthread_mutex_lock(&bus->lock);
	bus->bridge = dev;
	bus->intx = dev ? device_claim(dev, "intx") : -1;
	pthread_mutex_unlock(&bus->lock);
	bus->n_windows = 0;
	for (unsigned i = 0; dev && i < dev->plan->n_claims; i++) {
		const struct plan_claim *place = &dev->plan->claims[i];

		if (place->claim->pool != POOL_PCI_WINDOW &&
		    place->claim->pool != POOL_PCI_WINDOW64 && place->claim->pool != POOL_PCI_PORTS)
			continue;
		assert(bus->n_windows < ARRAY_SIZE(bus->windows) && place->start);
		bus->windows[bus->n_windows].space = place->claim->space;
		bus->windows[bus->n_windows].start = place->start;
		bus->windows[bus->n_windows++].size = place->size;
	}
	for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
		if (bus->functions[i])
			set_line(bus, bus->functions[i]);
	}
	pci_bus_remap(bus, NULL);
}

/* The first function of a device tells whether there are more. */
static void count_functions(struct pci_bus *bus, unsigned devfn)
{
	struct pci_function **functions = &bus->functions[devfn & ~7U];
	bool more = false;

	for (unsigned i = 1; i < 8; i++)
		more |= functions[i] != NULL;
	if (functions[0])
		functions[0]->config[PCI_HEADER_TYPE] = more ? PCI_MULTIFUNCTION : 0;
}

/* Room for n BARs in the map. */
static int reserve(struct pci_bus *bus, size_t n)
{
	struct pci_mapping *map = n ? realloc(bus->map, n * sizeof(*map)) : NULL;

	if (map)
		bus->map = map;
	return n && !map ? -ENOMEM : 0;
}

static size_t count_bars(const struct pci_function *f)
{
	size_t n = 0;

	for (unsigned i = 0; i < PCI_BARS; i++)
		n += f->bars[i].size != 0;
	return n;
}

int pci_attach(struct pci_function *f, struct err *err)
{
	struct pci_bus *bus = f->dev->host->pci;
	const char *label = f->dev->plan->label;
	const struct plan_claim *place = plan_device_claim(f->dev->plan, SPACE_PCI);
	unsigned devfn = place ? (unsigned)place->start : 0; /* the bridge's */

	if (!bus)
		return err_set(err, ENODEV, STATUS_BUG, "%s: there is no PCI bus", label);
	if (devfn >= PCI_FUNCTIONS || bus->functions[devfn])
		return err_set(err, EEXIST, STATUS_BUG, "%s: PCI function %02x.%x is taken", label,
			       devfn >> 3, devfn & 7);
	if (reserve(bus, bus->n_bars + count_bars(f)))
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", label);
	f->bus = bus;
	f->devfn = (uint8_t)devfn;
	bus->functions[devfn] = f;
	bus->n_bars += count_bars(f);
	count_functions(bus, devfn);
	set_line(bus, f);
	pci_bus_remap(bus, f);
	return 0;
}

void pci_detach(struct pci_function *f)
{
	struct pci_bus *bus = f->bus;

	if (bus) {
		pci_intx_set(f, false);
		pthread_mutex_lock(&f->lock);
		f->config[PCI_COMMAND] &= (uint8_t) ~(PCI_COMMAND_PORTS | PCI_COMMAND_MEMORY);
		pthread_mutex_unlock(&f->lock);
		pci_bus_remap(bus, f);
		bus->functions[f->devfn] = NULL;
		bus->n_bars -= count_bars(f);
		count_functions(bus, f->devfn);
		f->bus = NULL;
	}
	free(f->vectors);
	free(f->pending);
	f->vectors = NULL;
	f->pending = NULL;
	f->n_vectors = 0;
}
