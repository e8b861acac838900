/* shard.c: a suite on several machines that do not talk to one another.
 *
 * Each of them works out the same partition by itself and takes its part. So nothing may go into it
 * that could differ from machine to machine, such as what a cache remembers: a case could be lost.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "suite_private.h"

/* ---- The partition ------------------------------------------------------------------------- */

struct share {
	const char *name;
	uint64_t hash, weight;
	size_t index; /* in the suite */
	unsigned shard;
};

/* FNV-1a, 64 bits (RFC 9923, 2): the same everywhere, and names that are alike land far apart. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

static int heavy_first(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int in_order(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct suite_result *const *)a)->name,
		      (*(const struct suite_result *const *)b)->name);
}

/* What each case took in that run, in milliseconds, at least 1. One that isn't in it gets the
 * average. 0 or -ENOMEM. */
static int weigh(struct share *shares, size_t n, const struct suite_run *known)
{
	const struct suite_result **results = calloc(known->n + 1, sizeof(*results));
	uint64_t sum = 0, average;
	size_t n_known = 0;

	if (!results)
		return -ENOMEM;
	for (size_t i = 0; i < known->n; i++)
		results[i] = &known->results[i];
	qsort(results, known->n, sizeof(*results), by_name);
	for (size_t i = 0; i < n; i++) {
		struct suite_result wanted = { .name = (char *)shares[i].name };
		const struct suite_result *key = &wanted, **found;

		found = bsearch(&key, results, known->n, sizeof(*results), by_name);
		shares[i].weight = 0;
		if (!found || (*found)->end <= (*found)->begin)
			continue;
		shares[i].weight = ((*found)->end - (*found)->begin) / 1000000 + 1;
		sum += shares[i].weight;
		n_known++;
	}
	average = n_known ? sum / n_known : 1;
	for (size_t i = 0; i < n; i++) {
		if (!shares[i].weight)
			shares[i].weight = average;
	}
	free(results);
	return 0;
}

/* The longest first, each to the shard that has least to do. */
static int deal(struct share *shares, size_t n, unsigned shards)
{
	uint64_t *load = calloc(shards, sizeof(*load));

	if (!load)
		return -ENOMEM;
	qsort(shares, n, sizeof(*shares), heavy_first);
	for (size_t i = 0; i < n; i++) {
		unsigned least = 0;

		for (unsigned s = 1; s < shards; s++) {
			if (load[s] < load[least])
				least = s;
		}
		shares[i].shard = least;
		load[least] += shares[i].weight;
	}
	free(load);
	qsort(shares, n, sizeof(*shares), in_order);
	return 0;
}

int suite_shard(struct suite *suite, unsigned i, unsigned n, const struct suite_run *known)
{
	struct share *shares = calloc(suite->n + 1, sizeof(*shares));
	size_t left = 0;
	int ret = 0;

	if (!shares)
		return -ENOMEM;
	for (size_t k = 0; k < suite->n; k++) {
		const char *name = suite->cases[k].name;

		shares[k] = (struct share){ name, hash_of(name), 1, k, 0 };
	}
	if (known)
		ret = weigh(shares, suite->n, known);
	if (!ret)
		ret = deal(shares, suite->n, n);
	for (size_t k = 0; k < suite->n && !ret; k++) {
		if (shares[k].shard == i - 1)
			suite->cases[left++] = suite->cases[k];
		else
			suite_case_free(&suite->cases[k]);
	}
	if (!ret)
		suite->n = left;
	free(shares);
	return ret;
}

/* ---- What CI systems say ------------------------------------------------------------------- */

static const struct ci {
	const char *index, *total; /* names of variables */
	unsigned first;		   /* the lowest index */
	const char *lowest, *step; /* or the variables that have it, and the way to the next one */
} systems[] = {
	{ "CI_NODE_INDEX", "CI_NODE_TOTAL", .first = 1 },			  /* GitLab */
	{ "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", .first = 0 },		  /* CircleCI */
	{ "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", .first = 0 }, /* Buildkite */
	{ "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", .lowest = "SLURM_ARRAY_TASK_MIN",
	  .step = "SLURM_ARRAY_TASK_STEP" },
	/* Kubernetes, indexed Jobs: the total is there if the manifest gives it. */
	{ "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", .first = 0 },
};

static bool number(const char *name, unsigned *value)
{
	const char *text = name ? getenv(name) : NULL;
	unsigned long v;
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (*end || errno || v >= INT_MAX)
		return false;
	*value = (unsigned)v;
	return true;
}

bool suite_shard_from_env(unsigned *i, unsigned *n)
{
	for (size_t k = 0; k < ARRAY_SIZE(systems); k++) {
		unsigned index, total = 0, first = systems[k].first, step = 1;

		if (!number(systems[k].index, &index))
			continue;
		number(systems[k].lowest, &first);
		number(systems[k].step, &step);
		number(systems[k].total, &total);
		if (index < first || !step || (index - first) % step ||
		    (total && (index - first) / step >= total))
			continue;
		*i = (index - first) / step + 1;
		*n = total;
		return true;
	}
	return false;
}
