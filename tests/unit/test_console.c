/* test_console.c: the VM's standard input and output, on pipes. The clock stands still unless a
 * test moves it, so that gathering can be seen. */
#define FAKE_CLOCK
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "unit/events.h"
#include "unit/fake_host.h"

#define MS 1000000ULL

static struct loop *loop;
static struct console *console;
static int to_vm[2], from_vm[2];
static struct events ready, commands;
static enum console_command wanted = CONSOLE_QUIT;
static unsigned own_threads; /* of a program without a loop */

static bool on_ready(void *arg)
{
	(void)arg;
	events_add(&ready);
	return true;
}

/* Busy for as many calls as arg says. */
static bool on_ready_busy(void *arg)
{
	int *busy = arg;

	events_add(&ready);
	return --*busy < 0;
}

static void on_command(void *arg, enum console_command command)
{
	(void)arg;
	assert_int_equal(command, wanted);
	events_add(&commands);
}

static void open_console(int in, int out, bool escape)
{
	struct console_config config = {
		.in = in, .out = out, .escape = escape, .command = on_command
	};

	console = console_new(loop, &config);
	assert_non_null(console);
}

static int setup(void **state)
{
	(void)state;
	ready = commands = (struct events)EVENTS_INIT;
	assert_int_equal(pipe(to_vm), 0);
	assert_int_equal(pipe(from_vm), 0);
	loop = loop_new();
	assert_non_null(loop);
	console = NULL;
	return 0;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_stop(loop);
	console_free(console);
	loop_free(loop);
	for (int i = 0; i < 2; i++) {
		close_end(&to_vm[i]);
		close_end(&from_vm[i]);
	}
	return 0;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* What the reader of the VM's output sees now, or within 20 seconds. */
static void expect_output(const char *want)
{
	size_t len = strlen(want), done = 0;
	char buf[512] = { 0 };

	while (done < len) {
		ssize_t n;

		assert_true(readable(from_vm[0], 20000));
		n = read(from_vm[0], buf + done, len - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_string_equal(buf, want);
	assert_false(readable(from_vm[0], 0));
}

static void put(const char *text)
{
	console_write(console, text, strlen(text));
}

/* Past the writes that go out at once. */
static void end_eagerness(void)
{
	char buf[256];

	for (int i = 0; i < 100; i++)
		put(".");
	put("\n");
	while (readable(from_vm[0], 0))
		assert_true(read(from_vm[0], buf, sizeof(buf)) > 0);
}

/* ---- Output ------------------------------------------------------------------------------- */

static void a_short_hello_needs_no_thread(void **state)
{
	(void)state;
	open_console(-1, from_vm[1], false);
	for (const char *p = "hello, world\n"; *p; p++)
		console_write(console, p, 1);
	expect_output("hello, world\n");
	assert_true(events_threads_become(own_threads));
}

static void a_line_is_gathered_and_goes_out_at_its_end(void **state)
{
	(void)state;
	open_console(-1, from_vm[1], false);
	end_eagerness();
	put("one ");
	put("line");
	assert_false(readable(from_vm[0], 0));
	put("\n");
	expect_output("one line\n");
	put("two\nand a half");
	expect_output("two\nand a half");
}

static void a_partial_line_goes_out_after_10_ms(void **state)
{
	(void)state;
	open_console(-1, from_vm[1], false);
	end_eagerness();
	fake_advance(20 * MS); /* a timer of the lines before */
	put("lo");
	put("gin: ");
	fake_advance(10 * MS);
	expect_output("login: ");
	put("$ ");
	fake_advance(10 * MS);
	expect_output("$ ");
}

static void flush_and_free_write_what_is_left(void **state)
{
	(void)state;
	open_console(-1, from_vm[1], false);
	end_eagerness();
	put("flush");
	console_flush(console);
	expect_output("flush");
	put("free");
	loop_stop(loop);
	console_free(console);
	console = NULL;
	expect_output("free");
}

static void after_the_loop_stopped_output_goes_out_at_once(void **state)
{
	(void)state;
	open_console(-1, from_vm[1], false);
	end_eagerness();
	console_flush(console);
	fake_advance(20 * MS);
	loop_stop(loop);
	console_free(console);
	open_console(-1, from_vm[1], false);
	for (int i = 0; i < 100; i++)
		put("x");
	assert_true(readable(from_vm[0], 0));
	for (int i = 0; i < 100; i++) {
		char c;

		assert_int_equal(read(from_vm[0], &c, 1), 1);
	}
}

#define FLOOD 1000000U

static uint8_t flood_byte(unsigned i)
{
	return (uint8_t)((i * 2654435761U >> 24) | (i % 97 ? 0x80 : 0)); /* newlines are rare */
}

static void *read_flood(void *arg)
{
	uint8_t buf[1000];
	unsigned done = 0;
	ssize_t n;

	while (done < FLOOD && (n = read(from_vm[0], buf, done % 1000 + 1)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != flood_byte(done++))
				return arg;
		}
	}
	return done == FLOOD ? NULL : arg;
}

static void flood(void)
{
	static uint8_t buf[FLOOD];
	pthread_t thread;
	void *failed;

	for (unsigned i = 0; i < FLOOD; i++)
		buf[i] = flood_byte(i);
	open_console(-1, from_vm[1], false);
	assert_int_equal(pthread_create(&thread, NULL, read_flood, buf), 0);
	for (unsigned done = 0, n = 1; done < FLOOD; done += n) {
		n = done % 6000 + 1;
		if (n > FLOOD - done)
			n = FLOOD - done;
		console_write(console, buf + done, n);
	}
	console_flush(console);
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_int_equal(console_lost(console), 0);
}

static void a_lagging_reader_gets_every_byte_in_order(void **state)
{
	(void)state;
	flood();
}

static void so_does_one_of_a_non_blocking_pipe(void **state)
{
	(void)state;
	assert_int_equal(fcntl(from_vm[1], F_SETFL, O_NONBLOCK), 0);
	flood();
}

static void a_reader_who_left_is_no_reason_to_die(void **state)
{
	(void)state;
	open_console(-1, from_vm[1], false);
	put("seen\n");
	expect_output("seen\n");
	close_end(&from_vm[0]);
	put("lost\n");
	put("too\n");
	assert_int_equal(console_lost(console), 9);
}

static void in_a_hurry_a_reader_who_never_reads_is_given_up(void **state)
{
	static char buf[200000];
	int waiting;

	(void)state;
	open_console(-1, from_vm[1], false);
	console_hurry(console);
	fake_advance(2000 * MS);
	console_write(console, buf, sizeof(buf));
	assert_int_equal(ioctl(from_vm[0], FIONREAD, &waiting), 0);
	assert_true(waiting > 0);
	assert_int_equal((uint64_t)waiting + console_lost(console), sizeof(buf));
}

/* ---- Input -------------------------------------------------------------------------------- */

static void type(const void *text, size_t len)
{
	assert_int_equal(write(to_vm[1], text, len), len);
}

static int next_byte(void)
{
	for (;;) {
		int c = console_get(console);

		if (c >= 0)
			return c;
		sched_yield();
	}
}

static void expect_input(const char *want)
{
	for (; *want; want++)
		assert_int_equal(next_byte(), *want);
	assert_false(console_has_input(console));
}

static void listening_starts_reading_and_one_may_listen(void **state)
{
	(void)state;
	open_console(to_vm[0], from_vm[1], false);
	type("ab", 2);
	assert_int_equal(console_get(console), -1);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	assert_int_equal(console_listen(console, on_ready, NULL), -EBUSY);
	assert_true(events_wait(&ready, 1));
	assert_true(console_has_input(console));
	expect_input("ab");
	type("c", 1);
	assert_true(events_wait(&ready, 2));
	expect_input("c");
}

static void the_end_of_a_pipe_delivers_what_was_left(void **state)
{
	(void)state;
	open_console(to_vm[0], from_vm[1], false);
	type("the rest", 8);
	close_end(&to_vm[1]);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	expect_input("the rest");
	assert_int_equal(console_get(console), -1);
}

static void no_input_at_all_is_fine(void **state)
{
	(void)state;
	open_console(-1, from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	assert_int_equal(console_get(console), -1);
}

static void a_regular_file_and_dev_null_can_be_standard_input(void **state)
{
	char path[] = "/tmp/test_console.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "from a file", 11), 11);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	unlink(path);
	open_console(fd, from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	expect_input("from a file");
	loop_stop(loop);
	console_free(console);
	loop_free(loop);
	close(fd);

	loop = loop_new();
	fd = open("/dev/null", O_RDONLY);
	open_console(fd, from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	assert_false(console_has_input(console));
	loop_stop(loop);
	close(fd);
}

static void reading_stops_while_4_kib_wait_and_nothing_is_lost(void **state)
{
	static uint8_t buf[40000];
	int waiting;

	(void)state;
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = flood_byte(i);
	open_console(to_vm[0], from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	type(buf, sizeof(buf));
	do {
		sched_yield();
		assert_int_equal(ioctl(to_vm[0], FIONREAD, &waiting), 0);
		assert_true((size_t)waiting >= sizeof(buf) - 4096);
	} while ((size_t)waiting > sizeof(buf) - 4096);
	close_end(&to_vm[1]);
	for (unsigned i = 0; i < sizeof(buf); i++)
		assert_int_equal(next_byte(), buf[i]);
	assert_false(console_has_input(console));
}

static void ctrl_a_commands(void **state)
{
	(void)state;
	open_console(to_vm[0], from_vm[1], true);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	type("a\001\001b\001?c\001", 8); /* Ctrl-A itself; an unknown command; the first half ... */
	expect_input("a\001bc");
	assert_int_equal(commands.n, 0);
	type("xd", 2); /* ... and the second */
	assert_true(events_wait(&commands, 1));
	expect_input("d");
	type("\001hx", 3);
	expect_input("x");
	loop_stop(loop);
	assert_int_equal(commands.n, 1);
	assert_true(readable(from_vm[0], 0));
}

static void a_busy_listener_is_told_again_until_it_has_time(void **state)
{
	int busy = 2;

	(void)state;
	open_console(to_vm[0], from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready_busy, &busy), 0);
	type("a", 1);
	assert_true(events_wait(&ready, 1));
	/* The timer is set behind the call that is counted, so one step may come too early. */
	for (int i = 0; i < 1000000 && __atomic_load_n(&ready.n, __ATOMIC_SEQ_CST) < 3; i++) {
		fake_advance(10 * MS);
		sched_yield();
	}
	loop_stop(loop);
	assert_int_equal(busy, -1);
	assert_int_equal(ready.n, 3);
}

static void ctrl_a_p_is_the_power_button(void **state)
{
	(void)state;
	open_console(to_vm[0], from_vm[1], true);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	wanted = CONSOLE_POWER;
	type("\001p", 2);
	assert_true(events_wait(&commands, 1));
	wanted = CONSOLE_QUIT;
}

static void the_next_listener_is_told_what_waits(void **state)
{
	(void)state;
	open_console(to_vm[0], from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	type("a", 1);
	assert_true(events_wait(&ready, 1));
	loop_pause(loop);
	console_unlisten(console);
	assert_int_equal(loop_resume(loop), 0);
	type("b", 1);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	assert_true(events_wait(&ready, 2));
	expect_input("ab");
	assert_int_equal(console_listen(console, on_ready, NULL), -EBUSY);
}

static void input_without_a_listener_waits(void **state)
{
	(void)state;
	open_console(to_vm[0], from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	loop_pause(loop);
	console_unlisten(console);
	assert_int_equal(loop_resume(loop), 0);
	type("abc", 3);
	expect_input("abc");
	loop_stop(loop);
	assert_int_equal(ready.n, 0);
}

static void without_escape_every_byte_is_the_guests(void **state)
{
	(void)state;
	open_console(to_vm[0], from_vm[1], false);
	assert_int_equal(console_listen(console, on_ready, NULL), 0);
	type("\001x\001h\001\001", 6);
	expect_input("\001x\001h\001\001");
	loop_stop(loop);
	assert_int_equal(commands.n, 0);
	assert_false(readable(from_vm[0], 0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_short_hello_needs_no_thread),
		TEST(a_line_is_gathered_and_goes_out_at_its_end),
		TEST(a_partial_line_goes_out_after_10_ms),
		TEST(flush_and_free_write_what_is_left),
		TEST(after_the_loop_stopped_output_goes_out_at_once),
		TEST(a_lagging_reader_gets_every_byte_in_order),
		TEST(so_does_one_of_a_non_blocking_pipe),
		TEST(a_reader_who_left_is_no_reason_to_die),
		TEST(in_a_hurry_a_reader_who_never_reads_is_given_up),
		TEST(listening_starts_reading_and_one_may_listen),
		TEST(the_end_of_a_pipe_delivers_what_was_left),
		TEST(no_input_at_all_is_fine),
		TEST(a_regular_file_and_dev_null_can_be_standard_input),
		TEST(reading_stops_while_4_kib_wait_and_nothing_is_lost),
		TEST(ctrl_a_commands),
		TEST(ctrl_a_p_is_the_power_button),
		TEST(the_next_listener_is_told_what_waits),
		TEST(input_without_a_listener_waits),
		TEST(a_busy_listener_is_told_again_until_it_has_time),
		TEST(without_escape_every_byte_is_the_guests),
	};

	own_threads = events_threads();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
