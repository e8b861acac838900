/* test_passt.c: src/host/passt_linux.c, with a script in place of passt. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/net.h>

static char dir[] = "/tmp/test_passt.XXXXXX";
static char path[64];

/* Like passt, it is ready when it ends, and leaves somebody in the background. */
static void set_script(const char *body)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", body);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* Bytes until the other end closes. */
static size_t count(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char buf[1000];
	size_t sum = 0;
	ssize_t n;

	do {
		assert_int_equal(poll(&in, 1, 20000), 1);
		n = read(fd, buf, sizeof(buf));
		assert_true(n >= 0);
		sum += (size_t)n;
	} while (n);
	return sum;
}

/* passt sends the rest of a frame with one call, and would lose it if that didn't wait. */
static void its_end_of_the_socket_blocks(void **state)
{
	const struct passt_config config = { 0 };
	struct err err;
	int fd;

	(void)state;
	set_script("head -c 3000000 /dev/zero >&3 2>/dev/null &");
	fd = passt_start(&config, &err);
	assert_true(fd >= 0);
	assert_int_equal(count(fd), 3000000);
	close(fd);
}

static void our_end_does_not(void **state)
{
	const struct passt_config config = { 0 };
	struct err err;
	char byte;
	int fd;

	(void)state;
	set_script("exec cat <&3 >/dev/null 2>&1 &");
	fd = passt_start(&config, &err);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), -1);
	close(fd);
}

static void why_it_failed_is_told(void **state)
{
	const struct passt_config config = { 0 };
	struct err err;

	(void)state;
	set_script("echo no route >&2; exit 1");
	assert_true(passt_start(&config, &err) < 0);
	assert_string_equal(err.text, "passt failed: no route");
}

static int make_dir(void **state)
{
	char search[4096];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/passt", dir);
	snprintf(search, sizeof(search), "%s:%s", dir, getenv("PATH"));
	setenv("PATH", search, 1);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_end_of_the_socket_blocks),
		cmocka_unit_test(our_end_does_not),
		cmocka_unit_test(why_it_failed_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
