/* wire_pty_macos.c: the terminal is open always, by us.
 *
 * Nobody tells here who opens one, and its settings go with the last who has it. So it is as a line
 * without a wire for "somebody is there": what nobody reads waits, then is lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "wire_end.h"

const char wire_pty_names[] = "/dev/ttys";

int wire_pty_prepare(struct wire *wire)
{
	int fd = open(wire->pty.name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), ret = 0;
	struct termios mode;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &mode))
		ret = -errno;
	cfmakeraw(&mode);
	if (!ret && tcsetattr(fd, TCSANOW, &mode))
		ret = -errno;
	if (ret) {
		close(fd);
		return ret;
	}
	wire->door = fd;
	wire->fd = wire->pty.master;
	return 0;
}

/* Readable is what we wrote: somebody else's, so never ours to take. */
void wire_pty_knock(struct wire *wire)
{
	wire->fd = wire->pty.master;
}
