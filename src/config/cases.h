/* cases.h: what the files about `cases` share.
 */
#ifndef VIBEVMM_CONFIG_CASES_H
#define VIBEVMM_CONFIG_CASES_H

#include "loader.h"

#define CASES_MAX 1000

/* A key of the matrix, with its values. */
struct axis {
	const struct node *node;
	const char *label;
	const char **labels; /* of the values */
};

/* An entry of `include`, or a combination of the axes' values: a number with one digit for each
 * axis, the last one's the lowest. */
struct combination {
	const char *name;
	const struct node *include;
	uint32_t number;
};

struct cases {
	struct config *config;
	struct axis *axes;
	uint32_t n_axes;
	struct combination *list;
	uint32_t n;
	struct arena scratch; /* of all here: a suite keeps each case's config, not this */
};

/* n * size bytes of the scratch; not NULL if n is 0. */
void *cases_memory(struct cases *c, size_t n, size_t size);

/* Fills labels of the axis's values; and once all are there, of the axes. False when out of memory.
 */
bool cases_label_values(struct cases *c, struct axis *axis);
void cases_label_axes(struct cases *c);

/* "KEY=VALUE,KEY=VALUE" */
const char *cases_join(struct cases *c, const char *const *keys, const char *const *labels,
		       uint32_t n);

/* That of the i-th entry of `include`: values without a short name are no part of it, unless it has
 * no others. */
const char *cases_include_name(struct cases *c, const struct node *entry, uint32_t i);

#endif
