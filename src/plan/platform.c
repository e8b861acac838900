/* platform.c: vCPUs, the interrupt controller, and the addresses that belong to it, as far as all
 * architectures have them. */
#include "planner.h"

static const char *const irqchip_words[] = { "auto", "none", "split", "full" };
static const char *const gic_words[] = { "auto", "v2", "v3" };

/* Something that can't do without an interrupt controller. */
struct reason {
	struct mark mark;
	char text[PLAN_TEXT]; /* empty: nothing */
};

/* A line that the user gave to this device. */
static bool device_wants_line(const struct plan *plan, const struct config_choice *choice,
			      const struct device_row *row, struct reason *reason)
{
	for (const struct claim *claim = row->claims; claim && claim->name; claim++) {
		if (claim->space != SPACE_IRQ || !claim->fix ||
		    !plan_claim_exists(plan, choice, claim) ||
		    !node_given(choice->node, claim->fix) ||
		    registry_value(choice, claim->fix) == OPTION_IRQ_NONE)
			continue;
		reason->mark = node_get(choice->node, claim->fix)->mark;
		snprintf(reason->text, sizeof(reason->text), "`%s` of %s", claim->fix,
			 choice->type->name);
		return true;
	}
	return false;
}

static void find_reason(const struct plan *plan, struct reason *reason)
{
	const struct vm_config *config = plan->config;
	const unsigned irq_caps = HV_CAP_IRQ_LINE | HV_CAP_MSI | HV_CAP_IRQFD;

	*reason = (struct reason){ 0 };
	if (config->platform.pit) {
		reason->mark = plan_mark(plan, "platform.pit");
		snprintf(reason->text, sizeof(reason->text), "`pit: true`");
		return;
	}
	if (config->platform.gic != GIC_AUTO) {
		reason->mark = plan_mark(plan, "platform.gic");
		snprintf(reason->text, sizeof(reason->text), "`gic: %s`",
			 gic_words[config->platform.gic]);
		return;
	}
	if (config->platform.pmu) {
		reason->mark = plan_mark(plan, "platform.pmu");
		snprintf(reason->text, sizeof(reason->text), "`pmu: true`");
		return;
	}
	/* Too many of them are an error of their own. */
	if (config->vcpus > 1 && config->vcpus <= plan->caps.max_vcpus) {
		reason->mark = plan_mark(plan, "vcpus");
		snprintf(reason->text, sizeof(reason->text), "`vcpus: %u`", config->vcpus);
		return;
	}
	if (config->boot && plan->registry->boots[config->boot->index]->interrupts) {
		reason->mark = config->boot->mark;
		snprintf(reason->text, sizeof(reason->text), "boot format %s",
			 config->boot->type->name);
		return;
	}
	for (uint32_t i = 0; i < config->n_devices; i++) {
		const struct config_choice *choice = &config->devices[i];
		const struct device_row *row = plan->registry->devices[choice->index];

		if (device_wants_line(plan, choice, row, reason))
			return;
		if (row->needs & irq_caps) {
			reason->mark = choice->mark;
			snprintf(reason->text, sizeof(reason->text), "%s", row->type.name);
			return;
		}
	}
}

static bool backend_has(const struct plan *plan, enum hv_irqchip irqchip)
{
	unsigned cap = irqchip == HV_IRQCHIP_SPLIT  ? HV_CAP_IRQCHIP_SPLIT
		       : irqchip == HV_IRQCHIP_FULL ? HV_CAP_IRQCHIP_FULL
						    : 0;

	return (plan->caps.caps & cap) == cap;
}

/* Teardown of a full one costs 10-20 ms, of a split one next to nothing on KVM: so split first.
 */
static void choose_irqchip(struct planner *p)
{
	struct plan *plan = p->plan;
	const struct platform_config *want = &plan->config->platform;
	struct mark mark = plan_mark(plan, "platform.irqchip");
	struct reason reason;

	find_reason(plan, &reason);
	if (want->irqchip == IRQCHIP_AUTO) {
		if (!reason.text[0])
			return;
		plan->irqchip = backend_has(plan, HV_IRQCHIP_SPLIT) && !want->pit ? HV_IRQCHIP_SPLIT
										  : HV_IRQCHIP_FULL;
		if (!backend_has(plan, plan->irqchip)) {
			diag_error(p->diags, reason.mark,
				   "%s needs an interrupt controller; backend '%s' has none",
				   reason.text, plan->backend_name);
			plan->irqchip = HV_IRQCHIP_NONE;
		}
		return;
	}
	plan->irqchip = want->irqchip == IRQCHIP_SPLIT	? HV_IRQCHIP_SPLIT
			: want->irqchip == IRQCHIP_FULL ? HV_IRQCHIP_FULL
							: HV_IRQCHIP_NONE;
	if (!backend_has(plan, plan->irqchip)) {
		diag_error(p->diags, mark, "backend '%s' has no %s", plan->backend_name,
			   hv_cap_name(plan->irqchip == HV_IRQCHIP_SPLIT ? HV_CAP_IRQCHIP_SPLIT
									 : HV_CAP_IRQCHIP_FULL));
		diag_help(p->diags, "`irqchip: auto` takes what the backend has");
	} else if (want->pit && plan->irqchip != HV_IRQCHIP_FULL) {
		diag_error(p->diags, mark, "`irqchip: %s`, but `pit: true` needs `irqchip: full`",
			   irqchip_words[want->irqchip]);
		diag_note(p->diags, reason.mark, "the 8254 timer is asked for here");
		diag_help(p->diags, "with `irqchip: auto` it gets one");
	} else if (plan->irqchip == HV_IRQCHIP_NONE && reason.text[0]) {
		diag_error(p->diags, mark, "`irqchip: none`, but %s needs an interrupt controller",
			   reason.text);
		diag_note(p->diags, reason.mark, "needed here");
		diag_help(p->diags, "`irqchip: auto` chooses one where something needs it");
	}
}

static int add_platform_regions(struct planner *p)
{
	const struct hv_gic_config *gic = &p->plan->gic;

	for (const struct layout_row *row = p->plan->arch->layout; row->name; row++) {
		struct plan_region region = { .kind = REGION_PLATFORM,
					      .start = row->start,
					      .last = row->start + row->size - 1,
					      .device = -1,
					      .fixed = true };
		int ret;

		if (row->kind == LAYOUT_PLATFORM && p->plan->irqchip != HV_IRQCHIP_NONE)
			region.space = SPACE_MEM;
		else if (row->kind == LAYOUT_REDISTS &&
			 (gic->redist_more || gic->redist == row->start))
			region.space = SPACE_MEM;
		else if (row->kind == LAYOUT_PIC_PORTS && p->plan->irqchip == HV_IRQCHIP_FULL)
			region.space = SPACE_PIO;
		else if (row->kind == LAYOUT_PIT_PORTS && p->plan->pit)
			region.space = SPACE_PIO;
		else
			continue;
		snprintf(region.owner, sizeof(region.owner), "%s", row->name);
		ret = plan_claim_region(p, &region);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- Topology ------------------------------------------------------------------------------ */

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

const char *plan_topology_text(const struct hv_topology *t, char buf[PLAN_TEXT])
{
	snprintf(buf, PLAN_TEXT, "%u socket%s of %u core%s of %u thread%s", t->sockets,
		 plural(t->sockets), t->cores, plural(t->cores), t->threads, plural(t->threads));
	return buf;
}

/* What the config leaves open: threads are single, cores in one socket. 0: nothing fits. */
static struct hv_topology fill_topology(const struct vm_config *config)
{
	const struct topology_config *want = &config->topology;
	struct hv_topology t = { want->sockets, want->cores, want->threads };

	if (!t.threads)
		t.threads = 1;
	if (!t.sockets)
		t.sockets = t.cores ? config->vcpus / (t.cores * t.threads) : 1;
	if (!t.cores)
		t.cores = config->vcpus / (t.sockets * t.threads);
	return t;
}

static void report_product(struct planner *p, const struct hv_topology *t)
{
	const struct plan *plan = p->plan;
	const struct topology_config *want = &plan->config->topology;
	struct mark mark = plan_mark(plan, "topology");
	unsigned vcpus = plan->config->vcpus, product = t->sockets * t->cores * t->threads;
	char text[PLAN_TEXT];

	if (want->sockets && want->cores)
		diag_error(p->diags, mark, "%s make %u vCPU%s; this VM has %u",
			   plan_topology_text(t, text), product, plural(product), vcpus);
	else if (want->cores)
		diag_error(p->diags, mark,
			   "%u vCPU%s cannot make sockets of %u core%s of %u thread%s", vcpus,
			   plural(vcpus), t->cores, plural(t->cores), t->threads,
			   plural(t->threads));
	else
		diag_error(p->diags, mark,
			   "%u vCPU%s cannot make %u %ssocket%s with cores of %u thread%s", vcpus,
			   plural(vcpus), t->sockets, t->sockets > 1 ? "equal " : "",
			   plural(t->sockets), t->threads, plural(t->threads));
	diag_help(p->diags, "`vcpus` is sockets times cores times threads; cores or sockets that "
			    "are left out are chosen to fit");
}

/* Its errors are reported already. */
static bool is_bad(const struct plan *plan, const char *key)
{
	const struct node *node = node_get(plan->config->root, key);

	return node && node->bad;
}

static void choose_topology(struct planner *p)
{
	struct plan *plan = p->plan;
	unsigned vcpus = plan->config->vcpus;
	struct hv_topology t = fill_topology(plan->config);

	plan->topology = (struct hv_topology){ 1, vcpus ? vcpus : 1, 1 };
	if (!vcpus || is_bad(plan, "vcpus") || is_bad(plan, "topology"))
		return;
	/* The options' limits keep the product within 32 bits. */
	if (t.sockets * t.cores * t.threads != vcpus) {
		report_product(p, &t);
		return;
	}
	plan->topology = t;
}

int plan_platform(struct planner *p)
{
	struct plan *plan = p->plan;

	if (plan->config->vcpus > plan->caps.max_vcpus) {
		diag_error(p->diags, plan_mark(plan, "vcpus"),
			   "%u vCPUs are more than backend '%s' can run", plan->config->vcpus,
			   plan->backend_name);
		diag_help(p->diags, "its limit on %s is %u", hv_arch_name(plan->arch->arch),
			  plan->caps.max_vcpus);
	}
	choose_topology(p);
	choose_irqchip(p);
	plan->arch->plan_platform(plan, p->diags);
	return add_platform_regions(p);
}
