/* unpack_file.c: kernels and their modules, unpacked for others than the boot formats. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/boot.h>

#include "elf.h"
#include "linux.h"
#include "unpack_private.h"

static int open_file(const char *path, struct image *image, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st = { 0 };
	int ret = 0;

	if (fd < 0 || fstat(fd, &st))
		ret = err_errno(err, errno, STATUS_NOINPUT, "can't open '%s'", path);
	else if (!S_ISREG(st.st_mode) || !st.st_size)
		ret = err_set(err, EINVAL, STATUS_NOINPUT, "'%s' is %s", path,
			      S_ISREG(st.st_mode) ? "empty" : "no regular file");
	if (!ret)
		*image = (struct image){ fd, (uint64_t)st.st_size, path };
	else if (fd >= 0)
		close(fd);
	return ret;
}

/* Which part of the file is packed. 0; -ENOENT: none is. */
static int find_part(const struct image *file, uint64_t *offset, uint64_t *len, struct err *err)
{
	int ret = linux_x86_64_payload(file, offset, len, err);

	return ret == -ENOENT ? unpack_find(file, offset, len, err) : ret;
}

static int unpack_to_memory(const struct unpack_part *part, struct image *out, struct err *err)
{
	int fd = memfd_create("unpacked", MFD_CLOEXEC), ret;
	bool full = false;
	uint64_t size;

	if (fd < 0)
		return err_errno(err, errno, STATUS_OSERR, "can't be unpacked");
	ret = unpack_stream(part, fd, &size, &full, err);
	if (ret)
		close(fd);
	else
		*out = (struct image){ fd, size, part->image->path };
	return ret;
}

int boot_unpack(const char *path, bool cached, struct image *out, struct err *err)
{
	struct err why = { 0 };
	uint64_t offset, len;
	struct image file;
	int ret;

	ret = open_file(path, &file, err);
	if (ret)
		return ret;
	ret = find_part(&file, &offset, &len, &why);
	if (ret == -ENOENT) {
		*out = file;
		return 0;
	}
	if (!ret && cached)
		ret = unpack(&file, offset, len, UNPACK_MAX, out, &why);
	else if (!ret)
		ret = unpack_to_memory(&(struct unpack_part){ &file, offset, len, UNPACK_MAX }, out,
				       &why);
	if (ret)
		err_set(err, -ret, STATUS_UNAVAILABLE, "'%s' %s", path, why.text);
	image_close(&file);
	return ret;
}

/* ---- Kernels ------------------------------------------------------------------------------- */

/* The text that /proc/version begins with: "Linux version 6.1.0 (...". A kernel also has it as a
 * format, with a % there. */
static bool find_version(const struct image *image, char version[64])
{
	static const char begin[] = "Linux version ";
	const char *map, *at, *end;
	size_t n = 0;

	map = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, image->fd, 0);
	if (map == MAP_FAILED)
		return false;
	end = map + image->size;
	for (at = map; !n && (at = memmem(at, (size_t)(end - at), begin, sizeof(begin) - 1));) {
		at += sizeof(begin) - 1;
		while (n < 63 && at + n < end && isgraph((unsigned char)at[n]) && at[n] != '%' &&
		       at[n] != '/')
			n++;
		if (n && isdigit((unsigned char)*at) && at + n < end && at[n] == ' ') {
			memcpy(version, at, n);
			version[n] = 0;
		} else {
			n = 0;
		}
	}
	munmap((void *)map, image->size);
	return n;
}

static int no_kernel(const char *path, const char *why, struct err *err)
{
	return err_set(err, ENOEXEC, STATUS_UNAVAILABLE, "'%s' %s", path, why);
}

/* For whom it is, and whether QEMU can enter it as it is. */
static int look(const struct image *image, enum arch *arch, bool *enterable, struct err *err)
{
	struct linux_arm64_image arm64;
	struct err why = { 0 };
	struct elf elf;

	*enterable = true;
	if (!elf_read(image, &elf, &why)) {
		if (elf.machine != ELF_X86_64 || !elf.is_64)
			return no_kernel(image->path, "is no kernel for x86_64 or arm64", err);
		*arch = ARCH_X86_64;
		*enterable = elf.has_pvh;
		return 0;
	}
	if (linux_arm64_read(image, &arm64, &why))
		return no_kernel(image->path, "is no Linux kernel", err);
	*arch = ARCH_ARM64;
	return 0;
}

int boot_kernel_open(const char *path, struct boot_kernel *kernel, struct err *err)
{
	struct boot_kernel found = { 0 };
	struct err why = { 0 };
	uint64_t offset, len;
	struct image file;
	bool enterable;
	int ret;

	ret = boot_unpack(path, true, &found.image, err);
	if (ret)
		return ret;
	ret = look(&found.image, &found.arch, &enterable, err);
	if (!ret && !find_version(&found.image, found.version))
		ret = no_kernel(path, "does not say which version of Linux it is", err);
	if (!ret && !enterable) {
		ret = open_file(path, &file, err);
		if (!ret && linux_x86_64_payload(&file, &offset, &len, &why)) {
			image_close(&file);
			ret = no_kernel(path, "is a vmlinux without the PVH entry (CONFIG_PVH)",
					err);
		} else if (!ret) {
			image_close(&found.image);
			found.image = file;
		}
	}
	if (ret)
		image_close(&found.image);
	else
		*kernel = found;
	return ret;
}
