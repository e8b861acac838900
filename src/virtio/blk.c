/* blk.c: virtio-blk, a disk: VIRTIO 5.2. Its requests are served in blk_io.c, its image is host's.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "blk.h"

#define QUEUES_MAX 16

struct blk_config {
	VIRTIO_MEMBERS;
	char *path, *nbd, *serial;
	uint32_t format; /* enum disk_format */
	uint32_t cache;	 /* enum disk_cache */
	bool read_only, ephemeral;
	uint64_t sector;
	uint32_t queues;
};

/* ---- Config space: VIRTIO 5.2.4 ------------------------------------------------------------- */

static void fill_config(struct blk *b, const struct blk_config *options)
{
	uint32_t block = disk_block(b->disk), sector = (uint32_t)options->sector;

	bytes_put64(b->config, disk_size(b->disk) / BLK_SECTOR);
	bytes_put32(b->config + 12, BLK_QUEUE - 2); /* seg_max: less header and status */
	bytes_put32(b->config + 20, sector);
	b->config[24] = (uint8_t)__builtin_ctz(block / sector);	 /* physical_block_exp */
	bytes_put16(b->config + 26, (uint16_t)(block / sector)); /* min_io_size */
	bytes_put16(b->config + 34, (uint16_t)options->queues);
	bytes_put32(b->config + 36, BLK_RANGE_MAX);
	bytes_put32(b->config + 40, 1); /* max_discard_seg */
	bytes_put32(b->config + 44, block / BLK_SECTOR);
	bytes_put32(b->config + 48, BLK_RANGE_MAX);
	bytes_put32(b->config + 52, 1); /* max_write_zeroes_seg */
	b->config[56] = 1;		/* write_zeroes_may_unmap */
}

static uint64_t features(const struct blk *b)
{
	uint64_t offered = 1ULL << BLK_F_SEG_MAX | 1ULL << BLK_F_BLK_SIZE | 1ULL << BLK_F_FLUSH |
			   1ULL << BLK_F_TOPOLOGY | 1ULL << BLK_F_MQ;

	if (b->read_only)
		return offered | 1ULL << BLK_F_RO;
	offered |= 1ULL << BLK_F_WRITE_ZEROES;
	return disk_discards(b->disk) ? offered | 1ULL << BLK_F_DISCARD : offered;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int blk_create(struct virtio *v, struct err *err)
{
	const struct blk_config *options = v->dev->options;
	const char *id = options->serial ? options->serial : options->id;
	struct disk_config config = {
		.path = options->path,
		.nbd = options->nbd,
		.format = options->format,
		.cache = options->cache,
		.read_only = options->read_only,
		.ephemeral = options->ephemeral,
		.sector = (uint32_t)options->sector,
		.lanes = options->queues,
	};
	struct blk *b = calloc(1, sizeof(*b) + options->queues * sizeof(b->queues[0]));
	int ret;

	if (!b)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", v->dev->plan->label);
	ret = disk_open(&config, &b->disk, err);
	if (ret) {
		free(b);
		return ret;
	}
	b->v = v;
	b->read_only = options->read_only;
	if (id)
		memcpy(b->id, id, strnlen(id, sizeof(b->id)));
	fill_config(b, options);
	v->state = b;
	v->features = features(b);
	v->n_queues = options->queues;
	v->queue_size = BLK_QUEUE;
	v->config = b->config;
	v->config_len = sizeof(b->config);
	return 0;
}

static void blk_destroy(struct virtio *v)
{
	struct blk *b = v->state;

	disk_close(b->disk);
	free(b);
}

/* All that requests need is made before the first comes; pages of it that are never used cost
 * nothing. */
static int start_queue(struct blk *b, struct virtio_queue *q)
{
	struct blk_queue *bq = &b->queues[virtio_queue_index(q)];
	unsigned size = virtio_queue_size(q), cap = VIRTIO_CHAIN_MAX(size);
	unsigned n = size < BLK_DEPTH ? size : BLK_DEPTH;
	int ret;

	bq->lane = disk_lane(b->disk, virtio_queue_index(q));
	bq->slots = calloc(n, sizeof(*bq->slots));
	bq->iovs = calloc((size_t)n * cap, sizeof(*bq->iovs));
	bq->worker = virtio_worker_new(b->v);
	if (!bq->slots || !bq->iovs || !bq->worker)
		return -ENOMEM;
	bq->free = NULL;
	for (unsigned i = n; i--;) {
		bq->slots[i].chain.iov = bq->iovs + (size_t)i * cap;
		bq->slots[i].chain.cap = cap;
		bq->slots[i].next = bq->free;
		bq->free = &bq->slots[i];
	}
	ret = virtio_worker_queue(bq->worker, q, virtio_blk_serve);
	return ret ? ret : virtio_worker_run(bq->worker);
}

static void end_queues(struct virtio *v)
{
	struct blk *b = v->state;

	for (unsigned i = 0; i < v->n_queues; i++) {
		struct blk_queue *bq = &b->queues[i];

		virtio_worker_free(bq->worker);
		free(bq->slots);
		free(bq->iovs);
		*bq = (struct blk_queue){ 0 };
	}
}

/* Without waiting for all that a queue of long requests still wants. */
static void blk_stop(struct virtio *v)
{
	struct blk *b = v->state;

	disk_cancel(b->disk, true);
	end_queues(v);
	disk_cancel(b->disk, false);
}

static int blk_start(struct virtio *v)
{
	struct blk *b = v->state;

	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtio_queue *q = virtio_queue(v, i);
		int ret = virtio_queue_ready(q) ? start_queue(b, q) : 0;

		if (ret) {
			log_error("%s: can't serve queue %u: %s", v->dev->plan->label, i,
				  strerror(-ret));
			end_queues(v);
			return ret;
		}
	}
	return 0;
}

static const struct virtio_type type = {
	.id = 2,
	.pci_class = 0x018000,
	.create = blk_create,
	.destroy = blk_destroy,
	.start = blk_start,
	.stop = blk_stop,
};

static int device_create_blk(struct device *dev, struct err *err)
{
	return virtio_create(dev, &type, err);
}

/* ---- The row --------------------------------------------------------------------------------- */

/* What says what the image is, where a server keeps it. */
static void check_nbd(const struct node *nbd, const struct node *other, bool bad, const char *why,
		      struct diags *diags)
{
	if (!other || !bad)
		return;
	diag_error(diags, other->key_mark, "'%s' and 'nbd' exclude each other: %s", other->key,
		   why);
	diag_note(diags, nbd->key_mark, "'nbd' is here");
	diag_help(diags, "remove one of the two");
}

static void check_source(const struct blk_config *options, const struct node *node,
			 struct diags *diags)
{
	const struct node *nbd = node_given(node, "nbd");

	if (!nbd && !node_given(node, "path")) {
		diag_error(diags, node->mark, "virtio-blk has no disk");
		diag_help(diags, "give it `path: FILE`, an image or a block device, or `nbd: URI`");
	}
	if (!nbd)
		return;
	/* The rest is for libnbd to say. */
	if (strncmp(options->nbd, "nbd", 3) != 0 || !strstr(options->nbd, "://")) {
		diag_error(diags, nbd->mark, "'%s' is no URI of an NBD server", options->nbd);
		diag_help(diags, "write one such as nbd://host/name, or "
				 "nbd+unix:///name?socket=FILE for a server on this host");
	}
	check_nbd(nbd, node_given(node, "path"), true, "a disk has one image", diags);
	check_nbd(nbd, node_given(node, "ephemeral"), options->ephemeral,
		  "a server keeps what is written", diags);
	check_nbd(nbd, node_given(node, "format"), options->format != DISK_RAW,
		  "a server knows the format of its image", diags);
}

static void check(const void *config, const struct node *node, struct diags *diags)
{
	const struct blk_config *options = config;
	const struct node *serial = node_given(node, "serial"),
			  *sector = node_given(node, "sector");

	virtio_check(config, node, diags);
	check_source(options, node, diags);
	if (sector && options->sector != 512 && options->sector != 4096) {
		diag_error(diags, sector->mark, "a disk has sectors of 512 bytes or of 4K");
		diag_help(diags, "write `sector: 512` or `sector: 4K`");
	}
	for (const char *c = serial ? options->serial : ""; *c; c++) {
		if (isascii(*c) && isgraph(*c))
			continue;
		diag_error(diags, serial->mark,
			   "a serial number has ASCII letters, digits and signs, and no spaces");
		break;
	}
}

static const char *const format_words[] = { [DISK_RAW] = "raw", [DISK_QCOW2] = "qcow2", NULL };
static const char *const cache_words[] = {
	[DISK_WRITEBACK] = "writeback",
	[DISK_DIRECT] = "none",
	[DISK_UNSAFE] = "unsafe",
	NULL,
};

static const struct option_disk image = {
	.unwritten_if = { "read_only", "ephemeral" },
	.sector = "sector",
	.format = "format",
};

static const struct option options_rows[] = {
	VIRTIO_OPTIONS(struct blk_config),
	OPTION(struct blk_config, path, OPTION_PATH, .disk = &image, .sample = "root.img",
	       .doc = "The disk: an image file, or a block device of the host"),
	OPTION(struct blk_config, nbd, OPTION_STRING, .min = 1,
	       .linux_only = "copy the disk to a file, and name that as 'path'",
	       .doc = "Instead of 'path': an export of an NBD server, such as "
		      "nbd://host/name or nbd+unix:///name?socket=FILE"),
	OPTION(struct blk_config, format, OPTION_ENUM, .words = format_words, .def = "raw",
	       .linux_only = "make it a raw image by `qemu-img convert -O raw`",
	       .doc = "What the file at 'path' is, never guessed; qcow2 takes qemu-nbd "
		      "(Debian: qemu-utils) and libnbd (libnbd0)"),
	OPTION(struct blk_config, read_only, OPTION_BOOL, .def = "false",
	       .doc = "The guest can't write it; other VMs may read it, too"),
	OPTION(struct blk_config, ephemeral, OPTION_BOOL, .def = "false",
	       .doc = "What the guest writes is lost at the end, and the image stays as it is"),
	OPTION(struct blk_config, cache, OPTION_ENUM, .words = cache_words, .def = "writeback",
	       .doc = "writeback: through the host's page cache; none: past it (O_DIRECT); "
		      "unsafe: the guest's flushes don't reach the disk; ephemeral disks need "
		      "none of these"),
	OPTION(struct blk_config, sector, OPTION_SIZE, .def = "512", .min = 512, .max = 4096,
	       .doc = "Bytes of a sector, as the guest is told: 512 or 4K"),
	OPTION(struct blk_config, serial, OPTION_STRING, .min = 1, .max = BLK_ID,
	       .doc = "Serial number, as the guest is told; otherwise the id"),
	OPTION(struct blk_config, queues, OPTION_UINT, .def = "1", .min = 1, .max = QUEUES_MAX,
	       .doc = "Queues, each served by a thread of its own; best one for each vCPU that "
		      "is busy with the disk"),
	{ 0 },
};

static const struct device_program programs[] = {
	{ "qemu-nbd", NULL, "qcow2 images", "qemu-utils", "format", DISK_QCOW2 },
	{ 0 },
};

const struct device_row device_virtio_blk = {
	.type = {
		.name = "virtio-blk",
		.doc = "A disk: an image file, a block device, or what an NBD server has",
		.options = options_rows,
		.size = sizeof(struct blk_config),
	},
	VIRTIO_ROW_CHECK(check),
	.programs = programs,
	.create = device_create_blk,
};
