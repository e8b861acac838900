/* wire_pty.c: a pseudoterminal, found by a symbolic link.
 *
 * Our end is the master. Who opens the other one, and when, is wire_pty_linux.c's and
 * wire_pty_macos.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/log.h>

#include "wire_end.h"

static int make_terminal(char *name, size_t len)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), ret = 0;

	if (master < 0)
		return -errno;
	if (grantpt(master) || unlockpt(master) || ptsname_r(master, name, len) ||
	    fcntl(master, F_SETFL, O_NONBLOCK) < 0)
		ret = -errno;
	if (ret)
		close(master);
	return ret ? ret : master;
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
	if (strncmp(old, wire_pty_names, strlen(wire_pty_names)) != 0 || !access(old, F_OK) ||
	    unlink(path))
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
	ret = wire_pty_prepare(wire);
	if (ret) {
		close(wire->pty.master);
		return err_errno(err, -ret, STATUS_OSERR, "%s: cannot prepare %s", wire->label,
				 wire->pty.name);
	}
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

const struct wire_end wire_pty = {
	.open = open_pty,
	.close = close_pty,
	.knock = wire_pty_knock,
	.out_size = 64 << 10,
};
