/* fs.h: the options of a shared folder. */
#ifndef VIRTIO_FS_H
#define VIRTIO_FS_H

#include <vibevmm/virtio.h>

#define FS_TAG 36 /* VIRTIO 5.11.4 */

struct fs_options {
	VIRTIO_MEMBERS;
	char *path, *tag;
	bool read_only;
	uint32_t sandbox; /* enum fs_sandbox */
};

#endif
