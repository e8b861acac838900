/* svg.c: the plan as a picture: a bar of the address space to scale, and a row for each region.
 *
 * RAM of gigabytes and windows of 4 KiB don't fit one scale. So the bar on the left is to scale,
 * with long unused stretches cut out, and every region has a row of its own on the right, to which
 * a wedge leads from its place on the bar. Texts are of a fixed-width font and cut to the columns
 * they have, so that what is drawn can be computed and never overlaps. Low addresses are on top, as
 * in the table. What is cut off can be read in the tooltips.
 */
#include <stdlib.h>
#include <string.h>

#include <vibevmm/utf8.h>

#include "svg.h"

/* ---- Text ------------------------------------------------------------------------------------ */

/* XML 1.0 (2.2) has no control characters at all, and neither U+FFFE nor U+FFFF. */
void svg_put(FILE *out, const char *text, int max)
{
	bool cut = svg_columns(text) > max;
	size_t len = strlen(text), n;
	int used = 0;

	for (size_t i = 0; i < len; i += n) {
		uint32_t c = 0;
		int width;

		n = utf8_decode(text + i, len - i, &c);
		width = n ? (int)utf8_width(c) : 1;
		if (used + width > max - cut)
			break;
		used += width;
		if (!n || utf8_is_control(c) || c == 0xfffe || c == 0xffff) {
			fputc('?', out);
			n = n ? n : 1;
		} else if (c == '<' || c == '>' || c == '&') {
			fputs(c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;", out);
		} else {
			fwrite(text + i, 1, n, out);
		}
	}
	if (cut)
		fputs("\u2026", out);
}

void svg_text(struct picture *p, double x, double y, const char *class, bool end, const char *text,
	      int max)
{
	if (!*text || max < 1)
		return;
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s%s\">", x, y, class,
		end ? " end" : "");
	svg_put(p->out, text, max);
	fputs("</text>\n", p->out);
}

const char *svg_range_text(const struct picture *p, enum plan_space space, uint64_t start,
			   uint64_t last, char *buf, size_t len)
{
	char lines[PLAN_LINES_TEXT], function[PLAN_PCI_TEXT];
	int digits = plan_is_ports(space) ? 4 : p->digits;

	if (space == SPACE_IRQ)
		snprintf(buf, len, "%s", plan_lines_text(start, last, lines));
	else if (space == SPACE_PCI)
		snprintf(buf, len, "%s", plan_pci_text(start, function));
	else if (space == SPACE_PIO && start == last)
		snprintf(buf, len, "0x%0*llx", digits, (unsigned long long)start);
	else
		snprintf(buf, len, "0x%0*llx-0x%0*llx", digits, (unsigned long long)start, digits,
			 (unsigned long long)last);
	return buf;
}

const char *svg_owner_text(const struct plan_region *r, char *buf, size_t len)
{
	const char *slash = r->file ? strrchr(r->file, '/') : NULL;

	if (r->file)
		snprintf(buf, len, "%s", slash ? slash + 1 : r->file);
	else
		snprintf(buf, len, "%s%s%s", r->owner, r->name ? " " : "", r->name ? r->name : "");
	return buf;
}

void svg_tooltip(struct picture *p, const struct plan_region *r)
{
	char range[64], from[512], size[PLAN_TEXT];

	fputs("<title>", p->out);
	svg_put(p->out, r->owner, 100);
	if (r->name) {
		fputs(": ", p->out);
		svg_put(p->out, r->name, 100);
	}
	fprintf(p->out, "\n%s %s", plan_kind_word(r->kind),
		svg_range_text(p, r->space, r->start, r->last, range, sizeof(range)));
	if (r->space != SPACE_IRQ && r->space != SPACE_PCI)
		fprintf(p->out, ", %s", plan_size_text(r->last - r->start + 1, size));
	fputs("\n", p->out);
	if (r->file) {
		fputs("filled from ", p->out);
		svg_put(p->out, r->file, 500);
		fputs("\n", p->out);
	}
	if (!r->mark.source)
		fputs("from the layout of the architecture", p->out);
	else if (!r->mark.line)
		fputs("there by default", p->out);
	else
		svg_put(p->out, svg_from_text(r->mark, from, sizeof(from), true), 500);
	if (r->device >= 0)
		fputs(r->fixed ? ", at a fixed place" : ", placed by vibevmm", p->out);
	fputs("</title>\n", p->out);
}

/* ---- Header ---------------------------------------------------------------------------------- */

static const char style[] =
	"<style>\n"
	"text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
	"monospace;font-size:12px;fill:#1f2328}\n"
	".end{text-anchor:end}\n"
	"text.name{font-weight:bold;font-size:20px}\n"
	"text.head{font-weight:bold}\n"
	"text.dim{fill:#59636e}\n"
	"text.small{font-size:11px;fill:#59636e}\n"
	"text.onbar{font-size:11px;fill:#fff;text-anchor:middle}\n"
	".page{fill:#fff}\n"
	".ram{fill:#0072b2}.rom{fill:#8e5aa8}.boot{fill:#d55e00}.platform{fill:#b87f00}\n"
	".tables{fill:#b5407f}.device{fill:#009e73}.hole{fill:url(#hatch)}.reserved{fill:url(#"
	"dense)}\n"
	".band{fill-opacity:.13}.wedge{fill-opacity:.2}.hole.band,.reserved.band{fill-opacity:.35}"
	"\n"
	".hatch{stroke:#8c959f;stroke-width:1.5}.leader{fill:none}.boot-line{stroke:#d55e00}."
	"tables-line{stroke:#b5407f}.device-line{stroke:#009e73}"
	".platform-line{stroke:#b87f00}\n"
	".edge{fill:none;stroke:#8c959f}.note{fill:#8c959f}\n"
	"@media (prefers-color-scheme:dark){text{fill:#e6edf3}text.dim,text.small{fill:#9da7b1}\n"
	".page{fill:#0d1117}.ram{fill:#3b9edb}.rom{fill:#b98ad0}.boot{fill:#f08a4b}"
	".tables{fill:#e87fb8}.platform{fill:#d9a441}.device{fill:#2bbf94}\n"
	".band{fill-opacity:.2}.boot-line{stroke:#f08a4b}.device-line{stroke:#2bbf94}"
	".tables-line{stroke:#e87fb8}.platform-line{stroke:#d9a441}text.onbar{fill:#0d1117}}\n"
	"</style>\n"
	"<defs>\n"
	"<pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
	"patternTransform=\"rotate(45)\"><path d=\"M0 0V7\" class=\"hatch\"/></pattern>\n"
	"<pattern id=\"dense\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" "
	"patternTransform=\"rotate(-45)\"><path d=\"M0 0V4\" class=\"hatch\"/></pattern>\n"
	"</defs>\n";

/* "x86_64 on kvm, 1 vCPU, 128M of RAM, no interrupt controller, entry at 0x1000 in long mode" */
static void summary(const struct plan *plan, char *buf, size_t len)
{
	const struct vm_config *config = plan->config;
	uint64_t ram = config->memory_size ? config->memory_size : plan->ram_size;
	char size[24], entry[64] = "";

	if (plan->entry.set)
		snprintf(entry, sizeof(entry), ", entry at 0x%llx %s",
			 (unsigned long long)plan->entry.pc, plan_entry_words(plan->entry.mode));
	snprintf(buf, len, "%s%s%s, %u vCPU%s, %s of RAM, %s interrupt controller%s%s",
		 hv_arch_name(plan->arch->arch), plan->backend_name ? " on " : "",
		 plan->backend_name ? plan->backend_name : "", config->vcpus,
		 config->vcpus == 1 ? "" : "s",
		 ram ? svg_size_text(0, ram - 1, size, sizeof(size)) : "none",
		 plan->irqchip == HV_IRQCHIP_NONE ? "no" : plan_irqchip_word(plan->irqchip),
		 plan->pit ? " and 8254 timer" : "", entry);
}

/* Only the kinds that are there. */
static void legend(struct picture *p, double y)
{
	unsigned kinds = 0;
	double x = MARGIN;

	for (size_t i = 0; i < p->plan->n_regions; i++)
		kinds |= 1U << p->plan->regions[i].kind;
	for (unsigned kind = 0; kind <= REGION_TABLES; kind++) {
		const char *word = plan_kind_word((enum region_kind)kind);

		if (!(kinds & 1U << kind))
			continue;
		fprintf(p->out,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"14\" class=\"%s\"/>\n",
			x, y - 11, word);
		svg_text(p, x + 20, y, "key", false, word, 12);
		x += 20 + svg_columns(word) * EM + 22;
	}
}

/* The config's path, or its end if that is too long, or nothing. */
static const char *file_text(const struct source *source, int max)
{
	const char *slash = source ? strrchr(source->name, '/') : NULL;
	const char *name = !source				      ? ""
			   : slash && svg_columns(source->name) > max ? slash + 1
								      : source->name;

	return svg_columns(name) > max ? "" : name;
}

static void header(struct picture *p, double height)
{
	const struct source *source = p->plan->config->root->mark.source;
	int left =
		(int)((WIDTH - 2 * MARGIN - svg_columns(p->plan->config->name) * NAME_EM) / EM) - 2;
	char words[256];

	summary(p->plan, words, sizeof(words));
	fprintf(p->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" "
		"height=\"%.0f\" role=\"img\" aria-labelledby=\"title desc\">\n"
		"<title id=\"title\">Memory map of ",
		WIDTH, height, WIDTH, height);
	svg_put(p->out, p->plan->config->name, 100);
	fprintf(p->out, "</title>\n<desc id=\"desc\">%s</desc>\n%s", words, style);
	fprintf(p->out, "<rect width=\"%d\" height=\"%.0f\" class=\"page\"/>\n", WIDTH, height);
	svg_text(p, MARGIN, 40, "name", false, p->plan->config->name, 64);
	svg_text(p, WIDTH - MARGIN, 40, "dim", true, file_text(source, left), left);
	svg_text(p, MARGIN, 64, "sum", false, words, (int)((WIDTH - 2 * MARGIN) / EM));
	legend(p, 92);
}

/* ---- The map --------------------------------------------------------------------------------- */

/* A tinted band with a strong left edge: what every region's texts stand on. */
void svg_band(struct picture *p, double x, double y, double width, double height, const char *class)
{
	fprintf(p->out,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"page\"/>\n"
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"band %s\"/>\n"
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"5\" height=\"%.1f\" class=\"%s\"/>\n",
		x, y, width, height, x, y, width, height, class, x, y, height, class);
}

static void draw_edge(struct picture *p)
{
	fprintf(p->out,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" class=\"edge\"/>\n",
		BAR_X - 0.5, p->top - 0.5, BAR_WIDTH + 1, p->bottom - p->top + 1);
}

/* From a region's place on the bar to its row. */
static void wedge(struct picture *p, const struct row *row, const char *word)
{
	double x0 = BAR_X + BAR_WIDTH, x1 = ROW_X, mid = (x0 + x1) / 2;
	double y0 = row->bar_y, y1 = y0 + (row->bar_height > 1 ? row->bar_height : 1);
	double row_y1 = row->y + row->height;

	if (row->inside) {
		fprintf(p->out,
			"<path d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %d %.1f\" class=\"leader "
			"%s-line\"/>\n",
			x0, (y0 + y1) / 2, mid, (y0 + y1) / 2, mid, row->y + row->height / 2,
			ROW_X + INDENT, row->y + row->height / 2, word);
		return;
	}
	fprintf(p->out,
		"<path d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fV%.1f"
		"C%.1f %.1f %.1f %.1f %.1f %.1fZ\" class=\"wedge %s\"/>\n",
		x0, y0, mid, y0, mid, row->y, x1, row->y, row_y1, mid, row_y1, mid, y1, x0, y1,
		word);
}

static void draw_region(struct picture *p, const struct row *row)
{
	const struct plan_region *r = row->region;
	const char *word = plan_kind_word(r->kind);
	double x = ROW_X + (row->inside ? INDENT : 0), text_x = ROW_X + 14;
	double tall = row->bar_height > 1 ? row->bar_height : 1, base;
	char buf[512];

	fputs("<g>\n", p->out);
	svg_tooltip(p, r);
	fprintf(p->out, "<rect x=\"%d\" y=\"%.2f\" width=\"%d\" height=\"%.2f\" class=\"%s\"/>\n",
		BAR_X, row->bar_y, BAR_WIDTH, tall, word);
	wedge(p, row, word);
	svg_band(p, x, row->y, ROW_X + ROW_WIDTH - x, row->height, word);

	base = row->y + ROW_HEIGHT / 2.0 + 4;
	if (row->inside || row + 1 == p->rows + p->n_rows || !row[1].inside)
		base = row->y + row->height / 2 + 4;
	svg_range_text(p, SPACE_MEM, r->start, r->last, buf, sizeof(buf));
	svg_text(p, text_x + (row->inside ? 2 * EM : 0), base, "range", false, buf, 40);
	text_x += (2 * (2 + p->digits) + 1 + 2 + 2 + p->size_width) * EM;
	svg_size_text(r->start, r->last, buf, sizeof(buf));
	svg_text(p, text_x, base, "size", true, buf, p->size_width);
	text_x += 2 * EM;
	svg_text(p, text_x, base, "dim", false, word, p->kind_width);
	text_x += (p->kind_width + 2) * EM;
	svg_text(p, text_x, base, "head", false, svg_owner_text(r, buf, sizeof(buf)),
		 p->owner_width);
	svg_text(p, ROW_X + ROW_WIDTH - 6, base, "dim", true,
		 svg_from_text(r->mark, buf, sizeof(buf), false), p->from_width);
	fputs("</g>\n", p->out);
}

/* A jagged line across the bar. */
static void tear(struct picture *p, double y)
{
	fprintf(p->out, "<path d=\"M%d %.1f", BAR_X - 4, y);
	for (int i = 0; i < (BAR_WIDTH + 8) / 8; i++)
		fputs(i % 2 ? "l8 -3" : "l8 3", p->out);
	fputs("\" class=\"edge\"/>\n", p->out);
}

static void draw_gap(struct picture *p, const struct row *row)
{
	char size[24], text[40];

	if (row->cut) {
		fprintf(p->out,
			"<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" "
			"class=\"page\"/>\n",
			BAR_X - 4, row->bar_y, BAR_WIDTH + 8, row->bar_height);
		tear(p, row->bar_y + 1);
		tear(p, row->bar_y + row->bar_height - 4);
	}
	snprintf(text, sizeof(text), "%s unused",
		 svg_size_text(row->start, row->last, size, sizeof(size)));
	svg_text(p, ROW_X + 14, row->y + row->height / 2 + 4, "small", false, text, 60);
}

/* Addresses along the bar, where there is room, and sizes in it. */
static void draw_scale(struct picture *p)
{
	double last = p->top - 100;
	char buf[64];

	for (size_t i = 0; i < p->n_rows; i++) {
		const struct row *row = &p->rows[i];
		double y = row->bar_y, end = y + row->bar_height;
		size_t next = i + 1;
		bool stretch_ends;

		while (next < p->n_rows && p->rows[next].inside)
			next++;
		stretch_ends = next == p->n_rows || p->rows[next].cut;
		if (!row->region || row->inside)
			continue;
		if (y >= last + 13) {
			snprintf(buf, sizeof(buf), "0x%llx", (unsigned long long)row->start);
			svg_text(p, BAR_X - 8, y + 8, "small", true, buf, 18);
			last = y;
		}
		if (stretch_ends && end - 8 >= last + 13) {
			snprintf(buf, sizeof(buf), "0x%llx", (unsigned long long)row->last);
			svg_text(p, BAR_X - 8, end, "small", true, buf, 18);
			last = end - 8;
		}
		if (row->bar_height < 24 ||
		    (row->region->kind != REGION_RAM && row->region->kind != REGION_ROM &&
		     row->region->kind != REGION_DEVICE && row->region->kind != REGION_PLATFORM))
			continue;
		svg_size_text(row->start, row->last, buf, sizeof(buf));
		svg_text(p, BAR_X + BAR_WIDTH / 2.0, y + row->bar_height / 2 + 4, "onbar", false,
			 buf, 9);
	}
}

/* ---- All of it ------------------------------------------------------------------------------- */

int plan_print_svg(const struct plan *plan, FILE *out)
{
	struct picture p = { .out = out, .plan = plan, .top = 120 };
	int ret = svg_layout(&p);

	if (!ret)
		ret = svg_lists_layout(&p);
	if (ret)
		goto out;
	header(&p, p.lists_bottom + MARGIN);
	draw_edge(&p);
	for (size_t i = 0; i < p.n_rows; i++) {
		if (p.rows[i].region)
			draw_region(&p, &p.rows[i]);
		else
			draw_gap(&p, &p.rows[i]);
	}
	draw_scale(&p);
	svg_text(&p, MARGIN, p.bottom + 26, "small", false,
		 "Left: guest-physical addresses to scale; torn where unused ones are left out. "
		 "Right: every region, larger ones taller.",
		 (int)((WIDTH - 2 * MARGIN) / SMALL_EM));
	svg_lists_draw(&p);
	fputs("</svg>\n", out);
out:
	free(p.rows);
	free(p.items);
	return ret;
}
