/* suite.h: many VMs as a test suite: which cases there are, running them, reports.
 *
 * A case is a config file, or one combination of its `cases`. Each runs in a process of its own,
 * forked from the runner, which has loaded and planned all of them before the first one starts.
 */
#ifndef VIBEVMM_SUITE_H
#define VIBEVMM_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vibevmm/expect.h>
#include <vibevmm/machine.h>

/* ---- Cases: collect.c ----------------------------------------------------------------------- */

struct suite_case {
	char *name; /* unique: "configs/linux" or "configs/linux[vcpus=2,kernel=6.12]" */
	char *file; /* as it was found */
	struct config *config;
	struct plan *plan;
	char *skip;	 /* why it can't run here; NULL: it runs */
	uint64_t memory; /* what it takes of the budgets */
	unsigned vcpus;
	uint64_t known; /* ns it took when it last ran to its end here; 0: not known */
};

struct suite_files;

struct suite {
	struct suite_case *cases;
	size_t n;
	struct suite_files *files; /* collect.c's */
};

struct suite_choice {
	char **paths; /* files, directories, globs; none: the current directory */
	size_t n_paths;
	const char *pattern; /* -k: cases whose name contains it, or matches it as a glob */
	const struct config_settings *settings;
	const struct config_change *changes; /* --set and its kin, for every case */
	size_t n_changes;
	bool lab; /* they are to run in the lab: what this host lacks is neither an error nor a
		   * reason to skip */
};

/* Finds, loads and plans all cases. Mistakes go to diags: then nothing is to be run. 0 or -errno
 * with err. A directory stands for the *.yaml below it that have `expect`. */
int suite_collect(struct suite *suite, const struct suite_choice *choice, struct diags *diags,
		  struct err *err);
void suite_free(struct suite *suite);

/* ---- Results -------------------------------------------------------------------------------- */

enum suite_outcome {
	SUITE_NOT_RUN, /* stopped before it began */
	SUITE_PASSED,
	SUITE_FLAKY, /* passed, but not at the first try */
	SUITE_FAILED,
	SUITE_SKIPPED,
};

/* What is known of one case. It holds all that reports show and nothing that points into configs,
 * so that one read back from JSON lines is as good. Strings are the result's, never NULL. */
struct suite_result {
	char *name, *file;
	enum suite_outcome outcome;
	unsigned attempts;
	uint64_t begin, end;	     /* ns since the run began, of the last attempt */
	char *why;		     /* SKIPPED, NOT_RUN: the reason */
	struct expect_report report; /* of the last attempt */
	char *console;		     /* what the guest said: text, at most SUITE_CONSOLE_MAX, the
				      * last of it */
	uint64_t console_cut;	     /* bytes that stood before, but are left out: offsets of
				      * moments count them */
	char *messages;		     /* the launcher's own, on standard error */
	char *config;		     /* effective, as `vibevmm config` prints it */
	char *map;		     /* memory map, SVG */
	char *worker;		     /* shard or machine it ran on: "" or "2/7" */
};

#define SUITE_CONSOLE_MAX (256U << 10)

struct suite_run {
	struct suite_result *results; /* in the order of the cases */
	size_t n;
	uint64_t wall; /* when it began: ns since 1970 */
	uint64_t took; /* ns */
	bool stopped;  /* Ctrl-C, --fail-fast, or the host could not go on */
	int signal;    /* that stopped it; 0: none did */
	size_t parts;  /* how many runs were read into it from reports */
};

/* Exit status: 128 and the signal that stopped it; 1 some failed; 71 the host could not go on; 77
 * all skipped; else 0. */
int suite_status(const struct suite_run *run);
void suite_run_free(struct suite_run *run);

/* "passed", "failed", ... */
const char *suite_outcome_name(enum suite_outcome outcome);

/* ---- Running: run.c ------------------------------------------------------------------------- */

struct suite_options {
	unsigned jobs;	  /* vCPUs that run at once; 0: the host's */
	uint64_t memory;  /* bytes of guest RAM at once; 0: what the host has free */
	unsigned retries; /* after a failure */
	unsigned repeat;  /* each case so often; 0 and 1: once */
	bool fail_fast;
	double scale;	       /* of all time limits; 1 */
	const char *artifacts; /* directory; NULL: none */
	bool keep_all;	       /* artifacts of passed cases, too */
	const char *worker;    /* goes into the results */
	bool details; /* fill what reports alone show: config, map, .memory, which takes a while */
	/* Called in the runner's process, if not NULL: when a case begins, again for each attempt;
	 * when it has come to its result, or is skipped; and about once a second. */
	void (*begun)(void *arg, size_t index);
	void (*ended)(void *arg, const struct suite_result *result);
	void (*tick)(void *arg);
	void *arg;
};

/* Runs them, longest-known first, as many at once as the budgets allow. SIGINT, SIGTERM and SIGHUP
 * stop it, unless they are ignored: every child is ended and what ran is in *run. 0, or -errno with
 * err if it could not go on: what ran until then is in *run all the same, which is to be freed. */
int suite_start(const struct suite *suite, const struct suite_options *options,
		struct suite_run *run, struct err *err);

/* ---- In the lab: lab.c ------------------------------------------------------------------------
 *
 * The lab is a virtual machine that QEMU emulates in software, nested virtualization and all, with
 * a Linux kernel of the host's. This very program is its init; it sees the host's files, changes
 * none of them, and runs the cases there. */

struct suite_lab_options {
	const char *kernel; /* --lab-kernel; NULL: the newest in /boot that will do */
};

/* In the place of suite_start, with what that gives and the same calls back. The choice is the one
 * that the suite was collected by, with `lab` set; its files and names are found again in there.
 * Cases of each architecture have a lab of their own. Limits are longer by SUITE_LAB_SCALE, on top
 * of options->scale. STATUS_UNAVAILABLE in err: what is missing, and what to install. */
int suite_lab(const struct suite *suite, const struct suite_choice *choice,
	      const struct suite_options *options, const struct suite_lab_options *lab,
	      struct suite_run *run, struct err *err);

#define SUITE_LAB_SCALE 20

/* The program is the lab's init, as argv tells: never returns then. */
void suite_lab_init(int argc, char **argv);

/* ---- Past one machine: shard.c -------------------------------------------------------------- */

/* Leaves the cases of shard i of n (from 1) in the suite. `known` is an earlier run, which has
 * how long each took, to balance the shards; NULL: they get as many cases each. All shards must
 * be given the same: what runs where depends on nothing else but the names of the cases. 0 or
 * -ENOMEM. */
int suite_shard(struct suite *suite, unsigned i, unsigned n, const struct suite_run *known);

/* What the CI system says of shards in the environment. *i: the shard, from 1; *n: of how many, 0
 * if it doesn't tell. False: nothing that makes sense. */
bool suite_shard_from_env(unsigned *i, unsigned *n);

/* ---- Reports -------------------------------------------------------------------------------- */

void suite_report_tap(const struct suite_run *run, FILE *out);	  /* TAP 14 */
void suite_report_junit(const struct suite_run *run, FILE *out);  /* JUnit XML */
void suite_report_json(const struct suite_run *run, FILE *out);	  /* JSON lines */
void suite_report_github(const struct suite_run *run, FILE *out); /* annotations */
void suite_report_html(const struct suite_run *run, FILE *out);	  /* one page, no network */

/* Adds the results in a file of JSON lines (docs/reports.md) to *run, which then begins with the
 * earlier of the two and ends with the later. 0 or -errno with err. */
int suite_report_read(const char *path, struct suite_run *run, struct err *err);

#endif
