/* linux.c: any bytes as a Linux or PVH kernel: what is accepted has its places in RAM, its entry in
 * what was placed, and is copied there. The first byte chooses how it is booted. */
#include <stdio.h>
#include <sys/mman.h>

#include "vm.h"

static void load_kernel(const struct plan *plan)
{
	const struct config_choice *boot = plan->config->boot;
	struct memory *memory = memory_new();
	struct hv_entry entry;
	struct err err = { 0 };

	must(memory);
	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->kind == REGION_RAM)
			must(!memory_add(memory, r->start, r->last - r->start + 1, 0, &err));
	}
	must(plan->entry.set && plan_region_at(plan, SPACE_MEM, 1 << REGION_RAM, plan->entry.pc));
	if (plan->tables.private)
		must(!plan->arch->write_tables(plan, memory, &err));
	must(!plan->registry->boots[boot->index]->load(plan, boot, memory, &err));
	must(!plan->arch->write_entry(plan, memory, &entry, &err));
	memory_free(memory);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	static const struct {
		enum arch arch;
		const char *text;
	} boots[] = {
		{ ARCH_X86_64, "linux: {unpack: auto, " },
		{ ARCH_X86_64, "linux: {unpack: never, " },
		{ ARCH_X86_64, "pvh: {" },
		{ ARCH_ARM64, "linux: {" },
	};
	size_t boot = size ? data[0] % ARRAY_SIZE(boots) : 0;
	struct diags *diags = diags_new();
	struct config *config;
	struct plan *plan;
	static int fd = -1;
	char text[160];
	int len;

	if (fd < 0)
		fd = memfd_create("kernel", MFD_CLOEXEC);
	must(diags && fd >= 0 && !ftruncate(fd, 0));
	must(!size || pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1);
	len = snprintf(text, sizeof(text),
		       "arch: %s\nmemory: 64M\nboot: {%skernel: /proc/self/fd/%d}}\n",
		       hv_arch_name(boots[boot].arch), boots[boot].text, fd);
	config = config_load_text("vm.yaml", text, (size_t)len, machine_registry(), NULL, diags);
	must(config && !diags_errors(diags));
	plan = plan_make(config_vm(config), machine_registry(), arch_find(boots[boot].arch), NULL,
			 NULL, diags);
	must(plan);
	vm_print_diags(diags);
	if (!diags_errors(diags)) {
		vm_check_plan(plan);
		load_kernel(plan);
	}
	plan_free(plan);
	config_free(config);
	diags_free(diags);
}
