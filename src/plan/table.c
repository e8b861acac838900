/* table.c: the plan as a table for people. */
#include <string.h>

#include "planner.h"

enum column { RANGE, SIZE, KIND, OWNER, CLAIM, FROM, COLUMNS };

/* A section is gone through twice: once to measure, with `out` NULL, and once to print. */
struct table {
	FILE *out;
	int width[COLUMNS];
};

static void table_row(struct table *t, const char *const cells[COLUMNS])
{
	int pending = 2;

	for (int i = 0; i < COLUMNS; i++) {
		int len = (int)strlen(cells[i]);

		if (!t->out) {
			if (len > t->width[i])
				t->width[i] = len;
			continue;
		}
		/* Blanks are owed until something follows them. */
		if (i == SIZE)
			pending += t->width[i] - len;
		if (len) {
			fprintf(t->out, "%*s%s", pending, "", cells[i]);
			pending = 0;
		}
		if (i != SIZE)
			pending += t->width[i] - len;
		if (t->width[i])
			pending += 2;
	}
	if (t->out)
		fputc('\n', t->out);
}

const char *plan_kind_word(enum region_kind kind)
{
	static const char *const words[] = {
		[REGION_RAM] = "ram",		[REGION_ROM] = "rom",
		[REGION_RESERVED] = "reserved", [REGION_HOLE] = "hole",
		[REGION_PLATFORM] = "platform", [REGION_DEVICE] = "device",
		[REGION_BOOT] = "boot",		[REGION_TABLES] = "tables",
	};

	return words[kind];
}

const char *plan_irqchip_word(enum hv_irqchip irqchip)
{
	return irqchip == HV_IRQCHIP_NONE ? "none" : irqchip == HV_IRQCHIP_FULL ? "full" : "split";
}

const char *plan_mode_word(enum entry_mode mode)
{
	static const char *const words[] = { "real", "protected", "long", "el1", "reset" };

	return words[mode];
}

const char *plan_entry_words(enum entry_mode mode)
{
	static const char *const words[] = {
		[ENTRY_REAL] = "in real mode",	    [ENTRY_PROTECTED] = "in protected mode",
		[ENTRY_LONG] = "in long mode",	    [ENTRY_EL1] = "in EL1",
		[ENTRY_RESET] = "as after a reset",
	};

	return words[mode];
}

static const char *from_text(struct mark mark, char *buf, size_t len)
{
	if (!mark.source)
		return "layout";
	if (!mark.line)
		return "default";
	snprintf(buf, len, "%s:%u", mark.source->name, mark.line);
	return buf;
}

static void region_row(struct table *t, const struct plan_region *r, int digits)
{
	const char *kind = plan_kind_word(r->kind);
	char range[64], size[24], lines[PLAN_LINES_TEXT], from[512];
	bool counted = r->space == SPACE_IRQ || r->space == SPACE_PCI;
	bool inside = r->kind == REGION_BOOT || r->kind == REGION_TABLES || plan_is_bar(r->space);
	const char *cells[COLUMNS] = { range, size, kind, r->owner, r->name ? r->name : "" };
	unsigned long long start = r->start, last = r->last;

	if (r->space == SPACE_IRQ)
		snprintf(range, sizeof(range), "%3s", plan_lines_text(start, last, lines));
	else if (r->space == SPACE_PCI)
		plan_pci_text(start, range);
	else if (r->space == SPACE_PIO && start == last)
		snprintf(range, sizeof(range), "0x%0*llx", digits, start);
	else
		snprintf(range, sizeof(range), "%s0x%0*llx-0x%0*llx", inside ? "  " : "", digits,
			 start, digits, last);
	config_size_text(r->last - r->start + 1, size, sizeof(size));
	if (counted)
		cells[SIZE] = "";
	if (!strcmp(r->owner, kind))
		cells[OWNER] = "";
	if (r->file)
		cells[OWNER] = r->file;
	cells[FROM] = from_text(r->mark, from, sizeof(from));
	table_row(t, cells);
}

static int hex_digits(uint64_t v)
{
	int n = 1;

	while (v >>= 4)
		n++;
	return n;
}

static void section(const struct plan *plan, FILE *out, enum plan_space space, const char *title)
{
	int digits = space == SPACE_PIO ? 4 : 8;
	struct plan_walk walk = { .plan = plan, .space = space };
	const struct plan_region *r;
	struct table t = { 0 };
	size_t n = 0;

	while ((r = plan_walk_next(&walk))) {
		n++;
		if (hex_digits(r->last) > digits)
			digits = hex_digits(r->last);
	}
	if (!n)
		return;
	fprintf(out, "\n%s\n", title);
	for (int pass = 0; pass < 2; pass++) {
		t.out = pass ? out : NULL;
		walk = (struct plan_walk){ .plan = plan, .space = space };
		while ((r = plan_walk_next(&walk)))
			region_row(&t, r, digits);
	}
}

static void input_and_unconnected(const struct plan *plan, FILE *out)
{
	struct table t = { 0 };

	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *dev = &plan->devices[i];
		char from[512];

		for (unsigned k = 0; k < dev->n_claims; k++) {
			if (dev->claims[k].connected && dev->claims[k].claim->space == SPACE_INPUT)
				fprintf(out, "\nstandard input\n  %s  %s\n", dev->label,
					from_text(dev->choice->mark, from, sizeof(from)));
		}
	}
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < plan->n_devices; i++) {
			const struct plan_device *dev = &plan->devices[i];

			for (unsigned k = 0; k < dev->n_claims; k++) {
				const struct claim *claim = dev->claims[k].claim;
				const char *cells[COLUMNS] = { dev->label, "", claim->name,
							       "",	   "", "" };

				if (dev->claims[k].connected)
					continue;
				cells[OWNER] = claim->space == SPACE_IRQ ? "no interrupt controller"
									 : "not the reader";
				if (pass && !t.out)
					fprintf(out, "\nnot connected\n");
				t.out = pass ? out : NULL;
				table_row(&t, cells);
			}
		}
	}
}

static void print_table(const struct plan *plan, FILE *out)
{
	const struct vm_config *config = plan->config;
	uint64_t ram = config->memory_size ? config->memory_size : plan->ram_size;
	char size[24], text[PLAN_TEXT];

	fprintf(out, "%s: %s", config->name, hv_arch_name(plan->arch->arch));
	if (plan->backend_name)
		fprintf(out, " on %s", plan->backend_name);
	fprintf(out, ", %u vCPU%s", config->vcpus, config->vcpus == 1 ? "" : "s");
	if (plan->topology.sockets > 1 || plan->topology.threads > 1)
		fprintf(out, " (%s)", plan_topology_text(&plan->topology, text));
	fprintf(out, ", %s of RAM, ", config_size_text(ram, size, sizeof(size)));
	if (plan->irqchip == HV_IRQCHIP_NONE)
		fprintf(out, "no interrupt controller\n");
	else
		fprintf(out, "%s interrupt controller%s\n", plan_irqchip_word(plan->irqchip),
			plan->pit ? " and 8254 timer" : "");
	if (plan->entry.set)
		fprintf(out, "entry at 0x%llx %s\n", (unsigned long long)plan->entry.pc,
			plan_entry_words(plan->entry.mode));
	section(plan, out, SPACE_MEM, "guest-physical memory");
	section(plan, out, SPACE_PIO, "ports");
	section(plan, out, SPACE_PCI, "PCI functions");
	section(plan, out, SPACE_IRQ, "interrupt lines");
	input_and_unconnected(plan, out);
}

void plan_print(const struct plan *plan, FILE *out, enum diag_format format)
{
	if (format == DIAG_JSON)
		plan_print_json(plan, out);
	else
		print_table(plan, out);
}
