/* test_loop.c: the event loop: watches, timers, its thread. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/host.h>

#include "unit/events.h"

#define MS 1000000ULL

static struct loop *loop;
static struct events events;
static unsigned own_threads; /* of a program without a loop */
static char order[64];	     /* one letter for each call; written by the loop's thread alone */

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	events = (struct events)EVENTS_INIT;
	memset(order, 0, sizeof(order));
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void count(void *arg)
{
	(void)arg;
	events_add(&events);
}

static void note(void *arg)
{
	order[strlen(order)] = *(const char *)arg;
	events_add(&events);
}

/* ---- Watches ------------------------------------------------------------------------------ */

struct reader {
	int fd, write_fd;
	char got[64];
	size_t len;
	bool ended;
};

static void reader_init(struct reader *reader)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	*reader = (struct reader){ .fd = fds[0], .write_fd = fds[1] };
}

/* Takes one byte at a time, so that a call must come again for the rest. */
static void read_one(void *arg)
{
	struct reader *reader = arg;
	ssize_t n = read(reader->fd, reader->got + reader->len, 1);

	if (n == 1) {
		reader->len++;
	} else {
		reader->ended = true;
		loop_unwatch(loop, reader->fd);
	}
	events_add(&events);
}

static void no_thread_before_the_first_watch_or_timer(void **state)
{
	struct loop_timer timer = { .fn = count };

	(void)state;
	loop_unwatch(loop, 0);
	loop_timer_clear(loop, &timer);
	assert_true(events_threads_become(own_threads));
	assert_int_equal(loop_timer_set(loop, &timer, loop_now() + 1000000 * MS), 0);
	assert_true(events_threads_become(own_threads + 1));
	loop_stop(loop);
	assert_true(events_threads_become(own_threads));
}

static void a_watch_delivers_what_was_left_before_the_end(void **state)
{
	struct reader reader;

	(void)state;
	reader_init(&reader);
	assert_int_equal(write(reader.write_fd, "last", 4), 4);
	close(reader.write_fd);
	assert_int_equal(loop_watch(loop, reader.fd, read_one, &reader), 0);
	assert_true(events_wait(&events, 5));
	loop_stop(loop);
	assert_string_equal(reader.got, "last");
	assert_true(reader.ended);
	close(reader.fd);
}

static void a_watch_added_while_the_loop_waits_is_seen(void **state)
{
	struct reader a, b;

	(void)state;
	reader_init(&a);
	reader_init(&b);
	assert_int_equal(loop_watch(loop, a.fd, read_one, &a), 0);
	assert_int_equal(write(a.write_fd, "a", 1), 1);
	assert_true(events_wait(&events, 1));
	assert_int_equal(write(b.write_fd, "b", 1), 1);
	assert_int_equal(loop_watch(loop, b.fd, read_one, &b), 0);
	assert_true(events_wait(&events, 2));
	loop_stop(loop);
	assert_string_equal(b.got, "b");
	close(a.fd);
	close(a.write_fd);
	close(b.fd);
	close(b.write_fd);
}

static void a_descriptor_has_one_watch(void **state)
{
	struct reader reader;

	(void)state;
	reader_init(&reader);
	assert_int_equal(loop_watch(loop, reader.fd, read_one, &reader), 0);
	assert_int_equal(loop_watch(loop, reader.fd, read_one, &reader), -EEXIST);
	loop_unwatch(loop, reader.fd);
	assert_int_equal(loop_watch(loop, reader.fd, read_one, &reader), 0);
	assert_int_equal(write(reader.write_fd, "x", 1), 1);
	assert_true(events_wait(&events, 1));
	loop_stop(loop);
	close(reader.fd);
	close(reader.write_fd);
}

static void many_watches_all_deliver(void **state)
{
	static struct reader readers[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		reader_init(&readers[i]);
		assert_int_equal(loop_watch(loop, readers[i].fd, read_one, &readers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		assert_int_equal(write(readers[i].write_fd, "ab", 2), 2);
		close(readers[i].write_fd);
	}
	assert_true(events_wait(&events, 3 * ARRAY_SIZE(readers)));
	loop_stop(loop);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		assert_string_equal(readers[i].got, "ab");
		close(readers[i].fd);
	}
}

/* Two descriptors become readable together; whichever comes first removes the other. */
static struct reader rivals[2];
static unsigned rivals_called;

static void remove_rival(void *arg)
{
	(void)arg;
	rivals_called++;
	loop_unwatch(loop, rivals[0].fd);
	loop_unwatch(loop, rivals[1].fd);
	events_add(&events);
}

static void watch_rivals(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++)
		loop_watch(loop, rivals[i].fd, remove_rival, &rivals[i]);
}

static void a_watch_removed_by_a_callback_is_not_called_any_more(void **state)
{
	struct loop_timer start = { .fn = watch_rivals }, later = { .fn = count };

	(void)state;
	rivals_called = 0;
	for (int i = 0; i < 2; i++) {
		reader_init(&rivals[i]);
		assert_int_equal(write(rivals[i].write_fd, "x", 1), 1);
	}
	assert_int_equal(loop_timer_set(loop, &start, 1), 0);
	assert_true(events_wait(&events, 1));
	assert_int_equal(loop_timer_set(loop, &later, 1), 0);
	assert_true(events_wait(&events, 2));
	loop_stop(loop);
	assert_int_equal(rivals_called, 1);
	for (int i = 0; i < 2; i++) {
		close(rivals[i].fd);
		close(rivals[i].write_fd);
	}
}

/* As above, and the first puts something else, with nothing to read, in the other's place. */
static struct reader quiet;
static unsigned quiet_called;

static void call_quiet(void *arg)
{
	(void)arg;
	quiet_called++;
}

static void replace_rival(void *arg)
{
	struct reader *other = arg == &rivals[0] ? &rivals[1] : &rivals[0];

	remove_rival(arg);
	if (dup2(quiet.fd, other->fd) == other->fd)
		loop_watch(loop, other->fd, call_quiet, NULL);
}

static void watch_replaceable_rivals(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++)
		loop_watch(loop, rivals[i].fd, replace_rival, &rivals[i]);
}

static void a_watch_put_in_its_place_waits_for_an_event_of_its_own(void **state)
{
	struct loop_timer start = { .fn = watch_replaceable_rivals }, later = { .fn = count };

	(void)state;
	rivals_called = quiet_called = 0;
	reader_init(&quiet);
	for (int i = 0; i < 2; i++) {
		reader_init(&rivals[i]);
		assert_int_equal(write(rivals[i].write_fd, "x", 1), 1);
	}
	assert_int_equal(loop_timer_set(loop, &start, 1), 0);
	assert_true(events_wait(&events, 1));
	assert_int_equal(loop_timer_set(loop, &later, 1), 0);
	assert_true(events_wait(&events, 2));
	loop_stop(loop);
	assert_int_equal(rivals_called, 1);
	assert_int_equal(quiet_called, 0);
	close(quiet.fd);
	close(quiet.write_fd);
	for (int i = 0; i < 2; i++) {
		close(rivals[i].fd);
		close(rivals[i].write_fd);
	}
}

/* ---- Timers ------------------------------------------------------------------------------- */

/* Runs fn on the loop's thread, where no timer can fire between two calls. */
static void on_loop(loop_fn fn)
{
	static struct loop_timer timer;

	timer = (struct loop_timer){ .fn = fn };
	assert_int_equal(loop_timer_set(loop, &timer, 1), 0);
}

static char names[] = "abcde";
static struct loop_timer timers[5];
static uint64_t base;

static void set_five(void *arg)
{
	static const unsigned ms[] = { 12, 6, 18, 6, 1 };

	(void)arg;
	base = loop_now();
	for (unsigned i = 0; i < 5; i++) {
		timers[i] = (struct loop_timer){ .fn = note, .arg = &names[i] };
		loop_timer_set(loop, &timers[i], base + ms[i] * MS);
	}
}

static void timers_come_in_order_and_equal_ones_as_they_were_set(void **state)
{
	(void)state;
	on_loop(set_five);
	assert_true(events_wait(&events, 5));
	assert_true(loop_now() >= base + 18 * MS);
	loop_stop(loop);
	assert_string_equal(order, "ebdac");
}

static void a_timer_is_never_early(void **state)
{
	struct loop_timer timer = { .fn = count };

	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		uint64_t deadline = loop_now() + i * 100000 + 1;

		assert_int_equal(loop_timer_set(loop, &timer, deadline), 0);
		assert_true(events_wait(&events, i));
		assert_true(loop_now() >= deadline);
	}
}

static void move_and_clear(void *arg)
{
	uint64_t now = loop_now();

	(void)arg;
	for (unsigned i = 0; i < 3; i++)
		timers[i] = (struct loop_timer){ .fn = note, .arg = &names[i] };
	loop_timer_set(loop, &timers[0], now + 1000000 * MS);
	loop_timer_set(loop, &timers[1], now + MS);
	loop_timer_set(loop, &timers[2], now + 4 * MS);
	loop_timer_set(loop, &timers[0], now + 2 * MS);
	loop_timer_clear(loop, &timers[1]);
	loop_timer_clear(loop, &timers[1]);
}

static void a_timer_can_be_moved_and_cleared(void **state)
{
	(void)state;
	on_loop(move_and_clear);
	assert_true(events_wait(&events, 2));
	loop_stop(loop);
	assert_string_equal(order, "ac");
}

struct repeat {
	struct loop_timer timer;
	unsigned left;
};

static void repeat(void *arg)
{
	struct repeat *r = arg;

	events_add(&events);
	if (--r->left)
		loop_timer_set(loop, &r->timer, loop_now() + MS / 4);
}

static void a_callback_may_set_its_own_timer(void **state)
{
	struct repeat r = { .timer = { .fn = repeat, .arg = &r }, .left = 10 };

	(void)state;
	assert_int_equal(loop_timer_set(loop, &r.timer, 0), 0);
	assert_true(events_wait(&events, 10));
	loop_stop(loop);
	assert_int_equal(r.left, 0);
}

/* ---- The thread --------------------------------------------------------------------------- */

static sigset_t mask;

static void get_mask(void *arg)
{
	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	events_add(&events);
}

static void the_thread_takes_no_signals_and_ours_stay_open(void **state)
{
	static const int some[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGTTIN, SIGCONT };
	struct loop_timer timer = { .fn = get_mask };
	sigset_t ours;

	(void)state;
	assert_int_equal(loop_timer_set(loop, &timer, 1), 0);
	assert_true(events_wait(&events, 1));
	pthread_sigmask(SIG_SETMASK, NULL, &ours);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		assert_true(sigismember(&mask, some[i]));
		assert_false(sigismember(&ours, some[i]));
	}
}

static void nothing_starts_after_stop(void **state)
{
	struct loop_timer timer = { .fn = count };
	struct reader reader;

	(void)state;
	reader_init(&reader);
	assert_int_equal(write(reader.write_fd, "x", 1), 1);
	loop_stop(loop);
	loop_stop(loop);
	assert_int_equal(loop_timer_set(loop, &timer, 1), -ECANCELED);
	assert_int_equal(loop_watch(loop, reader.fd, read_one, &reader), -ECANCELED);
	loop_timer_clear(loop, &timer);
	loop_unwatch(loop, reader.fd);
	assert_true(events_threads_become(own_threads));
	assert_int_equal(events.n, 0);
	close(reader.fd);
	close(reader.write_fd);
}

static void while_it_is_paused_nothing_is_called_and_nothing_lost(void **state)
{
	struct loop_timer timer = { .fn = count }, cleared = { .fn = count };
	struct reader before, meanwhile;

	(void)state;
	reader_init(&before);
	reader_init(&meanwhile);
	for (int i = 0; i < 20; i++) { /* more than the first room for watches */
		int fd = dup(before.fd);

		assert_int_equal(loop_watch(loop, fd, count, NULL), 0);
		loop_unwatch(loop, fd);
		close(fd);
	}
	assert_int_equal(loop_watch(loop, before.fd, read_one, &before), 0);
	loop_pause(loop);
	assert_true(events_threads_become(own_threads));
	assert_int_equal(write(before.write_fd, "b", 1), 1);
	assert_int_equal(write(meanwhile.write_fd, "m", 1), 1);
	assert_int_equal(loop_watch(loop, meanwhile.fd, read_one, &meanwhile), 0);
	assert_int_equal(loop_timer_set(loop, &timer, 1), 0);
	assert_int_equal(loop_timer_set(loop, &cleared, 1), 0);
	loop_timer_clear(loop, &cleared);
	assert_true(events_threads_become(own_threads));
	assert_int_equal(events.n, 0);
	assert_int_equal(loop_resume(loop), 0);
	assert_true(events_wait(&events, 3));
	loop_stop(loop);
	assert_int_equal(events.n, 3);
	assert_string_equal(before.got, "b");
	assert_string_equal(meanwhile.got, "m");
	close(before.fd);
	close(before.write_fd);
	close(meanwhile.fd);
	close(meanwhile.write_fd);
}

static void a_pause_of_an_idle_loop_starts_no_thread(void **state)
{
	(void)state;
	loop_pause(loop);
	assert_int_equal(loop_resume(loop), 0);
	assert_true(events_threads_become(own_threads));
	loop_pause(loop);
	loop_stop(loop);
	assert_int_equal(loop_timer_set(loop, &(struct loop_timer){ .fn = count }, 1), -ECANCELED);
}

struct churn {
	struct loop_timer timer;
	struct reader reader;
};

static void *churn(void *arg)
{
	struct churn *c = arg;

	for (int i = 0; i < 500; i++) {
		loop_timer_set(loop, &c->timer, loop_now() + (unsigned)i % 3 * (MS / 8));
		loop_watch(loop, c->reader.fd, read_one, &c->reader);
		if (i % 2)
			loop_timer_clear(loop, &c->timer);
		loop_unwatch(loop, c->reader.fd);
	}
	return NULL;
}

static void threads_may_use_it_at_once(void **state)
{
	struct loop_timer last = { .fn = count };
	struct churn churns[3];
	pthread_t threads[3];
	unsigned n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		churns[i].timer = (struct loop_timer){ .fn = count };
		reader_init(&churns[i].reader);
		assert_int_equal(pthread_create(&threads[i], NULL, churn, &churns[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 3; i++)
		loop_timer_clear(loop, &churns[i].timer);
	pthread_mutex_lock(&events.lock);
	n = events.n;
	pthread_mutex_unlock(&events.lock);
	assert_int_equal(loop_timer_set(loop, &last, 1), 0); /* it still works */
	assert_true(events_wait(&events, n + 1));
	loop_stop(loop);
	for (int i = 0; i < 3; i++) {
		close(churns[i].reader.fd);
		close(churns[i].reader.write_fd);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_thread_before_the_first_watch_or_timer),
		TEST(a_watch_delivers_what_was_left_before_the_end),
		TEST(a_watch_added_while_the_loop_waits_is_seen),
		TEST(a_descriptor_has_one_watch),
		TEST(many_watches_all_deliver),
		TEST(a_watch_removed_by_a_callback_is_not_called_any_more),
		TEST(a_watch_put_in_its_place_waits_for_an_event_of_its_own),
		TEST(timers_come_in_order_and_equal_ones_as_they_were_set),
		TEST(a_timer_is_never_early),
		TEST(a_timer_can_be_moved_and_cleared),
		TEST(a_callback_may_set_its_own_timer),
		TEST(the_thread_takes_no_signals_and_ours_stay_open),
		TEST(while_it_is_paused_nothing_is_called_and_nothing_lost),
		TEST(a_pause_of_an_idle_loop_starts_no_thread),
		TEST(nothing_starts_after_stop),
		TEST(threads_may_use_it_at_once),
	};

	own_threads = events_threads();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
