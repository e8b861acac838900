/* bus.c: which device answers at an address.
 *
 * Nearly all accesses go where the last one went and fit the device: those take one comparison to
 * find the window and one call. The rest is split here, so that devices need not think of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bus.h>
#include <vibevmm/bytes.h>

void bus_init(struct bus *bus)
{
	*bus = (struct bus){ 0 };
}

void bus_free(struct bus *bus)
{
	free(bus->windows);
	bus_init(bus);
}

/* Index of the first window that ends at or behind addr; bus->n if there is none. */
static size_t search(const struct bus *bus, uint64_t addr)
{
	size_t low = 0, high = bus->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bus->windows[middle].last < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int bus_add(struct bus *bus, struct device *dev, const struct plan_claim *claim)
{
	struct bus_window window = {
		.start = claim->start,
		.last = claim->start + (claim->size - 1),
		.dev = dev,
		.claim = claim->index,
		.width = claim->claim->width ? claim->claim->width : 8,
	};
	size_t at = search(bus, window.start);

	if (window.last < window.start)
		return -EINVAL;
	if (at < bus->n && bus->windows[at].start <= window.last)
		return -EEXIST;
	if (bus->n == bus->cap) {
		size_t cap = bus->cap ? 2 * bus->cap : 16;
		struct bus_window *windows = realloc(bus->windows, cap * sizeof(*windows));

		if (!windows)
			return -ENOMEM;
		bus->windows = windows;
		bus->cap = cap;
	}
	memmove(&bus->windows[at + 1], &bus->windows[at], (bus->n - at) * sizeof(window));
	bus->windows[at] = window;
	bus->n++;
	return 0;
}

static const struct bus_window *find(const struct bus *bus, struct bus_hint *hint, uint64_t addr)
{
	const struct bus_window *window = hint->last;
	size_t i;

	if (window && addr - window->start <= window->last - window->start)
		return window;
	i = search(bus, addr);
	if (i == bus->n || bus->windows[i].start > addr)
		return NULL;
	hint->last = &bus->windows[i];
	return hint->last;
}

/* How much of `left` bytes at addr goes to the device in one call: the most that its width, a power
 * of two, and the window allow. */
static unsigned step(const struct bus_window *window, uint64_t addr, unsigned left)
{
	unsigned size = window->width;

	while (size > left || size - 1 > window->last - addr)
		size /= 2;
	return size;
}

static bool fits(const struct bus_window *window, uint64_t addr, unsigned size)
{
	return size <= window->width && !(size & (size - 1)) && size - 1 <= window->last - addr;
}

/* Counts the access, and lets in one at a time, or many. */
static void enter(struct device *dev, uint64_t *count)
{
	if (dev->row->many_at_once) {
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
		return;
	}
	device_lock(dev);
	++*count;
}

static void leave(struct device *dev)
{
	if (!dev->row->many_at_once)
		device_unlock(dev);
}

static void read_device(const struct bus_window *window, uint64_t addr, uint8_t *data,
			unsigned size)
{
	struct device *dev = window->dev;
	uint64_t value;

	enter(dev, &dev->reads);
	value = dev->row->read(dev, window->claim, addr - window->start, size);
	leave(dev);
	bytes_put(data, size, value);
}

static void write_device(const struct bus_window *window, uint64_t addr, const uint8_t *data,
			 unsigned size)
{
	struct device *dev = window->dev;
	uint64_t value = bytes_get(data, size);

	enter(dev, &dev->writes);
	dev->row->write(dev, window->claim, addr - window->start, size, value);
	leave(dev);
}

/* One byte, or a piece that a device takes whole, at a time. An access beyond the top of the
 * address space doesn't come round to its bottom. */
static bool split(const struct bus *bus, struct bus_hint *hint, uint64_t addr, uint8_t *in,
		  const uint8_t *out, unsigned size)
{
	bool claimed = false;

	for (unsigned i = 0; i < size;) {
		const struct bus_window *window = NULL;
		unsigned n = 1;

		if (addr + i >= addr)
			window = find(bus, hint, addr + i);
		if (window) {
			n = step(window, addr + i, size - i);
			if (in)
				read_device(window, addr + i, in + i, n);
			else
				write_device(window, addr + i, out + i, n);
			claimed = true;
		} else if (in) {
			in[i] = 0xff;
		}
		i += n;
	}
	return claimed;
}

bool bus_read(const struct bus *bus, struct bus_hint *hint, uint64_t addr, uint8_t *data,
	      unsigned size)
{
	const struct bus_window *window = find(bus, hint, addr);

	if (window && fits(window, addr, size)) {
		read_device(window, addr, data, size);
		return true;
	}
	return split(bus, hint, addr, data, NULL, size);
}

bool bus_write(const struct bus *bus, struct bus_hint *hint, uint64_t addr, const uint8_t *data,
	       unsigned size)
{
	const struct bus_window *window = find(bus, hint, addr);

	if (window && fits(window, addr, size)) {
		write_device(window, addr, data, size);
		return true;
	}
	return split(bus, hint, addr, NULL, data, size);
}
