/* net.h: where a network card's frames go on the host: taps, and passt.
 *
 * Everything is made by one thread and given back by one; descriptors don't block, and are closed
 * in programs that are started. On failure err says what the user can do.
 */
#ifndef VIBEVMM_NET_H
#define VIBEVMM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <vibevmm/err.h>

/* ---- Taps (Linux, Documentation/networking/tuntap.rst) ------------------------------------- */

enum { TAP_QUEUES_MAX = 8 };

/* What one end lets the other leave undone: TUNSETOFFLOAD. */
enum tap_offload {
	TAP_CSUM = 1 << 0, /* checksums of TCP and UDP, ... */
	TAP_TSO4 = 1 << 1, /* ... and segments, over IPv4 ... */
	TAP_TSO6 = 1 << 2, /* ... or IPv6, ... */
	TAP_ECN = 1 << 3,  /* ... with congestion notification, ... */
	TAP_UFO = 1 << 4,  /* ... and fragments */
};

struct tap {
	int fds[TAP_QUEUES_MAX]; /* a frame for each read(2) and write(2), behind a header */
	unsigned queues;
	unsigned offloads; /* those that it has */
	int lock;	   /* of a tap with several queues, or -1 */
};

/* Opens the tap of that name, or makes it, if it may, for as long as it is open. Frames have a
 * virtio header of header bytes. A tap is one VM's: -EBUSY if another has it. */
int tap_open(struct tap *tap, const char *name, unsigned queues, unsigned header, struct err *err);
void tap_close(struct tap *tap);

/* The offloads that frames to be read may count on. */
int tap_set_offloads(const struct tap *tap, unsigned offloads);

/* Whether a queue takes part; all do at first. Frames come by any that does. 0 or -errno. */
int tap_enable(const struct tap *tap, unsigned queue, bool on);

/* ---- passt: a user's own way to the network, without rights --------------------------------- */

struct passt_forward {
	const char *address;  /* of the host; NULL: all of them */
	uint16_t host, guest; /* ports */
	bool udp;
};

struct passt_config {
	const struct passt_forward *forwards;
	unsigned n_forwards;
	unsigned mtu; /* that DHCP tells; 0: none */
};

/* Starts one: the descriptor of a stream on which each frame comes behind its length, 4 bytes in
 * network order. It ends when that is closed, by whomever. */
int passt_start(const struct passt_config *config, struct err *err);

/* Closes the descriptor, and waits until the ports are free again, for whoever starts anew. */
void passt_stop(int fd);

#endif
