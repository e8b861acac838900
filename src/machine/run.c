/* run.c: stage 4: threads, signals, the end and its exit status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vibevmm/bytes.h>
#include <vibevmm/log.h>

#include "machine_private.h"

/* The machine that signals are meant for: a process runs one. */
static _Atomic(struct machine *) running;

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };

bool machine_stop(struct machine *m, enum stop_cause cause, uint64_t value)
{
	int none = STOP_NONE;

	if (!atomic_compare_exchange_strong(&m->cause, &none, (int)cause))
		return false;
	atomic_store(&m->value, value);
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		struct hv_vcpu *hv = atomic_load(&m->vcpus[i].hv);

		if (hv)
			m->backend->vcpu_kick(hv);
	}
	return true;
}

/* An end from outside, even of a VM that has ended already but for its last output, must not wait
 * for a reader of the console who never comes. */
static void stop_from_outside(struct machine *m, enum stop_cause cause, uint64_t value)
{
	console_hurry(m->console);
	machine_stop(m, cause, value);
}

void machine_quit(struct machine *m)
{
	stop_from_outside(m, STOP_QUIT, 0);
}

/* The first signal ends the VM in order, the second one at once. */
static void on_signal(int sig)
{
	struct machine *m = atomic_load(&running);
	int saved = errno;

	if (!m || m->signalled) {
		terminal_restore();
		_exit(STATUS_SIGNAL + sig);
	}
	m->signalled = true;
	stop_from_outside(m, STOP_SIGNAL, (uint64_t)sig);
	errno = saved;
}

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
	unsigned started = 1;
	sigset_t block, old;

	sigemptyset(&block);
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++)
		sigaddset(&block, stop_signals[i]);
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

/* vCPU 0 has left its loop: wait for the others, and until nobody can kick any more. */
static void end_threads(struct machine *m, unsigned started)
{
	pthread_mutex_lock(&m->lock);
	while (m->n_left < m->n_vcpus)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
	/* While a signal, the time limit or Ctrl-A x can still cut it short. */
	console_flush(m->console);
	atomic_store(&running, NULL);
	loop_stop(m->loop);
	for (unsigned i = 1; i < started; i++)
		pthread_join(m->vcpus[i].thread, NULL);
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		struct hv_vcpu *hv = atomic_exchange(&m->vcpus[i].hv, NULL);

		if (hv)
			m->backend->vcpu_destroy(hv);
	}
}

static int report_timeout(const struct machine *m)
{
	log_error("time limit of %llu ms reached",
		  (unsigned long long)(m->options.timeout / 1000000));
	for (unsigned i = 0; i < m->n_vcpus; i++)
		log_error("vCPU %u was at pc %#llx", i, (unsigned long long)m->vcpus[i].pc);
	return STATUS_TIMEOUT;
}

static int report_crash(const struct machine *m)
{
	const struct hv_exit *exit = &m->stop_vcpu->exit;

	log_error("guest crashed: vCPU %u: %s", m->stop_vcpu->index,
		  exit->kind == HV_EXIT_TRIPLE_FAULT ? "triple fault" : exit->text);
	if (log_get_level() >= LOG_ERROR)
		fputs(m->dump, stderr);
	return STATUS_GUEST_CRASH;
}

static int report_reset(const struct machine *m)
{
	const char *who = m->stop_dev ? m->stop_dev->plan->label : m->backend->name;

	if (m->plan->config->on_reset == RESET_EXIT)
		return STATUS_OK;
	log_error("guest reset itself (%s); `on_reset: exit` would make that a good end", who);
	return STATUS_GUEST_RESET;
}

/* Says why the VM ended, unless it ended well, and gives the exit status. */
static int report(const struct machine *m)
{
	uint64_t value = m->value;

	switch ((enum stop_cause)m->cause) {
	case STOP_NONE:
		break;
	case STOP_HALT:
		return STATUS_OK;
	case STOP_EXIT:
		if (value <= STATUS_GUEST_MAX)
			return (int)value;
		log_error("guest wrote %#llx to %s; statuses end at %d", (unsigned long long)value,
			  m->stop_dev->plan->label, STATUS_GUEST_MAX);
		return STATUS_GUEST_MAX;
	case STOP_RESET:
		return report_reset(m);
	case STOP_CRASH:
		return report_crash(m);
	case STOP_QUIT:
		log_error("ended by Ctrl-A x");
		return STATUS_SIGNAL + SIGINT;
	case STOP_SIGNAL:
		log_error("ended by signal %d (%s)", (int)value, strsignal((int)value));
		return STATUS_SIGNAL + (int)value;
	case STOP_TIMEOUT:
		return report_timeout(m);
	case STOP_FAILED:
		log_error("%s", m->stop_err.text);
		return m->stop_err.status ? m->stop_err.status : STATUS_OSERR;
	}
	return STATUS_BUG;
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
	struct sigaction action = { .sa_handler = on_signal }, old[ARRAY_SIZE(stop_signals)];
	unsigned started;
	int status;

	m->start = loop_now();
	atomic_store(&running, m);
	/* What the parent ignores for us stays ignored: nohup(1). */
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++) {
		sigaction(stop_signals[i], NULL, &old[i]);
		if (old[i].sa_handler != SIG_IGN)
			sigaction(stop_signals[i], &action, NULL);
	}
	if (m->options.timeout)
		start_timer(m);

	log_info("%s: %u vCPU%s on %s, entry at %#llx", m->plan->config->name, m->n_vcpus,
		 m->n_vcpus == 1 ? "" : "s", m->backend->name,
		 (unsigned long long)m->plan->entry.pc);
	started = start_threads(m);
	vcpu_main(&m->vcpus[0]);
	end_threads(m, started);
	m->end = loop_now();

	/* A signal from here on ends the process at once, the terminal as it was. */
	terminal_restore();
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++)
		sigaction(stop_signals[i], &old[i], NULL);
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
