/* wire_socket.c: a Unix socket that one client at a time connects to. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vibevmm/unixsock.h>

#include "wire_end.h"

static int open_socket(struct wire *wire, struct err *err)
{
	struct err why;
	int fd = unixsock_listen(wire->config->socket, &why);

	if (fd < 0)
		return err_set(err, -fd, (enum status)why.status, "%s: %s", wire->label, why.text);
	wire->door = fd;
	return 0;
}

static void close_socket(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	unixsock_unlisten(wire->door, wire->config->socket);
}

static void accept_client(struct wire *wire)
{
	int fd = accept(wire->door, NULL, NULL);

	if (fd < 0)
		return;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		close(fd);
	else
		wire->fd = fd;
}

static void leave_client(struct wire *wire)
{
	close(wire->fd);
}

static ssize_t send_client(struct wire *wire, const void *buf, size_t len)
{
	return send(wire->fd, buf, len, MSG_NOSIGNAL);
}

const struct wire_end wire_socket = {
	.open = open_socket,
	.close = close_socket,
	.knock = accept_client,
	.leave = leave_client,
	.send = send_client,
	.out_size = 64 << 10,
};
