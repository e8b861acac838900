/* bus.h: the parts of the PCI bus: what they know of each other.
 *
 * Locks, in their order; who holds one takes only those behind it:
 * 1. A device's, for all that it does, which may take long. So nobody waits for it but those who
 *    want something of this device, and they hold nothing meanwhile. The bridge's is like any
 *    other, for its function; its row lets in many at once, and CONFIG_ADDRESS is atomic.
 * 2. map_lock: where BARs are heard. An access looks, lets go, and then asks the device. If the BAR
 *    moves meanwhile it gets the access all the same, as one that was on its way.
 * 3. A function's: its command, where its BARs are, its interrupts.
 * 4. The bus's: INTx.
 * Functions, the bridge and its windows come and go while no vCPU runs, and need none, but for
 * INTx: the bridge goes before devices whose threads still pull it.
 *
 * Devices are told of a change of the map when it has been made, with their lock alone: so each
 * BAR says where it is heard and where its device thinks so, and whoever comes first tells it.
 */
#ifndef PCI_BUS_H
#define PCI_BUS_H

#include <vibevmm/pci.h>

/* The header of type 0: PCI 6.1. */
enum {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x09,
	PCI_CACHE_LINE = 0x0c,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
	PCI_HEADER_END = 0x40,
};

#define PCI_COMMAND_PORTS	(1U << 0) /* PCI 6.2.2 */
#define PCI_COMMAND_MEMORY	(1U << 1)
#define PCI_COMMAND_MASTER	(1U << 2)
#define PCI_COMMAND_NO_INTX	(1U << 10)
#define PCI_STATUS_INTX		(1U << 3) /* PCI 6.2.3 */
#define PCI_STATUS_CAPABILITIES (1U << 4)
#define PCI_MULTIFUNCTION	0x80U /* PCI 6.2.1 */

/* Where a BAR is heard. */
struct pci_mapping {
	enum plan_space space;
	uint64_t start, size;
	struct pci_function *f;
	unsigned bar;
};

struct pci_bus {
	struct pci_function *functions[PCI_FUNCTIONS];

	/* The windows that the bridge passes on; none begins at 0. */
	struct {
		enum plan_space space;
		uint64_t start, size;
	} windows[3];
	unsigned n_windows;

	/* BARs that are heard: sorted by space and start, disjoint. There is room for all. */
	pthread_rwlock_t map_lock;
	struct pci_mapping *map;
	size_t n_map, n_bars;

	pthread_mutex_t lock; /* guards: */
	unsigned wires;	      /* functions that pull INTx */
	struct device *bridge;
	int intx; /* its claim */
};

/* Whether the function pulls INTx; and after a change, the bus's line. With the function's lock. */
bool pci_wire(const struct pci_function *f);
void pci_wire_changed(struct pci_function *f, bool before);

/* BARs or decoding may have changed, in the registers of f or, f NULL, elsewhere; f's device knows
 * it afterwards. Without locks. */
void pci_bus_remap(struct pci_bus *bus, const struct pci_function *f);

/* Takes accesses to the table and the pending bits; false: it isn't one. With the device's lock. */
bool pci_msix_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		   uint64_t *value);
bool pci_msix_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t value);

/* Message Control (PCI 6.8.2.3), 0 without MSI-X; and after a change. With the function's lock. */
uint16_t pci_msix_control(const struct pci_function *f);
void pci_msix_allowed(struct pci_function *f);
bool pci_msix_is_on(const struct pci_function *f);

#endif
