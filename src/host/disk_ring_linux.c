/* disk_ring_linux.c: requests that the kernel does at once, by io_uring(7).
 *
 * Only those that may wait for the disk: io_uring would give others to threads of its own.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <liburing.h>

#include <vibevmm/log.h>

#include "disk_private.h"

#define RING_ENTRIES 64

static struct io_uring *ring_of(struct disk_file_lane *l)
{
	return l->engine_state;
}

static bool make(struct disk_file_lane *l)
{
	struct io_uring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return false;
	/* COOP: no interrupt of this thread for what it will fetch itself. Linux 5.19. */
	ret = io_uring_queue_init(RING_ENTRIES, ring, IORING_SETUP_COOP_TASKRUN);
	if (ret == -EINVAL)
		ret = io_uring_queue_init(RING_ENTRIES, ring, 0);
	if (ret) {
		log_info("disks do without io_uring here, with threads: %s", strerror(-ret));
		free(ring);
		return false;
	}
	l->engine_state = ring;
	return true;
}

static void end(struct disk_file_lane *l)
{
	io_uring_queue_exit(ring_of(l));
	free(ring_of(l));
}

static bool start(struct disk_file_lane *l, struct disk_request *r, int fd)
{
	struct io_uring_sqe *sqe = r->n_iov <= IOV_MAX ? io_uring_get_sqe(ring_of(l)) : NULL;

	if (!sqe)
		return false;
	if (r->op == DISK_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (r->op == DISK_READ)
		io_uring_prep_readv(sqe, fd, r->iov, r->n_iov, r->offset);
	else
		io_uring_prep_writev(sqe, fd, r->iov, r->n_iov, r->offset);
	io_uring_sqe_set_data(sqe, r);
	return true;
}

/* What came of it; the rest of what was done in part, or not at all, is done here. */
static int finished(struct disk_file_lane *l, struct disk_request *r, int result)
{
	struct disk_file *file = disk_file_of(l);

	if (r->op == DISK_FLUSH)
		return result == -EAGAIN || result == -EINTR ? disk_io_flush(file)
							     : disk_io_flushed(file, result);
	if (result == -EAGAIN || result == -EINTR)
		result = 0;
	else if (result <= 0)
		return result ? result : -EIO;
	if ((uint64_t)result == r->len)
		return 0;
	disk_iov_skip(&r->iov, &r->n_iov, (size_t)result);
	r->offset += (uint64_t)result;
	r->len -= (uint64_t)result;
	return disk_io_serve(l, r);
}

static void submit(struct disk_file_lane *l, unsigned wait)
{
	int ret;

	while ((ret = io_uring_submit_and_wait(ring_of(l), wait)) < 0) {
		/* Others would be our fault. The kernel's shortages pass. */
		assert(ret == -EINTR || ret == -EAGAIN || ret == -EBUSY || ret == -ENOMEM);
		if (ret == -EBUSY)
			return; /* first take what is done */
		sched_yield();
	}
}

static void reap(struct disk_file_lane *l)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(ring_of(l), &cqe)) {
		struct disk_request *r = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(ring_of(l), cqe);
		l->lane.running--;
		disk_lane_finish(&l->lane, r, finished(l, r, result));
	}
}

static void begin(struct disk_file_lane *l, bool wait)
{
	if (io_uring_sq_ready(ring_of(l)))
		submit(l, wait);
}

static void collect(struct disk_file_lane *l)
{
	for (reap(l); !l->lane.done && l->lane.running; reap(l))
		submit(l, 1);
}

const struct disk_engine disk_ring = {
	.make = make,
	.start = start,
	.begin = begin,
	.collect = collect,
	.free = end,
};
