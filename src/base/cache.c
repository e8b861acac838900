/* cache.c: the directory of what is kept for the next run. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <vibevmm/cache.h>
#include <vibevmm/log.h>

bool cache_is_ours(const struct stat *st, mode_t others)
{
	return st->st_uid == geteuid() && !(st->st_mode & others);
}

/* A directory below at, made if it is missing; -1: it can't be, or it isn't the user's own. */
static int open_dir(int at, const char *name, int flags, mode_t others)
{
	struct stat st;
	int fd;

	if (mkdirat(at, name, 0700) && errno != EEXIST)
		return -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && cache_is_ours(&st, others))
		return fd;
	log_info("cache directory '%s' is not used: somebody else may write it", name);
	close(fd);
	return -1;
}

/* XDG Base Directory Specification: a relative path is as none. What is above our own directory
 * must be the user's, lest root leaves files in a home that isn't root's. */
int cache_open(void)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char path[1024];
	int at, fd, n;

	if (base && base[0] == '/')
		n = snprintf(path, sizeof(path), "%s", base);
	else if (home && home[0] == '/')
		n = snprintf(path, sizeof(path), "%s/.cache", home);
	else
		return -1;
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	at = open_dir(AT_FDCWD, path, 0, S_IWOTH);
	if (at < 0)
		return -1;
	fd = open_dir(at, "vibevmm", O_NOFOLLOW, S_IWGRP | S_IWOTH);
	close(at);
	return fd;
}
