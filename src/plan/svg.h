/* svg.h: a plan as a picture: what its layout (svg_layout.c) and its drawing (svg.c) share. */
#ifndef VIBEVMM_PLAN_SVG_H
#define VIBEVMM_PLAN_SVG_H

#include "planner.h"

#define WIDTH	   1000
#define MARGIN	   24
#define BAR_X	   136 /* addresses stand left of it: 15 characters */
#define BAR_WIDTH  64
#define ROW_X	   272
#define ROW_WIDTH  (WIDTH - MARGIN - ROW_X)
#define ROW_HEIGHT 22
#define GAP_HEIGHT 18
#define INDENT	   18	/* of what is inside of another region */
#define EM	   7.25 /* width of a character of 12 px: 0.604 of its height at most */
#define SMALL_EM   6.65 /* of 11 px */
#define NAME_EM	   12.1 /* of 20 px */

/* A region, or the unused addresses between two (region NULL). */
struct row {
	const struct plan_region *region;
	uint64_t start, last;
	bool inside; /* of the one before: a boot image in RAM, a window in a hole */
	bool cut;    /* unused addresses that the bar leaves out */
	double y, height;
	double bar_y, bar_height;
};

/* An entry of a list at the bottom: a region of another space, or a device and its claims that are
 * connected to nothing (or, of the list of inputs, the one that is). */
struct item {
	const struct plan_region *region;
	const struct plan_device *device;
	unsigned list;
	double x, y;
};

struct picture {
	FILE *out;
	const struct plan *plan;
	struct row *rows;
	size_t n_rows;
	double top, bottom; /* of bar and rows */
	struct item *items; /* list by list */
	size_t n_items;
	double lists_bottom;
	int digits;					     /* of addresses */
	int size_width, kind_width, owner_width, from_width; /* in characters */
};

/* ---- svg_layout.c -------------------------------------------------------------------------- */

/* Lays out rows, bar and columns below picture->top: 0 with ->bottom and all else set, the rows to
 * be freed by the caller; or -ENOMEM. */
int svg_layout(struct picture *p);

/* Addresses of a row. */
double svg_length(const struct row *row);

/* How many characters wide a text is. */
int svg_columns(const char *text);

/* "4K", "368 B"; where that would be long, roughly: "~503.8M". */
const char *svg_size_text(uint64_t start, uint64_t last, char *buf, size_t len);

/* Where in the config: "vm.yaml:12"; with the directory, if full. */
const char *svg_from_text(struct mark mark, char *buf, size_t len, bool full);

/* ---- svg_lists.c --------------------------------------------------------------------------- */

/* Lays out the lists below the map: 0 with ->items, to be freed by the caller; or -ENOMEM. */
int svg_lists_layout(struct picture *p);
void svg_lists_draw(struct picture *p);

/* ---- svg.c --------------------------------------------------------------------------------- */

/* Writes text as XML content, of `max` columns at most; what is too long loses its end. */
void svg_put(FILE *out, const char *text, int max);

/* A text at x (its end, if `end`) on the base line y. Every text of the picture comes from here. */
void svg_text(struct picture *p, double x, double y, const char *class, bool end, const char *text,
	      int max);

void svg_band(struct picture *p, double x, double y, double width, double height,
	      const char *class);

/* All that is known of a region. */
void svg_tooltip(struct picture *p, const struct plan_region *r);

const char *svg_range_text(const struct picture *p, enum plan_space space, uint64_t start,
			   uint64_t last, char *buf, size_t len);

/* "ram", or "uart16550 registers". */
const char *svg_owner_text(const struct plan_region *r, char *buf, size_t len);

#endif
