/* build.c: stage 3: from a plan to a machine that is ready to run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/boot.h>
#include <vibevmm/image.h>
#include <vibevmm/log.h>

#include "machine_private.h"

/* The plan was made against what the backend can do at best; this host may do less. */
static int check_host(struct machine *m, struct err *err)
{
	struct findings findings = { 0 };
	const struct finding *missing;
	struct hv_caps caps;
	int ret = m->backend->probe(&caps, err);

	if (ret)
		return ret;
	doctor_caps(m->plan, m->backend, &caps, &findings);
	doctor_memory(m->plan, &findings);
	missing = findings_missing(&findings);
	if (findings.failed)
		ret = err_errno(err, ENOMEM, STATUS_OSERR, "machine");
	else if (missing)
		ret = err_set(err, ENOTSUP, STATUS_UNAVAILABLE, "%s", missing->text);
	findings_free(&findings);
	return ret;
}

static int load_rom(struct machine *m, const struct plan_region *rom, struct err *err)
{
	struct image image;
	int ret = image_reopen(&image, rom->file, rom->file_size, err);

	if (ret)
		return ret;
	ret = image_load(&image, 0, m->memory, rom->start, image.size, err);
	image_close(&image);
	return ret;
}

static int build_memory(struct machine *m, struct err *err)
{
	const struct memory_slot *slots;
	size_t n;
	int ret;

	m->memory = memory_new();
	if (!m->memory)
		return err_errno(err, ENOMEM, STATUS_OSERR, "guest memory");
	for (size_t i = 0; i < m->plan->n_regions; i++) {
		const struct plan_region *r = &m->plan->regions[i];
		bool rom = r->kind == REGION_ROM;

		if (r->space != SPACE_MEM || (!rom && r->kind != REGION_RAM))
			continue;
		ret = memory_add(m->memory, r->start, r->last - r->start + 1,
				 rom ? MEMORY_READONLY : 0, err);
		if (!ret && rom)
			ret = load_rom(m, r, err);
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

static struct machine *machine_of(struct device_host *host)
{
	return (struct machine *)((char *)host - offsetof(struct machine, host));
}

static void host_irq_set(struct device_host *host, struct device *dev, unsigned claim, bool level)
{
	struct machine *m = machine_of(host);

	m->backend->irq_set(m->vm, (unsigned)device_place(dev, claim)->start, level);
}

static void host_guest_exit(struct device_host *host, struct device *dev, uint64_t status)
{
	struct machine *m = machine_of(host);

	if (machine_stop(m, STOP_EXIT, status))
		m->stop_dev = dev;
}

static void host_guest_reset(struct device_host *host, struct device *dev)
{
	struct machine *m = machine_of(host);

	if (machine_stop(m, STOP_RESET, 0))
		m->stop_dev = dev;
}

static void console_command(void *arg, enum console_command command)
{
	if (command == CONSOLE_QUIT)
		machine_quit(arg);
}

static int build_host(struct machine *m, struct err *err)
{
	struct console_config config = {
		.in = m->options.in,
		.out = m->options.out,
		.escape = m->options.in >= 0 && isatty(m->options.in),
		.command = console_command,
		.arg = m,
	};

	m->loop = loop_new();
	m->console = m->loop ? console_new(m->loop, &config) : NULL;
	if (!m->console)
		return err_errno(err, ENOMEM, STATUS_OSERR, "console");
	m->host = (struct device_host){
		.irq_set = host_irq_set,
		.guest_exit = host_guest_exit,
		.guest_reset = host_guest_reset,
		.loop = m->loop,
		.console = m->console,
		.memory = m->memory,
	};
	return 0;
}

static int build_devices(struct machine *m, struct err *err)
{
	const struct plan *plan = m->plan;

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
	int ret = plan->registry->boots[boot->index]->load(plan, boot, m->memory, err);

	return ret ? ret : plan->arch->write_entry(plan, m->memory, &m->entry, err);
}

static int build_vcpus(struct machine *m, struct err *err)
{
	m->n_vcpus = m->plan->config->vcpus;
	m->vcpus = calloc(m->n_vcpus, sizeof(*m->vcpus));
	if (!m->vcpus)
		return err_errno(err, ENOMEM, STATUS_OSERR, "vCPUs");
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		m->vcpus[i].machine = m;
		m->vcpus[i].index = i;
	}
	return 0;
}

/* Planning works for any backend; running, for those whose code is here. */
static int not_in_build(const struct vm_config *config, const struct hv_backend *backend,
			struct err *err)
{
	const struct hv_backend *other = hv_backend_auto(config->arch);
	const char *arch = hv_arch_name(config->arch);

	if (!other->probe)
		return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
			       "this build cannot run %s guests: it has no code for %s (%s); "
			       "`vibevmm backends` lists what it has",
			       arch, backend ? backend->name : config->backend,
			       backend ? backend->doc : "an unknown backend");
	return err_set(err, ENOTSUP, STATUS_UNAVAILABLE,
		       "backend '%s' (%s) is not in this build; with `backend: %s` the VM runs "
		       "here",
		       config->backend, backend ? backend->doc : "an unknown one", other->name);
}

int machine_build(const struct plan *plan, const struct machine_options *options,
		  struct machine **machine, struct err *err)
{
	const struct hv_backend *backend = machine_backend(plan->config);
	struct hv_vm_config vm_config = {
		.vcpus = plan->config->vcpus,
		.irqchip = plan->irqchip,
		.pit = plan->pit,
	};
	struct machine *m;
	int ret;

	if (!backend || !backend->probe)
		return not_in_build(plan->config, backend, err);
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_errno(err, ENOMEM, STATUS_OSERR, "machine");
	m->plan = plan;
	m->options = *options;
	m->backend = backend;
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->stray.lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	bus_init(&m->bus[HV_MMIO]);
	bus_init(&m->bus[HV_PIO]);

	ret = check_host(m, err);
	if (!ret)
		ret = backend->vm_create(&vm_config, &m->vm, err);
	if (!ret)
		ret = build_memory(m, err);
	if (!ret)
		ret = backend->platform_create(m->vm, err);
	if (!ret)
		ret = build_host(m, err);
	if (!ret)
		ret = build_devices(m, err);
	if (!ret)
		ret = build_image(m, err);
	if (!ret)
		ret = build_vcpus(m, err);
	if (ret)
		machine_free(m);
	else
		*machine = m;
	return ret;
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	if (m->loop)
		loop_stop(m->loop);
	while (m->n_devices)
		device_destroy(&m->devices[--m->n_devices]);
	free(m->devices);
	if (m->console)
		console_free(m->console);
	if (m->loop)
		loop_free(m->loop);
	if (m->vm)
		m->backend->vm_destroy(m->vm);
	memory_free(m->memory);
	bus_free(&m->bus[HV_MMIO]);
	bus_free(&m->bus[HV_PIO]);
	free(m->vcpus);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->stray.lock);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
