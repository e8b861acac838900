/* doctor_backends.c: the hypervisors that this host has. */
#include <stdio.h>

#include "machine_private.h"

/* Those of the backend's capabilities that are in caps, in one line. */
static void list_caps(struct findings *findings, enum finding_state state, const char *subject,
		      unsigned caps)
{
	char text[320] = "";
	size_t used = 0;

	for (unsigned bit = 1; bit <= caps && bit; bit <<= 1) {
		if (caps & bit && used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 used ? ", " : "", hv_cap_name((enum hv_cap)bit));
	}
	if (caps)
		finding_add(findings, state, MARK_NONE, subject, "%s", text);
}

void doctor_backends(struct findings *findings)
{
	const struct hv_backend *const *rows;
	bool any = false;
	size_t n;

	rows = hv_backends(&n);
	for (size_t i = 0; i < n; i++) {
		struct err err = { 0 };
		struct hv_caps caps;
		char name[48];

		if (!rows[i]->probe)
			continue;
		any = true;
		snprintf(name, sizeof(name), "%s-%s", rows[i]->name, hv_arch_name(rows[i]->arch));
		if (rows[i]->probe(&caps, &err)) {
			finding_add(findings, FINDING_MISSING, MARK_NONE, name, "%s", err.text);
			continue;
		}
		finding_add(findings, FINDING_OK, MARK_NONE, name,
			    "up to %u vCPUs, %u address bits", caps.max_vcpus, caps.phys_bits);
		list_caps(findings, FINDING_OK, "it has", rows[i]->caps.caps & caps.caps);
		list_caps(findings, FINDING_ABSENT, "it lacks", rows[i]->caps.caps & ~caps.caps);
	}
	if (!any)
		finding_add(findings, FINDING_MISSING, MARK_NONE, "hypervisor",
			    "this build has no code for one on %s", hv_arch_name(hv_host_arch()));
}
