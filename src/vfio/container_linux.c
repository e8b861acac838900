/* container_linux.c: the VM's IOMMU: one container for all groups of devices that it has, with all
 * of guest memory in it, at the addresses that the guest uses. Devices come and go on one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio.h"

struct vfio_group {
	unsigned number, users;
	int fd;
};

struct vfio {
	int fd;
	struct vfio_group *groups;
	size_t n;
};

/* ---- The container -------------------------------------------------------------------------- */

static int open_container(const char *label, struct vfio **out, struct err *err)
{
	struct vfio *vfio = calloc(1, sizeof(*vfio));
	char path[64];
	int ret = 0;

	if (!vfio) {
		err_errno(err, ENOMEM, STATUS_OSERR, "%s", label);
		return -ENOMEM;
	}
	snprintf(path, sizeof(path), "%s/vfio", vfio_dev);
	vfio->fd = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->fd < 0)
		ret = err_errno(err, errno, STATUS_UNAVAILABLE, "%s: %s", label, path);
	else if (ioctl(vfio->fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		ret = err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
			      "%s: %s speaks another version of VFIO than %d", label, path,
			      VFIO_API_VERSION);
	else if (ioctl(vfio->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0)
		ret = err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
			      "%s: VFIO on this host has no IOMMU of type 1; run 'sudo modprobe "
			      "vfio_iommu_type1'",
			      label);
	if (ret) {
		if (vfio->fd >= 0)
			close(vfio->fd);
		free(vfio);
		return ret;
	}
	*out = vfio;
	return 0;
}

static int map_slot(const struct vfio *vfio, const struct memory_slot *slot)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ |
			 (slot->flags & MEMORY_READONLY ? 0 : VFIO_DMA_MAP_FLAG_WRITE),
		.vaddr = (uintptr_t)slot->host,
		.iova = slot->gpa,
		.size = slot->size,
	};

	return ioctl(vfio->fd, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

/* All that the guest may let the device read or write. The kernel takes the pages, and keeps them.
 */
static int map_memory(const struct vfio *vfio, const struct memory *memory, const char *label,
		      unsigned group, struct err *err)
{
	const struct memory_slot *slots;
	size_t n = memory_slots(memory, &slots);

	for (size_t i = 0; i < n; i++) {
		unsigned long long first = slots[i].gpa, last = first + slots[i].size - 1;
		int ret = map_slot(vfio, &slots[i]);

		switch (-ret) {
		case 0:
			continue;
		case ENOMEM:
			return err_set(
				err, ENOMEM, STATUS_UNAVAILABLE,
				"%s: this host can't lock guest memory 0x%llx-0x%llx: there is "
				"too little of it, or the limit is too low, which 'sudo "
				"prlimit --pid $$ --memlock=unlimited' raises",
				label, first, last);
		case EINVAL:
			return err_set(
				err, EINVAL, STATUS_UNAVAILABLE,
				"%s: the IOMMU can't map guest memory 0x%llx-0x%llx: the host "
				"keeps some of it for itself "
				"(/sys/kernel/iommu_groups/%u/reserved_regions); a 'hole' in "
				"the config's memory map leaves that out",
				label, first, last, group);
		default:
			return err_errno(err, -ret, STATUS_OSERR,
					 "%s: the IOMMU can't map guest memory 0x%llx-0x%llx",
					 label, first, last);
		}
	}
	return 0;
}

static int set_iommu(const struct vfio *vfio, const char *label, struct err *err)
{
	if (!ioctl(vfio->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return 0;
	if (errno == EPERM)
		return err_set(
			err, EPERM, STATUS_UNAVAILABLE,
			"%s: this host's IOMMU doesn't remap interrupts, so a guest could send "
			"any through the device. Where guests are trusted: 'echo 1 | sudo tee "
			"/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts'",
			label);
	return err_errno(err, errno, STATUS_UNAVAILABLE, "%s: VFIO can't use the IOMMU", label);
}

/* ---- Groups --------------------------------------------------------------------------------- */

static int open_group(unsigned number, const char *label, struct err *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/%u", vfio_dev, number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return err_set(err, EBUSY, STATUS_UNAVAILABLE,
			       "%s: IOMMU group %u is in use by another VM or program", label,
			       number);
	if (fd < 0)
		return err_errno(err, errno, STATUS_UNAVAILABLE, "%s: %s", label, path);
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status))
		ret = err_errno(err, errno, STATUS_OSERR, "%s: %s", label, path);
	else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		ret = err_set(err, EBUSY, STATUS_UNAVAILABLE,
			      "%s: IOMMU group %u has devices that the host uses; see "
			      "/sys/kernel/iommu_groups/%u/devices",
			      label, number, number);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

static struct vfio_group *find_group(const struct vfio *vfio, unsigned number)
{
	for (size_t i = 0; i < vfio->n; i++) {
		if (vfio->groups[i].number == number)
			return &vfio->groups[i];
	}
	return NULL;
}

static int add_group(struct vfio *vfio, const struct memory *memory, const char *label,
		     unsigned number, struct err *err)
{
	struct vfio_group *groups = realloc(vfio->groups, (vfio->n + 1) * sizeof(*groups));
	int fd, ret = 0;

	if (!groups)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", label);
	vfio->groups = groups;
	fd = open_group(number, label, err);
	if (fd < 0)
		return fd;
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &vfio->fd))
		ret = err_errno(err, errno, STATUS_UNAVAILABLE, "%s: IOMMU group %u", label,
				number);
	/* The first one brings the IOMMU along. */
	if (!ret && !vfio->n)
		ret = set_iommu(vfio, label, err);
	if (!ret && !vfio->n)
		ret = map_memory(vfio, memory, label, number, err);
	if (ret) {
		close(fd);
		return ret;
	}
	groups[vfio->n++] = (struct vfio_group){ .number = number, .fd = fd };
	return 0;
}

static void free_if_unused(struct device_host *host)
{
	struct vfio *vfio = host->vfio;

	if (vfio->n)
		return;
	close(vfio->fd);
	free(vfio->groups);
	free(vfio);
	host->vfio = NULL;
}

int vfio_join(struct device_host *host, const char *label, unsigned group, struct err *err)
{
	struct vfio_group *found;
	int ret = host->vfio ? 0 : open_container(label, &host->vfio, err);

	if (ret)
		return ret;
	if (!find_group(host->vfio, group))
		ret = add_group(host->vfio, host->memory, label, group, err);
	if (ret) {
		free_if_unused(host);
		return ret;
	}
	found = find_group(host->vfio, group);
	found->users++;
	return found->fd;
}

void vfio_leave(struct device_host *host, unsigned group)
{
	struct vfio_group *found = find_group(host->vfio, group);

	if (--found->users)
		return;
	close(found->fd);
	*found = host->vfio->groups[--host->vfio->n];
	free_if_unused(host);
}
