/* unit/fake_host.h: the machine as a device sees it, for tests without a machine.
 *
 * A test that defines one of these before including it brings its own version of a part of host.h,
 * which the linker then prefers over the library's:
 *   FAKE_CLOCK    loop_now, loop_wall: they stand still until fake_advance
 *   FAKE_TIMERS   loop_timer_set, loop_timer_clear: fake_advance calls them (needs FAKE_CLOCK)
 *   FAKE_CONSOLE  console_*: fake_type is the user, fake_output what was printed
 */
#ifndef UNIT_FAKE_HOST_H
#define UNIT_FAKE_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/device.h>

/* ---- The machine -------------------------------------------------------------------------- */

struct fake_host {
	struct device_host host;
	bool level[PLAN_MAX_CLAIMS];	 /* of a line */
	unsigned edges[PLAN_MAX_CLAIMS]; /* how often it rose */
	unsigned exits, poweroffs, resets, panics;
	uint64_t exit_status;
	bool coalesced[PLAN_MAX_CLAIMS]; /* last asked for */
};

static inline int fake_msi_send(struct device_host *host, uint64_t addr, uint32_t data,
				uint32_t who)
{
	(void)host;
	(void)addr;
	(void)data;
	(void)who;
	return 0;
}

static inline void fake_irq_set(struct device_host *host, struct device *dev, unsigned claim,
				bool level)
{
	struct fake_host *fake = (struct fake_host *)host;

	(void)dev;
	assert_true(claim < PLAN_MAX_CLAIMS);
	fake->edges[claim] += level && !fake->level[claim];
	fake->level[claim] = level;
}

static inline void fake_guest_exit(struct device_host *host, struct device *dev, uint64_t status)
{
	struct fake_host *fake = (struct fake_host *)host;

	(void)dev;
	fake->exits++;
	fake->exit_status = status;
}

static inline void fake_guest_poweroff(struct device_host *host, struct device *dev)
{
	(void)dev;
	((struct fake_host *)host)->poweroffs++;
}

static inline void fake_guest_reset(struct device_host *host, struct device *dev)
{
	(void)dev;
	((struct fake_host *)host)->resets++;
}

static inline void fake_guest_panic(struct device_host *host, struct device *dev)
{
	(void)dev;
	((struct fake_host *)host)->panics++;
}

static inline void fake_coalesce(struct device_host *host, struct device *dev, unsigned claim,
				 uint64_t offset, unsigned size, bool on)
{
	(void)dev;
	assert_true(claim < PLAN_MAX_CLAIMS);
	assert_in_range(size, 1, 8);
	assert_in_range(offset, 0, UINT64_MAX - size);
	((struct fake_host *)host)->coalesced[claim] = on;
}

/* With a loop and a console on these file descriptors, except where the test has its own. */
static inline void fake_host_open(struct fake_host *fake, int in, int out)
{
	struct console_config config = { .in = in, .out = out };

	(void)config;
	*fake = (struct fake_host){ .host = { .irq_set = fake_irq_set,
					      .guest_exit = fake_guest_exit,
					      .guest_poweroff = fake_guest_poweroff,
					      .guest_reset = fake_guest_reset,
					      .guest_panic = fake_guest_panic,
					      .coalesce = fake_coalesce,
					      .msi_send = fake_msi_send } };
#ifndef FAKE_TIMERS
	fake->host.loop = loop_new();
	assert_non_null(fake->host.loop);
#endif
#ifndef FAKE_CONSOLE
	fake->host.console = console_new(fake->host.loop, &config);
	assert_non_null(fake->host.console);
#endif
}

static inline void fake_host_init(struct fake_host *fake)
{
	fake_host_open(fake, -1, STDERR_FILENO);
}

static inline void fake_host_free(struct fake_host *fake)
{
	(void)fake;
#ifndef FAKE_TIMERS
	loop_stop(fake->host.loop);
#endif
#ifndef FAKE_CONSOLE
	console_free(fake->host.console);
#endif
#ifndef FAKE_TIMERS
	loop_free(fake->host.loop);
#endif
}

/* ---- A device in it ----------------------------------------------------------------------- */

struct fake {
	struct fake_host host;
	struct device dev;
	struct plan_device plan;
	struct config_choice choice;
};

/* Creates the row's device on a host that is open, with options that are all 0, and the claims it
 * has on x86_64 without `at`; the one named in `unconnected`, if not NULL, is not connected. */
static inline void fake_plug(struct fake *fake, const struct device_row *row,
			     const char *unconnected)
{
	static const uint64_t options[64];
	struct err err;

	assert_true(row->type.size <= sizeof(options));
	fake->choice = (struct config_choice){ .type = &row->type, .options = options };
	fake->plan = (struct plan_device){ .row = row, .choice = &fake->choice };
	snprintf(fake->plan.label, sizeof(fake->plan.label), "%s", row->type.name);
	for (unsigned i = 0; row->claims[i].name; i++) {
		const struct claim *claim = &row->claims[i];

		if ((claim->arches && !(claim->arches & ARCH_X86_64)) || claim->only_if)
			continue;
		fake->plan.claims[fake->plan.n_claims++] = (struct plan_claim){
			.claim = claim,
			.index = i,
			.size = claim->size,
			.connected = !unconnected || strcmp(unconnected, claim->name) != 0,
		};
	}
	assert_int_equal(device_create(&fake->dev, &fake->plan, &fake->host.host, &err), 0);
}

static inline void fake_create(struct fake *fake, const struct device_row *row,
			       const char *unconnected)
{
	fake_host_init(&fake->host);
	fake_plug(fake, row, unconnected);
}

static inline void fake_destroy(struct fake *fake)
{
#ifndef FAKE_TIMERS
	loop_stop(fake->host.host.loop);
#endif
	device_destroy(&fake->dev);
	fake_host_free(&fake->host);
}

static inline uint64_t fake_read(struct fake *fake, unsigned claim, uint64_t offset, unsigned size)
{
	uint64_t value;

	device_lock(&fake->dev);
	value = fake->dev.row->read(&fake->dev, claim, offset, size);
	device_unlock(&fake->dev);
	return value;
}

static inline void fake_write(struct fake *fake, unsigned claim, uint64_t offset, unsigned size,
			      uint64_t value)
{
	device_lock(&fake->dev);
	fake->dev.row->write(&fake->dev, claim, offset, size, value);
	device_unlock(&fake->dev);
}

static inline void fake_reset(struct fake *fake)
{
	device_lock(&fake->dev);
	fake->dev.row->reset(&fake->dev);
	device_unlock(&fake->dev);
}

/* The line of the device's interrupt claim, and how often it rose. */
static inline bool fake_irq(struct fake *fake)
{
	return fake->host.level[device_claim(&fake->dev, "interrupt")];
}

static inline unsigned fake_irq_edges(struct fake *fake)
{
	return fake->host.edges[device_claim(&fake->dev, "interrupt")];
}

/* Bytes at the registers: the first claim. */
static inline uint8_t fake_in(struct fake *fake, uint64_t offset)
{
	return (uint8_t)fake_read(fake, 0, offset, 1);
}

static inline void fake_out(struct fake *fake, uint64_t offset, uint8_t value)
{
	fake_write(fake, 0, offset, 1, value);
}

/* ---- Clock and timers --------------------------------------------------------------------- */

#ifdef FAKE_CLOCK
static _Atomic uint64_t fake_clock = 1000000000; /* a real loop's thread reads it, too */
static _Atomic uint64_t fake_wall_clock = 1700000000000000000;
static struct loop_timer *fake_timers[4];

uint64_t loop_now(void)
{
	return fake_clock;
}

uint64_t loop_wall(void)
{
	return fake_wall_clock;
}

/* Lets time pass, stopping at each timer on the way. */
static inline void fake_advance(uint64_t ns)
{
	uint64_t end = fake_clock + ns;

	for (;;) {
		struct loop_timer **first = NULL;
		uint64_t to = end;

		for (size_t i = 0; i < ARRAY_SIZE(fake_timers); i++) {
			if (fake_timers[i] && fake_timers[i]->deadline <= to) {
				first = &fake_timers[i];
				to = fake_timers[i]->deadline;
			}
		}
		if (to > fake_clock) {
			fake_wall_clock += to - fake_clock;
			fake_clock = to;
		}
		if (!first)
			return;
		struct loop_timer *timer = *first;

		*first = NULL;
		timer->deadline = 0;
		timer->fn(timer->arg);
	}
}
#endif

#ifdef FAKE_TIMERS
void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	(void)loop;
	for (size_t i = 0; i < ARRAY_SIZE(fake_timers); i++) {
		if (fake_timers[i] == timer)
			fake_timers[i] = NULL;
	}
	timer->deadline = 0;
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline)
{
	loop_timer_clear(loop, timer);
	timer->deadline = deadline;
	for (size_t i = 0; i < ARRAY_SIZE(fake_timers); i++) {
		if (!fake_timers[i]) {
			fake_timers[i] = timer;
			return 0;
		}
	}
	fail_msg("too many timers");
	return -1;
}

static inline unsigned fake_timers_set(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fake_timers); i++)
		n += fake_timers[i] != NULL;
	return n;
}
#endif

/* ---- Console ------------------------------------------------------------------------------ */

#ifdef FAKE_CONSOLE
static char fake_output[1024];
static size_t fake_output_len;
static uint8_t fake_typed[1024]; /* what nobody took yet is [fake_taken, fake_typed_len) */
static size_t fake_typed_len, fake_taken;
static console_ready_fn fake_ready;
static void *fake_ready_arg;

static inline void fake_console_reset(void)
{
	memset(fake_output, 0, sizeof(fake_output));
	fake_output_len = fake_typed_len = fake_taken = 0;
	fake_ready = NULL;
}

void console_write(struct console *console, const void *buf, size_t len)
{
	(void)console;
	assert_true(fake_output_len + len < sizeof(fake_output));
	memcpy(fake_output + fake_output_len, buf, len);
	fake_output_len += len;
}

void console_flush(struct console *console)
{
	(void)console;
}

int console_listen(struct console *console, console_ready_fn ready, void *arg)
{
	(void)console;
	assert_null(fake_ready);
	fake_ready = ready;
	fake_ready_arg = arg;
	return 0;
}

bool console_has_input(struct console *console)
{
	(void)console;
	return fake_taken < fake_typed_len;
}

int console_get(struct console *console)
{
	return console_has_input(console) ? fake_typed[fake_taken++] : -1;
}

/* As the event loop: calls the listener if there was no input before. */
static inline void fake_type(const char *text)
{
	bool was_empty = fake_taken == fake_typed_len;
	size_t len = strlen(text);

	assert_true(fake_typed_len + len <= sizeof(fake_typed));
	memcpy(fake_typed + fake_typed_len, text, len);
	fake_typed_len += len;
	if (was_empty && fake_ready)
		fake_ready(fake_ready_arg);
}
#endif

#endif
