/* test_virtio_fs.c: shared folders, with the virtiofsd that is installed here, and the front end of
 * vhost-user, with a back end that answers what it should not. */
#include "virtio_driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../src/virtio/fs.h"
#include "../../src/virtio/fs_daemon.h"
#include "../../src/virtio/vhost_user.h"

extern const struct device_row device_virtio_fs;

/* ---- With virtiofsd ------------------------------------------------------------------------ */

static struct {
	struct driver d;
	struct fs_options options;
	char dir[64];
	uint64_t out, in; /* a request and its answer */
} t;

/* It, and the namespaces in which it shuts itself up. */
static void need_virtiofsd(void)
{
	pid_t pid;
	int status;

	if (access("/usr/lib/qemu/virtiofsd", X_OK) && access("/usr/libexec/virtiofsd", X_OK))
		skip();
	pid = fork();
	if (!pid)
		_exit(unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS | CLONE_NEWPID) != 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		skip();
}

static void put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", t.dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void init(void)
{
	struct err err;

	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/fs,\\.XXXXXX"); /* signs that option parsers know */
	assert_non_null(mkdtemp(t.dir));
	t.options = (struct fs_options){ .transport = VIRTIO_MMIO, .path = t.dir, .tag = "tag" };
	driver_init(&t.d);
	memory_free(t.d.memory);
	t.d.memory = t.d.host.host.memory = memory_new();
	assert_int_equal(memory_add(t.d.memory, DRIVER_RAM, DRIVER_RAM_SIZE, MEMORY_SHARED, &err),
			 0);
}

static int setup(void **state)
{
	(void)state;
	init();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	driver_free(&t.d);
	snprintf(command, sizeof(command), "rm -rf '%s'", t.dir);
	return system(command);
}

static bool create(void)
{
	struct err err = { 0 };

	if (!driver_try_create(&t.d, &device_virtio_fs, &t.options, &err))
		return true;
	print_message("# %s\n", err.text);
	return false;
}

static void destroy(void)
{
	device_destroy(&t.d.dev);
}

static void start(void)
{
	driver_start(&t.d, 0);
	t.out = driver_alloc(&t.d, 4096);
	t.in = driver_alloc(&t.d, 4096);
}

/* One FUSE request (linux/fuse.h) on the request queue; the answer's error. */
static int request(uint32_t opcode, uint64_t node, const void *arg, uint32_t len, void *answer,
		   uint32_t answer_len)
{
	static uint64_t unique;
	struct fuse_in_header header = { .len = (uint32_t)sizeof(header) + len,
					 .opcode = opcode,
					 .unique = ++unique,
					 .nodeid = node };
	struct fuse_out_header back;
	struct driver_buffer buffers[2] = {
		{ t.out, header.len },
		{ t.in, (uint32_t)sizeof(back) + answer_len },
	};

	memcpy(driver_ptr(&t.d, t.out), &header, sizeof(header));
	memcpy((uint8_t *)driver_ptr(&t.d, t.out) + sizeof(header), arg, len);
	driver_request(&t.d, 1, buffers, 1, 1);
	memcpy(&back, driver_ptr(&t.d, t.in), sizeof(back));
	assert_int_equal(back.unique, unique);
	if (answer)
		memcpy(answer, (uint8_t *)driver_ptr(&t.d, t.in) + sizeof(back), answer_len);
	return back.error;
}

static void fuse_init(void)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
				   .minor = FUSE_KERNEL_MINOR_VERSION };
	struct fuse_init_out out;

	assert_int_equal(request(FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)), 0);
	assert_int_equal(out.major, FUSE_KERNEL_VERSION);
}

static void test_guest_sees_the_folder(void **state)
{
	struct fuse_entry_out entry;

	(void)state;
	need_virtiofsd();
	put_file("hello", "12345");
	assert_true(create());
	assert_memory_equal(((char[8]){ (char)driver_in(&t.d, MMIO_CONFIG) }), "t", 1);
	assert_int_equal(driver_in(&t.d, MMIO_CONFIG + FS_TAG), 1); /* num_request_queues */
	start();
	fuse_init();
	assert_int_equal(request(FUSE_LOOKUP, 1, "hello", 6, &entry, sizeof(entry)), 0);
	assert_int_equal(entry.attr.size, 5);
	assert_int_equal(request(FUSE_LOOKUP, 1, "no", 3, &entry, sizeof(entry)), -ENOENT);
	/* The next driver has a session of its own, without the last one's. */
	driver_reset(&t.d);
	start();
	fuse_init();
	assert_int_equal(request(FUSE_LOOKUP, 1, "hello", 6, &entry, sizeof(entry)), 0);
	destroy();
}

static int make_folder(void)
{
	struct {
		struct fuse_mkdir_in in;
		char name[4];
	} mkdir_in = { .in = { .mode = 0750 }, .name = "new" };
	struct fuse_entry_out entry;

	return request(FUSE_MKDIR, 1, &mkdir_in, sizeof(mkdir_in), &entry, sizeof(entry));
}

static void test_guest_changes_the_folder(void **state)
{
	struct stat st;
	char path[128];

	(void)state;
	need_virtiofsd();
	assert_true(create());
	start();
	fuse_init();
	assert_int_equal(make_folder(), 0);
	snprintf(path, sizeof(path), "%s/new", t.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	destroy();
}

static void test_read_only_folder_stays_as_it_is(void **state)
{
	(void)state;
	need_virtiofsd();
	/* QEMU's user emulation lacks it. */
	if (syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) && errno == ENOSYS)
		skip();
	t.options.read_only = true;
	assert_true(create());
	start();
	fuse_init();
	assert_int_equal(make_folder(), -EROFS);
	destroy();
}

/* The daemon's processes are those with our folder in their command line. */
static unsigned kill_daemons(int sig)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(proc))) {
		char path[PATH_MAX], line[512];
		FILE *f;
		size_t len;

		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		len = fread(line, 1, sizeof(line), f);
		fclose(f);
		if (len > 9 && !memcmp(line, "virtiofsd", 9) &&
		    memmem(line, len, t.dir + strlen(t.dir) - 6, 6)) {
			kill(atoi(entry->d_name), sig);
			n++;
		}
	}
	closedir(proc);
	return n;
}

static void test_end_of_the_daemon_breaks_the_device_alone(void **state)
{
	(void)state;
	need_virtiofsd();
	assert_true(create());
	start();
	fuse_init();
	assert_true(kill_daemons(SIGKILL) > 0);
	while (!driver_broken(&t.d))
		driver_wait_irq(&t.d);
	driver_reset(&t.d); /* brings another one */
	start();
	fuse_init();
	destroy();
	assert_int_equal(kill_daemons(0), 0); /* none stays */
}

static void test_what_is_no_folder_is_refused(void **state)
{
	char path[128];
	struct err err;

	(void)state;
	put_file("file", "");
	snprintf(path, sizeof(path), "%s/file", t.dir);
	t.options.path = path;
	assert_int_equal(driver_try_create(&t.d, &device_virtio_fs, &t.options, &err), -ENOTDIR);
	assert_int_equal(err.status, STATUS_NOINPUT);
	unlink(path);
	assert_int_equal(driver_try_create(&t.d, &device_virtio_fs, &t.options, &err), -ENOENT);
	assert_int_equal(err.status, STATUS_NOINPUT);
}

/* ---- The front end of vhost-user ------------------------------------------------------------ */

struct message {
	uint32_t request, flags, size;
	uint64_t value;
} __attribute__((packed));

struct back_end {
	int fd;
	struct message answers[4]; /* to those that want one; request 0: hangs up */
};

static void *answer(void *arg)
{
	struct back_end *b = arg;
	struct message m;
	unsigned n = 0;

	while (recv(b->fd, &m, 12, MSG_WAITALL) == 12) {
		if (m.size && recv(b->fd, &m.value, m.size, MSG_WAITALL) != (ssize_t)m.size)
			break;
		if (m.request != 1 && m.request != 15 && !(m.flags & 8))
			continue;
		if (!b->answers[n].request)
			break;
		send(b->fd, &b->answers[n], 12 + b->answers[n].size, MSG_NOSIGNAL);
		n++;
	}
	close(b->fd);
	return NULL;
}

#define GOOD_FEATURES (1ULL << 32 | 1ULL << 30 | 1ULL << 29 | 1ULL << 28)

static int open_with(struct message a, struct message b, struct message c)
{
	struct back_end back = { .answers = { a, b, c } };
	struct vhost_user user;
	pthread_t thread;
	int ends[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	back.fd = ends[1];
	pthread_create(&thread, NULL, answer, &back);
	ret = vhost_user_open(&user, NULL, "the test", ends[0]);
	close(ends[0]);
	pthread_join(thread, NULL);
	return ret;
}

static void test_back_end_that_answers_well_is_taken(void **state)
{
	struct message features = { 1, 5, 8, GOOD_FEATURES };

	(void)state;
	assert_int_equal(
		open_with(features, (struct message){ 15, 5, 8, 0 }, (struct message){ 0 }), 0);
	/* With REPLY_ACK, SET_OWNER is acknowledged. */
	assert_int_equal(open_with(features, (struct message){ 15, 5, 8, 8 },
				   (struct message){ 3, 5, 8, 0 }),
			 0);
}

static void test_back_end_that_answers_wrongly_is_not(void **state)
{
	const struct message none = { 0 }, features = { 1, 5, 8, GOOD_FEATURES };
	static const struct message wrong[] = {
		{ 2, 5, 8, GOOD_FEATURES }, /* another request's */
		{ 1, 1, 8, GOOD_FEATURES }, /* no reply */
		{ 1, 6, 8, GOOD_FEATURES }, /* another version */
		{ 1, 5, 4, GOOD_FEATURES }, /* too short */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(open_with(wrong[i], none, none), -EPROTO);
	assert_int_equal(open_with((struct message){ 1, 5, 8, 1ULL << 32 }, none, none), -ENOTSUP);
	assert_int_equal(open_with(none, none, none), -EPIPE);
	assert_int_equal(open_with(features, none, none), -EPIPE);
	assert_int_equal(open_with(features, (struct message){ 15, 5, 8, 8 },
				   (struct message){ 3, 5, 8, 1 }),
			 -EPROTO); /* refuses */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_guest_sees_the_folder),
		TEST(test_guest_changes_the_folder),
		TEST(test_read_only_folder_stays_as_it_is),
		TEST(test_end_of_the_daemon_breaks_the_device_alone),
		TEST(test_what_is_no_folder_is_refused),
		cmocka_unit_test(test_back_end_that_answers_well_is_taken),
		cmocka_unit_test(test_back_end_that_answers_wrongly_is_not),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
