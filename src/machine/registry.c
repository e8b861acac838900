/* registry.c: the rows of this build, and the way from a file to a plan. */
#include <stdio.h>
#include <string.h>

#include <vibevmm/boot.h>
#include <vibevmm/device.h>
#include <vibevmm/machine.h>
#include <vibevmm/timeline.h>

const struct registry *machine_registry(void)
{
	static struct registry registry;

	registry.devices = device_rows(&registry.n_devices);
	registry.boots = boot_rows(&registry.n_boots);
	return &registry;
}

const struct hv_backend *machine_backend(const struct vm_config *config)
{
	if (!strcmp(config->backend, "auto"))
		return hv_backend_auto(config->arch);
	return hv_backend_find(config->backend, config->arch);
}

/* What the planner may choose by what this host has, where the config leaves it open. What the
 * config asks for is planned as on any host, and refused by the checks before a run. */
static void narrow(const struct vm_config *vm, const struct hv_backend *backend,
		   struct hv_caps *caps)
{
	const unsigned choice = HV_CAP_GICV2 | HV_CAP_GICV3 | HV_CAP_ITS;
	struct hv_caps here;

	if (!backend->probe || !(caps->caps & choice) || backend->probe(&here, NULL))
		return;
	/* Nothing to choose from is not a choice: the checks say what is missing. */
	if (vm->platform.gic == GIC_AUTO && (here.caps & (HV_CAP_GICV2 | HV_CAP_GICV3)))
		caps->caps &= ~choice | here.caps;
	else
		caps->caps &= ~(unsigned)HV_CAP_ITS | here.caps;
}

static void load_and_plan(const struct config_request *request, bool here, struct diags *diags,
			  struct config **config, struct plan **plan)
{
	struct hv_caps caps = { 0 };
	const struct registry *registry = machine_registry();
	const struct hv_backend *backend;
	const struct vm_config *vm;
	char why[128];

	*plan = NULL;
	*config = config_load(request, registry, diags);
	if (!*config)
		return;
	timeline_mark(TIMELINE_LOADED);
	vm = config_vm(*config);
	if (request->tests && machine_skip(vm, here, why, sizeof(why)))
		return;
	backend = machine_backend(vm);
	if (backend)
		caps = backend->caps;
	if (backend && here)
		narrow(vm, backend, &caps);
	*plan = plan_make(vm, registry, arch_find(vm->arch), backend ? backend->name : NULL,
			  backend ? &caps : NULL, diags);
	timeline_mark(TIMELINE_PLANNED);
	if (!*plan)
		diag_error(diags, MARK_NONE, "out of memory");
}

void machine_plan(const struct config_request *request, bool here, struct diags *diags,
		  struct config **config, struct plan **plan)
{
	char context[320];

	if (request->case_name) {
		snprintf(context, sizeof(context), "the case '%s'", request->case_name);
		diags_context(diags, context);
	}
	load_and_plan(request, here, diags, config, plan);
	diags_context(diags, NULL);
}
