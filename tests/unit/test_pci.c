/* test_pci.c: configuration space, BARs and INTx, by the bridge's windows and ports. */
#include "pci_helpers.h"

#include <semaphore.h>
#include <time.h>

#define COMMAND 0x04
#define STATUS	0x06
#define BAR(n)	(0x10 + 4 * (n))
#define LINE	0x3c

enum { PORTS = 1, MEMORY = 2, MASTER = 4, NO_INTX = 1 << 10 };

/* A device whose registers tell who it is, and which was looked at. */
struct thing {
	struct device dev;
	struct plan_device plan;
	struct pci_function f;
	uint64_t wrote, at; /* last */
	unsigned size, maps, unmaps;
	uint64_t mapped_at;
	bool anywhere; /* others move it as well, so the register is ahead */
};

static const struct claim thing_claims[] = { { .name = "function", .space = SPACE_PCI } };

static struct thing *thing_of(struct pci_function *f)
{
	return (struct thing *)((char *)f - offsetof(struct thing, f));
}

static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	(void)size;
	assert_true(offset + size <= f->bars[bar].size);
	return (uint64_t)f->devfn << 32 | bar << 24 | offset;
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	struct thing *t = thing_of(f);

	assert_true(offset + size <= f->bars[bar].size);
	t->wrote = value;
	t->at = offset;
	t->size = size;
}

static void bar_mapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	struct thing *t = thing_of(f);

	assert_true(f->bars[bar].mapped);
	assert_int_equal(addr, f->bars[bar].mapped);
	if (!t->anywhere)
		assert_int_equal(addr, f->bars[bar].addr);
	assert_int_equal(t->maps, t->unmaps);
	t->maps++;
	t->mapped_at = addr;
}

static void bar_unmapped(struct pci_function *f, unsigned bar, uint64_t addr)
{
	struct thing *t = thing_of(f);

	assert_false(f->bars[bar].mapped);
	assert_int_equal(addr, t->mapped_at);
	t->unmaps++;
	assert_int_equal(t->maps, t->unmaps);
}

/* A register that counts how often it was read, and one that doubles what is written. */
#define COUNTER 0x40
#define DOUBLER 0x44

static void config_read(struct pci_function *f, unsigned offset, unsigned size)
{
	if (offset <= COUNTER && COUNTER < offset + size)
		f->config[COUNTER]++;
}

static void config_written(struct pci_function *f, unsigned offset, unsigned size)
{
	if (offset <= DOUBLER && DOUBLER < offset + size)
		f->config[DOUBLER] = (uint8_t)(f->config[DOUBLER] * 2);
}

static const struct pci_ops thing_ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.bar_mapped = bar_mapped,
	.bar_unmapped = bar_unmapped,
	.config_read = config_read,
	.config_written = config_written,
};

/* Of a device that is told nothing. */
static const struct pci_ops plain_ops = { .bar_read = bar_read, .bar_write = bar_write };

static const struct pci_identity identity = {
	.vendor = 0x1234,
	.device = 0x5678,
	.subsystem_vendor = 0x9abc,
	.subsystem = 0xdef0,
	.revision = 0x42,
	.class_code = 0x020304,
};

static struct thing a, b, c;

static void thing_make(struct thing *t, unsigned devfn)
{
	*t = (struct thing){ .dev = { .plan = &t->plan, .host = &pci.fake.host } };
	t->plan = (struct plan_device){
		.label = "thing",
		.claims = { { &thing_claims[0], 0, devfn, 1, true } },
		.n_claims = 1,
	};
	pthread_mutex_init(&t->dev.lock, NULL);
	pci_function_init(&t->f, &t->dev, &thing_ops, &identity);
}

static int thing_attach(struct thing *t)
{
	struct err err;

	return pci_attach(&t->f, &err);
}

static void thing_plug(struct thing *t, unsigned devfn, uint64_t addr)
{
	thing_make(t, devfn);
	pci_bar_add(&t->f, 0, addr, 0x4000, true, false);
	assert_int_equal(thing_attach(t), 0);
}

static void thing_free(struct thing *t)
{
	pci_detach(&t->f);
	pthread_mutex_destroy(&t->dev.lock);
}

#define A 0x08
#define B 0x10
#define C 0x18

static int setup(void **state)
{
	(void)state;
	pci_start(INTX);
	thing_plug(&a, A, WINDOW);
	thing_plug(&b, B, WINDOW + 0x4000);
	thing_plug(&c, C, WINDOW64);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	thing_free(&a);
	thing_free(&b);
	thing_free(&c);
	pci_stop();
	return 0;
}

/* ---- Configuration space ------------------------------------------------------------------- */

static void test_header_shows_identity(void **state)
{
	(void)state;
	assert_int_equal(config_in(A, 0, 4), 0x56781234);
	assert_int_equal(config_in(A, 8, 4), 0x02030442);
	assert_int_equal(config_in(A, 0x2c, 4), 0xdef09abc);
	assert_int_equal(config_in(A, 0x0e, 1), 0);
	assert_int_equal(config_in(A, 0x3d, 1), 1);
	assert_int_equal(config_in(A, LINE, 1), INTX);
	assert_int_equal(config_in(A, COMMAND, 2), MEMORY);
}

static void test_bridge_is_first_function(void **state)
{
	(void)state;
	assert_int_equal(config_in(0, 0, 4), 0x00081b36);
	assert_int_equal(config_in(0, 0x0a, 2), 0x0600);
	assert_int_equal(config_in(0, 0x3d, 1), 0);
	config_out(0, COMMAND, 2, 0xffff);
	assert_int_equal(config_in(0, BAR(0), 4), 0);
}

static void test_absent_functions_read_as_ones(void **state)
{
	(void)state;
	assert_int_equal(config_in(A + 1, 0, 4), 0xffffffff);
	assert_int_equal(config_in(0xff, 0xffc, 4), 0xffffffff);
	assert_int_equal(config_in(0xff, 0, 1), 0xff);
	config_out(0xff, 0, 4, 1);
}

static void test_no_extended_space(void **state)
{
	(void)state;
	assert_int_equal(config_in(A, 0x100, 4), 0);
	assert_int_equal(config_in(A, 0xffc, 4), 0);
	config_out(A, 0x100, 4, 0xffffffff);
	assert_int_equal(config_in(A, 0, 4), 0x56781234);
}

static void test_identity_cant_be_written(void **state)
{
	uint8_t before[0x40];

	(void)state;
	for (unsigned i = 0; i < sizeof(before); i++)
		before[i] = (uint8_t)config_in(A, i, 1);
	for (unsigned i = 0; i < sizeof(before); i += 4)
		config_out(A, i, 4, 0xffffffff);
	for (unsigned i = 0; i < sizeof(before); i++) {
		if (i >= 0x10 && i < 0x18)
			continue; /* BARs */
		if (i == COMMAND || i == COMMAND + 1)
			assert_int_equal(config_in(A, i, 1), i == COMMAND ? 6 : 4);
		else if (i == 0x0c || i == LINE)
			assert_int_equal(config_in(A, i, 1), 0xff);
		else
			assert_int_equal(config_in(A, i, 1), before[i]);
	}
}

static void test_odd_accesses_are_pieced_together(void **state)
{
	(void)state;
	assert_int_equal(config_in(A, 1, 2), 0x7812);
	assert_int_equal(config_in(A, 3, 4), (MEMORY << 8) | 0x56);
	assert_int_equal(config_in(A, 0, 8), 0x0000000256781234);
	/* From one function into the next. */
	assert_int_equal(config_in(A - 1, 0xffe, 4), 0x1234ffff);
	config_out(A, LINE - 1, 2, 0x5500);
	assert_int_equal(config_in(A, LINE, 1), 0x55);
}

static void test_device_has_registers_of_its_own(void **state)
{
	(void)state;
	a.f.writable[DOUBLER] = 0xff;
	assert_int_equal(config_in(A, COUNTER, 1), 1);
	assert_int_equal(config_in(A, COUNTER, 4), 2);
	config_out(A, DOUBLER, 4, 0x21);
	assert_int_equal(config_in(A, DOUBLER, 4), 0x42);
}

static void test_functions_of_a_device_are_announced(void **state)
{
	struct thing second;

	(void)state;
	assert_int_equal(config_in(A, 0x0e, 1), 0);
	thing_make(&second, A + 7);
	assert_int_equal(thing_attach(&second), 0);
	assert_int_equal(config_in(A, 0x0e, 1), 0x80);
	assert_int_equal(config_in(A + 7, 0, 4), 0x56781234);
	thing_free(&second);
	assert_int_equal(config_in(A, 0x0e, 1), 0);
}

static void test_place_is_taken_once(void **state)
{
	struct thing second;

	(void)state;
	thing_make(&second, A);
	assert_int_equal(thing_attach(&second), -EEXIST);
	thing_free(&second);
	assert_int_equal(config_in(A, 0, 4), 0x56781234);
}

static void test_capabilities_are_chained(void **state)
{
	struct thing d;
	unsigned first, second;

	(void)state;
	thing_make(&d, 0x20);
	d.f.ops = &plain_ops;
	first = pci_capability_add(&d.f, 9, 17);
	second = pci_capability_add(&d.f, 9, 236 - 64);
	assert_int_equal(first, 0x40);
	assert_int_equal(second, 0x54); /* by fours; it ends at the end */
	assert_int_equal(thing_attach(&d), 0);
	assert_int_equal(config_in(0x20, STATUS, 2), 1 << 4);
	assert_int_equal(capability(0x20, 9, 0), first);
	assert_int_equal(capability(0x20, 9, first), second);
	assert_int_equal(capability(0x20, 9, second), 0);
	thing_free(&d);
}

/* ---- Ports --------------------------------------------------------------------------------- */

#define ADDRESS 0
#define DATA	4

static uint64_t port_in(unsigned port, unsigned size)
{
	return bridge_read(CLAIM_PORTS, port, size);
}

static void port_out(unsigned port, unsigned size, uint64_t value)
{
	bridge_write(CLAIM_PORTS, port, size, value);
}

static void test_ports_reach_configuration_space(void **state)
{
	(void)state;
	port_out(ADDRESS, 4, 0x80000000 | A << 8 | 8);
	assert_int_equal(port_in(ADDRESS, 4), 0x80000000 | A << 8 | 8);
	assert_int_equal(port_in(DATA, 4), 0x02030442);
	assert_int_equal(port_in(DATA + 1, 1), 0x04);
	assert_int_equal(port_in(DATA + 2, 2), 0x0203);
	assert_int_equal(port_in(DATA + 1, 2), 0x0304);
	port_out(ADDRESS, 4, 0x80000003 | A << 8 | LINE); /* the two low bits don't count */
	port_out(DATA, 1, 0x77);
	assert_int_equal(config_in(A, LINE, 1), 0x77);
}

static void test_ports_without_a_target(void **state)
{
	(void)state;
	port_out(ADDRESS, 4, A << 8); /* not enabled */
	assert_int_equal(port_in(DATA, 4), 0xffffffff);
	port_out(ADDRESS, 4, 0x80010000 | A << 8); /* bus 1 */
	assert_int_equal(port_in(DATA, 2), 0xffff);
	port_out(DATA, 4, 0);
	port_out(ADDRESS, 4, 0x80000000 | 0xf8 << 8);
	assert_int_equal(port_in(DATA, 1), 0xff);
}

/* Such as a reset by port 0xcf9. */
static void test_address_takes_double_words_alone(void **state)
{
	(void)state;
	port_out(ADDRESS, 4, 0x80000000 | A << 8);
	port_out(ADDRESS, 1, 0);
	port_out(ADDRESS + 1, 1, 0);
	port_out(ADDRESS, 2, 0);
	port_out(ADDRESS + 2, 4, 0);
	assert_int_equal(port_in(ADDRESS + 1, 1), 0xff);
	assert_int_equal(port_in(ADDRESS + 2, 4), 0xffffffff);
	assert_int_equal(port_in(ADDRESS, 4), 0x80000000 | A << 8);
	assert_int_equal(port_in(DATA, 4), 0x56781234);
}

static void test_reset_forgets_the_address(void **state)
{
	(void)state;
	port_out(ADDRESS, 4, 0x80000000 | A << 8);
	device_lock(&pci.bridge);
	device_pci_host.reset(&pci.bridge);
	device_unlock(&pci.bridge);
	assert_int_equal(port_in(ADDRESS, 4), 0);
}

/* ---- BARs ---------------------------------------------------------------------------------- */

static uint64_t who(unsigned devfn, uint64_t offset)
{
	return (uint64_t)devfn << 32 | offset;
}

/* All bits, though an access has fewer. */
static void assert_heard(uint64_t addr, unsigned devfn, uint64_t offset)
{
	assert_int_equal(mem_in(addr, 8), who(devfn, offset));
}

static void assert_silence(uint64_t addr)
{
	assert_int_equal(mem_in(addr, 8), UINT64_MAX);
}

static void move(unsigned devfn, uint64_t addr)
{
	config_out(devfn, COMMAND, 2, 0);
	config_out(devfn, BAR(0), 4, addr);
	config_out(devfn, BAR(1), 4, addr >> 32);
	config_out(devfn, COMMAND, 2, MEMORY);
}

static void test_bars_are_heard_where_they_were_placed(void **state)
{
	(void)state;
	assert_heard(WINDOW + 8, A, 8);
	assert_heard(WINDOW + 0x4000, B, 0);
	assert_heard(WINDOW64 + 0x3ff8, C, 0x3ff8);
	assert_silence(WINDOW + 0x8000);
	mem_out(WINDOW + 0x4010, 4, 0xabcd);
	assert_int_equal(b.wrote, 0xabcd);
	assert_int_equal(b.at, 0x10);
	assert_int_equal(b.size, 4);
	assert_int_equal(a.size, 0);
	assert_int_equal(a.maps, 1);
}

static void test_bar_is_sized(void **state)
{
	struct thing d;

	(void)state;
	thing_make(&d, 0x20);
	d.f.ops = &plain_ops;
	pci_bar_add(&d.f, 0, WINDOW + 0x100000, 0x100000, false, true);
	pci_bar_add(&d.f, 2, WINDOW64 + (1ULL << 33), 1ULL << 33, true, true);
	assert_int_equal(thing_attach(&d), 0);
	config_out(0x20, COMMAND, 2, 0);
	for (unsigned i = 0; i < 6; i++)
		config_out(0x20, BAR(i), 4, 0xffffffff);
	assert_int_equal(config_in(0x20, BAR(0), 4), 0xfff00008);
	assert_int_equal(config_in(0x20, BAR(1), 4), 0);
	assert_int_equal(config_in(0x20, BAR(2), 4), 0x0000000c);
	assert_int_equal(config_in(0x20, BAR(3), 4), 0xfffffffe);
	assert_int_equal(config_in(0x20, BAR(4), 4), 0);
	thing_free(&d);
}

/* Some guests leave decoding on meanwhile. */
static void test_bar_is_sized_while_it_decodes(void **state)
{
	(void)state;
	config_out(A, BAR(0), 4, 0xffffffff);
	assert_int_equal(config_in(A, BAR(0), 4), 0xffffc004);
	assert_silence(WINDOW);
	config_out(A, BAR(0), 4, WINDOW);
	assert_heard(WINDOW, A, 0);
	assert_int_equal(a.maps, 2);
	assert_int_equal(a.unmaps, 1);
}

static void test_bar_moves(void **state)
{
	(void)state;
	move(A, WINDOW + 0x10000);
	assert_silence(WINDOW);
	assert_heard(WINDOW + 0x10000, A, 0);
	assert_int_equal(a.maps, 2);
	assert_int_equal(a.unmaps, 1);
	assert_int_equal(a.mapped_at, WINDOW + 0x10000);
	move(A, WINDOW64 + 0x4000);
	assert_heard(WINDOW64 + 0x4000, A, 0);
	assert_heard(WINDOW64, C, 0);
	assert_int_equal(b.maps, 1);
	move(A, WINDOW + 256 * MIB - 0x4000);
	assert_heard(WINDOW + 256 * MIB - 8, A, 0x3ff8);
}

static void test_decoding_is_switched(void **state)
{
	(void)state;
	config_out(A, COMMAND, 2, MASTER);
	assert_silence(WINDOW);
	assert_int_equal(a.unmaps, 1);
	config_out(A, COMMAND, 1, MEMORY);
	assert_heard(WINDOW, A, 0);
}

static void test_bar_outside_of_the_windows_is_unheard(void **state)
{
	const uint64_t places[] = {
		0,
		0x100000,
		WINDOW - 0x4000,
		WINDOW + 256 * MIB,
		ECAM,
		0xfee00000,
		WINDOW64 * 2,
		WINDOW64 - 0x4000,
		UINT64_MAX & ~0x3fffULL,
		WINDOW + (1ULL << 32),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		move(A, places[i]);
		assert_false(a.f.bars[0].mapped);
		assert_int_equal(a.maps, a.unmaps);
		move(A, WINDOW);
		assert_heard(WINDOW, A, 0);
	}
}

static void test_where_bars_overlap_the_first_is_heard(void **state)
{
	(void)state;
	move(A, WINDOW + 0x4000); /* onto B */
	assert_heard(WINDOW + 0x4000, A, 0);
	assert_int_equal(b.unmaps, 1);
	move(C, WINDOW + 0x4000);
	assert_heard(WINDOW + 0x4000, A, 0);
	assert_false(c.f.bars[0].mapped);
	move(A, WINDOW);
	assert_heard(WINDOW + 0x4000, B, 0);
	assert_int_equal(b.maps, 2);
	config_out(B, COMMAND, 2, 0);
	assert_heard(WINDOW + 0x4000, C, 0);
}

/* A large one that others lie in. */
static void test_partial_overlap_is_one_too(void **state)
{
	struct thing d;

	(void)state;
	thing_make(&d, 0x20);
	pci_bar_add(&d.f, 0, WINDOW, 0x10000, false, false);
	assert_int_equal(thing_attach(&d), 0);
	assert_heard(WINDOW, A, 0);
	assert_silence(WINDOW + 0x8000);
	move(A, WINDOW + 0x20000);
	assert_silence(WINDOW + 0x8000);
	move(B, WINDOW + 0x24000);
	assert_heard(WINDOW + 0x8000, 0x20, 0x8000);
	thing_free(&d);
}

static void test_access_over_the_end_of_a_bar_is_unheard(void **state)
{
	(void)state;
	assert_int_equal(mem_in(WINDOW64 + 0x3ffc, 8), UINT64_MAX);
	assert_int_equal(mem_in(WINDOW64 + 0x3ffc, 4), 0x3ffc);
	mem_out(WINDOW64 + 0x3fff, 2, 0x1234);
	assert_int_equal(c.size, 0);
}

/* ---- BARs of ports ------------------------------------------------------------------------- */

/* Beside A, B and C, of which none has ports. */
static struct thing few, many;

static void plug_ports(struct thing *t, unsigned devfn, uint64_t port, uint64_t size)
{
	thing_make(t, devfn);
	pci_bar_add_ports(&t->f, 2, port, size);
	assert_int_equal(thing_attach(t), 0);
}

static int setup_ports(void **state)
{
	setup(state);
	plug_ports(&few, 0x20, IO, 4);
	plug_ports(&many, 0x28, IO + 0x100, 256);
	return 0;
}

static int teardown_ports(void **state)
{
	thing_free(&few);
	thing_free(&many);
	return teardown(state);
}

static uint64_t port_who(unsigned devfn, uint64_t offset)
{
	return (who(devfn, 0) | 2 << 24 | offset) & 0xffffffff;
}

static void test_ports_are_heard_where_they_were_placed(void **state)
{
	(void)state;
	assert_int_equal(config_in(0x20, COMMAND, 2), PORTS);
	assert_int_equal(config_in(A, COMMAND, 2), MEMORY);
	assert_int_equal(config_in(0x20, BAR(2), 4), IO | 1);
	assert_int_equal(io_in(IO, 4), port_who(0x20, 0));
	assert_int_equal(io_in(IO + 3, 1), port_who(0x20, 3) & 0xff);
	assert_int_equal(io_in(IO + 4, 4), 0xffffffff);
	assert_int_equal(io_in(IO + 0x1fc, 4), port_who(0x28, 0xfc));
	io_out(IO + 2, 2, 0xabcd);
	assert_int_equal(few.wrote, 0xabcd);
	assert_int_equal(few.at, 2);
	assert_int_equal(few.size, 2);
	io_out(IO + 2, 4, 0); /* half outside */
	assert_int_equal(few.size, 2);
	assert_int_equal(many.size, 0);
	assert_int_equal(few.maps, 1);
}

static void test_ports_are_sized(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		config_out(0x20, BAR(i), 4, 0xffffffff);
		config_out(0x28, BAR(i), 4, 0xffffffff);
		assert_int_equal(config_in(0x20, BAR(i), 4), i == 2 ? 0xfffffffd : 0);
		assert_int_equal(config_in(0x28, BAR(i), 4), i == 2 ? 0xffffff01 : 0);
	}
	assert_int_equal(io_in(IO, 4), 0xffffffff);
	config_out(0x20, BAR(2), 4, IO);
	assert_int_equal(config_in(0x20, BAR(2), 4), IO | 1);
	assert_int_equal(io_in(IO, 4), port_who(0x20, 0));
}

/* Also onto others' ports, and out of those that there are. */
static void test_ports_outside_of_the_window_are_unheard(void **state)
{
	const uint32_t places[] = { 0,	    0x3f8,	  0xcf8,  IO - 4,    IO + IO_SIZE,
				    0xfffc, 0x10000 | IO, WINDOW, 0xfffffffc };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		config_out(0x20, BAR(2), 4, places[i]);
		assert_int_equal(config_in(0x20, BAR(2), 4), places[i] | 1);
		assert_false(few.f.bars[2].mapped);
		assert_int_equal(few.maps, few.unmaps);
		assert_int_equal(io_in(IO, 4), 0xffffffff);
		config_out(0x20, BAR(2), 4, IO + 0x80);
		assert_int_equal(io_in(IO + 0x80, 4), port_who(0x20, 0));
		assert_int_equal(few.mapped_at, IO + 0x80);
	}
}

static void test_where_ports_overlap_the_first_is_heard(void **state)
{
	(void)state;
	config_out(0x20, BAR(2), 4, IO + 0x110);
	assert_int_equal(io_in(IO + 0x110, 4), port_who(0x20, 0));
	assert_int_equal(io_in(IO + 0x100, 4), 0xffffffff); /* all of the other has gone */
	assert_int_equal(many.unmaps, 1);
	config_out(0x20, BAR(2), 4, IO);
	assert_int_equal(io_in(IO + 0x110, 4), port_who(0x28, 0x10));
}

/* A number may be an address and a port. */
static void test_spaces_are_decoded_apart(void **state)
{
	struct thing both;

	(void)state;
	thing_make(&both, 0x30);
	pci_bar_add(&both.f, 0, WINDOW + 0x10000, 0x4000, true, false);
	pci_bar_add_ports(&both.f, 2, IO + 0x20, 4);
	both.f.ops = &plain_ops;
	assert_int_equal(thing_attach(&both), 0);
	assert_int_equal(config_in(0x30, COMMAND, 2), PORTS | MEMORY);
	config_out(0x30, COMMAND, 2, MEMORY);
	assert_heard(WINDOW + 0x10000, 0x30, 0);
	assert_int_equal(io_in(IO + 0x20, 4), 0xffffffff);
	config_out(0x30, COMMAND, 2, PORTS);
	assert_silence(WINDOW + 0x10000);
	assert_int_equal(io_in(IO + 0x20, 4), port_who(0x30, 0));
	config_out(0x30, COMMAND, 2, PORTS | MEMORY);
	config_out(0x30, BAR(0), 4, IO);
	assert_int_equal(io_in(IO, 4), port_who(0x20, 0));
	assert_silence(WINDOW + 0x10000);
	config_out(A, COMMAND, 2, PORTS | MEMORY); /* it has no ports */
	assert_int_equal(config_in(A, COMMAND, 2), MEMORY);
	thing_free(&both);
}

static void test_bars_go_with_the_bridge(void **state)
{
	(void)state;
	pci_bus_bridge(pci.fake.host.pci, NULL);
	assert_int_equal(a.unmaps, 1);
	assert_int_equal(few.unmaps, 1);
	assert_int_equal(config_in(A, LINE, 1), 0xff);
	pci_bus_bridge(pci.fake.host.pci, &pci.bridge);
	assert_heard(WINDOW, A, 0);
	assert_int_equal(io_in(IO, 4), port_who(0x20, 0));
}

/* ---- A device that keeps the guest waiting -------------------------------------------------- */

static sem_t waits, go, done;

static void write_and_wait(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
			   uint64_t value)
{
	bar_write(f, bar, offset, size, value);
	sem_post(&waits);
	sem_wait(&go);
}

static void unmapped_and_say_so(struct pci_function *f, unsigned bar, uint64_t addr)
{
	bar_unmapped(f, bar, addr);
	sem_post(&waits);
}

static int setup_slow(void **state)
{
	static struct pci_ops slow, tells;

	setup(state);
	slow = tells = thing_ops;
	slow.bar_write = write_and_wait;
	tells.bar_unmapped = unmapped_and_say_so;
	a.f.ops = &tells;
	b.f.ops = &slow;
	sem_init(&waits, 0, 0);
	sem_init(&go, 0, 0);
	sem_init(&done, 0, 0);
	return 0;
}

static int teardown_slow(void **state)
{
	a.f.ops = b.f.ops = &thing_ops;
	sem_destroy(&waits);
	sem_destroy(&go);
	sem_destroy(&done);
	return teardown(state);
}

/* False: nobody said so for a long time. */
static bool comes(sem_t *sem)
{
	struct timespec until;
	int ret;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	do {
		ret = sem_timedwait(sem, &until);
	} while (ret && errno == EINTR);
	return !ret;
}

static void *write_to_b(void *arg)
{
	mem_out(WINDOW + 0x4000, 4, 0xb);
	return arg;
}

static void *move_a_onto_b(void *arg)
{
	config_out(A, BAR(0), 4, WINDOW + 0x4000);
	return arg;
}

static void *use_others(void *arg)
{
	uint64_t *seen = arg;

	seen[0] = config_in(C, 0, 4);
	move(C, WINDOW + 0x10000);
	mem_out(WINDOW + 0x10008, 4, 0xc);
	seen[1] = mem_in(WINDOW + 0x10000, 8);
	port_out(ADDRESS, 4, 0x80000000);
	seen[2] = port_in(DATA, 4);
	sem_post(&done);
	return NULL;
}

/* What is asked of others while B keeps a vCPU waiting, and, if moved, another that has moved a BAR
 * onto B's. */
static void check_others(bool moved)
{
	uint64_t seen[3] = { 0 };
	pthread_t threads[3];
	bool waited, used;
	unsigned n = 0;

	pthread_create(&threads[n++], NULL, write_to_b, NULL);
	waited = comes(&waits);
	if (moved) {
		pthread_create(&threads[n++], NULL, move_a_onto_b, NULL);
		waited = comes(&waits) && waited;
	}
	pthread_create(&threads[n++], NULL, use_others, seen);
	used = comes(&done);
	sem_post(&go);
	while (n)
		pthread_join(threads[--n], NULL);
	assert_true(waited);
	assert_true(used);
	assert_int_equal(seen[0], 0x56781234);
	assert_int_equal(seen[1], who(C, 0));
	assert_int_equal(seen[2], 0x00081b36);
	assert_int_equal(c.wrote, 0xc);
	assert_int_equal(c.mapped_at, WINDOW + 0x10000);
	assert_int_equal(b.wrote, 0xb);
}

static void test_device_that_waits_keeps_no_other_waiting(void **state)
{
	(void)state;
	check_others(false);
	assert_heard(WINDOW + 0x4000, B, 0);
	assert_int_equal(b.unmaps, 0);
}

static void test_move_that_waits_for_a_device_keeps_no_other_waiting(void **state)
{
	(void)state;
	check_others(true);
	assert_heard(WINDOW + 0x4000, A, 0);
	assert_int_equal(a.mapped_at, WINDOW + 0x4000);
	assert_int_equal(b.unmaps, 1);
}

/* ---- Many vCPUs ----------------------------------------------------------------------------- */

enum { ROUNDS = 2000 };

/* Its own device's BAR, to and fro, where it meets the others', and what it hears there. */
static void *move_about(void *arg)
{
	struct thing *t = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t addr = WINDOW + 0x4000 * (i % 4);

		config_out(t->f.devfn, BAR(0), 4, addr);
		mem_out(addr, 4, i);
		mem_in(addr, 8);
		port_out(ADDRESS, 4, 0x80000000 | (uint64_t)t->f.devfn << 8);
		port_in(DATA, 4);
		config_out(t->f.devfn, COMMAND, 2, i % 8 ? MEMORY : 0);
	}
	return NULL;
}

static void test_devices_are_told_of_all_that_moves_at_once(void **state)
{
	struct thing *things[] = { &a, &b, &c };
	pthread_t threads[ARRAY_SIZE(things)];

	(void)state;
	config_out(C, BAR(1), 4, 0);
	a.anywhere = b.anywhere = c.anywhere = true;
	for (size_t i = 0; i < ARRAY_SIZE(things); i++)
		pthread_create(&threads[i], NULL, move_about, things[i]);
	for (size_t i = 0; i < ARRAY_SIZE(things); i++)
		pthread_join(threads[i], NULL);
	/* All at one place: the first is heard. */
	for (size_t i = 0; i < ARRAY_SIZE(things); i++)
		assert_int_equal(things[i]->f.bars[0].mapped, i ? 0 : WINDOW + 0xc000);
	assert_int_equal(a.maps, a.unmaps + 1);
	assert_int_equal(b.maps, b.unmaps);
	assert_int_equal(c.maps, c.unmaps);
	assert_heard(WINDOW + 0xc000, A, 0);
	assert_silence(WINDOW);
}

/* ---- INTx ---------------------------------------------------------------------------------- */

static void test_functions_share_the_line(void **state)
{
	(void)state;
	pci_intx_set(&a.f, true);
	assert_true(intx_level());
	pci_intx_set(&b.f, true);
	pci_intx_set(&b.f, true);
	pci_intx_set(&a.f, false);
	assert_true(intx_level());
	assert_int_equal(config_in(A, STATUS, 2) & 8, 0);
	assert_int_equal(config_in(B, STATUS, 2) & 8, 8);
	pci_intx_set(&b.f, false);
	assert_false(intx_level());
	assert_int_equal(pci.fake.edges[CLAIM_INTX], 1);
}

static void test_intx_is_disabled_by_the_guest(void **state)
{
	(void)state;
	pci_intx_set(&a.f, true);
	config_out(A, COMMAND, 2, NO_INTX);
	assert_false(intx_level());
	assert_int_equal(config_in(A, STATUS, 2) & 8, 8);
	config_out(A, COMMAND, 2, 0);
	assert_true(intx_level());
	config_out(A, COMMAND + 1, 1, NO_INTX >> 8);
	assert_false(intx_level());
	pci_intx_set(&a.f, false);
	config_out(A, COMMAND, 2, 0);
	assert_false(intx_level());
}

static void test_function_that_goes_drops_the_line(void **state)
{
	struct thing d;

	(void)state;
	thing_make(&d, 0x20);
	assert_int_equal(thing_attach(&d), 0);
	pci_intx_set(&d.f, true);
	assert_true(intx_level());
	thing_free(&d);
	assert_false(intx_level());
}

static void test_no_line(void **state)
{
	(void)state;
	pci_start(OPTION_IRQ_NONE);
	thing_plug(&a, A, WINDOW);
	assert_int_equal(config_in(A, LINE, 1), 0xff);
	pci_intx_set(&a.f, true);
	assert_false(intx_level());
	assert_int_equal(config_in(A, STATUS, 2) & 8, 8);
	thing_free(&a);
	pci_stop();
}

static void test_device_without_a_bus(void **state)
{
	struct err err;

	(void)state;
	pci_start(INTX);
	thing_make(&a, A);
	struct pci_bus *bus = pci.fake.host.pci;
	pci.fake.host.pci = NULL;
	assert_int_equal(pci_attach(&a.f, &err), -ENODEV);
	assert_string_equal(err.text, "thing: there is no PCI bus");
	pci.fake.host.pci = bus;
	thing_free(&a);
	pci_stop();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_header_shows_identity),
		TEST(test_bridge_is_first_function),
		TEST(test_absent_functions_read_as_ones),
		TEST(test_no_extended_space),
		TEST(test_identity_cant_be_written),
		TEST(test_odd_accesses_are_pieced_together),
		TEST(test_device_has_registers_of_its_own),
		TEST(test_functions_of_a_device_are_announced),
		TEST(test_place_is_taken_once),
		TEST(test_capabilities_are_chained),
		TEST(test_ports_reach_configuration_space),
		TEST(test_ports_without_a_target),
		TEST(test_address_takes_double_words_alone),
		TEST(test_reset_forgets_the_address),
		TEST(test_bars_are_heard_where_they_were_placed),
		TEST(test_bar_is_sized),
		TEST(test_bar_is_sized_while_it_decodes),
		TEST(test_bar_moves),
		TEST(test_decoding_is_switched),
		TEST(test_bar_outside_of_the_windows_is_unheard),
		TEST(test_where_bars_overlap_the_first_is_heard),
		TEST(test_partial_overlap_is_one_too),
		TEST(test_access_over_the_end_of_a_bar_is_unheard),
#define SLOW_TEST(name) cmocka_unit_test_setup_teardown(name, setup_slow, teardown_slow)
		SLOW_TEST(test_device_that_waits_keeps_no_other_waiting),
		SLOW_TEST(test_move_that_waits_for_a_device_keeps_no_other_waiting),
		TEST(test_devices_are_told_of_all_that_moves_at_once),
#define PORTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup_ports, teardown_ports)
		PORTS_TEST(test_ports_are_heard_where_they_were_placed),
		PORTS_TEST(test_ports_are_sized),
		PORTS_TEST(test_ports_outside_of_the_window_are_unheard),
		PORTS_TEST(test_where_ports_overlap_the_first_is_heard),
		PORTS_TEST(test_spaces_are_decoded_apart),
		PORTS_TEST(test_bars_go_with_the_bridge),
		TEST(test_functions_share_the_line),
		TEST(test_intx_is_disabled_by_the_guest),
		TEST(test_function_that_goes_drops_the_line),
		cmocka_unit_test(test_no_line),
		cmocka_unit_test(test_device_without_a_bus),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
