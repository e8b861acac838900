/* pci_config.c: a guest that does anything to configuration space, BARs and MSI-X tables, while
 * devices interrupt. Each byte is an action, with what it needs behind it. */
#include "fuzz.h"

#include "unit/pci_helpers.h"

#include "bars.h"

#define THINGS	4
#define VECTORS 70

static struct thing {
	struct device dev;
	struct plan_device plan;
	struct pci_function f;
	bool intx;
} things[THINGS];

static void bar_mapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	must(f->bars[bar].mapped && f->bars[bar].addr == addr);
}

static void bar_unmapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	(void)addr;
	must(!f->bars[bar].mapped);
}

static void msix_changed(struct pci_function *f, unsigned vector)
{
	must(vector < f->n_vectors);
	pci_msix_bind(f, (uint16_t)vector, 100, true);
}

static const struct pci_ops ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.bar_mapped = bar_mapped,
	.bar_unmapped = bar_unmapped,
	.msix_changed = msix_changed,
};

/* Where BARs are placed: close together, so that small changes make them overlap. */
static void plug(unsigned i)
{
	static const struct claim claim = { .name = "function", .space = SPACE_PCI };
	const unsigned devfn[THINGS] = { 0x08, 0x10, 0x11, 0xff };
	const struct pci_identity identity = { .vendor = 1, .device = (uint16_t)i };
	struct thing *t = &things[i];
	struct err err;

	*t = (struct thing){ .dev = { .plan = &t->plan, .host = &pci.fake.host } };
	t->plan = (struct plan_device){ .label = "thing",
					.claims = { { &claim, 0, devfn[i], 1, true } },
					.n_claims = 1 };
	pthread_mutex_init(&t->dev.lock, NULL);
	pci_function_init(&t->f, &t->dev, &ops, &identity);
	pci_bar_add(&t->f, 0, WINDOW + 0x8000 * i, 0x4000, true, false);
	pci_bar_add(&t->f, 2, WINDOW + 0x100000 * (i + 1), 0x100000, false, true);
	pci_bar_add(&t->f, 3, WINDOW + 0x4000 + 0x8000 * i, 16, false, false);
	pci_bar_add_ports(&t->f, 4, IO + 0x20 * i, 4U << i);
	pci_bar_add_ports(&t->f, 5, IO + 0x100 * (i + 1), 256);
	must(!pci_msix_add(&t->f, VECTORS, 0, 0x1000, 0, 0x2000));
	must(!pci_attach(&t->f, &err));
}

/* What is heard lies in the windows, and nothing lies where something else does. */
static void check_bars(void)
{
	const struct pci_bar *heard[THINGS * PCI_BARS];
	unsigned n = 0;

	for (unsigned i = 0; i < THINGS * PCI_BARS; i++) {
		const struct pci_bar *bar = &things[i / PCI_BARS].f.bars[i % PCI_BARS];

		if (!bar->mapped)
			continue;
		if (bar->space == SPACE_PIO)
			must(bytes_inside(bar->addr, bar->size, IO, IO_SIZE));
		else
			must(bytes_inside(bar->addr, bar->size, WINDOW, 256 * MIB) ||
			     bytes_inside(bar->addr, bar->size, WINDOW64, WINDOW64));
		for (unsigned j = 0; j < n; j++)
			must(bar->space != heard[j]->space ||
			     bar->addr + bar->size <= heard[j]->addr ||
			     heard[j]->addr + heard[j]->size <= bar->addr);
		heard[n++] = bar;
	}
}

static void check_line(void)
{
	bool level = false;

	for (unsigned i = 0; i < THINGS; i++) {
		const struct pci_function *f = &things[i].f;
		bool disabled = f->config[5] & 4, msix = f->config[f->msix_at + 3] & 0x80;

		level |= things[i].intx && !disabled && !msix;
	}
	must(level == intx_level());
}

static void act(struct bytes *in)
{
	const unsigned functions[] = { 0x08, 0x10, 0x11, 0xff, 0x00, 0x12 };
	unsigned action = (unsigned)take(in, 1), size = 1U << action / 8 % 4;
	struct thing *t = &things[action / 32 % THINGS];
	uint64_t at, value = 0;

	switch (action % 8) {
	case 0: /* configuration space, near one of the functions */
		at = (uint64_t)functions[take(in, 1) % ARRAY_SIZE(functions)] << 12 | take(in, 1);
		bridge_write(CLAIM_CONFIG, at, size, take(in, size));
		bridge_read(CLAIM_CONFIG, at, size);
		break;
	case 1: /* any of it */
		at = take(in, 3) % (MIB - 8);
		bridge_write(CLAIM_CONFIG, at, size, take(in, size));
		bridge_read(CLAIM_CONFIG, at, size);
		break;
	case 2: /* a BAR, somewhere about the windows */
		at = take(in, 1) % 8;
		value = take(in, 1) % 2 ? WINDOW + (take(in, 1) << 14) : take(in, 1) * 0x80;
		if (at == 4 || at == 5)
			value = IO - 0x10 + (value >> 7) * 4;
		config_out(t->f.devfn, 0x10 + (unsigned)at * 4, 4, value);
		break;
	case 3:
		size = size > 4 ? 4 : size;
		at = take(in, 1) % (8 - size + 1);
		bridge_write(CLAIM_PORTS, at, size, take(in, size));
		bridge_read(CLAIM_PORTS, at, size);
		break;
	case 4:
		at = take(in, 3) + (take(in, 1) % 2 ? WINDOW : WINDOW64);
		mem_out(at, size, take(in, size));
		mem_in(at, size);
		at = IO + at % (IO_SIZE - 8);
		io_out(at, size, value);
		io_in(at, size);
		break;
	case 5: /* its table and pending bits */
		at = t->f.bars[0].addr + 0x1000 + take(in, 2) % 0x1100;
		if (!t->f.bars[0].mapped)
			break;
		mem_out(at, size, take(in, size));
		mem_in(at, size);
		break;
	case 6:
		pci_msix_send(&t->f, (uint16_t)take(in, 1));
		break;
	default:
		t->intx = take(in, 1) % 2;
		pci_intx_set(&t->f, t->intx);
	}
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };

	pci_start(INTX);
	for (unsigned i = 0; i < THINGS; i++)
		plug(i);
	while (in.len) {
		act(&in);
		check_bars();
		check_line();
	}
	for (unsigned i = 0; i < THINGS; i++) {
		pci_detach(&things[i].f);
		pthread_mutex_destroy(&things[i].dev.lock);
	}
	must(!intx_level());
	pci_stop();
}
