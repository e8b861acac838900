/* plan.c: the steps of planning, in order. */
#include <stdlib.h>
#include <string.h>

#include "planner.h"

uint64_t plan_last_address(const struct plan *plan)
{
	return plan->caps.phys_bits < 64 ? (1ULL << plan->caps.phys_bits) - 1 : UINT64_MAX;
}

void plan_report_beyond(const struct planner *p, struct mark mark, const char *what)
{
	const struct plan *plan = p->plan;

	if (plan->backend_name)
		diag_error(p->diags, mark, "%s goes beyond the %u address bits of backend '%s'",
			   what, plan->caps.phys_bits, plan->backend_name);
	else
		diag_error(p->diags, mark, "%s goes beyond the %u address bits of %s", what,
			   plan->caps.phys_bits, hv_arch_name(plan->arch->arch));
	diag_help(p->diags, "the last address is 0x%llx",
		  (unsigned long long)plan_last_address(plan));
}

struct mark plan_mark(const struct plan *plan, const char *path)
{
	const struct node *root = plan->config->root;
	const struct node *node = node_find(root, path);

	if (node && !node->is_default)
		return node->mark;
	return (struct mark){ .source = root ? root->mark.source : NULL };
}

static void plan_boot(struct planner *p)
{
	struct plan *plan = p->plan;
	const struct config_choice *boot = plan->config->boot;
	const struct boot_row *row;

	if (!boot || plan->config->boot_bad)
		return;
	row = plan->registry->boots[boot->index];
	if (!(row->arches & plan->arch->arch)) {
		diag_error(p->diags, boot->mark, "boot format %s exists on %s only; this VM is %s",
			   row->type.name, hv_arch_name((enum arch)row->arches),
			   hv_arch_name(plan->arch->arch));
		return;
	}
	plan->tables.wanted = row->tables;
	row->plan(plan, boot, p->diags);
	if (!plan->entry.set || plan->memory_bad)
		return;
	plan->arch->plan_entry(plan, p->diags);
	if (plan->tables.wanted && plan->arch->plan_tables)
		plan->arch->plan_tables(plan, p->diags);
}

struct plan *plan_make(const struct vm_config *config, const struct registry *registry,
		       const struct arch_row *arch, const char *backend_name,
		       const struct hv_caps *caps, struct diags *diags)
{
	/* Without a backend the widest of both architectures: Intel SDM Vol. 3, 4.1.4, and Arm
	 * ARM, D8.1.3 (LPA2), have 52 bits. */
	static const struct hv_caps unlimited = { .caps = ~0U, .max_vcpus = ~0U, .phys_bits = 52 };
	struct planner p = { .plan = calloc(1, sizeof(struct plan)), .diags = diags };
	int ret;

	if (!p.plan)
		return NULL;
	p.plan->config = config;
	p.plan->registry = registry;
	p.plan->arch = arch;
	p.plan->caps = caps ? *caps : unlimited;
	p.plan->backend_name = caps ? backend_name : NULL;

	ret = plan_platform(&p);
	if (!ret)
		ret = plan_memory(&p);
	if (!ret)
		ret = plan_devices(&p);
	if (!ret)
		ret = plan_checks(&p);
	if (!ret) {
		plan_conflicts(&p);
		plan_boot(&p);
		plan_expect(&p);
	} else {
		plan_free(p.plan);
		p.plan = NULL;
	}
	for (int i = 0; i < SPACE_INPUT; i++)
		allocator_free(&p.spaces[i]);
	free(p.requests);
	return p.plan;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	if (plan->config->boot && plan->registry->boots[plan->config->boot->index]->release)
		plan->registry->boots[plan->config->boot->index]->release(plan->boot_private);
	else
		free(plan->boot_private);
	free(plan->tables.private);
	free(plan->devices);
	free(plan->regions);
	free(plan);
}
