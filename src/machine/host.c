/* host.c: what the machine does for its devices: interrupts, doorbells, gathered writes, the
 * guest's last words. */
#include <errno.h>

#include <vibevmm/log.h>

#include "machine_private.h"

/* Gathered writes come out at least this often. */
#define DRAIN_NS 20000000

static void irq_set(struct device_host *host, struct device *dev, unsigned claim, bool level)
{
	struct machine *m = machine_of(host);

	m->backend->irq_set(m->vm, (unsigned)device_place(dev, claim)->start, level);
}

/* ---- Messages and doorbells ---------------------------------------------------------------- */

static int msi_send(struct device_host *host, uint64_t addr, uint32_t data, uint32_t who)
{
	struct machine *m = machine_of(host);

	if (!(m->caps & HV_CAP_MSI))
		return -ENOTSUP;
	return m->backend->msi_send(m->vm, addr, data, who);
}

static int msi_irqfd(struct device_host *host, int fd, uint64_t addr, uint32_t data, uint32_t who,
		     bool on)
{
	struct machine *m = machine_of(host);

	if (!(m->caps & HV_CAP_MSI) || !(m->caps & HV_CAP_IRQFD) || !m->backend->msi_irqfd)
		return -ENOTSUP;
	return m->backend->msi_irqfd(m->vm, fd, addr, data, who, on, NULL);
}

static enum hv_space hv_space_of(enum plan_space space)
{
	return space == SPACE_PIO ? HV_PIO : HV_MMIO;
}

static int ioeventfd(struct device_host *host, enum plan_space space, uint64_t addr, unsigned len,
		     const uint64_t *match, int fd, bool on)
{
	struct machine *m = machine_of(host);

	if (!(m->caps & HV_CAP_IOEVENTFD))
		return -ENOTSUP;
	return m->backend->ioeventfd(m->vm, hv_space_of(space), addr, len, match, fd, on, NULL);
}

static int map(struct device_host *host, uint64_t addr, uint64_t size, void *bytes, bool on)
{
	struct machine *m = machine_of(host);

	if (!m->backend->mem_unmap)
		return -ENOTSUP;
	return on ? m->backend->mem_map(m->vm, addr, size, bytes, 0, NULL)
		  : m->backend->mem_unmap(m->vm, addr, size);
}

static struct device_kept *kept(struct device_host *host, const struct device *dev)
{
	struct machine *m = machine_of(host);

	return &m->kept[dev->plan - m->plan->devices];
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void guest_exit(struct device_host *host, struct device *dev, uint64_t status)
{
	struct machine *m = machine_of(host);

	if (machine_stop(m, STOP_EXIT, status))
		m->stop_who = dev->plan->label;
}

static void guest_poweroff(struct device_host *host, struct device *dev)
{
	(void)dev;
	machine_stop(machine_of(host), STOP_POWEROFF, 0);
}

static void guest_reset(struct device_host *host, struct device *dev)
{
	machine_reset(machine_of(host), dev->plan->label);
}

static void guest_panic(struct device_host *host, struct device *dev)
{
	struct machine *m = machine_of(host);

	if (machine_stop(m, STOP_PANIC, 0))
		m->stop_who = dev->plan->label;
}

/* ---- Gathered writes ----------------------------------------------------------------------- */

/* One at a time: see hv_vm_config. */
void machine_late_write(void *arg, enum hv_space space, uint64_t addr, const uint8_t *data,
			unsigned size)
{
	struct machine *m = arg;

	bus_write(&m->bus[space], &m->late_hints[space], addr, data, size);
}

/* A kicked vCPU brings them along. They are not drained here, since a device may have to wait for
 * the console's reader, which the loop's thread must not. */
static void drain_due(void *arg)
{
	struct machine *m = arg;
	struct hv_vcpu *hv = atomic_load(&m->vcpus[0].hv);

	if (!atomic_load(&m->gathering))
		return;
	if (hv && m->backend->gathered(m->vm)) /* a guest that sleeps is left alone */
		m->backend->vcpu_kick(hv);
	loop_timer_set(m->loop, &m->drain, loop_now() + DRAIN_NS);
}

static void coalesce(struct device_host *host, struct device *dev, unsigned claim, uint64_t offset,
		     unsigned size, bool on)
{
	struct machine *m = machine_of(host);
	const struct plan_claim *place = device_place(dev, claim);
	enum hv_space space = hv_space_of(place->claim->space);
	int ret = 0;

	if (!m->backend->coalesce)
		return;
	pthread_mutex_lock(&m->lock);
	/* Counted first, so that the timer doesn't find nothing to do. */
	if (on && !m->gathering++)
		ret = loop_timer_set(m->loop, &m->drain, loop_now() + DRAIN_NS);
	if (!ret)
		ret = m->backend->coalesce(m->vm, space, place->start + offset, size, on);
	if (on ? ret : !ret && m->gathering)
		m->gathering--;
	pthread_mutex_unlock(&m->lock);
}

void machine_host_init(struct machine *m)
{
	m->host = (struct device_host){
		.irq_set = irq_set,
		.guest_exit = guest_exit,
		.guest_poweroff = guest_poweroff,
		.guest_reset = guest_reset,
		.guest_panic = guest_panic,
		.coalesce = coalesce,
		.ioeventfd = ioeventfd,
		.msi_send = msi_send,
		.msi_irqfd = msi_irqfd,
		.map = map,
		.kept = kept,
		.loop = m->loop,
		.console = m->console,
		.vm_name = m->plan->config->name,
	};
	m->drain = (struct loop_timer){ .fn = drain_due, .arg = m };
}
