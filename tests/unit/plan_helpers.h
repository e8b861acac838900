/* plan_helpers.h: what the tests of whole plans share: files in the current directory, and the plan
 * of its vm.yaml. Included after cmocka.h.
 */
#ifndef TESTS_PLAN_HELPERS_H
#define TESTS_PLAN_HELPERS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/machine.h>
#include <vibevmm/plan.h>

static inline void put_file(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

struct planned {
	struct diags *diags;
	struct config *config;
	struct plan *plan;
	char *said; /* the diagnostics */
};

/* Plans vm.yaml; the number of errors. */
static inline size_t planned_make(struct planned *p)
{
	struct config_request request = { .path = "vm.yaml" };
	size_t len;
	FILE *f;

	*p = (struct planned){ .diags = diags_new() };
	machine_plan(&request, false, p->diags, &p->config, &p->plan);
	f = open_memstream(&p->said, &len);
	assert_non_null(f);
	diags_print(p->diags, f, DIAG_TEXT, false);
	fclose(f);
	return diags_errors(p->diags);
}

static inline void planned_free(struct planned *p)
{
	plan_free(p->plan);
	config_free(p->config);
	diags_free(p->diags);
	free(p->said);
	*p = (struct planned){ 0 };
}

#endif
