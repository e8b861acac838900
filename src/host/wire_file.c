/* wire_file.c: a log file: appended to, and with a limit, in two parts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire_end.h"

#define FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int check(const struct wire *wire, int fd, struct stat *st, struct err *err)
{
	const char *path = wire->config->file;

	if (fstat(fd, st))
		return err_errno(err, errno, STATUS_OSERR, "%s: cannot look at '%s'", wire->label,
				 path);
	if (!S_ISREG(st->st_mode) && (!S_ISCHR(st->st_mode) || wire->config->limit))
		return err_set(err, EINVAL, STATUS_UNAVAILABLE, "%s: '%s' is not a regular file",
			       wire->label, path);
	if (S_ISREG(st->st_mode) && flock(fd, LOCK_EX | LOCK_NB))
		return err_set(
			err, EBUSY, STATUS_UNAVAILABLE,
			"%s: '%s' is in use: another VM, or another line of this one, writes "
			"it",
			wire->label, path);
	return 0;
}

static int open_file(struct wire *wire, struct err *err)
{
	const char *path = wire->config->file;
	int fd = open(path, FLAGS, 0666), ret;
	struct stat st;

	if (fd < 0)
		return err_errno(err, errno, STATUS_OSERR, "%s: cannot write '%s'", wire->label,
				 path);
	ret = check(wire, fd, &st, err);
	if (ret) {
		close(fd);
		return ret;
	}
	wire->fd = fd;
	wire->file.size = (uint64_t)st.st_size;
	return 0;
}

static void close_file(struct wire *wire)
{
	close(wire->fd);
}

/* Gives the file its name, which must be nobody's meanwhile; file systems without links can't tell.
 */
static int put_in_place(const char *made, const char *path)
{
	if (!link(made, path))
		return unlink(made) ? -errno : 0;
	if (errno != EPERM && errno != EOPNOTSUPP)
		return errno == EEXIST ? -EBUSY : -errno;
	return rename(made, path) ? -errno : 0;
}

/* FILE becomes FILE.1, in place of an older one. The new one is locked before it has that name, so
 * that it is never another's. */
static int rotate(struct wire *wire)
{
	const char *path = wire->config->file;
	char *old = NULL, *made = NULL;
	int fd = -1, ret = -ENOMEM;

	if (asprintf(&old, "%s.1", path) < 0)
		return -ENOMEM;
	if (asprintf(&made, "%s.%ld", path, (long)getpid()) < 0)
		goto out;
	fd = open(made, FLAGS | O_EXCL, 0666);
	ret = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || rename(path, old) ? -errno : 0;
	if (!ret)
		ret = put_in_place(made, path);
	if (ret && fd >= 0) {
		unlink(made);
		close(fd);
	}
	if (!ret) {
		close(wire->fd);
		wire->fd = fd;
		wire->file.size = 0;
	}
	free(made);
out:
	free(old);
	return ret;
}

/* How much of it goes into the file as it is: up to the end of the last line that fits; 0: a new
 * file first. A line longer than a whole file is cut. */
static size_t fits(const struct wire *wire, const uint8_t *p, size_t len)
{
	uint64_t limit = wire->config->limit;
	uint64_t room = limit > wire->file.size ? limit - wire->file.size : 0;
	const uint8_t *end;

	if (!limit || len <= room)
		return len;
	end = memrchr(p, '\n', room);
	if (end)
		return (size_t)(end - p) + 1;
	return wire->file.size ? 0 : (size_t)room;
}

static ssize_t send_file(struct wire *wire, const void *buf, size_t len)
{
	size_t n = fits(wire, buf, len);
	ssize_t done;

	if (!n) {
		int ret = rotate(wire);

		if (ret) {
			errno = -ret;
			return -1;
		}
		n = fits(wire, buf, len);
	}
	done = write(wire->fd, buf, n);
	if (done > 0)
		wire->file.size += (uint64_t)done;
	return done;
}

const struct wire_end wire_file = {
	.open = open_file,
	.close = close_file,
	.send = send_file,
	.out_size = 256 << 10,
	.log = true,
};
