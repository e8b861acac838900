/* tap_linux.c: taps, network interfaces whose other end is ours. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include <vibevmm/log.h>
#include <vibevmm/net.h>

static const char *const device = "/dev/net/tun";

/* ---- Who has it ------------------------------------------------------------------------------ */

/* The kernel gives a tap with one queue to one process. One with several takes more queues from
 * anybody, so VMs agree by an address of Unix sockets that the kernel holds as long as they live:
 * an abstract one, which belongs to the network namespace, as taps do. */
static int lock_name(struct tap *tap, const char *name, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int len = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "vibevmm/tap/%s", name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(err, errno, STATUS_OSERR, "tap '%s'", name);
	if (bind(fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len))) {
		close(fd);
		return err_set(err, EBUSY, STATUS_UNAVAILABLE,
			       "tap '%s' is in use by another VM; give this one a tap of its own",
			       name);
	}
	tap->lock = fd;
	return 0;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* What TUNSETIFF's errors mean. */
static int refused(const char *name, bool exists, bool several, int errnum, struct err *err)
{
	const char *queues = several ? " multi_queue" : "";

	switch (errnum) {
	case EBUSY:
		return err_set(err, errnum, STATUS_UNAVAILABLE,
			       "tap '%s' is in use by another VM; give this one a tap of its own",
			       name);
	case EPERM:
		return err_set(
			err, errnum, STATUS_UNAVAILABLE,
			exists ? "tap '%s' belongs to another user; `sudo ip link delete %s && "
				 "sudo ip tuntap add %s mode tap%s user $USER` makes it yours"
			       : "there is no tap '%s'; `sudo ip tuntap add %s mode tap%.0s%s user "
				 "$USER` makes one that you may use",
			name, name, name, queues);
	case EINVAL:
		if (exists && several)
			return err_set(err, errnum, STATUS_UNAVAILABLE,
				       "interface '%s' is no tap with several queues; `ip -d link "
				       "show %s` shows what it is, and `ip tuntap add` makes a tap "
				       "with `mode tap multi_queue`",
				       name, name);
		if (exists)
			return err_set(err, errnum, STATUS_UNAVAILABLE,
				       "interface '%s' is no tap; `ip -d link show %s` shows what "
				       "it is",
				       name, name);
		/* fall through */
	default:
		return err_errno(err, errnum, STATUS_OSERR, "tap '%s'", name);
	}
}

static int attach(int fd, const char *name, bool several)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	if (several)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &request) ? -errno : 0;
}

/* One queue more. *several: of a tap that is made for them; such a one may be used with one, too.
 */
static int add_queue(struct tap *tap, const char *name, bool *several, struct err *err)
{
	int fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC), ret;
	bool exists = if_nametoindex(name) != 0;

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_set(err, errno, STATUS_UNAVAILABLE,
			       "no permission to open %s, for tap '%s'; `sudo setfacl -m "
			       "\"u:$USER:rw\" %s` gives it",
			       device, name, device);
	if (fd < 0)
		return err_errno(err, errno, STATUS_UNAVAILABLE,
				 "%s, for tap '%s' (`sudo modprobe tun` may help)", device, name);
	ret = attach(fd, name, *several);
	if (ret == -EINVAL && exists && !*several && !attach(fd, name, true)) {
		*several = true;
		ret = 0;
	}
	if (ret) {
		close(fd);
		return refused(name, exists, *several, -ret, err);
	}
	tap->fds[tap->queues++] = fd;
	return 0;
}

/* An interface that was just made is down. */
static void set_up(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (!ioctl(fd, SIOCGIFFLAGS, &request)) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
	log_info("tap '%s' was not there and is made for this VM, without an address or a bridge",
		 name);
}

static int set_format(struct tap *tap, const char *name, unsigned header, struct err *err)
{
	int size = (int)header;

	for (unsigned i = 0; i < tap->queues; i++) {
		if (ioctl(tap->fds[i], TUNSETVNETHDRSZ, &size))
			return err_errno(err, errno, STATUS_OSERR,
					 "tap '%s' takes no headers of %u bytes", name, header);
	}
	/* Newer kernels may have lost some, older ones never had them. */
	tap->offloads = TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_ECN | TAP_UFO;
	if (tap_set_offloads(tap, tap->offloads))
		tap->offloads &= ~(unsigned)TAP_UFO;
	if (tap_set_offloads(tap, tap->offloads))
		tap->offloads = 0;
	tap_set_offloads(tap, 0);
	return 0;
}

int tap_open(struct tap *tap, const char *name, unsigned queues, unsigned header, struct err *err)
{
	struct tap new = { .lock = -1 };
	bool exists = if_nametoindex(name) != 0, several = queues > 1;
	int ret = several ? lock_name(&new, name, err) : 0;

	if (!ret)
		ret = add_queue(&new, name, &several, err);
	if (!ret && several && new.lock < 0)
		ret = lock_name(&new, name, err);
	while (!ret && new.queues < queues)
		ret = add_queue(&new, name, &several, err);
	if (!ret)
		ret = set_format(&new, name, header, err);
	if (ret) {
		tap_close(&new);
		return ret;
	}
	if (!exists)
		set_up(name);
	*tap = new;
	return 0;
}

void tap_close(struct tap *tap)
{
	for (unsigned i = 0; i < tap->queues; i++)
		close(tap->fds[i]);
	if (tap->lock >= 0)
		close(tap->lock);
	tap->queues = 0;
	tap->lock = -1;
}

/* ---- While it is open ------------------------------------------------------------------------ */

int tap_set_offloads(const struct tap *tap, unsigned offloads)
{
	_Static_assert(TAP_CSUM == TUN_F_CSUM && TAP_TSO4 == TUN_F_TSO4 && TAP_TSO6 == TUN_F_TSO6 &&
			       TAP_ECN == TUN_F_TSO_ECN && TAP_UFO == TUN_F_UFO,
		       "enum tap_offload is TUNSETOFFLOAD's");

	return ioctl(tap->fds[0], TUNSETOFFLOAD, (unsigned long)offloads) ? -errno : 0;
}

int tap_enable(const struct tap *tap, unsigned queue, bool on)
{
	struct ifreq request = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return ioctl(tap->fds[queue], TUNSETQUEUE, &request) ? -errno : 0;
}
