/* msix.c: MSI-X, PCI 6.8.2: the table of messages, its masks, and messages that wait for them.
 *
 * Whoever sends reads a message under the function's lock, and the guest's writes are made under
 * it, so none is seen half written. Only the message's own two halves are the guest's to keep
 * together: it masks the vector while it changes them.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vibevmm/bytes.h>

#include "bus.h"

#define CAPABILITY_ID  0x11
#define CAPABILITY_LEN 12

/* Of the capability: Message Control, Table Offset/BIR, PBA Offset/BIR; 6.8.2.3 ff. */
enum { CONTROL = 2, TABLE = 4, PBA = 8 };

#define CONTROL_ENABLE (1U << 15)
#define CONTROL_MASK   (1U << 14)
#define ENTRY_SIZE     16U
#define ENTRY_MASK     1U /* of Vector Control, 6.8.2.9 */
#define VECTORS_MAX    2048U

static unsigned table_size(unsigned vectors)
{
	return vectors * ENTRY_SIZE;
}

/* Bytes of pending bits: quad words. */
static unsigned pending_size(unsigned vectors)
{
	return (vectors + 63) / 64 * 8;
}

int pci_msix_add(struct pci_function *f, uint16_t n, unsigned bar, uint32_t table, unsigned pba_bar,
		 uint32_t pba)
{
	struct pci_msix_vector *vectors = calloc(n, sizeof(*vectors));
	uint64_t *pending = calloc(1, pending_size(n));

	assert(n && n <= VECTORS_MAX && !(table & 7) && !(pba & 7));
	assert(bar < PCI_BARS && bytes_inside(table, table_size(n), 0, f->bars[bar].size));
	assert(pba_bar < PCI_BARS && bytes_inside(pba, pending_size(n), 0, f->bars[pba_bar].size));
	if (!vectors || !pending) {
		free(vectors);
		free(pending);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++)
		vectors[i].control = ENTRY_MASK;
	f->vectors = vectors;
	f->pending = pending;
	f->n_vectors = n;
	f->msix_bar = (uint8_t)bar;
	f->pba_bar = (uint8_t)pba_bar;
	f->msix_table = table;
	f->msix_pba = pba;
	f->msix_at = pci_capability_add(f, CAPABILITY_ID, CAPABILITY_LEN);
	bytes_put16(f->config + f->msix_at + CONTROL, (uint16_t)(n - 1));
	bytes_put16(f->writable + f->msix_at + CONTROL, CONTROL_ENABLE | CONTROL_MASK);
	bytes_put32(f->config + f->msix_at + TABLE, table | bar);
	bytes_put32(f->config + f->msix_at + PBA, pba | pba_bar);
	return 0;
}

/* ---- Sending ----------------------------------------------------------------------------- */

uint16_t pci_msix_control(const struct pci_function *f)
{
	return f->n_vectors ? bytes_get16(f->config + f->msix_at + CONTROL) : 0;
}

bool pci_msix_is_on(const struct pci_function *f)
{
	return pci_msix_control(f) & CONTROL_ENABLE;
}

/* A vector's message goes out when it comes. */
static bool is_open(const struct pci_function *f, unsigned vector)
{
	return (pci_msix_control(f) & (CONTROL_ENABLE | CONTROL_MASK)) == CONTROL_ENABLE &&
	       !(f->vectors[vector].control & ENTRY_MASK);
}

/* Bus Master Enable isn't looked at: there are guests that set it for none but real devices. A
 * message that the machine can't deliver is the guest's loss. */
static void send(struct pci_function *f, unsigned vector)
{
	const struct pci_msix_vector *v = &f->vectors[vector];
	struct device_host *host = f->dev->host;

	(void)host->msi_send(host, v->addr, v->data, f->devfn);
}

/* The vector may have been opened. */
static void send_pending(struct pci_function *f, unsigned vector)
{
	uint64_t *word = &f->pending[vector / 64], bit = 1ULL << vector % 64;

	if (!(*word & bit) || !is_open(f, vector))
		return;
	*word &= ~bit;
	send(f, vector);
}

/* What waited while messages were masked goes out; who turns MSI-X off waits for nothing. */
void pci_msix_allowed(struct pci_function *f)
{
	if (!pci_msix_is_on(f))
		memset(f->pending, 0, pending_size(f->n_vectors));
	for (unsigned i = 0; i < f->n_vectors; i++)
		send_pending(f, i);
}

bool pci_msix_enabled(struct pci_function *f)
{
	bool on;

	pthread_mutex_lock(&f->lock);
	on = pci_msix_is_on(f);
	pthread_mutex_unlock(&f->lock);
	return on;
}

bool pci_msix_send(struct pci_function *f, uint16_t vector)
{
	bool on;

	pthread_mutex_lock(&f->lock);
	on = pci_msix_is_on(f);
	if (on && vector < f->n_vectors) {
		f->pending[vector / 64] |= 1ULL << vector % 64;
		send_pending(f, vector);
	}
	pthread_mutex_unlock(&f->lock);
	return on;
}

int pci_msix_bind(struct pci_function *f, uint16_t vector, int fd, bool on)
{
	struct device_host *host = f->dev->host;
	struct pci_msix_vector v = { 0 };
	bool exists = vector < f->n_vectors, open = false;
	int ret;

	pthread_mutex_lock(&f->lock);
	if (exists) {
		v = f->vectors[vector];
		open = is_open(f, vector);
	}
	pthread_mutex_unlock(&f->lock);
	ret = host->msi_irqfd(host, fd, v.addr, v.data, f->devfn, on && open);
	return on && !exists ? -EINVAL : ret;
}

/* ---- The table and the pending bits -------------------------------------------------------- */

/* Which of the two an access touches. */
enum part { PART_NONE, PART_TABLE, PART_PBA };

static bool touches(uint64_t offset, unsigned size, uint64_t start, uint64_t len)
{
	return offset < start + len && start < offset + size;
}

static enum part part_at(const struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	if (!f->n_vectors)
		return PART_NONE;
	if (bar == f->msix_bar && touches(offset, size, f->msix_table, table_size(f->n_vectors)))
		return PART_TABLE;
	if (bar == f->pba_bar && touches(offset, size, f->msix_pba, pending_size(f->n_vectors)))
		return PART_PBA;
	return PART_NONE;
}

/* 6.8.2: double words and quad words, aligned. Others are undefined: here they read as ones and
 * write nothing. */
static bool is_proper(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && !(offset & (size - 1));
}

static uint32_t table_word(const struct pci_msix_vector *v, unsigned offset)
{
	switch (offset) {
	case 0:
		return (uint32_t)v->addr;
	case 4:
		return (uint32_t)(v->addr >> 32);
	case 8:
		return v->data;
	default:
		return v->control;
	}
}

static void set_table_word(struct pci_msix_vector *v, unsigned offset, uint32_t value)
{
	switch (offset) {
	case 0:
		v->addr = (v->addr & ~bytes_ones(4)) | (value & ~3U);
		break;
	case 4:
		v->addr = (v->addr & bytes_ones(4)) | (uint64_t)value << 32;
		break;
	case 8:
		v->data = value;
		break;
	default:
		v->control = value & ENTRY_MASK;
	}
}

bool pci_msix_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		   uint64_t *value)
{
	enum part part = part_at(f, bar, offset, size);
	uint64_t at = offset - (part == PART_TABLE ? f->msix_table : f->msix_pba);

	if (part == PART_NONE)
		return false;
	*value = bytes_ones(size);
	if (!is_proper(offset, size))
		return true;
	pthread_mutex_lock(&f->lock);
	if (part == PART_TABLE) {
		const struct pci_msix_vector *v = &f->vectors[at / ENTRY_SIZE];

		*value = table_word(v, at % ENTRY_SIZE);
		if (size == 8)
			*value |= (uint64_t)table_word(v, at % ENTRY_SIZE + 4) << 32;
	} else {
		*value &= f->pending[at / 8] >> at % 8 * 8;
	}
	pthread_mutex_unlock(&f->lock);
	return true;
}

static void write_table(struct pci_function *f, uint64_t at, unsigned size, uint64_t value)
{
	unsigned vector = (unsigned)(at / ENTRY_SIZE);
	struct pci_msix_vector *v = &f->vectors[vector], before;
	bool changed;

	pthread_mutex_lock(&f->lock);
	before = *v;
	set_table_word(v, at % ENTRY_SIZE, (uint32_t)value);
	if (size == 8)
		set_table_word(v, at % ENTRY_SIZE + 4, (uint32_t)(value >> 32));
	changed = v->addr != before.addr || v->data != before.data || v->control != before.control;
	send_pending(f, vector);
	pthread_mutex_unlock(&f->lock);
	if (changed && f->ops->msix_changed)
		f->ops->msix_changed(f, vector);
}

bool pci_msix_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t value)
{
	enum part part = part_at(f, bar, offset, size);

	if (part == PART_TABLE && is_proper(offset, size))
		write_table(f, offset - f->msix_table, size, value);
	return part != PART_NONE;
}
