/* machine.h: stages 3 and 4: build a planned VM and run it.
 */
#ifndef VIBEVMM_MACHINE_H
#define VIBEVMM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <vibevmm/backend.h>
#include <vibevmm/config.h>
#include <vibevmm/err.h>
#include <vibevmm/plan.h>

/* All device types and boot formats of this build. */
const struct registry *machine_registry(void);

/* The backend that the config asks for ("auto": the first of its arch), without probing it. NULL if
 * this build has none. */
const struct hv_backend *machine_backend(const struct vm_config *config);

/* Load and plan in one step, as validate, plan and run need it: plan against the most the config's
 * backend can do. Sets *config and *plan also after errors, as far as they came; both may be
 * NULL. Free the plan before the config. */
void machine_plan(const char *path, const struct config_settings *settings, struct diags *diags,
		  struct config **config, struct plan **plan);

struct machine_options {
	uint64_t timeout; /* ns; 0: none */
	int in, out;	  /* the VM's console */
};

struct machine;

/* Build: probe, VM, memory, devices, image. Undone in reverse on failure; err has status and
 * text. The plan must outlive the machine. */
int machine_build(const struct plan *plan, const struct machine_options *options,
		  struct machine **machine, struct err *err);

/* Runs to the end and returns the exit status (DESIGN section 6), having printed why on standard
 * error unless the guest ended well. Takes over SIGINT, SIGTERM, SIGHUP for that time. Once. */
int machine_run(struct machine *machine);

/* Exits by reason, run time, accesses by device, stray accesses. After machine_run. */
void machine_print_stats(const struct machine *machine, FILE *out);

void machine_free(struct machine *machine);

#endif
