/* ioapic.h: the I/O APIC as a pure register model.
 *
 * For backends whose local APICs take messages (KVM's split interrupt controller, HVF). It knows no
 * hypervisor: it turns levels on its pins into messages, and tells when a pin's route changed. The
 * caller locks; the callbacks run under that lock and must not call back.
 */
#ifndef VIBEVMM_HV_IOAPIC_H
#define VIBEVMM_HV_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#define IOAPIC_BASE   0xfec00000ULL
#define IOAPIC_WINDOW 0x1000ULL
#define IOAPIC_PINS   24 /* at most */

/* An interrupt message as a device would write it to memory (Intel SDM Vol. 3, 11.11). */
struct ioapic_message {
	uint64_t addr;
	uint32_t data;
};

struct ioapic {
	/* Delivers a message now. */
	void (*send)(void *arg, const struct ioapic_message *message);

	/* For backends that must know pins' messages beforehand, because they deliver or complete
	 * interrupts by themselves: `routes` of the pins in `routed` has changed. Those are pins
	 * that ioapic_follow named, and level-triggered ones. May be NULL. */
	void (*reroute)(void *arg);
	void *arg;
	unsigned pins;	 /* how many there are, 1 to IOAPIC_PINS; the guest looks at each */
	uint32_t routed; /* one bit each */
	struct ioapic_message routes[IOAPIC_PINS];

	/* private */
	uint64_t redirection[IOAPIC_PINS];
	uint32_t asserted; /* levels on the pins, one bit each */
	uint32_t followed;
	uint8_t select, id;
};

/* Power-on state: all pins low and masked. Sets everything but the callbacks, arg and pins. */
void ioapic_reset(struct ioapic *ioapic);

/* The registers, 32 bits wide, at their offsets in the window. Other offsets read as 0 and ignore
 * writes. */
uint32_t ioapic_read(const struct ioapic *ioapic, uint64_t offset);
void ioapic_write(struct ioapic *ioapic, uint64_t offset, uint32_t value);

/* A device drives the pin: true means asserted, whatever the entry's polarity bit. Pins beyond the
 * last are ignored. */
void ioapic_set(struct ioapic *ioapic, unsigned pin, bool level);

/* A local APIC finished this vector: level-triggered pins that wait for it may fire again. */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);

/* Something else than ioapic_set (an irqfd) may fire the pin: from now on it is routed whenever it
 * is unmasked. */
void ioapic_follow(struct ioapic *ioapic, unsigned pin);

#endif
