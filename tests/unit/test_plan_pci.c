/* test_plan_pci.c: places on the PCI bus and in its windows, with device types of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <vibevmm/bytes.h>
#include <vibevmm/plan.h>

#define MIB 0x100000ULL
#define GIB (1024 * MIB)

/* ---- A registry of our own ------------------------------------------------------------------- */

struct bridge_config {
	char *id;
	uint64_t config;
};

static const struct option bridge_options[] = {
	DEVICE_ID(struct bridge_config),
	OPTION(struct bridge_config, config, OPTION_ADDR, .planned = true, .doc = "ECAM"),
	{ 0 },
};

static const struct claim bridge_claims[] = {
	{ .name = "config",
	  .space = SPACE_MEM,
	  .pool = POOL_PCI_CONFIG,
	  .size = MIB,
	  .fix = "config" },
	{ .name = "window", .space = SPACE_MEM, .pool = POOL_PCI_WINDOW },
	{ .name = "window64", .space = SPACE_MEM, .pool = POOL_PCI_WINDOW64 },
	{ .name = "io", .space = SPACE_PIO, .arches = ARCH_X86_64, .pool = POOL_PCI_PORTS },
	{ .name = "intx", .space = SPACE_IRQ, .size = 1, .level = true },
	{ 0 },
};

static const struct device_description bridge_describe = { .role = ROLE_PCI };
static const struct device_row bridge = {
	.type = { "bridge", "The bus", bridge_options, sizeof(struct bridge_config) },
	.arches = ARCH_ANY,
	.max = 1,
	.claims = bridge_claims,
	.describe = &bridge_describe,
};

struct card_config {
	char *id;
	uint32_t transport, slot;
	uint64_t at;
};

static const char *const transports[] = { "pci", "mmio", NULL };

static const struct option card_options[] = {
	DEVICE_ID(struct card_config),
	OPTION(struct card_config, transport, OPTION_ENUM, .words = transports, .def = "pci",
	       .doc = "How"),
	OPTION(struct card_config, slot, OPTION_UINT, .planned = true, .doc = "Slot"),
	OPTION(struct card_config, at, OPTION_ADDR, .planned = true, .doc = "Address"),
	{ 0 },
};

#define CARD_CLAIMS(bar_size)                                                                      \
	{ .name = "function",                                                                      \
	  .space = SPACE_PCI,                                                                      \
	  .size = 1,                                                                               \
	  .fix = "slot",                                                                           \
	  .when = "transport",                                                                     \
	  .is = 0 },                                                                               \
		{ .name = "bar",                                                                   \
		  .space = SPACE_BAR,                                                              \
		  .size = (bar_size),                                                              \
		  .when = "transport",                                                             \
		  .is = 0 },                                                                       \
	{                                                                                          \
		.name = "registers", .space = SPACE_MEM, .size = (bar_size), .fix = "at",          \
		.when = "transport", .is = 1                                                       \
	}

static const struct claim card_claims[] = {
	CARD_CLAIMS(0x4000),
	{ .name = "bell",
	  .space = SPACE_PORTS_BAR,
	  .arches = ARCH_X86_64,
	  .size = 4,
	  .when = "transport",
	  .is = 0 },
	{ 0 },
};
static const struct claim big_claims[] = { CARD_CLAIMS(128 * MIB), { 0 } };

static const struct device_row card = {
	.type = { "card", "A card", card_options, sizeof(struct card_config) },
	.arches = ARCH_ANY,
	.claims = card_claims,
};
static const struct device_row big = {
	.type = { "big", "One with much memory", card_options, sizeof(struct card_config) },
	.arches = ARCH_ANY,
	.claims = big_claims,
};

static const struct option id_options[] = { DEVICE_ID(struct bridge_config), { 0 } };

static const struct option uart_options[] = {
	DEVICE_ID(struct bridge_config),
	OPTION(struct bridge_config, config, OPTION_ADDR, .planned = true, .doc = "Port"),
	{ 0 },
};
static const struct claim uart_claims[] = {
	{ .name = "ports", .space = SPACE_PIO, .size = 8, .fix = "config" },
	{ 0 },
};
static const struct device_row uart = {
	.type = { "uart", "Has ports", uart_options, sizeof(struct bridge_config) },
	.arches = ARCH_X86_64,
	.claims = uart_claims,
};

static const struct claim frame_claims[] = {
	{ .name = "registers", .space = SPACE_MEM, .size = 0x1000 },
	{ .name = "lines", .space = SPACE_IRQ, .size = 100, .align = 1 },
	{ 0 },
};
static const struct device_description frame_describe = { .role = ROLE_MSI };
static const struct device_row frame = {
	.type = { "frame", "Takes messages", id_options, sizeof(struct bridge_config) },
	.arches = ARCH_ARM64,
	.claims = frame_claims,
	.describe = &frame_describe,
};

static const struct option no_options[] = { { 0 } };

static void blob_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	bool x86 = plan->arch->arch == ARCH_X86_64;
	uint64_t at = x86 ? 0x1000 : GIB;

	if (plan_boot_fixed(plan, diags, "blob", at, 0x1000, boot->mark))
		plan_set_entry(plan, diags, x86 ? ENTRY_LONG : ENTRY_EL1, at, boot->mark);
}

static const struct boot_row blob = {
	.type = { "blob", "Nothing in it", no_options, 1 },
	.arches = ARCH_ANY,
	.interrupts = true,
	.plan = blob_plan,
};
static const struct boot_row *const boots[] = { &blob };
static const struct device_row *const devices[] = { &card, &big, &bridge, &frame, &uart };

/* ---- Making plans ---------------------------------------------------------------------------- */

#define ALL_CAPS                                                                                   \
	(HV_CAP_IRQ_LINE | HV_CAP_MSI | HV_CAP_IRQCHIP_SPLIT | HV_CAP_IRQCHIP_FULL |               \
	 HV_CAP_GICV2 | HV_CAP_GICV3 | HV_CAP_ITS)

static struct hv_caps caps; /* set by setup, changed by tests */
static struct registry registry;

static struct {
	struct diags *diags;
	struct config *config;
	struct plan *plan;
	size_t errors;
	char *text; /* diagnostics as the user sees them */
} got;

static int setup(void **state)
{
	(void)state;
	caps = (struct hv_caps){ .caps = ALL_CAPS, .max_vcpus = 8, .phys_bits = 46 };
	registry = (struct registry){ devices, ARRAY_SIZE(devices), boots, ARRAY_SIZE(boots) };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	plan_free(got.plan);
	config_free(got.config);
	diags_free(got.diags);
	free(got.text);
	memset(&got, 0, sizeof(got));
	return 0;
}

static void make(const char *yaml)
{
	const struct vm_config *vm;
	size_t len;
	FILE *out;

	teardown(NULL);
	got.diags = diags_new();
	got.config = config_load_text("t", yaml, strlen(yaml), &registry, NULL, got.diags);
	assert_non_null(got.config);
	vm = config_vm(got.config);
	got.plan = plan_make(vm, &registry, arch_find(vm->arch), "toy", &caps, got.diags);
	assert_non_null(got.plan);
	got.errors = diags_errors(got.diags);
	out = open_memstream(&got.text, &len);
	diags_print(got.diags, out, DIAG_TEXT, false);
	fclose(out);
}

#define X86_MAP "arch: x86_64\nboot: {blob: {}}\n"
#define X86	X86_MAP "memory: 64M\n"
#define ARM	"arch: arm64\nboot: {blob: {}}\nmemory: 64M\n"

static void make_good(const char *yaml)
{
	make(yaml);
	assert_string_equal(got.text, "");
}

/* One error, and both texts in what is said. */
static void make_bad(const char *yaml, const char *error, const char *help)
{
	make(yaml);
	if (got.errors != 1 || !strstr(got.text, error) || !strstr(got.text, help))
		print_error("wanted '%s' and '%s', got %zu errors:\n%s\n", error, help, got.errors,
			    got.text);
	assert_int_equal(got.errors, 1);
	assert_non_null(strstr(got.text, error));
	assert_non_null(strstr(got.text, help));
}

/* n of a type, behind a head. */
static char *many(const char *head, const char *type, unsigned n)
{
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, "%sdevices:\n", head);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "  - %s\n", type);
	fclose(out);
	return text;
}

static const struct plan_claim *claim_of(const struct plan_device *dev, const char *name)
{
	for (unsigned i = 0; dev && i < dev->n_claims; i++) {
		if (!strcmp(dev->claims[i].claim->name, name))
			return &dev->claims[i];
	}
	return NULL;
}

static uint64_t place_of(size_t device, const char *name)
{
	assert_true(device < got.plan->n_devices);
	assert_non_null(claim_of(&got.plan->devices[device], name));
	return claim_of(&got.plan->devices[device], name)->start;
}

/* Every BAR is in a window, at a multiple of its size; and none meets another, nor do functions. */
static void check_places(void)
{
	const struct plan_device *host = plan_find_role(got.plan, ROLE_PCI);
	const struct plan_claim *low = claim_of(host, "window"), *high = claim_of(host, "window64");
	const struct plan_claim *io = claim_of(host, "io");
	const struct plan_region *before = NULL;

	for (size_t i = 0; i < got.plan->n_regions; i++) {
		const struct plan_region *r = &got.plan->regions[i];
		uint64_t size = r->last - r->start + 1;

		if (r->space != SPACE_PCI && r->space != SPACE_BAR && r->space != SPACE_PORTS_BAR)
			continue;
		if (before && before->space == r->space)
			assert_true(before->last < r->start);
		before = r;
		if (r->space == SPACE_PCI) {
			assert_true(r->last < 256);
			continue;
		}
		assert_true(r->start % size == 0);
		if (r->space == SPACE_PORTS_BAR)
			assert_true(bytes_inside(r->start, size, io->start, io->size));
		else
			assert_true(
				bytes_inside(r->start, size, low->start, low->size) ||
				(high && bytes_inside(r->start, size, high->start, high->size)));
	}
}

/* ---- The bridge ------------------------------------------------------------------------------ */

static void a_device_on_the_bus_brings_the_bridge(void **state)
{
	const struct plan_device *host;

	(void)state;
	make_good(X86 "devices: [card]\n");
	assert_int_equal(got.plan->n_devices, 2);
	host = plan_find_role(got.plan, ROLE_PCI);
	assert_ptr_equal(host, &got.plan->devices[1]);
	assert_int_equal(claim_of(host, "window")->start, 0xd0000000);
	assert_int_equal(claim_of(host, "window")->size, 256 * MIB);
	assert_int_equal(claim_of(host, "config")->start, 0xe0000000);
	assert_int_equal(claim_of(host, "config")->size, MIB);
	assert_null(claim_of(host, "window64"));
	assert_int_equal(claim_of(host, "io")->start, 0xc000);
	assert_int_equal(claim_of(host, "io")->size, 0x1000);
	assert_int_equal(place_of(0, "bell"), 0xc000);
	assert_string_equal(plan_region_at(got.plan, SPACE_PCI, ~0U, 0)->owner, "bridge");
	check_places();

	make_good(X86 "devices: [{card: {transport: pci}}]\n");
	assert_int_equal(got.plan->n_devices, 2);
	make_good(X86 "devices: [card]\nplatform: {acpi: false}\n");
	assert_non_null(plan_find_role(got.plan, ROLE_PCI));
	make_good(ARM "devices: [card: {id: a}]\n");
	assert_int_equal(place_of(0, "bar"), 0x10000000);
	assert_null(claim_of(&got.plan->devices[0], "bell"));
	assert_null(claim_of(plan_find_role(got.plan, ROLE_PCI), "io"));

	make_good(X86 "devices: [{card: {transport: mmio}}]\n");
	assert_int_equal(got.plan->n_devices, 1);
	assert_null(claim_of(&got.plan->devices[0], "function"));
	assert_int_equal(place_of(0, "registers"), 0xc0000000);

	make_good(X86 "devices: [bridge: {config: 0xc8000000}]\n");
	assert_int_equal(got.plan->n_devices, 1);
	assert_int_equal(place_of(0, "config"), 0xc8000000);
	make_good(X86 "devices: [card, bridge]\n");
	assert_int_equal(got.plan->n_devices, 2);
}

static void a_bus_that_is_not_there_is_said_once(void **state)
{
	(void)state;
	registry.n_devices = 2;
	make_bad(X86 "devices: [card, card]\n",
		 "card is a PCI device, and this VM has no PCI host bridge", "");
}

static void a_frame_is_there_where_no_its_takes_messages(void **state)
{
	const struct plan_device *dev;

	(void)state;
	make_good(ARM "devices: [card]\n");
	assert_int_equal(got.plan->gic.version, HV_GIC_V3);
	assert_null(plan_find_role(got.plan, ROLE_MSI));
	assert_int_equal(got.plan->gic.frame, 0);

	make_good(ARM "devices: [card]\nplatform: {gic: v2}\n");
	dev = plan_find_role(got.plan, ROLE_MSI);
	assert_non_null(dev);
	assert_true(got.plan->gic.frame != 0);
	assert_int_equal(got.plan->gic.frame, claim_of(dev, "registers")->start);
	assert_int_equal(got.plan->gic.frame_line, claim_of(dev, "lines")->start);
	assert_int_equal(got.plan->gic.frame_lines, 100);

	caps.caps &= ~(unsigned)HV_CAP_ITS;
	make_good(ARM "devices: [card]\n");
	assert_non_null(plan_find_role(got.plan, ROLE_MSI));
	make_good(ARM "devices: [{card: {transport: mmio}}]\n");
	assert_null(plan_find_role(got.plan, ROLE_MSI));
	make_good(X86 "devices: [card]\n");
	assert_null(plan_find_role(got.plan, ROLE_MSI));
}

static void more_vcpus_than_redistributors_in_one_place_get_another(void **state)
{
	(void)state;
	caps.max_vcpus = 512;
	make_good(ARM "vcpus: 123\n");
	assert_int_equal(got.plan->gic.redist_more, 0);
	assert_null(plan_region_at(got.plan, SPACE_MEM, ~0U, 0x0c000000));
	make_good(ARM "vcpus: 512\n");
	assert_int_equal(got.plan->gic.redist_room, 123);
	assert_int_equal(got.plan->gic.redist_more, 0x0c000000);
	assert_non_null(plan_region_at(got.plan, SPACE_MEM, 1U << REGION_PLATFORM,
				       0x0c000000 + (512 - 123) * HV_GIC_REDIST_SIZE - 1));
	make_bad(ARM "vcpus: 512\ndevices: [{card: {transport: mmio, at: 0xc000000}}]\n",
		 "overlaps window 0xc000000-0xfffffff of the platform's gic", "next free 16K");
	caps.max_vcpus = 4096;
	make_bad(ARM "vcpus: 636\n", "636 vCPUs are more than the 635", "");
}

static void redistributors_that_are_always_there_have_room(void **state)
{
	(void)state;
	caps.gic_redists = 256;
	make_good(ARM "vcpus: 2\n");
	assert_int_equal(got.plan->gic.redist, 0x0c000000);
	assert_int_equal(got.plan->gic.redist_room, 256);
	assert_int_equal(got.plan->gic.redist_more, 0);
	assert_non_null(plan_region_at(got.plan, SPACE_MEM, 1U << REGION_PLATFORM,
				       0x0c000000 + 256 * HV_GIC_REDIST_SIZE - 1));
	caps.gic_redists = 100;
	make_good(ARM "vcpus: 2\n");
	assert_int_equal(got.plan->gic.redist, 0x080a0000);
	assert_int_equal(got.plan->gic.redist_room, 0);
}

/* ---- Slots ----------------------------------------------------------------------------------- */

static void free_slots_go_around_fixed_ones(void **state)
{
	(void)state;
	make_good(X86 "devices: [card, {card: {slot: 1}}, card, {card: {slot: 31}}, card]\n");
	assert_int_equal(place_of(0, "function"), 2 << 3);
	assert_int_equal(place_of(1, "function"), 1 << 3);
	assert_int_equal(place_of(2, "function"), 3 << 3);
	assert_int_equal(place_of(3, "function"), 31 << 3);
	assert_int_equal(place_of(4, "function"), 4 << 3);
	check_places();
}

static void slots_that_are_taken_or_do_not_exist_are_refused(void **state)
{
	(void)state;
	make_bad(X86 "devices: [{card: {id: a, slot: 3}}, {card: {id: b, slot: 3}}, card]\n",
		 "t:4:58: error: PCI slot 3 of b is taken by a", "the next free slot is 2");
	assert_non_null(strstr(got.text, "t:4:32: note: a is placed here"));
	make_bad(X86 "devices: [{card: {slot: 0}}]\n", "PCI slot 0 of card is taken by bridge",
		 "note: bridge is there because card is on the PCI bus");
	make_bad(X86 "devices: [{card: {slot: 32}}]\n", "PCI slot 32 of card does not exist",
		 "slots 0 to 31");
	make(X86 "devices: [{card: {slot: 4294967295}}]\n");
	assert_int_equal(got.errors, 1);
}

static void slots_fill_up_by_functions(void **state)
{
	char *yaml = many(X86, "card", 40);

	(void)state;
	make_good(yaml);
	free(yaml);
	check_places();
	for (unsigned i = 0; i < 31; i++)
		assert_int_equal(place_of(i, "function"), (i + 1) << 3);
	assert_int_equal(place_of(31, "function"), 1 << 3 | 1);
	assert_int_equal(place_of(37, "function"), 1 << 3 | 7);
	assert_int_equal(place_of(38, "function"), 2 << 3 | 1);
}

static void a_full_bus_is_reported(void **state)
{
	char *yaml = many(ARM, "card", 248);

	(void)state;
	make_good(yaml);
	check_places();
	free(yaml);
	yaml = many(ARM, "card", 249);
	make_bad(yaml, "the PCI bus has no place left for card#249", "room for 248 functions");
	free(yaml);
}

/* ---- Windows --------------------------------------------------------------------------------- */

static void bars_that_do_not_fit_below_4_gib_go_above(void **state)
{
	const struct plan_device *host;

	(void)state;
	make_good(X86 "devices: [card, big]\n");
	assert_int_equal(place_of(1, "bar"), 0xd0000000); /* the largest first */
	assert_int_equal(place_of(0, "bar"), 0xd8000000);
	check_places();

	make_good(X86 "devices: [card, big, big]\n");
	host = plan_find_role(got.plan, ROLE_PCI);
	assert_int_equal(claim_of(host, "window64")->start, 512 * GIB);
	assert_int_equal(claim_of(host, "window64")->size, 512 * GIB);
	assert_int_equal(place_of(2, "bar"), 0xd8000000);
	assert_int_equal(place_of(0, "bar"), 512 * GIB);
	check_places();

	make_good(ARM "devices: [big, big, big, big, big]\n");
	assert_int_equal(place_of(4, "bar"), 512 * GIB);
	check_places();
}

static void without_wide_addresses_there_is_no_window_above(void **state)
{
	(void)state;
	caps.phys_bits = 40;
	make_good(X86 "devices: [big, big, big]\n");
	caps.phys_bits = 39;
	make_good(X86 "devices: [big, big]\n");
	make_bad(X86 "devices: [big, big, big]\n",
		 "the PCI windows have no room of 128M left for bar of big#3", "");
	assert_null(claim_of(plan_find_role(got.plan, ROLE_PCI), "window64"));
}

static void ram_where_the_window_above_would_be_keeps_it(void **state)
{
	(void)state;
	make_good(X86_MAP "memory: 600G\ndevices: [big, big]\n");
	make_bad(X86_MAP "memory: 600G\ndevices: [big, big, big]\n", "the PCI windows have no room",
		 "");
}

/* The GDT, and four levels that map four gigabytes. */
static void the_window_above_is_not_mapped_for_long_mode(void **state)
{
	const struct plan_region *r;

	(void)state;
	make_good(X86 "devices: [big, big, big]\n");
	r = plan_region_at(got.plan, SPACE_MEM, 1U << REGION_BOOT, got.plan->entry.tables);
	assert_int_equal(r->last - r->start + 1, 7 * 4096);
}

static void ram_over_a_window_is_to_be_cut(void **state)
{
	(void)state;
	make_bad(X86_MAP "memory:\n  - ram: {at: 0, size: 1M}\n"
			 "  - ram: {at: 0xc0000000, size: 512M}\ndevices: [card]\n",
		 "t:5:5: error: ram 0xc0000000-0xdfffffff overlaps window 0xd0000000-0xdfffffff of "
		 "bridge",
		 "cut it out: `- hole: {at: 0xd0000000, size: 0x10000000}`");
	make_bad(X86_MAP "memory:\n  - ram: {at: 0, size: 1M}\n"
			 "  - ram: {at: 0xc0000000, size: 384M}\ndevices: [card]\n",
		 "overlaps window", "cut it out: `- hole: {at: 0xd0000000, size: 0x8000000}`");
	make_good(X86_MAP "memory:\n  - ram: {at: 0, size: 1M}\n"
			  "  - ram: {at: 0xc0000000, size: 512M}\n"
			  "  - hole: {at: 0xd0000000, size: 0x10000000}\ndevices: [card]\n");
	check_places();
	make_good(X86_MAP "memory:\n  - ram: {at: 0, size: 1M}\n"
			  "  - ram: {at: 0xc0000000, size: 512M}\n");
}

static void other_devices_keep_out_of_windows(void **state)
{
	(void)state;
	make_bad(
		X86 "devices: [card, {card: {id: a, transport: mmio, at: 0xd0004000}}]\n",
		"window 0xd0004000-0xd0007fff of a overlaps window 0xd0000000-0xdfffffff of bridge",
		"the next free 16K window is 0xe0100000");
	make_bad(X86 "devices: [card, {bridge: {config: 0xd0000000}}]\n",
		 "window 0xd0000000-0xd00fffff of bridge overlaps window", "");
	make_good(X86 "devices: [{card: {transport: mmio, at: 0xd0004000}}]\n");
	make_good(X86 "devices: [card, {big: {transport: mmio}}, {big: {transport: mmio}}, "
		      "{big: {transport: mmio}}]\n");
	assert_int_equal(place_of(1, "registers"), 0xc0000000);
	assert_int_equal(place_of(2, "registers"), 0xc8000000);
	assert_int_equal(place_of(3, "registers"), 0xe8000000);
}

static void other_devices_keep_out_of_ports(void **state)
{
	(void)state;
	make_bad(X86 "devices: [card, {uart: {config: 0xcff8}}]\n",
		 "ports 0xcff8-0xcfff of uart overlap ports 0xc000-0xcfff of bridge",
		 "the next 8 free ports begin at 0xd000");
	make_good(X86 "devices: [{card: {transport: mmio}}, {uart: {config: 0xcff8}}]\n");
	make_good(X86 "devices: [card, uart]\n");
	assert_int_equal(place_of(1, "ports"), 0x1000);
}

/* ---- Printing -------------------------------------------------------------------------------- */

static char *print(enum diag_format format)
{
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);

	plan_print(got.plan, out, format);
	fclose(out);
	return text;
}

static void bars_are_shown_inside_their_window(void **state)
{
	char *text;

	(void)state;
	make_good("name: toy\n" X86 "devices: [{card: {id: a, slot: 10}}, {big: {id: b}}]\n");
	text = print(DIAG_TEXT);
	assert_non_null(strstr(
		text, "  0xd0000000-0xdfffffff      256M  device    bridge       window  t:5\n"
		      "    0xd0000000-0xd7ffffff    128M  device    b            bar     t:5\n"
		      "    0xd8000000-0xd8003fff     16K  device    a            bar     t:5\n"
		      "  0xe0000000-0xe00fffff        1M  device    bridge       config  t:5\n"));
	assert_non_null(strstr(text, "\nports\n"
				     "  0xc000-0xcfff    4K  device  bridge  io    t:5\n"
				     "    0xc000-0xc003   4  device  a       bell  t:5\n"));
	assert_non_null(strstr(text, "\nPCI functions\n"
				     "  00:00.0  device  bridge  function  t:5\n"
				     "  00:01.0  device  b       function  t:5\n"
				     "  00:0a.0  device  a       function  t:5\n"));
	free(text);
	text = print(DIAG_JSON);
	assert_non_null(strstr(text, "{\"space\": \"PCI functions\", \"start\": 80, \"end\": 80, "
				     "\"size\": 1, \"function\": \"00:0a.0\", "));
	assert_non_null(strstr(text, "{\"space\": \"PCI BARs\", \"start\": 3489660928, "));
	assert_non_null(strstr(text, "{\"space\": \"PCI I/O BARs\", \"start\": 49152, "));
	free(text);
}

/* ---- Size ------------------------------------------------------------------------------------ */

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Nearly all find no place. Not a timed test: a quadratic planner would break the bound. */
static void ten_thousand_devices_are_refused_at_once(void **state)
{
	char *yaml = many(X86, "card", 10000);
	double ms = cpu_ms();

	(void)state;
	make(yaml);
	ms = cpu_ms() - ms;
	free(yaml);
	assert_int_equal(got.plan->n_devices, 10001);
	assert_int_equal(got.errors, 10000 - 248);
	print_message("# 10000 PCI devices loaded and planned in %.1f ms\n", ms);
	assert_true(ms < 2000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_on_the_bus_brings_the_bridge),
		TEST(a_bus_that_is_not_there_is_said_once),
		TEST(a_frame_is_there_where_no_its_takes_messages),
		TEST(more_vcpus_than_redistributors_in_one_place_get_another),
		TEST(redistributors_that_are_always_there_have_room),
		TEST(free_slots_go_around_fixed_ones),
		TEST(slots_that_are_taken_or_do_not_exist_are_refused),
		TEST(slots_fill_up_by_functions),
		TEST(a_full_bus_is_reported),
		TEST(bars_that_do_not_fit_below_4_gib_go_above),
		TEST(without_wide_addresses_there_is_no_window_above),
		TEST(ram_where_the_window_above_would_be_keeps_it),
		TEST(the_window_above_is_not_mapped_for_long_mode),
		TEST(ram_over_a_window_is_to_be_cut),
		TEST(other_devices_keep_out_of_windows),
		TEST(other_devices_keep_out_of_ports),
		TEST(bars_are_shown_inside_their_window),
		TEST(ten_thousand_devices_are_refused_at_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
