/* lab_cpio.c: archives in the format "newc" of cpio(1): Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lab.h"

/* Header and name, and the data as well, are padded to this. */
#define ALIGN 4

static void pad(FILE *out, size_t len)
{
	while (len++ % ALIGN)
		fputc(0, out);
}

static void add(FILE *out, const char *name, size_t name_len, mode_t mode, const void *data,
		size_t len)
{
	/* inode, mode, uid, gid, links, mtime, size, device, of which it is (of a device file),
	 * length of the name with its NUL, and a checksum that this format doesn't have. */
	int head = fprintf(out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0,
			   (unsigned)mode, 0, 0, 1, 0, (unsigned)len, 0, 0, 0, 0,
			   (unsigned)name_len + 1, 0);

	fwrite(name, 1, name_len, out);
	fputc(0, out);
	pad(out, (head < 0 ? 0 : (size_t)head) + name_len + 1);
	fwrite(data, 1, len, out);
	pad(out, len);
}

int lab_cpio_add(FILE *out, const char *name, mode_t mode, const void *data, size_t len)
{
	if (len > UINT32_MAX)
		return -EFBIG;
	for (const char *slash = name; (slash = strchr(slash, '/')); slash++)
		add(out, name, (size_t)(slash - name), S_IFDIR | 0755, "", 0);
	add(out, name, strlen(name), mode, data, len);
	return 0;
}

void lab_cpio_end(FILE *out)
{
	lab_cpio_add(out, "TRAILER!!!", 0, "", 0);
}
