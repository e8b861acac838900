/* test_wire.c: files, sockets and pseudoterminals at the host's end of a line. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include "unit/events.h"
#include "unit/fake_host.h"
#include "unit/sockets.h"

#include <vibevmm/wire.h>

#define BIG (1 << 20)

static char dir[] = "/tmp/test_wire.XXXXXX", path[64], second[64];
static struct wire_config config;
static struct wire *wire;
static struct events ready;
static struct err err;
static uint8_t pattern[BIG];

static void on_ready(void *arg)
{
	(void)arg;
	events_add(&ready);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_wire.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/end", dir);
	snprintf(second, sizeof(second), "%s/end.1", dir);
	ready = (struct events)EVENTS_INIT;
	config = (struct wire_config){ 0 };
	wire = NULL;
	for (size_t i = 0; i < BIG; i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wire_free(wire);
	unlink(path);
	unlink(second);
	assert_int_equal(rmdir(dir), 0); /* nothing else was left behind */
	return 0;
}

static void open_wire(void)
{
	assert_int_equal(wire_new(&wire, &config, "line", &err), 0);
	assert_int_equal(wire_listen(wire, on_ready, NULL), 0);
}

static void close_wire(void)
{
	wire_free(wire);
	wire = NULL;
}

static void put(const char *text)
{
	wire_put(wire, text, strlen(text));
}

static unsigned ready_count(void)
{
	unsigned n;

	pthread_mutex_lock(&ready.lock);
	n = ready.n;
	pthread_mutex_unlock(&ready.lock);
	return n;
}

/* ready was called since, and cond holds; fails the test after 20 s. */
#define until(cond)                                                                                \
	do {                                                                                       \
		for (unsigned n_ = 0; !(cond);) {                                                  \
			assert_true(events_wait(&ready, n_ + 1));                                  \
			n_ = ready_count();                                                        \
		}                                                                                  \
	} while (0)

/* ---- Files --------------------------------------------------------------------------------- */

static char *contents(const char *name)
{
	static char buf[BIG + 1];
	int fd = open(name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, buf, BIG);
	assert_true(n >= 0);
	buf[n] = 0;
	close(fd);
	return buf;
}

static void a_file_gets_every_byte_and_is_appended_to(void **state)
{
	struct stat st;

	(void)state;
	config.file = path;
	open_wire();
	wire_put(wire, pattern, BIG);
	assert_int_equal(wire_lost(wire), 0);
	assert_true(wire_connected(wire));
	assert_false(wire_has_input(wire));
	close_wire();
	assert_memory_equal(contents(path), pattern, BIG);
	open_wire();
	put("more");
	close_wire();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, BIG + 4);
}

static void who_can_wait_loses_nothing(void **state)
{
	struct stat st;
	size_t done = 0;

	(void)state;
	config.file = path;
	config.timestamps = true;
	open_wire();
	memset(pattern, '\n', BIG / 8);
	while (done < BIG / 8) {
		unsigned before = ready_count();

		done += wire_write(wire, pattern + done, BIG / 8 - done);
		if (done < BIG / 8)
			assert_true(events_wait(&ready, before + 1));
	}
	assert_int_equal(wire_lost(wire), 0);
	close_wire();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, BIG / 8 * 26);
}

static void a_line_that_does_not_end_is_in_the_file_soon(void **state)
{
	(void)state;
	config.file = path;
	open_wire();
	put("login: ");
	for (int i = 0; strcmp(contents(path), "login: ") != 0; i++) {
		assert_true(i < 20000);
		poll(NULL, 0, 1);
	}
}

static void no_thread_runs_before_the_first_write(void **state)
{
	unsigned before = events_threads();

	(void)state;
	config.file = path;
	open_wire();
	assert_int_equal(events_threads(), before);
}

static void every_line_has_its_time(void **state)
{
	char *text, *next;

	(void)state;
	config.file = path;
	config.timestamps = true;
	open_wire();
	put("one\ntw");
	put("o\n\nthree");
	close_wire();
	text = contents(path);
	for (int i = 0; i < 4; i++) {
		static const char *const want[] = { "one\n", "two\n", "\n", "three" };
		struct tm tm;

		next = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
		assert_non_null(next);
		assert_int_equal(*next, '.');
		assert_memory_equal(next + 4, "Z ", 2);
		assert_memory_equal(next + 6, want[i], strlen(want[i]));
		text = next + 6 + strlen(want[i]);
	}
	assert_int_equal(*text, 0);
}

static void a_file_at_its_limit_gives_way_to_a_new_one_between_lines(void **state)
{
	struct stat st;
	char line[32], *text;

	(void)state;
	config.file = path;
	config.limit = 4096;
	open_wire();
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "this is line %d\n", i);
		put(line);
	}
	close_wire();
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, 4096);
	assert_int_equal(stat(second, &st), 0);
	assert_in_range(st.st_size, 4096 - 32, 4096);
	text = contents(second);
	assert_memory_equal(text, "this is line ", 13);
	assert_int_equal(text[strlen(text) - 1], '\n');
	text = contents(path);
	assert_memory_equal(text, "this is line ", 13);
	assert_string_equal(text + strlen(text) - 17, "this is line 999\n");
}

static void a_line_longer_than_the_limit_is_cut(void **state)
{
	struct stat st;

	(void)state;
	memset(pattern, 'x', BIG);
	config.file = path;
	config.limit = 4096;
	open_wire();
	wire_put(wire, pattern, 10000);
	close_wire();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 10000 - 2 * 4096);
	assert_int_equal(stat(second, &st), 0);
	assert_int_equal(st.st_size, 4096);
}

static void a_file_has_one_writer(void **state)
{
	struct wire *other = NULL;

	(void)state;
	config.file = path;
	config.limit = 4096;
	open_wire();
	assert_int_equal(wire_new(&other, &config, "other", &err), -EBUSY);
	memset(pattern, 'x', BIG);
	wire_put(wire, pattern, 5000);
	while (access(second, F_OK))
		poll(NULL, 0, 1);
	for (int i = 0; i < 100 && access(path, F_OK); i++)
		poll(NULL, 0, 1);
	assert_int_equal(wire_new(&other, &config, "other", &err), -EBUSY); /* the new one, too */
	assert_null(other);
	assert_non_null(strstr(err.text, "in use"));
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	config.file = dir;
	assert_true(wire_new(&wire, &config, "line", &err) < 0);
	config.file = "/dev/null";
	config.limit = 4096;
	assert_int_equal(wire_new(&wire, &config, "line", &err), -EINVAL);
	assert_int_equal(access("/dev/null", W_OK), 0);
	config.file = path;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(wire_new(&wire, &config, "line", &err) < 0);
	assert_null(wire);
}

static void a_full_disk_costs_the_output_and_nothing_else(void **state)
{
	(void)state;
	config.file = "/dev/full";
	open_wire();
	wire_put(wire, pattern, 1000);
	while (wire_lost(wire) < 1000)
		poll(NULL, 0, 1);
	wire_put(wire, pattern, BIG);
	assert_int_equal(wire_lost(wire), 1000 + BIG);
}

/* A terminal that nobody reads, for a disk that hangs. */
static void a_disk_that_hangs_holds_up_nobody_for_long(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	uint64_t start = loop_now();
	uint8_t sink[4096];

	(void)state;
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	config.file = ptsname(master);
	open_wire();
	wire_put(wire, pattern, BIG);
	for (int i = 0; i < 100; i++)
		wire_put(wire, "x", 1);
	assert_true(loop_now() - start < 10000000000);
	assert_true(wire_lost(wire) > 0);
	/* It comes back. */
	while (wire_lost(wire) != UINT64_MAX) {
		uint64_t lost = wire_lost(wire);

		while (read(master, sink, sizeof(sink)) > 0)
			;
		put("y");
		if (wire_lost(wire) == lost)
			break;
		poll(NULL, 0, 1);
	}
	while (read(master, sink, sizeof(sink)) > 0)
		;
	close_wire();
	close(master);
}

/* ---- Sockets ------------------------------------------------------------------------------- */

static void expect_input(const char *want)
{
	char buf[64] = { 0 };
	size_t done = 0;

	while (done < strlen(want)) {
		until(wire_has_input(wire));
		done += wire_read(wire, buf + done, strlen(want) - done);
	}
	assert_string_equal(buf, want);
}

static void a_client_and_the_guest_talk(void **state)
{
	int fd;

	(void)state;
	config.socket = path;
	open_wire();
	assert_false(wire_connected(wire));
	put("nobody hears this");
	fd = socket_dial(path);
	until(wire_connected(wire));
	put("hello");
	socket_expect(fd, "hello");
	assert_int_equal(write(fd, "hi", 2), 2);
	expect_input("hi");
	close(fd);
	until(!wire_connected(wire));
	assert_int_equal(wire_lost(wire), 0);
}

static void the_next_client_waits_until_the_first_has_gone_and_was_heard(void **state)
{
	int first, next;

	(void)state;
	config.socket = path;
	open_wire();
	first = socket_dial(path);
	next = socket_dial(path);
	assert_int_equal(write(next, "next", 4), 4);
	assert_int_equal(write(first, "first", 5), 5);
	until(wire_has_input(wire));
	close(first);
	expect_input("first");
	expect_input("next");
	put("for the next");
	socket_expect(next, "for the next");
	close(next);
}

static void a_client_that_lags_makes_a_write_short_and_loses_nothing(void **state)
{
	static uint8_t got[BIG];
	size_t sent = 0, came = 0;
	bool was_short = false;
	int fd;

	(void)state;
	config.socket = path;
	open_wire();
	fd = socket_dial(path);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	until(wire_connected(wire));
	while (came < BIG) {
		unsigned before = ready_count();
		size_t n = wire_write(wire, pattern + sent, BIG - sent);
		ssize_t taken = 0;

		sent += n;
		if (sent < BIG) {
			was_short = true;
			/* Only now does it read; then there is room again. */
			while (ready_count() == before) {
				struct pollfd p = { .fd = fd, .events = POLLIN };

				poll(&p, 1, 10);
				taken = read(fd, got + came, BIG - came);
				came += taken > 0 ? (size_t)taken : 0;
			}
		}
		taken = read(fd, got + came, BIG - came);
		came += taken > 0 ? (size_t)taken : 0;
	}
	assert_true(was_short);
	assert_memory_equal(got, pattern, BIG);
	assert_int_equal(wire_lost(wire), 0);
	close(fd);
}

static void a_guest_that_does_not_read_holds_back_the_client(void **state)
{
	static uint8_t got[BIG];
	size_t came = 0;
	pid_t child;
	int fd, status;

	(void)state;
	config.socket = path;
	open_wire();
	fd = socket_dial(path);
	child = fork();
	if (!child) {
		for (size_t done = 0; done < BIG;) {
			ssize_t n = write(fd, pattern + done, BIG - done);

			if (n < 0)
				_exit(1);
			done += (size_t)n;
		}
		_exit(0);
	}
	close(fd);
	until(wire_has_input(wire));
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	while (came < BIG) {
		until(wire_has_input(wire));
		came += wire_read(wire, got + came, came % 3000 + 1);
	}
	assert_memory_equal(got, pattern, BIG);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	until(!wire_connected(wire));
}

static void what_does_not_wait_is_counted(void **state)
{
	int fd;

	(void)state;
	config.socket = path;
	open_wire();
	fd = socket_dial(path);
	until(wire_connected(wire));
	for (int i = 0; i < 8; i++)
		wire_put(wire, pattern, BIG);
	assert_true(wire_lost(wire) > 0);
	close(fd);
	until(!wire_connected(wire));
}

static void a_socket_left_by_a_dead_vm_is_replaced_and_a_live_one_is_not(void **state)
{
	struct wire *other = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	(void)state;
	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	config.socket = path;
	open_wire();
	assert_int_equal(wire_new(&other, &config, "other", &err), -EADDRINUSE);
	assert_int_equal(err.status, STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.text, "other: somebody listens at"));
	close_wire();
	assert_int_equal(access(path, F_OK), -1);

	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(wire_new(&other, &config, "other", &err), -EEXIST);
	assert_null(other);
	assert_int_equal(access(path, F_OK), 0); /* somebody's file stays */
}

static void the_last_words_reach_a_client_that_reads_them_late(void **state)
{
	int fd;

	(void)state;
	config.socket = path;
	open_wire();
	fd = socket_dial(path);
	until(wire_connected(wire));
	put("the end");
	close_wire();
	socket_expect(fd, "the end");
	close(fd);
}

/* ---- Pseudoterminals ----------------------------------------------------------------------- */

static void a_terminal_is_found_by_its_link_and_is_raw(void **state)
{
	struct termios mode;
	int fd;

	(void)state;
	config.pty = path;
	open_wire();
	assert_false(wire_connected(wire));
	put("nobody hears this");
	for (int i = 0; i < 3; i++) { /* and again, after somebody left */
		fd = open(path, O_RDWR | O_NOCTTY);
		assert_true(fd >= 0 && isatty(fd));
		until(wire_connected(wire));
		assert_int_equal(tcgetattr(fd, &mode), 0);
		assert_int_equal(mode.c_lflag & (ECHO | ICANON | ISIG), 0);
		put("login: \n");
		socket_expect(fd, "login: \n");
		assert_int_equal(write(fd, "root\r\x03", 6), 6);
		expect_input("root\r\x03");
		close(fd);
		until(!wire_connected(wire));
	}
	close_wire();
	assert_int_equal(access(path, F_OK), -1);
}

static void a_link_to_a_dead_terminal_is_replaced_and_nothing_else_is(void **state)
{
	struct wire *other = NULL;
	char name[64] = { 0 };

	(void)state;
	assert_int_equal(symlink("/dev/pts/999999", path), 0);
	config.pty = path;
	open_wire();
	assert_true(readlink(path, name, sizeof(name) - 1) > 0);
	assert_string_not_equal(name, "/dev/pts/999999");
	assert_int_equal(wire_new(&other, &config, "other", &err), -EEXIST);
	close_wire();
	assert_int_equal(symlink("/etc/nowhere", path), 0);
	assert_int_equal(wire_new(&other, &config, "other", &err), -EEXIST);
	assert_null(other);
}

static void what_is_typed_comes_without_anybody_there(void **state)
{
	char got[BIG];

	(void)state;
	config.socket = path;
	open_wire();
	assert_false(wire_connected(wire));
	assert_int_equal(wire_type(wire, "root\n", 5), 5);
	assert_true(events_wait(&ready, 1));
	assert_true(wire_connected(wire));
	assert_int_equal(wire_read(wire, got, sizeof(got)), 5);
	assert_memory_equal(got, "root\n", 5);
	assert_int_equal(wire_type(wire, pattern, BIG), 4096); /* that's all the room there is */
	assert_int_equal(wire_type(wire, pattern, 1), 0);
	close_wire();
	config = (struct wire_config){ .file = path };
	open_wire();
	assert_int_equal(wire_type(wire, "x", 1), 0); /* a log gives nothing */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_gets_every_byte_and_is_appended_to),
		TEST(who_can_wait_loses_nothing),
		TEST(a_line_that_does_not_end_is_in_the_file_soon),
		TEST(no_thread_runs_before_the_first_write),
		TEST(every_line_has_its_time),
		TEST(a_file_at_its_limit_gives_way_to_a_new_one_between_lines),
		TEST(a_line_longer_than_the_limit_is_cut),
		TEST(a_file_has_one_writer),
		TEST(what_is_no_file_is_refused),
		TEST(a_full_disk_costs_the_output_and_nothing_else),
		TEST(a_disk_that_hangs_holds_up_nobody_for_long),
		TEST(a_client_and_the_guest_talk),
		TEST(the_next_client_waits_until_the_first_has_gone_and_was_heard),
		TEST(a_client_that_lags_makes_a_write_short_and_loses_nothing),
		TEST(a_guest_that_does_not_read_holds_back_the_client),
		TEST(what_does_not_wait_is_counted),
		TEST(a_socket_left_by_a_dead_vm_is_replaced_and_a_live_one_is_not),
		TEST(the_last_words_reach_a_client_that_reads_them_late),
		TEST(a_terminal_is_found_by_its_link_and_is_raw),
		TEST(a_link_to_a_dead_terminal_is_replaced_and_nothing_else_is),
		TEST(what_is_typed_comes_without_anybody_there),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
