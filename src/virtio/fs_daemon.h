/* fs_daemon.h: virtiofsd, the program that serves a shared folder, as our child. */
#ifndef VIRTIO_FS_DAEMON_H
#define VIRTIO_FS_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include <vibevmm/err.h>

#define FS_DAEMON_PROGRAM "virtiofsd"

/* Where distributions have it; behind FS_DAEMON_IN_C, the older one. */
#define FS_DAEMON_IN_C	  "/usr/lib/qemu"
#define FS_DAEMON_FOLDERS "/usr/libexec:/usr/lib:/usr/local/bin:/usr/bin:" FS_DAEMON_IN_C
#define FS_DAEMON_PACKAGE "virtiofsd, or qemu-system-common up to Debian 12"

enum fs_sandbox { FS_NAMESPACE, FS_CHROOT };

struct fs_daemon_config {
	const char *path; /* the folder: absolute, without symbolic links */
	bool read_only;
	enum fs_sandbox sandbox;
};

struct fs_daemon {
	pid_t pid;
	int fd; /* our end of its vhost-user socket; it ends when that is closed, whoever does it */
};

/* 0, or -errno with the reason and the next step. The child may still find out that it can't: then
 * it says why on standard error, and its end of the socket is closed. */
int fs_daemon_start(struct fs_daemon *daemon, const struct fs_daemon_config *config,
		    struct err *err);

/* Ends it; `wait`: it is about to end by itself. What it was told to do is done or not: nothing of
 * it waits in the program. When this returns it doesn't touch guest memory any more. The status
 * that waitpid(2) gives. */
int fs_daemon_end(struct fs_daemon *daemon, bool wait);

#endif
