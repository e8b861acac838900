/* irq_x86_64.h: a guest that says which interrupts it takes, for tests of interrupt controllers. */
#ifndef VIBEVMM_TESTS_IRQ_X86_64_H
#define VIBEVMM_TESTS_IRQ_X86_64_H

#include "conformance/rig.h"

#define PIN	   5
#define PIN_VECTOR 0x31 /* of PIN */
#define MSI_VECTOR 0x32

enum { PORT_PIN = 0x11, PORT_MSI = 0x12, PORT_READY = 0x13, PORT_IDLE = 0x14, PORT_READ = 0x15 };

#define IOAPIC_WRITE(reg, value)                                                                   \
	"mov $0xfec00000, %edi; movl $" reg ", (%rdi); movl $" value ", 0x10(%rdi);"

/* Software-enables the local APIC, and masks its input from an 8259. */
#define APIC_ON "mov $0xfee00000, %edi; movl $0x1ff, 0xf0(%rdi); movl $0x10000, 0x350(%rdi);"

/* Handlers, at 0x40 and 0x80, don't return, since IRET is more than some hosts can do: they say
 * which interrupt came, end it at the local APIC, drop the frame of 40 bytes and go on idling.
 * Idling, the guest exits all the time with interrupts enabled, so a pending one comes at once. */
#define IRQ_GUEST(entry)                                                                           \
	"jmp 3f;"                                                                                  \
	".balign 0x40; mov $0x11, %dx; jmp 1f;"                                                    \
	".balign 0x40; mov $0x12, %dx; jmp 1f;"                                                    \
	"1: out %al, %dx; mov $0xfee000b0, %edi; movl $0, (%rdi); add $40, %rsp;"                  \
	"2: sti; nop; 4: out %al, $0x14; jmp 4b;"                                                  \
	"3:" APIC_ON IOAPIC_WRITE("0x1b", "0") IOAPIC_WRITE(                                       \
		"0x1a", entry) "movl $0x1a, (%rdi); mov 0x10(%rdi), %eax; out %eax, $0x15;"        \
			       "out %al, $0x13; jmp 2b;"

#define enter_irq_guest(rig, name, entry)                                                          \
	do {                                                                                       \
		rig_enter(rig, RIG_LONG, name);                                                    \
		rig_gate(rig, PIN_VECTOR, 0x40);                                                   \
		rig_gate(rig, MSI_VECTOR, 0x80);                                                   \
		rig_expect_io(rig, HV_EXIT_PIO, true, PORT_READ, 4, entry);                        \
		rig_expect_io(rig, HV_EXIT_PIO, true, PORT_READY, 1, (entry)&0xff);                \
	} while (0)

/* Runs until the guest took an interrupt, and returns its port; 0 if it idled `rounds` times. */
static inline uint64_t next_interrupt(struct rig *rig, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		rig_expect(rig, HV_EXIT_PIO);
		if (rig->exit.io.addr != PORT_IDLE)
			return rig->exit.io.addr;
	}
	return 0;
}

#define QUIET 10 /* rounds of idling without an interrupt that show there is none */

#endif
