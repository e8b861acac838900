/* absent_macos.c: what virtio devices have on Linux alone; see src/host/absent_macos.c. */
#include <errno.h>

#include "fs_daemon.h"
#include "net.h"
#include "vhost_user.h"

static int create(struct net *net, struct err *err)
{
	(void)net;
	return err_set(err, ENOTSUP, STATUS_UNAVAILABLE, "taps exist on Linux hosts only");
}

static void destroy(struct net *net)
{
	(void)net;
}

static int start(struct net_pair *pair)
{
	(void)pair;
	return -ENOTSUP;
}

static void stop(struct net_pair *pair)
{
	(void)pair;
}

const struct net_mover net_tap = {
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
};

const struct net_mover net_vhost = {
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
};

int fs_daemon_start(struct fs_daemon *daemon, const struct fs_daemon_config *config,
		    struct err *err)
{
	(void)daemon;
	(void)config;
	return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
		       "shared folders exist on Linux hosts only");
}

int fs_daemon_end(struct fs_daemon *daemon, bool wait)
{
	(void)daemon;
	(void)wait;
	return 0;
}

int vhost_user_open(struct vhost_user *u, struct virtio *v, const char *who, int fd)
{
	(void)u;
	(void)v;
	(void)who;
	(void)fd;
	return -ENOTSUP;
}

int vhost_user_start(struct vhost_user *u)
{
	(void)u;
	return -ENOTSUP;
}

int vhost_user_stop(struct vhost_user *u)
{
	(void)u;
	return -ENOTSUP;
}
