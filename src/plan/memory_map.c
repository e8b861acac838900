/* memory_map.c: RAM by its size alone, or the user's own map of RAM, ROM, reserved and holes. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vibevmm/bytes.h>

#include "planner.h"

static int add_ram(struct planner *p, uint64_t start, uint64_t last, struct mark mark)
{
	struct plan_region ram = { .space = SPACE_MEM,
				   .kind = REGION_RAM,
				   .start = start,
				   .last = last,
				   .owner = "ram",
				   .device = -1,
				   .mark = mark,
				   .fixed = true };

	p->plan->ram_size += last - start + 1;
	return plan_claim_region(p, &ram);
}

/* Where the backend's pages are larger than what the option rows ask for; text: the value. */
static bool is_in_pages(struct planner *p, uint64_t value, struct mark mark, const char *text)
{
	char page[PLAN_TEXT];

	if (value % plan_page(p->plan) == 0)
		return true;
	diag_error(p->diags, mark,
		   "%s is not a multiple of %s, the size of a page for backend '%s'", text,
		   plan_size_text(plan_page(p->plan), page), p->plan->backend_name);
	return false;
}

/* `memory: SIZE` fills the layout's RAM rows in their order. A hole between them counts, as on a
 * PC: RAM of 128M ends at the address 128M. */
static int ram_by_size(struct planner *p)
{
	struct plan *plan = p->plan;
	struct mark mark = plan_mark(plan, "memory");
	uint64_t left = plan->config->memory_size, end = plan_last_address(plan);
	char size[24], text[PLAN_TEXT];

	assert(left % PLAN_PAGE == 0); /* the row of `memory` says so */
	snprintf(text, sizeof(text), "memory of %s", config_size_text(left, size, sizeof(size)));
	plan->memory_bad = !is_in_pages(p, left, mark, text);
	for (const struct layout_row *row = plan->arch->layout; row->name && left; row++) {
		uint64_t size_here = row->size ? row->size : end - row->start + 1;
		int ret = 0;

		if (row->kind != LAYOUT_RAM && row->kind != LAYOUT_HOLE)
			continue;
		if (size_here > left)
			size_here = left;
		left -= size_here;
		if (row->kind == LAYOUT_RAM)
			ret = add_ram(p, row->start, row->start + size_here - 1, mark);
		if (ret)
			return ret;
		if (!row->size)
			break;
	}
	if (left) {
		plan_report_beyond(p, mark, text);
		plan->memory_bad = true;
	}
	return 0;
}

/* ---- The user's map -------------------------------------------------------------------------- */

struct entry {
	const struct config_choice *choice;
	enum memory_kind kind;
	uint64_t start, last;
	uint64_t file_size; /* of a ROM's image */
};

static const char *const kind_names[] = {
	[MEMORY_RAM] = "ram",
	[MEMORY_ROM] = "rom",
	[MEMORY_RESERVED] = "reserved",
	[MEMORY_HOLE] = "hole",
};

/* The mark of an entry's option, or of the entry where it has none. */
static struct mark option_mark(const struct config_choice *choice, const char *key)
{
	const struct node *node = node_given(choice->node, key);

	return node ? node->mark : choice->mark;
}

/* The size of a ROM's file, and the one that it asks for. */
static bool rom_size(struct planner *p, const struct config_choice *choice, uint64_t *file_size,
		     uint64_t *size)
{
	const struct memory_rom *rom = choice->options;
	struct mark mark = option_mark(choice, "file");
	char have[PLAN_TEXT], want[PLAN_TEXT];
	struct stat st;

	if (!plan_check_stat(p, mark, "rom", rom->file, &st))
		return false;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
		diag_error(p->diags, mark, "rom '%s' %s", rom->file,
			   S_ISDIR(st.st_mode)	 ? "is a directory"
			   : S_ISREG(st.st_mode) ? "is empty"
						 : "is not a regular file");
		diag_help(p->diags, "name the file that is to be in it");
		return false;
	}
	if (!plan_check_access(p, mark, "rom", rom->file, false))
		return false;
	if (rom->size && (uint64_t)st.st_size > rom->size) {
		diag_error(p->diags, option_mark(choice, "size"),
			   "rom '%s' is a file of %s, which is more than the size of %s", rom->file,
			   plan_size_text((uint64_t)st.st_size, have),
			   plan_size_text(rom->size, want));
		diag_help(p->diags, "without `size` a rom is as large as its file");
		return false;
	}
	*file_size = (uint64_t)st.st_size;
	*size = rom->size ? rom->size : plan_page_up(p->plan, (uint64_t)st.st_size);
	return true;
}

static bool pages_only(struct planner *p, const struct entry *e, uint64_t at, uint64_t size)
{
	const char *name = kind_names[e->kind];
	char text[2 * PLAN_TEXT], words[24];

	snprintf(text, sizeof(text), "%s at 0x%llx", name, (unsigned long long)at);
	if (!is_in_pages(p, at, option_mark(e->choice, "at"), text))
		return false;
	snprintf(text, sizeof(text), "%s of %s", name,
		 config_size_text(size, words, sizeof(words)));
	return is_in_pages(p, size, option_mark(e->choice, "size"), text);
}

/* Start and size by themselves: pages, wrap-around, address width. */
static bool extent(struct planner *p, struct entry *e, uint64_t at, uint64_t size)
{
	const char *name = kind_names[e->kind];
	char text[2 * PLAN_TEXT], range[PLAN_TEXT], bytes[24];

	assert(size && size % PLAN_PAGE == 0 && at % PLAN_PAGE == 0);
	if ((e->kind == MEMORY_RAM || e->kind == MEMORY_ROM) && !pages_only(p, e, at, size))
		return false;
	if (bytes_add_wraps(at, size - 1, &e->last)) {
		diag_error(p->diags, option_mark(e->choice, "size"),
			   "%s at 0x%llx with a size of %s wraps around the 64-bit address space",
			   name, (unsigned long long)at,
			   config_size_text(size, bytes, sizeof(bytes)));
		return false;
	}
	if (e->last > plan_last_address(p->plan)) {
		snprintf(text, sizeof(text), "%s %s", name, plan_range_text(at, e->last, range));
		plan_report_beyond(p, option_mark(e->choice, "at"), text);
		return false;
	}
	e->start = at;
	return true;
}

static bool check_entry(struct planner *p, struct entry *e)
{
	const struct memory_ram *ram = e->choice->options;
	const struct memory_rom *rom = e->choice->options;
	uint64_t size;

	if (e->kind != MEMORY_ROM)
		return extent(p, e, ram->at, ram->size);
	if (!(p->plan->caps.caps & HV_CAP_READONLY_MEM)) {
		diag_error(p->diags, e->choice->mark, "backend '%s' has no %s, which a rom needs",
			   p->plan->backend_name, hv_cap_name(HV_CAP_READONLY_MEM));
		return false;
	}
	return rom_size(p, e->choice, &e->file_size, &size) && extent(p, e, rom->at, size);
}

static int by_start(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->choice->position > y->choice->position) -
	       (x->choice->position < y->choice->position);
}

/* A hole must lie in one RAM entry, apart from other holes. `before`: the hole below it. */
static bool check_hole(struct planner *p, const struct entry *entries, size_t n,
		       const struct entry *hole, const struct entry *before)
{
	char text[PLAN_TEXT], other[PLAN_TEXT];

	plan_range_text(hole->start, hole->last, text);
	if (before && before->last >= hole->start) {
		bool later = hole->choice->position > before->choice->position;

		diag_error(p->diags, later ? hole->choice->mark : before->choice->mark,
			   "hole %s overlaps hole %s",
			   later ? text : plan_range_text(before->start, before->last, other),
			   later ? plan_range_text(before->start, before->last, other) : text);
		diag_note(p->diags, later ? before->choice->mark : hole->choice->mark,
			  "the other hole is declared here");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const struct entry *ram = &entries[i];

		if (ram->kind != MEMORY_RAM || hole->last < ram->start || hole->start > ram->last)
			continue;
		if (hole->start >= ram->start && hole->last <= ram->last)
			return true;
		diag_error(p->diags, hole->choice->mark, "hole %s reaches beyond ram %s", text,
			   plan_range_text(ram->start, ram->last, other));
		diag_note(p->diags, ram->choice->mark, "ram is declared here");
		return false;
	}
	if (p->plan->memory_bad)
		return true; /* its RAM may be what was left out */
	diag_error(p->diags, hole->choice->mark,
		   "hole %s lies outside of ram; there is nothing to cut", text);
	diag_help(p->diags,
		  "to keep devices out of a range that is not ram, declare it `reserved`");
	return false;
}

static int add_entry(struct planner *p, const struct entry *e, enum region_kind kind)
{
	struct plan_region region = { .space = SPACE_MEM,
				      .kind = kind,
				      .start = e->start,
				      .last = e->last,
				      .device = -1,
				      .mark = e->choice->mark,
				      .fixed = true };

	snprintf(region.owner, sizeof(region.owner), "%s", kind_names[e->kind]);
	if (e->kind == MEMORY_ROM) {
		region.file = ((const struct memory_rom *)e->choice->options)->file;
		region.file_size = e->file_size;
	}
	return plan_claim_region(p, &region);
}

/* What is left of a RAM entry between the holes in it, in whole pages. holes: sorted and disjoint.
 */
static int add_pieces(struct planner *p, const struct entry *ram, const struct entry *holes,
		      size_t n_holes)
{
	uint64_t start = ram->start;
	int ret = 0;

	for (size_t i = 0; i < n_holes && !ret; i++) {
		uint64_t first = holes[i].start & ~(plan_page(p->plan) - 1);
		uint64_t last = holes[i].last | (plan_page(p->plan) - 1);

		if (holes[i].start < ram->start || holes[i].last > ram->last)
			continue;
		if (first > start)
			ret = add_ram(p, start, first - 1, ram->choice->mark);
		if (last == ram->last)
			return ret;
		start = last + 1;
	}
	return ret ? ret : add_ram(p, start, ram->last, ram->choice->mark);
}

static int ram_by_map(struct planner *p)
{
	const struct vm_config *config = p->plan->config;
	struct entry *entries = calloc(config->n_memory, 2 * sizeof(*entries));
	struct entry *holes;
	size_t n = 0, n_holes = 0, kept = 0;
	int ret = 0;

	if (!entries)
		return -ENOMEM;
	holes = entries + config->n_memory;
	for (uint32_t i = 0; i < config->n_memory; i++) {
		struct entry e = { .choice = &config->memory[i],
				   .kind = (enum memory_kind)config->memory[i].index };

		if (!check_entry(p, &e))
			p->plan->memory_bad = true;
		else if (e.kind == MEMORY_HOLE)
			holes[n_holes++] = e;
		else
			entries[n++] = e;
	}
	if (n_holes)
		qsort(holes, n_holes, sizeof(*holes), by_start);
	for (size_t i = 0; i < n_holes; i++) {
		if (check_hole(p, entries, n, &holes[i], kept ? &holes[kept - 1] : NULL))
			holes[kept++] = holes[i];
		else
			p->plan->memory_bad = true;
	}
	for (size_t i = 0; i < kept && !ret; i++)
		ret = add_entry(p, &holes[i], REGION_HOLE);
	for (size_t i = 0; i < n && !ret; i++) {
		if (entries[i].kind == MEMORY_RAM)
			ret = add_pieces(p, &entries[i], holes, kept);
		else
			ret = add_entry(p, &entries[i],
					entries[i].kind == MEMORY_ROM ? REGION_ROM
								      : REGION_RESERVED);
	}
	free(entries);
	return ret;
}

/* The layout's holes: shown where RAM goes on above them, and kept free in any case. */
static int layout_holes(struct planner *p)
{
	for (const struct layout_row *row = p->plan->arch->layout; row->name; row++) {
		struct plan_region hole = { .space = SPACE_MEM,
					    .kind = REGION_HOLE,
					    .start = row->start,
					    .last = row->start + row->size - 1,
					    .device = -1 };
		int ret;

		if (row->kind != LAYOUT_HOLE)
			continue;
		snprintf(hole.owner, sizeof(hole.owner), "%s", row->name);
		if (p->plan->config->memory_size && p->plan->ram_size > hole.start)
			ret = plan_claim_region(p, &hole);
		else
			ret = allocator_add(&p->spaces[SPACE_MEM], hole.start, hole.last);
		if (ret)
			return ret;
	}
	return 0;
}

int plan_memory(struct planner *p)
{
	const struct vm_config *config = p->plan->config;
	int ret = 0;

	p->plan->memory_bad = config->memory_bad;
	if (config->n_memory)
		ret = ram_by_map(p);
	else if (config->memory_size)
		ret = ram_by_size(p);
	else if (!config->memory_bad) {
		diag_error(p->diags, plan_mark(p->plan, "memory"), "this VM has no memory");
		diag_help(p->diags, "give a size, as in `memory: 512M`, or a map");
		p->plan->memory_bad = true;
	}
	return ret ? ret : layout_holes(p);
}
