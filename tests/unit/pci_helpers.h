/* unit/pci_helpers.h: a PCI bus with its bridge, as a guest sees it, on a machine that keeps count
 * of interrupts; and functions for it. */
#ifndef UNIT_PCI_HELPERS_H
#define UNIT_PCI_HELPERS_H

#include <errno.h>

#define FAKE_TIMERS
#define FAKE_CLOCK
#define FAKE_CONSOLE
#include "fake_host.h"

#include <vibevmm/pci.h>

extern const struct device_row device_pci_host;

#define ECAM	 0xe0000000ULL
#define WINDOW	 0xd0000000ULL
#define WINDOW64 (512ULL << 30)
#define IO	 0xc000
#define IO_SIZE	 0x1000
#define MIB	 (1ULL << 20)
#define INTX	 20

enum { CLAIM_CONFIG, CLAIM_WINDOW, CLAIM_WINDOW64, CLAIM_PORTS, CLAIM_IO, CLAIM_INTX };

struct message {
	uint64_t addr;
	uint32_t data, who;
};

static struct pci_machine {
	struct fake_host fake;
	struct device bridge;
	struct plan_device plan;
	struct config_choice choice;
	struct message sent; /* last */
	_Atomic unsigned n_sent;
	void (*on_send)(const struct message *message);

	/* What descriptors send; addr 0: nothing. */
	struct {
		int fd;
		struct message message;
	} bound[8];

	/* Doorbells that are bound, unless there are none on this machine. */
	struct bell {
		enum plan_space space;
		uint64_t addr;
		unsigned len;
		int64_t match; /* -1: any */
		int fd;
	} bells[8];
	unsigned n_bells;
	bool no_bells;
} pci;

static int pci_msi_send(struct device_host *host, uint64_t addr, uint32_t data, uint32_t who)
{
	(void)host;
	pci.sent = (struct message){ addr, data, who };
	pci.n_sent++;
	if (pci.on_send)
		pci.on_send(&pci.sent);
	return 0;
}

static inline struct message *pci_bound(int fd)
{
	for (size_t i = 0; i < ARRAY_SIZE(pci.bound); i++) {
		if (!pci.bound[i].fd || pci.bound[i].fd == fd) {
			pci.bound[i].fd = fd;
			return &pci.bound[i].message;
		}
	}
	fail_msg("too many descriptors");
	return NULL;
}

static int pci_msi_irqfd(struct device_host *host, int fd, uint64_t addr, uint32_t data,
			 uint32_t who, bool on)
{
	(void)host;
	*pci_bound(fd) = on ? (struct message){ addr, data, who } : (struct message){ 0 };
	return 0;
}

/* As KVM, which takes none twice and none away that isn't there. */
static int pci_ioeventfd(struct device_host *host, enum plan_space space, uint64_t addr,
			 unsigned len, const uint64_t *match, int fd, bool on)
{
	int64_t value = match ? (int64_t)*match : -1;
	unsigned i = 0;

	(void)host;
	if (pci.no_bells)
		return -ENOTSUP;
	while (i < pci.n_bells && !(pci.bells[i].space == space && pci.bells[i].addr == addr &&
				    pci.bells[i].len == len && pci.bells[i].match == value))
		i++;
	if (on) {
		assert_int_equal(i, pci.n_bells);
		assert_true(pci.n_bells < ARRAY_SIZE(pci.bells));
		pci.bells[pci.n_bells++] = (struct bell){ space, addr, len, value, fd };
	} else {
		assert_true(i < pci.n_bells && pci.bells[i].fd == fd);
		pci.bells[i] = pci.bells[--pci.n_bells];
	}
	return 0;
}

/* The bridge, with a line for INTx unless line is OPTION_IRQ_NONE. */
static inline void pci_start(uint32_t line)
{
	const struct claim *claims = device_pci_host.claims;
	struct err err;

	pci = (struct pci_machine){ .n_sent = 0 };
	fake_host_init(&pci.fake);
	pci.fake.host.msi_send = pci_msi_send;
	pci.fake.host.msi_irqfd = pci_msi_irqfd;
	pci.fake.host.ioeventfd = pci_ioeventfd;
	pci.fake.host.pci = pci_bus_new();
	assert_non_null(pci.fake.host.pci);
	pci.choice = (struct config_choice){ .type = &device_pci_host.type };
	pci.plan = (struct plan_device){
		.row = &device_pci_host,
		.choice = &pci.choice,
		.label = "pci-host",
		.claims = { { &claims[CLAIM_CONFIG], CLAIM_CONFIG, ECAM, MIB, true },
			    { &claims[CLAIM_WINDOW], CLAIM_WINDOW, WINDOW, 256 * MIB, true },
			    { &claims[CLAIM_WINDOW64], CLAIM_WINDOW64, WINDOW64, WINDOW64, true },
			    { &claims[CLAIM_PORTS], CLAIM_PORTS, 0xcf8, 8, true },
			    { &claims[CLAIM_IO], CLAIM_IO, IO, IO_SIZE, true },
			    { &claims[CLAIM_INTX], CLAIM_INTX, line, 1, line != OPTION_IRQ_NONE } },
		.n_claims = 6,
	};
	assert_int_equal(device_create(&pci.bridge, &pci.plan, &pci.fake.host, &err), 0);
}

/* After all functions have gone. */
static inline void pci_stop(void)
{
	device_destroy(&pci.bridge);
	pci_bus_free(pci.fake.host.pci);
	fake_host_free(&pci.fake);
}

/* ---- The guest ----------------------------------------------------------------------------- */

/* As the machine does. */
static inline void pci_bridge_lock(bool on)
{
	if (device_pci_host.many_at_once)
		return;
	if (on)
		device_lock(&pci.bridge);
	else
		device_unlock(&pci.bridge);
}

static inline uint64_t bridge_read(unsigned claim, uint64_t offset, unsigned size)
{
	uint64_t value;

	pci_bridge_lock(true);
	value = device_pci_host.read(&pci.bridge, claim, offset, size) & bytes_ones(size);
	pci_bridge_lock(false);
	return value;
}

static inline void bridge_write(unsigned claim, uint64_t offset, unsigned size, uint64_t value)
{
	pci_bridge_lock(true);
	device_pci_host.write(&pci.bridge, claim, offset, size, value);
	pci_bridge_lock(false);
}

static inline uint64_t config_in(unsigned devfn, unsigned reg, unsigned size)
{
	return bridge_read(CLAIM_CONFIG, devfn << 12 | reg, size);
}

static inline void config_out(unsigned devfn, unsigned reg, unsigned size, uint64_t value)
{
	bridge_write(CLAIM_CONFIG, devfn << 12 | reg, size, value);
}

/* Addresses in one of the windows. */
static inline uint64_t mem_in(uint64_t addr, unsigned size)
{
	if (addr >= WINDOW64)
		return bridge_read(CLAIM_WINDOW64, addr - WINDOW64, size);
	return bridge_read(CLAIM_WINDOW, addr - WINDOW, size);
}

static inline void mem_out(uint64_t addr, unsigned size, uint64_t value)
{
	if (addr >= WINDOW64)
		bridge_write(CLAIM_WINDOW64, addr - WINDOW64, size, value);
	else
		bridge_write(CLAIM_WINDOW, addr - WINDOW, size, value);
}

/* Ports in the window of those. */
static inline uint64_t io_in(uint64_t port, unsigned size)
{
	return bridge_read(CLAIM_IO, port - IO, size);
}

static inline void io_out(uint64_t port, unsigned size, uint64_t value)
{
	bridge_write(CLAIM_IO, port - IO, size, value);
}

/* The offset of the first capability with that id behind `after` (0: of all), or 0. */
static inline unsigned capability(unsigned devfn, unsigned id, unsigned after)
{
	unsigned at = (unsigned)config_in(devfn, after ? after + 1 : 0x34, 1);

	for (unsigned n = 0; at; at = (unsigned)config_in(devfn, at + 1, 1)) {
		assert_true(at >= 0x40 && !(at & 3) && ++n < 48);
		if (config_in(devfn, at, 1) == id)
			return at;
	}
	return 0;
}

static inline bool intx_level(void)
{
	return pci.fake.level[CLAIM_INTX];
}

#endif
