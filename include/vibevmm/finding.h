/* finding.h: what a VM needs of its host, and whether that is there.
 *
 * `doctor` collects findings from the host, the backend and every line of a config; `run` refuses
 * what the same code finds missing. One thread at a time.
 */
#ifndef VIBEVMM_FINDING_H
#define VIBEVMM_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include <vibevmm/diag.h>

enum finding_state {
	FINDING_OK,
	FINDING_ABSENT,	 /* not there, and needed by some VMs only */
	FINDING_WARNING, /* there, but not as it should be */
	FINDING_MISSING, /* needed, and not there */
};

struct finding {
	enum finding_state state;
	struct mark mark;  /* the line of the config that needs it; source NULL: the host itself */
	char subject[48];  /* "/dev/kvm", "vcpus" */
	char text[400];	   /* a sentence without a full stop */
	char command[256]; /* that mends it; empty: none */
};

struct findings {
	struct finding *list;
	size_t n, cap;
	bool failed; /* out of memory: some were lost */
};

/* Appends one. Zero-initialise the list; findings_free frees what is in it. The command may be
 * added to the last one afterwards. */
void finding_add(struct findings *findings, enum finding_state state, struct mark mark,
		 const char *subject, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void finding_command(struct findings *findings, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void findings_free(struct findings *findings);

/* The first that is missing, or NULL. */
const struct finding *findings_missing(const struct findings *findings);

#endif
