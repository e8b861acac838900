/* image.c: opening and reading image files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/image.h>

/* O_NONBLOCK: a FIFO named as an image must not hang us. */
static int open_regular(const char *path, uint64_t *size, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int ret;

	if (fd < 0)
		return -errno;
	*why = NULL;
	ret = -EINVAL;
	if (fstat(fd, &st))
		ret = -errno;
	else if (S_ISDIR(st.st_mode))
		*why = "is a directory";
	else if (!S_ISREG(st.st_mode))
		*why = "is not a regular file";
	else if (st.st_size == 0)
		*why = "is empty";
	else
		ret = 0;
	if (ret) {
		close(fd);
		return ret;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

int image_open(struct image *image, const char *path, struct mark mark, struct diags *diags)
{
	const char *why = NULL;
	uint64_t size = 0;
	int fd = open_regular(path, &size, &why);

	if (fd < 0) {
		if (why) {
			diag_error(diags, mark, "image '%s' %s", path, why);
			diag_help(diags, "name the file that the guest's build makes");
		} else {
			diag_missing_file(diags, mark, "cannot open image '%s': %s", path,
					  strerror(-fd));
			if (fd == -ENOENT && path[0] != '/')
				diag_help(diags,
					  "paths are relative to the config file that names them");
			if (fd == -ENOTDIR)
				diag_help(diags, "a file stands in the place of a directory in it");
			if (fd == -EACCES)
				diag_help(diags, "`namei -l %s` shows who may read it", path);
		}
		return fd;
	}
	*image = (struct image){ fd, size, path };
	return 0;
}

int image_reopen(struct image *image, const char *path, uint64_t size, struct err *err)
{
	const char *why = NULL;
	uint64_t now = 0;
	int fd = open_regular(path, &now, &why);

	if (fd < 0 && !why)
		return err_errno(err, -fd, STATUS_NOINPUT, "cannot open image '%s'", path);
	if (fd < 0)
		return err_set(err, -fd, STATUS_NOINPUT, "image '%s' %s", path, why);
	if (now != size) {
		close(fd);
		return err_set(err, EAGAIN, STATUS_NOINPUT,
			       "image '%s' changed its size while it was being loaded", path);
	}
	*image = (struct image){ fd, now, path };
	return 0;
}

void image_close(struct image *image)
{
	close(image->fd);
}

int image_read(const struct image *image, uint64_t offset, void *buf, uint64_t len)
{
	uint8_t *p = buf;

	if (offset > image->size || len > image->size - offset)
		return -EIO;
	while (len) {
		ssize_t n = pread(image->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int image_load(const struct image *image, uint64_t offset, struct memory *memory, uint64_t gpa,
	       uint64_t len, struct err *err)
{
	void *host;
	int ret;

	if (!len)
		return 0;
	host = memory_ptr(memory, gpa, len, false);
	if (!host)
		return err_set(err, EFAULT, STATUS_BUG, "image '%s' lies outside of guest memory",
			       image->path);
	ret = image_read(image, offset, host, len);
	if (ret)
		return err_errno(err, -ret, STATUS_NOINPUT, "cannot read image '%s'", image->path);
	return 0;
}

int image_load_file(const char *path, uint64_t size, struct memory *memory, uint64_t gpa,
		    struct err *err)
{
	struct image image = { .path = path };
	int ret = image_reopen(&image, path, size, err);

	if (ret)
		return ret;
	ret = image_load(&image, 0, memory, gpa, size, err);
	image_close(&image);
	return ret;
}
