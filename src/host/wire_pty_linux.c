/* wire_pty_linux.c: who has the terminal open.
 *
 * While nobody has, the master always polls as hung up, so it isn't polled then; inotify tells of
 * those who open it.
 */
#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include "wire_end.h"

const char wire_pty_names[] = "/dev/pts/";

/* The settings are the terminal's, at whichever end they are made, and stay while the master is
 * open. */
static int make_raw(int master)
{
	struct termios mode;

	if (tcgetattr(master, &mode))
		return -errno;
	cfmakeraw(&mode);
	return tcsetattr(master, TCSANOW, &mode) ? -errno : 0;
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

int wire_pty_prepare(struct wire *wire)
{
	int ret = make_raw(wire->pty.master);

	if (ret)
		return ret;
	ret = make_door(wire->pty.name);
	if (ret < 0)
		return ret;
	wire->door = ret;
	return 0;
}

/* Whoever opened it may have gone again. */
void wire_pty_knock(struct wire *wire)
{
	struct pollfd master = { .fd = wire->pty.master };
	char events[1024];

	while (read(wire->door, events, sizeof(events)) > 0)
		;
	if (poll(&master, 1, 0) == 0)
		wire->fd = wire->pty.master;
}
