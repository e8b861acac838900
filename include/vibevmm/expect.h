/* expect.h: what a test expects of a VM, and whether it came.
 *
 * The engine is pure: console bytes and times go in, what to type and the verdict come out. It
 * opens nothing and has no clock of its own, so unit tests drive it by hand. Calls are serialised
 * by the caller.
 */
#ifndef VIBEVMM_EXPECT_H
#define VIBEVMM_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vibevmm/config.h>
#include <vibevmm/err.h>
#include <vibevmm/timeline.h>

/* How a VM came to its end. */
enum expect_end {
	EXPECT_END_NONE,     /* it still runs, or its process was killed */
	EXPECT_END_POWEROFF, /* or halted with no way to be woken */
	EXPECT_END_EXIT,     /* wrote a status to debug-exit */
	EXPECT_END_RESET,
	EXPECT_END_PANIC,
	EXPECT_END_CRASH,
	EXPECT_END_MET,	    /* all that was waited for had come, so it was ended */
	EXPECT_END_UNMET,   /* an expectation failed, so it was ended */
	EXPECT_END_TIMEOUT, /* --timeout */
	EXPECT_END_SIGNAL,
	EXPECT_END_FAILED, /* it could not be built or go on: .reason says why */
};

/* Something that came, or was sent: a step that was met. */
struct expect_moment {
	uint64_t at;	 /* CLOCK_MONOTONIC, ns */
	uint32_t step;	 /* index in expect.console */
	uint32_t line;	 /* of the config */
	uint64_t offset; /* of the match in all that this console said, ... */
	uint32_t length; /* ... bytes of it; 0 for a `send` */
	char console[48];
	char what[96]; /* contains "login:" */
};

#define EXPECT_MOMENTS 64
#define EXPECT_KINDS   16

/* What came of one run. Of fixed size and without pointers: it lies in memory that the runner
 * shares with the VM's process, and says how far that came even if it is killed. */
struct expect_report {
	enum expect_end end;
	int status;	/* the exit status that `run` would have: valid unless end is NONE */
	bool unmet;	/* an expectation failed: where and why */
	char file[256]; /* of that expectation in the config; "": the VM as a whole */
	uint32_t line, column;
	char reason[512];  /* one line without a full stop */
	char detail[8192]; /* more lines: the last 30 of the console, the nearest match marked */
	uint64_t timeline[TIMELINE_POINTS];
	uint32_t n_moments;
	struct expect_moment moments[EXPECT_MOMENTS];
	uint64_t exits_ready, exits; /* VM exits until ready, and in all */
	uint32_t n_kinds;	     /* exits by reason */
	struct {
		char name[32];
		uint64_t count;
	} kinds[EXPECT_KINDS];
	uint64_t memory; /* the launcher's own at the end, bytes: without guest RAM; 0: unknown */
};

struct expect;

struct expect_setup {
	const struct expect_config *config;
	const struct node *node; /* `expect` in the tree, for positions; NULL: none */
	/* Where the guest talks: what `on` may name; the first is standard output. */
	const char *const *consoles;
	size_t n_consoles;
	double scale;	/* of all time limits */
	uint64_t start; /* when the run begins */
	struct expect_report *report;
};

/* What is in the setup stays the caller's until expect_free; the report is cleared, and kept up to
 * date from then on. 0 or -errno with err. */
int expect_new(struct expect **expect, const struct expect_setup *setup, struct err *err);
void expect_free(struct expect *expect);

enum expect_state {
	EXPECT_WAITS, /* the VM is to go on */
	EXPECT_MET,   /* all that was waited for has come, and the VM is to be ended */
	EXPECT_UNMET, /* the report says what failed; the VM is to be ended */
};

/* The guest said this on the i-th console; time has gone on. */
void expect_heard(struct expect *expect, size_t console, const void *buf, size_t len, uint64_t now);
void expect_tick(struct expect *expect, uint64_t now);

enum expect_state expect_state(const struct expect *expect);

/* When expect_tick is due; 0: never. It may come earlier than last asked for. */
uint64_t expect_deadline(const struct expect *expect);

/* Whether there is something to type now, and where; expect_sent tells how much of it was. */
bool expect_send(const struct expect *expect, size_t *console, const char **text, size_t *len);
void expect_sent(struct expect *expect, size_t len, uint64_t now);

/* The guest has come to where boot_within and exits_under end. */
bool expect_ready(const struct expect *expect);

/* The VM has ended, and why is what is to be said about that, "" if it ended well. The last
 * judgement, with exits and memory as they are in the report. */
void expect_ended(struct expect *expect, enum expect_end end, int status, const char *why,
		  uint64_t now);

#endif
