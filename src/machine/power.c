/* power.c: what a VM has from one power-on to the next: hypervisor's VM, memory, devices, image. */
#include <errno.h>
#include <stdlib.h>

#include <vibevmm/boot.h>
#include <vibevmm/bytes.h>
#include <vibevmm/image.h>
#include <vibevmm/log.h>
#include <vibevmm/pci.h>

#include "machine_private.h"

/* Another process works on guest memory for a device. */
static bool is_shared(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		if (plan->devices[i].row->shares_memory)
			return true;
	}
	return false;
}

static int build_memory(struct machine *m, struct err *err)
{
	unsigned ram_flags = is_shared(m->plan) ? MEMORY_SHARED : 0;
	const struct memory_slot *slots;
	size_t n;
	int ret;

	m->memory = memory_new();
	if (!m->memory)
		return err_errno(err, ENOMEM, STATUS_OSERR, "guest memory");
	m->host.memory = m->memory;
	for (size_t i = 0; i < m->plan->n_regions; i++) {
		const struct plan_region *r = &m->plan->regions[i];
		bool rom = r->kind == REGION_ROM;

		if (r->space != SPACE_MEM || (!rom && r->kind != REGION_RAM))
			continue;
		ret = memory_add(m->memory, r->start, r->last - r->start + 1,
				 rom ? MEMORY_READONLY : ram_flags, err);
		if (!ret && rom)
			ret = image_load_file(r->file, r->file_size, m->memory, r->start, err);
		if (ret)
			return ret;
	}
	n = memory_slots(m->memory, &slots);
	for (size_t i = 0; i < n; i++) {
		log_debug("memory slot %zu: %#llx-%#llx%s", i, (unsigned long long)slots[i].gpa,
			  (unsigned long long)(slots[i].gpa + slots[i].size - 1),
			  slots[i].flags & MEMORY_READONLY ? ", read-only" : "");
		ret = m->backend->mem_map(m->vm, slots[i].gpa, slots[i].size, slots[i].host,
					  slots[i].flags, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int build_devices(struct machine *m, struct err *err)
{
	const struct plan *plan = m->plan;

	if (plan_find_role(plan, ROLE_PCI)) {
		m->host.pci = pci_bus_new();
		if (!m->host.pci)
			return err_errno(err, ENOMEM, STATUS_OSERR, "PCI bus");
	}
	m->devices = calloc(plan->n_devices ? plan->n_devices : 1, sizeof(*m->devices));
	if (!m->devices)
		return err_errno(err, ENOMEM, STATUS_OSERR, "devices");
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *pd = &plan->devices[i];
		struct device *dev = &m->devices[i];
		int ret = device_create(dev, pd, &m->host, err);

		if (ret)
			return ret;
		m->n_devices++;
		log_debug("device %s is ready", pd->label);
		for (unsigned c = 0; c < pd->n_claims && !ret; c++) {
			enum plan_space space = pd->claims[c].claim->space;

			if (space == SPACE_MEM)
				ret = bus_add(&m->bus[HV_MMIO], dev, &pd->claims[c]);
			else if (space == SPACE_PIO)
				ret = bus_add(&m->bus[HV_PIO], dev, &pd->claims[c]);
		}
		if (ret)
			return err_errno(err, -ret, STATUS_BUG, "bus window of %s", pd->label);
	}
	return 0;
}

static int build_image(struct machine *m, struct err *err)
{
	const struct plan *plan = m->plan;
	const struct config_choice *boot = plan->config->boot;
	int ret = 0;

	if (plan->tables.wanted && plan->arch->write_tables)
		ret = plan->arch->write_tables(plan, m->memory, err);
	if (!ret)
		ret = plan->registry->boots[boot->index]->load(plan, boot, m->memory, err);
	return ret ? ret : plan->arch->write_entry(plan, m->memory, &m->entry, err);
}

/* How many address bits it takes to reach everything. */
static unsigned address_bits(const struct plan *plan)
{
	unsigned bits = 0;

	for (size_t i = 0; i < plan->n_regions; i++) {
		while (plan->regions[i].space == SPACE_MEM && bits < 64 &&
		       plan->regions[i].last >> bits)
			bits++;
	}
	return bits;
}

/* As many as it takes to reach the highest that a device has. */
static unsigned irq_lines(const struct plan *plan)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->space == SPACE_IRQ && r->last >= lines)
			lines = r->last + 1;
	}
	return (unsigned)lines;
}

int machine_power_on(struct machine *m, struct err *err)
{
	struct hv_vm_config config = {
		.vcpus = m->plan->config->vcpus,
		.topology = m->plan->topology,
		.irqchip = m->plan->irqchip,
		.pit = m->plan->pit,
		.gic = m->plan->gic,
		.irq_lines = irq_lines(m->plan),
		.pmu = m->plan->config->platform.pmu,
		.sve = m->plan->config->platform.sve,
		.phys_bits = address_bits(m->plan),
		.coalesced = machine_late_write,
		.coalesced_arg = m,
	};
	int ret = m->backend->vm_create(&config, &m->vm, err);

	timeline_mark(TIMELINE_BACKEND);
	if (!ret)
		ret = build_memory(m, err);
	if (!ret)
		ret = m->backend->platform_create(m->vm, err);
	if (!ret)
		ret = build_devices(m, err);
	if (!ret)
		ret = build_image(m, err);
	timeline_mark(TIMELINE_IMAGE);
	return ret;
}

void machine_power_off(struct machine *m)
{
	loop_timer_clear(m->loop, &m->drain);
	m->gathering = 0;
	watch_drop_lines(m);
	while (m->n_devices) {
		struct device *dev = &m->devices[--m->n_devices];

		m->past[m->n_devices].reads += dev->reads;
		m->past[m->n_devices].writes += dev->writes;
		device_destroy(dev);
	}
	free(m->devices);
	m->devices = NULL;
	pci_bus_free(m->host.pci);
	m->host.pci = NULL;
	console_unlisten(m->console);
	for (size_t space = 0; space < ARRAY_SIZE(m->bus); space++) {
		bus_free(&m->bus[space]);
		bus_init(&m->bus[space]);
		m->late_hints[space] = (struct bus_hint){ 0 };
		for (unsigned i = 0; i < m->n_vcpus; i++)
			m->vcpus[i].hints[space] = (struct bus_hint){ 0 };
	}
	if (m->vm)
		m->backend->vm_destroy(m->vm);
	m->vm = NULL;
	memory_free(m->memory);
	m->memory = NULL;
}
