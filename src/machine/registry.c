/* registry.c: the rows of this build, and the way from a file to a plan. */
#include <string.h>

#include <vibevmm/boot.h>
#include <vibevmm/device.h>
#include <vibevmm/machine.h>

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

void machine_plan(const struct config_request *request, struct diags *diags, struct config **config,
		  struct plan **plan)
{
	const struct registry *registry = machine_registry();
	const struct hv_backend *backend;
	const struct vm_config *vm;

	*plan = NULL;
	*config = config_load(request, registry, diags);
	if (!*config)
		return;
	vm = config_vm(*config);
	backend = machine_backend(vm);
	*plan = plan_make(vm, registry, arch_find(vm->arch), backend ? backend->name : NULL,
			  backend ? &backend->caps : NULL, diags);
	if (!*plan)
		diag_error(diags, MARK_NONE, "out of memory");
}
