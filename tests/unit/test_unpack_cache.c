/* test_unpack_cache.c: what was unpacked is found again for the same file only, and only where
 * nobody else can write. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/cache.h>

#include "unpack_helpers.h"

#include "../../src/boot/unpack.h"
#include "../../src/boot/unpack_private.h"

/* ---- The host, as the test wants it (see the Makefile for --wrap) --------------------------- */

static time_t later;	 /* added to the clock: a file's ctime can't be set back */
static bool no_nsec;	 /* files have times in whole seconds */
static bool other_owner; /* files belong to somebody else */
static int full_writes;	 /* so many writes find no space */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int ret = __real_clock_gettime(id, t);

	t->tv_sec += later;
	return ret;
}

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st)
{
	int ret = __real_fstat(fd, st);

	if (no_nsec)
		st->st_ctim.tv_nsec = 0;
	if (other_owner && S_ISREG(st->st_mode))
		st->st_uid++;
	return ret;
}

ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	if (!full_writes)
		return __real_pwrite(fd, buf, len, at);
	full_writes--;
	errno = ENOSPC;
	return -1;
}

/* ---- The cache ----------------------------------------------------------------------------- */

static char cache[64];

static int setup(void **state)
{
	later = 0;
	full_writes = 0;
	no_nsec = other_owner = false;
	if (scratch_setup(state))
		return -1;
	snprintf(cache, sizeof(cache), "%s/vibevmm", top);
	return 0;
}

/* The number of our files in the cache, or -1: no such directory. */
static int entries(void)
{
	DIR *list = opendir(cache);
	struct dirent *entry;
	int n = 0;

	if (!list)
		return -1;
	while ((entry = readdir(list)))
		n += !strncmp(entry->d_name, "unpacked-", 9);
	closedir(list);
	return n;
}

/* A kernel in a file that has been there for a while, and the name of its entry. */
static struct image old_kernel(const char *text, char name[UNPACK_NAME_MAX])
{
	struct bytes b = pack_gzip((const uint8_t *)text, strlen(text));
	struct image image = file_of("kernel", b.p, b.len);

	later = 10;
	assert_true(unpack_cache_key(image.fd, 0, b.len, name));
	free(b.p);
	return image;
}

static void expect_content(const struct image *image, const char *want)
{
	struct image out;
	struct err err = { 0 };
	char got[64] = "";

	assert_int_equal(unpack(image, 0, image->size, 60, &out, &err), 0);
	assert_int_equal(out.size, strlen(want));
	assert_int_equal(image_read(&out, 0, got, out.size), 0);
	assert_string_equal(got, want);
	image_close(&out);
}

/* Writes over the entry's first bytes, so that a hit can be told. */
static void mark_entry(const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", cache, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(__real_pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	close(fd);
}

static void test_hit(void **state)
{
	char name[UNPACK_NAME_MAX], path[256];
	struct timespec long_ago[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct image image = old_kernel("a kernel", name), out;
	struct stat st;
	struct err err;

	(void)state;
	expect_content(&image, "a kernel");
	assert_int_equal(entries(), 1);
	assert_int_equal(stat(cache, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/%s", cache, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	mark_entry(name, "A KERNEL");
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	expect_content(&image, "A KERNEL");
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_mtim.tv_sec > 1000); /* used, so it stays */
	assert_int_equal(unpack(&image, 0, image.size, 7, &out, &err), -EFBIG);
	assert_int_equal(entries(), 1);
	image_close(&image);
}

static void test_key(void **state)
{
	char name[UNPACK_NAME_MAX], other[UNPACK_NAME_MAX];
	struct image image = old_kernel("a kernel", name);
	struct stat before, after;

	(void)state;
	assert_true(unpack_cache_key(image.fd, 0, image.size, other));
	assert_string_equal(name, other);
	assert_true(unpack_cache_key(image.fd, 1, image.size, other));
	assert_string_not_equal(name, other);
	assert_true(unpack_cache_key(image.fd, 0, image.size - 1, other));
	assert_string_not_equal(name, other);

	/* Changed without a change of size. */
	assert_int_equal(__real_fstat(image.fd, &before), 0);
	do {
		assert_int_equal(__real_pwrite(image.fd, "\x1f", 1, 0), 1);
		assert_int_equal(__real_fstat(image.fd, &after), 0);
	} while (!memcmp(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim)));
	assert_int_equal(before.st_size, after.st_size);
	assert_true(unpack_cache_key(image.fd, 0, image.size, other));
	assert_string_not_equal(name, other);

	/* Even with the old time of change. */
	assert_int_equal(futimens(image.fd, (struct timespec[]){ before.st_atim, before.st_mtim }),
			 0);
	assert_true(unpack_cache_key(image.fd, 0, image.size, other));
	assert_string_not_equal(name, other);
	later = 0; /* now it was changed a moment ago */
	assert_false(unpack_cache_key(image.fd, 0, image.size, other));
	later = 10;
	no_nsec = true;
	assert_false(unpack_cache_key(image.fd, 0, image.size, other));
	image_close(&image);
}

static void test_distrust(void **state)
{
	char name[UNPACK_NAME_MAX], path[256];
	struct image image = old_kernel("a kernel", name);
	static const struct {
		const char *what;
		off_t size; /* the entry is cut to */
		mode_t file, dir, base;
		bool owner;
	} cases[] = {
		{ "an entry cut short", 20, 0600, 0700, 0700, false },
		{ "an empty entry", 0, 0600, 0700, 0700, false },
		{ "an entry that grew", 99, 0600, 0700, 0700, false },
		{ "an entry that the group may write", 0x18, 0620, 0700, 0700, false },
		{ "an entry that all may write", 0x18, 0602, 0700, 0700, false },
		{ "an entry of somebody else", 0x18, 0600, 0700, 0700, true },
		{ "a directory that the group may write", 0x18, 0600, 0720, 0700, false },
		{ "a directory that all may write", 0x18, 0600, 0702, 0700, false },
		{ "a directory in one that all may write", 0x18, 0600, 0700, 0702, false },
	};

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", cache, name);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		expect_content(&image, "a kernel");
		mark_entry(name, "A KERNEL");
		expect_content(&image, "A KERNEL");
		assert_int_equal(truncate(path, cases[i].size), 0);
		assert_int_equal(chmod(path, cases[i].file), 0);
		assert_int_equal(chmod(cache, cases[i].dir), 0);
		assert_int_equal(chmod(top, cases[i].base), 0);
		other_owner = cases[i].owner;
		print_message("# %s\n", cases[i].what);
		expect_content(&image, "a kernel");
		other_owner = false;
		chmod(top, 0700);
		chmod(cache, 0700);
		unlink(path);
	}
	image_close(&image);
}

static void test_link(void **state)
{
	char name[UNPACK_NAME_MAX], path[256], target[96];
	struct image image = old_kernel("a kernel", name);

	(void)state;
	expect_content(&image, "a kernel");
	mark_entry(name, "A KERNEL");
	snprintf(path, sizeof(path), "%s/%s", cache, name);
	snprintf(target, sizeof(target), "%s/elsewhere", top);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	expect_content(&image, "a kernel");

	/* So is the directory: refused, and left as it is. */
	mark_entry(name, "A KERNEL");
	snprintf(target, sizeof(target), "%s/moved", top);
	assert_int_equal(rename(cache, target), 0);
	assert_int_equal(symlink(target, cache), 0);
	expect_content(&image, "a kernel");
	image_close(&image);
}

static void test_none(void **state)
{
	char name[UNPACK_NAME_MAX], home[96], path[300];
	struct image image = old_kernel("a kernel", name), out;
	struct err err;
	char *saved = getenv("HOME") ? strdup(getenv("HOME")) : NULL;

	(void)state;
	snprintf(home, sizeof(home), "%s/home", top);
	assert_int_equal(mkdir(home, 0700), 0);
	setenv("XDG_CACHE_HOME", "relative", 1);
	setenv("HOME", home, 1);
	expect_content(&image, "a kernel");
	snprintf(path, sizeof(path), "%s/.cache/vibevmm/%s", home, name);
	assert_int_equal(access(path, R_OK), 0);

	unsetenv("HOME");
	expect_content(&image, "a kernel");
	setenv("HOME", "/dev/null", 1);
	expect_content(&image, "a kernel");
	assert_int_equal(entries(), -1);

	setenv("TMPDIR", "/dev/null", 1);
	assert_int_equal(unpack(&image, 0, image.size, 60, &out, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "'/dev/null' (TMPDIR"));
	assert_int_equal(err.status, STATUS_OSERR);
	if (saved)
		setenv("HOME", saved, 1);
	free(saved);
	image_close(&image);
}

static void test_full(void **state)
{
	char name[UNPACK_NAME_MAX];
	struct image image = old_kernel("a kernel", name), out;
	struct err err;

	(void)state;
	full_writes = 1; /* the cache's disk: another place is tried */
	expect_content(&image, "a kernel");
	assert_int_equal(full_writes, 0);
	assert_int_equal(entries(), 0);
	full_writes = 2;
	assert_int_equal(unpack(&image, 0, image.size, 60, &out, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "can't be unpacked into a temporary file: "));
	assert_int_equal(entries(), 0);
	image_close(&image);
}

/* Leaves an entry of that size whose last use was at `when`. */
static void keep(int dir, const char *name, uint64_t size, time_t when)
{
	struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
	char created[UNPACK_NAME_MAX];
	int fd = unpack_cache_create(dir, created);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	unpack_cache_keep(dir, created, fd, size, name);
	utimensat(dir, name, times, 0);
	close(fd);
}

static bool has(int dir, const char *name)
{
	return !faccessat(dir, name, F_OK, 0);
}

static void test_bounded(void **state)
{
	int dir = cache_open(), fd;
	char name[32];

	(void)state;
	assert_true(dir >= 0);
	fd = openat(dir, "notes", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "unpacked-%d", i);
		keep(dir, name, 100, 1000 + i);
	}
	assert_int_equal(entries(), 32);
	assert_false(has(dir, "unpacked-7"));
	assert_true(has(dir, "unpacked-8"));
	assert_true(has(dir, "unpacked-39"));

	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "unpacked-large-%d", i);
		keep(dir, name, 250u << 20, 2000 + i);
	}
	assert_int_equal(entries(), 4);
	assert_false(has(dir, "unpacked-large-1"));
	assert_true(has(dir, "unpacked-large-2"));
	assert_true(has(dir, "unpacked-large-5"));

	keep(dir, "unpacked-huge", 300u << 20, 3000);
	assert_int_equal(entries(), 4);
	assert_false(has(dir, "unpacked-huge"));
	assert_true(has(dir, "notes"));
	close(dir);
}

#define NAMED(n, f)                                                                                \
	{                                                                                          \
		.name = (n), .test_func = (f), .setup_func = setup,                                \
		.teardown_func = scratch_teardown                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NAMED("the second time it comes from the cache", test_hit),
		NAMED("a changed file, or one too new to tell, is not taken for the old one",
		      test_key),
		NAMED("damaged entries and what others may write are not trusted", test_distrust),
		NAMED("symbolic links in the cache are not followed", test_link),
		NAMED("without a place for a cache it goes without", test_none),
		NAMED("a full disk under the cache does no harm", test_full),
		NAMED("the oldest entries make room", test_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, scratch_remove);
}
