/* vhost_user.h: a virtio device whose queues another program serves.
 *
 * After "Vhost-user Protocol" (QEMU's documentation, Interop): we are the front end. The other
 * program maps the guest's memory, which must be MEMORY_SHARED, and reads the rings by itself. All
 * calls are under dev->lock, or before there is a guest.
 */
#ifndef VIRTIO_VHOST_USER_H
#define VIRTIO_VHOST_USER_H

#include <vibevmm/virtio.h>

#define VHOST_USER_QUEUES 8

/* The first member of v->state. */
struct vhost_user {
	struct virtio *v;
	const char *who; /* the program, for messages */
	int fd;		 /* the caller's: a connected stream socket that blocks */
	bool acks;
	int call[VHOST_USER_QUEUES]; /* of queues whose interrupts go through us; else -1 */
	struct virtio_worker *worker;
};

/* Agrees on the protocol. 0; -EPIPE: the other side has gone; or another -errno. */
int vhost_user_open(struct vhost_user *u, struct virtio *v, const char *who, int fd);

/* Hands over memory and all queues that are ready; 0 or -errno, with nothing handed over. From then
 * on the device is broken (virtio_broken) once the other side goes. */
int vhost_user_start(struct vhost_user *u);

/* Takes the queues back. 0; on failure the other side may still use them, until it has ended. */
int vhost_user_stop(struct vhost_user *u);

#endif
