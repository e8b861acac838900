/* vfio_config.c: any bytes as the configuration space of a function that is passed through, and
 * what VFIO may say of its regions; then a guest that does anything to what it sees of it. */
#include "fuzz.h"

#include "unit/pci_helpers.h"

#include "bars.h"

#include "../../src/vfio/vfio.h"

#define SLOT 0x18
#define SIZE (32 * MIB)

static const struct pci_ops ops = { .bar_read = bar_read, .bar_write = bar_write };

/* BARs are inside of the window, apart from each other, at multiples of their sizes. */
static void place_bars(struct pci_function *f, const uint8_t *raw, struct bytes *in)
{
	struct vfio_bar bars[PCI_BARS] = { 0 };
	uint64_t enough, sum = 0;
	int low;

	for (unsigned i = 0; i < PCI_BARS; i += 1 + bars[i].wide) {
		uint64_t size = 1ULL << (4 + take(in, 1) % 21);

		if (vfio_bar_kind(raw, i, &bars[i]))
			bars[i].size = size;
		sum += bars[i].size;
	}
	enough = vfio_bars_place(bars, WINDOW, SIZE, &low);
	must(!enough == (sum <= SIZE) && low < 0);
	must(!enough || (bytes_is_power_of_2(enough) && enough >= sum));
	for (unsigned i = 0; i < PCI_BARS && !enough; i++) {
		if (!bars[i].size)
			continue;
		must(bytes_inside(bars[i].addr, bars[i].size, WINDOW, SIZE));
		must(!(bars[i].addr & (bars[i].size - 1)));
		for (unsigned j = 0; j < i; j++)
			must(!bars[j].size || bars[j].addr + bars[j].size <= bars[i].addr ||
			     bars[i].addr + bars[i].size <= bars[j].addr);
		pci_bar_add(f, i, bars[i].addr, bars[i].size, bars[i].wide, bars[i].prefetchable);
	}
}

static void cut_areas(struct bytes *in)
{
	struct vfio_area areas[4], cut = { take(in, 2), take(in, 2) }, out[4];
	uint64_t bar = take(in, 3), page = take(in, 1) % 2 ? 4096 : 65536;
	unsigned n;

	for (unsigned i = 0; i < 4; i++)
		areas[i] = (struct vfio_area){ take(in, 3), take(in, i ? 3 : 8) };
	n = vfio_areas(areas, 4, bar, page, &cut, out, 4);
	must(n <= 4);
	for (unsigned i = 0; i < n; i++) {
		must(out[i].size && !((out[i].offset | out[i].size) & (page - 1)));
		must(bytes_inside(out[i].offset, out[i].size, 0, bar));
		must(!cut.size || out[i].offset + out[i].size <= cut.offset ||
		     cut.offset + cut.size <= out[i].offset);
	}
}

static void add_msix(struct pci_function *f, const struct vfio_msix *m)
{
	if (!m->at || m->table_bar >= PCI_BARS || m->pba_bar >= PCI_BARS ||
	    !bytes_inside(m->table, m->vectors * 16ULL, 0, f->bars[m->table_bar].size) ||
	    !bytes_inside(m->pba, (m->vectors + 63U) / 64 * 8, 0, f->bars[m->pba_bar].size))
		return;
	f->next_capability = m->at;
	must(!pci_msix_add(f, m->vectors, m->table_bar, m->table, m->pba_bar, m->pba));
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	static const struct claim claim = { .name = "function", .space = SPACE_PCI };
	struct bytes in = { data, size };
	struct plan_device plan = { .label = "thing",
				    .claims = { { &claim, 0, SLOT, 1, true } },
				    .n_claims = 1 };
	struct device dev = { .plan = &plan, .host = &pci.fake.host };
	bool passed[PCI_CONFIG_SIZE];
	uint8_t raw[PCI_CONFIG_SIZE];
	struct pci_function f;
	struct vfio_msix msix;
	struct err err;

	for (unsigned i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)take(&in, 1);
	pci_start(INTX);
	pthread_mutex_init(&dev.lock, NULL);
	vfio_config_show(&f, &dev, &ops, raw, passed, &msix);
	for (unsigned i = 0; i < 0x40; i++)
		must(!passed[i]);
	place_bars(&f, raw, &in);
	add_msix(&f, &msix);
	must(!pci_attach(&f, &err));
	must(!capability(SLOT, 0x100, 0)); /* the list has an end */
	cut_areas(&in);
	while (in.len) {
		unsigned action = (unsigned)take(&in, 1), bytes = 1U << action / 2 % 3;
		unsigned at = (unsigned)take(&in, 1) & ~(bytes - 1), end = at + bytes;

		if (action % 2) {
			config_out(SLOT, at, bytes, take(&in, bytes));
			config_in(SLOT, at, bytes);
			must(vfio_config_run(passed, &at, end) <= bytes && at <= end);
		} else {
			mem_out(WINDOW + take(&in, 3), bytes, take(&in, bytes));
			mem_in(WINDOW + take(&in, 3), bytes);
		}
	}
	pci_detach(&f);
	pthread_mutex_destroy(&dev.lock);
	pci_stop();
}
