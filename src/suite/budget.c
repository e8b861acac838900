/* budget.c: how many VMs run at once, by vCPUs and declared RAM. */
#include "suite_private.h"

void suite_budget_init(struct suite_budget *budget, const struct suite_options *options)
{
	*budget = (struct suite_budget){ .vcpus = options->jobs, .memory = options->memory };
	if (!budget->vcpus)
		budget->vcpus = machine_host_cpus();
	if (!budget->memory)
		budget->memory = machine_host_free();
	if (!budget->memory)
		budget->memory = UINT64_MAX;
}

/* One that is larger than the whole budget runs alone. */
bool suite_budget_fits(const struct suite_budget *budget, const struct suite_case *c)
{
	if (!budget->running)
		return true;
	return budget->running_vcpus < budget->vcpus &&
	       c->vcpus <= budget->vcpus - budget->running_vcpus &&
	       budget->running_memory < budget->memory &&
	       c->memory <= budget->memory - budget->running_memory;
}

void suite_budget_take(struct suite_budget *budget, const struct suite_case *c)
{
	budget->running++;
	budget->running_vcpus += c->vcpus;
	budget->running_memory += c->memory;
}

void suite_budget_give(struct suite_budget *budget, const struct suite_case *c)
{
	budget->running--;
	budget->running_vcpus -= c->vcpus;
	budget->running_memory -= c->memory;
}
