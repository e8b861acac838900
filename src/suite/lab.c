/* lab.c: a suite in the lab: what is needed for it, and what came of it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/host.h>

#include "lab.h"
#include "suite_private.h"

static void kit_free(struct lab_kit *kit)
{
	if (kit->kernel.path)
		lab_kernel_close(&kit->kernel);
	free(kit->program);
	free(kit->qemu);
}

static int kit_find(struct lab_kit *kit, enum arch arch, const struct suite_lab_options *options,
		    struct err *err)
{
	int ret;

	kit->arch = arch;
	ret = lab_qemu_find(arch, &kit->qemu, err);
	if (!ret && arch != hv_host_arch())
		ret = lab_program_find(arch, &kit->program, err);
	if (!ret)
		ret = lab_kernel_open(&kit->kernel, options->kernel, arch, err);
	return ret;
}

/* The cases of an architecture that have no result yet; how many. */
static size_t find_cases(const struct lab *lab, enum arch arch, size_t *cases)
{
	size_t n = 0;

	for (size_t i = 0; i < lab->suite->n; i++) {
		if (!lab->settled[i] && config_vm(lab->suite->cases[i].config)->arch == arch)
			cases[n++] = i;
	}
	return n;
}

/* A lab that died has taken what ran there with it: another one runs the rest. */
static int run_arch(struct lab *lab, const struct lab_kit *kit, size_t *cases, struct err *err)
{
	int ret = 0;

	while (!ret && !lab->stopped) {
		size_t n = find_cases(lab, kit->arch, cases);

		if (!n)
			break;
		ret = lab_boot(lab, kit, cases, n, err);
	}
	return ret;
}

static int run_all(struct lab *lab, const struct suite_lab_options *options, struct err *err)
{
	static const enum arch arches[] = { ARCH_X86_64, ARCH_ARM64 };
	struct lab_kit kits[ARRAY_SIZE(arches)] = { 0 };
	size_t *cases = calloc(lab->suite->n + 1, sizeof(*cases));
	int ret = 0;

	if (!cases)
		return err_errno(err, ENOMEM, STATUS_OSERR, "the lab");
	/* All that is missing is found before anything runs. */
	for (size_t i = 0; i < ARRAY_SIZE(arches) && !ret; i++) {
		if (find_cases(lab, arches[i], cases))
			ret = kit_find(&kits[i], arches[i], options, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(arches) && !ret; i++) {
		if (kits[i].qemu)
			ret = run_arch(lab, &kits[i], cases, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		kit_free(&kits[i]);
	free(cases);
	return ret;
}

/* ---- Results -------------------------------------------------------------------------------- */

/* What is missing here is missing in the lab as well: it has the same files and environment. */
static int prepare(struct lab *lab)
{
	size_t n = lab->suite->n;

	lab->settled = calloc(n + 1, sizeof(*lab->settled));
	if (!lab->settled || suite_run_init(lab->run, lab->suite, lab->options))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		lab->settled[i] = lab->suite->cases[i].skip;
	return 0;
}

static void close_results(struct lab *lab, int ret, const struct err *err)
{
	struct suite_run *run = lab->run;
	const char *why = run->signal ? "stopped by a signal"
			  : ret	      ? err->text
				      : "a case failed before";

	for (size_t i = 0; i < run->n; i++) {
		if (lab->settled[i])
			continue;
		run->stopped = true;
		suite_replace(&run->results[i].why, strdup(why));
	}
	run->took = loop_now() - lab->origin;
}

int suite_lab(const struct suite *suite, const struct suite_choice *choice,
	      const struct suite_options *options, const struct suite_lab_options *lab_options,
	      struct suite_run *run, struct err *err)
{
	struct lab lab = {
		.suite = suite,
		.choice = choice,
		.options = options,
		.run = run,
		.origin = loop_now(),
	};
	sigset_t old;
	int ret;

	*run = (struct suite_run){ .wall = loop_wall() };
	lab.signals = suite_signals(&old);
	if (lab.signals < 0 || prepare(&lab)) {
		ret = err_errno(err, errno, STATUS_OSERR, "the lab");
		goto out;
	}
	suite_begin(run, suite, options);
	ret = run_all(&lab, lab_options, err);
	close_results(&lab, ret, err);
out:
	if (lab.signals >= 0)
		close(lab.signals);
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(lab.settled);
	return ret;
}
