/* svg_layout.c: where things go in the picture of a plan. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "svg.h"

int svg_columns(const char *text)
{
	int n = 0;
	size_t len = strlen(text), step;
	uint32_t c = 0;

	for (size_t i = 0; i < len; i += step ? step : 1) {
		step = utf8_decode(text + i, len - i, &c);
		n += step ? (int)utf8_width(c) : 1;
	}
	return n;
}

const char *svg_from_text(struct mark mark, char *buf, size_t len, bool full)
{
	const char *name, *slash;

	if (!mark.source)
		return "layout";
	if (!mark.line)
		return "default";
	name = mark.source->name;
	slash = strrchr(name, '/');
	snprintf(buf, len, "%s:%u", slash && !full ? slash + 1 : name, mark.line);
	return buf;
}

const char *svg_size_text(uint64_t start, uint64_t last, char *buf, size_t len)
{
	static const char units[] = "BKMGTPE";
	double size = (double)(last - start) + 1;
	char exact[24] = "";
	int unit = 0;

	if (last - start < UINT64_MAX)
		config_size_text(last - start + 1, exact, sizeof(exact));
	for (; size >= 1024; unit++)
		size /= 1024;
	if (!unit)
		snprintf(buf, len, "%.0f B", size);
	else if (*exact && strlen(exact) <= 5 && exact[strlen(exact) - 1] > '9')
		snprintf(buf, len, "%s", exact);
	else
		snprintf(buf, len, "~%.1f%c", size, units[unit]);
	return buf;
}

double svg_length(const struct row *row)
{
	return (double)(row->last - row->start) + 1;
}

static int make_rows(struct picture *p)
{
	const struct plan *plan = p->plan;
	struct plan_walk walk = { .plan = plan, .space = SPACE_MEM };
	const struct row *around = NULL;
	const struct plan_region *r;
	uint64_t next = 0;

	p->rows = calloc(2 * plan->n_regions + 1, sizeof(*p->rows));
	if (!p->rows)
		return -ENOMEM;
	while ((r = plan_walk_next(&walk))) {
		bool inside = around && r->last <= around->last;

		if (!inside && r->start > next)
			p->rows[p->n_rows++] = (struct row){ .start = next, .last = r->start - 1 };
		p->rows[p->n_rows] = (struct row){
			.region = r, .start = r->start, .last = r->last, .inside = inside
		};
		if (!inside)
			around = &p->rows[p->n_rows];
		p->n_rows++;
		if (r->last == UINT64_MAX)
			break;
		if (r->last >= next)
			next = r->last + 1;
	}
	return 0;
}

/* Of the size in pages, rounded down. */
static int logarithm(uint64_t last)
{
	return last < PLAN_PAGE ? 0 : 63 - __builtin_clzll(last / PLAN_PAGE);
}

/* Rows grow a little with the logarithm of their size, and hold those of the regions inside. */
static void place_rows(struct picture *p)
{
	double y = p->top;

	for (size_t i = 0; i < p->n_rows; i++) {
		struct row *row = &p->rows[i], *around;

		row->y = y;
		row->height = ROW_HEIGHT;
		if (!row->region)
			row->height = GAP_HEIGHT;
		else if (!row->inside)
			row->height += logarithm(row->last - row->start);
		y += row->height + 2;
		if (!row->inside)
			continue;
		if (i + 1 == p->n_rows || !p->rows[i + 1].inside) {
			y += 4;
			for (around = row; around->inside;)
				around--;
			around->height = y - 2 - around->y;
		}
	}
	p->bottom = y - 2 > p->top + 160 ? y - 2 : p->top + 160;
}

/* Rows [first, end) are one stretch of the bar, all on one scale. */
static void place_stretch(struct row *first, const struct row *end, double y, double height)
{
	double total = 0, scale;

	for (const struct row *row = first; row < end; row++)
		total += row->inside ? 0 : svg_length(row);
	scale = height / total;
	for (struct row *row = first; row < end; row++) {
		row->bar_y = y + (double)(row->start - first->start) * scale;
		row->bar_height = svg_length(row) * scale;
	}
}

/* Unused addresses of more than a quarter of what is used are cut out. */
static void place_bar(struct picture *p)
{
	const double least = 4; /* of a stretch */
	struct row *end = p->rows + p->n_rows, *next;
	double used = 0, shown = 0, cut_height = 26, left, y = p->top;
	size_t cuts = 0;

	for (struct row *row = p->rows; row < end; row++)
		used += row->region && !row->inside ? svg_length(row) : 0;
	for (struct row *row = p->rows; row < end; row++) {
		row->cut = !row->region && svg_length(row) > used / 4;
		cuts += row->cut;
		shown += row->inside || row->cut ? 0 : svg_length(row);
	}
	left = p->bottom - p->top - least * (double)(cuts + 1);
	if (cuts && cut_height > left / 2 / (double)cuts)
		cut_height = left / 2 / (double)cuts;
	left -= cut_height * (double)cuts;
	for (struct row *row = p->rows; row < end; row = next) {
		double height = row->cut ? cut_height : least;

		next = row + 1;
		if (row->cut) {
			row->bar_y = y;
			row->bar_height = height;
		} else {
			height += svg_length(row) * left / shown;
			for (; next < end && !next->cut; next++)
				height += next->inside ? 0 : svg_length(next) * left / shown;
			place_stretch(row, next, y, height);
		}
		y += height;
	}
}

/* How wide the columns of the rows are; the owner gets what is left. */
static void measure(struct picture *p)
{
	int total = (int)((ROW_WIDTH - 20) / EM), left, range;
	char buf[512];

	p->digits = 8;
	for (size_t i = 0; i < p->n_rows; i++) {
		const struct plan_region *r = p->rows[i].region;
		int n;

		while (p->digits < 16 && p->rows[i].last >> (4 * p->digits))
			p->digits++;
		if (!r)
			continue;
		svg_size_text(r->start, r->last, buf, sizeof(buf));
		n = svg_columns(buf);
		p->size_width = n > p->size_width ? n : p->size_width;
		n = svg_columns(plan_kind_word(r->kind));
		p->kind_width = n > p->kind_width ? n : p->kind_width;
		n = svg_columns(svg_from_text(r->mark, buf, sizeof(buf), false));
		p->from_width = n > p->from_width ? n : p->from_width;
	}
	range = 2 * (2 + p->digits) + 1 + 2; /* with the indentation of boot regions */
	left = total - range - p->size_width - p->kind_width - 4 * 2;
	if (p->from_width > left / 2)
		p->from_width = left / 2;
	p->owner_width = left - p->from_width;
}

int svg_layout(struct picture *p)
{
	int ret = make_rows(p);

	if (ret)
		return ret;
	measure(p);
	place_rows(p);
	place_bar(p);
	return 0;
}
