/* doctor_macos.c: what a Mac has for VMs. */
#include <sys/sysctl.h>
#include <sys/types.h>

#include <vibevmm/config.h>

#include "machine_private.h"

/* A number of sysctl(3), of 4 or 8 bytes; 0: there is none. */
static uint64_t number(const char *name)
{
	uint64_t value = 0; /* the first 4 bytes are the lower ones */
	size_t len = sizeof(value);

	return sysctlbyname(name, &value, &len, NULL, 0) ? 0 : value;
}

/* Swap grows as it is needed, so there is as much as is wanted. */
uint64_t host_memory(uint64_t wanted)
{
	uint64_t ram = number("hw.memsize");

	return ram > wanted ? ram : wanted;
}

bool host_overcommits(void)
{
	return true;
}

/* Of two kinds the kernel says how many pages they are: free ones, and those whose content can be
 * read again. */
uint64_t machine_host_free(void)
{
	return (number("vm.page_free_count") + number("vm.page_purgeable_count")) *
	       number("hw.pagesize");
}

unsigned machine_host_cpus(void)
{
	uint64_t n = number("hw.activecpu");

	return n ? (unsigned)n : 1;
}

/* Hypervisor.framework runs guests by hardware alone. */
bool host_runs_linux(void)
{
	return number("kern.hv_support");
}

void machine_doctor_host(struct findings *findings)
{
	char total[24];

	doctor_backends(findings);
	if (number("kern.hv_support"))
		finding_add(findings, FINDING_OK, MARK_NONE, "virtualization", "by hardware%s",
			    number("kern.hv_vmm_present")
				    ? "; this host is a VM itself, so guests are nested"
				    : "");
	else
		finding_add(findings, FINDING_ABSENT, MARK_NONE, "virtualization",
			    "this Mac has none (kern.hv_support is 0)");
	config_size_rough(number("hw.memsize"), total, sizeof(total));
	finding_add(findings, FINDING_OK, MARK_NONE, "memory", "%s", total);
}
