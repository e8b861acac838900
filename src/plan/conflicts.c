/* conflicts.c: two that want the same place. */
#include "planner.h"

static bool later(const struct plan_region *a, const struct plan_region *b)
{
	if (a->mark.line != b->mark.line)
		return a->mark.line > b->mark.line;
	if (a->mark.column != b->mark.column)
		return a->mark.column > b->mark.column;
	return a->device > b->device;
}

static const struct claim *claim_of(const struct plan *plan, const struct plan_region *r)
{
	const struct plan_device *dev = r->device < 0 ? NULL : &plan->devices[r->device];

	for (unsigned i = 0; dev && i < dev->n_claims; i++) {
		if (dev->claims[i].claim->space == r->space && dev->claims[i].start == r->start)
			return dev->claims[i].claim;
	}
	return NULL;
}

/* The layout has one place for it, and the user didn't ask for another. */
static bool is_rooted(const struct plan *plan, const struct plan_region *r)
{
	const struct claim *claim = claim_of(plan, r);

	return r->kind == REGION_PLATFORM ||
	       (claim && claim->pool != POOL_SPACE && !plan_by_user(plan, r));
}

/* Which of two to complain about: what the layout has a place for never moves; a device gives way
 * to memory; the user's word is mended rather than a default; then the later one in the file. */
static bool blame_first(const struct plan *plan, const struct plan_region *a,
			const struct plan_region *b)
{
	if (is_rooted(plan, a) != is_rooted(plan, b))
		return is_rooted(plan, b);
	if ((a->kind == REGION_DEVICE) != (b->kind == REGION_DEVICE))
		return a->kind == REGION_DEVICE;
	if (a->kind == REGION_DEVICE && plan_by_user(plan, a) != plan_by_user(plan, b))
		return plan_by_user(plan, a);
	return later(a, b);
}

/* The next free place at or above the one that was asked for, or else anywhere. */
static void help_next_free(struct planner *p, const struct plan_region *r)
{
	const struct claim *claim = claim_of(p->plan, r);
	const struct allocator *space = &p->spaces[r->space];
	uint64_t max = r->space == SPACE_PIO ? UINT16_MAX : plan_last_address(p->plan);
	uint64_t size = r->last - r->start + 1, at;
	char text[24];
	bool found;

	if (!claim || diags_errors(p->diags) > DIAG_MAX_ERRORS)
		return;
	found = r->space != SPACE_IRQ && r->space != SPACE_PCI &&
		allocator_find(space, size, plan_claim_align(claim), r->start, max, &at);
	if (!found)
		found = plan_find_free(p, r->space, size, plan_claim_align(claim), &at);
	if (!found || (r->space == SPACE_PCI && at % PLAN_PCI_SLOT))
		return;
	if (r->space == SPACE_IRQ)
		diag_help(p->diags, "a line serves one device; the next free line is %llu",
			  (unsigned long long)at);
	else if (r->space == SPACE_PCI)
		diag_help(p->diags, "the next free slot is %llu",
			  (unsigned long long)at / PLAN_PCI_SLOT);
	else if (r->space == SPACE_PIO && size == 1)
		diag_help(p->diags, "the next free port is 0x%llx", (unsigned long long)at);
	else if (r->space == SPACE_PIO)
		diag_help(p->diags, "the next %llu free ports begin at 0x%llx",
			  (unsigned long long)size, (unsigned long long)at);
	else
		diag_help(p->diags, "the next free %s%s window is 0x%llx",
			  config_size_text(size, text, sizeof(text)), size % 1024 ? "-byte" : "",
			  (unsigned long long)at);
}

static void report(struct planner *p, const struct plan_region *wrong,
		   const struct plan_region *other)
{
	const uint64_t start = wrong->start > other->start ? wrong->start : other->start;
	const uint64_t last = wrong->last < other->last ? wrong->last : other->last;
	char text[PLAN_TEXT], other_text[PLAN_TEXT], range[PLAN_TEXT];

	plan_region_text(wrong, text);
	if (wrong->space == SPACE_IRQ || wrong->space == SPACE_PCI) {
		diag_error(p->diags, wrong->mark, "%s is taken by %s", text, other->owner);
	} else if (wrong->kind == REGION_DEVICE && wrong->start == other->start &&
		   wrong->last == other->last && other->kind == REGION_DEVICE) {
		diag_error(p->diags, wrong->mark, "%s %s taken by %s", text,
			   wrong->space == SPACE_PIO && wrong->start < wrong->last ? "are" : "is",
			   other->owner);
	} else {
		diag_error(p->diags, wrong->mark, "%s overlap%s %s", text,
			   wrong->space == SPACE_PIO && wrong->start < wrong->last ? "" : "s",
			   plan_region_text(other, other_text));
	}
	plan_note_region(p->plan, p->diags, other);
	if (wrong->kind == REGION_DEVICE)
		help_next_free(p, wrong);
	else if (wrong->kind == REGION_RAM && is_rooted(p->plan, other))
		diag_help(p->diags, "cut it out: `- hole: {at: 0x%llx, size: 0x%llx}`",
			  (unsigned long long)start, (unsigned long long)(last - start + 1));
	else
		diag_help(p->diags, "both contain %s", plan_range_text(start, last, range));
}

/* One sweep over the sorted regions, against the one that reaches furthest so far. A region is
 * complained about once, however many it meets, and then stands in nobody's way. */
void plan_conflicts(struct planner *p)
{
	struct plan *plan = p->plan;
	const struct plan_region *top = NULL;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];
		const struct plan_region *wrong;

		if (r->kind == REGION_HOLE)
			continue;
		if (!top || top->space != r->space || top->last < r->start) {
			top = r;
			continue;
		}
		wrong = blame_first(plan, top, r) ? top : r;
		report(p, wrong, wrong == top ? r : top);
		if (wrong->kind == REGION_RAM || wrong->kind == REGION_ROM)
			plan->memory_bad = true;
		if (wrong == top)
			top = r;
	}
}
