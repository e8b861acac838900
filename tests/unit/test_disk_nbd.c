/* test_disk_nbd.c: disks that a server has: a qemu-nbd of our own, and one by URI. */
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "unit/disk_helpers.h"

/* A name that QEMU would take for a protocol, and for two options. */
#define QCOW2 "nbd:odd,name.qcow2"

static const struct disk_config qcow2 = {
	.path = QCOW2, .format = DISK_QCOW2, .sector = 512, .lanes = 1
};

static bool library_here(void)
{
	void *library = dlopen("libnbd.so.0", RTLD_NOW | RTLD_LOCAL);

	if (library)
		dlclose(library);
	return library;
}

static bool tools_here(void)
{
	return library_here() &&
	       !system("command -v qemu-nbd >/dev/null && command -v qemu-img >/dev/null");
}

static void run_command(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static int make_qcow2(void **state)
{
	make_image(state);
	if (tools_here())
		run_command("qemu-img convert -f raw -O qcow2 " IMAGE " './" QCOW2 "'");
	return 0;
}

static int remove_qcow2(void **state)
{
	unlink(QCOW2);
	return remove_image(state);
}

/* The processes that are ours; the first of them, or 0. */
static pid_t child(void)
{
	FILE *file = fopen("/proc/thread-self/children", "r");
	int pid = 0;

	assert_non_null(file);
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

static void a_qcow2_image_is_read_and_written(void **state)
{
	struct disk *disk;
	uint8_t bytes[1024];

	(void)state;
	if (!tools_here())
		skip();
	disk = open_disk(&qcow2);
	assert_int_equal(disk_size(disk), SIZE);
	assert_int_equal(request(disk, DISK_READ, 4096, bytes, sizeof(bytes)), 0);
	assert_pattern(bytes, 4096, sizeof(bytes));
	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(request(disk, DISK_WRITE, 8192, bytes, sizeof(bytes)), 0);
	assert_int_equal(request(disk, DISK_ZERO, 0, NULL, 4096), 0);
	assert_int_equal(request(disk, DISK_DISCARD, 65536, NULL, 65536), 0);
	assert_int_equal(request(disk, DISK_FLUSH, 0, NULL, 0), 0);
	disk_close(disk);
	assert_int_equal(child(), 0);
	disk = open_disk(&qcow2);
	assert_int_equal(request(disk, DISK_READ, 8192, bytes, sizeof(bytes)), 0);
	assert_all(bytes, sizeof(bytes), 0x5a);
	assert_int_equal(request(disk, DISK_READ, 3584, bytes, sizeof(bytes)), 0);
	assert_all(bytes, 512, 0);
	assert_pattern(bytes + 512, 4096, 512);
	disk_close(disk);
}

/* More buffers than fit ours, at odd addresses, with a flush between. */
static void a_batch_is_all_done(void **state)
{
	enum { N = 40, LEN = 65536 };
	static struct disk_request requests[N];
	static struct iovec iovs[N][2];
	struct disk_lane *lane;
	struct disk_request *r;
	struct disk *disk;
	uint8_t *bytes = malloc(N * LEN);
	unsigned done = 0;

	(void)state;
	if (!tools_here())
		skip();
	assert_non_null(bytes);
	disk = open_disk(&qcow2);
	lane = disk_lane(disk, 0);
	for (unsigned i = 0; i < N; i++) {
		iovs[i][0] = (struct iovec){ bytes + (size_t)i * LEN, 511 };
		iovs[i][1] = (struct iovec){ bytes + (size_t)i * LEN + 511, LEN - 511 };
		requests[i] = (struct disk_request){
			.op = DISK_READ,
			.offset = i % 16 * LEN,
			.len = LEN,
			.iov = iovs[i],
			.n_iov = 2,
		};
		if (i % 3 == 1) { /* in one buffer */
			iovs[i][0].iov_len = LEN;
			requests[i].n_iov = 1;
		}
		disk_lane_add(lane, &requests[i]);
	}
	while (disk_lane_wait(lane)) {
		while ((r = disk_lane_done(lane))) {
			assert_int_equal(r->result, 0);
			done++;
		}
	}
	assert_int_equal(done, N);
	for (unsigned i = 0; i < N; i++)
		assert_pattern(bytes + (size_t)i * LEN, i % 16 * LEN, LEN);
	disk_close(disk);
	free(bytes);
}

/* Longer than the buffer, and than a request of the protocol may be. */
static void long_requests_go_in_parts(void **state)
{
	enum { LEN = 40 << 20 };
	struct disk *disk;
	uint8_t *bytes = malloc(LEN);
	struct iovec iov[2];
	struct disk_request r;

	(void)state;
	if (!tools_here())
		skip();
	assert_non_null(bytes);
	run_command("qemu-img create -q -f qcow2 './" QCOW2 "' 64M");
	disk = open_disk(&qcow2);
	for (unsigned i = 0; i < LEN; i++)
		bytes[i] = pattern(i);
	assert_int_equal(request(disk, DISK_WRITE, 1 << 20, bytes, LEN), 0);
	memset(bytes, 0, LEN);
	iov[0] = (struct iovec){ bytes, 700 };
	iov[1] = (struct iovec){ bytes + 700, LEN - 700 };
	r = (struct disk_request){
		.op = DISK_READ, .offset = 1 << 20, .len = LEN, .iov = iov, .n_iov = 2
	};
	disk_lane_add(disk_lane(disk, 0), &r);
	assert_true(disk_lane_wait(disk_lane(disk, 0)));
	assert_ptr_equal(disk_lane_done(disk_lane(disk, 0)), &r);
	assert_int_equal(r.result, 0);
	assert_pattern(bytes, 0, LEN);
	disk_close(disk);
	free(bytes);
}

static void each_lane_has_its_connection(void **state)
{
	struct disk_config config = qcow2;
	struct disk *disk;
	uint8_t bytes[512], back[512];

	(void)state;
	if (!tools_here())
		skip();
	config.lanes = 4;
	disk = open_disk(&config);
	for (unsigned i = 0; i < 4; i++) {
		struct disk_lane *lane = disk_lane(disk, i);
		struct iovec iov = { bytes, sizeof(bytes) };
		struct disk_request r = {
			.op = DISK_WRITE, .offset = i * 512, .len = 512, .iov = &iov, .n_iov = 1
		};

		memset(bytes, (int)i + 1, sizeof(bytes));
		disk_lane_add(lane, &r);
		assert_true(disk_lane_wait(lane));
		assert_ptr_equal(disk_lane_done(lane), &r);
		assert_int_equal(r.result, 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(request(disk, DISK_READ, i * 512, back, 512), 0);
		assert_all(back, 512, (uint8_t)(i + 1));
	}
	disk_close(disk);
}

static void an_ephemeral_one_leaves_the_image_as_it_is(void **state)
{
	struct disk_config config = qcow2;
	struct disk *disk;
	uint8_t bytes[512] = { 0 };

	(void)state;
	if (!tools_here())
		skip();
	run_command("cp './" QCOW2 "' copy");
	config.ephemeral = true;
	disk = open_disk(&config);
	assert_int_equal(request(disk, DISK_WRITE, 0, bytes, sizeof(bytes)), 0);
	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(request(disk, DISK_READ, 0, bytes, sizeof(bytes)), 0);
	assert_all(bytes, sizeof(bytes), 0);
	disk_close(disk);
	run_command("cmp './" QCOW2 "' copy && rm copy");
}

static void a_second_writer_is_refused_with_the_reason(void **state)
{
	struct disk_config raw = qcow2;
	struct disk *disk, *second;
	struct err err;

	(void)state;
	if (!tools_here())
		skip();
	disk = open_disk(&qcow2);
	assert_int_equal(disk_open(&qcow2, &second, &err), -EBUSY);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.text, "in use"));
	/* Its locks and ours know each other. */
	raw.format = DISK_RAW;
	assert_int_equal(disk_open(&raw, &second, &err), -EBUSY);
	disk_close(disk);
}

static void what_is_no_qcow2_is_refused_with_the_reason(void **state)
{
	struct disk_config config = qcow2;
	struct disk *disk;
	struct err err;

	(void)state;
	if (!tools_here())
		skip();
	config.path = IMAGE;
	assert_true(disk_open(&config, &disk, &err) < 0);
	assert_int_equal(err.status, STATUS_CONFIG);
	assert_non_null(strstr(err.text, "qemu-nbd can't serve disk '" IMAGE "': "));
	assert_non_null(strstr(err.text, "qcow2"));
}

/* A guest that writes a qcow2 header on its raw disk must not get another file by it. */
static void a_raw_image_is_never_probed(void **state)
{
	struct disk_config config = qcow2;
	struct disk *disk;
	uint8_t bytes[512];

	(void)state;
	if (!tools_here())
		skip();
	config.format = DISK_RAW;
	disk = open_disk(&config);
	assert_int_equal(request(disk, DISK_READ, 0, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, "QFI\xfb", 4);
	disk_close(disk);
}

static void without_qemu_nbd_the_package_is_named(void **state)
{
	char *path;
	struct disk *disk;
	struct err err;

	(void)state;
	if (!library_here())
		skip();
	path = strdup(getenv("PATH"));
	assert_non_null(path);
	setenv("PATH", "/nowhere", 1);
	assert_int_equal(disk_open(&qcow2, &disk, &err), -ENOENT);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.text, "qemu-utils"));
	setenv("PATH", path, 1);
	free(path);
}

static void a_server_that_dies_fails_what_is_asked_of_it(void **state)
{
	struct disk *disk;
	uint8_t bytes[512];

	(void)state;
	if (!tools_here())
		skip();
	disk = open_disk(&qcow2);
	assert_int_not_equal(child(), 0);
	kill(child(), SIGKILL);
	assert_true(request(disk, DISK_READ, 0, bytes, 512) < 0);
	assert_true(request(disk, DISK_WRITE, 0, bytes, 512) < 0);
	disk_close(disk);
	assert_int_equal(child(), 0);
}

/* Kills a process that has told of its server by the pipe, which is closed, and waits for the ends
 * of both. */
static void kill_with_its_server(pid_t pid, const int ready[2])
{
	struct pollfd end = { .events = POLLIN };
	pid_t server;
	int status;

	assert_int_equal(read(ready[0], &server, sizeof(server)), sizeof(server));
	end.fd = (int)syscall(SYS_pidfd_open, server, 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (end.fd >= 0) { /* else it is gone already */
		assert_int_equal(poll(&end, 1, 10000), 1);
		close(end.fd);
	}
	close(ready[0]);
	close(ready[1]);
}

static void a_server_ends_with_us_and_leaves_nothing(void **state)
{
	pid_t pid, server;
	int ready[2];

	(void)state;
	if (!tools_here())
		skip();
	assert_int_equal(pipe(ready), 0);
	setenv("TMPDIR", ".", 1);
	pid = fork();
	if (!pid) {
		open_disk(&qcow2);
		server = child();
		(void)!write(ready[1], &server, sizeof(server));
		pause();
	}
	kill_with_its_server(pid, ready);
	disk_close(open_disk(&qcow2));
	unsetenv("TMPDIR");
	run_command("test \"$(ls)\" = \"$(printf '" IMAGE "\\n" QCOW2 "')\"");
}

/* Also where a flush needs not reach the disk: what our server has in memory dies with us. */
static void what_was_flushed_outlives_us(void **state)
{
	struct disk_config config = qcow2;
	int ready[2];
	struct disk *disk;
	uint8_t bytes[4096];
	pid_t pid, server;

	(void)state;
	if (!tools_here())
		skip();
	config.cache = DISK_UNSAFE;
	run_command("qemu-img create -q -f qcow2 './" QCOW2 "' 1M"); /* nothing is allocated */
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		disk = open_disk(&config);
		memset(bytes, 0x5a, sizeof(bytes));
		server = child();
		if (!request(disk, DISK_WRITE, 8192, bytes, sizeof(bytes)) &&
		    !request(disk, DISK_FLUSH, 0, NULL, 0))
			(void)!write(ready[1], &server, sizeof(server));
		pause();
	}
	kill_with_its_server(pid, ready);
	disk = open_disk(&config);
	assert_int_equal(request(disk, DISK_READ, 8192, bytes, sizeof(bytes)), 0);
	assert_all(bytes, sizeof(bytes), 0x5a);
	disk_close(disk);
}

/* The program is one that is not ready to be ended kindly, as qemu-nbd is when it starts. It holds
 * a pipe that ends when it does. */
static void a_server_that_starts_ends_with_us(void **state)
{
	static const char script[] = "#!/bin/sh\n"
				     "trap '' TERM\n"
				     "exec 5>pipe\n"
				     "echo >&5\n"
				     "exec sleep 60 5>&5\n";
	struct pollfd end = { .events = POLLIN };
	char path[4096], byte;
	FILE *file;
	int status;
	pid_t pid;

	(void)state;
	if (!library_here())
		skip();
	file = fopen("qemu-nbd", "we");
	assert_non_null(file);
	fputs(script, file);
	fclose(file);
	assert_int_equal(chmod("qemu-nbd", 0700) || mkfifo("pipe", 0600), 0);
	pid = fork();
	if (!pid) {
		struct disk *disk;
		struct err err;

		snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
		setenv("PATH", path, 1);
		_exit(disk_open(&qcow2, &disk, &err) != 0); /* waits for it for ever */
	}
	end.fd = open("pipe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(end.fd, &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(poll(&end, 1, 10000), 1);
	assert_int_equal(read(end.fd, &byte, 1), 0);
	close(end.fd);
	unlink("pipe");
	unlink("qemu-nbd");
}

static void an_export_by_uri(void **state)
{
	struct disk_config config = { .sector = 512, .lanes = 1 };
	struct disk *disk;
	struct err err;
	char uri[200];
	uint8_t bytes[512];

	(void)state;
	if (!tools_here())
		skip();
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s/socket", folder);
	config.nbd = uri;
	run_command("qemu-nbd --fork --persistent --pid-file=pid -f raw -k \"$PWD/socket\" " IMAGE);
	disk = open_disk(&config);
	assert_int_equal(disk_size(disk), SIZE);
	assert_int_equal(request(disk, DISK_READ, 512, bytes, 512), 0);
	assert_pattern(bytes, 512, 512);
	disk_close(disk);
	run_command("pid=$(cat pid); kill $pid; while kill -0 $pid 2>/dev/null; do :; done");
	assert_true(disk_open(&config, &disk, &err) < 0);
	assert_non_null(strstr(err.text, "can't use NBD server"));
	run_command("rm -f pid socket");
}

static void a_uri_that_is_none_is_told(void **state)
{
	struct disk_config config = { .nbd = "http://example.org/", .sector = 512, .lanes = 1 };
	struct disk *disk;
	struct err err;

	(void)state;
	if (!library_here())
		skip();
	assert_true(disk_open(&config, &disk, &err) < 0);
	assert_non_null(strstr(err.text, "can't use NBD server 'http://example.org/'"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_qcow2, remove_qcow2)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_qcow2_image_is_read_and_written),
		TEST(a_batch_is_all_done),
		TEST(long_requests_go_in_parts),
		TEST(each_lane_has_its_connection),
		TEST(an_ephemeral_one_leaves_the_image_as_it_is),
		TEST(a_second_writer_is_refused_with_the_reason),
		TEST(what_is_no_qcow2_is_refused_with_the_reason),
		TEST(a_raw_image_is_never_probed),
		TEST(without_qemu_nbd_the_package_is_named),
		TEST(a_server_that_dies_fails_what_is_asked_of_it),
		TEST(a_server_ends_with_us_and_leaves_nothing),
		TEST(what_was_flushed_outlives_us),
		TEST(a_server_that_starts_ends_with_us),
		TEST(an_export_by_uri),
		TEST(a_uri_that_is_none_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
