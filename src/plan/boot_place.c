/* boot_place.c: places inside RAM for the boot image and what goes with it. */
#include <assert.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "planner.h"

#define RAM  (1U << REGION_RAM)
#define ROM  (1U << REGION_ROM)
#define BOOT (1U << REGION_BOOT | 1U << REGION_TABLES)

static bool in_ram(enum region_kind kind)
{
	return (1U << kind & BOOT) != 0;
}

static bool reserve(struct plan *plan, struct diags *diags, enum region_kind kind, const char *name,
		    uint64_t start, uint64_t last, bool fixed, struct mark mark)
{
	struct plan_region region = { .space = SPACE_MEM,
				      .kind = kind,
				      .start = start,
				      .last = last,
				      .device = -1,
				      .mark = mark,
				      .fixed = fixed };

	snprintf(region.owner, sizeof(region.owner), "%s", name);
	if (!plan_insert_region(plan, &region))
		return true;
	if (diags)
		diag_error(diags, mark, "out of memory");
	return false;
}

/* The lowest boot region that shares a byte with [start, last], which lies in RAM; or NULL. */
static const struct plan_region *boot_region_in(const struct plan *plan, uint64_t start,
						uint64_t last)
{
	const struct plan_region *r = plan_region_at(plan, SPACE_MEM, BOOT, start);
	const struct plan_region *end = plan->regions + plan->n_regions;

	if (r)
		return r;
	/* Nothing covers the start: the first that begins behind it. */
	r = plan_region_at(plan, SPACE_MEM, RAM, start);
	for (; r < end && r->space == SPACE_MEM && r->start <= last; r++) {
		if (in_ram(r->kind) && r->start >= start)
			return r;
	}
	return NULL;
}

static void report_outside(const struct plan *plan, struct diags *diags, const char *name,
			   uint64_t start, uint64_t last, struct mark mark)
{
	const struct plan_region *there = plan_region_at(plan, SPACE_MEM, ~BOOT, start);
	const struct plan_region *fits = NULL;
	char range[PLAN_TEXT], text[PLAN_TEXT], size[PLAN_TEXT];

	plan_range_text(start, last, range);
	plan_size_text(last - start + 1, size);
	if (there && there->kind == REGION_RAM) {
		diag_error(diags, mark, "%s %s (%s) does not fit ram, which ends at 0x%llx", name,
			   range, size, (unsigned long long)there->last);
		plan_note_region(plan, diags, there);
	}
	/* The RAM below it that is large enough, or else the first above. */
	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->kind == REGION_RAM && r->last - r->start >= last - start &&
		    (!fits || r->start <= start))
			fits = r;
	}
	if (there && there->kind == REGION_RAM)
		; /* said above */
	else if (there)
		diag_error(diags, mark, "%s %s (%s) lies outside of ram, in %s", name, range, size,
			   plan_region_text(there, text));
	else
		diag_error(diags, mark, "%s %s (%s) lies outside of ram", name, range, size);
	if (fits)
		diag_help(diags, "it would fit into %s", plan_region_text(fits, text));
}

bool plan_boot_fixed(struct plan *plan, struct diags *diags, const char *name, uint64_t start,
		     uint64_t size, struct mark mark)
{
	const struct plan_region *ram, *other;
	char range[PLAN_TEXT], text[PLAN_TEXT];
	uint64_t last;

	if (plan->memory_bad)
		return false;
	if (!size)
		return true;
	if (bytes_add_wraps(start, size - 1, &last)) {
		diag_error(diags, mark, "%s at 0x%llx (%s) wraps around the address space", name,
			   (unsigned long long)start, plan_size_text(size, range));
		return false;
	}
	ram = plan_region_at(plan, SPACE_MEM, RAM, start);
	if (!ram || last > ram->last) {
		report_outside(plan, diags, name, start, last, mark);
		return false;
	}
	other = boot_region_in(plan, start, last);
	if (other) {
		diag_error(diags, mark, "%s %s overlaps %s", name,
			   plan_range_text(start, last, range), plan_region_text(other, text));
		if (other->mark.source &&
		    (other->mark.line != mark.line || other->mark.column != mark.column))
			diag_note(diags, other->mark, "%s is asked for here", other->owner);
		return false;
	}
	return reserve(plan, diags, REGION_BOOT, name, start, last, true, mark);
}

bool plan_boot_rom(struct plan *plan, struct diags *diags, const char *name, uint64_t at,
		   uint64_t size, const char *file, struct mark mark)
{
	uint64_t room = plan_page_up(plan, size);
	struct plan_region rom = { .space = SPACE_MEM,
				   .kind = REGION_ROM,
				   .start = at,
				   .last = at + room - 1,
				   .device = -1,
				   .mark = mark,
				   .fixed = true,
				   .file = file,
				   .file_size = size };
	char text[PLAN_TEXT], other[PLAN_TEXT];

	assert(size && room >= size && at % PLAN_PAGE == 0 && rom.last > at);
	snprintf(rom.owner, sizeof(rom.owner), "%s", name);
	if (!(plan->caps.caps & HV_CAP_READONLY_MEM)) {
		diag_error(diags, mark, "backend '%s' has no %s, which %s needs",
			   plan->backend_name, hv_cap_name(HV_CAP_READONLY_MEM), name);
		return false;
	}
	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->space != SPACE_MEM || r->kind == REGION_HOLE || r->last < rom.start ||
		    r->start > rom.last)
			continue;
		diag_error(diags, mark, "%s overlaps %s", plan_region_text(&rom, text),
			   plan_region_text(r, other));
		plan_note_region(plan, diags, r);
		return false;
	}
	if (!plan_insert_region(plan, &rom))
		return true;
	diag_error(diags, mark, "out of memory");
	return false;
}

/* A run of free RAM, and what is wanted of it. */
struct search {
	uint64_t size, align, min, max;
	uint64_t start;	  /* result */
	uint64_t largest; /* free run in [min, max], and the end of RAM: for messages */
	uint64_t top;
	bool high, found;
};

/* Looks at the free run [start, last]. */
static void consider(struct search *s, uint64_t start, uint64_t last)
{
	uint64_t low, high;

	if (start < s->min)
		start = s->min;
	if (last > s->max)
		last = s->max;
	if (start > last)
		return;
	if (last - start >= s->largest)
		s->largest = last - start + 1;
	if (bytes_align_wraps(start, s->align, &low) || low > last || last - low < s->size - 1)
		return;
	high = (last - s->size + 1) & ~(s->align - 1);
	if (s->high || !s->found)
		s->start = s->high ? high : low;
	s->found = true;
}

static bool place(struct plan *plan, struct diags *diags, enum region_kind kind, const char *name,
		  uint64_t size, uint64_t align, uint64_t min, uint64_t max, bool high,
		  struct mark mark, uint64_t *start)
{
	struct search s = { .size = size, .align = align, .min = min, .max = max, .high = high };
	char want[PLAN_TEXT], range[PLAN_TEXT];

	if (plan->memory_bad || !size)
		return false;
	for (size_t i = 0; i < plan->n_regions && plan->regions[i].space == SPACE_MEM; i++) {
		const struct plan_region *ram = &plan->regions[i];
		uint64_t from = ram->start;
		bool full = false;

		if (ram->kind != REGION_RAM)
			continue;
		s.top = ram->last;
		for (; i + 1 < plan->n_regions && in_ram(plan->regions[i + 1].kind); i++) {
			const struct plan_region *boot = &plan->regions[i + 1];

			if (boot->start > from)
				consider(&s, from, boot->start - 1);
			full = boot->last == ram->last;
			from = boot->last + 1;
		}
		if (!full)
			consider(&s, from, ram->last);
	}
	if (s.found && reserve(plan, diags, kind, name, s.start, s.start + size - 1, false, mark)) {
		*start = s.start;
		return true;
	}
	if (s.found || !diags)
		return false;
	plan_size_text(size, want);
	if (min || max < s.top)
		diag_error(diags, mark, "no room for %s (%s) in ram at %s", name, want,
			   plan_range_text(min, max, range));
	else
		diag_error(diags, mark, "no room for %s (%s) in ram", name, want);
	diag_help(diags, "the largest free run of ram there is %s",
		  plan_size_text(s.largest, want));
	return false;
}

bool plan_boot_place(struct plan *plan, struct diags *diags, const char *name, uint64_t size,
		     uint64_t align, uint64_t min, uint64_t max, bool high, struct mark mark,
		     uint64_t *start)
{
	return place(plan, diags, REGION_BOOT, name, size, align, min, max, high, mark, start);
}

bool plan_tables_place(struct plan *plan, struct diags *diags, const char *name, uint64_t size,
		       uint64_t align, uint64_t min, uint64_t max, bool high, struct mark mark,
		       uint64_t *start)
{
	return place(plan, diags, REGION_TABLES, name, size, align, min, max, high, mark, start);
}

void plan_set_entry(struct plan *plan, struct diags *diags, enum entry_mode mode, uint64_t pc,
		    struct mark mark)
{
	const struct plan_region *nearest = NULL;
	char text[PLAN_TEXT];

	if (!plan->memory_bad && !plan_region_at(plan, SPACE_MEM, RAM | ROM, pc)) {
		for (size_t i = 0; i < plan->n_regions; i++) {
			const struct plan_region *r = &plan->regions[i];

			if (((1U << r->kind) & (RAM | ROM)) && (!nearest || r->start <= pc))
				nearest = r;
		}
		diag_error(diags, mark, "entry 0x%llx lies outside of ram and rom",
			   (unsigned long long)pc);
		if (nearest)
			diag_help(diags, "the nearest is %s", plan_region_text(nearest, text));
		return;
	}
	plan->entry = (struct plan_entry){ .set = true, .mode = mode, .pc = pc, .mark = mark };
}
