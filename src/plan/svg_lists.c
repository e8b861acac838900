/* svg_lists.c: below the map of a plan: ports, PCI functions, lines, input, and what has none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "svg.h"

#define COLUMN_GAP   24
#define COLUMN_WIDTH ((WIDTH - 2 * MARGIN - COLUMN_GAP) / 2)
#define LINE	     20
#define SHORT_LIST   6 /* longer ones go over both columns */

enum { LIST_PORTS, LIST_PCI, LIST_LINES, LIST_INPUT, LIST_LOOSE, LISTS };

static const struct {
	const char *title;
	int width; /* of the first column, in characters */
	enum plan_space space;
} lists[] = {
	[LIST_PORTS] = { "Ports", 13, SPACE_PIO },
	[LIST_PCI] = { "PCI functions", 7, SPACE_PCI },
	[LIST_LINES] = { "Interrupt lines", 7, SPACE_IRQ },
	[LIST_INPUT] = { "Standard input", 16, SPACE_INPUT },
	[LIST_LOOSE] = { "Not connected", 16, SPACE_INPUT },
};

/* Whether the claim is one that its list tells of. */
static bool tells(unsigned list, const struct plan_claim *placed)
{
	if (list == LIST_LOOSE)
		return !placed->connected;
	return placed->connected && placed->claim->space == SPACE_INPUT;
}

static void collect(struct picture *p, unsigned list)
{
	const struct plan *plan = p->plan;
	struct plan_walk walk = { .plan = plan, .space = lists[list].space };
	const struct plan_region *r;

	while (list <= LIST_LINES && (r = plan_walk_next(&walk)))
		p->items[p->n_items++] = (struct item){ .region = r, .list = list };
	for (size_t i = 0; i < plan->n_devices && list >= LIST_INPUT; i++) {
		const struct plan_device *dev = &plan->devices[i];
		bool any = false;

		for (unsigned k = 0; k < dev->n_claims; k++)
			any |= tells(list, &dev->claims[k]);
		if (any)
			p->items[p->n_items++] = (struct item){ .device = dev, .list = list };
	}
}

/* A short list goes on where the shorter column ends, a long one over both. */
int svg_lists_layout(struct picture *p)
{
	double y[2] = { p->bottom + 64, p->bottom + 64 };

	p->items = calloc(p->plan->n_regions + 2 * p->plan->n_devices + 1, sizeof(*p->items));
	if (!p->items)
		return -ENOMEM;
	for (unsigned list = 0; list < LISTS; list++) {
		size_t first = p->n_items, n, in_column;
		int column;

		collect(p, list);
		n = p->n_items - first;
		if (!n)
			continue;
		in_column = n > SHORT_LIST ? n / 2 + n % 2 : n;
		if (n > SHORT_LIST)
			y[0] = y[1] = y[0] > y[1] ? y[0] : y[1];
		column = y[1] < y[0];
		for (size_t i = 0; i < n; i++) {
			struct item *item = &p->items[first + i];

			bool second = i >= in_column;

			item->x = MARGIN + (second ? 1 : column) * (COLUMN_WIDTH + COLUMN_GAP);
			item->y = y[column] + 24 + LINE * (double)(second ? i - in_column : i);
		}
		for (int k = 0; k < 2; k++) {
			if (n > SHORT_LIST || k == column)
				y[k] += 24 + LINE * (double)in_column + 16;
		}
	}
	p->lists_bottom = (y[0] > y[1] ? y[0] : y[1]) - 16;
	return 0;
}

/* "interrupt, input" */
static const char *claims_text(const struct item *item, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned k = 0; k < item->device->n_claims && used < len; k++) {
		if (tells(item->list, &item->device->claims[k]))
			used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? ", " : "",
						 item->device->claims[k].claim->name);
	}
	return buf;
}

static void draw_item(struct picture *p, const struct item *item)
{
	const struct plan_region *r = item->region;
	struct mark mark = r ? r->mark : item->device->choice->mark;
	int width = lists[item->list].width, left, from_width;
	char first[256], owner[512], from[512];
	double y = item->y + 13;

	if (r) {
		svg_range_text(p, r->space, r->start, r->last, first, sizeof(first));
		svg_owner_text(r, owner, sizeof(owner));
	} else {
		claims_text(item, first, sizeof(first));
		snprintf(owner, sizeof(owner), "%s", item->device->label);
	}
	svg_from_text(mark, from, sizeof(from), false);
	left = (int)((COLUMN_WIDTH - 18) / EM) - width - 2;
	from_width = svg_columns(from) < left / 2 ? svg_columns(from) : left / 2;

	fputs("<g>\n", p->out);
	if (r) {
		svg_tooltip(p, r);
	} else {
		fputs("<title>", p->out);
		svg_put(p->out, owner, 100);
		fprintf(p->out, ": %s\n", first);
		svg_put(p->out, svg_from_text(mark, from, sizeof(from), true), 500);
		fputs("</title>\n", p->out);
	}
	svg_band(p, item->x, item->y, COLUMN_WIDTH, LINE - 2, r ? plan_kind_word(r->kind) : "note");
	svg_text(p, item->x + 12, y, "range", false, first, width);
	svg_text(p, item->x + 12 + (width + 2) * EM, y, "head", false, owner,
		 left - from_width - 2);
	svg_text(p, item->x + COLUMN_WIDTH - 6, y, "dim", true,
		 svg_from_text(mark, from, sizeof(from), false), from_width);
	fputs("</g>\n", p->out);
}

void svg_lists_draw(struct picture *p)
{
	for (size_t i = 0; i < p->n_items; i++) {
		const struct item *item = &p->items[i];

		if (!i || item->list != item[-1].list)
			svg_text(p, item->x, item->y - 10, "head", false, lists[item->list].title,
				 40);
		draw_item(p, item);
	}
}
