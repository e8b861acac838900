/* disk_nbd_linux.c: disks that an NBD server has: by a URI, or in a qemu-nbd of our own.
 *
 * libnbd speaks the protocol. It brings a dozen libraries with it, so it is loaded when the first
 * such disk is opened; everybody else starts without. Each lane has a connection of its own.
 */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libnbd.h>

#include <vibevmm/bytes.h>

#include "disk_private.h"

#define LIBRARY	    "libnbd.so.0"
#define SILENCE	    30000 /* ms without a word of a server that has something to do */
#define BOUNCE	    (1U << 20)
#define REQUEST_MAX (32U << 20) /* the NBD protocol, "Size constraints", of data in one request */

/* ---- The library ----------------------------------------------------------------------------- */

#define FUNCTIONS(f)                                                                               \
	f(create) f(close) f(get_error) f(aio_connect_socket) f(aio_connect_uri)                   \
		f(aio_is_connecting) f(aio_is_ready) f(poll) f(get_size) f(is_read_only)           \
			f(can_flush) f(can_fua) f(can_trim) f(can_zero) f(can_multi_conn)          \
				f(aio_pread) f(aio_pwrite) f(aio_flush) f(aio_trim) f(aio_zero)    \
					f(aio_in_flight) f(get_block_size)

#define MEMBER(name) __typeof__(&nbd_##name) name;
static struct {
	FUNCTIONS(MEMBER)
} nbd;
static bool loaded;

/* Stays loaded: it has threads' data that are freed at the end alone. */
static int load(struct err *err)
{
	void *library;

	if (loaded)
		return 0;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return err_set(err, ENOENT, STATUS_UNAVAILABLE,
			       "qcow2 images and NBD take libnbd, which can't be loaded: install "
			       "it (Debian: apt install libnbd0); %s",
			       dlerror());
#define FIND(name)                                                                                 \
	*(void **)&nbd.name = dlsym(library, "nbd_" #name);                                        \
	if (!nbd.name)                                                                             \
		return err_set(err, ENOSYS, STATUS_UNAVAILABLE, LIBRARY " has no nbd_" #name);
	FUNCTIONS(FIND)
	loaded = true;
	return 0;
}

/* ---- Disks and lanes ------------------------------------------------------------------------- */

struct nbd_lane {
	struct disk_lane lane;	   /* must come first */
	struct nbd_handle *handle; /* NULL: the connection is lost */
	uint8_t *bounce;
	size_t bounced; /* bytes of it in use */
	struct disk_request *issued, **issued_end;
};

struct nbd_disk {
	struct disk disk; /* must come first */
	struct disk_qemu *qemu;
	bool flush, fua, trim, zero;
	unsigned n_lanes;
	struct nbd_lane lanes[];
};

static const struct nbd_disk *disk_of(const struct nbd_lane *l)
{
	return (const struct nbd_disk *)l->lane.disk;
}

static void hang_up(struct nbd_lane *l)
{
	if (l->handle)
		nbd.close(l->handle);
	l->handle = NULL;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static int finished(void *request, int *error)
{
	((struct disk_request *)request)->result = -*error;
	return 1; /* the command is to be forgotten */
}

/* Sends a request whose data, if any, are at buf. False: it failed. */
static bool send_request(struct nbd_lane *l, struct disk_request *r, void *buf)
{
	nbd_completion_callback done = { .callback = finished, .user_data = r };
	const struct nbd_disk *d = disk_of(l);
	struct nbd_handle *h = l->handle;
	int64_t cookie = -1;

	r->result = -EIO; /* until it is known better */
	switch (r->op) {
	case DISK_READ:
		cookie = nbd.aio_pread(h, buf, (size_t)r->len, r->offset, done, 0);
		break;
	case DISK_WRITE:
		cookie = nbd.aio_pwrite(h, buf, (size_t)r->len, r->offset, done,
					r->durable && d->fua ? LIBNBD_CMD_FLAG_FUA : 0);
		break;
	case DISK_FLUSH:
		cookie = nbd.aio_flush(h, done, 0);
		break;
	case DISK_DISCARD:
		cookie = nbd.aio_trim(h, r->len, r->offset, done, 0);
		break;
	case DISK_ZERO:
		cookie = nbd.aio_zero(h, r->len, r->offset, done,
				      (r->unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE) |
					      (r->durable && d->fua ? LIBNBD_CMD_FLAG_FUA : 0));
		break;
	}
	return cookie >= 0;
}

/* Waits for all that was sent. A server that says nothing any more is given up: then no guest
 * waits for ever, nor do we for the guest's end. */
static void await_all(struct nbd_lane *l)
{
	while (l->handle && nbd.aio_in_flight(l->handle) > 0) {
		if (nbd.poll(l->handle, SILENCE) <= 0)
			hang_up(l);
	}
}

/* One that is sent alone. */
static int one(struct nbd_lane *l, struct disk_request *r, void *buf)
{
	if (disk_of(l)->disk.canceled)
		return -ECANCELED;
	if (!l->handle || !send_request(l, r, buf))
		return -EIO;
	await_all(l);
	return r->result;
}

static void copy(struct disk_request *r, uint8_t *buf, size_t len, bool out)
{
	struct iovec *iov = r->iov;

	for (unsigned n = r->n_iov; n && len; n--, iov++) {
		size_t part = iov->iov_len < len ? iov->iov_len : len;

		if (out)
			memcpy(iov->iov_base, buf, part);
		else
			memcpy(buf, iov->iov_base, part);
		buf += part;
		len -= part;
	}
}

/* Waits for all that was sent, brings data home, and tells. */
static void settle(struct nbd_lane *l)
{
	uint8_t *bounce = l->bounce;
	struct disk_request *r;

	await_all(l);
	while ((r = l->issued)) {
		l->issued = r->next;
		if (r->n_iov > 1) {
			if (r->op == DISK_READ && !r->result)
				copy(r, bounce, (size_t)r->len, true);
			bounce += r->len;
		}
		if (r->op == DISK_READ && !r->result)
			r->n_iov = 0;
		disk_lane_finish(&l->lane, r, r->result);
	}
	l->issued_end = &l->issued;
	l->bounced = 0;
}

/* Too long for the buffer, or for one request: in parts. */
static int in_parts(struct nbd_lane *l, struct disk_request *r)
{
	uint64_t offset = r->offset, left = r->len;

	settle(l);
	while (left) {
		size_t len = left < BOUNCE ? (size_t)left : BOUNCE;
		struct disk_request part = {
			.op = r->op, .durable = r->durable, .offset = offset, .len = len
		};
		int ret;

		if (r->op == DISK_WRITE)
			copy(r, l->bounce, len, false);
		ret = one(l, &part, l->bounce);
		if (ret)
			return ret;
		if (r->op == DISK_READ)
			copy(r, l->bounce, len, true);
		disk_iov_skip(&r->iov, &r->n_iov, len);
		offset += len;
		left -= len;
	}
	return 0;
}

static int write_zeros(struct nbd_lane *l, const struct disk_request *r)
{
	struct disk_request part = { .op = DISK_WRITE, .durable = r->durable, .offset = r->offset };
	uint64_t left = r->len;
	int ret = 0;

	settle(l);
	memset(l->bounce, 0, BOUNCE);
	while (left && !ret) {
		part.len = left < BOUNCE ? left : BOUNCE;
		ret = one(l, &part, l->bounce);
		part.offset += part.len;
		left -= part.len;
	}
	return ret;
}

/* What needs no word with the server, or more than one. False: one is right. */
static bool special(struct nbd_lane *l, struct disk_request *r, int *result)
{
	const struct nbd_disk *d = disk_of(l);
	struct disk_request flush = { .op = DISK_FLUSH };
	bool data = r->op == DISK_READ || r->op == DISK_WRITE;
	bool flush_after = r->durable && !d->fua && d->flush && !d->disk.unsafe;

	*result = 0;
	if (d->disk.canceled)
		*result = -ECANCELED;
	else if (d->disk.read_only && r->op != DISK_READ && r->op != DISK_FLUSH)
		*result = -EROFS;
	else if (r->op == DISK_FLUSH && (d->disk.unsafe || !d->flush))
		*result = 0;
	else if (r->op == DISK_DISCARD && !d->trim)
		*result = 0;
	else if (r->op == DISK_ZERO && !d->zero)
		*result = write_zeros(l, r);
	else if (r->op == DISK_ZERO && flush_after)
		*result = one(l, r, NULL);
	else if (r->op == DISK_WRITE && flush_after)
		*result = in_parts(l, r);
	else if (data && r->len > (r->n_iov > 1 ? BOUNCE : REQUEST_MAX))
		*result = in_parts(l, r);
	else
		return false;
	if (!*result && flush_after)
		*result = one(l, &flush, NULL);
	return true;
}

static void start(struct nbd_lane *l, struct disk_request *r)
{
	void *buf = r->n_iov ? r->iov->iov_base : NULL;

	if (r->n_iov > 1) {
		buf = l->bounce + l->bounced;
		l->bounced += r->len;
		if (r->op == DISK_WRITE)
			copy(r, buf, (size_t)r->len, false);
	}
	if (!l->handle || !send_request(l, r, buf))
		r->result = -EIO;
	r->next = NULL;
	*l->issued_end = r;
	l->issued_end = &r->next;
}

/* Sends what there is, and waits for all of it. */
static void run(struct disk_lane *lane)
{
	struct nbd_lane *l = (struct nbd_lane *)lane;
	struct disk_request *r;
	int result;

	while ((r = disk_lane_take(lane))) {
		if (special(l, r, &result)) {
			disk_lane_finish(lane, r, result);
			continue;
		}
		if (r->n_iov > 1 && l->bounced + r->len > BOUNCE)
			settle(l);
		start(l, r);
	}
	settle(l);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static struct disk_lane *nbd_lane(struct disk *disk, unsigned index)
{
	struct nbd_disk *d = (struct nbd_disk *)disk;

	assert(index < d->n_lanes);
	return &d->lanes[index].lane;
}

static void nbd_close_disk(struct disk *disk)
{
	struct nbd_disk *d = (struct nbd_disk *)disk;

	for (unsigned i = 0; i < d->n_lanes; i++) {
		hang_up(&d->lanes[i]);
		free(d->lanes[i].bounce);
	}
	disk_qemu_end(d->qemu);
	free(d);
}

static const struct disk_ops ops = { .run = run, .lane = nbd_lane, .close = nbd_close_disk };

/* Connects a lane: over a socket, which is then the connection's, or by a URI. 0, or -1 with the
 * reason in nbd.get_error. */
static int connect_lane(struct nbd_lane *l, const char *uri, int socket)
{
	struct nbd_handle *h = nbd.create();
	int ret;

	l->handle = h;
	if (!h) {
		if (socket >= 0)
			close(socket);
		return -1;
	}
	ret = uri ? nbd.aio_connect_uri(h, uri) : nbd.aio_connect_socket(h, socket);
	while (!ret && nbd.aio_is_connecting(h) > 0) {
		if (nbd.poll(h, SILENCE) <= 0)
			return -1;
	}
	return ret || nbd.aio_is_ready(h) <= 0 ? -1 : 0;
}

static int connect_all(struct nbd_disk *d, const struct disk_config *config, struct err *err)
{
	int sockets[64], ret = 0;
	const char *complaint;

	assert(config->lanes <= ARRAY_SIZE(sockets));
	if (!config->nbd)
		ret = disk_qemu_start(config, sockets, config->lanes, &d->qemu, err);
	if (ret)
		return ret;
	for (unsigned i = 0; i < config->lanes; i++) {
		if (!ret)
			ret = connect_lane(&d->lanes[i], config->nbd,
					   config->nbd ? -1 : sockets[i]);
		else if (!config->nbd)
			close(sockets[i]);
	}
	if (!ret)
		return 0;
	if (config->nbd)
		return err_set(err, EIO, STATUS_UNAVAILABLE, "can't use NBD server '%s': %s",
			       config->nbd, nbd.get_error() ?: "it doesn't answer");
	for (unsigned i = 0; i < config->lanes; i++)
		hang_up(&d->lanes[i]);
	complaint = disk_qemu_complaint(d->qemu);
	if (strstr(complaint, "Failed to get") && strstr(complaint, "lock"))
		return disk_in_use(config, err);
	return err_set(err, EIO, STATUS_CONFIG, "qemu-nbd can't serve disk '%s': %s", config->path,
		       complaint);
}

/* What the server offers. */
static int examine(struct nbd_disk *d, const struct disk_config *config, struct err *err)
{
	const char *name = config->nbd ? config->nbd : config->path;
	struct nbd_handle *h = d->lanes[0].handle;
	int64_t size = nbd.get_size(h);

	if (size < 0 || (uint64_t)size < config->sector)
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "disk '%s' is smaller than one sector of %u bytes", name,
			       config->sector);
	if (nbd.get_block_size(h, LIBNBD_SIZE_MINIMUM) > config->sector)
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "NBD server '%s' has larger sectors than %u bytes; use `sector: 4K`",
			       name, config->sector);
	if (!config->read_only && nbd.is_read_only(h))
		return err_set(err, EROFS, STATUS_CONFIG,
			       "NBD server '%s' lets nobody write; use `read_only: true`", name);
	if (config->lanes > 1 && nbd.can_multi_conn(h) <= 0)
		return err_set(err, EINVAL, STATUS_CONFIG,
			       "NBD server '%s' doesn't keep several connections in step; use "
			       "`queues: 1`",
			       name);
	d->disk.size = (uint64_t)size - (uint64_t)size % config->sector;
	d->flush = nbd.can_flush(h) > 0;
	d->fua = nbd.can_fua(h) > 0;
	d->trim = nbd.can_trim(h) > 0;
	d->zero = nbd.can_zero(h) > 0;
	d->disk.discards = d->trim && !config->read_only;
	return 0;
}

int disk_nbd_open(const struct disk_config *config, struct disk **disk, struct err *err)
{
	struct nbd_disk *d;
	int ret = load(err);

	if (ret)
		return ret;
	d = calloc(1, sizeof(*d) + config->lanes * sizeof(d->lanes[0]));
	if (!d)
		return err_set(err, ENOMEM, STATUS_OSERR, "out of memory");
	d->disk.ops = &ops;
	d->disk.block = 4096;
	d->disk.read_only = config->read_only;
	/* A qemu-nbd of our own has some of what was written in its memory, which is lost when we
	 * are killed; a flush brings that to the host's cache, and with `unsafe` no further. */
	d->disk.unsafe = config->ephemeral || (config->nbd && config->cache == DISK_UNSAFE);
	d->n_lanes = config->lanes;
	for (unsigned i = 0; i < config->lanes; i++) {
		struct nbd_lane *l = &d->lanes[i];

		disk_lane_init(&l->lane, &d->disk);
		l->issued_end = &l->issued;
		l->bounce = malloc(BOUNCE);
		if (!l->bounce)
			ret = err_set(err, ENOMEM, STATUS_OSERR, "out of memory");
	}
	if (!ret)
		ret = connect_all(d, config, err);
	if (!ret)
		ret = examine(d, config, err);
	if (ret)
		nbd_close_disk(&d->disk);
	else
		*disk = &d->disk;
	return ret;
}
