/* ioapic.c: the I/O APIC of Intel's 82093AA datasheet, with the EOI register that version 0x20
 * adds (Intel I/O Controller Hub 9 datasheet, "I/O APIC EOI register"): KVM offers suppressed EOI
 * broadcasts to guests of a user-space I/O APIC, and whoever takes that needs the register. */
#include <vibevmm/bytes.h>

#include "ioapic.h"

/* 82093AA 3.1: two registers, of which the first selects what the second shows. */
enum { SELECT = 0x00, WINDOW = 0x10, EOI = 0x40 };

/* 82093AA 3.2: what can be selected. */
enum { REG_ID = 0x00, REG_VERSION = 0x01, REG_ARBITRATION = 0x02, REG_REDIRECTION = 0x10 };

#define VERSION		0x20U
#define MAX_ENTRY_SHIFT 16 /* 82093AA 3.2.2: the last entry's number */

/* 82093AA 3.2.4: a redirection table entry. */
#define VECTOR		0xffULL
#define DELIVERY_MODE	0x700ULL
#define LOGICAL		(1ULL << 11) /* destination mode */
#define PENDING		(1ULL << 12) /* delivery status, read-only; we deliver at once */
#define REMOTE_IRR	(1ULL << 14) /* read-only: a local APIC has it and owes an EOI */
#define LEVEL		(1ULL << 15)
#define MASKED		(1ULL << 16)
#define DESTINATION(e)	((e) >> 56)
#define WRITABLE	(0xff0000000001ffffULL & ~(PENDING | REMOTE_IRR))
#define DELIVERY_LOWEST 0x100ULL
#define DELIVERY_EXTINT 0x700ULL /* wants an 8259 to give the vector */

/* Intel SDM Vol. 3, 11.11. */
#define MESSAGE_ADDR		0xfee00000ULL
#define MESSAGE_ADDR_DEST_SHIFT 12
#define MESSAGE_ADDR_LOGICAL	(1ULL << 2)
#define MESSAGE_DATA_ASSERT	(1U << 14)
#define MESSAGE_DATA_LEVEL	(1U << 15)

void ioapic_reset(struct ioapic *ioapic)
{
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		ioapic->redirection[i] = MASKED;
	ioapic->asserted = 0;
	ioapic->followed = 0;
	ioapic->routed = 0;
	ioapic->select = 0;
	ioapic->id = 0;
}

/* Level-triggered with an EOI to come. The other modes (NMI, INIT, SMI) act as edges, whatever
 * their trigger bit says. */
static bool is_level(uint64_t entry)
{
	return (entry & LEVEL) && (entry & DELIVERY_MODE) <= DELIVERY_LOWEST;
}

/* What the pin sends now; false (message untouched) while it is masked or no message can say it. */
static bool message_of(const struct ioapic *ioapic, unsigned pin, struct ioapic_message *message)
{
	uint64_t entry = ioapic->redirection[pin];

	if ((entry & MASKED) || (entry & DELIVERY_MODE) == DELIVERY_EXTINT)
		return false;
	message->addr = MESSAGE_ADDR | DESTINATION(entry) << MESSAGE_ADDR_DEST_SHIFT |
			(entry & LOGICAL ? MESSAGE_ADDR_LOGICAL : 0);
	message->data = (uint32_t)(entry & (VECTOR | DELIVERY_MODE)) | MESSAGE_DATA_ASSERT |
			(is_level(entry) ? MESSAGE_DATA_LEVEL : 0);
	return true;
}

/* The pin's entry has changed, or somebody follows it. Backends pay for each change of a route, so
 * none is told in vain: guests mask and unmask often. */
static void route(struct ioapic *ioapic, unsigned pin)
{
	uint32_t bit = 1U << pin;
	struct ioapic_message message = { 0 };
	bool live = message_of(ioapic, pin, &message);

	/* A masked pin's old route does no harm if nobody follows it. */
	if (!live && !(ioapic->followed & bit))
		return;
	live = live && ((ioapic->followed & bit) || (message.data & MESSAGE_DATA_LEVEL));
	if (live == !!(ioapic->routed & bit) &&
	    (!live || (message.addr == ioapic->routes[pin].addr &&
		       message.data == ioapic->routes[pin].data)))
		return;
	ioapic->routes[pin] = message;
	ioapic->routed = live ? ioapic->routed | bit : ioapic->routed & ~bit;
	if (ioapic->reroute)
		ioapic->reroute(ioapic->arg);
}

void ioapic_follow(struct ioapic *ioapic, unsigned pin)
{
	if (pin >= ioapic->pins)
		return;
	ioapic->followed |= 1U << pin;
	route(ioapic, pin);
}

static void deliver(struct ioapic *ioapic, unsigned pin)
{
	struct ioapic_message message;

	if (message_of(ioapic, pin, &message))
		ioapic->send(ioapic->arg, &message);
}

/* Fires a level-triggered pin that is asserted, unmasked, and not in service already. */
static void deliver_level(struct ioapic *ioapic, unsigned pin)
{
	uint64_t *entry = &ioapic->redirection[pin];

	if (!is_level(*entry) || (*entry & (MASKED | REMOTE_IRR)) ||
	    !(ioapic->asserted & 1U << pin))
		return;
	*entry |= REMOTE_IRR;
	deliver(ioapic, pin);
}

void ioapic_set(struct ioapic *ioapic, unsigned pin, bool level)
{
	bool before;

	if (pin >= ioapic->pins)
		return;
	before = ioapic->asserted & 1U << pin;
	if (level)
		ioapic->asserted |= 1U << pin;
	else
		ioapic->asserted &= ~(1U << pin);

	/* 82093AA 3.2.4, bit 16: an edge on a masked pin is lost, a level is not. */
	if (is_level(ioapic->redirection[pin]))
		deliver_level(ioapic, pin);
	else if (level && !before)
		deliver(ioapic, pin);
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned pin = 0; pin < ioapic->pins; pin++) {
		uint64_t *entry = &ioapic->redirection[pin];

		if (!(*entry & REMOTE_IRR) || (*entry & VECTOR) != vector)
			continue;
		*entry &= ~REMOTE_IRR;
		deliver_level(ioapic, pin);
	}
}

static uint32_t register_read(const struct ioapic *ioapic)
{
	unsigned reg = ioapic->select, pin = (reg - REG_REDIRECTION) / 2;

	switch (reg) {
	case REG_ID:
	case REG_ARBITRATION: /* loaded with the ID */
		return (uint32_t)ioapic->id << 24;
	case REG_VERSION:
		return VERSION | (ioapic->pins - 1) << MAX_ENTRY_SHIFT;
	default:
		if (reg < REG_REDIRECTION || pin >= ioapic->pins)
			return 0;
		return (uint32_t)(ioapic->redirection[pin] >> (reg & 1 ? 32 : 0));
	}
}

static void redirection_write(struct ioapic *ioapic, unsigned pin, bool high, uint32_t value)
{
	uint64_t *entry = &ioapic->redirection[pin];
	uint64_t want = high ? (*entry & UINT32_MAX) | (uint64_t)value << 32
			     : (*entry & ~(uint64_t)UINT32_MAX) | value;

	want = (want & WRITABLE) | (*entry & REMOTE_IRR);
	/* Remote IRR means nothing for edges; guests clear a stuck one by switching to edge and
	 * back. */
	if (!is_level(want))
		want &= ~REMOTE_IRR;
	if (*entry == want)
		return;
	*entry = want;
	route(ioapic, pin);
	deliver_level(ioapic, pin);
}

uint32_t ioapic_read(const struct ioapic *ioapic, uint64_t offset)
{
	switch (offset) {
	case SELECT:
		return ioapic->select;
	case WINDOW:
		return register_read(ioapic);
	default:
		return 0;
	}
}

void ioapic_write(struct ioapic *ioapic, uint64_t offset, uint32_t value)
{
	unsigned reg = ioapic->select, pin = (reg - REG_REDIRECTION) / 2;

	switch (offset) {
	case SELECT:
		ioapic->select = (uint8_t)value;
		break;
	case WINDOW:
		if (reg == REG_ID)
			ioapic->id = value >> 24 & 0xf;
		else if (reg >= REG_REDIRECTION && pin < ioapic->pins)
			redirection_write(ioapic, pin, reg & 1, value);
		break;
	case EOI:
		ioapic_eoi(ioapic, (uint8_t)value);
		break;
	}
}
