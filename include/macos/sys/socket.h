/* socket.h: what Linux has there and macOS lacks: flags of a descriptor that is being made. For a
 * moment another thread may start a program that has it, too. */
#ifndef MACOS_SYS_SOCKET_H
#define MACOS_SYS_SOCKET_H

#include_next <sys/socket.h>

#include <fcntl.h>

#define SOCK_CLOEXEC  0x10000000
#define SOCK_NONBLOCK 0x20000000

/* A write to a socket that nobody reads gives EPIPE, as MSG_NOSIGNAL does elsewhere. */
static inline int macos_socket_flags(int fd, int flags)
{
	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){ 1 }, sizeof(int));
	if (flags & SOCK_CLOEXEC)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (flags & SOCK_NONBLOCK)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline int macos_socket(int domain, int type, int protocol)
{
	return macos_socket_flags(socket(domain, type & 0xffff, protocol), type);
}
#define socket macos_socket

static inline int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return macos_socket_flags(accept(fd, addr, len), flags);
}

static inline int macos_socketpair(int domain, int type, int protocol, int fds[2])
{
	if (socketpair(domain, type & 0xffff, protocol, fds))
		return -1;
	for (int i = 0; i < 2; i++)
		macos_socket_flags(fds[i], type);
	return 0;
}
#define socketpair macos_socketpair

#endif
