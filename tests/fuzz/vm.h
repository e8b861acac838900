/* fuzz/vm.h: the way of a text through loader and planner, and what must hold behind it. */
#ifndef FUZZ_VM_H
#define FUZZ_VM_H

#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/machine.h>

#include "fuzz.h"
#include "wellformed.h"

/* Where the files are that configs name; $FUZZ_FILES, else the current directory. */
static inline void vm_files(void)
{
	static bool done;
	const char *dir = getenv("FUZZ_FILES");

	must(done || !dir || !chdir(dir));
	done = true;
}

/* Whatever is printed goes here, and is looked at. */
struct printed {
	FILE *out;
	char *text;
	size_t len;
};

static inline FILE *printed_open(struct printed *p)
{
	*p = (struct printed){ 0 };
	p->out = open_memstream(&p->text, &p->len);
	must(p->out);
	return p->out;
}

/* As text it holds nothing that a terminal should not see; as JSON it is JSON. */
static inline void printed_close(struct printed *p, enum diag_format format)
{
	fclose(p->out);
	if (format == DIAG_JSON)
		must_be_json(p->text);
	for (size_t i = 0; i < p->len; i++)
		must((uint8_t)p->text[i] >= ' ' || strchr("\n\t", p->text[i]));
	free(p->text);
}

static const enum diag_format vm_formats[] = { DIAG_TEXT, DIAG_JSON };

static inline char *vm_printed(const struct config *config)
{
	struct printed p;

	config_print(config, printed_open(&p));
	fclose(p.out);
	return p.text;
}

static inline void vm_print_diags(const struct diags *diags)
{
	struct printed p;

	for (size_t i = 0; i < ARRAY_SIZE(vm_formats); i++) {
		diags_print(diags, printed_open(&p), vm_formats[i], false);
		printed_close(&p, vm_formats[i]);
	}
}

/* A plan without errors gives each address to one owner, and none beyond what there is. */
static inline void vm_check_plan(const struct plan *plan)
{
	const struct plan_region *before = NULL;
	uint64_t ram = 0;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		must(r->start <= r->last && r->space < SPACE_COUNT && r->owner[0]);
		must(r->space != SPACE_PIO || r->last <= 0xffff);
		must(r->space != SPACE_IRQ || r->last < plan->arch->irq_lines);
		must(r->device < (int)plan->n_devices);
		must(r->space != SPACE_PCI || r->last <= 0xff);
		if (r->space == SPACE_BAR) {
			const struct plan_region *in =
				plan_region_at(plan, SPACE_MEM, 1 << REGION_DEVICE, r->start);

			must(in && r->last <= in->last && !(r->start % (r->last - r->start + 1)));
		}
		if (r->kind == REGION_BOOT) {
			const struct plan_region *in = plan_region_at(
				plan, SPACE_MEM, 1 << REGION_RAM | 1 << REGION_ROM, r->start);

			must(in && r->last <= in->last);
			continue;
		}
		if (r->kind == REGION_RAM)
			ram += r->last - r->start + 1;
		/* Holes, reserved and platform ranges may lie under others: see plan.h. */
		if (r->kind != REGION_RAM && r->kind != REGION_ROM && r->kind != REGION_DEVICE)
			continue;
		must(!before || before->space < r->space ||
		     (before->space == r->space && before->last < r->start));
		before = r;
	}
	must(ram == plan->ram_size);
}

static inline void vm_draw(const struct plan *plan)
{
	struct printed p;

	must(!plan_print_svg(plan, printed_open(&p)));
	fflush(p.out);
	must_be_xml(p.text);
	printed_close(&p, DIAG_TEXT);
}

/* Plans for every backend of the config's arch, and for none; prints what there is to print. */
static inline void vm_plan(const struct vm_config *vm, size_t load_errors)
{
	size_t n;
	const struct hv_backend *const *backends = hv_backends(&n);

	for (size_t i = 0; i <= n; i++) {
		const struct hv_backend *backend = i < n ? backends[i] : NULL;
		struct diags *diags;
		struct printed p;
		struct plan *plan;

		if (backend && backend->arch != vm->arch)
			continue;
		diags = diags_new();
		must(diags);
		plan = plan_make(vm, machine_registry(), arch_find(vm->arch),
				 backend ? backend->name : NULL, backend ? &backend->caps : NULL,
				 diags);
		must(plan);
		vm_print_diags(diags);
		if (!load_errors && !diags_errors(diags)) {
			vm_check_plan(plan);
			if (!backend)
				vm_draw(plan);
			for (size_t k = 0; k < ARRAY_SIZE(vm_formats); k++) {
				plan_print(plan, printed_open(&p), vm_formats[k]);
				printed_close(&p, vm_formats[k]);
			}
		}
		plan_free(plan);
		diags_free(diags);
	}
}

/* What `vibevmm config` prints loads back to the same. */
static inline void vm_round_trip(const struct config *config)
{
	char *first = vm_printed(config), *second;
	struct diags *diags = diags_new();
	struct config *again = config_load_text("again.yaml", first, strlen(first),
						machine_registry(), NULL, diags);

	if (diags_errors(diags))
		diags_print(diags, stderr, DIAG_TEXT, false);
	must(again && !diags_errors(diags));
	second = vm_printed(again);
	if (strcmp(first, second) != 0)
		fprintf(stderr, "--- printed\n%s--- and again\n%s", first, second);
	must(!strcmp(first, second));
	free(first);
	free(second);
	config_free(again);
	diags_free(diags);
}

static inline void vm_explain(struct config *config)
{
	struct printed p;

	for (size_t i = 0; i < ARRAY_SIZE(vm_formats); i++) {
		must(!config_explain(config, NULL, printed_open(&p), vm_formats[i]));
		printed_close(&p, vm_formats[i]);
	}
}

/* All that is done with a config once it is loaded. Frees both. */
static inline void vm_check(struct config *config, struct diags *diags)
{
	size_t errors = diags_errors(diags);

	must(config || errors);
	vm_print_diags(diags);
	if (config) {
		vm_plan(config_vm(config), errors);
		if (!errors) {
			vm_explain(config);
			vm_round_trip(config);
		}
	}
	config_free(config);
	diags_free(diags);
}

static inline void vm_load(const char *text, size_t size)
{
	struct diags *diags = diags_new();

	must(diags);
	vm_check(config_load_text("vm.yaml", text, size, machine_registry(), NULL, diags), diags);
}

#endif
