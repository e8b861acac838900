/* disk_io.c: reading and writing disks that are files.
 *
 * A request that comes alone is one system call on the lane's thread: nothing is faster. Where many
 * come at once, those that may wait for the disk go to the kernel together, so that the disk sees
 * them all (disk_ring_linux.c); where it takes none from us, threads do (disk_pool.c).
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <vibevmm/bytes.h>

#include "disk_private.h"

#define BOUNCE 65536U
#define PIECE  (16U << 20) /* at once, so that disk_cancel needn't wait for long */

/* ---- One after the other --------------------------------------------------------------------- */

/* Moves len bytes between fd and the beginning of *iov, which is consumed. */
static int transfer(const struct disk_file *file, int fd, bool write, struct iovec **iov,
		    unsigned *n_iov, uint64_t offset, uint64_t len)
{
	while (len) {
		uint64_t room = 0, most = len < PIECE ? len : PIECE;
		unsigned n = 0;
		size_t cut;
		ssize_t got;

		if (file->disk.canceled)
			return -ECANCELED;
		while (n < *n_iov && n < IOV_MAX && room < most)
			room += (*iov)[n++].iov_len;
		assert(n);
		cut = room > most ? (size_t)(room - most) : 0;
		(*iov)[n - 1].iov_len -= cut;
		got = write ? pwritev(fd, *iov, (int)n, (off_t)offset)
			    : preadv(fd, *iov, (int)n, (off_t)offset);
		(*iov)[n - 1].iov_len += cut;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EIO; /* the file is shorter than it was */
		disk_iov_skip(iov, n_iov, (size_t)got);
		offset += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}

/* All of a request, mostly by one call: its buffers needn't be counted then, for they are as long
 * as it is. What that left, and why, is transfer's. */
static int transfer_all(const struct disk_file *file, int fd, struct disk_request *r)
{
	ssize_t got = 0;

	if (r->n_iov <= IOV_MAX && r->len <= PIECE && !file->disk.canceled)
		got = r->op == DISK_WRITE ? pwritev(fd, r->iov, (int)r->n_iov, (off_t)r->offset)
					  : preadv(fd, r->iov, (int)r->n_iov, (off_t)r->offset);
	if (got == (ssize_t)r->len)
		return 0;
	if (got > 0) {
		disk_iov_skip(&r->iov, &r->n_iov, (size_t)got);
		r->offset += (uint64_t)got;
		r->len -= (uint64_t)got;
	}
	return transfer(file, fd, r->op == DISK_WRITE, &r->iov, &r->n_iov, r->offset, r->len);
}

static bool aligned(const struct disk_file *file, const struct disk_request *r)
{
	uintptr_t bits = 0;

	for (unsigned i = 0; i < r->n_iov; i++)
		bits |= (uintptr_t)r->iov[i].iov_base | r->iov[i].iov_len;
	return !(bits & (file->align - 1));
}

static void copy(struct iovec **iov, unsigned *n_iov, uint8_t *buf, size_t len, bool out)
{
	while (len) {
		size_t n = (*iov)->iov_len < len ? (*iov)->iov_len : len;

		if (out)
			memcpy((*iov)->iov_base, buf, n);
		else
			memcpy(buf, (*iov)->iov_base, n);
		disk_iov_skip(iov, n_iov, n);
		buf += n;
		len -= n;
	}
}

/* Through a buffer of ours: the guest's are not as direct I/O wants them. */
static int transfer_bounced(struct disk_file_lane *l, struct disk_request *r, bool write)
{
	uint64_t offset = r->offset, left = r->len;

	if (!l->bounce)
		l->bounce = aligned_alloc(4096, BOUNCE);
	if (!l->bounce)
		return -ENOMEM;
	while (left) {
		struct iovec one = { l->bounce, left < BOUNCE ? (size_t)left : BOUNCE };
		struct iovec *iov = &one;
		size_t len = one.iov_len;
		unsigned n = 1;
		int ret;

		if (write)
			copy(&r->iov, &r->n_iov, l->bounce, len, false);
		ret = transfer(disk_file_of(l), disk_file_of(l)->fd, write, &iov, &n, offset, len);
		if (ret)
			return ret;
		if (!write)
			copy(&r->iov, &r->n_iov, l->bounce, len, true);
		offset += len;
		left -= len;
	}
	return 0;
}

/* Each part from where it was written last. */
static int read_overlaid(const struct disk_file *file, struct disk_request *r)
{
	uint64_t offset = r->offset, left = r->len;

	while (left) {
		bool written;
		uint64_t len = disk_overlay_run(file->overlay, offset, left, &written);
		int ret = transfer(file, written ? disk_overlay_fd(file->overlay) : file->fd, false,
				   &r->iov, &r->n_iov, offset, len);

		if (ret)
			return ret;
		offset += len;
		left -= len;
	}
	return 0;
}

/* Linux tells of a failed write-back once; what a later flush says of it is worth nothing. */
int disk_io_flushed(struct disk_file *file, int result)
{
	if (result < 0)
		atomic_store(&file->broken, true);
	return atomic_load(&file->broken) ? (result < 0 ? result : -EIO) : 0;
}

int disk_io_flush(struct disk_file *file)
{
	if (file->disk.unsafe || file->disk.read_only)
		return 0;
	return disk_io_flushed(file, disk_host_flush(file->fd));
}

static int write_data(struct disk_file_lane *l, struct disk_request *r)
{
	struct disk_file *file = disk_file_of(l);
	uint64_t offset = r->offset, len = r->len;
	int ret;

	if (file->overlay) {
		ret = transfer_all(file, disk_overlay_fd(file->overlay), r);
		if (!ret)
			disk_overlay_mark(file->overlay, offset, len);
		return ret;
	}
	if (file->direct && !aligned(file, r))
		ret = transfer_bounced(l, r, true);
	else
		ret = transfer_all(file, file->fd, r);
	return !ret && r->durable ? disk_io_flush(file) : ret;
}

static int write_zeros(const struct disk_file *file, int fd, uint64_t offset, uint64_t len)
{
	static const uint8_t zeros[BOUNCE] __attribute__((aligned(4096)));

	while (len) {
		struct iovec one = { (void *)zeros, len < BOUNCE ? (size_t)len : BOUNCE };
		struct iovec *iov = &one;
		size_t part = one.iov_len;
		unsigned n = 1;
		int ret = transfer(file, fd, true, &iov, &n, offset, part);

		if (ret)
			return ret;
		offset += part;
		len -= part;
	}
	return 0;
}

static bool unsupported(int ret)
{
	return ret == -EOPNOTSUPP || ret == -ENOTSUP || ret == -ENOSYS || ret == -EINVAL ||
	       ret == -ENOTTY;
}

static int zero(struct disk_file *file, const struct disk_request *r)
{
	int fd = file->overlay ? disk_overlay_fd(file->overlay) : file->fd;
	int ret = r->unmap || file->overlay ? disk_host_punch(fd, r->offset, r->len)
					    : disk_host_zero(fd, r->offset, r->len);

	if (unsupported(ret))
		ret = write_zeros(file, fd, r->offset, r->len);
	if (!ret && file->overlay)
		disk_overlay_mark(file->overlay, r->offset, r->len);
	return !ret && r->durable ? disk_io_flush(file) : ret;
}

/* An advice: who can't follow it has done so. */
static int discard(const struct disk_file *file, const struct disk_request *r)
{
	int ret;

	if (file->device && !file->overlay)
		ret = disk_host_discard(file->fd, r->offset, r->len);
	else
		ret = disk_host_punch(file->overlay ? disk_overlay_fd(file->overlay) : file->fd,
				      r->offset, r->len);
	return unsupported(ret) ? 0 : ret;
}

int disk_io_serve(struct disk_file_lane *l, struct disk_request *r)
{
	struct disk_file *file = disk_file_of(l);

	if (file->disk.canceled)
		return -ECANCELED;
	if (file->disk.read_only && r->op != DISK_READ && r->op != DISK_FLUSH)
		return -EROFS;
	switch (r->op) {
	case DISK_READ:
		if (file->overlay)
			return read_overlaid(file, r);
		if (file->direct && !aligned(file, r))
			return transfer_bounced(l, r, false);
		return transfer_all(file, file->fd, r);
	case DISK_WRITE:
		return write_data(l, r);
	case DISK_FLUSH:
		return disk_io_flush(file);
	case DISK_DISCARD:
		return discard(file, r);
	case DISK_ZERO:
		return zero(file, r);
	}
	return -EINVAL;
}

/* The file that has all that a read wants; -1: two have. */
static int source(const struct disk_file *file, const struct disk_request *r)
{
	bool written;

	if (!file->overlay)
		return file->fd;
	if (disk_overlay_run(file->overlay, r->offset, r->len, &written) < r->len)
		return -1;
	return written ? disk_overlay_fd(file->overlay) : file->fd;
}

/* The file that a request may have to wait for; -1: it doesn't wait, as a write to the host's page
 * cache, or takes more than one step. */
static int waits_for(const struct disk_file *file, const struct disk_request *r)
{
	if (r->op == DISK_FLUSH)
		return file->disk.unsafe || file->disk.read_only ? -1 : file->fd;
	if (file->direct && !aligned(file, r))
		return -1;
	if (r->op == DISK_READ)
		return source(file, r);
	return r->op == DISK_WRITE && file->direct && !file->disk.read_only && !r->durable
		       ? file->fd
		       : -1;
}

static const struct disk_engine *engine_of(struct disk_file_lane *l)
{
	const struct disk_engine *engine;

	while (!l->engine && (engine = disk_host_engines[l->engines_failed])) {
		if (engine->make(l))
			l->engine = engine;
		else
			l->engines_failed++;
	}
	return l->engine;
}

static void run(struct disk_lane *lane)
{
	struct disk_file_lane *l = (struct disk_file_lane *)lane;
	bool many = lane->running || (lane->added && lane->added->next);
	const struct disk_engine *engine = many ? engine_of(l) : NULL;
	struct disk_request *r, *here = NULL, **here_end = &here;

	while ((r = disk_lane_take(lane))) {
		int fd = engine ? waits_for(disk_file_of(l), r) : -1;

		if (fd >= 0 && engine->start(l, r, fd)) {
			lane->running++;
			continue;
		}
		r->next = NULL;
		*here_end = r;
		here_end = &r->next;
	}
	if (engine && engine->begin)
		engine->begin(l, !here);
	while ((r = here)) {
		here = r->next;
		disk_lane_finish(lane, r, disk_io_serve(l, r));
	}
	if (engine)
		engine->collect(l);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int disk_io_open(struct disk_file *file, unsigned lanes)
{
	file->lanes = calloc(lanes, sizeof(*file->lanes));
	if (!file->lanes)
		return -ENOMEM;
	file->n_lanes = lanes;
	for (unsigned i = 0; i < lanes; i++)
		disk_lane_init(&file->lanes[i].lane, &file->disk);
	return 0;
}

void disk_io_close(struct disk_file *file)
{
	for (unsigned i = 0; i < file->n_lanes; i++) {
		if (file->lanes[i].engine)
			file->lanes[i].engine->free(&file->lanes[i]);
		free(file->lanes[i].bounce);
	}
	free(file->lanes);
}

static struct disk_lane *file_lane(struct disk *disk, unsigned index)
{
	struct disk_file *file = (struct disk_file *)disk;

	assert(index < file->n_lanes);
	return &file->lanes[index].lane;
}

static void file_close(struct disk *disk)
{
	struct disk_file *file = (struct disk_file *)disk;

	disk_io_close(file);
	disk_overlay_free(file->overlay);
	close(file->fd);
	free(file);
}

const struct disk_ops disk_io_ops = { .run = run, .lane = file_lane, .close = file_close };
