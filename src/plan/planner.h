/* planner.h: what the files of src/plan share while a plan is made.
 *
 * The steps run in the order below; each reports to diags and leaves what is bad out, so that the
 * later ones don't complain about it again. They return 0, or -ENOMEM.
 */
#ifndef VIBEVMM_PLAN_PLANNER_H
#define VIBEVMM_PLAN_PLANNER_H

#include <vibevmm/plan.h>

#include "allocator.h"

#define PLAN_PAGE 4096ULL

/* The same for the plan's backend, whose hosts may have larger ones. */
static inline uint64_t plan_page(const struct plan *plan)
{
	return plan->caps.page ? plan->caps.page : PLAN_PAGE;
}

static inline uint64_t plan_page_up(const struct plan *plan, uint64_t size)
{
	return (size + plan_page(plan) - 1) & ~(plan_page(plan) - 1);
}

/* A claim that still needs a place. */
struct plan_request {
	uint64_t size, align;
	enum plan_space space;
	uint32_t device, slot; /* plan->devices[device].claims[slot] */
};

struct planner {
	struct plan *plan;
	struct diags *diags;
	struct allocator spaces[SPACE_INPUT]; /* what is busy: addresses, ports, lines */
	struct plan_request *requests;
	size_t n_requests, cap_requests;
	struct plan_device *bridge; /* ROLE_PCI; NULL: no PCI */
};

int plan_platform(struct planner *p); /* vCPUs, interrupt controller, what belongs to it */
int plan_memory(struct planner *p);   /* RAM, ROM, reserved, holes */
int plan_devices(struct planner *p);  /* every claim's place; afterwards regions are sorted */
int plan_checks(struct planner *p);   /* MAC addresses, disk images */
void plan_expect(struct planner *p);  /* consoles, and the rules of `expect` */
int plan_places(struct planner *p);   /* its part for claims that are not fixed */
void plan_conflicts(struct planner *p);

/* ---- Regions (regions.c) ------------------------------------------------------------------- */

/* Appends; the order is made by plan_sort_regions. 0 or -ENOMEM. */
int plan_add_region(struct plan *plan, const struct plan_region *region);

/* Inserts into sorted regions. 0 or -ENOMEM. */
int plan_insert_region(struct plan *plan, const struct plan_region *region);

void plan_sort_regions(struct plan *plan);

/* Appends, and makes the range busy in its space. 0 or -ENOMEM. */
int plan_claim_region(struct planner *p, const struct plan_region *region);

/* A claim's region: a fixed one before the spaces are sealed, another one after. */
int plan_add_claim(struct planner *p, uint32_t device, const struct plan_claim *placed, bool fixed);

/* The places of the PCI functions of one device: PCI 3.0, 3.2.2.3.4. */
#define PLAN_PCI_SLOT	   8U
#define PLAN_PCI_FUNCTIONS 256U

/* Ports, or those of PCI's window. */
static inline bool plan_is_ports(enum plan_space space)
{
	return space == SPACE_PIO || space == SPACE_PORTS_BAR;
}

/* Inside of a window of PCI's. */
static inline bool plan_is_bar(enum plan_space space)
{
	return space == SPACE_BAR || space == SPACE_PORTS_BAR;
}

/* Goes through the regions of a space in their order. BARs come with guest-physical memory and with
 * ports, inside of their window. Begins with plan and space alone; NULL at the end. */
struct plan_walk {
	const struct plan *plan;
	enum plan_space space;
	size_t next, next_bar;
};
const struct plan_region *plan_walk_next(struct plan_walk *walk);

/* "00:03.0" */
#define PLAN_PCI_TEXT 16
const char *plan_pci_text(uint64_t function, char buf[PLAN_PCI_TEXT]);

/* "5", "64-191": interrupt lines. */
#define PLAN_LINES_TEXT 48
const char *plan_lines_text(uint64_t start, uint64_t last, char buf[PLAN_LINES_TEXT]);

/* A region in words, "window 0x1000-0x1fff of rtc" or "ram 0x0-0x9ffff". */
#define PLAN_TEXT 128
const char *plan_region_text(const struct plan_region *region, char buf[PLAN_TEXT]);

/* Whether the user's own word placed it, rather than a default; a note on where it comes from. */
bool plan_by_user(const struct plan *plan, const struct plan_region *region);
void plan_note_region(const struct plan *plan, struct diags *diags,
		      const struct plan_region *region);

/* "0x1000-0x1fff" */
const char *plan_range_text(uint64_t start, uint64_t last, char buf[PLAN_TEXT]);

/* "4K", "17 bytes" */
const char *plan_size_text(uint64_t size, char buf[PLAN_TEXT]);

/* ---- Printing (table.c, json.c) ------------------------------------------------------------ */

void plan_print_json(const struct plan *plan, FILE *out);
const char *plan_kind_word(enum region_kind kind);
const char *plan_irqchip_word(enum hv_irqchip irqchip);
const char *plan_mode_word(enum entry_mode mode);   /* "long" */
const char *plan_entry_words(enum entry_mode mode); /* "in long mode" */
const char *plan_topology_text(const struct hv_topology *topology, char buf[PLAN_TEXT]);

/* ---- Small things -------------------------------------------------------------------------- */

/* The last guest-physical address of this VM; and an error for what goes beyond it. */
uint64_t plan_last_address(const struct plan *plan);
void plan_report_beyond(const struct planner *p, struct mark mark, const char *what);

/* The claim exists on this arch with these options. */
bool plan_claim_exists(const struct plan *plan, const struct config_choice *choice,
		       const struct claim *claim);

uint64_t plan_claim_align(const struct claim *claim);

/* A free place out of the layout's rows for this space, after all claims have theirs. */
bool plan_find_free(const struct planner *p, enum plan_space space, uint64_t size, uint64_t align,
		    uint64_t *start);

/* stat(2) of a file that the config names, and whether we may read (and write) it; reported
 * otherwise. `what` it is: "rom". */
struct stat;
bool plan_check_stat(struct planner *p, struct mark mark, const char *what, const char *path,
		     struct stat *st);
bool plan_check_access(struct planner *p, struct mark mark, const char *what, const char *path,
		       bool written);

#endif
