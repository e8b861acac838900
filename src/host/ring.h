/* ring.h: bytes that wait, first in, first out. */
#ifndef HOST_RING_H
#define HOST_RING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ring {
	uint8_t *buf;
	size_t size, head, len;
};

/* As much of it as there is room for; how much. */
static inline size_t ring_put(struct ring *ring, const uint8_t *p, size_t len)
{
	size_t room = ring->size - ring->len, done = 0;

	if (len > room)
		len = room;
	while (done < len) {
		size_t at = (ring->head + ring->len) % ring->size, n = ring->size - at;

		if (n > len - done)
			n = len - done;
		memcpy(ring->buf + at, p + done, n);
		ring->len += n;
		done += n;
	}
	return len;
}

/* The first bytes, as far as they lie in one piece. */
static inline size_t ring_piece(const struct ring *ring, const uint8_t **p)
{
	size_t n = ring->size - ring->head;

	*p = ring->buf + ring->head;
	return n < ring->len ? n : ring->len;
}

/* An empty ring begins at its beginning again, so that little memory is touched. */
static inline void ring_drop(struct ring *ring, size_t n)
{
	ring->len -= n;
	ring->head = ring->len ? (ring->head + n) % ring->size : 0;
}

#endif
