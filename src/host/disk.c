/* disk.c: what all kinds of disks share: lanes and their lists.
 */
#include <vibevmm/bytes.h>

#include "disk_private.h"

int disk_open(const struct disk_config *config, struct disk **disk, struct err *err)
{
	if (config->nbd || (config->format != DISK_RAW))
		return disk_nbd_open(config, disk, err);
	return disk_file_open(config, disk, err);
}

void disk_close(struct disk *disk)
{
	if (disk)
		disk->ops->close(disk);
}

uint64_t disk_size(const struct disk *disk)
{
	return disk->size;
}

uint32_t disk_block(const struct disk *disk)
{
	return disk->block;
}

bool disk_discards(const struct disk *disk)
{
	return disk->discards;
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

struct disk_lane *disk_lane(struct disk *disk, unsigned index)
{
	return disk->ops->lane(disk, index);
}

void disk_lane_init(struct disk_lane *lane, struct disk *disk)
{
	*lane = (struct disk_lane){ .disk = disk };
	lane->added_end = &lane->added;
	lane->done_end = &lane->done;
}

static void append(struct disk_request ***end, struct disk_request *request)
{
	request->next = NULL;
	**end = request;
	*end = &request->next;
}

static struct disk_request *first(struct disk_request **list, struct disk_request ***end)
{
	struct disk_request *request = *list;

	if (!request)
		return NULL;
	*list = request->next;
	if (!*list)
		*end = list;
	return request;
}

void disk_cancel(struct disk *disk, bool on)
{
	disk->canceled = on;
}

void disk_lane_add(struct disk_lane *lane, struct disk_request *request)
{
	append(&lane->added_end, request);
}

struct disk_request *disk_lane_take(struct disk_lane *lane)
{
	return first(&lane->added, &lane->added_end);
}

void disk_lane_finish(struct disk_lane *lane, struct disk_request *request, int result)
{
	request->result = result;
	append(&lane->done_end, request);
}

bool disk_lane_wait(struct disk_lane *lane)
{
	if (lane->added || (lane->running && !lane->done))
		lane->disk->ops->run(lane);
	return lane->done;
}

struct disk_request *disk_lane_done(struct disk_lane *lane)
{
	return first(&lane->done, &lane->done_end);
}

void disk_iov_skip(struct iovec **iov, unsigned *n_iov, size_t n)
{
	while (*n_iov && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*n_iov)--;
	}
	if (*n_iov) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}
