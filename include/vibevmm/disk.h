/* disk.h: disk images: what the host lends to devices that are disks.
 *
 * A disk is a file or a block device as it is ("raw"), one of these under a copy-on-write overlay,
 * or what an NBD server has, which may be a private qemu-nbd with a qcow2 image. Its size is fixed
 * when it is opened: a file that grows meanwhile isn't seen, and what was cut off one gives errors.
 *
 * Requests go over lanes, each of which belongs to one thread at a time; lanes don't wait for one
 * another, whatever one of them does. Functions that open and close are called by one thread at a
 * time, with no request under way.
 */
#ifndef VIBEVMM_DISK_H
#define VIBEVMM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <vibevmm/err.h>

struct disk;
struct disk_lane;

enum disk_format { DISK_RAW, DISK_QCOW2 };

/* What lies between the guest and the disk. Whatever was flushed is on the disk, but for
 * DISK_UNSAFE, by which it ends in the host's memory. DISK_DIRECT does without the host's page
 * cache. */
enum disk_cache { DISK_WRITEBACK, DISK_DIRECT, DISK_UNSAFE };

struct disk_config {
	const char *path;	 /* a regular file or a block device; NULL: nbd */
	const char *nbd;	 /* URI of an NBD server's export */
	enum disk_format format; /* of path; images are never probed for it */
	enum disk_cache cache;
	bool read_only;	 /* DISK_WRITE and what else changes it gives -EROFS */
	bool ephemeral;	 /* writes go elsewhere, and are lost at the end; path alone */
	uint32_t sector; /* 512 or more; with DISK_DIRECT, requests of less may give -EINVAL */
	unsigned lanes;
};

/* Opens and locks it: a disk that is written is nobody else's meanwhile. Strings are needed during
 * the call alone. 0, or -errno with the reason and the next step in err. */
int disk_open(const struct disk_config *config, struct disk **disk, struct err *err);
void disk_close(struct disk *disk); /* NULL is fine */

uint64_t disk_size(const struct disk *disk); /* bytes, a multiple of the sector */

/* What the host's disk likes best: a power of two of bytes, at least the sector. */
uint32_t disk_block(const struct disk *disk);

/* Whether DISK_DISCARD may give anything back. */
bool disk_discards(const struct disk *disk);

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,   /* what writes were done before is on the disk when it is done */
	DISK_DISCARD, /* the content is of no use any more */
	DISK_ZERO,
};

struct disk_request {
	enum disk_op op;
	bool durable;	      /* DISK_WRITE, DISK_ZERO: on the disk when it is done */
	bool unmap;	      /* DISK_ZERO: may free the space */
	uint64_t offset, len; /* inside the disk, multiples of 512 */
	struct iovec *iov;    /* len bytes in all, for reads and writes; changed meanwhile */
	unsigned n_iov;

	int result;		   /* once it is done: 0 or -errno */
	struct disk_request *next; /* the lane's */
};

struct disk_lane *disk_lane(struct disk *disk, unsigned index);

/* Takes a request, which stays where it is until it is done. Nothing happens before the wait. */
void disk_lane_add(struct disk_lane *lane, struct disk_request *request);

/* Starts what was added and waits until something is done. False: nothing is under way. */
bool disk_lane_wait(struct disk_lane *lane);

/* On: whatever was not begun gives -ECANCELED, and what is long ends early with that; for whoever
 * wants its lanes back. Any thread. */
void disk_cancel(struct disk *disk, bool on);

/* Something that is done, in any order; NULL: nothing. */
struct disk_request *disk_lane_done(struct disk_lane *lane);

#endif
