/* json.c: the plan as JSON for programs. */
#include <vibevmm/json.h>

#include "planner.h"

static void member(FILE *out, const char *key, const char *value)
{
	fprintf(out, "\"%s\": ", key);
	json_quote(out, value);
	fputs(", ", out);
}

static void region(FILE *out, const struct plan_region *r)
{
	static const char *const spaces[] = {
		[SPACE_MEM] = "memory",		 [SPACE_PIO] = "ports",
		[SPACE_IRQ] = "interrupt lines", [SPACE_PCI] = "PCI functions",
		[SPACE_BAR] = "PCI BARs",	 [SPACE_PORTS_BAR] = "PCI I/O BARs",
	};
	char function[PLAN_PCI_TEXT];

	fputc('{', out);
	member(out, "space", spaces[r->space]);
	fprintf(out, "\"start\": %llu, \"end\": %llu, \"size\": %llu, ",
		(unsigned long long)r->start, (unsigned long long)r->last,
		(unsigned long long)(r->last - r->start + 1));
	if (r->space == SPACE_PCI)
		member(out, "function", plan_pci_text(r->start, function));
	member(out, "kind", plan_kind_word(r->kind));
	member(out, "owner", r->owner);
	member(out, "claim", r->name);
	member(out, "image", r->file);
	member(out, "file", r->mark.source ? r->mark.source->name : NULL);
	fprintf(out, "\"line\": %u, \"fixed\": %s}", r->mark.line, r->fixed ? "true" : "false");
}

static void slots(const struct plan *plan, FILE *out)
{
	const char *separator = "";

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->kind != REGION_RAM && r->kind != REGION_ROM)
			continue;
		fprintf(out, "%s\n    {\"start\": %llu, \"size\": %llu, \"readonly\": %s}",
			separator, (unsigned long long)r->start,
			(unsigned long long)(r->last - r->start + 1),
			r->kind == REGION_ROM ? "true" : "false");
		separator = ",";
	}
}

static void unconnected(const struct plan *plan, FILE *out)
{
	const char *separator = "";

	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *dev = &plan->devices[i];

		for (unsigned k = 0; k < dev->n_claims; k++) {
			if (dev->claims[k].connected)
				continue;
			fprintf(out, "%s\n    {", separator);
			member(out, "device", dev->label);
			fputs("\"claim\": ", out);
			json_quote(out, dev->claims[k].claim->name);
			fputc('}', out);
			separator = ",";
		}
	}
}

static const char *input_reader(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *dev = &plan->devices[i];

		for (unsigned k = 0; k < dev->n_claims; k++) {
			if (dev->claims[k].connected && dev->claims[k].claim->space == SPACE_INPUT)
				return dev->label;
		}
	}
	return NULL;
}

void plan_print_json(const struct plan *plan, FILE *out)
{
	fputs("{\n  ", out);
	member(out, "name", plan->config->name);
	member(out, "arch", hv_arch_name(plan->arch->arch));
	member(out, "backend", plan->backend_name);
	fprintf(out, "\"vcpus\": %u, \"ram\": %llu,\n  ", plan->config->vcpus,
		(unsigned long long)plan->ram_size);
	fprintf(out, "\"topology\": {\"sockets\": %u, \"cores\": %u, \"threads\": %u},\n  ",
		plan->topology.sockets, plan->topology.cores, plan->topology.threads);
	member(out, "irqchip", plan_irqchip_word(plan->irqchip));
	fprintf(out, "\"pit\": %s, ", plan->pit ? "true" : "false");
	fputs("\"input\": ", out);
	json_quote(out, input_reader(plan));
	fputs(",\n  \"entry\": ", out);
	if (plan->entry.set) {
		fputc('{', out);
		member(out, "mode", plan_mode_word(plan->entry.mode));
		fprintf(out, "\"address\": %llu, \"tables\": %llu}",
			(unsigned long long)plan->entry.pc, (unsigned long long)plan->entry.tables);
	} else {
		fputs("null", out);
	}
	fputs(",\n  \"regions\": [", out);
	for (size_t i = 0; i < plan->n_regions; i++) {
		fputs(i ? ",\n    " : "\n    ", out);
		region(out, &plan->regions[i]);
	}
	fputs("\n  ],\n  \"slots\": [", out);
	slots(plan, out);
	fputs("\n  ],\n  \"unconnected\": [", out);
	unconnected(plan, out);
	fputs("\n  ]\n}\n", out);
}
