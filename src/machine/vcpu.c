/* vcpu.c: a vCPU's thread: create, run, hand accesses to the bus, leave. */
#include <vibevmm/log.h>

#include "machine_private.h"

static bool stray_is_new(struct stray *stray, enum hv_space space, uint64_t addr, uint32_t count)
{
	bool new = true;

	pthread_mutex_lock(&stray->lock);
	stray->accesses += count;
	for (size_t i = 0; i < stray->n && new; i++)
		new = stray->seen[i].space != space || stray->seen[i].addr != addr;
	if (stray->n == STRAY_MAX)
		new = false;
	if (new) {
		stray->seen[stray->n].space = space;
		stray->seen[stray->n++].addr = addr;
		if (stray->n == STRAY_MAX)
			log_warn("accesses that no device claims come at more than %d addresses; "
				 "from "
				 "here on they are counted, not logged",
				 STRAY_MAX);
	}
	pthread_mutex_unlock(&stray->lock);
	return new;
}

/* No device claims addr: count it, and say so once. A kernel probes for hardware as a matter of
 * course; for other guests a stray access is most likely a mistake. */
static void stray_access(struct vcpu *vcpu, enum hv_space space, const struct hv_exit *exit)
{
	struct machine *m = vcpu->machine;
	const struct plan *plan = m->plan;
	const struct plan_region *near, *rom;
	enum log_level level =
		plan->registry->boots[plan->config->boot->index]->interrupts ? LOG_INFO : LOG_WARN;
	char nearest[96] = "";

	if (!stray_is_new(&m->stray, space, exit->io.addr, exit->io.count) ||
	    log_get_level() < level)
		return;
	rom = space == HV_MMIO ? plan_region_at(plan, SPACE_MEM, 1U << REGION_ROM, exit->io.addr)
			       : NULL;
	if (rom && exit->io.write) {
		console_flush(m->console);
		log_write(level,
			  "a write of %u byte%s to rom %#llx-%#llx at %#llx, vCPU %u, pc %#llx, "
			  "was dropped",
			  exit->io.size, exit->io.size == 1 ? "" : "s",
			  (unsigned long long)rom->start, (unsigned long long)rom->last,
			  (unsigned long long)exit->io.addr, vcpu->index,
			  (unsigned long long)m->backend->vcpu_pc(atomic_load(&vcpu->hv)));
		return;
	}
	near = plan_nearest(plan, space == HV_PIO ? SPACE_PIO : SPACE_MEM, exit->io.addr);
	if (near)
		snprintf(nearest, sizeof(nearest), "; the nearest window is %s at %#llx-%#llx",
			 near->owner, (unsigned long long)near->start,
			 (unsigned long long)near->last);
	console_flush(m->console);
	log_write(level, "no device at %s %#llx: a %s of %u byte%s, vCPU %u, pc %#llx, %s%s",
		  space == HV_PIO ? "port" : "address", (unsigned long long)exit->io.addr,
		  exit->io.write ? "write" : "read", exit->io.size, exit->io.size == 1 ? "" : "s",
		  vcpu->index, (unsigned long long)m->backend->vcpu_pc(atomic_load(&vcpu->hv)),
		  exit->io.write ? "was dropped" : "got all ones", nearest);
}

static void vcpu_io(struct vcpu *vcpu, enum hv_space space, const struct hv_exit *exit)
{
	const struct bus *bus = &vcpu->machine->bus[space];
	struct bus_hint *hint = &vcpu->hints[space];
	uint8_t *data = exit->io.data;
	bool claimed = true;

	/* All of a string access goes to one address, and so to one device or to none. */
	for (uint32_t i = 0; i < exit->io.count; i++, data += exit->io.size) {
		if (exit->io.write)
			claimed = bus_write(bus, hint, exit->io.addr, data, exit->io.size);
		else
			claimed = bus_read(bus, hint, exit->io.addr, data, exit->io.size);
	}
	if (!claimed)
		stray_access(vcpu, space, exit);
}

static void vcpu_crash(struct vcpu *vcpu, struct hv_vcpu *hv)
{
	struct machine *m = vcpu->machine;

	if (!machine_stop(m, STOP_CRASH, 0))
		return;
	m->stop_vcpu = vcpu;
	m->backend->vcpu_dump(hv, m->dump, sizeof(m->dump));
}

/* Others may read it meanwhile, but nobody else adds to it: no locked instruction is needed. */
static inline void count(_Atomic uint64_t *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void vcpu_loop(struct vcpu *vcpu, struct hv_vcpu *hv)
{
	struct machine *m = vcpu->machine;
	struct hv_exit *exit = &vcpu->exit;

	if (vcpu->index == 0) /* for a signal that came when there was nobody to kick */
		machine_attend(m);
	timeline_mark(TIMELINE_GUEST);
	while (!machine_stopping(m)) {
		m->backend->vcpu_run(hv, exit);
		count(&vcpu->exits[exit->kind]);
		switch (exit->kind) {
		case HV_EXIT_PIO:
			vcpu_io(vcpu, HV_PIO, exit);
			break;
		case HV_EXIT_MMIO:
			vcpu_io(vcpu, HV_MMIO, exit);
			break;
		case HV_EXIT_AGAIN:
			break;
		case HV_EXIT_KICKED:
			if (vcpu->index == 0)
				machine_attend(m);
			break;
		case HV_EXIT_HALT: /* without an interrupt controller nothing can wake it */
			machine_stop(m, STOP_HALT, 0);
			break;
		case HV_EXIT_POWEROFF:
			machine_stop(m, STOP_POWEROFF, 0);
			break;
		case HV_EXIT_RESET:
			machine_reset(m, m->backend->name);
			break;
		case HV_EXIT_TRIPLE_FAULT:
		case HV_EXIT_FAULT:
		case HV_EXIT_KINDS:
			vcpu_crash(vcpu, hv);
			break;
		}
	}
}

/* A guest's first instructions may start the other vCPUs: all must be there. */
static void wait_for_all(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	if (++m->n_ready == m->n_vcpus)
		pthread_cond_broadcast(&m->changed);
	while (m->n_ready < m->n_vcpus)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
}

static void leave(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	if (++m->n_left == m->n_vcpus)
		pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void vcpu_failed(struct machine *m, const struct err *err)
{
	if (machine_stop(m, STOP_FAILED, 0))
		m->stop_err = *err;
}

void vcpu_main(struct vcpu *vcpu)
{
	struct machine *m = vcpu->machine;
	struct hv_vcpu *hv = NULL;
	struct err err = { 0 };

	if (m->backend->vcpu_create(m->vm, vcpu->index, &hv, &err))
		vcpu_failed(m, &err);
	atomic_store(&vcpu->hv, hv);
	if (m->n_vcpus > 1)
		wait_for_all(m);
	if (hv && vcpu->index == 0 && m->backend->vcpu_set_entry(hv, &m->entry, &err))
		vcpu_failed(m, &err);
	if (hv) {
		vcpu_loop(vcpu, hv);
		/* The time limit may yet come between a restart's two lives. */
		if (m->cause == STOP_TIMEOUT || m->cause == STOP_RESTART) {
			vcpu->pc = m->backend->vcpu_pc(hv);
			vcpu->waits = m->backend->vcpu_waits(hv);
		}
	}
	leave(m);
}
