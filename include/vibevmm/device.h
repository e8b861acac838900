/* device.h: what a device is while the VM runs, and what it may ask for.
 *
 * Contract of the functions in a device's row (registry.h):
 * - create allocates dev->state and opens host things; everything was placed before. On failure it
 *   undoes its own work. destroy frees what create made and takes back timers and watches; it is
 *   called once for each create that succeeded, when the vCPUs have stopped and the event loop
 *   stands still. A VM that starts anew (`on_reset: restart`) creates its devices again, which may
 *   leave something for that: device_keep. reset brings the registers to their power-on values;
 *   create calls it itself if it wants that.
 * - read and write get the index of the claim in the row's list, the OFFSET in it, and a size of
 *   1, 2, 4 or 8 bytes, no wider than the claim's width and inside the claim. A device knows no
 *   absolute address and no hypervisor.
 * - The caller holds dev->lock in read, write and reset, whichever thread it is; in reset alone if
 *   the row says many_at_once. Callbacks that the device gives to host.h take the lock themselves
 *   with device_lock.
 * - Guest data is hostile: no value of offset, size, value may crash or block for long.
 */
#ifndef VIBEVMM_DEVICE_H
#define VIBEVMM_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <vibevmm/host.h>
#include <vibevmm/memory.h>
#include <vibevmm/plan.h>
#include <vibevmm/timeline.h>
#include <vibevmm/wire.h>

struct pci_bus; /* pci.h */
struct vfio;	/* src/vfio */

/* What a device leaves for its next life. */
struct device_kept {
	void *what; /* NULL: nothing */
	void (*drop)(void *what);
};

/* What the machine lends to its devices. One object for all; functions may be called from any
 * thread, with device locks held. Tests give their own. */
struct device_host {
	/* Raises or lowers the line that the planner gave to claim `index` of the device. */
	void (*irq_set)(struct device_host *host, struct device *dev, unsigned claim, bool level);

	/* The guest asked for its end, with this status (0..63; a larger one is reported and
	 * becomes 63), ... */
	void (*guest_exit)(struct device_host *host, struct device *dev, uint64_t status);

	/* ... or has powered off, ... */
	void (*guest_poweroff)(struct device_host *host, struct device *dev);

	/* ... or asked for a reset, ... */
	void (*guest_reset)(struct device_host *host, struct device *dev);

	/* ... or says that it panicked. All return at once; vCPUs stop soon after. */
	void (*guest_panic)(struct device_host *host, struct device *dev);

	/* Writes of size bytes at that offset of the claim may be gathered and come late, in order:
	 * before any other access of the guest that reaches a device, or within 20 ms. A hint,
	 * without effect where the backend has no such thing. Not from the loop's thread. */
	void (*coalesce)(struct device_host *host, struct device *dev, unsigned claim,
			 uint64_t offset, unsigned size, bool on);

	/* Signals fd when the guest writes len bytes (0: any number) at that address or port, which
	 * space tells (SPACE_MEM, SPACE_PIO), and that value unless match is NULL; such writes
	 * reach no device any more. on false: no longer; with the same arguments. The caller owns
	 * fd. 0, or -errno: -ENOTSUP where the backend has no such thing, and writes come as ever.
	 * May take a millisecond. */
	int (*ioeventfd)(struct device_host *host, enum plan_space space, uint64_t addr,
			 unsigned len, const uint64_t *match, int fd, bool on);

	/* Sends the interrupt message that writes data to addr; who: the sender as the guest's
	 * tables number it, for PCI its function. Never blocks for long. 0 or -errno. */
	int (*msi_send)(struct device_host *host, uint64_t addr, uint32_t data, uint32_t who);

	/* The same, each time fd is signalled, without us: for those outside who have fd. A call
	 * with a bound fd changes its message; on false unbinds it. May take milliseconds.
	 * -ENOTSUP: the backend has no such thing. */
	int (*msi_irqfd)(struct device_host *host, int fd, uint64_t addr, uint32_t data,
			 uint32_t who, bool on);

	/* For whoever watches the guest's consoles; NULL: nobody. A device's line is port 0, its
	 * further ports count from 1. See device_said and device_line. */
	void (*said)(struct device_host *host, struct device *dev, unsigned port, bool standard,
		     const void *buf, size_t len);
	int (*line)(struct device_host *host, struct device *dev, unsigned port, struct wire *wire);
	/* Puts these bytes of ours into guest memory at addr: accesses there reach no device any
	 * more. on false: no longer; with the same arguments. All are multiples of the host's page.
	 * 0, or -errno, and accesses come as ever. May take a millisecond. */
	int (*map)(struct device_host *host, uint64_t addr, uint64_t size, void *bytes, bool on);

	/* The device's place for that, from the machine's begin to its end; NULL: there is none. */
	struct device_kept *(*kept)(struct device_host *host, const struct device *dev);

	struct loop *loop;	 /* event loop, host.h */
	struct console *console; /* the VM's standard input and output, host.h */
	struct memory *memory;	 /* guest RAM, for devices that do DMA */
	struct pci_bus *pci;	 /* pci.h; NULL: this VM has no PCI host bridge */
	struct vfio *vfio;	 /* what devices of the host share here, who make and free it */
	const char *vm_name;	 /* the config's */
};

struct device {
	const struct device_row *row;
	const void *options;		/* the row's options struct */
	const struct plan_device *plan; /* label, claims */
	struct device_host *host;
	void *state; /* the device's own */
	pthread_mutex_t lock;
	uint64_t reads, writes; /* accesses so far, under lock; atomic if the row is many_at_once */
};

/* Makes a device: initialises *dev and calls create. On failure *dev needs no destroy. */
int device_create(struct device *dev, const struct plan_device *plan, struct device_host *host,
		  struct err *err);
void device_destroy(struct device *dev);

/* In destroy: leaves something of the host's that would not be the same if it were opened again.
 * When the VM ends, or at once where there is nobody to keep it, it is dropped. In create: takes
 * what was left, or NULL. */
void device_keep(struct device *dev, void *what, void (*drop)(void *what));
void *device_kept(struct device *dev);

static inline void device_lock(struct device *dev)
{
	pthread_mutex_lock(&dev->lock);
}
/* For callbacks on the loop's thread, which must not wait: whoever holds the lock may be waiting
 * for the console's reader. */
static inline bool device_trylock(struct device *dev)
{
	return !pthread_mutex_trylock(&dev->lock);
}

static inline void device_unlock(struct device *dev)
{
	pthread_mutex_unlock(&dev->lock);
}

/* Index of the claim with that name that this device has, or -1; and whether it is connected (a
 * line without an interrupt controller is not). */
int device_claim(const struct device *dev, const char *name);
bool device_claim_connected(const struct device *dev, int claim);

/* Where the planner put the claim of that index; NULL if this device doesn't have it. */
const struct plan_claim *device_place(const struct device *dev, unsigned claim);

/* The line's level; does nothing if claim is -1 or not connected. */
void device_irq_set(struct device *dev, int claim, bool level);

/* The guest has said this on one of the device's lines; standard: it went to the VM's standard
 * output. Every console calls it for every byte. */
static inline void device_said(struct device *dev, unsigned port, bool standard, const void *buf,
			       size_t len)
{
	timeline_mark(TIMELINE_CONSOLE);
	if (dev->host->said)
		dev->host->said(dev->host, dev, port, standard, buf, len);
}

/* One of the device's lines leads to this wire, until the device is destroyed. 0 or -errno. */
static inline int device_line(struct device *dev, unsigned port, struct wire *wire)
{
	return dev->host->line ? dev->host->line(dev->host, dev, port, wire) : 0;
}

/* The option `to`, the other end of a line: an OPTION_MAP of this type holds a struct wire_config.
 * check reports contradictions, for a row's check: within `to`, which may be NULL, and between that
 * and `input`, which is about standard input and NULL where there is no such option. */
extern const struct config_type device_wire_type;
void device_wire_check(const struct wire_config *config, const struct node *to,
		       const struct node *input, struct diags *diags);

/* For a row's check: reports a socket's path, at node, that is too long if so many bytes come
 * behind it. */
void device_check_socket(const struct node *node, const char *path, size_t behind,
			 struct diags *diags);

/* All rows of devices.def. */
const struct device_row *const *device_rows(size_t *n);

#endif
