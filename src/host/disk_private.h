/* disk_private.h: what kinds of disks have in common.
 */
#ifndef HOST_DISK_PRIVATE_H
#define HOST_DISK_PRIVATE_H

#include <stddef.h>

#include <vibevmm/disk.h>

struct disk_lane {
	struct disk *disk;
	struct disk_request *added, **added_end; /* not started yet, in order */
	struct disk_request *done, **done_end;
	unsigned running; /* started, and not done yet */
};

struct disk_ops {
	/* Starts all that was added, and returns when something is done, if anything runs. */
	void (*run)(struct disk_lane *lane);
	struct disk_lane *(*lane)(struct disk *disk, unsigned index);
	void (*close)(struct disk *disk);
};

struct disk {
	const struct disk_ops *ops;
	uint64_t size;
	uint32_t block;
	bool read_only, discards;
	bool unsafe; /* flushes need not reach the disk */
	_Atomic bool canceled;
};

/* Takes the first of what was added; NULL: none. */
struct disk_request *disk_lane_take(struct disk_lane *lane);

/* It is done, with that result. */
void disk_lane_finish(struct disk_lane *lane, struct disk_request *request, int result);

void disk_lane_init(struct disk_lane *lane, struct disk *disk);

/* Makes the first entry of *iov begin n bytes later; n is less than all there is, or all. */
void disk_iov_skip(struct iovec **iov, unsigned *n_iov, size_t n);

/* ---- Files: disk_file.c, disk_io.c, disk_overlay.c ------------------------------------------ */

struct disk_overlay;

struct disk_file {
	struct disk disk; /* must come first */
	int fd;
	bool device;	     /* a block device */
	bool direct;	     /* O_DIRECT: addresses, offsets and lengths are multiples ... */
	uint32_t align;	     /* ... of this */
	_Atomic bool broken; /* a flush failed: what was written before may be lost */
	struct disk_overlay *overlay;
	unsigned n_lanes;
	struct disk_file_lane *lanes;
};

struct disk_file_lane {
	struct disk_lane lane; /* must come first */
	const struct disk_engine *engine;
	void *engine_state;
	unsigned engines_failed;
	void *bounce; /* these are made at first need */
};

/* How requests of a lane that may wait for the disk are under way together. All is called by the
 * lane's thread. */
struct disk_engine {
	bool (*make)(struct disk_file_lane *l); /* engine_state; false: there is none here */

	/* Takes a request, of which disk_io_serve could as well be called on any thread, for that
	 * file. False: not now. */
	bool (*start)(struct disk_file_lane *l, struct disk_request *r, int fd);

	/* What was taken begins; `wait`: there is nothing to do until some of it is done. NULL: it
	 * has begun by itself. */
	void (*begin)(struct disk_file_lane *l, bool wait);

	/* Finishes what is done, and waits for that if the lane has nothing else. */
	void (*collect)(struct disk_file_lane *l);

	void (*free)(struct disk_file_lane *l);
};

extern const struct disk_engine disk_ring; /* by the kernel: disk_ring_linux.c */
extern const struct disk_engine disk_pool; /* by threads: disk_pool.c */

static inline struct disk_file *disk_file_of(struct disk_file_lane *l)
{
	return (struct disk_file *)l->lane.disk;
}

int disk_file_open(const struct disk_config *config, struct disk **disk, struct err *err);

extern const struct disk_ops disk_io_ops;

/* Makes and frees file->lanes. */
int disk_io_open(struct disk_file *file, unsigned lanes);
void disk_io_close(struct disk_file *file);

/* Does it now. 0 or -errno. */
int disk_io_serve(struct disk_file_lane *l, struct disk_request *r);
int disk_io_flush(struct disk_file *file);

/* What a flush is worth that gave `result`. */
int disk_io_flushed(struct disk_file *file, int result);

/* What was written since it was made, in an unlinked file that is as long as the disk. */
struct disk_overlay *disk_overlay_new(uint64_t size, struct err *err);
void disk_overlay_free(struct disk_overlay *overlay);
int disk_overlay_fd(const struct disk_overlay *overlay);

/* [offset, offset + len) was written; multiples of 512. */
void disk_overlay_mark(struct disk_overlay *overlay, uint64_t offset, uint64_t len);

/* How many bytes from offset on, at most len, are alike; *written: they are in the overlay. */
uint64_t disk_overlay_run(const struct disk_overlay *overlay, uint64_t offset, uint64_t len,
			  bool *written);

/* Another program has the image: -EBUSY, with the reason and what to do in err. */
int disk_in_use(const struct disk_config *config, struct err *err);

/* ---- What a file can do here: disk_linux.c, disk_macos.c. 0 or -errno -------------------------
 */

/* The engines there may be, the best one first; ends with NULL. */
extern const struct disk_engine *const disk_host_engines[];

/* Without the host's cache: opened with these flags, and then told so; or -1 with errno. */
int disk_host_direct(void);
int disk_host_uncached(int fd);

/* For as long as it is open, by this process or by none: -EAGAIN if another one has it. */
int disk_host_lock(int fd, bool write);

/* A block device's, and how much of it is written at once at the least. */
int disk_host_size(int fd, uint64_t *size, unsigned *block);

/* All that was written is on the disk. */
int disk_host_flush(int fd);

/* As zeros, from then on: in a hole, or in blocks of its own; and, on a block device, of no use. */
int disk_host_punch(int fd, uint64_t offset, uint64_t len);
int disk_host_zero(int fd, uint64_t offset, uint64_t len);
int disk_host_discard(int fd, uint64_t offset, uint64_t len);

/* ---- Network block devices: disk_nbd_linux.c, disk_qemu_linux.c ------------------------------ */

int disk_nbd_open(const struct disk_config *config, struct disk **disk, struct err *err);

/* A qemu-nbd of our own, which serves the image to n connected sockets, and to nobody else. It ends
 * when they are closed, and when we do. */
struct disk_qemu;
int disk_qemu_start(const struct disk_config *config, int *sockets, unsigned n,
		    struct disk_qemu **qemu, struct err *err);

/* What it said before it failed; "" if it said nothing. Waits for its end. */
const char *disk_qemu_complaint(struct disk_qemu *qemu);

/* Waits for its end, for which the sockets are closed; NULL is fine. */
void disk_qemu_end(struct disk_qemu *qemu);

#endif
