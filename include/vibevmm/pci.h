/* pci.h: a PCI bus: functions, their configuration space, BARs and interrupts.
 *
 * "PCI" is the PCI Local Bus Specification 3.0, "PCIe" the PCI Express Base Specification 5.0.
 * One bus, number 0, of 32 devices of 8 functions. The machine makes the bus; the device in
 * ROLE_PCI, pci-host, lets the guest in: configuration space by ECAM and ports, and the windows
 * in which BARs may lie, of memory (SPACE_MEM) and of ports (SPACE_PIO). BARs are decoded there and
 * nowhere else, so a guest that moves one onto RAM, or onto another device's ports, only loses it.
 *
 * A function belongs to a device, which embeds it and attaches it in create and detaches it in
 * destroy. The bus calls the device with its lock held, and with no other: a device that keeps the
 * guest waiting keeps nobody waiting but those who want something of it. src/pci/bus.h has the
 * locks; the bus's and the functions' own come after devices', and under them nothing is called but
 * the machine's irq_set and msi_send.
 */
#ifndef VIBEVMM_PCI_H
#define VIBEVMM_PCI_H

#include <vibevmm/device.h>

#define PCI_CONFIG_SIZE 256
#define PCI_BARS	6
#define PCI_FUNCTIONS	256

struct pci_bus;
struct pci_function;

/* What a device gives; all with its lock held. */
struct pci_ops {
	uint64_t (*bar_read)(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size);
	void (*bar_write)(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
			  uint64_t value);

	/* The bar was mapped at addr, or unmapped: for ioeventfds. Meanwhile it may be elsewhere
	 * already, of which another call tells. May be NULL. */
	void (*bar_mapped)(struct pci_function *f, unsigned bar, uint64_t addr);
	void (*bar_unmapped)(struct pci_function *f, unsigned bar, uint64_t addr);

	/* Other registers: the guest read or wrote size bytes at offset of the configuration space;
	 * a write has changed the writable bits already. read may change f->config before it is
	 * looked at. May be NULL. */
	void (*config_read)(struct pci_function *f, unsigned offset, unsigned size);
	void (*config_written)(struct pci_function *f, unsigned offset, unsigned size);

	/* Messages of MSI-X were allowed or forbidden, or a vector's message or mask changed: for
	 * irqfds. May be NULL. */
	void (*msix_changed)(struct pci_function *f, unsigned vector);
};

struct pci_bar {
	enum plan_space space; /* SPACE_MEM or SPACE_PIO */
	uint64_t size;	       /* a power of two, at least 16, or 4 of ports; 0: none */
	uint64_t addr;	       /* where the guest has it; under the function's lock */
	uint64_t heard;	       /* where the bus hears it, the map's; 0: nowhere */
	uint64_t mapped;       /* where bar_mapped told that, with the device's lock; 0: nowhere */
	bool wide;	       /* 64 bits; takes the next one's register, too */
	bool prefetchable;
};

struct pci_msix_vector {
	uint64_t addr;
	uint32_t data, control; /* PCI 6.8.2.9: bit 0 masks */
};

struct pci_function {
	struct device *dev;
	const struct pci_ops *ops;
	struct pci_bus *bus; /* while attached */
	uint8_t devfn;	     /* device << 3 | function */
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* a bit that is set can be written */
	struct pci_bar bars[PCI_BARS];
	uint8_t next_capability; /* where the next one goes */
	uint8_t last_capability;

	struct pci_msix_vector *vectors; /* NULL: no MSI-X */
	uint64_t *pending;
	uint16_t n_vectors;
	uint8_t msix_at;	       /* its capability, ... */
	uint8_t msix_bar, pba_bar;     /* ... the BARs with table and PBA, ... */
	uint32_t msix_table, msix_pba; /* ... and where in them */
	bool intx;		       /* asserted */

	/* Guards what others than the device depend on: for interrupts, which are sent on any
	 * thread, command, status, intx, and MSI-X; for the bus's map, where BARs are. */
	pthread_mutex_t lock;
};

/* ---- For devices, in create: ---------------------------------------------------------------- */

struct pci_identity {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* class << 16 | subclass << 8 | interface */
};

/* Clears *f and sets its header, type 0 (PCI 6.1), with interrupt pin A. */
void pci_function_init(struct pci_function *f, struct device *dev, const struct pci_ops *ops,
		       const struct pci_identity *identity);

/* A memory BAR of size bytes at addr, as the planner placed it. The firmware's work is done: the
 * BAR holds addr and memory decoding is on. */
void pci_bar_add(struct pci_function *f, unsigned bar, uint64_t addr, uint64_t size, bool wide,
		 bool prefetchable);

/* The same for an I/O BAR of `size` ports, at most 256 (PCI 6.2.5.1). */
void pci_bar_add_ports(struct pci_function *f, unsigned bar, uint64_t port, uint64_t size);

/* A capability of len bytes with its header (PCI 6.7), at f->next_capability; bytes behind the
 * header are zero and read-only. Its offset. */
uint8_t pci_capability_add(struct pci_function *f, uint8_t id, uint8_t len);

/* MSI-X with n vectors; its table and PBA are at these offsets of BARs, and accesses there don't
 * reach the device (PCI 6.8.2). 0 or -ENOMEM. */
int pci_msix_add(struct pci_function *f, uint16_t n, unsigned bar, uint32_t table, unsigned pba_bar,
		 uint32_t pba);

/* Onto the device's bus, dev->host->pci, at the place of its claim in SPACE_PCI; and off it, if it
 * is on it, which also frees what pci_msix_add made. 0 or -errno with err. */
int pci_attach(struct pci_function *f, struct err *err);
void pci_detach(struct pci_function *f);

/* ---- For devices, while the VM runs: any thread ---------------------------------------------- */

/* The guest uses MSI-X, rather than INTx. */
bool pci_msix_enabled(struct pci_function *f);

/* Sends a vector's message, or notes that it is pending while it is masked. Vectors that don't
 * exist send nothing. False: the guest doesn't use MSI-X. */
bool pci_msix_send(struct pci_function *f, uint16_t vector);

/* Lets an eventfd send it (device_host.msi_irqfd), and no longer. While masked it is unbound:
 * msix_changed tells when to call this again. 0 or
 * -errno. With the device's lock. */
int pci_msix_bind(struct pci_function *f, uint16_t vector, int fd, bool on);

/* INTx, level-triggered (PCI 2.2.6): asserted as long as any function says so. */
void pci_intx_set(struct pci_function *f, bool level);

/* ---- For the host bridge ------------------------------------------------------------------- */

struct pci_bus *pci_bus_new(void);
void pci_bus_free(struct pci_bus *bus); /* NULL is fine */

/* The bridge's device, whose line INTx has; NULL: it is gone. */
void pci_bus_bridge(struct pci_bus *bus, struct device *dev);

/* Any thread, without locks: */

/* 1, 2 or 4 bytes, aligned, of a function's configuration space; what isn't there reads as ones,
 * and as zeroes behind PCI_CONFIG_SIZE, where PCIe has more. */
uint32_t pci_config_read(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size,
		      uint32_t value);

/* An access in a window of that space, at a guest-physical address or port; false: no BAR is
 * there. */
bool pci_bar_read(struct pci_bus *bus, enum plan_space space, uint64_t addr, unsigned size,
		  uint64_t *value);
bool pci_bar_write(struct pci_bus *bus, enum plan_space space, uint64_t addr, unsigned size,
		   uint64_t value);

#endif
