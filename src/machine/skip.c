/* skip.c: whether this host has what a test of a config asks for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine_private.h"

/* The backend that a condition names; NULL: it has no row for the VM's architecture. */
static const struct hv_backend *backend_of(const struct vm_config *vm)
{
	const char *name = vm->skip_unless.backend;

	if (!name)
		return machine_backend(vm);
	return strcmp(name, "auto") ? hv_backend_find(name, vm->arch) : hv_backend_auto(vm->arch);
}

/* Whether the hypervisor that the conditions are about doesn't have it. */
static bool lacks_hypervisor(const struct vm_config *vm, char *why, size_t len)
{
	const struct hv_backend *backend = backend_of(vm);
	unsigned word = vm->skip_unless.capability;
	struct err err = { 0 };
	struct hv_caps caps;

	if (!backend || !backend->probe)
		snprintf(why, len, "this build can't run %s guests with %s", hv_arch_name(vm->arch),
			 backend ? backend->name : vm->skip_unless.backend);
	else if (backend->probe(&caps, &err))
		snprintf(why, len, "%s", err.text);
	else if (word == HV_CAP_WORD_LINUX && !host_runs_linux())
		snprintf(why, len, "%s here emulates guests' kernel code, and can't boot Linux",
			 backend->name);
	else if (word && word != HV_CAP_WORD_LINUX && !(caps.caps & 1U << (word - 1)))
		snprintf(why, len, "%s has no %s here", backend->name,
			 hv_cap_name((enum hv_cap)(1U << (word - 1))));
	else
		return false;
	return true;
}

bool machine_skip(const struct vm_config *vm, bool here, char *why, size_t len)
{
	const struct skip_config *skip = &vm->skip_unless;
	const char *value = skip->env ? getenv(skip->env) : NULL;

	if (here && vm->arch != hv_host_arch())
		snprintf(why, len, "an %s guest can't run on this %s host", hv_arch_name(vm->arch),
			 hv_arch_name(hv_host_arch()));
	else if (skip->env && (!value || !*value))
		snprintf(why, len, "%s is not set", skip->env);
	else if (skip->file && access(skip->file, F_OK))
		snprintf(why, len, "file '%s' is missing", skip->file);
	else if (here && (skip->backend || skip->capability))
		return lacks_hypervisor(vm, why, len);
	else
		return false;
	return true;
}
