/* expect.c: a guest that says anything, to expectations of any texts. What comes in one piece and
 * what comes byte by byte must be the same to them: the same steps are met at the same places.
 * Then it says it over and over again, and ends. */
#include "fuzz.h"

#include <vibevmm/bytes.h>
#include <vibevmm/expect.h>
#include <vibevmm/utf8.h>

enum { STEPS = 4, LENGTH = 8 };

static const char *const consoles[] = { "", "hvc0" };
static const char *const regexes[] = { "^$",	       "o$",
				       "^[a-z]+: *$",  "[[:space:]]+x",
				       ".*(a|b).*c+",  "(^|[^a])b+$",
				       "\\[ *OK *\\]", "x*" };

struct run {
	struct expect *expect;
	struct expect_report report;
};

static void begin(struct run *run, const struct expect_config *config)
{
	const struct expect_setup setup = {
		.config = config,
		.consoles = consoles,
		.n_consoles = ARRAY_SIZE(consoles),
		.scale = 1,
		.start = 1,
		.report = &run->report,
	};

	must(!expect_new(&run->expect, &setup, NULL));
}

static void finish(struct run *run)
{
	expect_ended(run->expect, EXPECT_END_POWEROFF, 0, "", 1000);
	must(run->report.unmet == (expect_state(run->expect) == EXPECT_UNMET));
	must(strlen(run->report.detail) < sizeof(run->report.detail));
	must(utf8_check(run->report.detail, strlen(run->report.detail)) ==
	     strlen(run->report.detail));
	must(utf8_check(run->report.reason, strlen(run->report.reason)) ==
	     strlen(run->report.reason));
	expect_free(run->expect);
}

static void compare(const struct run *a, const struct run *b)
{
	must(expect_state(a->expect) == expect_state(b->expect));
	must(a->report.n_moments == b->report.n_moments);
	for (uint32_t i = 0; i < a->report.n_moments; i++) {
		const struct expect_moment *x = &a->report.moments[i], *y = &b->report.moments[i];

		must(x->step == y->step && x->offset == y->offset && x->length == y->length);
	}
}

static void take_step(struct bytes *in, struct expect_step *step, char text[LENGTH + 1])
{
	unsigned kind = (unsigned)take(in, 1), len = (unsigned)take(in, 1) % LENGTH + 1;

	for (unsigned i = 0; i < len; i++) {
		uint8_t c = (uint8_t)take(in, 1);

		text[i] = c ? (char)c : 'x';
	}
	text[len] = 0;
	if (kind % 2)
		step->contains = text;
	else
		step->matches = (char *)regexes[kind / 2 % ARRAY_SIZE(regexes)];
	if (kind % 32 == 31)
		step->on = (char *)"hvc0";
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	char texts[STEPS][LENGTH + 1], forbidden[LENGTH + 1] = { 0 };
	struct expect_step steps[STEPS + 1] = { 0 };
	uint32_t n = (uint32_t)take(&in, 1) % STEPS + 1;
	struct expect_config config = { .console = { steps, n } };
	struct run whole, pieces;

	for (uint32_t i = 0; i < n; i++)
		take_step(&in, &steps[i], texts[i]);
	if (in.len > 4000) /* beyond, a line counts as several */
		in.len = 4000;
	begin(&whole, &config);
	begin(&pieces, &config);
	expect_heard(whole.expect, 0, in.p, in.len, 1);
	for (size_t i = 0; i < in.len; i++)
		expect_heard(pieces.expect, 0, in.p + i, 1, 1);
	compare(&whole, &pieces);

	/* What is forbidden need not be found in the same place: it ends the run. */
	memcpy(forbidden, in.p, in.len < LENGTH ? in.len : LENGTH);
	finish(&pieces);
	for (unsigned i = 0; i < 40; i++) {
		expect_heard(whole.expect, i % 2, in.p, in.len, 2);
		expect_tick(whole.expect, expect_deadline(whole.expect));
	}
	finish(&whole);
	if (!forbidden[0] || in.len < LENGTH)
		return;
	steps[n] = (struct expect_step){ .absent = forbidden };
	config.console.n = n + 1;
	begin(&whole, &config);
	expect_heard(whole.expect, 1, in.p, in.len, 1);
	finish(&whole);
}
