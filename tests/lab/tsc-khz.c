/* tsc-khz.c: prints how many thousand times a second this machine's time-stamp counter ticks, which
 * QEMU's emulated one follows; nothing on a machine without one.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __x86_64__
struct instant {
	uint64_t ticks, ns;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Both clocks at once: the quickest of many readings, since other programs come between. */
static struct instant look(void)
{
	uint64_t best = UINT64_MAX;
	struct instant found = { 0 };

	for (int i = 0; i < 100; i++) {
		uint64_t begin = clock_ns();
		uint64_t ticks = __builtin_ia32_rdtsc();
		uint64_t took = clock_ns() - begin;

		if (took < best) {
			best = took;
			found = (struct instant){ ticks, begin + took / 2 };
		}
	}
	return found;
}

int main(void)
{
	struct instant begin = look(), end;

	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	end = look();
	printf("%.0f\n", (double)(end.ticks - begin.ticks) * 1e6 / (double)(end.ns - begin.ns));
	return 0;
}
#else
int main(void)
{
	return 0;
}
#endif
