/* unit/expect_helpers.h: expectations driven by hand: text and times go in. */
#ifndef UNIT_EXPECT_HELPERS_H
#define UNIT_EXPECT_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/expect.h>

#define MS    1000000ULL
#define START (1000 * MS)

static const char *const consoles[] = { "", "hvc0", "log" };

struct run {
	struct expect_config config;
	struct expect_report report;
	struct expect *expect;
	uint64_t now;
};

/* BEGIN(&run, {.contains = "login:"}, ...): begins a run with these steps. */
#define BEGIN(run, ...)                                                                            \
	begin(run, (const struct expect_step[]){ __VA_ARGS__ },                                    \
	      ARRAY_SIZE(((const struct expect_step[]){ __VA_ARGS__ })))

static inline void begin(struct run *run, const struct expect_step *steps, size_t n)
{
	struct expect_step *copy = calloc(n + 1, sizeof(*copy));
	struct expect_setup setup = {
		.config = &run->config,
		.consoles = consoles,
		.n_consoles = ARRAY_SIZE(consoles),
		.scale = 1,
		.start = START,
		.report = &run->report,
	};
	struct err err = { 0 };

	assert_non_null(copy);
	if (n)
		memcpy(copy, steps, n * sizeof(*copy));
	run->config.console = (struct config_maps){ copy, (uint32_t)n };
	run->now = START;
	if (expect_new(&run->expect, &setup, &err))
		fail_msg("%s", err.text);
}

static inline void finish(struct run *run)
{
	expect_free(run->expect);
	free((void *)run->config.console.list);
}

static inline void hear_on(struct run *run, size_t console, const char *text)
{
	expect_heard(run->expect, console, text, strlen(text), run->now);
}

static inline void hear(struct run *run, const char *text)
{
	hear_on(run, 0, text);
}

/* As the machine's loop would: at each deadline up to then. */
static inline void wait_ms(struct run *run, unsigned ms)
{
	uint64_t until = run->now + ms * MS, at;

	while ((at = expect_deadline(run->expect)) && at <= until) {
		run->now = at > run->now ? at : run->now;
		expect_tick(run->expect, run->now);
		assert_int_not_equal(expect_deadline(run->expect), at);
	}
	run->now = until;
}

static inline void end(struct run *run, enum expect_end how, int status)
{
	expect_ended(run->expect, how, status, "", run->now);
}

static inline void assert_waits(const struct run *run)
{
	assert_int_equal(expect_state(run->expect), EXPECT_WAITS);
}

static inline void assert_met(const struct run *run)
{
	if (run->report.unmet)
		fail_msg("unmet: %s", run->report.reason);
	assert_int_equal(expect_state(run->expect), EXPECT_MET);
}

static inline void assert_unmet(const struct run *run, const char *reason)
{
	assert_int_equal(expect_state(run->expect), EXPECT_UNMET);
	assert_true(run->report.unmet);
	assert_string_equal(run->report.reason, reason);
}

#endif
