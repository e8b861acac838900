/* event.h: what threads wait for: bells, timers, and sets of descriptors.
 *
 * All of these are descriptors, for close(2), which programs that are started don't have. On Linux
 * they are those of eventfd(2), timerfd_create(2) and epoll(7), on macOS of kqueue(2).
 */
#ifndef VIBEVMM_EVENT_H
#define VIBEVMM_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* A bell is readable from when it is rung until it is heard, however often that was. It or -errno.
 */
int event_bell(void);

/* Any thread. */
void event_ring(int bell);

/* Whether it was rung since it was heard last. */
bool event_heard(int bell);

/* As a bell, but event_await waits until it is rung; event_heard isn't for it. */
int event_doorbell(void);
void event_await(int bell);

/* A timer is readable from when its time has come until event_due told so. It or -errno. */
int event_timer(void);

/* Once, at that time by loop_now's clock; or again and again, `ns` after one another, of which 0 is
 * never. What was set before is forgotten. */
void event_timer_at(int timer, uint64_t at);
void event_timer_every(int timer, uint64_t ns);

/* Whether its time came since it was asked last, or set. */
bool event_due(int timer);

/* What a descriptor is watched for. The numbers are those of epoll(7). */
#define EVENT_IN    0x1U
#define EVENT_OUT   0x4U
#define EVENT_ERR   0x8U	/* told without having been asked for */
#define EVENT_HUP   0x10U	/* the same; there is no other end any more */
#define EVENT_RDHUP 0x2000U	/* the other end sends no more */
#define EVENT_EDGE  0x80000000U /* only when something new came, not as long as it is there */

/* A set of descriptors. It or -errno. */
int event_set(void);

/* 0 or -errno. One that is closed leaves the set. change: ptr and events are others from now on,
 * but for EVENT_EDGE. Any thread, also while another one waits. */
int event_add(int set, int fd, uint32_t events, void *ptr);
int event_change(int set, int fd, uint32_t events, void *ptr);
void event_remove(int set, int fd);

struct event {
	uint32_t events;
	void *ptr; /* event_add's */
};

/* Waits until something happened, at most EVENT_MOST of it: how much that is, or 0 after a signal.
 * What happened to one descriptor may come as two. */
enum { EVENT_MOST = 16 };
int event_wait(int set, struct event events[EVENT_MOST]);

#endif
