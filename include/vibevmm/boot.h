/* boot.h: the boot formats: what turns an image file into guest memory and an entry point.
 *
 * A format is one `struct boot_row` (registry.h) in its own file and one line in
 * src/boot/boots.def. Image files are hostile input: every offset and length in them is checked
 * before it is used.
 */
#ifndef VIBEVMM_BOOT_H
#define VIBEVMM_BOOT_H

#include <vibevmm/image.h>
#include <vibevmm/registry.h>

/* All rows of boots.def. */
const struct boot_row *const *boot_rows(size_t *n);

/* What is in a file that is, or holds, gzip, xz, zstd or lz4: of a bzImage its vmlinux. Of any
 * other file the file itself. *out is open, for image_read and image_close; its path is the
 * caller's. cached: it is kept for the next time. 0 or -errno with err, which names the file. Any
 * thread. */
int boot_unpack(const char *path, bool cached, struct image *out, struct err *err);

/* The same for a Linux kernel, as what QEMU's -kernel is best given: unpacked, unless it is one for
 * x86 without the PVH entry. Its version is that of its modules: "6.1.0-18-amd64". */
struct boot_kernel {
	struct image image;
	enum arch arch;
	char version[64];
};

int boot_kernel_open(const char *path, struct boot_kernel *kernel, struct err *err);

#endif
