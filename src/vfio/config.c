/* config.c: what the guest sees of a function's configuration space.
 *
 * The header is the bus's, with the function's identity. Behind it everything stays where it is,
 * for drivers that know their device by heart; the kernel sees to it that nothing there does harm
 * (Linux, drivers/vfio/pci/vfio_pci_config.c). Only what the bus or the host does in the function's
 * place is made up: MSI-X, power states, and the link of a function that has no port above it here.
 * The rest of those registers, and the extended space, are not shown.
 */
#include <vibevmm/bytes.h>

#include "vfio.h"

/* The header of type 0: PCI 6.1. */
enum {
	VENDOR_ID = 0x00,
	DEVICE_ID = 0x02,
	STATUS = 0x06,
	REVISION = 0x08,
	CLASS = 0x09,
	SUBSYSTEM_VENDOR = 0x2c,
	SUBSYSTEM = 0x2e,
	CAPABILITIES = 0x34,
	INTERRUPT_PIN = 0x3d,
	HEADER_END = 0x40,
};

#define STATUS_CAPABILITIES (1U << 4) /* PCI 6.2.3 */

/* Capability IDs: PCI Code and ID Assignment Specification, 2. */
enum { CAP_POWER = 0x01, CAP_MSI = 0x05, CAP_EXPRESS = 0x10, CAP_MSIX = 0x11, CAP_FIXED = 0x14 };

/* ---- The list of capabilities: PCI 6.7 ------------------------------------------------------- */

/* Where the capability behind that register begins; 0: there is none. Each is taken once, lest the
 * list is a ring. */
static unsigned next(const uint8_t raw[PCI_CONFIG_SIZE], unsigned pointer, uint64_t *seen)
{
	unsigned at = raw[pointer] & ~3U;

	if (at < HEADER_END || *seen >> at / 4 & 1)
		return 0;
	*seen |= 1ULL << at / 4;
	return at;
}

static unsigned first(const uint8_t raw[PCI_CONFIG_SIZE], uint64_t *seen)
{
	*seen = 0;
	return raw[STATUS] & STATUS_CAPABILITIES ? next(raw, CAPABILITIES, seen) : 0;
}

/* Those bytes of a capability, as far as it doesn't end with the space, are no longer passed. */
static void keep(bool passed[PCI_CONFIG_SIZE], unsigned start, unsigned len)
{
	for (unsigned i = start; i < start + len && i < PCI_CONFIG_SIZE; i++)
		passed[i] = false;
}

/* They are neither passed nor known. */
static void hide(struct pci_function *f, bool passed[PCI_CONFIG_SIZE], unsigned start, unsigned len)
{
	keep(passed, start, len);
	for (unsigned i = start; i < start + len && i < PCI_CONFIG_SIZE; i++)
		f->config[i] = 0;
}

/* ---- Those that are made up ------------------------------------------------------------------ */

/* PCI Bus Power Management Interface Specification 1.2, 3.2: the guest may write a state, and the
 * function stays awake: asleep it would not answer the accesses that the guest makes without us.
 * So nothing gets lost on the way back (No_Soft_Reset), and nothing can wake the machine (PME). */
#define POWER_LEN	    8U
#define POWER_PME	    0xf800U
#define POWER_NO_SOFT_RESET (1U << 3)
#define POWER_STATE	    3U
enum { POWER_CAPABILITIES = 2, POWER_CONTROL = 4 };

static void show_power(struct pci_function *f, bool passed[PCI_CONFIG_SIZE], unsigned at)
{
	uint8_t *cap = f->config + at;

	if (at + POWER_LEN > PCI_CONFIG_SIZE) {
		hide(f, passed, at + 2, POWER_LEN - 2);
		return;
	}
	keep(passed, at, POWER_LEN);
	bytes_put16(cap + POWER_CAPABILITIES,
		    (uint16_t)(bytes_get16(cap + POWER_CAPABILITIES) & ~POWER_PME));
	bytes_put32(cap + POWER_CONTROL, POWER_NO_SOFT_RESET);
	f->writable[at + POWER_CONTROL] = POWER_STATE;
}

/* PCIe 7.5.3: an endpoint without a port above it is one that is integrated into the root complex,
 * which has no link. */
#define EXPRESS_VERSION(flags) ((flags)&0xf)
#define EXPRESS_TYPE(flags)    ((flags) >> 4 & 0xf)
#define EXPRESS_TYPE_MASK      0xf0U
enum { TYPE_ENDPOINT = 0, TYPE_LEGACY = 1, TYPE_INTEGRATED = 9 };
enum { EXPRESS_FLAGS = 2, EXPRESS_LINK = 0x0c, EXPRESS_LINK_2 = 0x2c, EXPRESS_LINK_LEN = 8 };

static void show_express(struct pci_function *f, bool passed[PCI_CONFIG_SIZE], unsigned at)
{
	uint8_t *flags = f->config + at + EXPRESS_FLAGS;

	keep(passed, at + EXPRESS_FLAGS, 2);
	if (EXPRESS_TYPE(*flags) != TYPE_ENDPOINT && EXPRESS_TYPE(*flags) != TYPE_LEGACY)
		return;
	*flags = (uint8_t)((*flags & ~EXPRESS_TYPE_MASK) | TYPE_INTEGRATED << 4);
	hide(f, passed, at + EXPRESS_LINK, EXPRESS_LINK_LEN);
	if (EXPRESS_VERSION(*flags) >= 2)
		hide(f, passed, at + EXPRESS_LINK_2, EXPRESS_LINK_LEN);
}

/* PCI 6.8.1.3: there may be 64 bits of address, and masks. */
static unsigned msi_len(const uint8_t raw[PCI_CONFIG_SIZE], unsigned at)
{
	return 10U + (raw[at + 2] & 0x80 ? 4 : 0) + (raw[at + 3] & 0x01 ? 10 : 0);
}

#define MSIX_LEN     12U
#define MSIX_VECTORS 0x7ffU /* of Message Control, less 1 */
#define MSIX_BAR     7U	    /* of the offsets */

static void find_msix(const uint8_t raw[PCI_CONFIG_SIZE], unsigned at, struct vfio_msix *msix)
{
	uint32_t table, pba;

	if (at + MSIX_LEN > PCI_CONFIG_SIZE || msix->at)
		return;
	table = bytes_get32(raw + at + 4);
	pba = bytes_get32(raw + at + 8);
	*msix = (struct vfio_msix){
		.at = (uint8_t)at,
		.vectors = (uint16_t)((bytes_get16(raw + at + 2) & MSIX_VECTORS) + 1),
		.table_bar = table & MSIX_BAR,
		.table = table & ~MSIX_BAR,
		.pba_bar = pba & MSIX_BAR,
		.pba = pba & ~MSIX_BAR,
	};
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void show(struct pci_function *f, const uint8_t raw[PCI_CONFIG_SIZE],
		 bool passed[PCI_CONFIG_SIZE], struct vfio_msix *msix, unsigned at)
{
	keep(passed, at, 2); /* ID and pointer */
	switch (raw[at]) {
	case CAP_MSI:
		hide(f, passed, at, msi_len(raw, at));
		return;
	case CAP_MSIX:
		hide(f, passed, at, MSIX_LEN);
		find_msix(raw, at, msix);
		return;
	case CAP_FIXED: /* Enhanced Allocation: of addresses that are not the guest's */
		hide(f, passed, at, 2);
		return;
	case CAP_POWER:
		show_power(f, passed, at);
		break;
	case CAP_EXPRESS:
		show_express(f, passed, at);
		break;
	default:
		break;
	}
	f->next_capability = (uint8_t)at;
	pci_capability_add(f, raw[at], 2);
	f->config[at + 1] = 0; /* the list ends here, until there is one more */
}

void vfio_config_show(struct pci_function *f, struct device *dev, const struct pci_ops *ops,
		      const uint8_t raw[PCI_CONFIG_SIZE], bool passed[PCI_CONFIG_SIZE],
		      struct vfio_msix *msix)
{
	const struct pci_identity identity = {
		.vendor = bytes_get16(raw + VENDOR_ID),
		.device = bytes_get16(raw + DEVICE_ID),
		.subsystem_vendor = bytes_get16(raw + SUBSYSTEM_VENDOR),
		.subsystem = bytes_get16(raw + SUBSYSTEM),
		.revision = raw[REVISION],
		.class_code = (uint32_t)bytes_get(raw + CLASS, 3),
	};
	uint64_t seen;

	pci_function_init(f, dev, ops, &identity);
	f->config[INTERRUPT_PIN] = 0;
	memcpy(f->config + HEADER_END, raw + HEADER_END, PCI_CONFIG_SIZE - HEADER_END);
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		passed[i] = i >= HEADER_END;
	*msix = (struct vfio_msix){ 0 };
	for (unsigned at = first(raw, &seen); at; at = next(raw, at + 1, &seen))
		show(f, raw, passed, msix, at);
	for (unsigned i = HEADER_END; i < PCI_CONFIG_SIZE; i++) {
		if (passed[i])
			f->writable[i] = 0xff;
	}
}

unsigned vfio_config_run(const bool passed[PCI_CONFIG_SIZE], unsigned *at, unsigned end)
{
	unsigned len = 0;

	while (*at < end && !passed[*at])
		++*at;
	while (*at + len < end && passed[*at + len])
		len++;
	return len;
}
