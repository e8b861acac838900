/* primecell.h: what the tests of Arm's PrimeCell devices share: 32-bit registers, and the bytes
 * that identify them.
 */
#ifndef TESTS_PRIMECELL_H
#define TESTS_PRIMECELL_H

#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "fake_host.h"

static struct fake fake;

static uint32_t in(uint64_t offset)
{
	return (uint32_t)fake_read(&fake, 0, offset, 4);
}

static void out(uint64_t offset, uint32_t value)
{
	fake_write(&fake, 0, offset, 4, value);
}

/* The four bytes of the peripheral's number come first; the rest says PrimeCell. */
static void check_ids(const uint8_t peripheral[4])
{
	static const uint8_t primecell[] = { 0x0d, 0xf0, 0x05, 0xb1 };

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(in(0xfe0 + 4 * i), peripheral[i]);
		assert_int_equal(in(0xff0 + 4 * i), primecell[i]);
	}
}

#endif
