/* disk_file.c: opening disks that are regular files or block devices: locks, sizes, direct I/O.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>
#include <vibevmm/shell.h>

#include "disk_private.h"

#define ALIGN_MAX 4096U

static int out_of_memory(struct err *err)
{
	return err_set(err, ENOMEM, STATUS_OSERR, "out of memory");
}

static bool is_written(const struct disk_config *config)
{
	return !config->read_only && !config->ephemeral;
}

int disk_in_use(const struct disk_config *config, struct err *err)
{
	bool written = is_written(config);
	char word[SHELL_QUOTE_MAX];

	return err_set(err, EBUSY, STATUS_UNAVAILABLE,
		       "disk '%s' is in use: another program %s it, maybe another VM; the "
		       "kernel doesn't tell which (`fuser -v %s` lists who has it open). "
		       "Use a copy%s",
		       config->path, written ? "has locked" : "writes",
		       shell_quote(config->path, word, sizeof(word)),
		       written ? ", or `ephemeral: true` or `read_only: true` in both" : "");
}

static int lock(const struct disk_config *config, int fd, struct err *err)
{
	int ret = disk_host_lock(fd, is_written(config));

	if (ret == -EAGAIN || ret == -EACCES)
		return disk_in_use(config, err);
	if (ret)
		log_warn("disk '%s' can't be locked, so nothing keeps another VM from it: %s",
			 config->path, strerror(-ret));
	return 0;
}

static int measure(const struct disk_config *config, struct disk_file *file, struct err *err)
{
	unsigned block = 0;
	struct stat st;
	int ret;

	if (fstat(file->fd, &st))
		return err_errno(err, errno, STATUS_OSERR, "can't examine disk '%s'", config->path);
	if (S_ISREG(st.st_mode)) {
		file->disk.size = (uint64_t)st.st_size;
		file->disk.block = 4096;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "disk '%s' is neither a file nor a block device", config->path);
	file->device = true;
	ret = disk_host_size(file->fd, &file->disk.size, &block);
	if (ret)
		return err_errno(err, -ret, STATUS_OSERR, "can't tell the size of disk '%s'",
				 config->path);
	file->disk.block = bytes_is_power_of_2(block) ? block : 4096;
	return 0;
}

/* Finds out by reading what direct I/O must be a multiple of: not every kernel tells. */
static int find_alignment(const struct disk_config *config, struct disk_file *file, struct err *err)
{
	uint8_t *buf = aligned_alloc(2 * (size_t)ALIGN_MAX, 2 * (size_t)ALIGN_MAX);
	ssize_t n = -1;

	if (!buf)
		return out_of_memory(err);
	for (file->align = 512; file->align <= ALIGN_MAX; file->align *= 2) {
		/* At an address that is a multiple of no more than that. */
		n = pread(file->fd, buf + file->align % (2 * ALIGN_MAX), file->align, 0);
		if (n >= 0 || errno != EINVAL)
			break;
	}
	free(buf);
	if (n < 0)
		return err_errno(err, errno, STATUS_OSERR,
				 "can't read disk '%s' without the host's cache; use `cache: "
				 "writeback`",
				 config->path);
	if (file->align > config->sector)
		return err_set(err, EINVAL, STATUS_UNAVAILABLE,
			       "`cache: none` can't access '%s' in sectors of %u bytes, but of %u; "
			       "use `sector: %u` or `cache: writeback`",
			       config->path, config->sector, file->align, file->align);
	return 0;
}

/* Whether space can be given back: a hole beyond the end of a file changes nothing. */
static bool can_discard(const struct disk_file *file)
{
	if (file->disk.read_only)
		return false;
	return file->overlay || file->device ||
	       !disk_host_punch(file->fd, (file->disk.size | 0xfff) + 1, 4096);
}

static int open_image(const struct disk_config *config, struct disk_file *file, struct err *err)
{
	bool written = is_written(config);
	int flags = (written ? O_RDWR : O_RDONLY) | (file->direct ? disk_host_direct() : 0), ret;

	/* A pipe, where the file was when the config was checked, would wait for its other end. */
	file->fd = open(config->path, flags | O_NONBLOCK | O_CLOEXEC);
	if (file->fd < 0 && errno == EINVAL && file->direct)
		return err_set(
			err, EINVAL, STATUS_UNAVAILABLE,
			"the file system of disk '%s' has no direct I/O, which `cache: none` "
			"takes; use `cache: writeback`",
			config->path);
	if (file->fd < 0)
		return err_errno(err, errno, STATUS_NOINPUT, "can't open disk '%s' to %s it",
				 config->path, written ? "write" : "read");
	ret = measure(config, file, err);
	if (!ret &&
	    (fcntl(file->fd, F_SETFL, flags) || (file->direct && disk_host_uncached(file->fd))))
		ret = err_errno(err, errno, STATUS_OSERR, "can't set up disk '%s'", config->path);
	if (!ret)
		ret = lock(config, file->fd, err);
	if (!ret && file->direct)
		ret = find_alignment(config, file, err);
	if (!ret) {
		file->disk.size -= file->disk.size % config->sector;
		if (!file->disk.size)
			ret = err_set(err, EINVAL, STATUS_CONFIG,
				      "disk '%s' is smaller than one sector of %u bytes",
				      config->path, config->sector);
	}
	if (ret)
		close(file->fd);
	return ret;
}

int disk_file_open(const struct disk_config *config, struct disk **disk, struct err *err)
{
	struct disk_file *file = calloc(1, sizeof(*file));
	int ret;

	if (!file)
		return out_of_memory(err);
	file->disk.ops = &disk_io_ops;
	file->disk.read_only = config->read_only;
	/* What is lost at the end needs no flush, and the image stays in the host's cache. */
	file->disk.unsafe = config->cache == DISK_UNSAFE || config->ephemeral;
	file->direct = config->cache == DISK_DIRECT && !config->ephemeral;
	ret = open_image(config, file, err);
	if (ret)
		goto no_image;
	if (config->ephemeral && !config->read_only) {
		ret = -ENOMEM;
		file->overlay = disk_overlay_new(file->disk.size, err);
		if (!file->overlay)
			goto no_overlay;
	}
	ret = disk_io_open(file, config->lanes);
	if (ret) {
		out_of_memory(err);
		goto no_lanes;
	}
	if (file->disk.block < config->sector)
		file->disk.block = config->sector;
	file->disk.discards = can_discard(file);
	*disk = &file->disk;
	return 0;
no_lanes:
	disk_overlay_free(file->overlay);
no_overlay:
	close(file->fd);
no_image:
	free(file);
	return ret;
}
