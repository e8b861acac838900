/* regions.c: the sorted list of what lies where, and words for it. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "planner.h"

/* Containers before what is inside them: lower start, then longer, then RAM before its boot image.
 */
static int compare(const void *a, const void *b)
{
	const struct plan_region *x = a, *y = b;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->last != y->last)
		return x->last > y->last ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->device > y->device) - (x->device < y->device);
}

static int grow(struct plan *plan)
{
	size_t cap = plan->cap_regions ? 2 * plan->cap_regions : 32;
	struct plan_region *regions;

	if (plan->n_regions < plan->cap_regions)
		return 0;
	regions = realloc(plan->regions, cap * sizeof(*regions));
	if (!regions)
		return -ENOMEM;
	plan->regions = regions;
	plan->cap_regions = cap;
	return 0;
}

int plan_add_region(struct plan *plan, const struct plan_region *region)
{
	int ret = grow(plan);

	if (!ret)
		plan->regions[plan->n_regions++] = *region;
	return ret;
}

void plan_sort_regions(struct plan *plan)
{
	if (plan->n_regions)
		qsort(plan->regions, plan->n_regions, sizeof(*plan->regions), compare);
}

int plan_insert_region(struct plan *plan, const struct plan_region *region)
{
	size_t low = 0, high;
	int ret = grow(plan);

	if (ret)
		return ret;
	high = plan->n_regions;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(&plan->regions[mid], region) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	memmove(&plan->regions[low + 1], &plan->regions[low],
		(plan->n_regions - low) * sizeof(*plan->regions));
	plan->regions[low] = *region;
	plan->n_regions++;
	return 0;
}

int plan_claim_region(struct planner *p, const struct plan_region *region)
{
	int ret = allocator_add(&p->spaces[region->space], region->start, region->last);

	return ret ? ret : plan_add_region(p->plan, region);
}

const struct plan_region *plan_region_at(const struct plan *plan, enum plan_space space,
					 unsigned kinds, uint64_t addr)
{
	size_t low = 0, high = plan->n_regions;

	/* The first region that starts above addr ... */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct plan_region *r = &plan->regions[mid];

		if (r->space < space || (r->space == space && r->start <= addr))
			low = mid + 1;
		else
			high = mid;
	}
	/* ... and back from there: the inner ones come first. */
	while (low-- > 0 && plan->regions[low].space == space) {
		const struct plan_region *r = &plan->regions[low];

		if (addr <= r->last && (kinds & (1U << r->kind)))
			return r;
	}
	return NULL;
}

const struct plan_region *plan_nearest(const struct plan *plan, enum plan_space space,
				       uint64_t addr)
{
	const struct plan_region *nearest = NULL;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];
		uint64_t distance;

		if (r->space != space || r->kind != REGION_DEVICE)
			continue;
		distance = addr < r->start ? r->start - addr : addr > r->last ? addr - r->last : 0;
		if (!nearest || distance < least) {
			nearest = r;
			least = distance;
		}
	}
	return nearest;
}

static const struct plan_region *next_of(const struct plan *plan, enum plan_space space, size_t *i)
{
	while (*i < plan->n_regions && plan->regions[*i].space != space)
		++*i;
	return *i < plan->n_regions ? &plan->regions[*i] : NULL;
}

const struct plan_region *plan_walk_next(struct plan_walk *walk)
{
	const struct plan_region *r = next_of(walk->plan, walk->space, &walk->next), *bar = NULL;

	if (walk->space == SPACE_MEM || walk->space == SPACE_PIO)
		bar = next_of(walk->plan, walk->space == SPACE_MEM ? SPACE_BAR : SPACE_PORTS_BAR,
			      &walk->next_bar);
	if (bar && (!r || bar->start < r->start)) {
		walk->next_bar++;
		return bar;
	}
	if (r)
		walk->next++;
	return r;
}

const char *plan_range_text(uint64_t start, uint64_t last, char buf[PLAN_TEXT])
{
	snprintf(buf, PLAN_TEXT, "0x%llx-0x%llx", (unsigned long long)start,
		 (unsigned long long)last);
	return buf;
}

const char *plan_pci_text(uint64_t function, char buf[PLAN_PCI_TEXT])
{
	snprintf(buf, PLAN_PCI_TEXT, "00:%02x.%x", (unsigned)(function / PLAN_PCI_SLOT) & 0x1f,
		 (unsigned)(function % PLAN_PCI_SLOT));
	return buf;
}

const char *plan_lines_text(uint64_t start, uint64_t last, char buf[PLAN_LINES_TEXT])
{
	int n = snprintf(buf, PLAN_LINES_TEXT, "%llu", (unsigned long long)start);

	if (last > start)
		snprintf(buf + n, PLAN_LINES_TEXT - (size_t)n, "-%llu", (unsigned long long)last);
	return buf;
}

const char *plan_size_text(uint64_t size, char buf[PLAN_TEXT])
{
	char text[24];

	config_size_text(size, text, sizeof(text));
	snprintf(buf, PLAN_TEXT, "%s%s", text,
		 !isdigit((unsigned char)text[strlen(text) - 1]) ? ""
		 : size == 1					 ? " byte"
								 : " bytes");
	return buf;
}

const char *plan_region_text(const struct plan_region *r, char buf[PLAN_TEXT])
{
	const char *whose = r->kind == REGION_PLATFORM ? "the platform's " : "";
	char range[PLAN_TEXT], lines[PLAN_LINES_TEXT];

	plan_range_text(r->start, r->last, range);
	if (r->space == SPACE_IRQ)
		snprintf(buf, PLAN_TEXT, "interrupt line%s %s of %s", r->start < r->last ? "s" : "",
			 plan_lines_text(r->start, r->last, lines), r->owner);
	else if (r->space == SPACE_PCI)
		snprintf(buf, PLAN_TEXT, "PCI slot %llu of %s",
			 (unsigned long long)r->start / PLAN_PCI_SLOT, r->owner);
	else if (r->kind != REGION_DEVICE && r->kind != REGION_PLATFORM)
		snprintf(buf, PLAN_TEXT, "%s %.36s", r->owner, range);
	else if (r->start == r->last)
		snprintf(buf, PLAN_TEXT, "port 0x%llx of %s%s", (unsigned long long)r->start, whose,
			 r->owner);
	else
		snprintf(buf, PLAN_TEXT, "%s %.36s of %s%s",
			 plan_is_ports(r->space) ? "ports" : "window", range, whose, r->owner);
	return buf;
}

bool plan_by_user(const struct plan *plan, const struct plan_region *r)
{
	const struct mark *device;

	if (r->device < 0)
		return r->mark.source != NULL;
	device = &plan->devices[r->device].choice->mark;
	return r->mark.line != device->line || r->mark.column != device->column;
}

void plan_note_region(const struct plan *plan, struct diags *diags, const struct plan_region *r)
{
	const struct node *node = r->device < 0 ? NULL : plan->devices[r->device].choice->node;

	if (!r->mark.source)
		return;
	if (!r->mark.line)
		diag_note(diags, r->mark, "%s is there by default", r->owner);
	else if (node && node->is_default && node->from)
		diag_note(diags, r->mark, "%s is there because %s", r->owner, node->from);
	else
		diag_note(diags, r->mark, "%s is %s here", r->owner,
			  r->device >= 0 && plan_by_user(plan, r) ? "placed" : "declared");
}
