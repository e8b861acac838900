/* blk-verify.c: writes a disk at random from several threads at once, and reads it back.
 *
 *	blk-verify DEVICE THREADS WRITES
 *
 * Each thread runs on a CPU of its own and has every THREADS-th block of 4 KiB, so that neighbours
 * in one request's pages belong to different ones. It writes runs of its blocks with direct I/O, a
 * stamp in each sector, and reads them back at once, now and then; at the end all stamps must be
 *the last ones that were written.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define BLOCK  4096U
#define SECTOR 512U

struct stamp {
	uint64_t sector, generation, thread, sum;
};

static int fd;
static unsigned threads, writes;
static uint64_t blocks;

struct worker {
	pthread_t thread;
	unsigned index;
	uint64_t random, bad;
	uint32_t *generations; /* of each of its blocks; 0: never written */
};

static uint64_t next(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static struct stamp make(const struct worker *w, uint64_t sector, uint32_t generation)
{
	struct stamp s = { sector, generation, w->index, 0 };

	s.sum = (s.sector * 31 + s.generation) * 31 + s.thread + 1;
	return s;
}

static void fill(const struct worker *w, uint8_t *buf, uint64_t block, uint32_t generation)
{
	for (unsigned i = 0; i < BLOCK / SECTOR; i++) {
		struct stamp s = make(w, block * (BLOCK / SECTOR) + i, generation);

		for (unsigned at = 0; at < SECTOR; at += sizeof(s))
			memcpy(buf + i * SECTOR + at, &s, sizeof(s));
	}
}

static void check(struct worker *w, uint64_t mine, uint8_t *buf, uint8_t *want)
{
	uint64_t block = mine * threads + w->index;

	if (!w->generations[mine])
		return;
	fill(w, want, block, w->generations[mine]);
	if (pread(fd, buf, BLOCK, (off_t)(block * BLOCK)) != BLOCK || memcmp(buf, want, BLOCK)) {
		if (!w->bad++)
			printf("block %llu of thread %u is wrong\n", (unsigned long long)block,
			       w->index);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t own = blocks / threads;
	uint8_t *buf = aligned_alloc(BLOCK, 2 * BLOCK);
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(w->index % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	w->generations = calloc(own, sizeof(*w->generations));
	for (unsigned i = 1; i <= writes; i++) {
		uint64_t mine = next(w) % own, block = mine * threads + w->index;

		fill(w, buf, block, i);
		if (pwrite(fd, buf, BLOCK, (off_t)(block * BLOCK)) != BLOCK) {
			perror("write");
			w->bad++;
		}
		w->generations[mine] = i;
		if (i % 4 == 0)
			check(w, next(w) % own, buf, buf + BLOCK);
		if (i % 64 == 0 && fdatasync(fd)) {
			perror("flush");
			w->bad++;
		}
	}
	for (uint64_t mine = 0; mine < own; mine++)
		check(w, mine, buf, buf + BLOCK);
	free(buf);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker workers[64];
	uint64_t size, bad = 0;

	if (argc != 4 || (threads = (unsigned)atoi(argv[2])) < 1 || threads > 64)
		return 64;
	writes = (unsigned)atoi(argv[3]);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size)) {
		perror(argv[1]);
		return 1;
	}
	blocks = size / BLOCK;
	for (unsigned i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .index = i, .random = i * 7919 + 12345 };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 1;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		bad += workers[i].bad;
	}
	printf("%u threads, %u writes each, %llu wrong\n", threads, writes,
	       (unsigned long long)bad);
	return bad != 0;
}
