/* sockets.h: a program at the other end of a device's unix socket. */
#ifndef TESTS_SOCKETS_H
#define TESTS_SOCKETS_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static inline int socket_dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Reads as many bytes as that, which must be those. */
static inline void socket_expect(int fd, const char *want)
{
	char buf[64] = { 0 };
	size_t done = 0;

	while (done < strlen(want)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, 20000), 1);
		n = read(fd, buf + done, strlen(want) - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_string_equal(buf, want);
}

#endif
