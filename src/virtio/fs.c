/* fs.c: a folder of the host, shared with the guest: VIRTIO 5.11.
 *
 * virtiofsd does the work. Each driver gets a fresh one: what one has opened, no other finds. The
 * first is started before there is a guest, so that what it lacks is found out in time.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <vibevmm/bytes.h>

#include "fs.h"
#include "fs_daemon.h"
#include "vhost_user.h"

#define VIRTIO_ID_FS	  26	   /* VIRTIO 5 */
#define PCI_CLASS_STORAGE 0x018000 /* mass storage, other */

enum { HIGH_PRIORITY, REQUESTS, QUEUES };

struct fs {
	struct vhost_user user;	 /* first: vhost_user.h */
	struct fs_daemon daemon; /* fd -1: there is none */
	uint8_t config[FS_TAG + 4];
	char path[PATH_MAX];
};

/* A daemon that is ready for a driver. */
static int start_daemon(struct virtio *v, struct err *err)
{
	const struct fs_options *options = v->dev->options;
	struct fs *fs = v->state;
	struct fs_daemon_config config = {
		.path = fs->path,
		.read_only = options->read_only,
		.sandbox = (enum fs_sandbox)options->sandbox,
	};
	int ret = fs_daemon_start(&fs->daemon, &config, err), status;

	if (ret)
		return ret;
	ret = vhost_user_open(&fs->user, v, "virtiofsd", fs->daemon.fd);
	if (!ret)
		return 0;
	status = fs_daemon_end(&fs->daemon, ret == -EPIPE);
	if (ret != -EPIPE)
		return err_errno(err, -ret, STATUS_UNAVAILABLE,
				 "virtiofsd does not speak as it should");
	return err_set(err, -ret, STATUS_UNAVAILABLE,
		       "virtiofsd ended at once, with status %d: it says above why; in a container "
		       "`sandbox: chroot` may help",
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- Life --------------------------------------------------------------------------------- */

static int start(struct virtio *v)
{
	struct fs *fs = v->state;
	struct err err;
	int ret = fs->daemon.fd < 0 ? start_daemon(v, &err) : 0;

	if (ret) {
		virtio_broken(v, "%s", err.text); /* a guest can try for ever */
		return ret;
	}
	ret = vhost_user_start(&fs->user);
	if (ret) {
		virtio_broken(v, "virtiofsd: %s", strerror(-ret));
		fs_daemon_end(&fs->daemon, false);
	}
	return ret;
}

static void stop(struct virtio *v)
{
	struct fs *fs = v->state;

	vhost_user_stop(&fs->user);
	fs_daemon_end(&fs->daemon, false);
}

static void destroy(struct virtio *v)
{
	struct fs *fs = v->state;

	if (fs->daemon.fd >= 0)
		fs_daemon_end(&fs->daemon, false);
	free(fs);
}

static int find_folder(struct fs *fs, const char *path, struct err *err)
{
	struct stat st;

	if (!realpath(path, fs->path) || stat(fs->path, &st))
		return err_errno(err, errno, STATUS_NOINPUT, "can't share '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, STATUS_NOINPUT, "can't share '%s': it is no folder",
			       path);
	return 0;
}

static int create_state(struct virtio *v, struct err *err)
{
	const struct fs_options *options = v->dev->options;
	const char *label = v->dev->plan->label;
	struct fs *fs = calloc(1, sizeof(*fs));
	struct err why;
	int ret;

	if (!fs)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", label);
	fs->daemon.fd = -1;
	memcpy(fs->config, options->tag, strnlen(options->tag, FS_TAG));
	bytes_put32(fs->config + FS_TAG, QUEUES - REQUESTS);
	v->state = fs;
	v->n_queues = QUEUES;
	v->config = fs->config;
	v->config_len = sizeof(fs->config);
	ret = find_folder(fs, options->path, &why);
	if (!ret)
		ret = start_daemon(v, &why);
	if (ret) {
		free(fs);
		return err_set(err, -ret, (enum status)why.status, "%s: %s", label, why.text);
	}
	return 0;
}

static const struct virtio_type type = {
	.id = VIRTIO_ID_FS,
	.pci_class = PCI_CLASS_STORAGE,
	.create = create_state,
	.destroy = destroy,
	.start = start,
	.stop = stop,
};

static int create(struct device *dev, struct err *err)
{
	return virtio_create(dev, &type, err);
}

static const char *const sandbox_words[] = {
	[FS_NAMESPACE] = "namespace",
	[FS_CHROOT] = "chroot",
	NULL,
};

static const struct option options[] = {
	VIRTIO_OPTIONS(struct fs_options),
	OPTION(struct fs_options, path, OPTION_PATH, .required = true, .folder = true,
	       .sample = "shared", .doc = "The folder of the host"),
	OPTION(struct fs_options, tag, OPTION_STRING, .required = true, .min = 1, .max = FS_TAG,
	       .unique = true, .sample = "share",
	       .doc = "Its name in the guest: `mount -t virtiofs TAG /mnt`"),
	OPTION(struct fs_options, read_only, OPTION_BOOL, .def = "false",
	       .doc = "The guest can't change what is in it"),
	OPTION(struct fs_options, sandbox, OPTION_ENUM, .words = sandbox_words, .def = "namespace",
	       .doc = "How virtiofsd keeps itself inside the folder: in namespaces of its own, or, "
		      "in a container that forbids these, by chroot"),
	{ 0 },
};

static const struct device_program programs[] = {
	{ FS_DAEMON_PROGRAM, FS_DAEMON_FOLDERS, "shared folders", FS_DAEMON_PACKAGE, NULL, 0 },
	{ 0 },
};

const struct device_row device_virtio_fs = {
	.type = {
		.name = "virtio-fs",
		.doc = "A folder of the host, shared with the guest through virtiofsd",
		.options = options,
		.size = sizeof(struct fs_options),
	},
	VIRTIO_ROW,
	.programs = programs,
	.shares_memory = true,
	.linux_only = "put the files on a disk, and give it to the guest as a virtio-blk",
	.create = create,
};
