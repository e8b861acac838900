/* wire_pty.c: a pseudoterminal, found by a symbolic link.
 *
 * Our end is the master. While nobody has the terminal open, the master always polls as hung up, so
 * it isn't polled then; inotify tells of those who open it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "wire_end.h"

/* Raw from the start: the guest echoes and edits. On Linux the settings are the terminal's, at
 * whichever end they are made, and stay while the master is open. */
static int make_raw(int master)
{
	struct termios mode;

	if (tcgetattr(master, &mode))
		return -errno;
	cfmakeraw(&mode);
	return tcsetattr(master, TCSANOW, &mode) ? -errno : 0;
}

static int make_terminal(char *name, size_t len)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), ret = 0;

	if (master < 0)
		return -errno;
	if (grantpt(master) || unlockpt(master) || ptsname_r(master, name, len) ||
	    fcntl(master, F_SETFL, O_NONBLOCK) < 0)
		ret = -errno;
	if (!ret)
		ret = make_raw(master);
	if (ret)
		close(master);
	return ret ? ret : master;
}

static int make_door(const char *name)
{
	int door = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), error;

	if (door < 0 || inotify_add_watch(door, name, IN_OPEN) >= 0)
		return door < 0 ? -errno : door;
	error = errno;
	close(door);
	return -error;
}

/* Makes the link. One that leads to a terminal that is gone was left by a VM that was killed. */
static int make_link(const char *name, const char *path)
{
	char old[64];
	ssize_t len;

	if (!symlink(name, path))
		return 0;
	if (errno != EEXIST)
		return -errno;
	len = readlink(path, old, sizeof(old) - 1);
	if (len < 0)
		return -EEXIST;
	old[len] = 0;
	if (strncmp(old, "/dev/pts/", 9) != 0 || !access(old, F_OK) || unlink(path))
		return -EEXIST;
	return symlink(name, path) ? -errno : 0;
}

static int open_pty(struct wire *wire, struct err *err)
{
	const char *path = wire->config->pty;
	int ret = make_terminal(wire->pty.name, sizeof(wire->pty.name));

	if (ret < 0)
		return err_errno(err, -ret, STATUS_OSERR, "%s: cannot make a terminal",
				 wire->label);
	wire->pty.master = ret;
	ret = make_door(wire->pty.name);
	if (ret < 0) {
		close(wire->pty.master);
		return err_errno(err, -ret, STATUS_OSERR, "%s: cannot watch %s", wire->label,
				 wire->pty.name);
	}
	wire->door = ret;
	ret = make_link(wire->pty.name, path);
	if (!ret) {
		log_info("%s: its terminal is %s, and '%s' leads there", wire->label,
			 wire->pty.name, path);
		return 0;
	}
	close(wire->door);
	close(wire->pty.master);
	if (ret == -EEXIST)
		return err_set(err, EEXIST, STATUS_UNAVAILABLE,
			       "%s: '%s' is there already, and not for a terminal that is gone; "
			       "remove it, or choose another path",
			       wire->label, path);
	return err_errno(err, -ret, STATUS_OSERR, "%s: cannot make the link '%s'", wire->label,
			 path);
}

/* The link is taken away unless it has become another one's. */
static void close_pty(struct wire *wire)
{
	const char *path = wire->config->pty;
	char name[sizeof(wire->pty.name)] = "";

	if (readlink(path, name, sizeof(name) - 1) > 0 && !strcmp(name, wire->pty.name))
		unlink(path);
	close(wire->door);
	close(wire->pty.master);
}

/* Whoever opened it may have gone again. */
static void look(struct wire *wire)
{
	struct pollfd master = { .fd = wire->pty.master };
	char events[1024];

	while (read(wire->door, events, sizeof(events)) > 0)
		;
	if (poll(&master, 1, 0) == 0)
		wire->fd = wire->pty.master;
}

const struct wire_end wire_pty = {
	.open = open_pty,
	.close = close_pty,
	.knock = look,
	.out_size = 64 << 10,
};
