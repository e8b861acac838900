/* boot.c: one case in the process that was forked for it: the VM runs, and is judged. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/host.h>
#include <vibevmm/log.h>

#include "suite_private.h"

struct boot {
	const struct suite_case *c;
	struct expect_report *report;
	struct machine *machine;
	struct plan_console *consoles; /* those that expect knows, in its order */
	const char **names;
	size_t n_consoles;
	int keyboard; /* where to write what is typed on standard input */

	pthread_mutex_t lock; /* of all below, and of expect */
	struct expect *expect;
	bool ended;	/* the machine was told to end */
	uint64_t armed; /* when it calls us; 0: never */
};

/* ---- While it runs: with the lock held ------------------------------------------------------- */

static void type(struct boot *boot, uint64_t now)
{
	const char *text;
	size_t console, len;

	while (expect_send(boot->expect, &console, &text, &len)) {
		const struct plan_console *c = &boot->consoles[console];
		ssize_t n;

		if (c->standard)
			n = write(boot->keyboard, text, len);
		else
			n = (ssize_t)machine_type(boot->machine, c->device, c->port, text, len);
		if (n <= 0)
			break; /* the guest reads slowly: again at the next occasion */
		expect_sent(boot->expect, (size_t)n, now);
	}
}

static void follow(struct boot *boot, uint64_t now)
{
	struct expect *expect = boot->expect;
	uint64_t at;

	type(boot, now);
	if (expect_ready(expect) && !boot->report->exits_ready)
		boot->report->exits_ready = machine_exits(boot->machine);
	if (expect_state(expect) != EXPECT_WAITS && !boot->ended) {
		boot->ended = true;
		machine_end(boot->machine,
			    expect_state(expect) == EXPECT_MET ? STATUS_OK : STATUS_UNMET);
	}
	at = expect_deadline(expect);
	if (at && (!boot->armed || at < boot->armed) && !machine_wake(boot->machine, at))
		boot->armed = at;
}

static bool is_from(const struct plan_console *c, const struct plan_device *device, unsigned port,
		    bool standard)
{
	return c->device ? c->device == device && c->port == port : standard;
}

static void said(void *arg, const struct plan_device *device, unsigned port, bool standard,
		 const void *buf, size_t len)
{
	struct boot *boot = arg;
	uint64_t now = loop_now();

	pthread_mutex_lock(&boot->lock);
	for (size_t i = 0; i < boot->n_consoles; i++) {
		if (is_from(&boot->consoles[i], device, port, standard))
			expect_heard(boot->expect, i, buf, len, now);
	}
	follow(boot, now);
	pthread_mutex_unlock(&boot->lock);
}

static void due(void *arg)
{
	struct boot *boot = arg;
	uint64_t now = loop_now();

	pthread_mutex_lock(&boot->lock);
	boot->armed = 0;
	expect_tick(boot->expect, now);
	follow(boot, now);
	pthread_mutex_unlock(&boot->lock);
}

/* ---- Before and after ------------------------------------------------------------------------ */

static bool is_named(const struct expect_config *config, const char *name)
{
	const struct expect_step *steps = config->console.list;

	for (uint32_t i = 0; i < config->console.n; i++) {
		if (steps[i].on && !strcmp(steps[i].on, name))
			return true;
	}
	return false;
}

/* Standard output, all that leads elsewhere, and what a step names. */
static int find_consoles(struct boot *boot, const struct expect_config *config)
{
	struct plan_console console;
	size_t n = 1; /* standard output is always there */

	while (plan_console(boot->c->plan, n, &console))
		n++;
	boot->consoles = calloc(n, sizeof(*boot->consoles));
	boot->names = calloc(n, sizeof(*boot->names));
	if (!boot->consoles || !boot->names)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct plan_console *c = &boot->consoles[boot->n_consoles];

		plan_console(boot->c->plan, i, c);
		if (c->device && c->standard && !is_named(config, c->name))
			continue;
		boot->names[boot->n_consoles++] = c->name;
	}
	return 0;
}

/* Standard input is a pipe, if a step types there. */
static int open_keyboard(struct boot *boot, const struct expect_config *config, int *in)
{
	const struct expect_step *steps = config->console.list;
	bool types = false;
	int pipe[2];

	*in = boot->keyboard = -1;
	for (uint32_t i = 0; i < config->console.n; i++)
		types |= steps[i].send != NULL;
	if (!types)
		return 0;
	if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	*in = pipe[0];
	boot->keyboard = pipe[1];
	return 0;
}

static void add_kind(void *arg, const char *name, uint64_t count)
{
	struct expect_report *r = arg;
	size_t n = r->n_kinds;

	if (n == EXPECT_KINDS)
		return;
	snprintf(r->kinds[n].name, sizeof(r->kinds[n].name), "%s", name);
	r->kinds[n].count = count;
	r->n_kinds++;
}

static enum expect_end end_of(const struct boot *boot, enum machine_end end)
{
	static const enum expect_end ends[] = {
		[MACHINE_POWEROFF] = EXPECT_END_POWEROFF, [MACHINE_EXIT] = EXPECT_END_EXIT,
		[MACHINE_RESET] = EXPECT_END_RESET,	  [MACHINE_PANIC] = EXPECT_END_PANIC,
		[MACHINE_CRASH] = EXPECT_END_CRASH,	  [MACHINE_TIMEOUT] = EXPECT_END_TIMEOUT,
		[MACHINE_SIGNAL] = EXPECT_END_SIGNAL,	  [MACHINE_FAILED] = EXPECT_END_FAILED,
	};

	if (end == MACHINE_ENDED)
		return expect_state(boot->expect) == EXPECT_MET ? EXPECT_END_MET : EXPECT_END_UNMET;
	return ends[end];
}

/* Runs it and judges. The judgement comes when the last device has said its last. */
static void run(struct boot *boot, bool measures, uint64_t inherited)
{
	struct expect_report *r = boot->report;
	enum machine_end how;
	const char *why;
	char text[600];
	uint64_t end;
	int status;

	pthread_mutex_lock(&boot->lock);
	follow(boot, loop_now());
	pthread_mutex_unlock(&boot->lock);
	status = machine_run(boot->machine);
	end = loop_now();
	how = machine_ended(boot->machine, &why);
	snprintf(text, sizeof(text), "%s", why);
	r->exits = machine_exits(boot->machine);
	machine_each_exit(boot->machine, add_kind, r);
	r->memory = measures ? machine_own_memory(boot->machine) : 0;
	r->memory -= r->memory < inherited ? r->memory : inherited;
	machine_free(boot->machine);
	expect_ended(boot->expect, end_of(boot, how), status, text, end);
}

static int boot_case(struct boot *boot, const struct suite_options *suite, struct err *err)
{
	const struct vm_config *vm = boot->c->plan->config;
	const struct machine_watch watch = { .said = said, .due = due, .arg = boot };
	struct machine_options options = { .out = STDOUT_FILENO, .watch = &watch };
	struct expect_setup setup = {
		.config = &vm->expect,
		.node = node_get(vm->root, "expect"),
		.scale = suite->scale,
		.start = timeline_at[TIMELINE_EXEC],
		.report = boot->report,
	};
	bool measures = suite->details || vm->expect.memory_under;
	uint64_t inherited = measures ? machine_own_memory(NULL) : 0;
	int ret = find_consoles(boot, &vm->expect);

	if (!ret)
		ret = open_keyboard(boot, &vm->expect, &options.in);
	if (ret)
		return err_errno(err, -ret, STATUS_OSERR, "console");
	setup.consoles = boot->names;
	setup.n_consoles = boot->n_consoles;
	ret = expect_new(&boot->expect, &setup, err);
	if (!ret)
		ret = machine_build(boot->c->plan, &options, &boot->machine, err);
	if (!ret)
		run(boot, measures, inherited);
	return ret;
}

/* It did not come to a run. */
static void could_not(struct expect_report *report, const struct err *err)
{
	log_error("%s", err->text);
	report->end = EXPECT_END_FAILED;
	report->status = err->status ? err->status : STATUS_OSERR;
	report->unmet = true;
	snprintf(report->reason, sizeof(report->reason), "%s", err->text);
}

int suite_boot(const struct suite_case *c, const struct suite_options *options,
	       struct expect_report *report)
{
	struct boot boot = { .c = c, .report = report, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct err err = { 0 };

	*report = (struct expect_report){ 0 };
	if (boot_case(&boot, options, &err))
		could_not(report, &err);
	for (int i = 0; i < TIMELINE_POINTS; i++)
		report->timeline[i] = timeline_at[i];
	expect_free(boot.expect);
	free(boot.names);
	free(boot.consoles);
	if (report->end == EXPECT_END_FAILED && !boot.machine)
		return report->status;
	return report->unmet ? STATUS_UNMET : STATUS_OK;
}
