/* net.c: a network card: VIRTIO 5.1. Its frames go by a tap, by passt, or to another VM. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "net.h"

/* ---- Its address ------------------------------------------------------------------------------
 */

/* FNV-1a (draft-eastlake-fnv, 64 bits), with the end of the text. */
static uint64_t hash(uint64_t h, const char *text)
{
	do
		h = (h ^ (uint8_t)*text) * 0x100000001b3;
	while (*text++);
	return h;
}

/* As in the config; or the same at each start, for this VM and device: an address that nobody
 * assigned (IEEE 802, 8.4: of the first byte, bit 1 set and bit 0 clear). First byte lowest. */
static uint64_t own_mac(const struct virtio *v, const char *given)
{
	const char *vm = v->dev->host->vm_name, *why;
	uint8_t mac[6];
	uint64_t h;

	if (given && !config_mac(given, mac, &why))
		return bytes_get(mac, sizeof(mac));
	h = hash(hash(0xcbf29ce484222325, vm ? vm : ""), v->dev->plan->label);
	return ((h ^ h >> 48) & 0xfffffffffffc) | 2;
}

/* ---- Config space: VIRTIO 5.1.4 ---------------------------------------------------------------
 */

static void config_read(struct virtio *v)
{
	struct net *net = v->state;

	bytes_put(net->config + NET_CONFIG_MAC, 6, net->mac);
	bytes_put16(net->config + NET_CONFIG_STATUS, net->up ? NET_STATUS_LINK_UP : 0);
	bytes_put16(net->config + NET_CONFIG_PAIRS, (uint16_t)net->n_pairs);
	bytes_put16(net->config + NET_CONFIG_MTU, (uint16_t)net->options->mtu);
}

void net_set_link(struct net *net, bool up)
{
	if (atomic_exchange(&net->up, up) != up)
		virtio_config_changed(net->v);
}

/* ---- Features: VIRTIO 5.1.3 -------------------------------------------------------------------
 */

/* What a tap does, a driver may leave to it, and the other way round. */
static const struct {
	unsigned offload, host, guest;
} offloads[] = {
	{ TAP_CSUM, NET_F_CSUM, NET_F_GUEST_CSUM },
	{ TAP_TSO4, NET_F_HOST_TSO4, NET_F_GUEST_TSO4 },
	{ TAP_TSO6, NET_F_HOST_TSO6, NET_F_GUEST_TSO6 },
	{ TAP_ECN, NET_F_HOST_ECN, NET_F_GUEST_ECN },
	{ TAP_UFO, NET_F_HOST_UFO, NET_F_GUEST_UFO },
};

static uint64_t features(const struct net *net)
{
	uint64_t bits = 1ULL << NET_F_MAC | 1ULL << NET_F_MRG_RXBUF | 1ULL << NET_F_STATUS |
			1ULL << NET_F_CTRL_VQ | 1ULL << NET_F_CTRL_RX | 1ULL << NET_F_CTRL_MAC_ADDR;

	for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
		if (net->tap.offloads & offloads[i].offload)
			bits |= 1ULL << offloads[i].host | 1ULL << offloads[i].guest;
	}
	if (net->options->user)
		bits |= 1ULL << NET_F_GUEST_CSUM; /* passt's checksums are right */
	if (net->options->mtu)
		bits |= 1ULL << NET_F_MTU;
	if (net->n_pairs > 1)
		bits |= 1ULL << NET_F_MQ;
	return bits;
}

/* What the driver takes undone, as far as it may have that: VIRTIO 5.1.3.1 has what needs what, and
 * a tap refuses the rest. */
static unsigned guest_offloads(const struct net *net)
{
	unsigned bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
		if (virtio_has(net->v, offloads[i].guest))
			bits |= offloads[i].offload;
	}
	bits &= net->tap.offloads;
	if (!(bits & (TAP_TSO4 | TAP_TSO6)))
		bits &= ~(unsigned)TAP_ECN;
	return bits & TAP_CSUM ? bits : 0;
}

/* ---- While the driver is there ----------------------------------------------------------------
 */

struct net_pair *net_pair_of(const struct virtio_queue *q)
{
	struct net *net = virtio_queue_device(q)->state;

	return net->pairs[virtio_queue_index(q) / 2];
}

/* With the link down by the config. */
static void discard(struct virtio_queue *q)
{
	struct iovec iov[NET_CHAIN];
	struct virtio_chain chain = { .iov = iov, .cap = NET_CHAIN };

	do {
		while (virtio_queue_take(q, &chain))
			virtio_queue_give(q, chain.head, 0);
		virtio_queue_flush(q);
	} while (!virtio_queue_idle(q));
}

static bool is_ready(const struct net_pair *pair)
{
	return virtio_queue_ready(pair->rx) && virtio_queue_ready(pair->tx);
}

/* The kernel takes a tap's place. */
static const struct net_mover *running(const struct net *net)
{
	return net->vhost ? &net_vhost : net->mover;
}

static void stop_pairs(struct net *net)
{
	/* First all of the workers: one may use another pair's things. */
	for (unsigned i = 0; i < net->n_pairs; i++) {
		virtio_worker_free(net->pairs[i]->worker);
		net->pairs[i]->worker = NULL;
	}
	for (unsigned i = 0; i < net->n_pairs; i++) {
		if (is_ready(net->pairs[i]))
			running(net)->stop(net->pairs[i]);
		net_rx_reset(net->pairs[i]);
	}
}

/* The first pair's worker serves the control queue, too (5.1.2), and is there in any case. */
static int start_pair(struct net *net, struct net_pair *pair)
{
	unsigned control = virtio_has(net->v, NET_F_MQ) ? 2 * net->n_pairs : 2;
	struct virtio_queue *q = virtio_queue(net->v, control);
	int ret = 0;

	if (!pair->index || (is_ready(pair) && !running(net)->outside)) {
		pair->worker = virtio_worker_new(net->v);
		ret = pair->worker ? 0 : -ENOMEM;
	}
	if (!ret && !pair->index && virtio_has(net->v, NET_F_CTRL_VQ))
		ret = virtio_worker_queue(pair->worker, q, net_control);
	if (ret || !is_ready(pair))
		return ret;
	return net->options->link == NET_LINK_DOWN
		       ? virtio_worker_queue(pair->worker, pair->tx, discard)
		       : running(net)->start(pair);
}

int net_use_pairs(struct net *net, unsigned n)
{
	int ret = 0;

	for (unsigned i = 0; i < net->n_pairs && net->n_pairs > 1 && !ret; i++) {
		if ((i < net->used_pairs) != (i < n))
			ret = tap_enable(&net->tap, i, i < n);
	}
	if (!ret)
		net->used_pairs = n;
	return ret;
}

static int start(struct virtio *v)
{
	struct net *net = v->state;
	int ret = 0;

	net->mac = own_mac(v, net->options->mac);
	for (unsigned i = 0; i < net->n_pairs; i++) {
		net->pairs[i]->rx = virtio_queue(v, 2 * i);
		net->pairs[i]->tx = virtio_queue(v, 2 * i + 1);
	}
	if (net->options->tap)
		ret = tap_set_offloads(&net->tap, guest_offloads(net));
	for (unsigned i = 0; i < net->n_pairs && !ret; i++)
		ret = start_pair(net, net->pairs[i]);
	/* Each tap is watched now, so that it may go and come back. */
	if (!ret)
		ret = net_use_pairs(net, 1);
	for (unsigned i = 0; i < net->n_pairs && !ret; i++)
		ret = net->pairs[i]->worker ? virtio_worker_run(net->pairs[i]->worker) : 0;
	if (!ret)
		return 0;
	virtio_broken(v, "can't start: %s", strerror(-ret)); /* a guest can try for ever */
	stop_pairs(net);
	net_use_pairs(net, net->n_pairs);
	return ret;
}

static void stop(struct virtio *v)
{
	struct net *net = v->state;
	unsigned long long dropped = 0;

	stop_pairs(net);
	net_use_pairs(net, net->n_pairs);
	for (unsigned i = 0; i < net->n_pairs; i++) {
		dropped += net->pairs[i]->dropped;
		net->pairs[i]->dropped = 0;
	}
	if (dropped)
		log_info("%s: %llu frames were too short or too long, or were not taken, and are "
			 "lost",
			 v->dev->plan->label, dropped);
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static void destroy(struct virtio *v)
{
	struct net *net = v->state;

	net_vhost.destroy(net);
	if (net->mover)
		net->mover->destroy(net);
	for (unsigned i = 0; i < net->n_pairs; i++)
		free(net->pairs[i]);
	free(net);
}

static int open_mover(struct net *net, struct err *err)
{
	const struct net_config *options = net->options;
	int ret;

	net->mover = options->tap ? &net_tap : &net_stream;
	ret = net->mover->create(net, err);
	if (ret || !options->tap || options->vhost == NET_VHOST_OFF)
		return ret;
	ret = net_vhost.create(net, options->vhost == NET_VHOST_ON ? err : NULL);
	if (ret && options->vhost == NET_VHOST_ON)
		return ret;
	net->vhost = !ret;
	log_debug("%s: frames are moved by %s", net->v->dev->plan->label,
		  net->vhost ? "the kernel" : "this process");
	return 0;
}

static int create(struct virtio *v, struct err *err)
{
	const struct net_config *options = v->dev->options;
	struct net *net = calloc(1, sizeof(*net));
	int ret = net ? 0 : -ENOMEM;

	if (!net)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", v->dev->plan->label);
	net->v = v;
	net->options = options;
	v->state = net;
	while (!ret && net->n_pairs < options->queues) {
		struct net_pair *pair = calloc(1, sizeof(*pair));

		if (!pair) {
			ret = err_errno(err, ENOMEM, STATUS_OSERR, "%s", v->dev->plan->label);
			break;
		}
		*pair = (struct net_pair){ .net = net, .index = net->n_pairs };
		net->pairs[net->n_pairs++] = pair;
	}
	net->used_pairs = net->n_pairs;
	net->up = options->link != NET_LINK_DOWN;
	if (!ret)
		ret = open_mover(net, err);
	if (ret) {
		destroy(v);
		return ret;
	}
	net->mac = own_mac(v, options->mac);
	v->features = features(net);
	v->n_queues = 2 * net->n_pairs + 1;
	v->queue_size = NET_QUEUE;
	v->config = net->config;
	v->config_len = sizeof(net->config);
	return 0;
}

static const struct virtio_type type = {
	.id = 1,
	.pci_class = 0x020000, /* PCI Code and ID Assignment Specification, 1.3: Ethernet */
	.create = create,
	.destroy = destroy,
	.start = start,
	.stop = stop,
	.config_read = config_read,
};

static int create_device(struct device *dev, struct err *err)
{
	return virtio_create(dev, &type, err);
}

/* ---- The row -----------------------------------------------------------------------------------
 */

static struct mark mark_of(const struct node *node, const char *key)
{
	return node_get(node, key)->key_mark;
}

/* The other end: exactly one of these. */
static const char *const ends[] = { "tap", "user", "listen", "connect" };

static void check_ends(const struct net_config *config, const struct node *node,
		       struct diags *diags)
{
	const bool there[] = { config->tap, config->user, config->listen, config->connect };
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (!there[i])
			continue;
		if (!first) {
			first = ends[i];
			continue;
		}
		diag_error(diags, mark_of(node, ends[i]),
			   "'%s' and '%s' of virtio-net exclude each other", first, ends[i]);
		diag_note(diags, mark_of(node, first), "'%s' is here", first);
		diag_help(diags, "a card has one other end; for two, write two virtio-net");
	}
	if (first)
		return;
	diag_error(diags, node->key_mark, "virtio-net needs another end for its frames");
	diag_help(diags,
		  "`tap: NAME`, a tap interface; `user: true`, the host's network without "
		  "rights; or, to join two VMs, `listen: PATH` in one and `connect: PATH` in "
		  "the other");
}

/* Options that make sense with one end alone. */
static void check_only(const struct node *node, struct diags *diags, const char *key, bool allowed,
		       const char *end)
{
	if (node_given(node, key) && !allowed) {
		diag_error(diags, mark_of(node, key), "'%s' of virtio-net goes with %s alone", key,
			   end);
		diag_help(diags, "take it away, or give %s", end);
	}
}

static void check_forwards(const struct net_config *config, const struct node *node,
			   struct diags *diags)
{
	const struct net_forward *list = config->forward.list;

	for (uint32_t i = 0; i < config->forward.n; i++) {
		const struct node *entry = node_get(node, "forward")->children[i];
		uint8_t addr[16];

		if (list[i].address && inet_pton(AF_INET, list[i].address, addr) != 1 &&
		    inet_pton(AF_INET6, list[i].address, addr) != 1) {
			diag_error(diags, node_get(entry, "address")->mark, "'%s' is no IP address",
				   list[i].address);
			diag_help(diags, "write one of this host, such as 127.0.0.1 or ::1");
		}
		for (uint32_t k = 0; k < i; k++) {
			if (list[k].host != list[i].host || list[k].proto != list[i].proto)
				continue;
			if (list[k].address && list[i].address &&
			    strcmp(list[k].address, list[i].address))
				continue;
			diag_error(diags, node_get(entry, "host")->mark,
				   "port %u of the host is forwarded twice", list[i].host);
			diag_note(diags, node_get(node, "forward")->children[k]->mark,
				  "the first is here");
			break;
		}
	}
}

static void check(const void *options, const struct node *node, struct diags *diags)
{
	const struct net_config *config = options;

	virtio_check(options, node, diags);
	check_ends(config, node, diags);
	check_only(node, diags, "forward", config->user, "`user: true`");
	check_only(node, diags, "queues", config->tap || config->queues == 1, "`tap`");
	check_only(node, diags, "vhost", config->tap || config->vhost != NET_VHOST_ON, "`tap`");
	if (config->listen)
		device_check_socket(node_get(node, "listen"), config->listen, 0, diags);
	if (config->connect)
		device_check_socket(node_get(node, "connect"), config->connect, 0, diags);
	check_forwards(config, node, diags);
}

static const char *const proto_words[] = { "tcp", "udp", NULL };
static const char *const vhost_words[] = {
	[NET_VHOST_AUTO] = "auto",
	[NET_VHOST_ON] = "on",
	[NET_VHOST_OFF] = "off",
	NULL,
};
static const char *const link_words[] = {
	[NET_LINK_UP] = "up",
	[NET_LINK_DOWN] = "down",
	NULL,
};

static const struct option forward_options[] = {
	OPTION(struct net_forward, host, OPTION_UINT, .min = 1, .max = 65535, .required = true,
	       .doc = "Port of the host"),
	OPTION(struct net_forward, guest, OPTION_UINT, .max = 65535, .planned = true,
	       .doc = "Port of the guest; by default the same"),
	OPTION(struct net_forward, proto, OPTION_ENUM, .words = proto_words, .def = "tcp",
	       .doc = "Protocol"),
	OPTION(struct net_forward, address, OPTION_STRING, .max = 45,
	       .doc = "Address of the host; by default all it has"),
	{ 0 },
};

static const struct config_type forward_type = {
	.name = "forward",
	.doc = "A port of the host that leads to one of the guest",
	.options = forward_options,
	.size = sizeof(struct net_forward),
};

static const struct option options[] = {
	VIRTIO_OPTIONS(struct net_config),
	OPTION(struct net_config, tap, OPTION_STRING, .text = TEXT_IFNAME,
	       .linux_only = "VMs there can be joined to one another by `listen` and `connect`",
	       .doc = "Tap interface of the host, which is made if it isn't there and this user "
		      "may"),
	OPTION(struct net_config, user, OPTION_BOOL, .def = "false", .sample = "true",
	       .linux_only = "VMs there can be joined to one another by `listen` and `connect`",
	       .doc = "Whether it uses the host's network as a program of this user does, without "
		      "rights, by passt(1)"),
	OPTION(struct net_config, forward, OPTION_MAPS, .type = &forward_type,
	       .doc = "With `user: true`, ports of the host that lead to the guest"),
	OPTION(struct net_config, listen, OPTION_PATH, .made = true,
	       .doc = "To join two VMs: the socket at which this one waits for the other"),
	OPTION(struct net_config, connect, OPTION_PATH, .made = true,
	       .doc = "To join two VMs: the socket at which the other one listens, in whatever "
		      "order they start"),
	OPTION(struct net_config, mac, OPTION_STRING, .text = TEXT_MAC,
	       .doc = "MAC address; by default one made of the VM's name and the device's id"),
	OPTION(struct net_config, mtu, OPTION_UINT, .min = 68, .max = 65535, .planned = true,
	       .doc = "Largest packet that the guest shall send, in bytes; otherwise its own "
		      "choice, 1500"),
	OPTION(struct net_config, queues, OPTION_UINT, .def = "1", .min = 1, .max = TAP_QUEUES_MAX,
	       .doc = "Pairs of queues, each with a thread, for a guest with as many vCPUs; with "
		      "`tap` alone"),
	OPTION(struct net_config, vhost, OPTION_ENUM, .words = vhost_words, .def = "auto",
	       .doc = "Whether the kernel moves the frames of a tap (vhost-net): if it can, it "
		      "must, or no"),
	OPTION(struct net_config, link, OPTION_ENUM, .words = link_words, .def = "up",
	       .doc = "Whether the cable is plugged in"),
	{ 0 },
};

static const struct device_program programs[] = {
	{ "passt", NULL, "network cards without root", "passt", "user", true },
	{ 0 },
};

const struct device_row device_virtio_net = {
	.type = {
		.name = "virtio-net",
		.doc = "Network card on a tap, on the host's own network, or joined to another VM's",
		.options = options,
		.size = sizeof(struct net_config),
	},
	VIRTIO_ROW_CHECK(check),
	.programs = programs,
	.create = create_device,
};
