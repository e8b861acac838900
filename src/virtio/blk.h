/* blk.h: between the two halves of virtio-blk: blk.c, the device, and blk_io.c, its requests.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include <vibevmm/disk.h>
#include <vibevmm/virtio.h>

/* VIRTIO 5.2.3 */
#define BLK_F_SEG_MAX	   2
#define BLK_F_RO	   5
#define BLK_F_BLK_SIZE	   6
#define BLK_F_FLUSH	   9
#define BLK_F_TOPOLOGY	   10
#define BLK_F_MQ	   12
#define BLK_F_DISCARD	   13
#define BLK_F_WRITE_ZEROES 14

/* VIRTIO 5.2.6: requests ... */
#define BLK_T_IN	   0
#define BLK_T_OUT	   1
#define BLK_T_FLUSH	   4
#define BLK_T_GET_ID	   8
#define BLK_T_DISCARD	   11
#define BLK_T_WRITE_ZEROES 13

/* ... and what comes of them. */
#define BLK_S_OK     0
#define BLK_S_IOERR  1
#define BLK_S_UNSUPP 2

#define BLK_SECTOR 512U /* the protocol's, whatever the disk's are */
#define BLK_ID	   20U

/* The longest discard or write of zeros, in sectors: 2 GiB, which is a few ms where the host has a
 * call for it. */
#define BLK_RANGE_MAX (1U << 22)

/* The most that one request may transfer, so that none keeps a queue, and those who wait for it,
 * for long. Linux asks for a few MiB, U-Boot for a whole file. */
#define BLK_TRANSFER_MAX (1U << 30)

/* The most requests in a queue, and so the most buffers of one: Linux's longest, 1280 KiB in single
 * pages, stay in one piece. */
#define BLK_QUEUE 512U

/* How many requests of a queue are under way at once; the others wait in the ring. */
#define BLK_DEPTH 64U

/* A request. */
struct blk_slot {
	struct disk_request disk; /* must come first */
	struct virtio_chain chain;
	uint8_t *status;
	struct blk_slot *next; /* in the list of free ones */
};

struct blk_queue {
	struct virtio_worker *worker;
	struct disk_lane *lane;
	struct blk_slot *slots, *free; /* the one used last comes first: it is in the cache */
	struct iovec *iovs;
};

struct blk {
	struct virtio *v;
	struct disk *disk;
	bool read_only;
	char id[BLK_ID];
	_Atomic bool told; /* an error was logged already */
	uint8_t config[60];
	struct blk_queue queues[];
};

/* Reads what the guest asks for. 1: slot->disk says what to do. 0: it is done; *status. -1: it is
 * no request at all, after virtio_broken. */
int virtio_blk_parse(struct blk *b, struct blk_slot *slot, uint8_t *status);

/* Serves a queue, on its worker. */
void virtio_blk_serve(struct virtio_queue *q);

#endif
