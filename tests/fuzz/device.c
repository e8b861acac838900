/* device.c: a guest that does anything to a device's registers, while time passes and somebody
 * types. The first byte chooses the device; then each byte is an action, with what it needs behind
 * it. Virtio devices and the PCI bus have targets of their own. */
#include "fuzz.h"

#define FAKE_CLOCK
#define FAKE_TIMERS
#define FAKE_CONSOLE
#include "unit/fake_host.h"

#define MS 1000000U

static void access_register(struct fake *fake, struct bytes *in, bool write)
{
	const struct plan_claim *place = &fake->plan.claims[take(in, 1) % fake->plan.n_claims];
	unsigned width = place->claim->width ? place->claim->width : 8;
	unsigned size = 1U << take(in, 1) % 4;
	uint64_t offset;

	if (place->claim->space != SPACE_MEM && place->claim->space != SPACE_PIO)
		return;
	if (size > width)
		size = width;
	if (size > place->size)
		size = 1;
	offset = take(in, 2) % (place->size - size + 1);
	if (write)
		fake_write(fake, place->index, offset, size, take(in, size));
	else
		fake_read(fake, place->index, offset, size);
}

/* What is on a PCI bus, or is one, needs more around it than the fake host has. */
static const struct device_row *choose(uint64_t n)
{
	size_t n_rows;
	const struct device_row *const *rows = device_rows(&n_rows), *alone[64];
	size_t n_alone = 0;

	for (size_t i = 0; i < n_rows; i++) {
		const struct device_description *describe = rows[i]->describe;
		const struct claim *claim = rows[i]->claims;

		if (describe && describe->role == ROLE_PCI)
			continue;
		while (claim && claim->name && claim->space != SPACE_PCI)
			claim++;
		if ((!claim || !claim->name) && n_alone < 64)
			alone[n_alone++] = rows[i];
	}
	return alone[n % n_alone];
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	static struct fake fake;
	char typed[2] = { 0 };

	fake = (struct fake){ 0 };
	fake_console_reset();
	fake_create(&fake, choose(take(&in, 1)), NULL);
	while (in.len) {
		switch (take(&in, 1) % 8) {
		case 0:
		case 1:
		case 2:
			access_register(&fake, &in, true);
			break;
		case 3:
		case 4:
			access_register(&fake, &in, false);
			break;
		case 5:
			fake_advance(take(&in, 2) * MS / 16);
			break;
		case 6:
			typed[0] = (char)(take(&in, 1) | 1);
			fake_type(typed);
			break;
		default:
			if (!(take(&in, 1) % 8))
				fake_reset(&fake);
		}
		fake_output_len = 0;
		if (fake_taken == fake_typed_len)
			fake_taken = fake_typed_len = 0;
		if (fake_typed_len == sizeof(fake_typed))
			break;
	}
	fake_destroy(&fake);
}
