/* build.c: stage 3: from a plan to a machine that is ready to run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	m->caps = caps.caps;
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

static void console_command(void *arg, enum console_command command)
{
	switch (command) {
	case CONSOLE_QUIT:
		machine_quit(arg);
		break;
	case CONSOLE_POWER:
		machine_press(arg);
		break;
	}
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

	int ret = panic_init(m, err);

	if (ret)
		return ret;
	m->loop = loop_new();
	m->console = m->loop ? console_new(m->loop, &config) : NULL;
	if (!m->console)
		return err_errno(err, ENOMEM, STATUS_OSERR, "console");
	machine_host_init(m);
	watch_init(m);
	return 0;
}

static int build_vcpus(struct machine *m, struct err *err)
{
	m->n_vcpus = m->plan->config->vcpus;
	m->vcpus = calloc(m->n_vcpus, sizeof(*m->vcpus));
	m->past = calloc(m->plan->n_devices ? m->plan->n_devices : 1, sizeof(*m->past));
	m->kept = calloc(m->plan->n_devices + 1, sizeof(*m->kept));
	if (!m->vcpus || !m->past || !m->kept)
		return err_errno(err, ENOMEM, STATUS_OSERR, "vCPUs");
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		m->vcpus[i].machine = m;
		m->vcpus[i].index = i;
	}
	return 0;
}

/* The device with a power button that reaches the guest: one without a line doesn't. */
static int find_button(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct plan_device *dev = &plan->devices[i];
		bool line = false;

		for (unsigned c = 0; c < dev->n_claims; c++)
			line |= dev->claims[c].claim->space == SPACE_IRQ &&
				dev->claims[c].connected;
		if (dev->row->power_button && line)
			return (int)i;
	}
	return -1;
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
	pthread_mutex_init(&m->lines_lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	bus_init(&m->bus[HV_MMIO]);
	bus_init(&m->bus[HV_PIO]);
	m->button = find_button(plan);

	ret = check_host(m, err);
	if (!ret)
		ret = build_vcpus(m, err);
	if (!ret)
		ret = build_host(m, err);
	if (!ret)
		ret = machine_power_on(m, err);
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
	if (m->console) {
		machine_power_off(m);
		for (size_t i = 0; i < m->plan->n_devices; i++) {
			if (m->kept[i].what)
				m->kept[i].drop(m->kept[i].what);
		}
		console_free(m->console);
	}
	loop_free(m->loop);
	free(m->panic_heard);
	free(m->past);
	free(m->kept);
	free(m->vcpus);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lines_lock);
	pthread_mutex_destroy(&m->stray.lock);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
