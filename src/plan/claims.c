/* claims.c: devices, which claims they have, and those of fixed place. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "planner.h"

bool plan_claim_exists(const struct plan *plan, const struct config_choice *choice,
		       const struct claim *claim)
{
	if (claim->arches && !(claim->arches & plan->arch->arch))
		return false;
	if (claim->only_if && !node_given(choice->node, claim->only_if))
		return false;
	if (claim->when && registry_value(choice, claim->when) != claim->is)
		return false;
	return !claim->unless || !node_given(choice->node, claim->unless);
}

uint64_t plan_claim_align(const struct claim *claim)
{
	if (claim->align)
		return claim->align;
	return bytes_is_power_of_2(claim->size) ? claim->size : 1;
}

/* One that is no power of two was reported by the row's check, and is rounded up. */
static uint64_t claim_size(const struct config_choice *choice, const struct claim *claim)
{
	uint64_t wanted, size = 1;

	if (!claim->sized_by)
		return claim->size;
	wanted = registry_value(choice, claim->sized_by);
	while (size < wanted)
		size *= 2;
	return size;
}

/* Where the user can mend the place of a claim. */
static struct mark claim_mark(const struct config_choice *choice, const struct claim *claim)
{
	return claim->fix && node_given(choice->node, claim->fix)
		       ? node_get(choice->node, claim->fix)->mark
		       : choice->mark;
}

/* ---- Devices --------------------------------------------------------------------------------- */

/* How often each type came so far, and where first. */
struct type_count {
	unsigned n;
	struct mark first;
};

/* What Linux alone has, and whether the backend is there. */
static bool check_host(struct planner *p, const struct config_choice *choice,
		       const struct device_row *row)
{
	const struct plan *plan = p->plan;
	bool ok = true;

	if (!plan->caps.macos)
		return true;
	if (row->linux_only) {
		diag_error(p->diags, choice->mark,
			   "%s exists on Linux hosts only; backend '%s' runs on macOS",
			   row->type.name, plan->backend_name);
		diag_help(p->diags, "%s", row->linux_only);
		return false;
	}
	for (const struct option *o = row->type.options; o && o->key; o++) {
		bool all = o->kind != OPTION_BOOL && o->kind != OPTION_ENUM;

		if (!o->linux_only || !node_given(choice->node, o->key) ||
		    !(all || registry_value(choice, o->key)))
			continue;
		diag_error(p->diags, node_get(choice->node, o->key)->mark,
			   "this '%s' of %s exists on Linux hosts only; backend '%s' runs on macOS",
			   o->key, row->type.name, plan->backend_name);
		diag_help(p->diags, "%s", o->linux_only);
		ok = false;
	}
	return ok;
}

/* The type may exist here, as often as this. */
static bool check_device(struct planner *p, const struct config_choice *choice,
			 const struct device_row *row, struct type_count *count)
{
	const struct plan *plan = p->plan;
	unsigned missing = row->needs & ~plan->caps.caps;

	if (!(row->arches & plan->arch->arch)) {
		diag_error(p->diags, choice->mark, "%s exists on %s only; this VM is %s",
			   row->type.name, hv_arch_name((enum arch)row->arches),
			   hv_arch_name(plan->arch->arch));
		return false;
	}
	if (!check_host(p, choice, row))
		return false;
	if (missing) {
		diag_error(p->diags, choice->mark, "%s needs %s, which backend '%s' lacks",
			   row->type.name, hv_cap_name((enum hv_cap)(missing & -missing)),
			   plan->backend_name);
		return false;
	}
	if (!count->n++)
		count->first = choice->mark;
	if (!row->max || count->n <= row->max)
		return true;
	if (count->n == row->max + 1) {
		diag_error(p->diags, choice->mark, "too many devices of type %s: a VM may have %u",
			   row->type.name, row->max);
		diag_note(p->diags, count->first, "the first is declared here");
	}
	return false;
}

/* A fixed place by itself: alignment, limits, wrap-around. Sets *last. */
static bool check_fixed(struct planner *p, const struct plan_device *dev, const struct claim *claim,
			uint64_t start, uint64_t *last)
{
	static const char *const nouns[] = { "window", "ports", "interrupt line" };
	const struct plan *plan = p->plan;
	struct mark mark = claim_mark(dev->choice, claim);
	uint64_t align = plan_claim_align(claim);
	char text[2 * PLAN_TEXT], range[PLAN_TEXT], size[24];

	if (claim->space == SPACE_PCI) {
		*last = start;
		if (start < PLAN_PCI_FUNCTIONS)
			return true;
		diag_error(p->diags, mark, "PCI slot %llu of %s does not exist",
			   (unsigned long long)start / PLAN_PCI_SLOT, dev->label);
		diag_help(p->diags, "a bus has the slots 0 to %u, and 0 is the bridge's",
			  PLAN_PCI_FUNCTIONS / PLAN_PCI_SLOT - 1);
		return false;
	}
	if (claim->space == SPACE_IRQ) {
		if (!bytes_add_wraps(start, claim->size - 1, last) && *last < plan->arch->irq_lines)
			return true;
		diag_error(p->diags, mark, "interrupt line %llu of %s does not exist",
			   (unsigned long long)start, dev->label);
		diag_help(p->diags, "%s has the lines 0 to %llu", hv_arch_name(plan->arch->arch),
			  (unsigned long long)plan->arch->irq_lines - 1);
		return false;
	}
	if (start % align) {
		diag_error(p->diags, mark, "%s of %s at 0x%llx %s not at a multiple of %s",
			   nouns[claim->space], dev->label, (unsigned long long)start,
			   claim->space == SPACE_PIO ? "are" : "is",
			   config_size_text(align, size, sizeof(size)));
		diag_help(p->diags, "the multiple below is 0x%llx",
			  (unsigned long long)(start & ~(align - 1)));
		return false;
	}
	if (bytes_add_wraps(start, claim->size - 1, last)) {
		diag_error(p->diags, mark,
			   "%s of %s at 0x%llx, of %s, wraps around the 64-bit address space",
			   nouns[claim->space], dev->label, (unsigned long long)start,
			   config_size_text(claim->size, size, sizeof(size)));
		return false;
	}
	plan_range_text(start, *last, range);
	if (claim->space == SPACE_PIO && *last > UINT16_MAX) {
		diag_error(p->diags, mark, "ports %s of %s do not exist", range, dev->label);
		diag_help(p->diags, "ports go up to 0xffff");
		return false;
	}
	if (claim->space == SPACE_MEM && *last > plan_last_address(plan)) {
		snprintf(text, sizeof(text), "window %s of %s", range, dev->label);
		plan_report_beyond(p, mark, text);
		return false;
	}
	return true;
}

int plan_add_claim(struct planner *p, uint32_t device, const struct plan_claim *placed, bool fixed)
{
	const struct plan_device *dev = &p->plan->devices[device];
	struct plan_region region = { .space = placed->claim->space,
				      .kind = REGION_DEVICE,
				      .start = placed->start,
				      .last = placed->start + placed->size - 1,
				      .name = placed->claim->name,
				      .device = (int)device,
				      .mark = claim_mark(dev->choice, placed->claim),
				      .fixed = fixed };
	struct allocator *space = &p->spaces[region.space];
	int ret;

	memcpy(region.owner, dev->label, sizeof(region.owner));
	ret = !fixed ? allocator_take(space, region.start, region.last)
		     : allocator_add(space, region.start, region.last);
	return ret ? ret : plan_add_region(p->plan, &region);
}

static int add_request(struct planner *p, const struct plan_request *request)
{
	if (p->n_requests == p->cap_requests) {
		size_t cap = p->cap_requests ? 2 * p->cap_requests : 32;
		struct plan_request *requests = realloc(p->requests, cap * sizeof(*requests));

		if (!requests)
			return -ENOMEM;
		p->requests = requests;
		p->cap_requests = cap;
	}
	p->requests[p->n_requests++] = *request;
	return 0;
}

/* What the layout has a place for: all of its row, or the beginning. */
static int add_pool_claim(struct planner *p, uint32_t device, const struct claim *claim)
{
	const struct layout_row *row = plan_pool_row(p->plan->arch, claim->pool);
	struct plan_device *dev = &p->plan->devices[device];
	struct plan_claim placed = { .claim = claim,
				     .index = (unsigned)(claim - dev->row->claims),
				     .connected = true };

	if (!row)
		return 0;
	placed.start = row->start;
	placed.size = claim->size ? claim->size : row->size;
	dev->claims[dev->n_claims++] = placed;
	return plan_add_claim(p, device, &placed, true);
}

/* Fixed claims get their place, others become requests. */
static int add_claim(struct planner *p, uint32_t device, const struct claim *claim)
{
	struct plan_device *dev = &p->plan->devices[device];
	struct plan_claim placed = { .claim = claim,
				     .index = (unsigned)(claim - dev->row->claims),
				     .size = claim_size(dev->choice, claim),
				     .connected = true };
	bool fixed = claim->fix && node_get(dev->choice->node, claim->fix);
	struct plan_request request = { placed.size,
					claim->sized_by ? placed.size : plan_claim_align(claim),
					claim->space, device, dev->n_claims };
	uint64_t last;

	assert(dev->n_claims < PLAN_MAX_CLAIMS);
	if (claim->pool == POOL_PCI_WINDOW64)
		return 0; /* if the BARs need it: plan_places */
	if (claim->pool != POOL_SPACE && !fixed)
		return add_pool_claim(p, device, claim);
	if (fixed)
		placed.start = registry_value(dev->choice, claim->fix);
	if (fixed && claim->space == SPACE_PCI)
		placed.start *= PLAN_PCI_SLOT;
	if (fixed && ((claim->space == SPACE_IRQ && placed.start == OPTION_IRQ_NONE) ||
		      (claim->space == SPACE_INPUT && !placed.start)))
		return 0; /* `none` or `false`: the device does without */
	if (claim->space == SPACE_INPUT ||
	    (claim->space == SPACE_IRQ && p->plan->irqchip == HV_IRQCHIP_NONE)) {
		placed.connected = false; /* the input: until one reader is chosen */
		placed.start = 0;
		dev->claims[dev->n_claims++] = placed;
		return 0;
	}
	if (fixed && !check_fixed(p, dev, claim, placed.start, &last))
		return 0;
	dev->claims[dev->n_claims++] = placed;
	return fixed ? plan_add_claim(p, device, &placed, true) : add_request(p, &request);
}

/* Its id (cut to fit, but not inside a UTF-8 character), or its type and which of them it is. */
static void set_label(struct plan_device *dev, unsigned nth)
{
	const struct node *id = node_get(dev->choice->node, "id");
	size_t n;

	if (!id || id->kind != NODE_SCALAR) {
		snprintf(dev->label, sizeof(dev->label), nth > 1 ? "%.28s#%u" : "%.39s",
			 dev->row->type.name, nth);
		return;
	}
	n = strnlen(id->text, sizeof(dev->label));
	if (n == sizeof(dev->label)) {
		n--;
		while (n && (id->text[n] & 0xc0) == 0x80)
			n--;
	}
	for (size_t i = 0; i < n; i++)
		dev->label[i] = iscntrl((unsigned char)id->text[i]) ? '?' : id->text[i];
	dev->label[n] = '\0';
}

static bool has_role(const struct device_row *row, enum device_role role)
{
	return row->describe && row->describe->role == role;
}

/* The host bridge is a function of its bus, too. */
static int add_bridge_slot(struct planner *p, const struct plan_device *bridge)
{
	struct plan_region region = { .space = SPACE_PCI,
				      .kind = REGION_DEVICE,
				      .start = 0,
				      .last = PLAN_PCI_SLOT - 1,
				      .name = "function",
				      .device = (int)(bridge - p->plan->devices),
				      .mark = bridge->choice->mark,
				      .fixed = true };

	memcpy(region.owner, bridge->label, sizeof(region.owner));
	return plan_claim_region(p, &region);
}

/* Messages go to lines only where no ITS takes them. */
static bool is_superfluous(const struct plan *plan, const struct device_row *row)
{
	return has_role(row, ROLE_MSI) && (plan->gic.its || plan->irqchip == HV_IRQCHIP_NONE);
}

static int add_device(struct planner *p, const struct config_choice *choice,
		      const struct device_row *row, unsigned nth)
{
	struct plan *plan = p->plan;
	struct plan_device *dev = &plan->devices[plan->n_devices];
	int ret = 0;

	dev->row = row;
	dev->choice = choice;
	set_label(dev, nth);
	if (has_role(row, ROLE_PCI) && !p->bridge) {
		p->bridge = dev;
		ret = add_bridge_slot(p, dev);
	}
	if (row->check)
		row->check(choice->options, choice->node, p->diags);
	for (const struct claim *claim = row->claims; claim && claim->name && !ret; claim++) {
		if (plan_claim_exists(plan, choice, claim))
			ret = add_claim(p, (uint32_t)plan->n_devices, claim);
	}
	plan->n_devices++;
	return ret;
}

static int add_devices(struct planner *p)
{
	const struct vm_config *config = p->plan->config;
	const struct registry *registry = p->plan->registry;
	struct type_count *counts = calloc(registry->n_devices + 1, sizeof(*counts));
	int ret = 0;

	p->plan->devices = calloc(config->n_devices + 1, sizeof(*p->plan->devices));
	if (!counts || !p->plan->devices)
		ret = -ENOMEM;
	for (uint32_t i = 0; i < config->n_devices && !ret; i++) {
		const struct config_choice *choice = &config->devices[i];
		const struct device_row *row = registry->devices[choice->index];
		struct type_count *count = &counts[choice->index];

		if (check_device(p, choice, row, count) && !is_superfluous(p->plan, row))
			ret = add_device(p, choice, row, count->n);
	}
	free(counts);
	return ret;
}

/* ---- Input: one reader ----------------------------------------------------------------------- */

/* The device that says `input: true` itself; else the first that would take it. */
static void connect_input(struct planner *p)
{
	struct plan_claim *reader = NULL;
	const struct plan_device *owner = NULL;
	bool chosen = false;

	for (size_t i = 0; i < p->plan->n_devices; i++) {
		struct plan_device *dev = &p->plan->devices[i];

		for (unsigned k = 0; k < dev->n_claims; k++) {
			const struct claim *claim = dev->claims[k].claim;
			bool given;

			if (claim->space != SPACE_INPUT)
				continue;
			given = claim->fix && node_given(dev->choice->node, claim->fix);
			if (given && chosen) {
				diag_error(p->diags, claim_mark(dev->choice, claim),
					   "%s and %s both ask for the VM's input, which has one "
					   "reader",
					   owner->label, dev->label);
				diag_note(p->diags, claim_mark(owner->choice, reader->claim),
					  "%s asks for it here", owner->label);
			} else if (given || !reader) {
				reader = &dev->claims[k];
				owner = dev;
				chosen = given;
			}
		}
	}
	if (reader)
		reader->connected = true;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Of the same ids the one further down in the file is wrong. */
static int by_id(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a;
	const struct node *y = *(const struct node *const *)b;
	int order = strcmp(x->text, y->text);

	if (order)
		return order;
	if (x->mark.line != y->mark.line)
		return x->mark.line < y->mark.line ? -1 : 1;
	return (x->mark.column > y->mark.column) - (x->mark.column < y->mark.column);
}

static int check_ids(struct planner *p)
{
	const struct vm_config *config = p->plan->config;
	const struct node **ids = calloc(config->n_devices + 1, sizeof(const struct node *));
	size_t n = 0;

	if (!ids)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->n_devices; i++) {
		const struct node *id = node_get(config->devices[i].node, "id");

		if (id && id->kind == NODE_SCALAR)
			ids[n++] = id;
	}
	if (n)
		qsort(ids, n, sizeof(*ids), by_id);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(ids[i]->text, ids[i - 1]->text))
			continue;
		diag_error(p->diags, ids[i]->mark, "two devices have the id '%s'", ids[i]->text);
		diag_note(p->diags, ids[i - 1]->mark, "first used here");
	}
	free(ids);
	return 0;
}

/* The hypervisor has to know of the frame. */
static void set_frame(struct plan *plan)
{
	const struct plan_device *dev = plan_find_role(plan, ROLE_MSI);
	const struct plan_claim *registers = plan_device_claim(dev, SPACE_MEM);
	const struct plan_claim *lines = plan_device_claim(dev, SPACE_IRQ);

	if (!registers || !lines)
		return;
	plan->gic.frame = registers->start;
	plan->gic.frame_line = (unsigned)lines->start;
	plan->gic.frame_lines = (unsigned)lines->size;
}

int plan_devices(struct planner *p)
{
	int ret = add_devices(p);

	if (!ret)
		ret = check_ids(p);
	if (ret)
		return ret;
	connect_input(p);
	ret = plan_places(p);
	plan_sort_regions(p->plan);
	set_frame(p->plan);
	return ret;
}

const struct plan_claim *plan_device_claim(const struct plan_device *dev, enum plan_space space)
{
	for (unsigned i = 0; dev && i < dev->n_claims; i++) {
		const struct plan_claim *claim = &dev->claims[i];

		if (claim->claim->space == space && (space != SPACE_IRQ || claim->connected))
			return claim;
	}
	return NULL;
}

const struct plan_claim *plan_pool_claim(const struct plan_device *dev, enum claim_pool pool)
{
	for (unsigned i = 0; dev && i < dev->n_claims; i++) {
		if (dev->claims[i].claim->pool == pool)
			return &dev->claims[i];
	}
	return NULL;
}

const struct plan_device *plan_find_role(const struct plan *plan, enum device_role role)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		if (has_role(plan->devices[i].row, role))
			return &plan->devices[i];
	}
	return NULL;
}
