/* unixsock.c: unix sockets that a VM listens at. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/unixsock.h>

/* A socket, and the address of path. */
static int new_socket(const char *path, struct sockaddr_un *addr)
{
	int fd;

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) > UNIXSOCK_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(addr->sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd >= 0 ? fd : -errno;
}

int unixsock_connect(const char *path)
{
	struct sockaddr_un addr;
	int fd = new_socket(path, &addr), ret;

	if (fd < 0 || !connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/* A lock on the directory, which the kernel holds for us: so nobody takes a socket for a stale one
 * that is bound already and not listened at yet. -1: none, where we may not read it, or where
 * somebody else, whoever may read it, has held one for a second. */
static int lock_directory(const char *path)
{
	char copy[UNIXSOCK_PATH_MAX + 1];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (unsigned i = 0; i < 100; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		poll(NULL, 0, 10);
	}
	close(fd);
	return -1;
}

/* Removes a socket that nobody listens at. 0 or -errno. */
static int remove_unused(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = unixsock_connect(path);
	if (fd == -ECONNREFUSED)
		return unlink(path) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN ? -EADDRINUSE : fd;
}

static int bind_and_listen(int fd, const struct sockaddr_un *addr)
{
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return -errno;
	return listen(fd, SOMAXCONN) ? -errno : 0;
}

int unixsock_listen(const char *path, struct err *err)
{
	struct sockaddr_un addr;
	int fd = new_socket(path, &addr), lock, ret;

	if (fd == -ENAMETOOLONG)
		return err_set(err, ENAMETOOLONG, STATUS_CONFIG,
			       "'%s' is longer than the %zu bytes of a socket's path", path,
			       UNIXSOCK_PATH_MAX);
	if (fd < 0)
		return err_errno(err, -fd, STATUS_OSERR, "can't make a socket");
	lock = lock_directory(path);
	ret = bind_and_listen(fd, &addr);
	if (ret == -EADDRINUSE) {
		ret = remove_unused(path);
		if (!ret)
			ret = bind_and_listen(fd, &addr);
	}
	if (lock >= 0)
		close(lock);
	if (!ret)
		return fd;
	close(fd);
	if (ret == -EADDRINUSE)
		return err_set(err, -ret, STATUS_UNAVAILABLE,
			       "somebody listens at '%s', perhaps another VM; choose another path",
			       path);
	if (ret == -EEXIST)
		return err_set(err, -ret, STATUS_UNAVAILABLE,
			       "'%s' is there already, and is no socket; remove it, or choose "
			       "another path",
			       path);
	return err_errno(err, -ret, STATUS_UNAVAILABLE, "can't listen at '%s'", path);
}

void unixsock_unlisten(int fd, const char *path)
{
	int lock = lock_directory(path);

	close(fd);
	remove_unused(path);
	if (lock >= 0)
		close(lock);
}

/* *made: how many connections there are, on failure, too. */
static int make_private(const char *path, int *listener, int *connected, unsigned n, unsigned *made)
{
	struct sockaddr_un addr;

	*listener = new_socket(path, &addr);
	if (*listener < 0)
		return *listener;
	if (bind(*listener, (const struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(*listener, (int)n) || fcntl(*listener, F_SETFL, 0))
		return -errno;
	for (; *made < n; ++*made) {
		int fd = unixsock_connect(path);

		if (fd < 0)
			return fd;
		connected[*made] = fd;
		fcntl(fd, F_SETFL, 0);
	}
	return 0;
}

int unixsock_private(int *listener, int *connected, unsigned n)
{
	const char *tmp = getenv("TMPDIR");
	char folder[UNIXSOCK_PATH_MAX - 8], path[UNIXSOCK_PATH_MAX + 1];
	unsigned made = 0;
	int ret, fd = -1;

	/* A socket's name is short; the folder keeps others away from it meanwhile. */
	ret = snprintf(folder, sizeof(folder), "%s/vibevmm-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if ((size_t)ret >= sizeof(folder))
		snprintf(folder, sizeof(folder), "/tmp/vibevmm-XXXXXX");
	if (!mkdtemp(folder))
		return -errno;
	snprintf(path, sizeof(path), "%s/s", folder);
	ret = make_private(path, &fd, connected, n, &made);
	unlink(path);
	rmdir(folder);
	if (!ret) {
		*listener = fd;
		return 0;
	}
	while (made)
		close(connected[--made]);
	if (fd >= 0)
		close(fd);
	return ret;
}
