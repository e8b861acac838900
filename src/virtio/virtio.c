/* virtio.c: the core of virtio devices: their life, the driver's status, features and config.
 *
 * All is under dev->lock but what any thread may call: virtio_broken, virtio_config_changed and the
 * ISR.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>
#include <vibevmm/event.h>
#include <vibevmm/log.h>

#include "core.h"

#define QUEUE_SIZE     256U
#define QUEUE_SIZE_MAX 32768U /* VIRTIO 2.7 */

/* ---- What is told to the driver, on any thread ---------------------------------------------- */

static uint8_t status(const struct virtio *v)
{
	return atomic_load(&v->core->status);
}

void virtio_config_changed(struct virtio *v)
{
	if (status(v) & VIRTIO_STATUS_DRIVER_OK)
		v->core->transport->interrupt(v, NULL);
}

/* VIRTIO 2.1.2. False: it does already. */
static bool needs_reset(struct virtio *v)
{
	struct virtio_core *core = v->core;

	atomic_store(&core->quiet, true);
	if (atomic_fetch_or(&core->status, VIRTIO_STATUS_NEEDS_RESET) & VIRTIO_STATUS_NEEDS_RESET)
		return false;
	virtio_config_changed(v);
	return true;
}

void virtio_broken(struct virtio *v, const char *fmt, ...)
{
	const char *label = v->dev->plan->label;
	char text[256];
	va_list args;

	if (!needs_reset(v))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* A guest can do this again and again. */
	if (atomic_exchange(&v->core->told, true))
		log_debug("%s: %s", label, text);
	else
		log_warn("%s: %s; the device does nothing more until the guest resets it", label,
			 text);
}

/* The line follows the bits. Without the lock, a worker that sets a bit and a vCPU that clears it
 * could leave the line as the slower one had it. */
static void isr_change(struct virtio *v, uint8_t clear, uint8_t set)
{
	struct virtio_core *core = v->core;
	uint8_t before = core->isr;

	core->isr = (uint8_t)((before & ~clear) | set);
	if (!before != !core->isr)
		core->transport->line(v, core->isr);
}

void virtio_isr_raise(struct virtio *v, uint8_t bits)
{
	pthread_mutex_lock(&v->core->isr_lock);
	isr_change(v, 0, bits);
	pthread_mutex_unlock(&v->core->isr_lock);
}

void virtio_isr_clear(struct virtio *v, uint8_t bits)
{
	pthread_mutex_lock(&v->core->isr_lock);
	isr_change(v, bits, 0);
	pthread_mutex_unlock(&v->core->isr_lock);
}

uint8_t virtio_isr_read(struct virtio *v)
{
	uint8_t isr;

	pthread_mutex_lock(&v->core->isr_lock);
	isr = v->core->isr;
	pthread_mutex_unlock(&v->core->isr_lock);
	return isr;
}

uint8_t virtio_isr_take(struct virtio *v)
{
	uint8_t isr;

	pthread_mutex_lock(&v->core->isr_lock);
	isr = v->core->isr;
	isr_change(v, isr, 0);
	pthread_mutex_unlock(&v->core->isr_lock);
	return isr;
}

/* ---- Features ------------------------------------------------------------------------------ */

static uint32_t half(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

uint32_t virtio_core_offered(const struct virtio *v, uint32_t select)
{
	return half(v->core->offered, select);
}

uint32_t virtio_core_accepted(const struct virtio *v, uint32_t select)
{
	return half(v->core->accepted, select);
}

static void put_half(uint64_t *to, bool high, uint32_t value)
{
	*to = high ? (*to & UINT32_MAX) | (uint64_t)value << 32
		   : (*to & ~(uint64_t)UINT32_MAX) | value;
}

/* VIRTIO 2.2.1: nothing more is accepted once that was settled. */
void virtio_core_accept(struct virtio *v, uint32_t select, uint32_t bits)
{
	if (select < 2 && !(status(v) & VIRTIO_STATUS_FEATURES_OK))
		put_half(&v->core->accepted, select, bits);
}

/* VIRTIO 3.1.1 and 6.1: a driver without VERSION_1 is for another kind of device. */
static bool acceptable(const struct virtio_core *core)
{
	return !(core->accepted & ~core->offered) &&
	       (core->accepted >> VIRTIO_FEATURE_VERSION_1 & 1);
}

/* ---- Config -------------------------------------------------------------------------------- */

/* Takes over what changed; the generation counts what the guest may have seen. */
static bool config_refresh(struct virtio *v)
{
	struct virtio_core *core = v->core;

	if (v->type->config_read)
		v->type->config_read(v);
	if (!v->config_len || !memcmp(core->shown, v->config, v->config_len))
		return false;
	memcpy(core->shown, v->config, v->config_len);
	core->generation++;
	return true;
}

uint32_t virtio_core_generation(struct virtio *v)
{
	config_refresh(v);
	return v->core->generation;
}

uint64_t virtio_core_config_read(struct virtio *v, uint64_t offset, unsigned size)
{
	if (offset >= v->config_len)
		return 0;
	config_refresh(v);
	if (size > v->config_len - offset)
		size = v->config_len - (unsigned)offset;
	return bytes_get(v->core->shown + offset, size);
}

void virtio_core_config_write(struct virtio *v, uint64_t offset, unsigned size, uint64_t value)
{
	if (!v->type->config_write || !bytes_inside(offset, size, 0, v->config_len))
		return;
	bytes_put(v->config + offset, size, value);
	bytes_put(v->core->shown + offset, size, value);
	v->type->config_write(v, (unsigned)offset, size);
}

/* ---- Queues -------------------------------------------------------------------------------- */

struct virtio_queue *virtio_queue(struct virtio *v, unsigned index)
{
	assert(index < v->n_queues);
	return &v->queues[index];
}

struct virtio_queue *virtio_core_queue(struct virtio *v, uint32_t index)
{
	return index < v->n_queues ? &v->queues[index] : NULL;
}

/* Whether the driver may still say something about it. */
static bool open_queue(const struct virtio_queue *q)
{
	return q && !q->enabled && !(status(q->v) & VIRTIO_STATUS_DRIVER_OK);
}

void virtio_core_set_size(struct virtio_queue *q, uint32_t size)
{
	if (open_queue(q))
		q->size = size > UINT16_MAX ? 0 : (uint16_t)size;
}

void virtio_core_set_address(struct virtio_queue *q, uint64_t *address, bool high, uint32_t value)
{
	if (open_queue(q))
		put_half(address, high, value);
}

void virtio_core_enable(struct virtio_queue *q, bool on)
{
	if (!q || q->enabled == on)
		return;
	if (status(q->v) & VIRTIO_STATUS_DRIVER_OK)
		virtio_broken(q->v, "queue %u was %s while the device runs", q->index,
			      on ? "enabled" : "taken away");
	else
		q->enabled = on;
}

void virtio_core_kick(struct virtio *v, uint32_t index)
{
	struct virtio_queue *q = virtio_core_queue(v, index);

	if (v->core->running && q && q->enabled && q->kick >= 0)
		event_ring(q->kick);
}

/* ---- Kicks without us ---------------------------------------------------------------------- */

static int ioeventfd(struct virtio *v, enum plan_space space, uint64_t addr, unsigned len,
		     const uint64_t *match, int fd, bool on)
{
	struct device_host *host = v->dev->host;

	return host->ioeventfd ? host->ioeventfd(host, space, addr, len, match, fd, on) : -ENOTSUP;
}

/* The descriptor of all queues that are served; -1 if they have several, or none. */
static int common_kick(const struct virtio *v)
{
	int fd = -1;

	for (unsigned i = 0; i < v->n_queues; i++) {
		int kick = v->queues[i].kick;

		if (kick < 0 || kick == fd)
			continue;
		if (fd >= 0)
			return -1;
		fd = kick;
	}
	return fd;
}

static void bind(struct virtio *v, enum plan_space space, uint64_t addr, unsigned len)
{
	int fd = common_kick(v);

	if (fd >= 0) {
		/* Any length: some hosts then need not decode the guest's instruction. */
		if (!ioeventfd(v, space, addr, 0, NULL, fd, true))
			v->core->any_fd[space] = fd;
		return;
	}
	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtio_queue *q = &v->queues[i];
		uint64_t match = i;

		q->bound[space] =
			q->kick >= 0 && !ioeventfd(v, space, addr, len, &match, q->kick, true);
	}
}

void virtio_core_bind(struct virtio *v, enum plan_space space, uint64_t addr, unsigned len, bool on)
{
	int *any_fd = &v->core->any_fd[space];

	if (on) {
		bind(v, space, addr, len);
		return;
	}
	if (*any_fd >= 0)
		ioeventfd(v, space, addr, 0, NULL, *any_fd, false);
	*any_fd = -1;
	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtio_queue *q = &v->queues[i];
		uint64_t match = i;

		if (q->bound[space])
			ioeventfd(v, space, addr, len, &match, q->kick, false);
		q->bound[space] = false;
	}
}

/* ---- Status -------------------------------------------------------------------------------- */

static void start(struct virtio *v)
{
	struct virtio_core *core = v->core;

	if (!(status(v) & VIRTIO_STATUS_FEATURES_OK)) {
		virtio_broken(v, "the driver started it before agreeing on features");
		return;
	}
	v->driver_features = core->accepted;
	atomic_store(&core->quiet, false);
	for (unsigned i = 0; i < v->n_queues; i++) {
		if (v->queues[i].enabled && !virtio_queue_start(&v->queues[i]))
			return;
	}
	if (v->type->start(v)) {
		for (unsigned i = 0; i < v->n_queues; i++)
			virtio_queue_stop(&v->queues[i]);
		needs_reset(v);
		return;
	}
	core->running = true;
	core->transport->kicks(v, true);
	if (config_refresh(v)) /* changed since the driver looked */
		virtio_config_changed(v);
}

/* Nothing signals the kicks any more when type->stop closes them. */
static void stop(struct virtio *v)
{
	struct virtio_core *core = v->core;

	atomic_store(&core->quiet, true);
	if (!core->running)
		return;
	core->running = false;
	core->transport->kicks(v, false);
	v->type->stop(v);
	for (unsigned i = 0; i < v->n_queues; i++)
		virtio_queue_stop(&v->queues[i]);
}

/* VIRTIO 2.4 */
static void reset(struct virtio *v)
{
	struct virtio_core *core = v->core;

	stop(v);
	for (unsigned i = 0; i < v->n_queues; i++) {
		struct virtio_queue *q = &v->queues[i];

		q->enabled = false;
		q->size = q->max;
		q->ring = (struct virtio_ring){ 0 };
	}
	core->accepted = v->driver_features = 0;
	atomic_store(&core->status, 0);
	virtio_isr_take(v);
	if (core->transport->reset)
		core->transport->reset(v);
}

uint8_t virtio_core_status(const struct virtio *v)
{
	return status(v);
}

/* VIRTIO 2.1 and 3.1.1: the driver can't clear a bit but by a reset, nor set what is the device's
 * to say. */
void virtio_core_set_status(struct virtio *v, uint32_t value)
{
	struct virtio_core *core = v->core;
	uint8_t before = status(v);
	uint32_t set = value & ~before &
		       (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
			VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED);

	if (!value) {
		reset(v);
		return;
	}
	if (before & VIRTIO_STATUS_NEEDS_RESET)
		set &= VIRTIO_STATUS_FAILED;
	if (!acceptable(core))
		set &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
	atomic_fetch_or(&core->status, (uint8_t)set);
	if (set & VIRTIO_STATUS_DRIVER_OK)
		start(v);
}

/* ---- Making and ending devices -------------------------------------------------------------- */

struct instance {
	struct virtio v;
	struct virtio_core core;
};

static void free_instance(struct virtio *v)
{
	for (unsigned i = 0; v->queues && i < v->n_queues; i++)
		free(v->queues[i].taken);
	free(v->queues);
	free(v->core->shown);
	pthread_mutex_destroy(&v->core->isr_lock);
	free(v); /* the beginning of an instance */
}

static int make_queues(struct virtio *v)
{
	uint16_t max = v->queue_size ? v->queue_size : QUEUE_SIZE;

	assert(v->n_queues && bytes_is_power_of_2(max) && max <= QUEUE_SIZE_MAX);
	if (posix_memalign((void **)&v->queues, _Alignof(struct virtio_queue),
			   v->n_queues * sizeof(*v->queues))) {
		v->queues = NULL;
		return -ENOMEM;
	}
	for (unsigned i = 0; i < v->n_queues; i++) {
		v->queues[i] = (struct virtio_queue){
			.v = v, .index = (uint16_t)i, .max = max, .kick = -1, .call = -1
		};
	}
	for (unsigned i = 0; i < v->n_queues; i++) {
		v->queues[i].taken = calloc((max + 63U) / 64, sizeof(uint64_t));
		if (!v->queues[i].taken)
			return -ENOMEM;
	}
	return 0;
}

int virtio_create(struct device *dev, const struct virtio_type *type, struct err *err)
{
	struct instance *made = calloc(1, sizeof(*made));
	struct virtio *v;
	int ret;

	if (!made)
		return err_errno(err, ENOMEM, STATUS_OSERR, "%s", dev->plan->label);
	v = &made->v;
	*v = (struct virtio){
		.dev = dev, .type = type, .memory = dev->host->memory, .core = &made->core
	};
	v->core->quiet = true;
	for (unsigned i = 0; i < VIRTIO_BELLS; i++)
		v->core->any_fd[i] = -1;
	v->core->transport = device_place(dev, VIRTIO_CLAIM_PCI) ? &virtio_pci : &virtio_mmio;
	pthread_mutex_init(&v->core->isr_lock, NULL);
	dev->state = v;
	ret = type->create(v, err);
	if (ret) {
		free_instance(v);
		return ret;
	}
	v->core->offered = v->features | 1ULL << VIRTIO_FEATURE_VERSION_1 |
			   1ULL << VIRTIO_FEATURE_INDIRECT_DESC | 1ULL << VIRTIO_FEATURE_EVENT_IDX;
	v->core->shown = calloc(1, v->config_len + 1U);
	ret = v->core->shown ? make_queues(v) : -ENOMEM;
	if (ret) {
		err_errno(err, ENOMEM, STATUS_OSERR, "%s", dev->plan->label);
		goto out;
	}
	ret = v->core->transport->attach(v, err);
	if (ret)
		goto out;
	virtio_reset(dev);
	return 0;
out:
	type->destroy(v);
	free_instance(v);
	return ret;
}

void virtio_destroy(struct device *dev)
{
	struct virtio *v = dev->state;

	stop(v);
	v->core->transport->detach(v);
	v->type->destroy(v);
	free_instance(v);
}

void virtio_reset(struct device *dev)
{
	struct virtio *v = dev->state;

	reset(v);
	v->core->transport->power_on(v);
	config_refresh(v);
	v->core->generation = 0;
}
