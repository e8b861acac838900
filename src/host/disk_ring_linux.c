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

/* A lane's, made at first need. */
struct disk_ring {
	struct io_uring uring;
	bool ready; /* else the kernel has none for us */
};

static bool ring_ready(struct disk_file_lane *l)
{
	int ret;

	if (l->ring)
		return l->ring->ready;
	l->ring = calloc(1, sizeof(*l->ring));
	if (!l->ring)
		return false;
	/* COOP: no interrupt of this thread for what it will fetch itself. Linux 5.19. */
	ret = io_uring_queue_init(RING_ENTRIES, &l->ring->uring, IORING_SETUP_COOP_TASKRUN);
	if (ret == -EINVAL)
		ret = io_uring_queue_init(RING_ENTRIES, &l->ring->uring, 0);
	if (ret)
		log_info("disks do without io_uring here, with threads: %s", strerror(-ret));
	l->ring->ready = !ret;
	return !ret;
}

void disk_ring_free(struct disk_file_lane *l)
{
	if (l->ring && l->ring->ready)
		io_uring_queue_exit(&l->ring->uring);
	free(l->ring);
}

/* Into the ring, if that is the place for it. */
static bool start(struct disk_file_lane *l, struct disk_request *r)
{
	int fd = disk_io_waits_for(disk_file_of(l), r);
	struct io_uring_sqe *sqe;

	if (fd < 0 || r->n_iov > IOV_MAX)
		return false;
	sqe = io_uring_get_sqe(&l->ring->uring);
	if (!sqe)
		return false;
	if (r->op == DISK_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (r->op == DISK_READ)
		io_uring_prep_readv(sqe, fd, r->iov, r->n_iov, r->offset);
	else
		io_uring_prep_writev(sqe, fd, r->iov, r->n_iov, r->offset);
	io_uring_sqe_set_data(sqe, r);
	l->lane.running++;
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

	while ((ret = io_uring_submit_and_wait(&l->ring->uring, wait)) < 0) {
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

	while (!io_uring_peek_cqe(&l->ring->uring, &cqe)) {
		struct disk_request *r = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&l->ring->uring, cqe);
		l->lane.running--;
		disk_lane_finish(&l->lane, r, finished(l, r, result));
	}
}

bool disk_ring_run(struct disk_file_lane *l)
{
	struct disk_request *r, *here = NULL, **here_end = &here;
	struct disk_lane *lane = &l->lane;

	if (!ring_ready(l))
		return false;
	while ((r = disk_lane_take(lane))) {
		if (start(l, r))
			continue;
		r->next = NULL;
		*here_end = r;
		here_end = &r->next;
	}
	if (io_uring_sq_ready(&l->ring->uring))
		submit(l, here ? 0 : 1);
	while ((r = here)) {
		here = r->next;
		disk_lane_finish(lane, r, disk_io_serve(l, r));
	}
	for (reap(l); !lane->done && lane->running; reap(l))
		submit(l, 1);
	return true;
}
