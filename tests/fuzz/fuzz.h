/* fuzz/fuzz.h: what the fuzz targets share: the entry that libFuzzer calls and, in builds without
 * libFuzzer, a main that gives the target files and watches its memory.
 *
 * A target includes this and defines fuzz_one. An input may take FUZZ_SECONDS of processor time:
 * wall time says little on a busy machine. (What hangs is found by libFuzzer's own -timeout.)
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define FUZZ_SECONDS 1
#define FUZZ_MEMORY  65536L /* KiB of resident memory that one input may make us use */

static void fuzz_one(const uint8_t *data, size_t size);

/* What must hold whatever the input. */
#define must(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #cond);      \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static inline double fuzz_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	double start = fuzz_clock(), took;

	fuzz_one(data, size);
	took = fuzz_clock() - start;
	if (took > FUZZ_SECONDS)
		fprintf(stderr, "this input took %.3f s\n", took);
	must(took <= FUZZ_SECONDS);
	return 0;
}

/* The bytes of an input, taken from its front; 0 once there are none. */
struct bytes {
	const uint8_t *p;
	size_t len;
};

static inline uint64_t take(struct bytes *in, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n && in->len; i++, in->p++, in->len--)
		v |= (uint64_t)*in->p << (8 * i);
	return v;
}

#ifndef FUZZ /* set in the build that has libFuzzer's main */

/* Names the file if it needs too much. The high-water mark of memory never falls, so the first file
 * named is the one. */
static bool fuzz_file(const char *path, bool *over)
{
	struct rusage usage;
	FILE *file = fopen(path, "rb");
	size_t size = 0, cap = 1 << 21;
	uint8_t *data = malloc(cap), *exact;

	if (!file || !data) {
		perror(path);
		return false;
	}
	size = fread(data, 1, cap, file);
	fclose(file);
	exact = realloc(data, size ? size : 1); /* a byte too far is on somebody else's ground */
	LLVMFuzzerTestOneInput(exact ? exact : data, size);
	free(exact ? exact : data);
	getrusage(RUSAGE_SELF, &usage);
	if (usage.ru_maxrss > FUZZ_MEMORY && !*over) {
		*over = true;
		fprintf(stderr, "%s: %ld KiB of memory, more than %ld\n", path, usage.ru_maxrss,
			FUZZ_MEMORY);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	bool over = false, read = true;

	for (int i = 1; i < argc; i++)
		read &= fuzz_file(argv[i], &over);
	getrusage(RUSAGE_SELF, &usage);
	printf("%d inputs, %ld KiB\n", argc - 1, usage.ru_maxrss);
	return over || !read;
}

#endif
#endif
