/* bytes.h: little-endian loads and stores, and arithmetic that can't wrap unseen.
 *
 * Pure; any thread. Pointers need no alignment.
 */
#ifndef VIBEVMM_BYTES_H
#define VIBEVMM_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Loads or stores the n (0..8) low bytes of a value, least significant first. */
static inline uint64_t bytes_get(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t v = 0;

	for (size_t i = 0; i < n && i < 8; i++)
		v |= (uint64_t)b[i] << (8 * i);
	return v;
}

static inline void bytes_put(void *p, size_t n, uint64_t v)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n && i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}

static inline uint16_t bytes_get16(const void *p)
{
	return (uint16_t)bytes_get(p, 2);
}
static inline uint32_t bytes_get32(const void *p)
{
	return (uint32_t)bytes_get(p, 4);
}
static inline uint64_t bytes_get64(const void *p)
{
	return bytes_get(p, 8);
}
static inline void bytes_put16(void *p, uint16_t v)
{
	bytes_put(p, 2, v);
}
static inline void bytes_put32(void *p, uint32_t v)
{
	bytes_put(p, 4, v);
}
static inline void bytes_put64(void *p, uint64_t v)
{
	bytes_put(p, 8, v);
}

/* All ones in the n (1..8) low bytes: what a read of nothing returns. */
static inline uint64_t bytes_ones(size_t n)
{
	return n >= 8 ? UINT64_MAX : (1ULL << (8 * n)) - 1;
}

/* True if a + b doesn't fit 64 bits; otherwise *sum is a + b. */
static inline bool bytes_add_wraps(uint64_t a, uint64_t b, uint64_t *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

/* Rounds up to a multiple of align (a power of two); true if that doesn't fit 64 bits. */
static inline bool bytes_align_wraps(uint64_t v, uint64_t align, uint64_t *out)
{
	uint64_t sum;

	if (bytes_add_wraps(v, align - 1, &sum))
		return true;
	*out = sum & ~(align - 1);
	return false;
}

static inline bool bytes_is_power_of_2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* Whether [a, a + a_size) lies wholly in [b, b + b_size); sizes may reach the top of 64 bits. */
static inline bool bytes_inside(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a >= b && a_size <= b_size && a - b <= b_size - a_size;
}

#endif
