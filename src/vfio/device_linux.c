/* device_linux.c: a device that is passed through, by Linux's vfio-pci.
 *
 * The guest reaches its registers without us, where they are whole pages and not MSI-X's table; its
 * interrupts go from the kernel to the guest as well. Memory decoding stays on in the device,
 * whatever the guest thinks of it: when it is off for the guest, the bus has taken the BARs away.
 * INTx and MSI are not offered, nor ports.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <vibevmm/bytes.h>
#include <vibevmm/finding.h>
#include <vibevmm/log.h>

#include "vfio.h"

#define COMMAND		0x04 /* PCI 6.2.2 */
#define COMMAND_MEMORY	(1U << 1)
#define COMMAND_MASTER	(1U << 2)
#define COMMAND_NO_INTX (1U << 10)

#define BAR_MAX (1ULL << 60) /* six of them can be added up */

static struct vfio_device *device_of(struct pci_function *f)
{
	return (struct vfio_device *)f;
}

void vfio_complain(struct vfio_device *d, const char *what, int errnum)
{
	char words[64];

	if (!d->complained)
		log_warn("%s: %s: %s", d->f.dev->plan->label, what,
			 strerror_r(errnum, words, sizeof(words)));
	d->complained = true;
}

/* ---- Registers ------------------------------------------------------------------------------ */

static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	const struct vfio_device *d = device_of(f);
	uint8_t bytes[8];

	if (pread(d->fd, bytes, size, (off_t)(d->regions[bar].offset + offset)) != (ssize_t)size)
		return bytes_ones(size);
	return bytes_get(bytes, size);
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct vfio_device *d = device_of(f);
	uint8_t bytes[8];

	bytes_put(bytes, size, value);
	if (pwrite(d->fd, bytes, size, (off_t)(d->regions[bar].offset + offset)) != (ssize_t)size)
		vfio_complain(d, "a write of the guest failed", errno);
}

static void bar_mapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	struct device_host *host = f->dev->host;
	struct vfio_device *d = device_of(f);

	for (unsigned i = 0; i < d->regions[bar].n; i++) {
		struct vfio_mapping *map = &d->regions[bar].maps[i];
		int ret =
			host->map(host, addr + map->area.offset, map->area.size, map->bytes, true);

		map->on = !ret;
		if (ret)
			vfio_complain(d, "the guest's accesses to its registers are slow", -ret);
	}
}

static void bar_unmapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	struct device_host *host = f->dev->host;
	struct vfio_device *d = device_of(f);

	for (unsigned i = 0; i < d->regions[bar].n; i++) {
		struct vfio_mapping *map = &d->regions[bar].maps[i];

		if (map->on)
			host->map(host, addr + map->area.offset, map->area.size, map->bytes, false);
		map->on = false;
	}
}

/* ---- Configuration space -------------------------------------------------------------------- */

static void config_read(struct pci_function *f, unsigned offset, unsigned size)
{
	struct vfio_device *d = device_of(f);
	unsigned at = offset, len;
	uint8_t bytes[4];

	for (; (len = vfio_config_run(d->passed, &at, offset + size)); at += len) {
		if (pread(d->fd, bytes, len, (off_t)(d->config + at)) == (ssize_t)len)
			memcpy(f->config + at, bytes, len);
	}
}

static void write_command(struct vfio_device *d)
{
	uint16_t command = bytes_get16(d->f.config + COMMAND) & COMMAND_MASTER;
	uint8_t bytes[2];

	bytes_put16(bytes, command | COMMAND_MEMORY | COMMAND_NO_INTX);
	if (pwrite(d->fd, bytes, sizeof(bytes), (off_t)(d->config + COMMAND)) != sizeof(bytes))
		vfio_complain(d, "its command register can't be written", errno);
}

static void config_written(struct pci_function *f, unsigned offset, unsigned size)
{
	struct vfio_device *d = device_of(f);
	unsigned at = offset, len;

	if (offset <= COMMAND && COMMAND < offset + size)
		write_command(d);
	for (; (len = vfio_config_run(d->passed, &at, offset + size)); at += len) {
		if (pwrite(d->fd, f->config + at, len, (off_t)(d->config + at)) != (ssize_t)len)
			vfio_complain(d, "a write to configuration space failed", errno);
	}
}

static const struct pci_ops ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.bar_mapped = bar_mapped,
	.bar_unmapped = bar_unmapped,
	.config_read = config_read,
	.config_written = config_written,
	.msix_changed = vfio_msix_changed,
};

/* ---- BARs ----------------------------------------------------------------------------------- */

/* The areas of a region that can be mapped; without a capability that names them, all of it. The
 * information, of info->argsz bytes, is the kernel's, and checked all the same. */
static unsigned list_areas(const struct vfio_region_info *info,
			   struct vfio_area areas[VFIO_AREAS_MAX])
{
	const uint8_t *bytes = (const uint8_t *)info;
	uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	for (unsigned tries = 0; at && tries < 16; tries++) {
		const struct vfio_region_info_cap_sparse_mmap *cap = (const void *)(bytes + at);
		unsigned n;

		if (at % 8 || !bytes_inside(at, sizeof(*cap), 0, info->argsz))
			break;
		if (cap->header.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
			at = cap->header.next;
			continue;
		}
		n = cap->nr_areas < VFIO_AREAS_MAX ? cap->nr_areas : VFIO_AREAS_MAX;
		if (!bytes_inside(at + sizeof(*cap), n * sizeof(cap->areas[0]), 0, info->argsz))
			break;
		for (unsigned i = 0; i < n; i++)
			areas[i] = (struct vfio_area){ cap->areas[i].offset, cap->areas[i].size };
		return n;
	}
	areas[0] = (struct vfio_area){ 0, info->size };
	return 1;
}

/* What the kernel says of a region, with its capabilities; free it. NULL with errno. */
static struct vfio_region_info *get_region(int fd, unsigned index)
{
	struct vfio_region_info head = { .argsz = sizeof(head), .index = index }, *info;
	uint32_t size;

	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &head))
		return NULL;
	size = head.argsz > sizeof(head) ? head.argsz : (uint32_t)sizeof(head);
	info = calloc(1, size);
	if (!info)
		return NULL;
	info->argsz = size;
	info->index = index;
	if (!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info) && info->argsz <= size)
		return info;
	free(info);
	return NULL;
}

/* Maps what can be, but for MSI-X's table; what can't goes through bar_read and bar_write. */
static void map_region(struct vfio_device *d, unsigned bar, const struct vfio_region_info *info,
		       const struct vfio_msix *msix)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct vfio_region *region = &d->regions[bar];
	struct vfio_area areas[VFIO_AREAS_MAX], cut = { 0 }, whole[VFIO_AREAS_MAX];
	unsigned n = list_areas(info, areas);

	if (msix->at && msix->table_bar == bar)
		cut = (struct vfio_area){ msix->table, msix->vectors * 16ULL };
	region->offset = info->offset;
	n = vfio_areas(areas, n, info->size, page, &cut, whole, VFIO_AREAS_MAX);
	for (unsigned i = 0; i < n; i++) {
		struct vfio_mapping *map = &region->maps[region->n];

		map->bytes = mmap(NULL, whole[i].size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
				  (off_t)(info->offset + whole[i].offset));
		map->area = whole[i];
		if (map->bytes == MAP_FAILED)
			log_debug("%s: BAR %u can't be mapped at %#llx", d->f.dev->plan->label, bar,
				  (unsigned long long)whole[i].offset);
		else
			region->n++;
	}
}

static int find_bars(struct vfio_device *d, const uint8_t raw[PCI_CONFIG_SIZE],
		     const struct vfio_msix *msix, struct err *err)
{
	const char *label = d->f.dev->plan->label;

	for (unsigned i = 0; i < PCI_BARS; i += 1 + d->bars[i].wide) {
		struct vfio_region_info *info = get_region(d->fd, VFIO_PCI_BAR0_REGION_INDEX + i);

		if (!info)
			return err_errno(err, errno, STATUS_OSERR, "%s: BAR %u", label, i);
		if (info->size && !vfio_bar_kind(raw, i, &d->bars[i])) {
			log_info("%s: its ports, BAR %u, are not passed through", label, i);
		} else if (info->size >= 16 && info->size <= BAR_MAX &&
			   bytes_is_power_of_2(info->size)) {
			d->bars[i].size = info->size;
			map_region(d, i, info, msix);
		}
		free(info);
	}
	return 0;
}

static int add_bars(struct vfio_device *d, struct err *err)
{
	const struct plan_claim *window = device_place(d->f.dev, VFIO_CLAIM_WINDOW);
	const char *label = d->f.dev->plan->label;
	char have[24], need[24];
	int low;
	uint64_t enough = vfio_bars_place(d->bars, window->start, window->size, &low);

	if (enough)
		return err_set(err, ENOSPC, STATUS_UNAVAILABLE,
			       "%s: its BARs don't fit a window of %s; write `window: %s`", label,
			       config_size_text(window->size, have, sizeof(have)),
			       config_size_text(enough, need, sizeof(need)));
	if (low >= 0)
		return err_set(err, ENOSPC, STATUS_UNAVAILABLE,
			       "%s: its BAR %d has 32 bits, and the window of %s lies above 4 GiB: "
			       "smaller windows lie below",
			       label, low, config_size_text(window->size, have, sizeof(have)));
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct vfio_bar *bar = &d->bars[i];

		if (bar->size)
			pci_bar_add(&d->f, i, bar->addr, bar->size, bar->wide, bar->prefetchable);
	}
	return 0;
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* What keeps it from being passed through, as `doctor` puts it. */
static int check_host(struct device *dev, struct err *err)
{
	const struct plan none = { 0 }; /* the kernel is asked for memory soon enough */
	struct findings findings = { 0 };
	const struct finding *missing;
	int ret = 0;

	vfio_examine(&none, dev->plan, &findings);
	missing = findings_missing(&findings);
	if (findings.failed)
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "%s", dev->plan->label);
	else if (missing && missing->command[0])
		ret = err_set(err, ENODEV, STATUS_UNAVAILABLE, "%s; run: %s", missing->text,
			      missing->command);
	else if (missing)
		ret = err_set(err, ENODEV, STATUS_UNAVAILABLE, "%s", missing->text);
	findings_free(&findings);
	return ret;
}

static int open_device(struct vfio_device *d, const char *function, struct err *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const char *label = d->f.dev->plan->label;
	struct vfio_region_info *region;
	int group = vfio_join(d->f.dev->host, label, d->group, err);

	if (group < 0)
		return group;
	d->fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, function);
	if (d->fd < 0) {
		int errnum = errno;

		vfio_leave(d->f.dev->host, d->group);
		return err_errno(err, errnum, STATUS_UNAVAILABLE, "%s: %s", label, function);
	}
	region = get_region(d->fd, VFIO_PCI_CONFIG_REGION_INDEX);
	if (!region || ioctl(d->fd, VFIO_DEVICE_GET_INFO, &info)) {
		int errnum = errno;

		free(region);
		return err_errno(err, errnum, STATUS_OSERR, "%s: %s", label, function);
	}
	d->config = region->offset;
	d->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	free(region);
	return 0;
}

static void reset(struct vfio_device *d)
{
	if (d->can_reset && ioctl(d->fd, VFIO_DEVICE_RESET))
		vfio_complain(d, "it can't be reset", errno);
}

void vfio_reset(struct device *dev)
{
	struct vfio_device *d = dev->state;

	reset(d);
	write_command(d);
}

/* Undoes what was done so far. */
static void release(struct vfio_device *d)
{
	pci_detach(&d->f);
	if (d->fd >= 0) {
		for (unsigned i = 0; i < PCI_BARS; i++) {
			for (unsigned k = 0; k < d->regions[i].n; k++)
				munmap(d->regions[i].maps[k].bytes,
				       d->regions[i].maps[k].area.size);
		}
		reset(d);
		close(d->fd);
		vfio_leave(d->f.dev->host, d->group);
	}
	free(d->events);
	free(d);
}

int vfio_create(struct device *dev, struct err *err)
{
	const struct vfio_pci_config *config = dev->options;
	uint8_t raw[PCI_CONFIG_SIZE];
	struct vfio_device *d;
	struct vfio_msix msix;
	int ret = check_host(dev, err);

	if (ret)
		return ret;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", dev->plan->label);
	d->f.dev = dev;
	d->fd = -1;
	d->group = (unsigned)vfio_group_of(config->host);
	ret = open_device(d, config->host, err);
	if (ret)
		goto out;
	reset(d);
	if (pread(d->fd, raw, sizeof(raw), (off_t)d->config) != sizeof(raw)) {
		ret = err_errno(err, errno, STATUS_OSERR, "%s: configuration space",
				dev->plan->label);
		goto out;
	}
	vfio_config_show(&d->f, dev, &ops, raw, d->passed, &msix);
	ret = find_bars(d, raw, &msix, err);
	if (!ret)
		ret = add_bars(d, err);
	if (!ret)
		ret = vfio_msix_add(d, &msix, err);
	if (!ret) {
		write_command(d);
		ret = pci_attach(&d->f, err);
	}
out:
	if (ret)
		release(d);
	else
		dev->state = d;
	return ret;
}

void vfio_destroy(struct device *dev)
{
	struct vfio_device *d = dev->state;

	vfio_msix_close(d);
	release(d);
}
