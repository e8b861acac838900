/* places.c: places for claims that have no fixed one.
 *
 * First the preferred places, in the order of the file; then the rest, largest first, so that small
 * ones don't break up the room that large ones need.
 */
#include <stdlib.h>

#include "planner.h"

static int place(struct planner *p, const struct plan_request *request, uint64_t start)
{
	struct plan_claim *placed = &p->plan->devices[request->device].claims[request->slot];

	placed->start = start;
	return plan_add_claim(p, request->device, placed, false);
}

/* Gives out preferred places and keeps the requests that got none. */
static int place_preferred(struct planner *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_requests; i++) {
		const struct plan_request r = p->requests[i];
		const struct claim *claim = p->plan->devices[r.device].claims[r.slot].claim;
		const struct allocator *space = &p->spaces[r.space];
		uint64_t at = 0;
		size_t k;
		int ret;

		for (k = 0; k < claim->n_prefer; k++) {
			at = claim->prefer[k];
			if (allocator_find(space, r.size, 1, at, at + r.size - 1, &at))
				break;
		}
		if (k == claim->n_prefer) {
			p->requests[kept++] = r;
			continue;
		}
		ret = place(p, &r, at);
		if (ret)
			return ret;
	}
	p->n_requests = kept;
	return 0;
}

static bool same_class(const struct plan_request *a, const struct plan_request *b)
{
	return a->space == b->space && a->size == b->size && a->align == b->align;
}

static int largest_first(const void *a, const void *b)
{
	const struct plan_request *x = a, *y = b;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (x->align != y->align)
		return x->align > y->align ? -1 : 1;
	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return (x->slot > y->slot) - (x->slot < y->slot);
}

static void report_full(struct planner *p, const struct plan_request *request)
{
	const struct plan_device *dev = &p->plan->devices[request->device];
	const struct claim *claim = dev->claims[request->slot].claim;
	char size[24];
	uint64_t line;

	if (request->space == SPACE_IRQ)
		diag_error(p->diags, dev->choice->mark, "no free interrupt line is left for %s",
			   dev->label);
	else if (request->space == SPACE_PIO)
		diag_error(p->diags, dev->choice->mark,
			   "no run of %llu free port%s is left for %s of %s",
			   (unsigned long long)request->size, request->size == 1 ? "" : "s",
			   claim->name, dev->label);
	else
		diag_error(p->diags, dev->choice->mark, "no free window of %s is left for %s of %s",
			   config_size_text(request->size, size, sizeof(size)), claim->name,
			   dev->label);
	if (!claim->fix)
		return;
	if (request->space != SPACE_IRQ)
		diag_help(p->diags, "`%s: NUMBER` takes a place of your choice", claim->fix);
	else if (allocator_find(&p->spaces[SPACE_IRQ], 1, 1, 0, p->plan->arch->irq_lines - 1,
				&line))
		diag_help(p->diags, "`%s: none` does without; line %llu is free, for `%s: %llu`",
			  claim->fix, (unsigned long long)line, claim->fix,
			  (unsigned long long)line);
	else
		diag_help(p->diags, "`%s: none` does without", claim->fix);
}

/* The next layout row from `row` on where claims of this space may go; its name is NULL at the end.
 */
static const struct layout_row *free_row(const struct layout_row *row, enum plan_space space)
{
	enum layout_kind kind = space == SPACE_MEM   ? LAYOUT_MMIO
				: space == SPACE_PIO ? LAYOUT_PIO
						     : LAYOUT_IRQ;

	while (row->name && row->kind != kind)
		row++;
	return row;
}

bool plan_find_free(const struct planner *p, enum plan_space space, uint64_t size, uint64_t align,
		    uint64_t *start)
{
	const struct layout_row *row = free_row(p->plan->arch->layout, space);

	for (; row->name; row = free_row(row + 1, space)) {
		if (allocator_find(&p->spaces[space], size, align, row->start,
				   row->start + row->size - 1, start))
			return true;
	}
	return false;
}

/* Requests of the same size go upwards through the layout's rows: where one found no place, none
 * of its like will, so each row is searched once for each size. */
static int place_rest(struct planner *p)
{
	const struct layout_row *row = NULL;
	uint64_t min = 0, at;

	if (p->n_requests)
		qsort(p->requests, p->n_requests, sizeof(*p->requests), largest_first);
	for (size_t i = 0; i < p->n_requests; i++) {
		const struct plan_request *r = &p->requests[i];
		int ret;

		if (!i || !same_class(r, r - 1)) {
			row = free_row(p->plan->arch->layout, r->space);
			min = row->start;
		}
		while (row->name && !allocator_find(&p->spaces[r->space], r->size, r->align, min,
						    row->start + row->size - 1, &at)) {
			row = free_row(row + 1, r->space);
			min = row->start;
		}
		if (!row->name) {
			report_full(p, r);
			continue;
		}
		ret = place(p, r, at);
		if (ret)
			return ret;
		min = at + r->size; /* no row ends at the top of 64 bits */
	}
	return 0;
}

int plan_places(struct planner *p)
{
	int ret;

	for (int i = 0; i < SPACE_INPUT; i++)
		allocator_seal(&p->spaces[i]);
	ret = place_preferred(p);
	return ret ? ret : place_rest(p);
}
