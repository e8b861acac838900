/* test_virtio_console.c: virtio-console as its driver, the user and the host's programs see it. */
#define FAKE_CONSOLE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool fake_sized;
static uint16_t fake_rows;
static int fake_resize; /* an eventfd */

#include "unit/sockets.h"
#include "unit/virtio_driver.h"

extern const struct device_row device_virtio_console;

bool console_size(const struct console *console, uint16_t *cols, uint16_t *rows)
{
	(void)console;
	*cols = 132;
	*rows = fake_rows;
	return fake_sized;
}

int terminal_size_event(void)
{
	return fake_resize;
}

enum { RX, TX, CONTROL_RX, CONTROL_TX, RX1, TX1 };
enum { F_SIZE = 1, F_MULTIPORT = 2, F_EMERG_WRITE = 4 };
enum {
	DEVICE_READY,
	PORT_ADD,
	PORT_REMOVE,
	PORT_READY,
	CONSOLE_PORT,
	RESIZE,
	PORT_OPEN,
	PORT_NAME
};

/* As in src/virtio/console.c. */
struct line {
	char *name;
	bool console;
	struct wire_config to;
};
struct options {
	VIRTIO_MEMBERS;
	bool input;
	struct wire_config to;
	struct config_maps ports;
};

static struct driver d;
static struct options options;
static struct line lines[2];
static char dir[] = "/tmp/test_virtio_console.XXXXXX", path[64];

static int setup(void **state)
{
	(void)state;
	assert_true(sizeof(struct options) == device_virtio_console.type.size);
	strcpy(dir, "/tmp/test_virtio_console.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/end", dir);
	options = (struct options){ .input = true };
	memset(lines, 0, sizeof(lines));
	fake_sized = false;
	fake_rows = 50;
	fake_resize = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fake_resize >= 0);
	fake_console_reset();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fake_resize);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

/* With standard input, and this many more ports. */
static void plug(unsigned more)
{
	static const struct claim registers = { .name = "registers", .space = SPACE_MEM };
	static const struct claim interrupt = { .name = "interrupt", .space = SPACE_IRQ };
	static const struct claim input = { .name = "input", .space = SPACE_INPUT };
	struct err err;

	options.ports = (struct config_maps){ more ? lines : NULL, more };
	driver_init(&d);
	d.choice =
		(struct config_choice){ .type = &device_virtio_console.type, .options = &options };
	d.plan = (struct plan_device){
		.row = &device_virtio_console,
		.choice = &d.choice,
		.label = "con",
		.claims = { { &registers, 0, DRIVER_REGISTERS, 0x1000, true },
			    { &interrupt, 1, 5, 1, true },
			    { &input, 4, 0, 1, !wire_configured(&options.to) } },
		.n_claims = 3,
	};
	if (device_create(&d.dev, &d.plan, &d.host.host, &err))
		fail_msg("%s", err.text);
}

static uint64_t text_at(const char *text)
{
	uint64_t gpa = driver_alloc(&d, strlen(text) + 1);

	memcpy(driver_ptr(&d, gpa), text, strlen(text));
	return gpa;
}

static void say(unsigned queue, const char *text)
{
	struct driver_buffer buffer = { text_at(text), (uint32_t)strlen(text) };

	assert_int_equal(driver_request(&d, queue, &buffer, 1, 0), 0);
}

static void offer(unsigned queue, uint32_t len, uint64_t *gpa)
{
	struct driver_buffer buffer = { driver_alloc(&d, len), len };

	*gpa = buffer.gpa;
	driver_add(&d, queue, &buffer, 0, 1);
	driver_kick(&d, queue);
}

static void command(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t *message;
	struct driver_buffer buffer = { driver_alloc(&d, 8), 8 };

	message = driver_ptr(&d, buffer.gpa);
	bytes_put32(message, id);
	bytes_put16(message + 4, event);
	bytes_put16(message + 6, value);
	driver_request(&d, CONTROL_TX, &buffer, 1, 0);
}

/* The next control message is that. */
static void expect_message(uint32_t id, uint16_t event, uint16_t value, const void *more,
			   size_t len)
{
	struct driver_buffer buffer = { driver_alloc(&d, 80), 80 };
	uint8_t *message = driver_ptr(&d, buffer.gpa);

	assert_int_equal(driver_request(&d, CONTROL_RX, &buffer, 0, 1), 8 + len);
	assert_int_equal(bytes_get32(message), id);
	assert_int_equal(bytes_get16(message + 4), event);
	assert_int_equal(bytes_get16(message + 6), value);
	if (len)
		assert_memory_equal(message + 8, more, len);
}

/* ---- One port ------------------------------------------------------------------------------ */

static void the_first_port_is_standard_output(void **state)
{
	struct driver_buffer parts[2];

	(void)state;
	plug(0);
	assert_int_equal(driver_offered(&d) & 7, F_EMERG_WRITE);
	assert_int_equal(driver_queue_max(&d, 2), 0);
	driver_start(&d, 0);
	say(TX, "hello, ");
	parts[0] = (struct driver_buffer){ text_at("wo"), 2 };
	parts[1] = (struct driver_buffer){ text_at("rld"), 3 };
	driver_request(&d, TX, parts, 2, 0);
	assert_string_equal(fake_output, "hello, world");
	driver_unplug(&d);
}

static void what_is_typed_comes_from_standard_input(void **state)
{
	uint64_t gpa;

	(void)state;
	plug(0);
	assert_null(fake_ready); /* nobody looks yet */
	driver_start(&d, 0);
	assert_non_null(fake_ready);
	offer(RX, 16, &gpa);
	fake_type("ls\r");
	assert_int_equal(driver_wait(&d, RX, NULL), 3);
	assert_memory_equal(driver_ptr(&d, gpa), "ls\r", 3);
	driver_reset(&d);
	fake_type("more");
	driver_start(&d, 0);
	offer(RX, 16, &gpa);
	assert_int_equal(driver_wait(&d, RX, NULL), 4);
	assert_memory_equal(driver_ptr(&d, gpa), "more", 4);
	driver_unplug(&d);
}

static void a_character_goes_out_before_the_driver_is_there(void **state)
{
	(void)state;
	plug(0);
	driver_out(&d, MMIO_CONFIG + 8, 'E');
	driver_write(&d, MMIO_CONFIG + 8, 1, 'W');
	assert_string_equal(fake_output, "EW");
	driver_out(&d, MMIO_CONFIG, 0xffffffff);
	driver_out(&d, MMIO_CONFIG + 4, 7);
	assert_int_equal(driver_in(&d, MMIO_CONFIG), 0);
	assert_int_equal(driver_in(&d, MMIO_CONFIG + 4), 1);
	assert_string_equal(fake_output, "EW");
	driver_unplug(&d);
}

static void a_terminal_tells_its_size(void **state)
{
	(void)state;
	fake_sized = true;
	plug(0);
	assert_int_equal(driver_offered(&d) & 7, F_EMERG_WRITE | F_SIZE);
	assert_int_equal(driver_read(&d, MMIO_CONFIG, 2), 132);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 2, 2), 50);
	driver_unplug(&d);
}

static void a_terminal_tells_its_new_size(void **state)
{
	(void)state;
	fake_sized = true;
	plug(0);
	driver_start(&d, F_SIZE);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 2, 2), 50);
	fake_rows = 24;
	eventfd_write(fake_resize, 1);
	assert_int_equal(driver_wait_irq(&d), 2);
	assert_int_equal(driver_read(&d, MMIO_CONFIG + 2, 2), 24);
	driver_unplug(&d);
}

static void a_socket_carries_the_console_both_ways(void **state)
{
	uint64_t gpa;
	int fd;

	(void)state;
	options.to.socket = path;
	plug(0);
	driver_start(&d, 0);
	say(TX, "into the void");
	offer(RX, 16, &gpa);
	fd = socket_dial(path);
	assert_int_equal(write(fd, "ls\r", 3), 3);
	assert_int_equal(driver_wait(&d, RX, NULL), 3);
	assert_memory_equal(driver_ptr(&d, gpa), "ls\r", 3);
	say(TX, "bin dev");
	socket_expect(fd, "bin dev");
	close(fd);
	driver_unplug(&d);
}

static void input_waits_for_buffers_and_fills_them(void **state)
{
	uint64_t gpa, next;
	int fd;

	(void)state;
	options.to.socket = path;
	plug(0);
	driver_start(&d, 0);
	fd = socket_dial(path);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	offer(RX, 4, &gpa);
	assert_int_equal(driver_wait(&d, RX, NULL), 4);
	offer(RX, 16, &next);
	assert_int_equal(driver_wait(&d, RX, NULL), 6);
	assert_memory_equal(driver_ptr(&d, gpa), "0123", 4);
	assert_memory_equal(driver_ptr(&d, next), "456789", 6);
	close(fd);
	driver_unplug(&d);
}

static void a_client_that_lags_holds_back_the_guest_and_gets_all(void **state)
{
	enum { LEN = 1 << 20, CHUNK = 1 << 16 };
	static uint8_t got[LEN];
	uint8_t *pattern;
	uint64_t gpa;
	size_t done = 0;
	unsigned used = 0;
	uint16_t head;
	uint32_t written;
	int fd;

	(void)state;
	options.to.socket = path;
	plug(0);
	driver_start(&d, 0);
	fd = socket_dial(path);
	/* Wait until it is in: what is sent before goes nowhere. */
	offer(RX, 1, &gpa);
	assert_int_equal(write(fd, "!", 1), 1);
	assert_int_equal(driver_wait(&d, RX, NULL), 1);
	gpa = driver_alloc(&d, LEN);
	pattern = driver_ptr(&d, gpa);
	for (size_t i = 0; i < LEN; i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
	for (unsigned i = 0; i < LEN / CHUNK; i++) {
		struct driver_buffer buffer = { gpa + (uint64_t)i * CHUNK, CHUNK };

		driver_add(&d, TX, &buffer, 1, 0);
		driver_kick(&d, TX);
	}
	while (done < LEN) {
		ssize_t n = read(fd, got + done, LEN - done < 5000 ? LEN - done : 5000);

		assert_true(n > 0);
		done += (size_t)n;
		while (driver_used(&d, TX, &head, &written))
			used++;
		if (done < LEN / 2)
			assert_true(used < LEN / CHUNK);
	}
	assert_memory_equal(got, pattern, LEN);
	while (used < LEN / CHUNK) {
		driver_wait(&d, TX, NULL);
		used++;
	}
	close(fd);
	driver_unplug(&d);
}

static void a_reset_while_a_client_lags_is_quick(void **state)
{
	enum { LEN = 8 << 20 };
	struct driver_buffer buffer;
	uint64_t gpa;
	int fd;

	(void)state;
	options.to.socket = path;
	plug(0);
	driver_start(&d, 0);
	fd = socket_dial(path);
	offer(RX, 1, &gpa);
	assert_int_equal(write(fd, "!", 1), 1);
	assert_int_equal(driver_wait(&d, RX, NULL), 1);
	buffer = (struct driver_buffer){ driver_alloc(&d, LEN), LEN };
	driver_add(&d, TX, &buffer, 1, 0);
	driver_kick(&d, TX);
	driver_reset(&d);
	d.next = DRIVER_RAM;
	driver_start(&d, 0);
	offer(RX, 1, &gpa);
	assert_int_equal(write(fd, "?", 1), 1);
	assert_int_equal(driver_wait(&d, RX, NULL), 1);
	close(fd);
	driver_unplug(&d);
}

/* ---- Several ------------------------------------------------------------------------------- */

static void ports_are_announced_with_their_names(void **state)
{
	int fd;

	(void)state;
	lines[0] = (struct line){ .name = "org.example.a", .to.socket = path };
	lines[1] = (struct line){ .name = "log", .console = true, .to.file = "/dev/null" };
	plug(2);
	assert_int_equal(driver_offered(&d) & 7, F_EMERG_WRITE | F_MULTIPORT);
	assert_int_equal(driver_in(&d, MMIO_CONFIG + 4), 3);
	assert_true(driver_queue_max(&d, 7) > 0);
	assert_int_equal(driver_queue_max(&d, 8), 0);
	driver_start(&d, F_MULTIPORT);
	command(0xffffffff, DEVICE_READY, 1);
	for (unsigned i = 0; i < 3; i++)
		expect_message(i, PORT_ADD, 1, NULL, 0);
	command(0, PORT_READY, 1);
	expect_message(0, CONSOLE_PORT, 1, NULL, 0);
	expect_message(0, PORT_OPEN, 1, NULL, 0);
	command(1, PORT_READY, 1);
	expect_message(1, PORT_NAME, 1, "org.example.a", 13);
	expect_message(1, PORT_OPEN, 0, NULL, 0);
	command(2, PORT_READY, 1);
	expect_message(2, CONSOLE_PORT, 1, NULL, 0);
	expect_message(2, PORT_NAME, 1, "log", 3);
	expect_message(2, PORT_OPEN, 1, NULL, 0);
	fd = socket_dial(path);
	expect_message(1, PORT_OPEN, 1, NULL, 0);
	close(fd);
	expect_message(1, PORT_OPEN, 0, NULL, 0);
	driver_unplug(&d);
}

/* A console of a terminal, whose driver is told its size. */
static void plug_sized(const uint8_t size[4])
{
	fake_sized = true;
	lines[0] = (struct line){ .name = "x", .to.file = "/dev/null" };
	plug(1);
	driver_start(&d, F_MULTIPORT | F_SIZE);
	command(0, PORT_READY, 1);
	expect_message(0, CONSOLE_PORT, 1, NULL, 0);
	expect_message(0, RESIZE, 1, size, 4);
	expect_message(0, PORT_OPEN, 1, NULL, 0);
}

static void the_window_is_told_rows_first(void **state)
{
	static const uint8_t size[] = { 50, 0, 132, 0 };

	(void)state;
	plug_sized(size);
	driver_unplug(&d);
}

static void a_new_size_of_the_window_is_told(void **state)
{
	static const uint8_t before[] = { 50, 0, 132, 0 }, after[] = { 24, 0, 132, 0 };

	(void)state;
	plug_sized(before);
	fake_rows = 24;
	eventfd_write(fake_resize, 1);
	expect_message(0, RESIZE, 1, after, 4);
	fake_rows = 50;
	eventfd_write(fake_resize, 1); /* again, though nobody has read it */
	expect_message(0, RESIZE, 1, before, 4);
	driver_unplug(&d);
}

static void a_port_carries_bytes_both_ways_once_it_is_open(void **state)
{
	uint64_t gpa;
	int fd;

	(void)state;
	lines[0] = (struct line){ .name = "a", .to.socket = path };
	plug(1);
	driver_start(&d, F_MULTIPORT);
	offer(RX1, 16, &gpa);
	command(1, PORT_READY, 1);
	expect_message(1, PORT_NAME, 1, "a", 1);
	expect_message(1, PORT_OPEN, 0, NULL, 0);
	fd = socket_dial(path);
	expect_message(1, PORT_OPEN, 1, NULL, 0);
	assert_int_equal(write(fd, "early", 5), 5);
	assert_int_equal(d.queues[RX1].used[1], 0);
	command(1, PORT_OPEN, 1);
	assert_int_equal(driver_wait(&d, RX1, NULL), 5);
	assert_memory_equal(driver_ptr(&d, gpa), "early", 5);
	say(TX1, "answer");
	socket_expect(fd, "answer");
	say(TX, "console\n");
	assert_string_equal(fake_output, "console\n");
	/* What a client left behind comes before the news that it has gone. */
	assert_int_equal(write(fd, "bye", 3), 3);
	close(fd);
	offer(RX1, 16, &gpa);
	assert_int_equal(driver_wait(&d, RX1, NULL), 3);
	expect_message(1, PORT_OPEN, 0, NULL, 0);
	driver_unplug(&d);
}

static void nonsense_on_the_control_queue_changes_nothing(void **state)
{
	struct driver_buffer cut;

	(void)state;
	lines[0] = (struct line){ .name = "a", .to.file = "/dev/null" };
	plug(1);
	driver_start(&d, F_MULTIPORT);
	command(2, PORT_READY, 1);
	command(0xffffffff, PORT_OPEN, 1);
	command(1, 99, 1);
	command(1, PORT_ADD, 1);
	cut = (struct driver_buffer){ driver_alloc(&d, 8), 7 };
	driver_request(&d, CONTROL_TX, &cut, 1, 0);
	driver_request(&d, CONTROL_TX, &cut, 0, 1);
	/* Asked a hundred times, it answers once: nothing piles up. */
	for (int i = 0; i < 100; i++)
		command(1, PORT_READY, 1);
	expect_message(1, PORT_NAME, 1, "a", 1);
	expect_message(1, PORT_OPEN, 1, NULL, 0);
	assert_false(driver_broken(&d));
	command(0, PORT_READY, 1);
	expect_message(0, CONSOLE_PORT, 1, NULL, 0);
	driver_unplug(&d);
}

static void a_small_buffer_gets_a_part_of_a_message(void **state)
{
	struct driver_buffer cut;

	(void)state;
	lines[0] = (struct line){ .name = "long name", .to.file = "/dev/null" };
	plug(1);
	driver_start(&d, F_MULTIPORT);
	command(1, PORT_READY, 1);
	cut = (struct driver_buffer){ driver_alloc(&d, 16), 10 };
	assert_int_equal(driver_request(&d, CONTROL_RX, &cut, 0, 1), 10);
	assert_memory_equal((uint8_t *)driver_ptr(&d, cut.gpa) + 8, "lo", 3);
	driver_unplug(&d);
}

static void a_driver_without_multiport_has_the_console(void **state)
{
	(void)state;
	lines[0] = (struct line){ .name = "a", .to.file = "/dev/null" };
	plug(1);
	driver_start(&d, 0);
	say(TX, "plain");
	assert_string_equal(fake_output, "plain");
	driver_unplug(&d);
}

static void what_cannot_be_opened_is_named(void **state)
{
	struct err err;

	(void)state;
	lines[0] = (struct line){ .name = "good", .to.socket = path };
	lines[1] = (struct line){ .name = "log", .to.file = "/nowhere/log" };
	options.ports = (struct config_maps){ lines, 2 };
	driver_init(&d);
	assert_true(driver_try_create(&d, &device_virtio_console, &options, &err) < 0);
	assert_string_equal(err.text, "virtio-console: log: cannot write '/nowhere/log': No such "
				      "file or directory");
	assert_int_equal(access(path, F_OK), -1); /* the first one is gone, too */
	loop_stop(d.host.host.loop);
	driver_free(&d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_port_is_standard_output),
		TEST(what_is_typed_comes_from_standard_input),
		TEST(a_character_goes_out_before_the_driver_is_there),
		TEST(a_terminal_tells_its_size),
		TEST(a_terminal_tells_its_new_size),
		TEST(a_socket_carries_the_console_both_ways),
		TEST(input_waits_for_buffers_and_fills_them),
		TEST(a_client_that_lags_holds_back_the_guest_and_gets_all),
		TEST(a_reset_while_a_client_lags_is_quick),
		TEST(ports_are_announced_with_their_names),
		TEST(the_window_is_told_rows_first),
		TEST(a_new_size_of_the_window_is_told),
		TEST(a_port_carries_bytes_both_ways_once_it_is_open),
		TEST(nonsense_on_the_control_queue_changes_nothing),
		TEST(a_small_buffer_gets_a_part_of_a_message),
		TEST(a_driver_without_multiport_has_the_console),
		TEST(what_cannot_be_opened_is_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
