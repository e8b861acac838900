/* suite_private.h: shared by the files of the runner. */
#ifndef SUITE_PRIVATE_H
#define SUITE_PRIVATE_H

#include <vibevmm/suite.h>

#include <signal.h>
#include <sys/types.h>

#define SUITE_NAME_MAX 4096 /* of a path, and of a case's name, with its NUL */

/* ---- collect_find.c: which files ------------------------------------------------------------ */

struct suite_paths {
	char **list;
	size_t n, cap;
};

/* The files that the choice's paths stand for, each once. 0 or -errno with err. */
int suite_find(const struct suite_choice *choice, struct suite_paths *paths, struct err *err);
void suite_paths_free(struct suite_paths *paths);

/* ---- collect.c ------------------------------------------------------------------------------ */

void suite_case_free(struct suite_case *c);

/* ---- durations.c: how long cases took last time --------------------------------------------- */

/* Fills .known of the cases, by a file in the user's cache. Nothing is known without it, or if it
 * is broken, with a warning. */
void suite_durations_load(struct suite *suite);

/* Remembers there those that ran to their end. */
void suite_durations_save(const struct suite *suite, const struct suite_run *run);

/* ---- budget.c: what may run at once --------------------------------------------------------- */

struct suite_budget {
	unsigned vcpus, running_vcpus;
	uint64_t memory, running_memory;
	unsigned running;
};

void suite_budget_init(struct suite_budget *budget, const struct suite_options *options);
bool suite_budget_fits(const struct suite_budget *budget, const struct suite_case *c);
void suite_budget_take(struct suite_budget *budget, const struct suite_case *c);
void suite_budget_give(struct suite_budget *budget, const struct suite_case *c);

/* ---- process_linux.c: what the runner takes of the kernel ----------------------------------- */

/* A descriptor that is readable when a signal has come that stops a suite; these are blocked from
 * here on; *old is the mask before. What the parent ignores for us stays ignored: nohup(1). -1 with
 * errno. */
int suite_signals(sigset_t *old);

/* The signal that has come; 0: none. */
int suite_signal_take(int signals);

/* A descriptor that is readable when this child has ended. -1 with errno. */
int suite_end_of(pid_t child);

/* In a child: its parent's end is its own, at once. False: that has ended already. */
bool suite_die_with(pid_t parent);

/* A file in memory, closed in programs that are started. -1 with errno. Trimming gives back what
 * the host holds of it but about the last `keep` bytes; offsets stay. */
int suite_memory_file(const char *name);
void suite_memory_trim(int fd, off_t keep);

/* ---- run_child.c: a process for each VM ----------------------------------------------------- */

struct suite_child {
	pid_t pid;
	int ended; /* suite_end_of it */
	int out, err;
	struct expect_report *report; /* shared with the child */
	uint64_t begin, limit;	      /* loop_now; limit: its own */
	uint64_t deadline;	      /* when it is ended, or ended harder; 0: never */
	unsigned pushed;	      /* how often it was asked to end */
	bool hung;		      /* it went beyond its time limit */
};

/* 0 or -errno with err. */
int suite_child_start(struct suite_child *child, const struct suite_case *c,
		      const struct suite_options *options, struct err *err);

/* Ends it, harder each time: SIGTERM, SIGTERM again, SIGKILL. */
void suite_child_push(struct suite_child *child);
void suite_child_kill(struct suite_child *child);

/* Gives back what the host holds of its output but the last of it. */
void suite_child_trim(const struct suite_child *child);

/* It has ended: collects its exit status and what it left into the result, and frees. */
void suite_child_end(struct suite_child *child, struct suite_result *result);

/* ---- boot.c --------------------------------------------------------------------------------- */

/* In the forked child: builds and runs the case's VM, and judges it. Standard output and error are
 * files already. Returns the exit status; *report is shared with the parent. */
int suite_boot(const struct suite_case *c, const struct suite_options *options,
	       struct expect_report *report);

/* ---- result.c ------------------------------------------------------------------------------- */

/* A result with all its strings, empty but for name and file. 0 or -ENOMEM: then free it. */
int suite_result_init(struct suite_result *result, const char *name, const char *file,
		      const char *worker);
void suite_result_free(struct suite_result *result);

/* A result for each case, none of them run. 0 or -ENOMEM: then free it. */
int suite_run_init(struct suite_run *run, const struct suite *suite,
		   const struct suite_options *options);

/* A run begins: what an earlier one left goes, and those that are skipped have their results. */
void suite_begin(const struct suite_run *run, const struct suite *suite,
		 const struct suite_options *options);

/* A case has its result: keeps its artifacts if they are wanted, and tells of it. False: no more
 * cases are to begin. */
bool suite_settle(const struct suite_case *c, const struct suite_result *result,
		  const struct suite_options *options);

/* Puts a text in the place of an old one, and frees that. NULL: the old one stays. */
void suite_replace(char **text, char *by);

/* The last SUITE_CONSOLE_MAX bytes of a file as a text, zeros made visible; *cut: how many stood
 * before them. NULL: out of memory. */
char *suite_text_of(int fd, uint64_t *cut);

/* ---- run_artifacts.c ------------------------------------------------------------------------ */

/* Removes what an earlier run left there of the suite's cases, so that all that there is of them is
 * of this run. Other files stay. */
void suite_artifacts_clear(const char *dir, const struct suite *suite);

/* Writes the case's folder. 0 or -errno with err. */
int suite_artifacts(const char *dir, const struct suite_case *c, const struct suite_result *result,
		    struct err *err);

#endif
