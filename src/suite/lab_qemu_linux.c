/* lab_qemu_linux.c: the lab's machine: QEMU, which emulates a processor with virtualization. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/host.h>
#include <vibevmm/shell.h>

#include "lab.h"
#include "suite_private.h"

/* What differs by architecture. */
static const struct row {
	enum arch arch;
	const char *program, *package;
	const char *machine[8]; /* arguments */
	const char *words;	/* of the kernel's command line */
	const char *line[4];	/* arguments for the serial line */
	const char *control;
} rows[] = {
	{
		.arch = ARCH_X86_64,
		.program = "qemu-system-x86_64",
		.package = "qemu-system-x86",
		/* Without what QEMU 7.2 can't emulate of it, and would warn of. */
		.machine = { "-M", "q35", "-cpu",
			     "EPYC,+svm,+npt,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,"
			     "-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec" },
		.words = "console=ttyS0 reboot=t no_timer_check tsc=reliable",
		.line = { "-serial", "chardev:control" },
		.control = "/dev/ttyS1",
	},
	{
		/* A model without pointer authentication, which is slow to emulate. */
		.arch = ARCH_ARM64,
		.program = "qemu-system-aarch64",
		.package = "qemu-system-arm",
		.machine = { "-M", "virt,virtualization=on,gic-version=3", "-cpu", "neoverse-n1" },
		.words = "console=ttyAMA0",
		.line = { "-device", "pci-serial,chardev=control" },
		.control = "/dev/ttyS0",
	},
};

static const struct row *find_row(enum arch arch)
{
	const struct row *row = rows;

	while (row->arch != arch)
		row++;
	return row;
}

const char *lab_qemu_control(enum arch arch)
{
	return find_row(arch)->control;
}

int lab_qemu_find(enum arch arch, char **path, struct err *err)
{
	const struct row *row = find_row(arch);
	char found[4096];

	if (shell_find(row->program, NULL, found, sizeof(found))) {
		*path = strdup(found);
		return *path ? 0 : err_errno(err, ENOMEM, STATUS_OSERR, "can't look for QEMU");
	}
	return err_set(err, ENOENT, STATUS_UNAVAILABLE,
		       "the lab for %s needs %s, which is not in $PATH (Debian: apt-get install "
		       "%s)",
		       hv_arch_name(arch), row->program, row->package);
}

/* How many thousand times a second this host's time-stamp counter ticks, which is also the emulated
 * one; 0: this host has none. A kernel that measures that itself is wrong by whole factors on a
 * machine that has more to do, and so would be its clock. */
static unsigned tsc_khz(void)
{
#ifdef __x86_64__
	uint64_t begin = loop_now(), ticks = __builtin_ia32_rdtsc(), ns;

	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	ticks = __builtin_ia32_rdtsc() - ticks;
	ns = loop_now() - begin;
	return (unsigned)((double)ticks * 1e6 / (double)ns);
#else
	return 0;
#endif
}

/* ---- The command line ----------------------------------------------------------------------- */

struct arguments {
	const char *list[64];
	size_t n;
	char *own[8]; /* to free */
	size_t n_own;
};

static void add(struct arguments *a, const char *text)
{
	a->list[a->n++] = text;
}

/* An option and its value, which is begin and then `path`, with commas doubled, as QEMU has it. */
static bool add_path(struct arguments *a, const char *option, const char *begin, const char *path)
{
	char *text = malloc(strlen(begin) + 2 * strlen(path) + 1), *to;

	if (!text)
		return false;
	a->own[a->n_own++] = text;
	for (to = stpcpy(text, begin); *path; path++) {
		*to++ = *path;
		if (*path == ',')
			*to++ = ',';
	}
	*to = 0;
	add(a, option);
	add(a, text);
	return true;
}

static bool add_format(struct arguments *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool add_format(struct arguments *a, const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		return false;
	a->own[a->n_own++] = text;
	add(a, text);
	return true;
}

static bool make_arguments(struct arguments *a, const char *program, const struct row *row,
			   const struct lab_machine *machine)
{
	static const char *const fixed[] = {
		"-accel",
		"tcg,thread=multi",
		"-nodefaults",
		"-no-user-config",
		"-no-reboot",
		"-display",
		"none",
		"-chardev",
		"stdio,id=control,signal=off",
		"-virtfs",
		"local,mount_tag=root,security_model=none,multidevs=remap,readonly=on,path=/",
	};
	char tsc[40] = "";
	bool good = true;

	add(a, program);
	for (size_t i = 0; row->machine[i]; i++)
		add(a, row->machine[i]);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add(a, fixed[i]);
	good &= add_path(a, "-virtfs",
			 "local,mount_tag=results,security_model=none,path=", machine->results);
	good &= add_path(a, "-serial", "file:", machine->console);
	for (size_t i = 0; row->line[i]; i++)
		add(a, row->line[i]);
	add(a, "-smp");
	good &= add_format(a, "%u", machine->cpus);
	add(a, "-m");
	good &= add_format(a, "%lluM", (unsigned long long)machine->memory >> 20);
	add(a, "-initrd");
	add(a, machine->initrd);
	add(a, "-kernel");
	good &= add_format(a, "/proc/self/fd/%d", machine->kernel);
	/* Nothing is to be found out slowly, or protected from what isn't in the lab; and what the
	 * kernel says costs time. Behind -- is what is not the kernel's own. */
	if (machine->arch == ARCH_X86_64)
		snprintf(tsc, sizeof(tsc), "tsc_early_khz=%u ", tsc_khz());
	add(a, "-append");
	good &= add_format(a,
			   "%s %squiet panic=-1 mitigations=off nokaslr cryptomgr.notests "
			   "random.trust_cpu=on rodata=off -- " LAB_INIT_WORD,
			   row->words, tsc);
	return good;
}

/* ---- The process ---------------------------------------------------------------------------- */

/* System calls alone. Ctrl-C is for us, not for QEMU: it is in a session of its own. */
static _Noreturn void become_qemu(char *const *argv, pid_t parent, int kernel, int said, int log)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (suite_die_with(parent) && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
	    dup2(said, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0 &&
	    !fcntl(kernel, F_SETFD, 0))
		execv(argv[0], argv);
	_exit(127);
}

int lab_qemu_start(const char *program, const struct lab_machine *machine, pid_t *pid, int *said,
		   struct err *err)
{
	struct arguments a = { 0 };
	pid_t parent = getpid(), child = -1;
	int log = -1, ends[2] = { -1, -1 }, ret = 0;

	if (!make_arguments(&a, program, find_row(machine->arch), machine))
		errno = ENOMEM;
	else if (!pipe2(ends, O_CLOEXEC) &&
		 (log = open(machine->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) >= 0)
		child = fork();
	if (!child)
		become_qemu((char *const *)a.list, parent, machine->kernel, ends[1], log);
	if (child < 0)
		ret = err_errno(err, errno, STATUS_OSERR, "can't start '%s'", program);
	while (a.n_own)
		free(a.own[--a.n_own]);
	if (log >= 0)
		close(log);
	if (ends[1] >= 0)
		close(ends[1]);
	if (ret && ends[0] >= 0)
		close(ends[0]);
	if (!ret) {
		*pid = child;
		*said = ends[0];
	}
	return ret;
}
