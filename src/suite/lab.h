/* lab.h: the parts of `test --lab`: what the emulated machine boots from, what it is told, and what
 * it says.
 *
 * It has its init and modules in an initramfs, sees the host's / by 9p, writes each result into a
 * file of a directory shared with the host (and nowhere else), and says on a serial line:
 *
 *     begin N     the N-th of the cases has begun
 *     end N       the N-th result (from 0) is in the file N
 *     failed TEXT why the suite could not be run
 *     done
 */
#ifndef SUITE_LAB_H
#define SUITE_LAB_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <vibevmm/boot.h>
#include <vibevmm/suite.h>

/* ---- lab_cpio.c: an archive that Linux unpacks as its first root ---------------------------- */

/* A file with `mode` (S_IFREG | 0644) and len bytes, and the directories in its name, which has no
 * slash at its begin. Write errors show in ferror(out); -EFBIG: too large for the format. */
int lab_cpio_add(FILE *out, const char *name, mode_t mode, const void *data, size_t len);

/* The archive's end. */
void lab_cpio_end(FILE *out);

/* ---- lab_kernel.c --------------------------------------------------------------------------- */

struct lab_kernel {
	struct boot_kernel boot;
	char *path;
	char *modules; /* the directory of its modules */
	char **files;  /* of modules, below that, in the order of loading */
	size_t n_files;
};

/* Opens the kernel in the file `path`, or, if that is NULL or a kernel for another architecture,
 * the newest in /boot and /lib/modules that has what the lab needs. */
int lab_kernel_open(struct lab_kernel *kernel, const char *path, enum arch arch, struct err *err);
void lab_kernel_close(struct lab_kernel *kernel);

/* Which modules of `wanted` (words between spaces) to load, in order, with those that they need, by
 * the texts of modules.dep and modules.builtin (kmod's modules.dep(5)). -ENOENT with *missing: one
 * of `wanted` is in neither; with missing NULL such a one is left out. Adds to *files. */
int lab_modules_order(const char *dep, const char *builtin, const char *wanted, char ***files,
		      size_t *n, const char **missing);

/* ---- lab_job.c: what the lab's program is told ---------------------------------------------- */

struct lab_strings {
	char **list;
	size_t n;
};

struct lab_job {
	char *cwd, *control;		      /* the serial line */
	struct lab_strings env, files, cases; /* cases: by name, of those in the files */
	struct lab_strings changes;	      /* as on the command line, in pairs: flag, value */
	struct suite_options options;	      /* without the calls back */
};

/* As bytes, and back; a job that was read is freed. -ENOMEM, or -EINVAL for what is no such job. */
int lab_job_write(const struct lab_job *job, FILE *out);
int lab_job_read(struct lab_job *job, const char *text, size_t len);
void lab_job_free(struct lab_job *job);

int lab_strings_add(struct lab_strings *strings, const char *text);
void lab_strings_free(struct lab_strings *strings);

/* ---- lab_initrd_linux.c --------------------------------------------------------------------- */

#define LAB_INIT_WORD "lab-init"      /* what the kernel gives to init as its argument */
#define LAB_RESULTS   "/.vibevmm-lab" /* where the shared directory is mounted */

/* The program for the lab of another architecture, which must be static and beside this one. 0 or
 * -errno with err, which says how to make it; the path is the caller's. */
int lab_program_find(enum arch arch, char **path, struct err *err);

/* The whole initramfs: program (NULL: the one that runs, with its libraries), modules, job. */
int lab_initrd_write(const char *program, const struct lab_kernel *kernel,
		     const struct lab_job *job, FILE *out, struct err *err);

/* ---- lab_run.c: in the lab ------------------------------------------------------------------ */

/* Runs the job's cases and tells on the control line, but for `done`. 0 or -errno, after `failed`.
 */
int lab_run(const struct lab_job *job, FILE *control);

/* ---- lab_qemu_linux.c ----------------------------------------------------------------------- */

struct lab_machine {
	enum arch arch;
	uint64_t memory;
	unsigned cpus;
	int kernel;	     /* descriptor */
	const char *initrd;  /* paths: a file, ... */
	const char *results; /* ... the directory to share, ... */
	const char *console; /* ... and those to be made: what its kernel says, ... */
	const char *log;     /* ... and what QEMU says */
};

/* The serial line, as the lab's kernel calls it. */
const char *lab_qemu_control(enum arch arch);

/* QEMU's program in $PATH: 0, or -errno with err, which says what to install. */
int lab_qemu_find(enum arch arch, char **path, struct err *err);

/* Starts it: *said is to read what comes on the serial line. It dies with the thread that called
 * this. 0 or -errno with err. */
int lab_qemu_start(const char *program, const struct lab_machine *machine, pid_t *pid, int *said,
		   struct err *err);

/* ---- lab.c, lab_boot.c ---------------------------------------------------------------------- */

/* What the labs of one suite share. */
struct lab {
	const struct suite *suite;
	const struct suite_choice *choice;
	const struct suite_options *options;
	struct suite_run *run; /* results by case; a line of `ended` has its index */
	uint64_t origin;       /* loop_now when the run began */
	int signals;	       /* suite_signals */
	bool *settled;	       /* by case: it has its result */
	bool stopped;	       /* no more labs */
};

/* What there is to boot one. */
struct lab_kit {
	enum arch arch;
	char *qemu, *program; /* program: see lab_initrd_write */
	struct lab_kernel kernel;
};

/* Boots a lab for those cases (indices), and watches it to its end. A lab that dies leaves the rest
 * unsettled. 0; or -errno with err if not even one case began. */
int lab_boot(struct lab *lab, const struct lab_kit *kit, const size_t *cases, size_t n,
	     struct err *err);

#endif
