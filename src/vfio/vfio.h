/* vfio.h: the parts of PCI passthrough, and what they know of each other.
 *
 * The row, what the guest is shown of a function and where its BARs go are the same on every host
 * (row.c, config.c, bars.c); who speaks to the kernel is in *_linux.c. "VFIO" is Linux's
 * Documentation/driver-api/vfio.rst and its <linux/vfio.h>.
 */
#ifndef VFIO_VFIO_H
#define VFIO_VFIO_H

#include <vibevmm/pci.h>

struct vfio_pci_config {
	char *id, *host;
	uint32_t slot;
	uint64_t window;
};

enum { VFIO_CLAIM_FUNCTION, VFIO_CLAIM_WINDOW };

/* ---- config.c: configuration space, all of it pure ------------------------------------------- */

/* MSI-X as the function has it (PCI 6.8.2). */
struct vfio_msix {
	uint8_t at; /* its capability; 0: none */
	uint16_t vectors;
	unsigned table_bar, pba_bar;
	uint32_t table, pba;
};

/* The function's registers, as read from it, become those of *f: identity, and the capabilities
 * where they are, but for MSI-X, which is only found. passed: the bytes that are the function's
 * own, for the guest to read and write there. Registers may have any content. */
void vfio_config_show(struct pci_function *f, struct device *dev, const struct pci_ops *ops,
		      const uint8_t raw[PCI_CONFIG_SIZE], bool passed[PCI_CONFIG_SIZE],
		      struct vfio_msix *msix);

/* The first run of passed bytes in [*at, end): moves *at there; its length, or 0. */
unsigned vfio_config_run(const bool passed[PCI_CONFIG_SIZE], unsigned *at, unsigned end);

/* ---- bars.c: pure, too ----------------------------------------------------------------------- */

struct vfio_area {
	uint64_t offset, size;
};

struct vfio_bar {
	uint64_t size; /* 0: none that the guest sees */
	bool wide, prefetchable;
	uint64_t addr; /* the guest's */
};

/* What the register of a BAR says: a memory BAR, and of which kind; false: it is none. */
bool vfio_bar_kind(const uint8_t raw[PCI_CONFIG_SIZE], unsigned bar, struct vfio_bar *out);

/* Places BARs in [start, start + size), start being a multiple of size, a power of two: the largest
 * first. 0, or the size that would do; with *low the first BAR of 32 bits that lies above 4 GiB,
 * or -1. */
uint64_t vfio_bars_place(struct vfio_bar bars[PCI_BARS], uint64_t start, uint64_t size, int *low);

/* The areas without those pages that have something of `cut`, inside of a BAR of that size, and in
 * whole pages; at most max of them. How many. */
unsigned vfio_areas(const struct vfio_area *areas, unsigned n, uint64_t bar, uint64_t page,
		    const struct vfio_area *cut, struct vfio_area *out, unsigned max);

/* ---- host_linux.c: what the host has -------------------------------------------------------- */

extern const char *vfio_sys, *vfio_dev; /* "/sys", "/dev/vfio"; tests point them elsewhere */

/* A row's. The first finding that is missing is what keeps the device from being passed through. */
void vfio_examine(const struct plan *plan, const struct plan_device *dev,
		  struct findings *findings);

/* The number of a function's IOMMU group, or -1. */
int vfio_group_of(const char *function);

/* ---- container_linux.c: the IOMMU and the groups that this VM has --------------------------- */

/* Makes guest memory reachable for the group's devices and opens it, unless that was done for
 * another device: its descriptor, or -errno with err. Each call is undone by a vfio_leave. */
int vfio_join(struct device_host *host, const char *label, unsigned group, struct err *err);
void vfio_leave(struct device_host *host, unsigned group);

/* ---- device_linux.c: the device; its row's functions ---------------------------------------- */

#define VFIO_AREAS_MAX 8

struct vfio_mapping {
	struct vfio_area area;
	void *bytes;
	bool on; /* in the guest */
};

struct vfio_region {
	uint64_t offset; /* in the device's descriptor */
	struct vfio_mapping maps[VFIO_AREAS_MAX];
	unsigned n;
};

struct vfio_device {
	struct pci_function f; /* first */
	int fd;
	unsigned group;
	bool can_reset, complained;
	uint64_t config; /* the offset of configuration space */
	bool passed[PCI_CONFIG_SIZE];
	struct vfio_bar bars[PCI_BARS];
	struct vfio_region regions[PCI_BARS];

	bool msix;	  /* the guest has switched it on */
	unsigned enabled; /* as many of the device's vectors are */
	int *events;	  /* of vectors; -1: not used so far */
};

int vfio_create(struct device *dev, struct err *err);
void vfio_destroy(struct device *dev);
void vfio_reset(struct device *dev);

/* What the guest can bring about is told once. */
void vfio_complain(struct vfio_device *d, const char *what, int errnum);

/* ---- msix_linux.c: its interrupts ----------------------------------------------------------- */

/* As many vectors as the function and the kernel agree on, if its tables are where they can be;
 * else it does without, and says so. 0 or -errno with err. */
int vfio_msix_add(struct vfio_device *d, const struct vfio_msix *msix, struct err *err);

/* An op of its function: the guest has masked or unmasked something. */
void vfio_msix_changed(struct pci_function *f, unsigned vector);

/* Before the device goes: nothing is signalled any more. */
void vfio_msix_close(struct vfio_device *d);

#endif
