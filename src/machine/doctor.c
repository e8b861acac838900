/* doctor.c: what a VM needs of its host, line by line. `run` refuses what is missing here. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vibevmm/shell.h>

#include "machine_private.h"

/* ---- The lines of the config --------------------------------------------------------------- */

static struct mark file_mark(const struct plan *plan)
{
	const struct node *root = plan->config->root;

	return (struct mark){ .source = root ? root->mark.source : NULL };
}

/* Where an option is written; the file as a whole if it is a default. */
static struct mark line_of(const struct plan *plan, const char *path)
{
	const struct node *node = node_find(plan->config->root, path);

	return node && !node->is_default && node->mark.line ? node->key_mark : file_mark(plan);
}

/* ---- Against the backend ------------------------------------------------------------------- */

struct need {
	const struct hv_backend *backend;
	const struct hv_caps *caps;
	struct findings *findings;
};

static void need_cap(const struct need *need, struct mark mark, const char *subject, unsigned caps)
{
	for (unsigned bit = 1; bit <= caps && bit; bit <<= 1) {
		const char *name = hv_cap_name((enum hv_cap)bit);

		if (!(caps & bit))
			continue;
		if (need->caps->caps & bit)
			finding_add(need->findings, FINDING_OK, mark, subject, "%s: %s has it",
				    name, need->backend->name);
		else
			finding_add(need->findings, FINDING_MISSING, mark, subject,
				    "%s on this host has no %s", need->backend->name, name);
	}
}

static void need_vcpus(const struct need *need, const struct plan *plan)
{
	struct mark mark = line_of(plan, "vcpus");
	unsigned vcpus = plan->config->vcpus, max = need->caps->max_vcpus;

	if (vcpus > max)
		finding_add(need->findings, FINDING_MISSING, mark, "vcpus",
			    "%u vCPUs are more than the %u that %s offers on this host", vcpus, max,
			    need->backend->name);
	else
		finding_add(need->findings, FINDING_OK, mark, "vcpus", "%u, and %s runs up to %u",
			    vcpus, need->backend->name, max);
}

static void need_addresses(const struct need *need, const struct plan *plan)
{
	unsigned bits = need->caps->phys_bits;

	for (size_t i = 0; i < plan->n_regions; i++) {
		const struct plan_region *r = &plan->regions[i];

		if (r->kind == REGION_ROM)
			need_cap(need, r->mark, "rom", HV_CAP_READONLY_MEM);
		if (r->space == SPACE_MEM && (r->kind == REGION_RAM || r->kind == REGION_ROM) &&
		    bits < 64 && r->last >> bits)
			finding_add(need->findings, FINDING_MISSING, r->mark, r->owner,
				    "%s at %#llx is beyond the %u address bits of this host",
				    r->owner, (unsigned long long)r->start, bits);
	}
}

static void need_gic(const struct need *need, const struct plan *plan)
{
	struct mark mark = line_of(plan, "platform.gic");
	unsigned cap = plan->gic.version == HV_GIC_V3 ? HV_CAP_GICV3 : HV_CAP_GICV2;
	unsigned other = cap ^ HV_CAP_GICV2 ^ HV_CAP_GICV3;

	if (plan->gic.version == HV_GIC_NONE)
		return;
	if ((need->caps->caps & cap) || !(need->caps->caps & other))
		need_cap(need, mark, "gic", cap);
	else
		finding_add(need->findings, FINDING_MISSING, mark, "gic",
			    "%s on this host has no %s; it has a %s, which `gic: auto` takes",
			    need->backend->name, hv_cap_name((enum hv_cap)cap),
			    hv_cap_name((enum hv_cap)other));
	if (plan->gic.its)
		need_cap(need, mark, "gic", HV_CAP_ITS);
}

void doctor_caps(const struct plan *plan, const struct hv_backend *backend,
		 const struct hv_caps *caps, struct findings *findings)
{
	struct need need = { backend, caps, findings };
	unsigned irqchip = plan->irqchip == HV_IRQCHIP_SPLIT  ? HV_CAP_IRQCHIP_SPLIT
			   : plan->irqchip == HV_IRQCHIP_FULL ? HV_CAP_IRQCHIP_FULL
							      : 0;

	need_vcpus(&need, plan);
	need_addresses(&need, plan);
	need_cap(&need, line_of(plan, "platform.irqchip"), "irqchip", irqchip);
	if (plan->pit)
		need_cap(&need, line_of(plan, "platform.pit"), "pit", HV_CAP_PIT);
	need_gic(&need, plan);
	if (plan->config->platform.pmu)
		need_cap(&need, line_of(plan, "platform.pmu"), "pmu", HV_CAP_PMU);
	if (plan->config->platform.sve)
		need_cap(&need, line_of(plan, "platform.sve"), "sve", HV_CAP_SVE);
	for (size_t i = 0; i < plan->n_devices; i++)
		need_cap(&need, plan->devices[i].choice->mark, plan->devices[i].label,
			 plan->devices[i].row->needs);
}

/* ---- Against the host's memory ------------------------------------------------------------- */

/* Guest RAM is taken as it is touched, so more than is free may well do. More than there can ever
 * be will not, once the guest uses it: that ends in the kernel's OOM killer. Who knows better says
 * so to the kernel. */
void doctor_memory(const struct plan *plan, struct findings *findings)
{
	struct mark mark = line_of(plan, "memory");
	char want[24], have[24];
	uint64_t total = host_memory(plan->ram_size);

	config_size_rough(plan->ram_size, want, sizeof(want));
	config_size_rough(total, have, sizeof(have));
	if (!total || plan->ram_size <= total) {
		finding_add(findings, FINDING_OK, mark, "memory",
			    "%s of guest RAM; this host has %s of RAM and swap", want, have);
		return;
	}
	finding_add(findings, host_overcommits() ? FINDING_WARNING : FINDING_MISSING, mark,
		    "memory",
		    "%s of guest RAM are more than the %s of RAM and swap on this host; less, or "
		    "vm.overcommit_memory=1 to let the guest try",
		    want, have);
	finding_command(findings, "sudo sysctl vm.overcommit_memory=1");
}

/* ---- Files --------------------------------------------------------------------------------- */

struct files {
	const struct plan *plan;
	struct findings *findings;
};

static void check_file(const struct files *files, struct mark mark, const char *subject,
		       const char *path, bool folder, bool written)
{
	char size[24], word[SHELL_QUOTE_MAX];
	struct stat st;

	if (stat(path, &st)) {
		int errnum = errno;

		finding_add(files->findings, FINDING_MISSING, mark, subject, "'%s': %s", path,
			    strerror(errnum));
		if (errnum == EACCES)
			finding_command(files->findings, "namei -l %s",
					shell_quote(path, word, sizeof(word)));
	} else if (faccessat(AT_FDCWD, path, R_OK | (written ? W_OK : 0), AT_EACCESS)) {
		finding_add(files->findings, FINDING_MISSING, mark, subject,
			    "no permission to %s '%s'", written ? "read and write" : "read", path);
		finding_command(files->findings, "sudo setfacl -m \"u:$USER:%s\" %s",
				written ? "rw" : "r", shell_quote(path, word, sizeof(word)));
	} else if (folder) {
		finding_add(files->findings, S_ISDIR(st.st_mode) ? FINDING_OK : FINDING_MISSING,
			    mark, subject,
			    S_ISDIR(st.st_mode) ? "'%s', a folder" : "'%s' is no folder", path);
	} else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		finding_add(files->findings, FINDING_MISSING, mark, subject,
			    "'%s' is neither a file nor a disk", path);
	} else {
		finding_add(files->findings, FINDING_OK, mark, subject, "'%s', %s, %s", path,
			    S_ISBLK(st.st_mode)
				    ? "a disk"
				    : config_size_rough((uint64_t)st.st_size, size, sizeof(size)),
			    written ? "readable and writable" : "readable");
	}
}

/* Whose it is and whether it is a tap shows when it is opened. */
static void check_interface(const struct files *files, struct mark mark, const char *subject,
			    const char *name)
{
	char word[SHELL_QUOTE_MAX];

	if (if_nametoindex(name)) {
		finding_add(files->findings, FINDING_OK, mark, subject, "'%s' is there", name);
	} else if (!geteuid()) {
		finding_add(files->findings, FINDING_OK, mark, subject,
			    "'%s' is not there and will be made, without address or bridge", name);
	} else {
		finding_add(files->findings, FINDING_MISSING, mark, subject,
			    "there is no interface '%s'", name);
		finding_command(files->findings, "sudo ip tuntap add %s mode tap user $USER",
				shell_quote(name, word, sizeof(word)));
	}
}

static int on_option(void *arg, const struct config_choice *choice, const struct option *option,
		     const void *member, const struct node *node)
{
	const struct files *files = arg;
	char subject[48];

	bool interface = option->kind == OPTION_STRING && option->text == TEXT_IFNAME;

	if (!interface && (option->kind != OPTION_PATH || option->made))
		return 0;
	snprintf(subject, sizeof(subject), "%s%s%s", choice ? choice->type->name : "",
		 choice ? "." : "", option->key);
	if (interface) {
		check_interface(files, node->mark.line ? node->mark : file_mark(files->plan),
				subject, *(char *const *)member);
		return 0;
	}
	check_file(files, node->mark.line ? node->mark : file_mark(files->plan), subject,
		   *(char *const *)member, option->folder,
		   choice && option->disk && config_disk_written(choice, option->disk));
	return 0;
}

/* ---- Programs ------------------------------------------------------------------------------ */

static void check_program(const struct device_program *program, enum finding_state missing,
			  struct mark mark, const char *subject, struct findings *findings)
{
	char path[512];

	if (shell_find(program->name, program->folders, path, sizeof(path)))
		finding_add(findings, FINDING_OK, mark, subject, "is installed, for %s",
			    program->use);
	else
		finding_add(findings, missing, mark, subject,
			    "is not installed; %s need it (Debian: %s)", program->use,
			    program->package);
}

void doctor_programs(struct findings *findings)
{
	const struct device_row *const *rows;
	size_t n;

	rows = device_rows(&n);
	for (size_t i = 0; i < n; i++) {
		for (const struct device_program *p = rows[i]->programs; p && p->name; p++)
			check_program(p, FINDING_ABSENT, MARK_NONE, p->name, findings);
	}
}

static void need_programs(const struct plan_device *dev, struct findings *findings)
{
	const struct config_choice *choice = dev->choice;

	for (const struct device_program *p = dev->row->programs; p && p->name; p++) {
		if (!p->when || registry_value(choice, p->when) == p->is)
			check_program(p, FINDING_MISSING, choice->mark, p->name, findings);
	}
}

/* ---- All of it ----------------------------------------------------------------------------- */

static void check_backend(const struct plan *plan, struct findings *findings)
{
	const struct hv_backend *backend = machine_backend(plan->config);
	struct mark mark = line_of(plan, "backend");
	struct err err = { 0 };
	struct hv_caps caps;

	if (!mark.line)
		mark = line_of(plan, "arch");
	if (!backend || !backend->probe) {
		const char *arch = hv_arch_name(plan->config->arch);

		finding_add(findings, FINDING_MISSING, mark, "backend",
			    "this build has no code for %s-%s (%s), which is for %s hosts",
			    backend ? backend->name : plan->config->backend, arch,
			    backend ? backend->doc : "unknown", arch);
	} else if (backend->probe(&caps, &err)) {
		finding_add(findings, FINDING_MISSING, mark, "backend", "%s", err.text);
	} else {
		finding_add(findings, FINDING_OK, mark, "backend", "%s-%s is usable here",
			    backend->name, hv_arch_name(backend->arch));
		doctor_caps(plan, backend, &caps, findings);
	}
}

/* In the order of each file; the file as a whole first. */
static int by_line(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int order = 0;

	if (x->mark.source != y->mark.source && x->mark.source && y->mark.source)
		order = strcmp(x->mark.source->name, y->mark.source->name);
	if (order)
		return order;
	if (x->mark.line != y->mark.line)
		return x->mark.line < y->mark.line ? -1 : 1;
	return (x->mark.column > y->mark.column) - (x->mark.column < y->mark.column);
}

void machine_doctor_vm(const struct plan *plan, struct findings *findings)
{
	struct files files = { plan, findings };
	size_t before = findings->n;

	check_backend(plan, findings);
	doctor_memory(plan, findings);
	config_each_option(plan->config, on_option, &files);
	for (size_t i = 0; i < plan->n_devices; i++) {
		need_programs(&plan->devices[i], findings);
		if (plan->devices[i].row->examine)
			plan->devices[i].row->examine(plan, &plan->devices[i], findings);
	}
	if (findings->n > before)
		qsort(findings->list + before, findings->n - before, sizeof(*findings->list),
		      by_line);
}
