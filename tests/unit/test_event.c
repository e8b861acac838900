/* test_event.c: bells, timers and sets of descriptors; of this host, and, in test_event_kqueue.c,
 * of macOS upon a double of kqueue(2). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/event.h>
#include <vibevmm/host.h>

#define MS 1000000ULL

static bool readable(int fd, int ms)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, ms) == 1;
}

/* ---- Bells ----------------------------------------------------------------------------------- */

static void a_bell_is_heard_once_however_often_it_was_rung(void **state)
{
	int bell = event_bell();

	(void)state;
	assert_true(bell >= 0);
	assert_true(fcntl(bell, F_GETFD) & FD_CLOEXEC);
	assert_false(readable(bell, 0));
	assert_false(event_heard(bell));
	for (unsigned i = 0; i < 3; i++)
		event_ring(bell);
	assert_true(readable(bell, 0));
	assert_true(event_heard(bell));
	assert_false(readable(bell, 0));
	assert_false(event_heard(bell));
	event_ring(bell);
	assert_true(event_heard(bell));
	close(bell);
}

static void *ring(void *bell)
{
	event_ring(*(int *)bell);
	return NULL;
}

static void a_doorbell_is_waited_for(void **state)
{
	int bell = event_doorbell();
	pthread_t thread;

	(void)state;
	assert_true(bell >= 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(pthread_create(&thread, NULL, ring, &bell), 0);
		event_await(bell);
		pthread_join(thread, NULL);
		assert_false(readable(bell, 0));
	}
	close(bell);
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static void a_timer_is_due_at_its_time_and_once(void **state)
{
	int timer = event_timer();
	uint64_t at = loop_now() + 20 * MS;

	(void)state;
	assert_true(timer >= 0);
	assert_true(fcntl(timer, F_GETFD) & FD_CLOEXEC);
	event_timer_at(timer, at);
	assert_false(event_due(timer));
	assert_true(readable(timer, 10000));
	assert_true(loop_now() >= at);
	assert_true(event_due(timer));
	assert_false(event_due(timer));
	assert_false(readable(timer, 30));
	close(timer);
}

static void a_time_that_has_passed_is_due_now(void **state)
{
	int timer = event_timer();

	(void)state;
	event_timer_at(timer, 1);
	assert_true(readable(timer, 10000));
	assert_true(event_due(timer));
	close(timer);
}

static void setting_a_timer_forgets_what_it_was(void **state)
{
	int timer = event_timer();

	(void)state;
	event_timer_at(timer, loop_now() + MS);
	assert_true(readable(timer, 10000));
	event_timer_at(timer, loop_now() + 3600000 * MS);
	assert_false(event_due(timer));
	event_timer_at(timer, loop_now() + 10 * MS);
	event_timer_at(timer, 0);
	assert_false(readable(timer, 30));
	close(timer);
}

static void a_timer_comes_again_until_it_is_stopped(void **state)
{
	int timer = event_timer();
	uint64_t begin = loop_now();

	(void)state;
	event_timer_every(timer, 5 * MS);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(readable(timer, 10000));
		assert_true(event_due(timer));
	}
	assert_true(loop_now() - begin >= 20 * MS);
	event_timer_every(timer, 0);
	assert_false(event_due(timer));
	assert_false(readable(timer, 20));
	close(timer);
}

/* ---- Sets ------------------------------------------------------------------------------------ */

/* A bell that is always rung last, so that a wait for something else that doesn't come ends. */
static struct pair {
	int set, last, ours, theirs;
} p;

static int setup(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p = (struct pair){ event_set(), event_bell(), fds[0], fds[1] };
	assert_true(p.set >= 0);
	assert_int_equal(event_add(p.set, p.last, EVENT_IN, &p.last), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(p.set);
	close(p.last);
	close(p.ours);
	close(p.theirs);
	return 0;
}

/* All that is told of `ptr` now. */
static uint32_t told(const void *ptr)
{
	struct event events[EVENT_MOST];
	uint32_t sum = 0;
	int n;

	event_ring(p.last);
	n = event_wait(p.set, events);
	for (int i = 0; i < n; i++)
		sum |= events[i].ptr == ptr ? events[i].events : 0;
	assert_true(event_heard(p.last));
	return sum;
}

static void what_is_there_is_told_until_it_is_taken(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(event_add(p.set, p.ours, EVENT_IN, &p.ours), 0);
	assert_int_equal(told(&p.ours), 0);
	assert_int_equal(write(p.theirs, "a", 1), 1);
	assert_int_equal(told(&p.ours), EVENT_IN);
	assert_int_equal(told(&p.ours), EVENT_IN);
	assert_int_equal(read(p.ours, &byte, 1), 1);
	assert_int_equal(told(&p.ours), 0);
}

static void an_edge_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(event_add(p.set, p.ours, EVENT_IN | EVENT_EDGE, &p.ours), 0);
	assert_int_equal(write(p.theirs, "a", 1), 1);
	assert_int_equal(told(&p.ours), EVENT_IN);
	assert_int_equal(told(&p.ours), 0);
	assert_int_equal(write(p.theirs, "b", 1), 1);
	assert_int_equal(told(&p.ours), EVENT_IN);
}

static void room_to_write_is_told_while_asked_for(void **state)
{
	int other;

	(void)state;
	assert_int_equal(event_add(p.set, p.ours, EVENT_IN | EVENT_EDGE, &p.ours), 0);
	assert_int_equal(told(&p.ours), 0);
	assert_int_equal(event_change(p.set, p.ours, EVENT_IN | EVENT_OUT | EVENT_EDGE, &other), 0);
	assert_int_equal(told(&other), EVENT_OUT);
	assert_int_equal(told(&other), 0);
	/* Asked again, it is told again. */
	assert_int_equal(event_change(p.set, p.ours, EVENT_IN | EVENT_OUT | EVENT_EDGE, &p.ours),
			 0);
	assert_int_equal(told(&p.ours), EVENT_OUT);
	assert_int_equal(event_change(p.set, p.ours, EVENT_IN | EVENT_EDGE, &p.ours), 0);
	assert_int_equal(told(&p.ours), 0);
	assert_int_equal(write(p.theirs, "a", 1), 1);
	assert_int_equal(told(&p.ours) & ~EVENT_OUT, EVENT_IN);
}

static void what_was_removed_is_not_told(void **state)
{
	(void)state;
	assert_int_equal(event_add(p.set, p.ours, EVENT_IN | EVENT_OUT, &p.ours), 0);
	assert_int_equal(write(p.theirs, "a", 1), 1);
	assert_int_equal(told(&p.ours), EVENT_IN | EVENT_OUT);
	event_remove(p.set, p.ours);
	assert_int_equal(told(&p.ours), 0);
	assert_int_equal(event_add(p.set, p.ours, EVENT_IN, &p.ours), 0);
	assert_int_equal(told(&p.ours), EVENT_IN);
}

static void an_end_that_sends_no_more_is_no_end_that_has_gone(void **state)
{
	const uint32_t asked = EVENT_IN | EVENT_RDHUP | EVENT_EDGE;

	(void)state;
	assert_int_equal(event_add(p.set, p.ours, asked, &p.ours), 0);
	assert_int_equal(shutdown(p.theirs, SHUT_WR), 0);
	assert_int_equal(told(&p.ours), EVENT_IN | EVENT_RDHUP);
}

static void an_end_that_has_gone_is_told(void **state)
{
	(void)state;
	assert_int_equal(event_add(p.set, p.ours, EVENT_IN | EVENT_OUT, &p.ours), 0);
	close(p.theirs);
	assert_int_equal(told(&p.ours) & (EVENT_IN | EVENT_HUP), EVENT_IN | EVENT_HUP);
	p.theirs = dup(p.ours);
}

static void bells_and_timers_can_be_in_a_set(void **state)
{
	int bell = event_bell(), timer = event_timer();
	struct event events[EVENT_MOST];

	(void)state;
	assert_int_equal(event_add(p.set, bell, EVENT_IN, &bell), 0);
	assert_int_equal(event_add(p.set, timer, EVENT_IN, &timer), 0);
	assert_int_equal(told(&bell), 0);
	event_ring(bell);
	assert_int_equal(told(&bell), EVENT_IN);
	assert_true(event_heard(bell));
	assert_int_equal(told(&bell), 0);
	event_timer_at(timer, loop_now() + 5 * MS);
	assert_int_equal(event_wait(p.set, events), 1);
	assert_ptr_equal(events[0].ptr, &timer);
	assert_true(event_due(timer));
	assert_int_equal(told(&timer), 0);
	close(bell);
	close(timer);
}

static void more_than_one_wait_can_tell_come_later(void **state)
{
	enum { BELLS = 14 };
	struct event events[EVENT_MOST];
	int bells[BELLS], sets[2] = { event_set(), event_set() };
	unsigned heard = 0;

	(void)state;
	/* A set of sets, too. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(event_add(p.set, sets[i], EVENT_IN, &sets[i]), 0);
	for (unsigned i = 0; i < BELLS; i++) {
		bells[i] = event_bell();
		assert_int_equal(event_add(sets[i % 2], bells[i], EVENT_IN, &bells[i]), 0);
		event_ring(bells[i]);
	}
	while (heard < BELLS) {
		int n = event_wait(p.set, events);

		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			struct event inner[EVENT_MOST];
			int m = event_wait(*(int *)events[i].ptr, inner);

			for (int j = 0; j < m; j++)
				heard += event_heard(*(int *)inner[j].ptr);
		}
	}
	assert_int_equal(told(&sets[0]) | told(&sets[1]), 0);
	for (unsigned i = 0; i < BELLS; i++)
		close(bells[i]);
	close(sets[0]);
	close(sets[1]);
}

static void *add_later(void *bell)
{
	event_add(p.set, *(int *)bell, EVENT_IN, bell);
	return NULL;
}

static void what_another_thread_adds_is_waited_for_already(void **state)
{
	struct event events[EVENT_MOST];
	int bell = event_bell();
	pthread_t thread;

	(void)state;
	event_ring(bell);
	assert_int_equal(pthread_create(&thread, NULL, add_later, &bell), 0);
	assert_int_equal(event_wait(p.set, events), 1);
	assert_ptr_equal(events[0].ptr, &bell);
	pthread_join(thread, NULL);
	close(bell);
}

static void what_is_no_descriptor_is_refused(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(event_add(p.set, fds[0], EVENT_IN, NULL), -EBADF);
}

int main(void)
{
	const struct CMUnitTest bells[] = {
		cmocka_unit_test(a_bell_is_heard_once_however_often_it_was_rung),
		cmocka_unit_test(a_doorbell_is_waited_for),
		cmocka_unit_test(a_timer_is_due_at_its_time_and_once),
		cmocka_unit_test(a_time_that_has_passed_is_due_now),
		cmocka_unit_test(setting_a_timer_forgets_what_it_was),
		cmocka_unit_test(a_timer_comes_again_until_it_is_stopped),
	};
	const struct CMUnitTest sets[] = {
#define SET(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		SET(what_is_there_is_told_until_it_is_taken),
		SET(an_edge_is_told_once),
		SET(room_to_write_is_told_while_asked_for),
		SET(what_was_removed_is_not_told),
		SET(an_end_that_sends_no_more_is_no_end_that_has_gone),
		SET(an_end_that_has_gone_is_told),
		SET(bells_and_timers_can_be_in_a_set),
		SET(more_than_one_wait_can_tell_come_later),
		SET(what_another_thread_adds_is_waited_for_already),
		SET(what_is_no_descriptor_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(bells, NULL, NULL) + cmocka_run_group_tests(sets, NULL, NULL);
}
