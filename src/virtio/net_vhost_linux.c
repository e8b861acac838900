/* net_vhost_linux.c: frames moved by Linux's vhost-net, between the driver's queues and a tap,
 * without us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vhost.h>

#include <vibevmm/bytes.h>

#include "net.h"

static const char *const device = "/dev/vhost-net";

enum { RX, TX, QUEUES };
enum { F_VERSION_1 = 32 };

struct vhost_queue {
	struct virtio_queue *q;
	int call;  /* signalled where the kernel can't interrupt the driver by itself; or -1 */
	int error; /* signalled when the ring is broken; or -1 */
};

struct vhost_pair {
	int fd;
	uint64_t features; /* that the kernel has */
	struct vhost_queue queues[QUEUES];
};

/* ---- Create -------------------------------------------------------------------------------- */

/* The driver's memory, which stays as it is. Not ROM: there nothing may be written. */
static int set_memory(const struct vhost_pair *vp, const struct virtio *v)
{
	const struct memory_slot *slots;
	size_t n = memory_slots(v->memory, &slots);
	struct vhost_memory *table = calloc(1, sizeof(*table) + n * sizeof(table->regions[0]));
	int ret;

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (slots[i].flags & MEMORY_READONLY)
			continue;
		table->regions[table->nregions++] = (struct vhost_memory_region){
			.guest_phys_addr = slots[i].gpa,
			.memory_size = slots[i].size,
			.userspace_addr = (uintptr_t)slots[i].host,
		};
	}
	ret = ioctl(vp->fd, VHOST_SET_MEM_TABLE, table) ? -errno : 0;
	free(table);
	return ret;
}

static int open_pair(struct net_pair *pair, struct err *err)
{
	struct vhost_pair *vp = calloc(1, sizeof(*vp));
	const struct virtio *v = pair->net->v;
	int ret;

	if (!vp)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", device);
	*vp = (struct vhost_pair){ .queues = { { .call = -1, .error = -1 },
					       { .call = -1, .error = -1 } } };
	pair->vhost = vp;
	vp->fd = open(device, O_RDWR | O_CLOEXEC);
	if (vp->fd < 0 && errno == ENOENT)
		return err_set(
			err, ENOENT, STATUS_UNAVAILABLE,
			"there is no %s; `sudo modprobe vhost_net` loads it, and `vhost: auto` "
			"does without",
			device);
	if (vp->fd < 0)
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "cannot open %s (`sudo setfacl -m \"u:$USER:rw\" %s` gives "
				 "permission)",
				 device, device);
	if (ioctl(vp->fd, VHOST_GET_FEATURES, &vp->features) || ioctl(vp->fd, VHOST_SET_OWNER))
		return err_errno(err, errno, STATUS_UNAVAILABLE, "%s", device);
	if (!(vp->features >> F_VERSION_1 & 1) || !(vp->features >> NET_F_MRG_RXBUF & 1))
		return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
			       "%s of this kernel is too old for modern drivers", device);
	ret = set_memory(vp, v);
	return ret ? err_errno(err, -ret, STATUS_UNAVAILABLE, "%s: the guest's memory", device) : 0;
}

static void close_pair(struct net_pair *pair)
{
	if (pair->vhost && pair->vhost->fd >= 0)
		close(pair->vhost->fd);
	free(pair->vhost);
	pair->vhost = NULL;
}

static void destroy(struct net *net)
{
	for (unsigned i = 0; i < net->n_pairs; i++)
		close_pair(net->pairs[i]);
}

static int create(struct net *net, struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < net->n_pairs && !ret; i++)
		ret = open_pair(net->pairs[i], err);
	if (ret)
		destroy(net);
	return ret;
}

/* ---- Start ---------------------------------------------------------------------------------- */

static void on_call(void *arg, uint32_t events)
{
	struct vhost_queue *vq = arg;

	(void)events;
	virtio_queue_interrupt(vq->q);
}

static void on_error(void *arg, uint32_t events)
{
	struct vhost_queue *vq = arg;

	(void)events;
	virtio_broken(virtio_queue_device(vq->q), "queue %u: the kernel can't make sense of it",
		      virtio_queue_index(vq->q));
}

/* An eventfd that the first pair's worker watches: the only one there is. */
static int watch_new(const struct net *net, int *fd, virtio_fd_fn fn, void *arg)
{
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd < 0 ? -errno
		       : virtio_worker_watch(net->pairs[0]->worker, *fd, EPOLLIN | EPOLLET, fn,
					     arg);
}

static int set_file(const struct vhost_pair *vp, unsigned long request, unsigned index, int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return ioctl(vp->fd, request, &file) ? -errno : 0;
}

static int set_ring(const struct vhost_pair *vp, unsigned index, const struct virtio_queue *q)
{
	const struct memory *memory = virtio_queue_device(q)->memory;
	struct virtio_ring ring = virtio_queue_ring(q);
	unsigned size = virtio_queue_size(q);
	struct vhost_vring_state num = { .index = index, .num = size };
	struct vhost_vring_state base = { .index = index };
	struct vhost_vring_addr addr = { .index = index };

	/* VIRTIO 2.7; the core has looked at these places already. */
	addr.desc_user_addr = (uintptr_t)memory_ptr(memory, ring.descriptors, 16ULL * size, false);
	addr.avail_user_addr = (uintptr_t)memory_ptr(memory, ring.driver, 6 + 2ULL * size, false);
	addr.used_user_addr = (uintptr_t)memory_ptr(memory, ring.device, 6 + 8ULL * size, true);
	if (!addr.desc_user_addr || !addr.avail_user_addr || !addr.used_user_addr)
		return -EFAULT;
	if (ioctl(vp->fd, VHOST_SET_VRING_NUM, &num) ||
	    ioctl(vp->fd, VHOST_SET_VRING_BASE, &base) ||
	    ioctl(vp->fd, VHOST_SET_VRING_ADDR, &addr))
		return -errno;
	return 0;
}

static int start_queue(struct net_pair *pair, unsigned index, struct virtio_queue *q)
{
	struct vhost_pair *vp = pair->vhost;
	struct vhost_queue *vq = &vp->queues[index];
	int kick = virtio_queue_kick_fd(q), call = virtio_queue_call_fd(q), ret = 0;

	vq->q = q;
	if (kick < 0)
		return -EMFILE;
	if (call < 0) {
		ret = watch_new(pair->net, &vq->call, on_call, vq);
		call = vq->call;
	}
	if (!ret)
		ret = watch_new(pair->net, &vq->error, on_error, vq);
	if (!ret)
		ret = set_ring(vp, index, q);
	if (!ret)
		ret = set_file(vp, VHOST_SET_VRING_KICK, index, kick);
	if (!ret)
		ret = set_file(vp, VHOST_SET_VRING_CALL, index, call);
	if (!ret)
		ret = set_file(vp, VHOST_SET_VRING_ERR, index, vq->error);
	return ret;
}

/* Stops the kernel's work: when it returns none is under way. */
static void stop(struct net_pair *pair)
{
	struct vhost_pair *vp = pair->vhost;

	for (unsigned i = 0; i < QUEUES; i++) {
		struct vhost_queue *vq = &vp->queues[i];

		set_file(vp, VHOST_NET_SET_BACKEND, i, VHOST_FILE_UNBIND);
		set_file(vp, VHOST_SET_VRING_KICK, i, VHOST_FILE_UNBIND);
		set_file(vp, VHOST_SET_VRING_CALL, i, VHOST_FILE_UNBIND);
		set_file(vp, VHOST_SET_VRING_ERR, i, VHOST_FILE_UNBIND);
		if (vq->call >= 0)
			close(vq->call);
		if (vq->error >= 0)
			close(vq->error);
		vq->call = vq->error = -1;
	}
}

static int start(struct net_pair *pair)
{
	struct vhost_pair *vp = pair->vhost;
	uint64_t features = pair->net->v->driver_features & vp->features;
	int ret = ioctl(vp->fd, VHOST_SET_FEATURES, &features) ? -errno : 0;

	if (!ret)
		ret = start_queue(pair, RX, pair->rx);
	if (!ret)
		ret = start_queue(pair, TX, pair->tx);
	for (unsigned i = 0; i < QUEUES && !ret; i++)
		ret = set_file(vp, VHOST_NET_SET_BACKEND, i, pair->net->tap.fds[pair->index]);
	/* For what is in the rings already: the kernel looks when it is kicked. */
	for (unsigned i = 0; i < QUEUES && !ret; i++)
		eventfd_write(virtio_queue_kick_fd(vp->queues[i].q), 1);
	return ret;
}

const struct net_mover net_vhost = {
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
	.outside = true,
};
