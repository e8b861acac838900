/* run.c: stage 4: threads, signals, the end and its exit status. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "machine_private.h"

/* The machine that signals are meant for: a process runs one. */
static _Atomic(struct machine *) running;

static void kick_all(struct machine *m)
{
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		struct hv_vcpu *hv = atomic_load(&m->vcpus[i].hv);

		if (hv)
			m->backend->vcpu_kick(hv);
	}
}

bool machine_stop(struct machine *m, enum stop_cause cause, uint64_t value)
{
	int none = STOP_NONE;

	if (!atomic_compare_exchange_strong(&m->cause, &none, (int)cause))
		return false;
	atomic_store(&m->value, value);
	kick_all(m);
	return true;
}

void machine_reset(struct machine *m, const char *who)
{
	bool restart = m->plan->config->on_reset == RESET_RESTART;

	if (atomic_load(&m->panicked)) {
		if (machine_stop(m, STOP_PANIC, 0))
			m->stop_who = "as its console says";
		return;
	}
	if (machine_stop(m, restart ? STOP_RESTART : STOP_RESET, 0))
		m->stop_who = who;
}

/* An end from outside, even of a VM that has ended already but for its last output, must not wait
 * for a reader of the console who never comes. One that is about to start anew ends, too. */
static void stop_from_outside(struct machine *m, enum stop_cause cause, uint64_t value)
{
	int restart = STOP_RESTART;

	console_hurry(m->console);
	if (!machine_stop(m, cause, value) &&
	    atomic_compare_exchange_strong(&m->cause, &restart, (int)cause))
		atomic_store(&m->value, value);
}

void machine_end(struct machine *m, int status)
{
	m->end_status = status; /* first: who reports the end may be on another thread */
	stop_from_outside(m, STOP_ENDED, 0);
}

void machine_quit(struct machine *m)
{
	stop_from_outside(m, STOP_QUIT, 0);
}

void machine_press(struct machine *m)
{
	struct device *dev;

	if (m->button < 0) {
		log_warn("this VM has no power button; on x86_64, the device acpi-pm is one");
		return;
	}
	if ((size_t)m->button >= m->n_devices)
		return; /* it did not come up again: this VM has come to its end */
	dev = &m->devices[m->button];
	log_info("%s: the power button is pressed", dev->plan->label);
	dev->row->power_button(dev);
}

/* ---- Signals ------------------------------------------------------------------------------- */

/* All handlers run on the main thread, which is vCPU 0's, or where machine_signals_listen has them:
 * other threads block these signals. */
static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };

static sigset_t handled_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++)
		sigaddset(&set, stop_signals[i]);
	return set;
}

/* The guest didn't listen. */
static void on_grace(int sig)
{
	struct machine *m = atomic_load(&running);
	int saved = errno;

	(void)sig;
	if (m) {
		m->signalled = true;
		stop_from_outside(m, STOP_SIGNAL, (uint64_t)m->asked);
	}
	errno = saved;
}

static bool can_ask(struct machine *m)
{
	int cause = atomic_load(&m->cause);

	return m->button >= 0 && m->plan->config->grace && !m->asked &&
	       (cause == STOP_NONE || cause == STOP_RESTART);
}

/* Leaves the pressing to vCPU 0, between two of its runs, but not the time of grace: the vCPU may
 * be waiting for a reader of the console who never comes. Of all timers, a handler can start this
 * kind. */
static void ask(struct machine *m, int sig)
{
	struct sigaction action = { .sa_handler = on_grace, .sa_mask = handled_signals() };
	uint64_t grace = m->plan->config->grace / 1000;
	struct itimerval timer = {
		.it_value = { (time_t)(grace / 1000000), (suseconds_t)(grace % 1000000) },
	};
	struct hv_vcpu *hv = atomic_load(&m->vcpus[0].hv);

	m->asked = sig;
	m->press = true;
	sigaction(SIGALRM, &action, &m->old_alarm);
	setitimer(ITIMER_REAL, &timer, NULL);
	if (hv)
		m->backend->vcpu_kick(hv);
}

void machine_attend(struct machine *m)
{
	if (!atomic_exchange(&m->press, false))
		return;
	machine_press(m);
	log_info("asked the guest to power off; a second signal ends it at once");
}

/* A first signal asks the guest to power off, where it has a button. The next ends the VM in
 * order, and one more at once. */
static void on_signal(int sig)
{
	struct machine *m = atomic_load(&running);
	int saved = errno;

	if (!m || m->signalled) {
		terminal_restore();
		_exit(STATUS_SIGNAL + sig);
	}
	if (can_ask(m)) {
		ask(m, sig);
	} else {
		m->signalled = true;
		stop_from_outside(m, STOP_SIGNAL, (uint64_t)sig);
	}
	errno = saved;
}

/* What the parent ignores for us stays ignored: nohup(1). */
static void take_signals(struct sigaction old[ARRAY_SIZE(stop_signals)])
{
	struct sigaction action = { .sa_handler = on_signal, .sa_mask = handled_signals() };

	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++) {
		sigaction(stop_signals[i], NULL, &old[i]);
		if (old[i].sa_handler != SIG_IGN)
			sigaction(stop_signals[i], &action, NULL);
	}
}

static void give_signals_back(struct machine *m,
			      const struct sigaction old[ARRAY_SIZE(stop_signals)])
{
	if (m->asked) {
		setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
		sigaction(SIGALRM, &m->old_alarm, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++)
		sigaction(stop_signals[i], &old[i], NULL);
}

/* ---- Threads ------------------------------------------------------------------------------- */

static void on_timeout(void *arg)
{
	stop_from_outside(arg, STOP_TIMEOUT, 0);
}

static void *vcpu_thread(void *arg)
{
	vcpu_main(arg);
	return NULL;
}

/* Starts vCPUs 1.. on threads of their own; they leave signals to the main thread, which is vCPU
 * 0. If one can't start, it counts as ready and left. */
static unsigned start_threads(struct machine *m)
{
	sigset_t block = handled_signals(), old;
	unsigned started = 1;

	m->n_ready = m->n_left = 0;
	pthread_sigmask(SIG_BLOCK, &block, &old);
	for (unsigned i = 1; i < m->n_vcpus; i++) {
		int ret = pthread_create(&m->vcpus[i].thread, NULL, vcpu_thread, &m->vcpus[i]);

		if (!ret) {
			started++;
			continue;
		}
		if (machine_stop(m, STOP_FAILED, 0))
			err_errno(&m->stop_err, ret, STATUS_OSERR, "cannot start vCPU %u's thread",
				  i);
		pthread_mutex_lock(&m->lock);
		m->n_ready += m->n_vcpus - i;
		m->n_left += m->n_vcpus - i;
		pthread_cond_broadcast(&m->changed);
		pthread_mutex_unlock(&m->lock);
		break;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return started;
}

/* The last output goes out, while a signal, the time limit or Ctrl-A x can still cut it short; from
 * then on nobody stops or kicks. */
static void finish(struct machine *m)
{
	console_flush(m->console);
	atomic_store(&running, NULL);
	loop_stop(m->loop);
}

/* One life: all vCPUs from their creation to their destruction. Afterwards either the machine is
 * finished, or (then true) the guest wants to start anew, and the loop stands still for that. */
static bool live(struct machine *m)
{
	const sigset_t set = handled_signals();
	unsigned started = start_threads(m);
	bool again;

	machine_signals_listen(&set);
	vcpu_main(&m->vcpus[0]);
	pthread_mutex_lock(&m->lock);
	while (m->n_left < m->n_vcpus)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
	if (m->backend->drain)
		m->backend->drain(m->vm);
	again = atomic_load(&m->cause) == STOP_RESTART;
	if (again)
		loop_pause(m->loop);
	else
		finish(m);
	machine_signals_deafen(); /* nobody kicks what is destroyed now */
	for (unsigned i = 1; i < started; i++)
		pthread_join(m->vcpus[i].thread, NULL);
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		struct hv_vcpu *hv = atomic_exchange(&m->vcpus[i].hv, NULL);

		if (hv)
			m->backend->vcpu_destroy(hv);
	}
	return again;
}

/* Off and on again. False if that fails, or the VM was ended from outside meanwhile. */
static bool restart(struct machine *m)
{
	sigset_t block = handled_signals(), old;
	int cause = STOP_RESTART, ret;
	struct err err = { 0 };

	m->restarts++;
	log_info("guest reset itself (%s): restart %u", m->stop_who, m->restarts);
	/* A signal waits for the few milliseconds, lest a system call fails by it. */
	pthread_sigmask(SIG_BLOCK, &block, &old);
	machine_power_off(m);
	ret = machine_power_on(m, &err);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret) {
		ret = loop_resume(m->loop);
		if (ret)
			err_errno(&err, -ret, STATUS_OSERR, "restart: event loop");
	}
	if (atomic_compare_exchange_strong(&m->cause, &cause, ret ? STOP_FAILED : STOP_NONE)) {
		if (!ret)
			return true;
		m->stop_err = err;
	}
	loop_resume(m->loop);
	finish(m);
	return false;
}

/* ---- The end ------------------------------------------------------------------------------- */

/* Fills m->why. */
static void __attribute__((format(printf, 2, 3))) because(struct machine *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
}

/* The exit status, and why the VM ended unless it ended well. */
static int judge(struct machine *m)
{
	unsigned long long value = m->value;

	switch ((enum stop_cause)m->cause) {
	case STOP_NONE:
	case STOP_RESTART:
		break;
	case STOP_HALT:
	case STOP_POWEROFF:
		return STATUS_OK;
	case STOP_ENDED:
		return m->end_status;
	case STOP_EXIT:
		if (value <= STATUS_GUEST_MAX)
			return (int)value;
		because(m, "guest wrote %#llx to %s; statuses end at %d", value, m->stop_who,
			STATUS_GUEST_MAX);
		return STATUS_GUEST_MAX;
	case STOP_PANIC:
		because(m, "guest panicked (%s)", m->stop_who);
		return STATUS_GUEST_PANIC;
	case STOP_RESET:
		if (m->plan->config->on_reset == RESET_EXIT)
			return STATUS_OK;
		because(m,
			"guest reset itself (%s); `on_reset: exit` would make that a good end, and "
			"`on_reset: restart` a new start",
			m->stop_who);
		return STATUS_GUEST_RESET;
	case STOP_CRASH:
		because(m, "guest crashed: vCPU %u: %s", m->stop_vcpu->index,
			m->stop_vcpu->exit.kind == HV_EXIT_TRIPLE_FAULT ? "triple fault"
									: m->stop_vcpu->exit.text);
		return STATUS_GUEST_CRASH;
	case STOP_QUIT:
		because(m, "ended by Ctrl-A x");
		return STATUS_SIGNAL + SIGINT;
	case STOP_SIGNAL:
		because(m, "ended by signal %d (%s)%s", (int)value, strsignal((int)value),
			m->asked ? "; the guest did not power off when asked" : "");
		return STATUS_SIGNAL + (int)value;
	case STOP_TIMEOUT:
		because(m, "time limit of %llu ms reached",
			(unsigned long long)(m->options.timeout / 1000000));
		return STATUS_TIMEOUT;
	case STOP_FAILED:
		because(m, "%s", m->stop_err.text);
		return m->stop_err.status ? m->stop_err.status : STATUS_OSERR;
	}
	return STATUS_BUG;
}

static void print_places(const struct machine *m)
{
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		if (m->vcpus[i].waits)
			log_error("vCPU %u was waiting to be started", i);
		else
			log_error("vCPU %u was at pc %#llx", i, (unsigned long long)m->vcpus[i].pc);
	}
}

static int report(struct machine *m)
{
	int status = judge(m);

	if (m->why[0])
		log_error("%s", m->why);
	if (m->cause == STOP_TIMEOUT)
		print_places(m);
	if (m->cause == STOP_CRASH && log_get_level() >= LOG_ERROR)
		fputs(m->dump, stderr);
	return status;
}

enum machine_end machine_ended(const struct machine *m, const char **why)
{
	static const enum machine_end ends[] = {
		[STOP_NONE] = MACHINE_FAILED,	  [STOP_RESTART] = MACHINE_FAILED,
		[STOP_HALT] = MACHINE_POWEROFF,	  [STOP_POWEROFF] = MACHINE_POWEROFF,
		[STOP_EXIT] = MACHINE_EXIT,	  [STOP_PANIC] = MACHINE_PANIC,
		[STOP_RESET] = MACHINE_RESET,	  [STOP_CRASH] = MACHINE_CRASH,
		[STOP_QUIT] = MACHINE_SIGNAL,	  [STOP_SIGNAL] = MACHINE_SIGNAL,
		[STOP_TIMEOUT] = MACHINE_TIMEOUT, [STOP_ENDED] = MACHINE_ENDED,
		[STOP_FAILED] = MACHINE_FAILED,
	};

	if (why)
		*why = m->why;
	return ends[m->cause];
}

static void start_timer(struct machine *m)
{
	uint64_t deadline;
	int ret;

	if (bytes_add_wraps(m->start, m->options.timeout, &deadline))
		return; /* in more than 500 years */
	m->timer = (struct loop_timer){ .fn = on_timeout, .arg = m };
	ret = loop_timer_set(m->loop, &m->timer, deadline);
	if (ret && machine_stop(m, STOP_FAILED, 0))
		err_errno(&m->stop_err, -ret, STATUS_OSERR, "cannot start the time limit");
}

int machine_run(struct machine *m)
{
	struct sigaction old[ARRAY_SIZE(stop_signals)];
	int status;

	m->start = loop_now();
	atomic_store(&running, m);
	take_signals(old);
	if (m->options.timeout)
		start_timer(m);

	log_info("%s: %u vCPU%s on %s, entry at %#llx", m->plan->config->name, m->n_vcpus,
		 m->n_vcpus == 1 ? "" : "s", m->backend->name,
		 (unsigned long long)m->plan->entry.pc);
	while (live(m) && restart(m))
		;
	m->end = loop_now();
	timeline_mark(TIMELINE_EXIT);

	/* A signal from here on ends the process at once, the terminal as it was. */
	terminal_restore();
	give_signals_back(m, old);
	status = report(m);
	log_info("ended with status %d after %.3f ms", status, (double)(m->end - m->start) / 1e6);
	if (console_lost(m->console)) {
		log_error("%llu bytes of console output were lost: nobody reads them",
			  (unsigned long long)console_lost(m->console));
		if (!status)
			status = STATUS_OSERR;
	}
	return status;
}
