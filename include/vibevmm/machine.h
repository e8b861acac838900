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
 * errors, as far as they came; both may be NULL. Free the plan before the config. With
 * request->tests, a config that machine_skip skips has no plan, and its files aren't looked for. */
void machine_plan(const struct config_request *request, bool here, struct diags *diags,
		  struct config **config, struct plan **plan);

/* Whether a test of the config is none for this host: the guest is of another architecture, or a
 * condition of `skip_unless` isn't met. Then `why` has the reason in words ("FOO is not set").
 * here: as for machine_plan; without it, the host's architecture and hypervisor don't matter. */
bool machine_skip(const struct vm_config *vm, bool here, char *why, size_t len);

struct findings; /* finding.h */

/* Whether this host is ready: what it has for VMs in general; and, for one VM, what each line of
 * its config needs and whether it is there, in the order of the lines. They open nothing for
 * longer than the question takes. */
void machine_doctor_host(struct findings *findings);
void machine_doctor_vm(const struct plan *plan, struct findings *findings);

/* Bytes of RAM that new VMs may take on this host, 0: unknown; processors that they may use, at
 * least 1. Limits of this process are considered. */
uint64_t machine_host_free(void);
unsigned machine_host_cpus(void);

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

/* Whoever follows what the guest says. Calls come from any thread of the VM, several at once, and
 * must not wait. */
struct machine_watch {
	/* On a line of the device: port 0 is its own, i its ports[i - 1]; standard: that goes to
	 * the VM's standard output. */
	void (*said)(void *arg, const struct plan_device *device, unsigned port, bool standard,
		     const void *buf, size_t len);
	void (*due)(void *arg); /* the time of machine_wake has come */
	void *arg;
};

struct machine_options {
	uint64_t timeout;		   /* ns; 0: none */
	int in, out;			   /* the VM's console */
	const struct machine_watch *watch; /* NULL: nobody */
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

/* ---- For the watch; any thread, while machine_run runs ------------------------------------- */

/* Calls `due` at that time (loop_now's clock), instead of the time asked for before. 0 or -errno.
 */
int machine_wake(struct machine *machine, uint64_t at);

/* Types on a line of the device that does not lead to standard input; how many bytes there was room
 * for. */
size_t machine_type(struct machine *machine, const struct plan_device *device, unsigned port,
		    const void *buf, size_t len);

/* Ends the VM, unless it has ended already: machine_run returns that status and prints nothing.
 * Once. */
void machine_end(struct machine *machine, int status);

/* VM exits so far, of all vCPUs. */
uint64_t machine_exits(const struct machine *machine);

/* ---- After machine_run ---------------------------------------------------------------------- */

enum machine_end {
	MACHINE_POWEROFF, /* or halted with no way to be woken */
	MACHINE_EXIT,	  /* the guest gave a status */
	MACHINE_RESET,
	MACHINE_PANIC,
	MACHINE_CRASH,
	MACHINE_ENDED, /* machine_end */
	MACHINE_TIMEOUT,
	MACHINE_SIGNAL, /* or Ctrl-A x */
	MACHINE_FAILED, /* we could not go on */
};

/* How it ended; *why, unless NULL, is what was printed about it, "" if it ended well. */
enum machine_end machine_ended(const struct machine *machine, const char **why);

/* Exits by reason: calls fn for each that there were any of. */
void machine_each_exit(const struct machine *machine,
		       void (*fn)(void *arg, const char *name, uint64_t count), void *arg);

/* Memory that this process has, in bytes, without the guest's (NULL: there is none); 0: unknown. */
uint64_t machine_own_memory(const struct machine *machine);

/* Exits by reason, run time, accesses by device, stray accesses. After machine_run. */
void machine_print_stats(const struct machine *machine, FILE *out);

void machine_free(struct machine *machine);

#endif
