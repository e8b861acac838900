/* ioapic.c: any accesses, levels and ends of interrupts: no pin is lost, no message goes astray. */
#include "fuzz.h"

#include "../../src/hv/ioapic.h"

static unsigned sent;

static void on_send(void *arg, const struct ioapic_message *message)
{
	(void)arg;
	/* Intel SDM Vol. 3, 11.11: messages to local APICs. */
	must(message->addr >> 20 == 0xfee);
	sent++;
}

static void on_reroute(void *arg)
{
	const struct ioapic *ioapic = arg;

	must(ioapic->routed < 1U << IOAPIC_PINS);
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct ioapic ioapic = { .send = on_send, .reroute = on_reroute };

	ioapic.arg = &ioapic;
	ioapic.pins = IOAPIC_PINS;
	ioapic_reset(&ioapic);
	while (in.len) {
		uint64_t action = take(&in, 1), what = take(&in, 1);

		sent = 0;
		switch (action % 8) {
		case 0:
		case 1:
			ioapic_write(&ioapic, 0, (uint32_t)what);
			ioapic_write(&ioapic, 0x10, (uint32_t)take(&in, 4));
			break;
		case 2:
			ioapic_write(&ioapic, what << 4, (uint32_t)take(&in, 4));
			break;
		case 3:
			ioapic_read(&ioapic, what);
			break;
		case 4:
		case 5:
			ioapic_set(&ioapic, (unsigned)what >> 1, what & 1);
			break;
		case 6:
			ioapic_eoi(&ioapic, (uint8_t)what);
			break;
		default:
			ioapic_follow(&ioapic, (unsigned)what);
		}
		/* One action, one message a pin at most: else a guest could keep us busy. */
		must(sent <= IOAPIC_PINS);
	}
}
