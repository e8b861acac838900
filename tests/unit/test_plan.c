/* test_plan.c: from a configuration to addresses, with device types of its own. */
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

#define GIB 0x40000000ULL

/* ---- A registry of our own ------------------------------------------------------------------- */

struct window_config {
	char *id;
	uint64_t at;
	uint32_t irq;
	bool input;
	bool odd;
};

static const struct option window_options[] = {
	DEVICE_ID(struct window_config),
	OPTION(struct window_config, at, OPTION_ADDR, .doc = "Address"),
	OPTION(struct window_config, irq, OPTION_IRQ, .doc = "Line"),
	OPTION(struct window_config, input, OPTION_BOOL, .def = "true", .doc = "Input"),
	OPTION(struct window_config, odd, OPTION_BOOL, .def = "false", .doc = "For check"),
	{ 0 },
};

static const uint64_t window_irqs[] = { 4, 3 };

static const struct claim window_claims[] = {
	{ .name = "registers", .space = SPACE_MEM, .size = 0x1000, .fix = "at" },
	{ .name = "interrupt",
	  .space = SPACE_IRQ,
	  .size = 1,
	  .fix = "irq",
	  .prefer = window_irqs,
	  .n_prefer = 2 },
	{ .name = "input", .space = SPACE_INPUT, .size = 1, .fix = "input" },
	{ 0 },
};

static void window_check(const void *options, const struct node *node, struct diags *diags)
{
	const struct window_config *config = options;

	if (config->odd)
		diag_error(diags, node->mark, "odd");
}

static const struct device_row window = {
	.type = { "window", "A window", window_options, sizeof(struct window_config) },
	.arches = ARCH_ANY,
	.claims = window_claims,
	.check = window_check,
};

/* One large and one small window; a port that may be fixed or replaced by an address. */
struct mixed_config {
	char *id;
	uint64_t at;
	uint32_t port;
};

static const struct option mixed_options[] = {
	DEVICE_ID(struct mixed_config),
	OPTION(struct mixed_config, at, OPTION_ADDR, .doc = "Address"),
	OPTION(struct mixed_config, port, OPTION_UINT, .doc = "Port"),
	{ 0 },
};

static const uint64_t mixed_ports[] = { 0x3f8, 0x2f8 };

static const struct claim mixed_claims[] = {
	{ .name = "small", .space = SPACE_MEM, .size = 0x1000 },
	{ .name = "large", .space = SPACE_MEM, .size = 0x100000 },
	{ .name = "ports",
	  .space = SPACE_PIO,
	  .size = 8,
	  .fix = "port",
	  .unless = "at",
	  .prefer = mixed_ports,
	  .n_prefer = 2 },
	{ .name = "registers", .space = SPACE_MEM, .size = 0x1000, .fix = "at", .only_if = "at" },
	{ 0 },
};

static const struct device_row mixed = {
	.type = { "mixed", "Several", mixed_options, sizeof(struct mixed_config) },
	.arches = ARCH_X86_64,
	.max = 3,
	.claims = mixed_claims,
};

struct id_config {
	char *id;
};

static const struct option id_options[] = { DEVICE_ID(struct id_config), { 0 } };

static const struct device_row msi = {
	.type = { "msi", "Needs MSIs", id_options, sizeof(struct id_config) },
	.arches = ARCH_ANY,
	.needs = HV_CAP_MSI,
};

static const struct device_row *const devices[] = { &window, &mixed, &msi };

struct blob_config {
	uint64_t at, size, entry;
};

static const struct option blob_options[] = {
	OPTION(struct blob_config, at, OPTION_ADDR, .def = "0x1000", .doc = "Address"),
	OPTION(struct blob_config, size, OPTION_SIZE, .def = "4K", .doc = "Size"),
	OPTION(struct blob_config, entry, OPTION_ADDR, .def = "0x1000", .doc = "Entry"),
	{ 0 },
};

static void blob_plan(struct plan *plan, const struct config_choice *boot, struct diags *diags)
{
	const struct blob_config *config = boot->options;

	if (plan_boot_fixed(plan, diags, "blob", config->at, config->size, boot->mark))
		plan_set_entry(plan, diags,
			       plan->arch->arch == ARCH_X86_64 ? ENTRY_REAL : ENTRY_EL1,
			       config->entry, boot->mark);
}

static const struct boot_row blob = {
	.type = { "blob", "Nothing in it", blob_options, sizeof(struct blob_config) },
	.arches = ARCH_ANY,
	.plan = blob_plan,
};
static const struct boot_row kernel = {
	.type = { "kernel", "Wants interrupts", blob_options, sizeof(struct blob_config) },
	.arches = ARCH_X86_64,
	.interrupts = true,
	.plan = blob_plan,
};
static const struct boot_row *const boots[] = { &blob, &kernel };

static const struct registry registry = { devices, ARRAY_SIZE(devices), boots, ARRAY_SIZE(boots) };

/* ---- Making plans ---------------------------------------------------------------------------- */

#define ALL_CAPS                                                                                   \
	(HV_CAP_PIO | HV_CAP_READONLY_MEM | HV_CAP_IRQ_LINE | HV_CAP_MSI | HV_CAP_IRQCHIP_SPLIT |  \
	 HV_CAP_IRQCHIP_FULL | HV_CAP_PIT | HV_CAP_GICV3)

static struct hv_caps caps; /* set by setup, changed by tests */

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
	assert_non_null(vm);
	got.plan = plan_make(vm, &registry, arch_find(vm->arch), "toy", &caps, got.diags);
	assert_non_null(got.plan);
	got.errors = diags_errors(got.diags);
	out = open_memstream(&got.text, &len);
	diags_print(got.diags, out, DIAG_TEXT, false);
	fclose(out);
}

#define X86 "arch: x86_64\nboot: {blob: {}}\n"

static void make_good(const char *yaml)
{
	make(yaml);
	assert_string_equal(got.text, "");
}

/* Exactly one error, and these words in it. */
static void make_bad(const char *yaml, const char *words)
{
	make(yaml);
	if (got.errors != 1 || !strstr(got.text, words))
		print_error("wanted '%s', got %zu errors:\n%s\n", words, got.errors, got.text);
	assert_int_equal(got.errors, 1);
	assert_non_null(strstr(got.text, words));
}

static const struct plan_claim *claim_of(size_t device, const char *name)
{
	const struct plan_device *dev = &got.plan->devices[device];

	assert_true(device < got.plan->n_devices);
	for (unsigned i = 0; i < dev->n_claims; i++) {
		if (!strcmp(dev->claims[i].claim->name, name))
			return &dev->claims[i];
	}
	return NULL;
}

static uint64_t place_of(size_t device, const char *name)
{
	assert_non_null(claim_of(device, name));
	return claim_of(device, name)->start;
}

static void check_regions_sorted_and_apart(void)
{
	const struct plan *plan = got.plan;

	for (size_t i = 1; i < plan->n_regions; i++) {
		const struct plan_region *a = &plan->regions[i - 1], *b = &plan->regions[i];

		assert_true(a->space < b->space || (a->space == b->space && a->start <= b->start));
		if (a->space == b->space && a->kind != REGION_BOOT && b->kind != REGION_BOOT &&
		    a->kind != REGION_HOLE && b->kind != REGION_HOLE)
			assert_true(a->last < b->start);
	}
}

/* The RAM regions as text: "0-9ffff c0000-fffff". */
static const char *ram_text(void)
{
	static char text[256];
	int len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < got.plan->n_regions; i++) {
		const struct plan_region *r = &got.plan->regions[i];

		if (r->kind == REGION_RAM)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%llx-%llx",
					len ? " " : "", (unsigned long long)r->start,
					(unsigned long long)r->last);
	}
	return text;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void memory_by_size_skips_the_vga_window_as_on_a_pc(void **state)
{
	(void)state;
	make_good(X86 "memory: 64K");
	assert_string_equal(ram_text(), "0-ffff");
	make_good(X86 "memory: 640K");
	assert_string_equal(ram_text(), "0-9ffff");
	make_good(X86 "memory: 700K");
	assert_string_equal(ram_text(), "0-9ffff");
	make_good(X86 "memory: 128M");
	assert_string_equal(ram_text(), "0-9ffff c0000-7ffffff");
	assert_int_equal(got.plan->ram_size, 0x8000000 - 0x20000);
	check_regions_sorted_and_apart();
}

static void memory_above_3_gib_goes_to_4_gib(void **state)
{
	(void)state;
	make_good(X86 "memory: 3G");
	assert_string_equal(ram_text(), "0-9ffff c0000-bfffffff");
	make_good(X86 "memory: 5G");
	assert_string_equal(ram_text(), "0-9ffff c0000-bfffffff 100000000-17fffffff");
}

static void arm64_memory_begins_at_1_gib(void **state)
{
	(void)state;
	make_good("arch: arm64\nboot: {blob: {at: 1G, entry: 1G}}\nmemory: 1G\n"
		  "devices: [window]");
	assert_string_equal(ram_text(), "40000000-7fffffff");
	assert_true(place_of(0, "registers") < GIB);
}

static void memory_beyond_the_address_width_is_refused(void **state)
{
	(void)state;
	caps.phys_bits = 36;
	make_good(X86 "memory: 63G");
	make_bad(X86 "memory: 64G", "beyond the 36 address bits of backend 'toy'");
	make_bad(X86 "memory:\n  - ram: {at: 0, size: 1M}\n  - ram: {at: 64G, size: 4K}",
		 "the last address is 0xfffffffff");
	make_good(X86 "memory:\n  - ram: {at: 0, size: 1M}\n  - ram: {at: 0xffffff000, size: 4K}");
}

static void holes_cut_ram_into_slots(void **state)
{
	(void)state;
	make_good(X86 "memory:\n"
		      "  - ram: {at: 0, size: 64K}\n"
		      "  - hole: {at: 0x8000, size: 4K}\n"
		      "  - hole: {at: 0x3000, size: 4K}\n"
		      "  - hole: {at: 0x4000, size: 4K}\n"
		      "  - hole: {at: 0xf000, size: 4K}\n");
	assert_string_equal(ram_text(), "0-2fff 5000-7fff 9000-efff");
	assert_int_equal(got.plan->ram_size, 0xc000);
	make_good(X86 "memory:\n"
		      "  - ram: {at: 0, size: 64K}\n"
		      "  - hole: {at: 0, size: 4K}\n"
		      "devices:\n  - window: {at: 0}\n");
	assert_string_equal(ram_text(), "1000-ffff");
	check_regions_sorted_and_apart();
}

static void a_hole_in_one_ram_may_hold_another(void **state)
{
	(void)state;
	make_good(X86 "memory:\n"
		      "  - ram: {at: 0, size: 64K}\n"
		      "  - ram: {at: 0x8000, size: 4K}\n"
		      "  - hole: {at: 0x8000, size: 8K}\n");
	assert_string_equal(ram_text(), "0-7fff 8000-8fff a000-ffff");
}

static void a_bad_memory_entry_does_not_cascade(void **state)
{
	(void)state;
	/* The image, the entry and the hole lie in the RAM that is not there. */
	make_bad("arch: x86_64\nboot: {blob: {at: 0x2000, entry: 0x2000}}\n"
		 "memory:\n"
		 "  - ram: {at: 0xfffffffffffff000, size: 8K}\n"
		 "  - hole: {at: 0x1000, size: 4K}\n",
		 "wraps around");
	make_bad("arch: x86_64\nboot: {blob: {at: 0x2000, entry: 0x2000}}\n"
		 "memory:\n  - ram: {at: 0, size: 12Q}\n",
		 "12Q");
}

static void roms_need_a_backend_with_read_only_memory(void **state)
{
	(void)state;
	caps.caps &= ~(unsigned)HV_CAP_READONLY_MEM;
	make_bad(X86 "memory:\n"
		     "  - ram: {at: 0, size: 64K}\n"
		     "  - rom: {at: 0xf0000, file: /dev/null}\n",
		 "backend 'toy' has no read-only memory");
}

/* ---- Places ---------------------------------------------------------------------------------- */

static void large_windows_are_placed_before_small_ones(void **state)
{
	(void)state;
	make_good(X86 "devices: [window, mixed]");
	assert_int_equal(place_of(1, "large"), 0xc0000000);
	assert_int_equal(place_of(0, "registers"), 0xc0100000);
	assert_int_equal(place_of(1, "small"), 0xc0101000);
	check_regions_sorted_and_apart();
}

static void free_windows_go_around_fixed_ones(void **state)
{
	(void)state;
	make_good(X86 "devices:\n  - window\n  - window\n  - window: {at: 0xc0001000}\n");
	assert_int_equal(place_of(0, "registers"), 0xc0000000);
	assert_int_equal(place_of(1, "registers"), 0xc0002000);
}

static void preferred_ports_are_taken_in_order_then_free_ones(void **state)
{
	(void)state;
	make_good(X86 "devices: [mixed, mixed, mixed]");
	assert_int_equal(place_of(0, "ports"), 0x3f8);
	assert_int_equal(place_of(1, "ports"), 0x2f8);
	assert_int_equal(place_of(2, "ports"), 0x1000);
	make_good(X86 "devices:\n  - mixed\n  - mixed: {port: 0x3f8}\n");
	assert_int_equal(place_of(0, "ports"), 0x2f8);
}

static void only_if_and_unless_choose_between_claims(void **state)
{
	(void)state;
	make_good(X86 "devices:\n  - mixed: {at: 0xd0000000}\n");
	assert_null(claim_of(0, "ports"));
	assert_int_equal(place_of(0, "registers"), 0xd0000000);
	assert_int_equal(claim_of(0, "registers")->index, 3);
	make_good(X86 "devices:\n  - mixed\n");
	assert_null(claim_of(0, "registers"));
}

static void windows_keep_out_of_ram_reserved_and_holes(void **state)
{
	(void)state;
	make_good(X86 "memory:\n"
		      "  - ram: {at: 0, size: 64K}\n"
		      "  - reserved: {at: 0xc0000000, size: 4K}\n"
		      "  - ram: {at: 0xc0001000, size: 12K}\n"
		      "  - hole: {at: 0xc0002000, size: 4K}\n"
		      "devices: [window]\n");
	assert_int_equal(place_of(0, "registers"), 0xc0004000);
}

static void no_window_left_is_reported(void **state)
{
	(void)state;
	make_bad(X86 "memory:\n"
		     "  - ram: {at: 0, size: 64K}\n"
		     "  - reserved: {at: 0xc0000000, size: 0x3ec00000}\n"
		     "devices: [window]\n",
		 "no free window of 4K is left for registers of window");
}

static void the_suggested_window_is_free(void **state)
{
	(void)state;
	/* 0xd0001000 is taken as well, and 0xd0002000 is not. */
	make_bad(X86 "devices:\n"
		     "  - window: {at: 0xd0000000}\n"
		     "  - window: {at: 0xd0001000}\n"
		     "  - window: {at: 0xd0000000}\n",
		 "the next free 4K window is 0xd0002000");
}

static void one_bad_window_over_several_regions_is_one_error(void **state)
{
	(void)state;
	make(X86 "devices:\n"
		 "  - window: {at: 0xd0000000}\n"
		 "  - window: {at: 0xd0000000}\n"
		 "  - window: {at: 0xd0000000}\n");
	assert_int_equal(got.errors, 2);
}

static void labels_are_ids_or_types_with_numbers(void **state)
{
	(void)state;
	make_good(X86 "devices:\n"
		      "  - window\n"
		      "  - window\n"
		      "  - window: {id: a}\n"
		      "  - window: {id: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\\u00e9y\"}\n");
	assert_string_equal(got.plan->devices[0].label, "window");
	assert_string_equal(got.plan->devices[1].label, "window#2");
	assert_string_equal(got.plan->devices[2].label, "a");
	/* Cut to 39 bytes, but not inside the e with its accent. */
	assert_int_equal(strlen(got.plan->devices[3].label), 38);
}

static void a_rows_own_check_is_called(void **state)
{
	(void)state;
	make_bad(X86 "devices:\n  - window: {odd: true}\n", "odd");
}

/* ---- Interrupts and input -------------------------------------------------------------------- */

static void nothing_needs_interrupts_so_there_is_no_controller(void **state)
{
	(void)state;
	make_good(X86 "devices: [window]");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_NONE);
	assert_false(claim_of(0, "interrupt")->connected);
}

static void a_line_that_the_user_gives_brings_a_split_controller(void **state)
{
	(void)state;
	make_good(X86 "devices:\n  - window\n  - window: {irq: 10}\n  - window: {irq: none}\n");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_SPLIT);
	assert_int_equal(place_of(1, "interrupt"), 10);
	assert_int_equal(place_of(0, "interrupt"), 4);
	assert_true(claim_of(0, "interrupt")->connected);
	assert_null(claim_of(2, "interrupt"));
	make_good(X86 "devices:\n  - window: {irq: none}\n");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_NONE);
}

static void other_needs_for_a_controller(void **state)
{
	(void)state;
	make_good(X86 "vcpus: 2");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_SPLIT);
	make_good("arch: x86_64\nboot: {kernel: {}}\n");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_SPLIT);
	make_good(X86 "devices: [msi]");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_SPLIT);
	make_good(X86 "platform: {pit: true}");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_FULL);
	assert_true(got.plan->pit);
}

static void backends_without_a_split_controller_get_a_full_one(void **state)
{
	(void)state;
	caps.caps &= ~(unsigned)HV_CAP_IRQCHIP_SPLIT;
	make_good(X86 "vcpus: 2");
	assert_int_equal(got.plan->irqchip, HV_IRQCHIP_FULL);
	make_bad(X86 "platform: {irqchip: split}", "has no split interrupt controller");
	caps.caps &= ~(unsigned)HV_CAP_IRQCHIP_FULL;
	make_bad(X86 "vcpus: 2", "backend 'toy' has none");
	make_good(X86);
}

static void platform_regions_exist_only_with_a_controller(void **state)
{
	(void)state;
	make_good(X86 "devices:\n  - window: {at: 0xfec00000}\n");
	make_bad(X86 "vcpus: 2\ndevices:\n  - window: {at: 0xfec00000}\n", "the platform's ioapic");
	make_good(X86 "devices:\n  - mixed: {port: 0x40}\n");
	make_good(X86 "vcpus: 2\ndevices:\n  - mixed: {port: 0x20}\n");
	make_bad(X86 "platform: {irqchip: full}\ndevices:\n  - mixed: {port: 0x20}\n",
		 "the platform's 8259");
	make_bad(X86 "platform: {pit: true}\ndevices:\n  - mixed: {port: 0x40}\n",
		 "the platform's 8254");
}

static void lines_run_out(void **state)
{
	char yaml[2000] = X86 "vcpus: 2\ndevices:\n";

	(void)state;
	/* 2 preferred, 15 free ones of the layout. */
	for (int i = 0; i < 18; i++)
		strcat(yaml, "  - window\n");
	make_bad(yaml, "no free interrupt line is left for window#18");
	assert_non_null(strstr(got.text, "`irq: none`"));
}

static void input_goes_to_the_first_or_to_who_asks(void **state)
{
	(void)state;
	make_good(X86 "devices: [window, window]");
	assert_true(claim_of(0, "input")->connected);
	assert_false(claim_of(1, "input")->connected);
	make_good(X86 "devices:\n  - window\n  - window: {input: true}\n");
	assert_false(claim_of(0, "input")->connected);
	assert_true(claim_of(1, "input")->connected);
	make_good(X86 "devices:\n  - window: {input: false}\n  - window\n");
	assert_null(claim_of(0, "input"));
	assert_true(claim_of(1, "input")->connected);
	make_bad(X86 "devices:\n  - window: {input: true}\n  - window: {input: true}\n",
		 "both ask for the VM's input");
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void limits_of_types_arches_and_backends(void **state)
{
	(void)state;
	make_bad(X86 "vcpus: 9", "its limit on x86_64 is 8");
	make_bad(X86 "devices: [mixed, mixed, mixed, mixed, mixed]", "a VM may have 3");
	make_bad("arch: arm64\nboot: {blob: {at: 1G, entry: 1G}}\ndevices: [mixed]",
		 "mixed exists on x86_64 only");
	make_bad("arch: arm64\nboot: {kernel: {}}\n", "boot format kernel exists on x86_64 only");
	caps.caps &= ~(unsigned)HV_CAP_MSI;
	make_bad(X86 "devices: [msi]", "msi needs message-signalled interrupts, which backend");
}

static void without_a_backend_only_the_layout_counts(void **state)
{
	struct plan *plan;

	(void)state;
	make(X86 "vcpus: 64\nmemory: 256T\ndevices: [msi]");
	assert_true(got.errors > 0);
	diags_free(got.diags);
	got.diags = diags_new();
	plan = plan_make(config_vm(got.config), &registry, arch_find(ARCH_X86_64), NULL, NULL,
			 got.diags);
	assert_int_equal(diags_errors(got.diags), 0);
	assert_int_equal(plan->caps.phys_bits, 52);
	plan_free(plan);
}

/* ---- The boot image -------------------------------------------------------------------------- */

static void boot_regions_must_lie_in_one_ram_region(void **state)
{
	(void)state;
	make_good("arch: x86_64\nboot: {blob: {at: 0, size: 640K}}\nmemory: 1M\n");
	make_bad("arch: x86_64\nboot: {blob: {at: 0, size: 641K}}\nmemory: 1M\n",
		 "does not fit ram, which ends at 0x9ffff");
	make_bad("arch: x86_64\nboot: {blob: {at: 0xa0000}}\nmemory: 1M\n",
		 "lies outside of ram, in vga window");
	make_bad("arch: x86_64\nboot: {blob: {at: 2M}}\nmemory: 1M\n", "lies outside of ram");
	make_bad("arch: x86_64\nboot: {blob: {at: 0xfffffffffffff000, size: 8K}}\nmemory: 1M\n",
		 "wraps around");
	make_bad("arch: x86_64\nboot: {blob: {entry: 1M}}\nmemory: 1M\n",
		 "entry 0x100000 lies outside of ram and rom");
	assert_false(got.plan->entry.set);
}

static void boot_regions_may_touch_but_not_overlap(void **state)
{
	struct plan *plan;

	(void)state;
	make_good(X86 "memory: 64K");
	plan = got.plan;
	assert_true(plan_boot_fixed(plan, got.diags, "below", 0x800, 0x800, MARK_NONE));
	assert_true(plan_boot_fixed(plan, got.diags, "above", 0x2000, 1, MARK_NONE));
	assert_true(plan_boot_fixed(plan, got.diags, "empty", 0x1800, 0, MARK_NONE));
	assert_int_equal(diags_errors(got.diags), 0);
	assert_false(plan_boot_fixed(plan, got.diags, "inside", 0x1800, 1, MARK_NONE));
	assert_false(plan_boot_fixed(plan, got.diags, "around", 0x400, 0x4000, MARK_NONE));
	assert_false(plan_boot_fixed(plan, got.diags, "end", 0xfff, 1, MARK_NONE));
	assert_false(plan_boot_fixed(plan, got.diags, "start", 0x2000, 1, MARK_NONE));
	assert_int_equal(diags_errors(got.diags), 4);
}

static void boot_place_finds_the_lowest_and_the_highest(void **state)
{
	struct plan *plan;
	uint64_t at = 77;

	(void)state;
	make_good(X86 "memory: 1M"); /* blob at 0x1000-0x1fff; ram 0-9ffff c0000-fffff */
	plan = got.plan;
	assert_true(plan_boot_place(plan, got.diags, "a", 0x1001, 0x1000, 0, UINT64_MAX, false,
				    MARK_NONE, &at));
	assert_int_equal(at, 0x2000);
	assert_true(plan_boot_place(plan, got.diags, "b", 0x1000, 0x1000, 0, UINT64_MAX, false,
				    MARK_NONE, &at));
	assert_int_equal(at, 0);
	assert_true(plan_boot_place(plan, got.diags, "c", 0x1000, 0x1000, 0, UINT64_MAX, true,
				    MARK_NONE, &at));
	assert_int_equal(at, 0xff000);
	assert_true(plan_boot_place(plan, got.diags, "d", 0x40000 - 0x1000, 1, 0, UINT64_MAX, true,
				    MARK_NONE, &at));
	assert_int_equal(at, 0xc0000);
	assert_true(plan_boot_place(plan, got.diags, "e", 0x10, 0x10, 0x9fe01, 0x9fe1f, true,
				    MARK_NONE, &at));
	assert_int_equal(at, 0x9fe10);
	assert_int_equal(diags_errors(got.diags), 0);
	at = 77;
	assert_false(plan_boot_place(plan, NULL, "f", 0x10, 0x10, 0x9fe01, 0x9fe1f, true, MARK_NONE,
				     &at));
	assert_int_equal(diags_errors(got.diags), 0);
	assert_false(plan_boot_place(plan, got.diags, "g", 0x100000, 1, 0, UINT64_MAX, false,
				     MARK_NONE, &at));
	assert_int_equal(diags_errors(got.diags), 1);
	assert_int_equal(at, 77);
	check_regions_sorted_and_apart();
}

static void look_ups_find_the_innermost_and_the_nearest(void **state)
{
	const unsigned any = ~0U;
	struct plan *plan;

	(void)state;
	make_good(X86 "memory: 64K\ndevices:\n  - window: {id: a, at: 0xd0000000}\n"
		      "  - window: {id: b, at: 0xd0010000}\n");
	plan = got.plan;
	assert_string_equal(plan_region_at(plan, SPACE_MEM, any, 0x1000)->owner, "blob");
	assert_string_equal(plan_region_at(plan, SPACE_MEM, 1U << REGION_RAM, 0x1000)->owner,
			    "ram");
	assert_string_equal(plan_region_at(plan, SPACE_MEM, any, 0x2000)->owner, "ram");
	assert_null(plan_region_at(plan, SPACE_MEM, any, 0x10000));
	assert_null(plan_region_at(plan, SPACE_PIO, any, 0x1000));
	assert_string_equal(plan_nearest(plan, SPACE_MEM, 0)->owner, "a");
	assert_string_equal(plan_nearest(plan, SPACE_MEM, 0xd0002000)->owner, "a");
	assert_string_equal(plan_nearest(plan, SPACE_MEM, 0xd000f000)->owner, "b");
	assert_null(plan_nearest(plan, SPACE_PIO, 0));
}

/* ---- Output ---------------------------------------------------------------------------------- */

static char *print(enum diag_format format)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	plan_print(got.plan, out, format);
	fclose(out);
	return text;
}

static void the_table_lines_up(void **state)
{
	char *text;

	(void)state;
	make_good("name: toy\narch: x86_64\nmemory: 64K\nboot: {blob: {}}\n"
		  "devices:\n  - window: {id: log}\n  - mixed\n");
	text = print(DIAG_TEXT);
	assert_string_equal(text,
			    "toy: x86_64 on toy, 1 vCPU, 64K of RAM, no interrupt controller\n"
			    "entry at 0x1000 in real mode\n"
			    "\n"
			    "guest-physical memory\n"
			    "  0x00000000-0x0000ffff    64K  ram                       t:3\n"
			    "    0x00001000-0x00001fff   4K  boot    blob              t:4\n"
			    "  0xc0000000-0xc00fffff     1M  device  mixed  large      t:7\n"
			    "  0xc0100000-0xc0100fff     4K  device  log    registers  t:6\n"
			    "  0xc0101000-0xc0101fff     4K  device  mixed  small      t:7\n"
			    "\n"
			    "ports\n"
			    "  0x03f8-0x03ff  8  device  mixed  ports  t:7\n"
			    "\n"
			    "standard input\n"
			    "  log  t:6\n"
			    "\n"
			    "not connected\n"
			    "  log  interrupt  no interrupt controller\n");
	free(text);
}

static void json_strings_are_escaped(void **state)
{
	char *text;

	(void)state;
	make_good(X86 "name: \"a\\\"b\\\\c\\td\"\nmemory: 64K\n");
	text = print(DIAG_JSON);
	assert_non_null(strstr(text, "\"name\": \"a\\\"b\\\\c\\u0009d\""));
	assert_non_null(strstr(text, "\"slots\": [\n    {\"start\": 0, \"size\": 65536, "
				     "\"readonly\": false}\n  ]"));
	free(text);
}

/* ---- Size ------------------------------------------------------------------------------------ */

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Every third device fixed, so that the free ones have gaps to find. Not a timed test: the bound is
 * generous, but a quadratic planner would break it. */
static void ten_thousand_devices_are_planned_at_once(void **state)
{
	enum { N = 10000 };
	char *yaml = malloc(N * 48 + 100);
	double start, ms;
	struct diags *diags;
	struct plan *plan;
	size_t len;

	(void)state;
	len = (size_t)sprintf(yaml, X86 "devices:\n");
	for (unsigned i = 0; i < N; i++) {
		if (i % 3)
			len += (size_t)sprintf(yaml + len, "  - window\n");
		else
			len += (size_t)sprintf(yaml + len, "  - window: {at: 0x%x}\n",
					       0xc0000000 + (N - i) * 0x2000);
	}
	make_good(yaml);
	free(yaml);
	assert_int_equal(got.plan->n_devices, N);
	check_regions_sorted_and_apart();
	diags = diags_new();
	start = cpu_ms();
	plan = plan_make(config_vm(got.config), &registry, arch_find(ARCH_X86_64), "toy", &caps,
			 diags);
	ms = cpu_ms() - start;
	print_message("# %d devices planned in %.1f ms\n", N, ms);
	assert_true(ms < 1000);
	plan_free(plan);
	diags_free(diags);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_by_size_skips_the_vga_window_as_on_a_pc),
		TEST(memory_above_3_gib_goes_to_4_gib),
		TEST(arm64_memory_begins_at_1_gib),
		TEST(memory_beyond_the_address_width_is_refused),
		TEST(holes_cut_ram_into_slots),
		TEST(a_hole_in_one_ram_may_hold_another),
		TEST(a_bad_memory_entry_does_not_cascade),
		TEST(roms_need_a_backend_with_read_only_memory),
		TEST(large_windows_are_placed_before_small_ones),
		TEST(free_windows_go_around_fixed_ones),
		TEST(preferred_ports_are_taken_in_order_then_free_ones),
		TEST(only_if_and_unless_choose_between_claims),
		TEST(windows_keep_out_of_ram_reserved_and_holes),
		TEST(no_window_left_is_reported),
		TEST(the_suggested_window_is_free),
		TEST(one_bad_window_over_several_regions_is_one_error),
		TEST(labels_are_ids_or_types_with_numbers),
		TEST(a_rows_own_check_is_called),
		TEST(nothing_needs_interrupts_so_there_is_no_controller),
		TEST(a_line_that_the_user_gives_brings_a_split_controller),
		TEST(other_needs_for_a_controller),
		TEST(backends_without_a_split_controller_get_a_full_one),
		TEST(platform_regions_exist_only_with_a_controller),
		TEST(lines_run_out),
		TEST(input_goes_to_the_first_or_to_who_asks),
		TEST(limits_of_types_arches_and_backends),
		TEST(without_a_backend_only_the_layout_counts),
		TEST(boot_regions_must_lie_in_one_ram_region),
		TEST(boot_regions_may_touch_but_not_overlap),
		TEST(boot_place_finds_the_lowest_and_the_highest),
		TEST(look_ups_find_the_innermost_and_the_nearest),
		TEST(the_table_lines_up),
		TEST(json_strings_are_escaped),
		TEST(ten_thousand_devices_are_planned_at_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
