/* vsock.c: sockets between the guest and programs of the host: VIRTIO 5.10.
 *
 * The host's ends are unix sockets, as Firecracker's documentation of vsock has it: a guest that
 * connects to port P of the host reaches who listens at PATH_P; who connects to PATH and says
 * "CONNECT P" reaches port P of the guest, after a line "OK N" with the host's port.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>
#include <vibevmm/unixsock.h>
#include <vibevmm/virtio.h>

#include "vsock.h"

#define VIRTIO_ID_VSOCK 19	 /* VIRTIO 5 */
#define PCI_CLASS_OTHER 0x078000 /* communication controller, other */
#define F_STREAM	0	 /* VIRTIO 5.10.3 */
#define QUEUE_SIZE	256

enum { RX, TX, EVENT, QUEUES };

struct vsock {
	struct virtio *v;
	uint8_t config[8]; /* VIRTIO 5.10.4: guest_cid */
	int listener;
	struct vsock_switch *s; /* from start to stop */
	struct virtio_worker *worker;
	struct iovec iov[VIRTIO_CHAIN_MAX(QUEUE_SIZE)], data[VIRTIO_CHAIN_MAX(QUEUE_SIZE)];
};

/* The len bytes from offset on of a list, as another; how many entries that takes, no more than
 * n. */
static unsigned slice(const struct iovec *iov, unsigned n, size_t offset, size_t len,
		      struct iovec *out)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n && len; i++) {
		size_t some = iov[i].iov_len;

		if (offset >= some) {
			offset -= some;
			continue;
		}
		some -= offset;
		if (some > len)
			some = len;
		out[used++] = (struct iovec){ (uint8_t *)iov[i].iov_base + offset, some };
		len -= some;
		offset = 0;
	}
	return used;
}

/* VIRTIO 5.10.6: a header, and behind it as many bytes as it says. */
static void take_packet(struct vsock *vsock, struct virtio_chain *chain)
{
	uint8_t header[VSOCK_HEADER];
	struct vsock_packet packet;
	unsigned n;

	if (virtio_chain_read(chain, 0, header, sizeof(header)) < sizeof(header)) {
		virtio_broken(vsock->v, "a packet of %zu bytes is shorter than its header",
			      chain->out_len);
		return;
	}
	vsock_decode(&packet, header);
	if (packet.op != VSOCK_RW)
		packet.len = 0;
	if (packet.len > chain->out_len - sizeof(header)) {
		virtio_broken(vsock->v, "a packet says it has %" PRIu32 " bytes, and has %zu",
			      packet.len, chain->out_len - sizeof(header));
		return;
	}
	n = slice(chain->iov, chain->n_out, sizeof(header), packet.len, vsock->data);
	vsock_from_guest(vsock->s, &packet, vsock->data, n);
}

static bool take_packets(struct vsock *vsock, struct virtio_queue *q)
{
	struct virtio_chain chain = { .iov = vsock->iov, .cap = ARRAY_SIZE(vsock->iov) };
	bool any = false;

	if (!virtio_queue_ready(q))
		return false;
	do {
		while (vsock_open_to_guest(vsock->s) && virtio_queue_take(q, &chain)) {
			take_packet(vsock, &chain);
			virtio_queue_give(q, chain.head, 0);
			any = true;
		}
		virtio_queue_flush(q);
	} while (vsock_open_to_guest(vsock->s) && !virtio_queue_idle(q));
	return any;
}

/* A packet into the guest's buffers; false: there is none. */
static bool put_packet(struct vsock *vsock, struct virtio_queue *q, struct virtio_chain *chain)
{
	uint8_t header[VSOCK_HEADER];
	struct vsock_packet packet;
	unsigned n;

	if (chain->in_len < sizeof(header)) {
		virtio_broken(vsock->v, "a buffer of %zu bytes is shorter than a packet's header",
			      chain->in_len);
		return false;
	}
	n = slice(chain->iov + chain->n_out, chain->n_in, sizeof(header), SIZE_MAX, vsock->data);
	if (!vsock_to_guest(vsock->s, &packet, vsock->data, n)) {
		virtio_queue_untake(q);
		return false;
	}
	vsock_encode(&packet, header);
	virtio_chain_write(chain, 0, header, sizeof(header));
	virtio_queue_give(q, chain->head, VSOCK_HEADER + packet.len);
	return true;
}

static bool put_packets(struct vsock *vsock, struct virtio_queue *q)
{
	struct virtio_chain chain = { .iov = vsock->iov, .cap = ARRAY_SIZE(vsock->iov) };
	bool any = false;

	if (!virtio_queue_ready(q))
		return false;
	/* Kicks matter only while a packet waits for a buffer. */
	do {
		while (vsock_has_packet(vsock->s) && virtio_queue_take(q, &chain) &&
		       put_packet(vsock, q, &chain))
			any = true;
		virtio_queue_flush(q);
	} while (vsock_has_packet(vsock->s) && !virtio_queue_idle(q));
	return any;
}

/* Packets each way, until neither moves: one to the guest may make room for answers to others. */
static void serve(struct vsock *vsock)
{
	bool any;

	do {
		any = take_packets(vsock, virtio_queue(vsock->v, TX));
		any |= put_packets(vsock, virtio_queue(vsock->v, RX));
	} while (any && !vsock_open_to_guest(vsock->s));
}

static void on_kick(struct virtio_queue *q)
{
	serve(virtio_queue_device(q)->state);
}

static void on_ready(void *arg, uint32_t events)
{
	serve(vsock_ready(arg, events));
}

static int watch(void *arg, int fd, uint32_t events, struct vsock_end *end)
{
	struct vsock *vsock = arg;

	return vsock->worker ? virtio_worker_watch(vsock->worker, fd, events, on_ready, end) : 0;
}

/* ---- Life --------------------------------------------------------------------------------- */

/* All connections end with the guest's sockets. */
static void stop(struct virtio *v)
{
	struct vsock *vsock = v->state;

	virtio_worker_free(vsock->worker);
	vsock->worker = NULL;
	vsock_free(vsock->s);
	vsock->s = NULL;
}

/* The event queue says that the guest moved to another host, which it never does. */
static int start(struct virtio *v)
{
	struct vsock *vsock = v->state;
	const struct vsock_options *options = v->dev->options;
	struct vsock_config config = {
		.cid = options->cid,
		.path = options->socket,
		.listener = vsock->listener,
		.label = v->dev->plan->label,
		.watch = watch,
		.arg = vsock,
	};
	int ret = -ENOMEM;

	vsock->worker = virtio_worker_new(v);
	if (vsock->worker)
		ret = vsock_new(&config, &vsock->s);
	for (unsigned i = RX; i <= TX && !ret; i++)
		ret = virtio_worker_queue(vsock->worker, virtio_queue(v, i), on_kick);
	if (!ret)
		ret = virtio_worker_run(vsock->worker);
	if (ret) {
		log_error("%s: can't start: %s", config.label, strerror(-ret));
		stop(v);
	}
	return ret;
}

static void destroy(struct virtio *v)
{
	const struct vsock_options *options = v->dev->options;
	struct vsock *vsock = v->state;

	unixsock_unlisten(vsock->listener, options->socket);
	free(vsock);
}

static int create_state(struct virtio *v, struct err *err)
{
	const struct vsock_options *options = v->dev->options;
	struct vsock *vsock = calloc(1, sizeof(*vsock));
	struct err why;

	if (!vsock)
		return err_set(err, ENOMEM, STATUS_OSERR, "%s: out of memory", v->dev->plan->label);
	vsock->listener = unixsock_listen(options->socket, &why);
	if (vsock->listener < 0) {
		int ret = vsock->listener;

		free(vsock);
		return err_set(err, -ret, (enum status)why.status, "%s: %s", v->dev->plan->label,
			       why.text);
	}
	vsock->v = v;
	bytes_put64(vsock->config, options->cid);
	v->state = vsock;
	v->features = 1ULL << F_STREAM;
	v->n_queues = QUEUES;
	v->queue_size = QUEUE_SIZE;
	v->config = vsock->config;
	v->config_len = sizeof(vsock->config);
	return 0;
}

static const struct virtio_type type = {
	.id = VIRTIO_ID_VSOCK,
	.pci_class = PCI_CLASS_OTHER,
	.create = create_state,
	.destroy = destroy,
	.start = start,
	.stop = stop,
};

static int create(struct device *dev, struct err *err)
{
	return virtio_create(dev, &type, err);
}

static void check(const void *options, const struct node *node, struct diags *diags)
{
	const struct vsock_options *vsock = options;

	virtio_check(options, node, diags);
	if (vsock->socket)
		device_check_socket(node_get(node, "socket"), vsock->socket, VSOCK_PORT_MAX, diags);
}

static const struct option options[] = {
	VIRTIO_OPTIONS(struct vsock_options),
	OPTION(struct vsock_options, cid, OPTION_UINT, .min = 3, .max = 0xfffffffe, .def = "3",
	       .doc = "The guest's address, its context identifier; 2 is the host's"),
	OPTION(struct vsock_options, socket, OPTION_PATH, .required = true, .made = true,
	       .sample = "vm.sock",
	       .doc = "Unix socket where programs of the host connect to ports of the guest; the "
		      "guest's connections to port P go to this path with _P behind it"),
	{ 0 },
};

const struct device_row device_virtio_vsock = {
	.type = {
		.name = "virtio-vsock",
		.doc = "Sockets between programs of the guest (AF_VSOCK) and unix sockets of the "
		       "host",
		.options = options,
		.size = sizeof(struct vsock_options),
	},
	VIRTIO_ROW_CHECK(check),
	.max = 1,
	.create = create,
};
