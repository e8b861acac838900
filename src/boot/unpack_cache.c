/* unpack_cache.c: unpacked kernels, kept in a directory of the user's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/cache.h>
#include <vibevmm/log.h>

#include "unpack_private.h"

#define PREFIX "unpacked-" /* of all our names: the directory may hold other things */

#define MAX_ENTRIES 32
#define MAX_BYTES   (1ULL << 30)
#define MAX_ENTRY   (MAX_BYTES / 4) /* what is larger would drive out all others */

/* How far a filesystem's clock may lag: FAT counts in 2 s, the others in less. */
#define SETTLED 2

/* Ends an entry: a file that a crash of the host left half on disk has no such end. */
static const char end_magic[8] = "VVMunpk1";
#define END_SIZE 16 /* the magic, and the size of what comes before */

bool unpack_cache_key(int fd, uint64_t offset, uint64_t len, char name[UNPACK_NAME_MAX])
{
	struct timespec now;
	struct stat st;

	if (fstat(fd, &st) || clock_gettime(CLOCK_REALTIME, &now) || !st.st_ctim.tv_nsec ||
	    st.st_ctim.tv_sec >= now.tv_sec - SETTLED)
		return false;
	snprintf(name, UNPACK_NAME_MAX, PREFIX "%jx-%jx-%jx-%jx.%lx-%jx.%lx-%" PRIx64 "-%" PRIx64,
		 (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (uintmax_t)st.st_size,
		 (uintmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (uintmax_t)st.st_ctim.tv_sec,
		 st.st_ctim.tv_nsec, offset, len);
	return true;
}

/* ---- Entries ------------------------------------------------------------------------------- */

int unpack_cache_get(int dir, const char *name, uint64_t *size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t end[END_SIZE];
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !cache_is_ours(&st, S_IWGRP | S_IWOTH) ||
	    st.st_size <= END_SIZE || pread(fd, end, END_SIZE, st.st_size - END_SIZE) != END_SIZE ||
	    memcmp(end, end_magic, sizeof(end_magic)) != 0 ||
	    bytes_get64(end + sizeof(end_magic)) != (uint64_t)st.st_size - END_SIZE) {
		log_info("cache entry '%s' is not used: it is damaged, or not ours", name);
		close(fd);
		return -1;
	}
	futimens(fd, NULL); /* the oldest are dropped first: this one is in use */
	*size = (uint64_t)st.st_size - END_SIZE;
	return fd;
}

int unpack_cache_create(int dir, char name[UNPACK_NAME_MAX])
{
	uint64_t unique;
	int fd;

	if (getentropy(&unique, sizeof(unique)))
		return -errno;
	snprintf(name, UNPACK_NAME_MAX, PREFIX "new-%" PRIx64, unique);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* What is in the directory now; the name of its oldest file. */
struct usage {
	unsigned n;
	uint64_t bytes;
	struct timespec oldest;
	char name[UNPACK_NAME_MAX];
};

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

static struct usage measure(DIR *list)
{
	struct usage usage = { 0 };
	struct dirent *entry;
	struct stat st;

	rewinddir(list);
	while ((entry = readdir(list))) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
		    strlen(entry->d_name) >= sizeof(usage.name) ||
		    fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		usage.bytes += (uint64_t)st.st_size;
		if (usage.n++ && !is_before(st.st_mtim, usage.oldest))
			continue;
		usage.oldest = st.st_mtim;
		memcpy(usage.name, entry->d_name, strlen(entry->d_name) + 1);
	}
	return usage;
}

/* What a killed vibevmm left behind goes in its turn. Others may do the same at the same time. */
static void drop_oldest(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct usage usage;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return;
	}
	do
		usage = measure(list);
	while ((usage.n > MAX_ENTRIES || usage.bytes > MAX_BYTES) &&
	       (!unlinkat(dir, usage.name, 0) || errno == ENOENT));
	closedir(list);
}

void unpack_cache_keep(int dir, const char *created, int fd, uint64_t size, const char *name)
{
	uint8_t end[END_SIZE];

	memcpy(end, end_magic, sizeof(end_magic));
	bytes_put64(end + sizeof(end_magic), size);
	if (size > MAX_ENTRY || pwrite(fd, end, END_SIZE, (off_t)size) != END_SIZE ||
	    renameat(dir, created, dir, name)) {
		log_info("unpacked kernel of %" PRIu64 " bytes is not kept in the cache", size);
		unlinkat(dir, created, 0);
		return;
	}
	drop_oldest(dir);
}
