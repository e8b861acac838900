/* unixsock.h: unix sockets that a VM listens at.
 *
 * A socket file outlives its owner. So one that nobody listens at is taken for what a killed VM
 * left behind, and replaced; one that somebody listens at is his. Any thread.
 */
#ifndef VIBEVMM_UNIXSOCK_H
#define VIBEVMM_UNIXSOCK_H

#include <sys/un.h>

#include <vibevmm/err.h>

#define UNIXSOCK_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* A socket, non-blocking and closed in programs that are started, that listens at path. Or -errno
 * with err: what is wrong with the path, for a message behind the device's label. */
int unixsock_listen(const char *path, struct err *err);

/* Closes it, and removes its file unless that is another's by now. */
void unixsock_unlisten(int fd, const char *path);

/* Another to who listens at path. -errno without words: -ENOENT, -ECONNREFUSED and, if too many
 * wait there, -EAGAIN say that nobody does. */
int unixsock_connect(const char *path);

/* A listening socket with n connections of ours waiting in it, and without a name, so that nobody
 * else gets in: for a program that we start. They block, and are closed in programs that are
 * started. 0 or -errno. */
int unixsock_private(int *listener, int *connected, unsigned n);

#endif
