/* msix_linux.c: interrupts of a device that is passed through: MSI-X, whose vectors signal
 * descriptors, which send the guest's messages. The kernel does both, without us.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "vfio.h"

/* The events of vectors [start, start + n); events NULL: of none, which switches MSI-X off. 0,
 * -errno, or how many there can be. */
static int set_irqs(const struct vfio_device *d, unsigned start, unsigned n, const int *events)
{
	size_t size = events ? n * sizeof(*events) : 0;
	struct vfio_irq_set *set = malloc(sizeof(*set) + size);
	int ret;

	if (!set)
		return -ENOMEM;
	*set = (struct vfio_irq_set){
		.argsz = (uint32_t)(sizeof(*set) + size),
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
			 (events ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.start = start,
		.count = n,
	};
	if (events)
		memcpy(set->data, events, size);
	ret = ioctl(d->fd, VFIO_DEVICE_SET_IRQS, set);
	if (ret < 0)
		ret = -errno;
	free(set);
	return ret;
}

/* All of them, since many a kernel gives no more later on; or as many as the host has left. */
static void enable(struct vfio_device *d)
{
	int ret = set_irqs(d, 0, d->f.n_vectors, d->events);

	d->enabled = d->f.n_vectors;
	if (ret > 0 && ret < d->f.n_vectors) {
		log_warn("%s: this host has interrupts for %d of its %u vectors",
			 d->f.dev->plan->label, ret, d->f.n_vectors);
		d->enabled = (unsigned)ret;
		ret = set_irqs(d, 0, d->enabled, d->events);
	}
	if (ret) {
		d->enabled = 0;
		vfio_complain(d, "the host gives it no interrupts", ret < 0 ? -ret : ENOSPC);
	}
}

/* What was signalled before is of no meaning when MSI-X is switched on again. */
static void disable(struct vfio_device *d)
{
	uint64_t count;

	if (d->enabled)
		set_irqs(d, 0, 0, NULL);
	d->enabled = 0;
	for (unsigned i = 0; i < d->f.n_vectors; i++) {
		if (d->events[i] >= 0 && read(d->events[i], &count, sizeof(count)) < 0)
			continue; /* there was none */
	}
}

/* The guest uses the vector for the first time. */
static void open_event(struct vfio_device *d, unsigned vector)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ret;

	if (fd < 0) {
		vfio_complain(d, "no descriptor for an interrupt", errno);
		return;
	}
	ret = set_irqs(d, vector, 1, &fd);
	if (ret) {
		vfio_complain(d, "the host gives it no interrupt", ret < 0 ? -ret : ENOSPC);
		close(fd);
		return;
	}
	d->events[vector] = fd;
}

void vfio_msix_changed(struct pci_function *f, unsigned vector)
{
	struct vfio_device *d = (struct vfio_device *)f;
	bool on = pci_msix_enabled(f), masked = f->vectors[vector].control & 1;
	int ret;

	if (on != d->msix) {
		d->msix = on;
		if (on)
			enable(d);
		else
			disable(d);
	}
	if (on && !masked && d->events[vector] < 0 && vector < d->enabled)
		open_event(d, vector);
	if (d->events[vector] < 0)
		return;
	ret = pci_msix_bind(f, (uint16_t)vector, d->events[vector], true);
	if (ret)
		vfio_complain(d, "its interrupts don't reach the guest", -ret);
}

int vfio_msix_add(struct vfio_device *d, const struct vfio_msix *msix, struct err *err)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	const char *label = d->f.dev->plan->label;
	uint64_t table = msix->vectors * 16ULL, pba = (msix->vectors + 63U) / 64 * 8;

	if (!msix->at || ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) ||
	    info.count < msix->vectors || msix->table_bar >= PCI_BARS ||
	    msix->pba_bar >= PCI_BARS ||
	    !bytes_inside(msix->table, table, 0, d->f.bars[msix->table_bar].size) ||
	    !bytes_inside(msix->pba, pba, 0, d->f.bars[msix->pba_bar].size)) {
		log_warn("%s: the device has no MSI-X, so its interrupts don't reach the guest",
			 label);
		return 0;
	}
	d->events = malloc(msix->vectors * sizeof(*d->events));
	d->f.next_capability = msix->at;
	if (!d->events || pci_msix_add(&d->f, msix->vectors, msix->table_bar, msix->table,
				       msix->pba_bar, msix->pba))
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", label);
	for (unsigned i = 0; i < msix->vectors; i++)
		d->events[i] = -1;
	return 0;
}

void vfio_msix_close(struct vfio_device *d)
{
	if (d->msix)
		disable(d);
	for (unsigned i = 0; i < d->f.n_vectors; i++) {
		if (d->events[i] < 0)
			continue;
		pci_msix_bind(&d->f, (uint16_t)i, d->events[i], false);
		close(d->events[i]);
	}
}
