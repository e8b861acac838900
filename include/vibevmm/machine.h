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

/* The backend that the config asks for, without probing it; this build may not have its code. NULL
 * if there is none of that name. */
const struct hv_backend *machine_backend(const struct vm_config *config);

/* Load and plan in one step, as validate, plan and run need it: plan against the most the config's
 * backend can do. here: what the config leaves open and hosts differ in, such as the version of an
 * arm64 interrupt controller, is chosen by what this host has. Sets *config and *plan also after
 * errors, as far as they came; both may be NULL. Free the plan before the config. */
void machine_plan(const struct config_request *request, bool here, struct diags *diags,
		  struct config **config, struct plan **plan);

struct findings; /* finding.h */

/* Whether this host is ready: what it has for VMs in general; and, for one VM, what each line of
 * its config needs and whether it is there, in the order of the lines. They open nothing for
 * longer than the question takes. */
void machine_doctor_host(struct findings *findings);
void machine_doctor_vm(const struct plan *plan, struct findings *findings);

/* ---- Lock files ----------------------------------------------------------------------------- */

/* Called now and then while files are hashed: bytes of all files so far, and in all. */
typedef void (*machine_progress_fn)(void *arg, const char *path, uint64_t done, uint64_t total);

/* The lock file of a config: its name with .lock in the place of .yaml. 0 or -ENAMETOOLONG. */
int machine_lock_path(const char *config, char *buf, size_t len);

/* Writes size and SHA-256 of every file that the config names into a lock file; how many there
 * are. -EINVAL if one can't be read (then diags has it), or another -errno with err filled. */
int machine_lock_write(const struct vm_config *vm, const char *lock, machine_progress_fn progress,
		       void *arg, struct diags *diags, struct err *err);

/* Reports to diags every file that is not as the lock file has it. 0, -EINVAL after a diagnostic,
 * or another -errno with err filled. */
int machine_lock_check(const struct vm_config *vm, const char *lock, machine_progress_fn progress,
		       void *arg, struct diags *diags, struct err *err);

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
 * error unless the guest ended well. A guest that resets is built anew from the same plan where the
 * config wants that. Takes over SIGINT, SIGTERM, SIGHUP for that time, and SIGALRM of a VM that has
 * a power button. Once. */
int machine_run(struct machine *machine);

/* Exits by reason, run time, accesses by device, stray accesses. After machine_run. */
void machine_print_stats(const struct machine *machine, FILE *out);

void machine_free(struct machine *machine);

#endif
