/* places.c: places for claims that have no fixed one.
 *
 * First the preferred places, in the order of the file; then the rest, largest first, so that small
 * ones don't break up the room that large ones need.
 */
#include <assert.h>
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

/* A bus that is full, or not there: that was an error already, or the config has none. */
static void report_no_pci(struct planner *p, const struct plan_request *request)
{
	const struct plan_device *dev = &p->plan->devices[request->device];
	const struct claim *claim = dev->claims[request->slot].claim;
	char size[24];

	if (!p->bridge) {
		if (!diags_errors(p->diags))
			diag_error(p->diags, dev->choice->mark,
				   "%s is a PCI device, and this VM has no PCI host bridge",
				   dev->label);
	} else if (request->space == SPACE_PCI) {
		diag_error(p->diags, dev->choice->mark, "the PCI bus has no place left for %s",
			   dev->label);
		diag_help(p->diags, "it has room for %u functions beside the bridge",
			  PLAN_PCI_FUNCTIONS - PLAN_PCI_SLOT);
	} else if (request->space == SPACE_PORTS_BAR) {
		if (!diags_errors(p->diags)) /* there are more than a full bus needs */
			diag_error(p->diags, dev->choice->mark,
				   "PCI's window has no run of %llu free ports left for %s of %s",
				   (unsigned long long)request->size, claim->name, dev->label);
	} else {
		diag_error(p->diags, dev->choice->mark,
			   "the PCI windows have no room of %s left for %s of %s",
			   config_size_text(request->size, size, sizeof(size)), claim->name,
			   dev->label);
		if (claim->sized_by)
			diag_help(p->diags, "`%s` makes it smaller", claim->sized_by);
	}
}

static void report_full(struct planner *p, const struct plan_request *request)
{
	const struct plan_device *dev = &p->plan->devices[request->device];
	const struct claim *claim = dev->claims[request->slot].claim;
	char size[24];
	uint64_t line;

	if (request->space == SPACE_PCI || plan_is_bar(request->space)) {
		report_no_pci(p, request);
		return;
	}
	if (request->space == SPACE_IRQ && request->size > 1)
		diag_error(p->diags, dev->choice->mark,
			   "no run of %llu free interrupt lines is left for %s",
			   (unsigned long long)request->size, dev->label);
	else if (request->space == SPACE_IRQ)
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

/* ---- Where to look --------------------------------------------------------------------------- */

struct range {
	uint64_t start, last, align;
};

/* Function 0 of each slot first: a slot that has none isn't looked at any further (PCI 3.0,
 * 3.2.2.3.4). Then the slots that have one get more. */
static bool pci_range(unsigned nth, struct range *range)
{
	if (nth > 1)
		return false;
	*range = (struct range){ PLAN_PCI_SLOT, PLAN_PCI_FUNCTIONS - 1, nth ? 1 : PLAN_PCI_SLOT };
	return true;
}

static bool bar_range(const struct planner *p, enum plan_space space, unsigned nth,
		      struct range *range)
{
	enum claim_pool pool = space == SPACE_PORTS_BAR ? POOL_PCI_PORTS
			       : nth			? POOL_PCI_WINDOW64
							: POOL_PCI_WINDOW;
	const struct plan_claim *window;

	if (nth > (space == SPACE_BAR))
		return false;
	window = plan_pool_claim(p->bridge, pool);
	if (!window)
		return false;
	*range = (struct range){ window->start, window->start + window->size - 1, 1 };
	return true;
}

static bool layout_range(const struct arch_row *arch, enum layout_kind kind, unsigned nth,
			 struct range *range)
{
	for (const struct layout_row *row = arch->layout; row->name; row++) {
		if (row->kind != kind || nth--)
			continue;
		*range = (struct range){ row->start, row->start + row->size - 1, 1 };
		return true;
	}
	return false;
}

/* The nth range where claims of this space may go, in the order in which they are filled. */
static bool nth_range(const struct planner *p, enum plan_space space, unsigned nth,
		      struct range *range)
{
	switch (space) {
	case SPACE_MEM:
		return layout_range(p->plan->arch, LAYOUT_MMIO, nth, range);
	case SPACE_PIO:
		return layout_range(p->plan->arch, LAYOUT_PIO, nth, range);
	case SPACE_IRQ:
		return layout_range(p->plan->arch, LAYOUT_IRQ, nth, range);
	case SPACE_PCI:
		return pci_range(nth, range);
	case SPACE_BAR:
	case SPACE_PORTS_BAR:
		return bar_range(p, space, nth, range);
	default:
		return false;
	}
}

static bool find_in(const struct planner *p, enum plan_space space, uint64_t size, uint64_t align,
		    const struct range *range, uint64_t *start)
{
	return allocator_find(&p->spaces[space], size, align > range->align ? align : range->align,
			      range->start, range->last, start);
}

bool plan_find_free(const struct planner *p, enum plan_space space, uint64_t size, uint64_t align,
		    uint64_t *start)
{
	struct range range;

	for (unsigned nth = 0; nth_range(p, space, nth, &range); nth++) {
		if (find_in(p, space, size, align, &range, start))
			return true;
	}
	return false;
}

/* ---- PCI's windows --------------------------------------------------------------------------- */

const struct layout_row *plan_pool_row(const struct arch_row *arch, enum claim_pool pool)
{
	enum layout_kind kind = pool == POOL_PCI_CONFIG	 ? LAYOUT_PCI_CONFIG
				: pool == POOL_PCI_PORTS ? LAYOUT_PCI_PORTS
							 : LAYOUT_PCI;

	for (const struct layout_row *row = arch->layout; row->name; row++) {
		bool high = row->start > UINT32_MAX;

		if (row->kind == kind && high == (pool == POOL_PCI_WINDOW64))
			return row;
	}
	return NULL;
}

/* Whether all BARs fit the window below 4 GiB. Largest first and each at a multiple of its size,
 * they leave no gaps. */
static bool bars_fit(const struct planner *p)
{
	const struct plan_claim *window = plan_pool_claim(p->bridge, POOL_PCI_WINDOW);
	uint64_t left = window ? window->size : 0;

	for (size_t i = 0; i < p->n_requests; i++) {
		if (p->requests[i].space != SPACE_BAR)
			continue;
		if (p->requests[i].size > left)
			return false;
		left -= p->requests[i].size;
	}
	return true;
}

/* It asks for a host with wide addresses, so it is there only if something has to lie in it. */
static int open_window64(struct planner *p)
{
	const struct layout_row *row = plan_pool_row(p->plan->arch, POOL_PCI_WINDOW64);
	struct plan_claim placed = { .connected = true };
	struct plan_device *dev = p->bridge;
	uint64_t at;

	if (!dev || !row || bars_fit(p) || row->start + row->size - 1 > plan_last_address(p->plan))
		return 0;
	for (placed.claim = dev->row->claims; placed.claim->name; placed.claim++) {
		if (placed.claim->pool == POOL_PCI_WINDOW64)
			break;
	}
	if (!placed.claim->name || !allocator_find(&p->spaces[SPACE_MEM], row->size, 1, row->start,
						   row->start + row->size - 1, &at))
		return 0;
	placed.index = (unsigned)(placed.claim - dev->row->claims);
	placed.start = row->start;
	placed.size = row->size;
	assert(dev->n_claims < PLAN_MAX_CLAIMS);
	dev->claims[dev->n_claims++] = placed;
	return plan_add_claim(p, (uint32_t)(dev - p->plan->devices), &placed, false);
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Requests of the same size go upwards through the ranges: where one found no place, none of its
 * like will, so each range is searched once for each size. */
static int place_rest(struct planner *p)
{
	struct range range = { 0 };
	unsigned nth = 0;
	bool more = false;
	uint64_t at;

	if (p->n_requests)
		qsort(p->requests, p->n_requests, sizeof(*p->requests), largest_first);
	for (size_t i = 0; i < p->n_requests; i++) {
		const struct plan_request *r = &p->requests[i];
		int ret;

		if (!i || !same_class(r, r - 1)) {
			nth = 0;
			more = nth_range(p, r->space, nth, &range);
		}
		while (more && !find_in(p, r->space, r->size, r->align, &range, &at))
			more = nth_range(p, r->space, ++nth, &range);
		if (!more) {
			report_full(p, r);
			continue;
		}
		ret = place(p, r, at);
		if (ret)
			return ret;
		range.start = at + r->size; /* no range ends at the top of 64 bits */
	}
	return 0;
}

int plan_places(struct planner *p)
{
	int ret;

	for (int i = 0; i < SPACE_INPUT; i++)
		allocator_seal(&p->spaces[i]);
	ret = open_window64(p);
	if (!ret)
		ret = place_preferred(p);
	return ret ? ret : place_rest(p);
}
